import { invalid, kindOf } from "./errors";

/** A name as Rust and LightGBM write it: `numLeaves` is `num_leaves`. */
function snake(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

/**
 * Options as JSON for the native part, with the names of Rust and LightGBM. What is null or undefined is left out. Text and names
 * in lists stay as they are.
 */
export function settingsOf(name: string, value: unknown): string | undefined {
  if (value === null || value === undefined) return undefined;
  if (typeof value === "boolean" || typeof value === "string") return JSON.stringify(value);
  if (typeof value === "bigint") return String(value);
  if (typeof value === "number") {
    if (!Number.isFinite(value)) throw invalid(`\`${name}\` is ${value}; give a finite number`);
    return JSON.stringify(value);
  }
  if (Array.isArray(value) || (ArrayBuffer.isView(value) && !(value instanceof DataView))) {
    const items = Array.from(value as ArrayLike<unknown>, (item) => settingsOf(name, item) ?? "null");
    return `[${items.join()}]`;
  }
  if (typeof value !== "object") throw invalid(`\`${name}\` is ${kindOf(value)}; give a value that JSON has`);
  const fields = Object.entries(value).flatMap(([field, inner]) => {
    const json = settingsOf(field, inner);
    return json === undefined ? [] : [`${JSON.stringify(snake(field))}:${json}`];
  });
  return `{${fields.join()}}`;
}
