import { Turn } from "./call";
import * as native from "./native";

export type {
  Chunk,
  Explanation,
  FeatureExplanation,
  LtrExplanation,
  RunExplanation,
  Served,
  Stats,
  UpsertReport,
  VerifyReport,
} from "./native";

/** A metadata value as it comes back; whole numbers beyond 2⁵³ are of type bigint. */
export type MetadataValue = native.NamedField["value"];

interface Metadata {
  /** Its metadata; what was nested has dotted names. */
  metadata: Record<string, MetadataValue>;
}

/** One found document. */
export type Hit = Omit<native.Hit, "metadata"> & Metadata;

/** A document as it is stored. */
export type StoredDocument = Omit<native.StoredDocument, "metadata"> & Metadata;

/** An answer as its callers see it; the event loop has its turn between slices of its hits. */
export async function answerOf(found: native.Found): Promise<Answer> {
  const { hits, rest } = found;
  if (!rest) return new Answer(found);
  const turn = new Turn();
  for (let part; (part = rest.next()).length > 0; ) {
    hits.push(...part);
    if (turn.isOver) await turn.pass();
  }
  return new Answer(found);
}

/** A hit or a document with its metadata as an object. */
export function named<T extends Pick<native.Hit, "metadata">>(found: T): Omit<T, "metadata"> & Metadata {
  const { metadata } = found;
  if (Array.isArray(metadata)) found.metadata = Object.fromEntries(metadata.map(({ name, value }) => [name, value]));
  return found as T & Metadata;
}

/** The answer to a question: its hits, best first, and what to know about them. */
export class Answer implements Iterable<Hit> {
  /** Best first; equal scores by the order of the runs, then by document id. */
  readonly hits: readonly Hit[];
  /** The commit that the answer was made from. */
  readonly commitSeq: number;
  /** Documents that the tenant and the filter let through. */
  readonly visible: number;
  /** What was left out, and why; empty for a full answer. */
  readonly degraded: readonly string[];
  /** How the dense run was found: "exact scan", "graph", …; undefined when it was not asked for. */
  readonly plan: string | undefined;
  /** Which weight the ranker had, and why. */
  readonly gate: native.Served;

  /** @internal */
  constructor(found: native.Found) {
    this.hits = found.hits.map(named);
    this.commitSeq = found.commitSeq;
    this.visible = found.visible;
    this.degraded = found.degraded;
    this.plan = found.plan;
    this.gate = found.gate;
  }

  [Symbol.iterator](): Iterator<Hit> {
    return this.hits[Symbol.iterator]();
  }
}
