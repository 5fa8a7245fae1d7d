import { fileURLToPath } from "node:url";

import { expect, invalid, translated } from "./errors";
import * as native from "./native";

/** How a call can be stopped. */
export interface CallOptions {
  /** Aborted, it stops the work; once that has stopped, the promise is rejected with the signal's reason. */
  signal?: AbortSignal | undefined;
  /** Milliseconds for the whole call; then it fails with `deadline_exceeded`. */
  timeoutMs?: number | undefined;
}

/** Runs native work under a signal and a deadline; its errors become those that callers see. */
export async function call<T>(
  { signal, timeoutMs }: CallOptions,
  work: (cancel: native.Cancel | undefined) => Promise<T>,
): Promise<T> {
  if (signal !== undefined && typeof signal?.throwIfAborted !== "function") expect("signal", signal, AbortSignal);
  expect("timeoutMs", timeoutMs, "number");
  signal?.throwIfAborted();
  let stop: (() => void) | undefined;
  try {
    const cancel = signal || timeoutMs !== undefined ? new native.Cancel(timeoutMs) : undefined;
    if (signal) signal.addEventListener("abort", (stop = () => cancel?.cancel()), { once: true });
    return await work(cancel);
  } catch (error) {
    if (signal?.aborted && (error as { code?: unknown } | undefined)?.code === "cancelled") throw signal.reason;
    throw translated(error);
  } finally {
    if (stop) signal?.removeEventListener("abort", stop);
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
export function pathOf(path: string | URL | undefined): string | undefined;
export function pathOf(path: string | URL | undefined): string | undefined {
  if (path === undefined || typeof path === "string") return path;
  if (path instanceof URL) return fileURLToPath(path);
  throw invalid(`a path is of type ${typeof path}; give a string or a URL of a file`);
}
