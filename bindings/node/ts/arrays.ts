import { now, Turn } from "./call";
import { expect, invalid, kindOf } from "./errors";
import * as native from "./native";

/** Numbers, one after the other. */
export type NumberList = readonly number[] | Float32Array | Float64Array | Int32Array | Uint32Array | Uint8Array;

/**
 * Rows of features: an array of rows, in which null and undefined are missing values, or all values row after row, in which NaN
 * is one.
 */
export type Matrix = Float32Array | readonly (readonly (number | null | undefined)[] | Float32Array | Float64Array)[];

/** Bytes that are copied at once. */
const SLICE = 4 << 20;

/** Values that are looked at before it is asked whether the event loop wants its turn. */
const STEP = 4096;

/** A copy that nobody else has. */
export async function copied<T extends Float32Array | BigUint64Array>(name: string, from: T, signal?: AbortSignal | null): Promise<T> {
  const array = (from instanceof Float32Array ? Float32Array : BigUint64Array) as unknown as new (...of: unknown[]) => T;
  const copy = new array(from.length);
  await slices(name, from, (part, at) => copy.set(part as never, at), signal);
  return copy;
}

/** Gives an array slice by slice, with turns of the event loop between them. The first slice comes before the call returns. */
async function slices<T extends Float32Array | BigUint64Array>(
  name: string,
  from: T,
  take: (part: T, at: number) => void,
  signal?: AbortSignal | null,
): Promise<void> {
  const { length, BYTES_PER_ELEMENT: width } = from;
  const gone = () => invalid(`\`${name}\` has been transferred or resized; call before that, or give a copy`);
  if (isGone(from)) throw gone();
  const turn = new Turn();
  for (let at = 0; at < length; ) {
    const part = from.subarray(at, at + SLICE / width) as T;
    take(part, at);
    if ((at += part.length) === length) break;
    await turn.pass();
    signal?.throwIfAborted();
    if (from.length !== length) throw gone();
  }
}

/** Numbers handed over to the native part. */
async function handed(name: string, from: Float32Array, signal?: AbortSignal | null): Promise<native.Floats> {
  const floats = now(() => new native.Floats(from.length));
  await slices(name, from, (part) => floats.extend(part), signal);
  return floats;
}

/** Whether the buffer is transferred, which leaves an array empty. */
function isGone({ buffer, length }: Float32Array | BigUint64Array): boolean {
  if (length > 0) return false;
  try {
    return !new Uint8Array(buffer);
  } catch {
    return true;
  }
}

/** Rows as the native part takes them. `columns`: how many values a row has, where the rows themselves do not say it. */
export async function matrixOf(
  name: string,
  rows: Matrix,
  columns: number | null | undefined,
  signal?: AbortSignal | null,
): Promise<{ x: native.Floats; columns: number; rows: number }> {
  if (rows instanceof Float32Array) {
    expect(name, rows, Float32Array);
    if (columns == null) throw invalid(`\`columns\` is missing; give the number of values that a row of \`${name}\` has`);
    return { x: await handed(name, rows, signal), columns, rows: rows.length / Math.max(columns, 1) };
  }
  if (!Array.isArray(rows)) throw invalid(`\`${name}\` is ${kindOf(rows)}; give a Float32Array, or an array of rows`);
  const all = rows as readonly unknown[];
  const width = columns ?? (isRow(all[0]) ? all[0].length : 0);
  const x = now(() => new native.Floats(all.length * width));
  const copy = (values: unknown, row: number, into: Float32Array) => {
    if (!isRow(values)) throw invalid(`\`${name}\`, row ${row} is ${kindOf(values)}; give an array of numbers`);
    if (values.length !== width) {
      throw invalid(`\`${name}\`, row ${row} has ${values.length} values, not ${width}; give rows of one length`);
    }
    for (let at = 0; at < width; at += 1) {
      const value = values[at] ?? NaN;
      if (typeof value !== "number") {
        throw invalid(`\`${name}\`, row ${row} has ${kindOf(value)} at position ${at}; give numbers, or null for what is missing`);
      }
      into[at] = value;
    }
  };
  for await (const [start, end] of steps(all.length, Math.ceil(STEP / Math.max(width, 1)), signal)) {
    const part = new Float32Array((end - start) * width);
    for (let row = start; row < end; row += 1) copy(all[row], row, part.subarray((row - start) * width));
    x.extend(part);
  }
  return { x, columns: width, rows: all.length };
}

function isRow(row: unknown): row is ArrayLike<unknown> {
  return Array.isArray(row) || row instanceof Float32Array || row instanceof Float64Array;
}

/** Positions from `start` to `end` of so many, few at once; the event loop has its turn between them. */
async function* steps(length: number, size: number, signal?: AbortSignal | null): AsyncGenerator<[number, number]> {
  const turn = new Turn();
  for (let start = 0; start < length; start += size) {
    yield [start, Math.min(length, start + size)];
    if (turn.isOver) await turn.pass();
    signal?.throwIfAborted();
  }
}

/** A list of numbers as the native part takes it. */
export async function floatsOf(name: string, values: NumberList, signal?: AbortSignal | null): Promise<native.Floats> {
  if (values instanceof Float32Array) {
    expect(name, values, Float32Array);
    return handed(name, values, signal);
  }
  const length = lengthOf(name, values);
  const floats = now(() => new native.Floats(length));
  for await (const [start, end] of steps(length, STEP, signal)) {
    const part = new Float32Array(end - start);
    for (let at = start; at < end; at += 1) part[at - start] = numberOf(name, values[at], at, "numbers");
    floats.extend(part);
  }
  return floats;
}

/** A list of whole numbers from 0 on as the native part takes it. */
export async function countsOf(name: string, values: NumberList, signal?: AbortSignal | null): Promise<Uint32Array> {
  const wanted = "whole numbers, at least 0";
  const counts = new Uint32Array(lengthOf(name, values));
  for await (const [start, end] of steps(counts.length, STEP, signal)) {
    for (let at = start; at < end; at += 1) {
      const value = numberOf(name, values[at], at, wanted);
      if (value >>> 0 !== value) throw invalid(`\`${name}\` has ${value} at position ${at}; give ${wanted}`);
      counts[at] = value;
    }
  }
  return counts;
}

/** All numbers of a short list. */
export function numbersOf(name: string, values: NumberList): number[] {
  return Array.from({ length: lengthOf(name, values) }, (_, at) => numberOf(name, values[at], at, "numbers"));
}

function numberOf(name: string, value: unknown, at: number, wanted: string): number {
  if (typeof value === "number") return value;
  throw invalid(`\`${name}\` has ${kindOf(value)} at position ${at}; give ${wanted}`);
}

function lengthOf(name: string, values: NumberList): number {
  if (Array.isArray(values) || (ArrayBuffer.isView(values) && !(values instanceof DataView))) return values.length;
  throw invalid(`\`${name}\` is ${kindOf(values)}; give an array of numbers`);
}
