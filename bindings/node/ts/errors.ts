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

/** Refuses a value that is not of its type or class; undefined passes where it `isOptional`. */
export function expect(name: string, value: unknown, wanted: string | (new (...of: never[]) => unknown), isOptional = true): void {
  if (isOptional && value === undefined) return;
  if (typeof wanted === "string" ? typeof value === wanted : value instanceof wanted) return;
  throw invalid(`\`${name}\` is ${kindOf(value)}; give ${article(typeof wanted === "string" ? wanted : wanted.name)}`);
}

/** As `expect`, for options by name; null passes for undefined. */
export function expectAll(options: object, wanted: Readonly<Record<string, Parameters<typeof expect>[2]>>): void {
  for (const [name, type] of Object.entries(wanted)) {
    expect(name, (options as Record<string, unknown>)[name] ?? undefined, type);
  }
}

/** Refuses what is no array of strings. */
export function expectStrings(name: string, values: unknown): asserts values is string[] {
  if (!Array.isArray(values)) throw invalid(`\`${name}\` is ${kindOf(values)}; give an array of strings`);
  const at = values.findIndex((value) => typeof value !== "string");
  if (at >= 0) throw invalid(`\`${name}\` has something else than a string at position ${at}`);
}

/** What a value is, in words. */
function kindOf(value: unknown): string {
  if (value === undefined || value === null) return value === null ? "null" : "missing";
  return article(typeof value === "object" ? (value.constructor?.name ?? "Object") : typeof value);
}

function article(noun: string): string {
  return `${/^[aeiou]/i.test(noun) ? "an" : "a"} ${noun}`;
}

/** What the native part threw, as its callers see it; what it did not make itself is left as it is. */
export function translated(error: unknown): unknown {
  if (!(error instanceof Error) || error instanceof RagError) return error;
  const { code, context } = error as { code?: unknown; context?: unknown };
  if (isCode(code) && typeof context === "object") {
    return new RagError(error.message, code, context as Record<string, string>);
  }
  // The conversion of an argument failed before the engine saw it.
  if (typeof code === "string" && /^InvalidArg$|^[A-Z][a-z]+Expected$/.test(code)) return invalid(error.message);
  return error;
}

function isCode(code: unknown): code is ErrorCode {
  return ERROR_CODES.includes(code as ErrorCode);
}
