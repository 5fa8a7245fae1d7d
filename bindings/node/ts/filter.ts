import { expect, expectStrings, invalid } from "./errors";

/** What a field is compared with. A date compares as a moment. */
export type Operand = boolean | number | bigint | string | Date;

/** Which documents a question may find. */
export type Filter =
  | { eq: Record<string, Operand> }
  | { ne: Record<string, Operand> }
  | { in: Record<string, readonly Operand[]> }
  | { range: Record<string, { gt?: Operand; gte?: Operand; lt?: Operand; lte?: Operand }> }
  | { exists: string }
  | { and: readonly Filter[] }
  | { or: readonly Filter[] }
  | { not: Filter };

/** A filter as JSON, with whole numbers of any size. */
export function jsonOf(value: unknown): string {
  if (typeof value === "string") expect("filter", value, "string");
  if (typeof value === "number" || typeof value === "bigint") return String(value);
  if (Array.isArray(value)) return `[${value.map(jsonOf).join()}]`;
  if (value instanceof Date && Number.isNaN(value.getTime())) throw invalid("`filter` has an invalid date");
  if (typeof value === "object" && value !== null && !("toJSON" in value)) {
    const fields = Object.entries(value).filter(([, field]) => field !== undefined);
    expectStrings("filter", fields.map(([name]) => name));
    return `{${fields.map(([name, field]) => `${JSON.stringify(name)}:${jsonOf(field)}`).join()}}`;
  }
  const json = JSON.stringify(value) as string | undefined;
  if (json === undefined) throw invalid(`a filter cannot compare with a ${typeof value}`);
  return json;
}
