import { copied } from "./arrays";
import { asked, call, CallOptions, now, pathOf, under } from "./call";
import { expect, expectAll, given, invalid } from "./errors";
import * as native from "./native";

export type { Neighbours } from "./native";

/** How an index is made. */
export interface IndexOptions {
  /** What near means; with "l2" the score is minus the squared distance. "cosine" unless told. Higher scores are nearer. */
  metric?: "cosine" | "dot" | "l2" | null | undefined;
  /** Neighbours of a node of the graph, 2 to 256; 16 unless told. */
  m?: number | null | undefined;
  /** Candidates while building the graph; 200 unless told. */
  efConstruction?: number | null | undefined;
  /** Not there yet: anything but undefined is `unsupported`. */
  quantization?: string | null | undefined;
  /** Of building and of searching for several vectors; 0, unless told, for as many as there are processors. */
  threads?: number | null | undefined;
}

/** How an index is read. */
export interface ReadOptions extends CallOptions {
  /** Use the file in place. Not there yet: true is `unsupported`. */
  mmap?: boolean | null | undefined;
  /** As of the index. */
  threads?: number | null | undefined;
}

/** What can be asked of a search. */
export interface QueryOptions extends CallOptions {
  /** Neighbours of each vector; 10 unless told. */
  k?: number | null | undefined;
  /** Candidates of a search in the graph; 64 unless told. Higher finds more of the true neighbours and takes longer. */
  ef?: number | null | undefined;
  /** Only these ids. */
  allow?: BigUint64Array | null | undefined;
  /** For several vectors; 0, unless told, for those of the index. */
  threads?: number | null | undefined;
}

/**
 * Vectors by id, to be searched while others are added and removed. Searching is exact until `build` makes a graph. Arrays
 * that are handed in are copied, since other threads read them while their owner may transfer or resize the buffer: up to 4 MB
 * before the call returns, the rest of a longer one in the turns of the event loop after it. Those of an answer are no copies.
 */
export class VectorIndex {
  readonly #native: native.VectorIndex;

  /** An empty index for vectors of `dimension` values. */
  constructor(dimension: number, options: IndexOptions = {}) {
    expect("dimension", dimension, "number", false);
    expectAll(options, { metric: "string", m: "number", efConstruction: "number", quantization: "string", threads: "number" });
    const made = options as unknown;
    const { metric, m, efConstruction, quantization, threads } = options;
    const how = given({ metric, m, efConstruction, quantization, threads }) as native.IndexArguments;
    this.#native = made instanceof native.VectorIndex ? made : now(() => new native.VectorIndex(dimension, how));
  }

  /** Reads what `save` wrote, and builds the graph again where there was one. */
  static async load(path: string | URL, options: ReadOptions = {}): Promise<VectorIndex> {
    expectAll(options, { mmap: "boolean", threads: "number" });
    const { mmap, threads } = options;
    const inner = await call(options, (cancel) => native.VectorIndex.load(pathOf(path), mmap, threads, cancel));
    return new VectorIndex(inner.dimension, inner as object);
  }

  /** Adds vectors, one after the other in `vectors`; an id that has one gets the new one. Ids are 0 to 2⁶⁴ − 2. */
  async add(ids: BigUint64Array, vectors: Float32Array): Promise<void> {
    expect("ids", ids, BigUint64Array, false);
    expect("vectors", vectors, Float32Array, false);
    const [keys, values] = await Promise.all([copied("ids", ids), copied("vectors", vectors)]);
    return call({}, () => this.#native.add(keys, values));
  }

  /** Takes vectors out; gives how many were there. */
  async remove(ids: BigUint64Array): Promise<number> {
    expect("ids", ids, BigUint64Array, false);
    const keys = await copied("ids", ids);
    return call({}, () => this.#native.remove(keys));
  }

  /**
   * Builds a graph over all vectors there are now; searches then take logarithmic instead of linear time and find most of the
   * true neighbours. With less than 5,000 vectors searching stays exact. For the metric "cosine" alone.
   */
  async build(options: CallOptions = {}): Promise<void> {
    return call(options, (cancel) => this.#native.build(cancel));
  }

  /**
   * The nearest vectors, best first. For one vector there are as many as there are neighbours, at most `k`. For n vectors, one
   * after the other in `vectors`, there are n · k; where there are fewer neighbours, 2⁶⁴ − 1 and −Infinity fill up.
   */
  async search(vectors: Float32Array, options: QueryOptions = {}): Promise<native.Neighbours> {
    expect("vectors", vectors, Float32Array, false);
    expectAll(options, { k: "number", ef: "number", allow: BigUint64Array, threads: "number" });
    const { k, ef, allow, threads, signal } = options;
    const isOne = vectors.length === this.dimension;
    return under(options, async (cancel) => {
      const copies = [copied("vectors", vectors, signal), allow ? copied("allow", allow, signal) : undefined] as const;
      const [values, only] = await Promise.all(copies);
      const query = given({ k, ef, allow: only, threads }) as native.QueryArguments;
      return asked(() => this.#native[isOne ? "search" : "searchMany"](values, query, cancel));
    });
  }

  /** Writes everything to one file, whole or not at all. */
  async save(path: string | URL): Promise<void> {
    return call({}, () => this.#native.save(pathOf(path)));
  }

  /** Values of a vector. */
  get dimension(): number {
    return this.#native.dimension;
  }

  /** Number of vectors. */
  get size(): number {
    return this.#native.size;
  }

  /** Whether `id` has a vector. */
  has(id: bigint | number): boolean {
    if (typeof id === "number" && !Number.isInteger(id)) throw invalid(`\`id\` is ${id}; give a whole number`);
    return now(() => this.#native.has(BigInt(id)));
  }
}
