import { NumberList, numbersOf } from "./arrays";
import { asked, call, now, pathOf, Turn } from "./call";
import { expect, expectAll } from "./errors";
import { ClickCounts, FeatureLog } from "./features";
import * as native from "./native";
import { answered, ByQuery } from "./runs";
import { textsOf } from "./texts";

/** How propensities are estimated. */
export interface PropensityOptions {
  /** By documents that rankers put at different ranks ("harvesting", unless told), or by expectation maximisation. */
  method?: "harvesting" | "em" | null | undefined;
  /** The last rank that is looked at; 100 unless told. */
  ranks?: number | null | undefined;
  /** Whether the values shall nowhere rise from one rank to the next; false unless told. */
  monotone?: boolean | null | undefined;
}

/** Rows of a training on clicks, for `Ranker.train`. */
export interface ClickTraining {
  /** The features of each row. */
  X: Float32Array;
  /** Features of a row. */
  columns: number;
  /** 1 where the document was clicked. */
  y: Float32Array;
  /** Rows of each impression. */
  group: Uint32Array;
  /** What each click stands for. */
  inversePropensities: Float32Array;
}

/** How another ranking is measured. */
export interface ClickEvaluationOptions {
  /** What it earns; "clicks" unless told. */
  reward?: "clicks" | "dcg" | null | undefined;
  /** Only the first so many documents earn something; all unless told. */
  k?: number | null | undefined;
  /** The largest weight of all estimates but `ips`; 100 unless told. */
  clip?: number | null | undefined;
}

/** An estimate with its interval of 95 %. */
export interface ClickEstimate {
  value: number;
  standardError: number;
  low: number;
  high: number;
}

/** What another ranking would have earned for each impression. */
export interface ClickEvaluation {
  /** What the rankings that served earned. */
  logged: ClickEstimate;
  /** Inverse propensity scoring. */
  ips: ClickEstimate;
  /** The same with weights up to `clip`. */
  clippedIps: ClickEstimate;
  /** Self-normalised. */
  snips: ClickEstimate;
  /** By the relevance of documents. */
  direct: ClickEstimate;
  /** The direct estimate, corrected by the clicks. */
  doublyRobust: ClickEstimate;
  /** Doubly robust above logged. */
  gain: ClickEstimate;
  /** Impressions that count. */
  impressions: number;
  /** Impressions of queries that the run does not answer. */
  leftOut: number;
  /** Impressions that the weights are worth. */
  effectiveSampleSize: number;
  /** The largest weight. */
  largestWeight: number;
  /** Share of the clicks whose documents the run ranks. */
  coverage: number;
  /** What to be wary of. */
  warnings: string[];
}

/**
 * What users were shown and what they clicked: one impression a line of JSON, such as
 * {"query": "q1", "shown": ["a", "b"], "clicked": ["b"]}.
 */
export class ClickLog {
  readonly #native: native.ClickLog;

  private constructor(inner: native.ClickLog) {
    this.#native = inner;
  }

  /** Reads a file of JSON Lines. */
  static async load(path: string | URL): Promise<ClickLog> {
    return new ClickLog(await call({}, () => native.ClickLog.load(pathOf(path))));
  }

  /** Number of impressions. */
  get size(): number {
    return now(() => this.#native.size);
  }

  /** Number of clicks. */
  get clicks(): number {
    return now(() => this.#native.clicks);
  }

  /** How likely a document at each rank is looked at, relative to the first. */
  async propensities(options: PropensityOptions = {}): Promise<Float64Array> {
    expectAll(options, { method: "string", ranks: "number", monotone: "boolean" });
    const { method, ranks, monotone } = options;
    return call({}, () => this.#native.propensities(method, ranks, monotone));
  }

  /** How often each document is clicked when it is looked at, 0 to 1, by query. */
  async relevance(propensities: NumberList): Promise<Map<string, Map<string, number>>> {
    const found = await call({}, () => this.#native.relevance(numbersOf("propensities", propensities)));
    const [relevance, turn] = [new Map<string, Map<string, number>>(), new Turn()];
    for (let next; (next = found.next()); ) {
      const { documents, values } = next;
      relevance.set(next.query, new Map(documents.map((document, at) => [document, values[at] as number])));
      if (turn.isOver) await turn.pass();
    }
    return relevance;
  }

  /**
   * Rows for `Ranker.train`: the impressions with a click as groups of rows of a feature log, each click weighted by the chance that
   * it was made. What the feature log does not have is left out.
   */
  async training(log: FeatureLog, propensities: NumberList): Promise<ClickTraining> {
    expect("log", log, FeatureLog, false);
    const { x: X, ...rest } = await call({}, () => this.#native.training(log.native, numbersOf("propensities", propensities)));
    return { X, columns: log.columns, ...rest };
  }

  /** How often each document was shown and clicked, for `Engine.setClickHistory`. */
  async history(): Promise<ClickCounts[]> {
    const { ids, impressions, clicks } = await call({}, () => this.#native.history());
    const rows = (id: string, at: number) => ({ id, impressions: impressions[at] as number, clicks: clicks[at] as number });
    return (await textsOf(ids)).map(rows);
  }

  /** What another ranking, scores by document by query, would have earned, on the log of the rankings that served. */
  async evaluate(run: ByQuery, propensities: NumberList, options: ClickEvaluationOptions = {}): Promise<ClickEvaluation> {
    expectAll(options, { reward: "string", k: "number", clip: "number" });
    const { reward, k, clip } = options;
    const [given, factors] = [await answered(run), numbersOf("propensities", propensities)];
    return camel(JSON.parse(await asked(() => this.#native.evaluate(given, factors, reward, k, clip)))) as ClickEvaluation;
  }
}

/** The fields of an object and of those in it, by the names of JavaScript. */
function camel(value: unknown): unknown {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return value;
  const name = (field: string) => field.replace(/_(.)/g, (_, letter: string) => letter.toUpperCase());
  return Object.fromEntries(Object.entries(value).map(([field, inner]) => [name(field), camel(inner)]));
}
