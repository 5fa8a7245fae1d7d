import { fileURLToPath } from "node:url";

import { expect, invalid, RagError, translated } from "./errors";
import * as native from "./native";

/** How a call can be stopped. */
export interface CallOptions {
  /** Aborted, it stops the work; once that has stopped, the promise is rejected with the signal's reason. */
  signal?: AbortSignal | null | undefined;
  /** Milliseconds for the whole call; then it fails with `deadline_exceeded`. */
  timeoutMs?: number | null | undefined;
}

/** Runs work under a signal and a deadline. */
export async function under<T>(
  { signal, timeoutMs }: CallOptions,
  work: (cancel: native.Cancel | undefined) => Promise<T>,
): Promise<T> {
  if (typeof signal?.throwIfAborted !== "function") expect("signal", signal, AbortSignal);
  expect("timeoutMs", timeoutMs, "number");
  signal?.throwIfAborted();
  const cancel = signal || timeoutMs != null ? now(() => new native.Cancel(timeoutMs)) : undefined;
  const stop = () => cancel?.cancel();
  signal?.addEventListener("abort", stop, { once: true });
  try {
    return await work(cancel);
  } catch (error) {
    if (signal?.aborted && error instanceof RagError && error.code === "cancelled") throw signal.reason;
    throw error;
  } finally {
    signal?.removeEventListener("abort", stop);
  }
}

/** Runs native work; its errors become those that callers see. No code of the caller's may run in it. */
export async function asked<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw translated(error);
  }
}

/** Runs native work under a signal and a deadline. */
export function call<T>(options: CallOptions, work: (cancel: native.Cancel | undefined) => Promise<T>): Promise<T> {
  return under(options, (cancel) => asked(() => work(cancel)));
}

/** Longer ones end at once, says Node. */
const LONGEST_TIMER = 2 ** 31 - 1;

/**
 * Runs work that waits for the caller's code, with a signal that is aborted with the caller's signal, and when the deadline of
 * `cancel` passes.
 */
export async function waiting<T>(
  { signal, timeoutMs }: CallOptions,
  cancel: native.Cancel | undefined,
  work: (signal: AbortSignal | undefined) => Promise<T>,
): Promise<T> {
  if (timeoutMs == null) return work(signal ?? undefined);
  const [stop, end] = [new AbortController(), performance.now() + timeoutMs];
  const abort = () => stop.abort(signal?.reason);
  const look = () => {
    try {
      now(() => cancel?.check());
      timer = wait();
    } catch (error) {
      stop.abort(error);
    }
  };
  const wait = () => setTimeout(look, Math.min(end - performance.now(), LONGEST_TIMER));
  let timer = wait();
  signal?.addEventListener("abort", abort, { once: true });
  try {
    return await work(stop.signal);
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", abort);
  }
}

/** Runs native work that answers at once. */
export function now<T>(work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw translated(error);
  }
}

/** Lets the event loop have its turn when work on it has taken long enough. */
export class Turn {
  #since = performance.now();

  /** Whether it is time to pass. */
  get isOver(): boolean {
    return performance.now() - this.#since > 4;
  }

  async pass(): Promise<void> {
    await new Promise((resolve) => setImmediate(resolve));
    this.#since = performance.now();
  }
}

/** A path as the native part takes it. */
export function pathOf(path: string | URL): string;
export function pathOf(path: string | URL | null | undefined): string | undefined;
export function pathOf(path: string | URL | null | undefined): string | undefined {
  if (path == null) return undefined;
  if (typeof path === "string") {
    expect("path", path, "string");
    return path;
  }
  if (path instanceof URL) return fileURLToPath(path);
  throw invalid(`a path is of type ${typeof path}; give a string or a URL of a file`);
}
