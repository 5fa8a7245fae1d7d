import { asked, now, Turn } from "./call";
import { expectAll, expectStrings, invalid } from "./errors";
import * as native from "./native";

/** Numbers by name: an object or a Map. */
export type Numbers = Readonly<Record<string, number>> | ReadonlyMap<string, number>;

/** Numbers by document, by query. */
export type ByQuery = Readonly<Record<string, Numbers>> | ReadonlyMap<string, Numbers>;

/** Formulas of fusion. */
export type FusionMethod =
  | "rrf" | "isr" | "log_isr" | "logn_isr" | "borda" | "condorcet" | "rbc"
  | "sum" | "convex" | "mnz" | "anz" | "max" | "min" | "med" | "gmnz" | "wmnz" | "mixed";

/** How the scores of a run are scaled. */
export type Normalization =
  | "min_max" | "min_max_inverted" | "max" | "sum" | "z_score" | "rank" | "borda" | "dbsf" | "l2" | "sigmoid" | "none";

/** A fusion that was learnt: plain data, to be kept as JSON. */
export interface LearnedFusion {
  method: unknown;
  normalization: unknown;
  weights: number[];
}

/** How runs are fused. */
export interface FuseOptions {
  /**
   * What `learnFusion` gave, and then nothing else, for the runs in the same order. Or by ranks "rrf" (the default), "isr", "log_isr", "logn_isr", "borda", "condorcet", "rbc"; by scores "sum" (also "convex":
   * weights make it one), "mnz", "anz", "max", "min", "med", "gmnz", "wmnz", "mixed". docs/fusion.md has the formulas.
   */
  method?: FusionMethod | LearnedFusion | null | undefined;
  /** The constant of "rrf"; 60 unless told. */
  k?: number | null | undefined;
  /** One for each run; 1 each unless told. */
  weights?: readonly number[] | null | undefined;
  /** Of methods by scores; "min_max" unless told. "min_max_inverted" is for runs in which lower scores are better. */
  normalization?: Normalization | null | undefined;
  /** Of "logn_isr"; 0.01 unless told. */
  sigma?: number | null | undefined;
  /** Of "gmnz". */
  gamma?: number | null | undefined;
  /** Of "rbc". */
  phi?: number | null | undefined;
}

/** Formulas of fusion that are learnt from judgments. */
export type LearnedMethod = "bayes_fuse" | "map_fuse" | "pos_fuse" | "prob_fuse" | "seg_fuse" | "slide_fuse";

/** How a fusion is learnt. */
export interface LearnFusionOptions {
  /** One that is learnt; or one by scores, with a normalization that is learnt. docs/fusion.md has the formulas. */
  method: LearnedMethod | FusionMethod;
  /** Of methods by scores: "platt" or "isotonic" for the probability of being relevant, or as for `fuse`. */
  normalization?: "platt" | "isotonic" | Exclude<Normalization, "min_max_inverted"> | null | undefined;
  /** One for each run; 1 each unless told. */
  weights?: readonly number[] | null | undefined;
  /** Of "prob_fuse", the number of parts that answers are cut into; 20 unless told. */
  segments?: number | null | undefined;
  /** Of "slide_fuse", ranks to each side; 5 unless told. */
  width?: number | null | undefined;
  /** Of "gmnz". */
  gamma?: number | null | undefined;
}

/** How a run is measured. */
export interface EvaluateOptions {
  /**
   * What a judged query without an answer counts: "zero", the default, as published figures have it, or "skip", as trec_eval
   * does by default.
   */
  missing?: "zero" | "skip" | null | undefined;
}

/**
 * Fuses runs; a run gives scores by document, by query, and higher scores are better. The answer has the documents of each query
 * best first; equal scores by the first run that has the document, then by id. It is made of Maps, since objects would put ids
 * such as "7" into an order of their own.
 */
export async function fuse(runs: readonly ByQuery[], options: FuseOptions = {}): Promise<Map<string, Map<string, number>>> {
  expectAll(options, { k: "number", weights: Array, normalization: "string", sigma: "number", gamma: "number", phi: "number" });
  const { method, k, weights, normalization, sigma, gamma, phi } = options;
  const learned = typeof method === "object" && method !== null ? JSON.stringify(method) : undefined;
  if (learned === undefined) expectAll({ method }, { method: "string" });
  const given = await handed(runs);
  const how = { method: learned ? undefined : method, k, weights: weights && [...weights], normalization, sigma, gamma, phi, learned };
  const fused = await asked(() => given.fuse(told<native.HowToFuse>(how)));
  const [answer, turn] = [new Map<string, Map<string, number>>(), new Turn()];
  for (let next; (next = fused.next()); ) {
    const { documents, scores } = next;
    answer.set(next.query, new Map(documents.map((document, at) => [document, scores[at] as number])));
    if (turn.isOver) await turn.pass();
  }
  return answer;
}

/**
 * Learns from judgments how far each run can be trusted; grades of 1 and more are relevant, and documents without a judgment are
 * not. What it gives is the `method` of `fuse`.
 */
export async function learnFusion(runs: readonly ByQuery[], qrels: ByQuery, options: LearnFusionOptions): Promise<LearnedFusion> {
  const fields = { normalization: "string", weights: Array, segments: "number", width: "number", gamma: "number" } as const;
  expectAll(options, { method: "string", ...fields });
  const { method, weights, normalization, segments, width, gamma } = options;
  if (method == null) throw invalid("`method` is missing; give one, such as \"prob_fuse\"");
  const [given, judgments] = [await handed(runs), await judged(qrels)];
  const how = { method, weights: weights && [...weights], normalization, segments, width, gamma };
  return JSON.parse(await asked(() => given.learn(judgments, told<native.HowToLearn>(how)))) as LearnedFusion;
}

/** Runs, handed over. */
async function handed(runs: readonly ByQuery[]): Promise<native.Runs> {
  if (!Array.isArray(runs)) throw invalid(`\`runs\` is of type ${typeof runs}; give an array of runs`);
  const [given, turn] = [new native.Runs(), new Turn()];
  for (const run of runs as readonly ByQuery[]) {
    given.begin();
    for (const [query, documents, scores] of queriesOf("a run", run)) {
      now(() => given.put(query, documents, scores));
      if (turn.isOver) await turn.pass();
    }
  }
  return given;
}

/** What is given of some fields: the native side knows no null. */
function told<T>(fields: Record<string, unknown>): T {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value != null)) as T;
}

/**
 * Measures a run against judgments, as trec_eval does, by metrics such as "ndcg@10", "ndcg_exp@10", "map", "mrr@10",
 * "precision@5", "recall@100", "success@5", "judged@10". Gives the mean of each over the queries; with `perQuery`, the values of
 * each query instead.
 */
export async function evaluate(
  qrels: ByQuery,
  run: ByQuery,
  metrics: readonly string[],
  options: EvaluateOptions & { perQuery: true },
): Promise<Map<string, Record<string, number>>>;
export async function evaluate(
  qrels: ByQuery,
  run: ByQuery,
  metrics: readonly string[],
  options?: EvaluateOptions & { perQuery?: false | null | undefined },
): Promise<Record<string, number>>;
export async function evaluate(
  qrels: ByQuery,
  run: ByQuery,
  metrics: readonly string[],
  { perQuery, missing }: EvaluateOptions & { perQuery?: boolean | null | undefined } = {},
): Promise<Map<string, Record<string, number>> | Record<string, number>> {
  expectStrings("metrics", metrics);
  const given = await judged(qrels);
  await answered(run, given);
  const { means, queries } = await asked(() => given.measure([...metrics], perQuery ?? false, missing));
  const named = (values: number[]) => Object.fromEntries(metrics.map((name, at) => [name, values[at] as number]));
  return perQuery ? new Map(queries.map(({ query, values }) => [query, named(values)])) : named(means);
}

/** Judgments, handed over. */
export async function judged(qrels: ByQuery): Promise<native.Evaluation> {
  const [given, turn] = [new native.Evaluation(), new Turn()];
  for (const [query, documents, grades] of queriesOf("`qrels`", qrels)) {
    now(() => given.judge(query, documents, grades));
    if (turn.isOver) await turn.pass();
  }
  return given;
}

/** A run, handed over. */
export async function answered(run: ByQuery, given = new native.Evaluation()): Promise<native.Evaluation> {
  const turn = new Turn();
  for (const [query, documents, scores] of queriesOf("`run`", run)) {
    now(() => given.put(query, documents, scores));
    if (turn.isOver) await turn.pass();
  }
  return given;
}

/** The queries of a run or of judgments, each with its documents and their numbers. */
function* queriesOf(name: string, run: ByQuery): Generator<[string, string[], number[]]> {
  for (const [query, documents] of entriesOf<Numbers>(name, run)) {
    const pairs = [...entriesOf<number>(`${name}, query ${JSON.stringify(query)}`, documents)];
    expectStrings(`${name}, the queries`, [query]);
    expectStrings(`${name}, query ${JSON.stringify(query)}, the documents`, pairs.map(([document]) => document));
    const wrong = pairs.find(([, number]) => typeof number !== "number");
    if (wrong) throw invalid(`${name}, query ${JSON.stringify(query)}: the score of ${JSON.stringify(wrong[0])} is no number`);
    yield [query, pairs.map(([document]) => document), pairs.map(([, number]) => number)];
  }
}

/** The entries of an object or a Map. */
export function entriesOf<T>(
  name: string,
  value: unknown,
  wanted = "give {query: {document: number}}, or Maps",
): Iterable<[string, T]> {
  if (value instanceof Map) return value as Map<string, T>;
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return Object.entries(value as Record<string, T>);
  throw invalid(`${name} is no object; ${wanted}`);
}
