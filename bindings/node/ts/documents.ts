import { Turn } from "./call";
import { invalid, ofEngine } from "./errors";
import * as native from "./native";

/** A metadata value as it is handed in. Dates are stored as RFC 3339, nested objects with dotted names, at most 32 deep. */
export type MetadataInput =
  | boolean
  | number
  | bigint
  | string
  | Date
  | null
  | undefined
  | readonly (boolean | number | bigint | string | Date)[]
  | { readonly [name: string]: MetadataInput };

/** A document as it is handed in. */
export interface Document {
  /** Unique within the tenant; 1 to 512 bytes. */
  id: string;
  /** At most 4096 bytes; searched together with the text. */
  title?: string | null | undefined;
  /** The body. */
  text?: string | null | undefined;
  /** What filters look at. */
  metadata?: { readonly [name: string]: MetadataInput } | null | undefined;
}

/** Hands a full batch over. */
export type Stage = (batch: native.Batch) => Promise<native.UpsertReport>;

/**
 * Converts documents and hands them over: an array as one batch, anything else in batches as it comes. The event loop has
 * its turn every few milliseconds.
 */
export async function handOver(documents: unknown, stage: Stage, signal?: AbortSignal): Promise<native.UpsertReport> {
  const batch = new native.Batch();
  const turn = new Turn();
  if (Array.isArray(documents)) {
    for (let next = 0; (next = converted(() => batch.extend(documents, next))) < documents.length; ) {
      await turn.pass();
      signal?.throwIfAborted();
    }
    return stage(batch);
  }
  const reports: native.UpsertReport[] = [];
  for await (const document of abortable(iterable(documents), signal)) {
    if (converted(() => batch.push(document))) reports.push(await stage(batch));
    else if (turn.isOver) await turn.pass();
  }
  if (reports.length === 0 || !batch.isEmpty) reports.push(await stage(batch));
  return reports.reduce(sum);
}

/** Converts documents. What their getters throw stays as it is, whatever it looks like. */
function converted<T>(work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw ofEngine(error);
  }
}

function iterable(documents: unknown): Iterable<unknown> | AsyncIterable<unknown> {
  const found = documents as Partial<Iterable<unknown> & AsyncIterable<unknown>> | null | undefined;
  if (typeof found === "object" && (found?.[Symbol.asyncIterator] || found?.[Symbol.iterator])) {
    return found as Iterable<unknown> | AsyncIterable<unknown>;
  }
  throw invalid("`documents` is no collection of documents; give an array, an iterator or an async iterator");
}

/** The items, and the signal's reason as an error even while the next item is waited for. */
async function* abortable(items: Iterable<unknown> | AsyncIterable<unknown>, signal?: AbortSignal): AsyncGenerator<unknown> {
  if (!signal) return yield* items;
  const iterator = Symbol.asyncIterator in items ? items[Symbol.asyncIterator]() : items[Symbol.iterator]();
  const next = async () => iterator.next();
  let fail: (reason: unknown) => void = () => {};
  const abort = () => fail(signal.reason);
  signal.addEventListener("abort", abort);
  let isOver = false;
  try {
    for (;;) {
      signal.throwIfAborted();
      const step = await new Promise<IteratorResult<unknown>>((resolve, reject) => {
        fail = reject;
        next().then(resolve, (error: unknown) => {
          isOver = true;
          reject(error);
        });
      });
      if ((isOver = step.done ?? false)) return;
      yield step.value;
    }
  } finally {
    signal.removeEventListener("abort", abort);
    if (!isOver) {
      const closed = Promise.resolve(iterator.return?.());
      // One that waits for its next item cannot be waited for.
      if (signal.aborted) closed.catch(() => {});
      else await closed;
    }
  }
}

function sum(one: native.UpsertReport, other: native.UpsertReport): native.UpsertReport {
  return {
    added: one.added + other.added,
    updated: one.updated + other.updated,
    unchanged: one.unchanged + other.unchanged,
    repeated: one.repeated + other.repeated,
    chunks: one.chunks + other.chunks,
    embedded: one.embedded + other.embedded,
    truncated: one.truncated + other.truncated,
  };
}
