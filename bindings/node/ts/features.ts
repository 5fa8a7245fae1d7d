import { AsyncLocalStorage } from "node:async_hooks";

import { named, StoredDocument } from "./answer";
import { asked, pathOf, Turn } from "./call";
import { expect, expectStrings, invalid, kindOf } from "./errors";
import * as native from "./native";
import { ByQuery, entriesOf, judged } from "./runs";
import { FeatureSchema, schemaOf } from "./schema";
import { textsOf } from "./texts";

/** The question that features are computed for. */
export interface FeatureQuery {
  /** Its words, as they were asked. */
  readonly text: string;
  /** The tenant of the call. */
  readonly tenant: string;
  /** Its vector, where there is one. */
  readonly vector: Float32Array | undefined;
}

/** Which features there are; what is given takes the place of the configuration's. */
export interface FeaturesOptions {
  /** Number of the schema that follows; raise it with every change [1]. */
  version?: number | null | undefined;
  /** Groups that need no field to be named [all]. */
  groups?: readonly string[] | null | undefined;
  /** Fields of the group "text" [all]. */
  text?: readonly ("title" | "text" | "body")[] | null | undefined;
  /** Metadata fields with a date, and the days after which its feature is a half. */
  freshness?: readonly { field: string; halfLifeDays: number }[] | null | undefined;
  /** Metadata fields with a number. */
  numeric?: readonly string[] | null | undefined;
  /** Metadata fields with a boolean. */
  boolean?: readonly string[] | null | undefined;
  /** Metadata fields with one of some values. */
  categorical?: readonly { field: string; values?: readonly string[] }[] | null | undefined;
  /** Metadata fields whose value may occur in the question. */
  equality?: readonly string[] | null | undefined;
  /** How often a document was shown and chosen; for `setClickHistory`. */
  clicks?: { priorImpressions?: number } | null | undefined;
  /** Memory of the feature cache in MiB; 0: none [64]. */
  cacheMib?: number | null | undefined;
}

/** One value for each document; null, undefined and NaN are missing ones. */
export type FeatureValues = readonly (number | null | undefined)[] | Float32Array | Float64Array;

/** A feature of the caller's own, computed for all candidates of a question at once: its words, the candidates, and the rest. */
export type FeatureFunction = (
  text: string,
  documents: readonly StoredDocument[],
  query: FeatureQuery,
) => FeatureValues | PromiseLike<FeatureValues>;

/** Feature functions by the names of their features: an object or a Map. */
export type FeatureFunctions = Readonly<Record<string, FeatureFunction>> | ReadonlyMap<string, FeatureFunction>;

/** A document's part of a click history. */
export interface ClickCounts {
  /** Id of the document. */
  id: string;
  /** How often it was shown. */
  impressions: number;
  /** How often it was chosen then. */
  clicks: number;
}

/** The engine that waits for the feature function that runs, until it has its answer. */
const waiting = new AsyncLocalStorage<{ engine: object; isOver: boolean }>();

/** Refuses a call of an engine that waits for the feature function that makes it: each would wait for the other. */
export function refuseFromFunction(engine: object): void {
  const wait = waiting.getStore();
  if (wait?.engine !== engine || wait.isOver) return;
  throw invalid("a feature function calls the engine that waits for it; ask before the search, or another engine");
}

/** Feature functions as the native part takes them. `engine` stands for the one that will wait for them. */
export function functionsOf(given: FeatureFunctions | null | undefined, engine: object): native.FeatureFunctions {
  const all = given == null ? [] : [...entriesOf<FeatureFunction>("`featureFunctions`", given, "give {name: function}, or a Map")];
  expectStrings("featureFunctions, the names", all.map(([name]) => name));
  for (const [name, own] of all) {
    if (typeof own !== "function") throw invalid(`\`featureFunctions\`, ${JSON.stringify(name)} is ${kindOf(own)}; give a function`);
  }
  return { names: all.map(([name]) => name), functions: all.map(([, own]) => asking(own, engine)) };
}

function asking(own: FeatureFunction, engine: object): (call: native.FeatureCall) => void {
  return async (call) => {
    const wait = { engine, isOver: false };
    try {
      const documents = await candidatesOf(call);
      const query: FeatureQuery = { text: call.text, tenant: call.tenant, vector: call.vector() ?? undefined };
      const values = await waiting.run(wait, async () => own(query.text, documents, query));
      call.done(valuesOf(values));
    } catch (error) {
      call.threw(wordsOf(error));
    } finally {
      wait.isOver = true;
    }
  };
}

async function candidatesOf(call: native.FeatureCall): Promise<StoredDocument[]> {
  const [documents, turn] = [[] as StoredDocument[], new Turn()];
  for (let part; (part = call.next()).length > 0; ) {
    documents.push(...part.map(named));
    if (turn.isOver) await turn.pass();
  }
  return documents;
}

function valuesOf(values: FeatureValues): Float32Array {
  if (!Array.isArray(values) && !(values instanceof Float32Array) && !(values instanceof Float64Array)) {
    throw invalid(`it gave ${kindOf(values)}; give an array of numbers, one for each document`);
  }
  return Float32Array.from(values as ArrayLike<unknown>, (value, at) => {
    if (value === null || value === undefined) return NaN;
    if (typeof value === "number") return value;
    throw invalid(`it gave ${kindOf(value)} at position ${at}; give numbers, or null for what is missing`);
  });
}

/** What was thrown, in words; anything can be. */
function wordsOf(error: unknown): string {
  try {
    return String(error).toWellFormed();
  } catch {
    return "something that has no words";
  }
}

/** Candidates of some questions with their features, as a ranker sees them. */
export class FeatureLog {
  /** @internal */
  readonly native: native.FeatureLog;
  /** The features: all rows, in the order of the questions and of their documents, best first by the fused score. */
  readonly x: Float32Array;
  /** Features of a row. */
  readonly columns: number;
  /** How many rows each question has. */
  readonly group: Uint32Array;
  /** Id of each question. */
  readonly queryIds: readonly string[];
  /** Id of the document of each row. */
  readonly documentIds: readonly string[];
  /** Names of the features. */
  readonly names: readonly string[];
  /** What the columns are. */
  readonly schema: FeatureSchema;

  /** @internal */
  constructor(logged: native.Logged, queryIds: readonly string[], documentIds: readonly string[]) {
    this.native = logged.log;
    this.schema = schemaOf(logged.schema);
    this.names = this.schema.names;
    this.columns = this.names.length;
    [this.x, this.group, this.queryIds, this.documentIds] = [logged.x, logged.group, queryIds, documentIds];
  }

  /** The grade of each row by judgments; 0 where there is none. */
  async labels(qrels: ByQuery): Promise<Float32Array> {
    const judgments = await judged(qrels);
    return asked(() => this.native.labels(judgments));
  }

  /**
   * Writes rows and grades as SVMlight's text, which LightGBM, XGBoost and RankLib read; grades are 0 without judgments. Zeros are
   * left out, and so are questions without candidates.
   */
  async toSvmlight(path: string | URL, qrels: ByQuery = {}): Promise<void> {
    const judgments = await judged(qrels);
    return asked(() => this.native.toSvmlight(pathOf(path), judgments));
  }
}

/** A log as its callers see it. */
export async function logOf(logged: native.Logged): Promise<FeatureLog> {
  return new FeatureLog(logged, await textsOf(logged.queryIds), await textsOf(logged.documentIds));
}

/** Questions by their ids: an object, a Map, or pairs of id and text. */
export type Questions = Readonly<Record<string, string>> | Iterable<readonly [id: string, text: string]>;

/** The same as the native part takes it. */
export function questionsOf(queries: Questions): [string[], string[]] {
  const isIterable = typeof queries === "object" && queries !== null && Symbol.iterator in queries;
  const pairs = isIterable ? (queries as Iterable<readonly [string, string]>) : entriesOf<string>("`queries`", queries, QUESTIONS);
  const [ids, texts] = [[] as string[], [] as string[]];
  for (const pair of pairs) {
    if (!Array.isArray(pair) || pair.length !== 2) throw invalid(`\`queries\` has ${kindOf(pair)}; ${QUESTIONS}`);
    ids.push(pair[0]);
    texts.push(pair[1]);
  }
  expectStrings("queries, the ids", ids);
  expectStrings("queries", texts);
  return [ids, texts];
}

const QUESTIONS = "give {id: text}, a Map, or pairs of id and text";

/** A click history as the native part takes it. */
export function historyOf(rows: readonly ClickCounts[]): [string[], Float64Array, Float64Array] {
  expect("rows", rows, Array, false);
  const counts = (name: "impressions" | "clicks") =>
    Float64Array.from(rows, (row, at) => {
      const value: unknown = row?.[name];
      if (typeof value !== "number") throw invalid(`\`rows\`, position ${at}: \`${name}\` is ${kindOf(value)}; give a number`);
      return value;
    });
  const ids = rows.map((row) => row?.id);
  expectStrings("rows, the ids", ids);
  return [ids, counts("impressions"), counts("clicks")];
}
