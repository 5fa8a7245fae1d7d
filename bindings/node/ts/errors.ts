/** The `code` of every kind of error. */
export const ERROR_CODES = [
  "invalid_argument",
  "not_found",
  "permission_denied",
  "unauthenticated",
  "rate_limited",
  "conflict",
  "schema_mismatch",
  "model_mismatch",
  "corruption",
  "unsupported",
  "resource_exhausted",
  "deadline_exceeded",
  "cancelled",
  "unavailable",
  "internal",
] as const;

/** What went wrong, for branching. */
export type ErrorCode = (typeof ERROR_CODES)[number];

/** Whatever the engine reports. */
export class RagError extends Error {
  override readonly name = "RagError";
  /** What went wrong, for branching; the message is for people. */
  readonly code: ErrorCode;
  /** Named facts. */
  readonly context: Readonly<Record<string, string>>;

  constructor(message: string, code: ErrorCode, context: Readonly<Record<string, string>> = {}) {
    super(message);
    this.code = code;
    this.context = context;
  }
}

/** An error for an argument that can never work. */
export function invalid(message: string): RagError {
  return new RagError(message, "invalid_argument");
}

/**
 * Refuses a value that is not of its type or class, text that is not well formed, and memory that other threads may change;
 * undefined and null pass where it `isOptional`.
 */
export function expect(name: string, value: unknown, wanted: string | Class, isOptional = true): void {
  if (isOptional && value == null) return;
  const fits = typeof wanted === "string" ? typeof value === wanted : value instanceof wanted;
  if (!fits) throw invalid(`\`${name}\` is ${kindOf(value)}; give ${article(typeof wanted === "string" ? wanted : wanted.name)}`);
  if (typeof value === "string" && !value.isWellFormed()) throw invalid(`\`${name}\` ${HALF}`);
  if (ArrayBuffer.isView(value) && value.buffer instanceof SharedArrayBuffer) {
    throw invalid(`\`${name}\` is in a SharedArrayBuffer, which other threads may change; give a copy: \`${name}.slice()\``);
  }
}

/** A class, whoever may construct it. */
interface Class {
  readonly name: string;
  [Symbol.hasInstance](value: unknown): boolean;
}

/** What is wrong with text of which the engine would see U+FFFD: different ids would become the same. */
const HALF = "is not well formed; it has half of a surrogate pair";

/** As `expect`, for options by name. */
export function expectAll(options: object, wanted: Readonly<Record<string, Parameters<typeof expect>[2]>>): void {
  for (const [name, type] of Object.entries(wanted)) expect(name, (options as Record<string, unknown>)[name], type);
}

/** The options themselves, for the native part, which knows `undefined` alone for what is not given. */
export function given<T extends object>(options: { [K in keyof T]: T[K] | null }): T {
  const named = options as Record<string, unknown>;
  for (const name in named) named[name] ??= undefined;
  return options as T;
}

/** Refuses what is no array of strings. */
export function expectStrings(name: string, values: unknown): asserts values is string[] {
  if (!Array.isArray(values)) throw invalid(`\`${name}\` is ${kindOf(values)}; give an array of strings`);
  const at = values.findIndex((value) => typeof value !== "string" || !value.isWellFormed());
  if (at < 0) return;
  if (typeof values[at] === "string") throw invalid(`\`${name}\`, position ${at}: the text ${HALF}`);
  throw invalid(`\`${name}\` has something else than a string at position ${at}`);
}

/** What a value is, in words. */
export function kindOf(value: unknown): string {
  if (value === undefined || value === null) return value === null ? "null" : "missing";
  return article(typeof value === "object" ? (value.constructor?.name ?? "Object") : typeof value);
}

function article(noun: string): string {
  return `${/^[aeiou]/i.test(noun) ? "an" : "a"} ${noun}`;
}

/** What the native part threw, as its callers see it. */
export function translated(error: unknown): unknown {
  const { code } = (error ?? {}) as { code?: unknown };
  // The conversion of an argument failed before the engine saw it.
  const isArgument = typeof code === "string" && /^InvalidArg$|^[A-Z][a-z]+Expected$/.test(code);
  return isArgument && error instanceof Error ? invalid(error.message) : ofEngine(error);
}

/** An error of the engine as its callers see it; any other is left as it is. */
export function ofEngine(error: unknown): unknown {
  if (!(error instanceof Error) || !("ofEngine" in error)) return error;
  const { code, context } = error as { code?: unknown; context?: unknown };
  return isCode(code) ? new RagError(error.message, code, context as Record<string, string>) : error;
}

function isCode(code: unknown): code is ErrorCode {
  return ERROR_CODES.includes(code as ErrorCode);
}
