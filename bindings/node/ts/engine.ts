import { Answer, answerOf, Hit, named, Stats, StoredDocument, UpsertReport, VerifyReport } from "./answer";
import { asked, call, CallOptions, now, pathOf, Turn, under, waiting } from "./call";
import { Document, handOver } from "./documents";
import { Embedder } from "./embedder";
import { expect, expectAll, expectStrings, given } from "./errors";
import {
  ClickCounts,
  FeatureFunctions,
  FeatureLog,
  FeaturesOptions,
  functionsOf,
  historyOf,
  logOf,
  Questions,
  questionsOf,
  refuseFromFunction,
} from "./features";
import { Filter, jsonOf } from "./filter";
import { Gate } from "./gate";
import * as native from "./native";
import { settingsOf } from "./names";
import { Ranker, rankerOf } from "./ranker";
import { ByQuery, judged } from "./runs";
import { FeatureSchema, schemaOf } from "./schema";
import { textsOf, withTexts } from "./texts";
import { TuneOptions, TuneReport } from "./tune";

/** How a folder is opened. */
export interface OpenOptions {
  /**
   * The path of a sentence-transformers folder or static model file, or an Embedder; unless told, what the configuration
   * names, else the bundled model.
   */
  model?: string | URL | Embedder | null | undefined;
  /**
   * A TOML file with settings. The variable RAG_CONFIG may name one as well, and variables such as
   * RAG__ENGINE__FUSION__DEPTH win over both.
   */
  config?: string | URL | null | undefined;
  /**
   * Features of your own, by their names: each function gets a question and all of its candidates and gives a number for each, or
   * a promise of them. The event loop runs it while the search waits. What it throws makes the search do without the ranker, and
   * say so in `degraded`; a log of features fails. It cannot call the engine that waits for it.
   */
  featureFunctions?: FeatureFunctions | null | undefined;
  /** Which features rankers read; see docs/features.md. What is given wins over file and variables. */
  features?: FeaturesOptions | null | undefined;
}

/** Whose documents a call is about. */
export interface TenantOptions {
  /** "default" unless told. */
  tenant?: string | null | undefined;
}

/** Which ids are wanted. */
export interface IdsOptions extends TenantOptions {
  /** Only of documents that match; an object, or its JSON. */
  filter?: Filter | string | null | undefined;
  /** Only ids after this one, such as the last one of the page before. */
  after?: string | null | undefined;
  /** At most so many; all unless told. */
  limit?: number | null | undefined;
}

/** What can be asked of several questions at once. */
export interface QuestionOptions extends CallOptions, TenantOptions {
  /** Hits wanted, 1 to 10,000; 10 unless told. */
  k?: number | null | undefined;
  /** Only documents that match; an object, or its JSON. */
  filter?: Filter | string | null | undefined;
  /** Which retrievers answer; both, fused, unless told. */
  retrievers?: readonly ("dense" | "lexical")[] | null | undefined;
  /** Whether each hit tells how it came about. */
  explain?: boolean | null | undefined;
  /** Read the question as query syntax: title:word, "a phrase", +must, -not. */
  syntax?: boolean | null | undefined;
  /** Who asks, for experiments and canaries to keep to; any text that is always the same for the same user. It is not stored. */
  user?: string | null | undefined;
  /** One document for each value of this metadata field, the best one; `hidden` of a hit counts the others. */
  collapse?: string | null | undefined;
  /** How much relevance counts against variety, 0 (variety) to 1 (relevance); relevance alone unless told. */
  diversity?: number | null | undefined;
}

/** Which candidates are logged. */
export interface LogOptions extends Omit<QuestionOptions, "explain" | "user" | "collapse" | "diversity"> {
  /** When the questions were asked, for features that count ages; now unless told. */
  now?: Date | null | undefined;
}

/** How a ranker is used. */
export interface RankerOptions {
  /** Share of the ranker in the score, 0 to 1; the rest is the fused score's. That of the configuration, else 1, unless told. */
  weight?: number | null | undefined;
}

/** What can be asked of a question. */
export interface SearchOptions extends QuestionOptions {
  /** The vector of the question, if there is one already. */
  vector?: Float32Array | null | undefined;
}

/**
 * A retrieval engine over one data folder. Changes are staged by `upsert` and `delete`, and become durable and visible together
 * with `commit`.
 */
export class Engine implements AsyncDisposable {
  readonly #inner: native.Engine;
  /** Stands for this engine where its feature functions run: they would keep itself alive. */
  readonly #self: object;

  private constructor(inner: native.Engine, self: object) {
    [this.#inner, this.#self] = [inner, self];
  }

  /** For calls that wait. */
  get #native(): native.Engine {
    refuseFromFunction(this.#self);
    return this.#inner;
  }

  /** Opens or makes the data folder. One process has it open at a time. */
  static async open(path: string | URL, options: OpenOptions = {}): Promise<Engine> {
    const { model, config, features, featureFunctions } = options;
    expect("features", features, "object");
    const [embedder, file] = model instanceof Embedder ? [model.native, undefined] : [undefined, pathOf(model)];
    const self = {};
    const [declared, own] = [settingsOf("features", features), functionsOf(featureFunctions, self)];
    const open = () => native.Engine.open(pathOf(path), file, embedder, pathOf(config), declared, own);
    return new Engine(await call({}, open), self);
  }

  /**
   * Stages documents: new ones are added, changed ones replaced, unchanged ones left alone. Only chunks whose text is new are
   * embedded. An array is staged whole or not at all. Any other iterable, such as an async generator, is staged in batches as
   * it comes, and what was staged before an error stays staged until `commit` or `rollback`.
   */
  async upsert(
    documents: Iterable<Document> | AsyncIterable<Document>,
    options: CallOptions & TenantOptions = {},
  ): Promise<UpsertReport> {
    const { tenant } = options;
    expect("tenant", tenant, "string");
    return under(options, (cancel) => {
      const stage = (batch: native.Batch) => asked(() => this.#native.upsert(batch, tenant, cancel));
      return waiting(options, cancel, (signal) => handOver(documents, stage, signal));
    });
  }

  /** Stages deletions; gives the number of documents that were there. Ids that are not there are fine. */
  async delete(ids: readonly string[], { tenant }: TenantOptions = {}): Promise<number> {
    expectStrings("ids", ids);
    expect("tenant", tenant, "string");
    return withTexts(ids, (texts) => this.#native.delete(texts, tenant));
  }

  /** Makes everything staged durable, then visible; gives the number of the commit. */
  async commit(): Promise<number> {
    return call({}, () => this.#native.commit());
  }

  /** Drops everything staged since the last commit. */
  async rollback(): Promise<void> {
    return call({}, () => this.#native.rollback());
  }

  /** Answers a question from the last commit. The text may be empty with a vector. */
  async search(text: string, options: SearchOptions = {}): Promise<Answer> {
    expect("text", text, "string", false);
    const question = argumentsOf(options);
    return answerOf(await call(options, (cancel) => this.#native.search(text, question, cancel)));
  }

  /** Answers many questions, on several threads. */
  async searchMany(texts: readonly string[], options: QuestionOptions = {}): Promise<Answer[]> {
    expectStrings("texts", texts);
    const question = argumentsOf(options);
    const work = (cancel?: native.Cancel) => withTexts(texts, (all) => this.#native.searchMany(all, question, cancel));
    const [found, answers, turn] = [await under(options, work), [] as Answer[], new Turn()];
    for (let next; (next = found.next()); ) {
      answers.push(await answerOf(next));
      if (turn.isOver) await turn.pass();
    }
    return answers;
  }

  /**
   * How the document `id` fares for a question: its hit with the explanation, or null when no retriever has it among its
   * candidates.
   */
  async explain(text: string, id: string, options: SearchOptions = {}): Promise<Hit | null> {
    expect("text", text, "string", false);
    expect("id", id, "string", false);
    const question = argumentsOf(options);
    const hit = await call(options, (cancel) => this.#native.explain(text, id, question, cancel));
    return hit ? named(hit) : null;
  }

  /**
   * Takes a ranker into use for all searches from now on; null: none. The score of a hit is then a blend of the fused score and
   * the ranker's. A ranker of features that this engine does not have is refused with `schema_mismatch`.
   */
  async setRanker(ranker: Ranker | null, { weight }: RankerOptions = {}): Promise<void> {
    expect("ranker", ranker, Ranker);
    expect("weight", weight, "number");
    return call({}, () => this.#native.setRanker(ranker?.native, weight));
  }

  /** The live gate: the weight of the ranker, changed while searches run. */
  get gate(): Gate {
    return new Gate(now(() => this.#inner.gate));
  }

  /** The ranker in use; null without one. */
  get ranker(): Ranker | null {
    const inner = now(() => this.#inner.ranker);
    return inner && rankerOf(inner);
  }

  /** The features that rankers read and `logFeatures` writes. */
  featureSchema(): FeatureSchema {
    return schemaOf(now(() => this.#inner.featureSchema()));
  }

  /**
   * The features of the candidates of each question, which has an id of your own, just as a ranker would see them: what a ranker
   * is trained on.
   */
  async logFeatures(queries: Questions, options: LogOptions = {}): Promise<FeatureLog> {
    const [ids, texts] = questionsOf(queries);
    expect("now", options.now, Date);
    const [question, time] = [argumentsOf(options), options.now?.getTime()];
    const logged = await under(options, (cancel) =>
      withTexts(ids, (named) => withTexts(texts, (asked) => this.#native.logFeatures(named, asked, time, question, cancel))),
    );
    return logOf(logged);
  }

  /**
   * Compares ways to fuse the retrievers' runs on judged questions: formulas, scales and weights, by nested cross-validation.
   * Nothing of the engine changes; the report tells which configuration to open it with. Questions without a relevant document
   * are left out.
   */
  async tune(queries: Questions, qrels: ByQuery, options: TuneOptions = {}): Promise<TuneReport> {
    const [ids, texts] = questionsOf(queries);
    const { metric, methods, normalizations, step, folds, seed, fewQueries, adaptive, tenant } = options;
    expectAll(options, { metric: "string", adaptive: "boolean", tenant: "string" });
    if (methods != null) expectStrings("methods", methods);
    if (normalizations != null) expectStrings("normalizations", normalizations);
    expectAll(options, { step: "number", folds: "number", seed: "number", fewQueries: "number" });
    const asked = settingsOf("tune", { metric, methods, normalizations, step, folds, seed, fewQueries, adaptive }) ?? "{}";
    const judgments = await judged(qrels);
    const report = await under(options, (cancel) =>
      withTexts(ids, (named) => withTexts(texts, (all) => this.#native.tune(named, all, judgments, asked, tenant, cancel))),
    );
    return JSON.parse(report);
  }

  /** Takes the click-through history of a tenant, in the place of the one before; it is kept in memory, for features. */
  async setClickHistory(rows: readonly ClickCounts[], { tenant }: TenantOptions = {}): Promise<void> {
    expect("tenant", tenant, "string");
    const [ids, impressions, clicks] = historyOf(rows);
    return withTexts(ids, (texts) => this.#native.setClickHistory(texts, impressions, clicks, tenant));
  }

  /** A stored document; null when there is none of that id. */
  async get(id: string, { tenant }: TenantOptions = {}): Promise<StoredDocument | null> {
    expect("id", id, "string", false);
    expect("tenant", tenant, "string");
    const stored = await call({}, () => this.#native.get(id, tenant));
    return stored && named(stored);
  }

  /** Ids of the documents of the last commit that match, ascending. */
  async ids(options: IdsOptions = {}): Promise<string[]> {
    expectAll(options, { after: "string", limit: "number", tenant: "string" });
    const { filter, after, limit, tenant } = options;
    const json = textOf(filter);
    return textsOf(await call({}, () => this.#native.ids(json, after, limit, tenant)));
  }

  /** Numbers about the engine. */
  async stats({ tenant }: TenantOptions = {}): Promise<Stats> {
    expect("tenant", tenant, "string");
    return call({}, () => this.#native.stats(tenant));
  }

  /** Reads every row of the store and every derived file; derived pieces that are wrong are made again. */
  async verify(): Promise<VerifyReport> {
    return call({}, () => this.#native.verify());
  }

  /** Rewrites the derived indexes without what is dead. */
  async compact(): Promise<void> {
    return call({}, () => this.#native.compact());
  }

  /** What opening found damaged or missing among the derived files, and made again from the store. */
  get repairs(): string[] {
    return now(() => this.#inner.repairs);
  }

  /** The data folder. */
  get path(): string {
    return this.#inner.path;
  }

  /** Closes the folder once the calls under way are over, so that another process may open it; what is staged is dropped. */
  async close(): Promise<void> {
    return call({}, () => this.#native.close());
  }

  /** As `close`: commit first what is to be kept. */
  async [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

const QUESTION = { k: "number", explain: "boolean", tenant: "string", vector: Float32Array, syntax: "boolean", user: "string", collapse: "string", diversity: "number" } as const;

function argumentsOf(options: SearchOptions): native.SearchArguments {
  expectAll(options, QUESTION);
  const { k, filter, retrievers, explain, tenant, vector, syntax, user, collapse, diversity } = options;
  if (retrievers != null) expectStrings("retrievers", retrievers);
  return given({ k, filter: textOf(filter), retrievers, explain, tenant, vector, syntax, user, collapse, diversity }) as native.SearchArguments;
}

function textOf(filter: Filter | string | null | undefined): string | undefined {
  if (typeof filter !== "string") return filter == null ? undefined : jsonOf(filter);
  expect("filter", filter, "string");
  return filter;
}
