import * as native from "./native";

export type { Chunk, Explanation, Hit, RunExplanation, Stats, StoredDocument, UpsertReport, VerifyReport } from "./native";

/** A metadata value as it comes back; whole numbers beyond 2⁵³ are of type bigint. */
export type MetadataValue = native.Hit["metadata"][string];

/** The answer to a question: its hits, best first, and what to know about them. */
export class Answer implements Iterable<native.Hit> {
  /** Best first; equal scores by the order of the runs, then by document id. */
  readonly hits: readonly native.Hit[];
  /** The commit that the answer was made from. */
  readonly commitSeq: number;
  /** Documents that the tenant and the filter let through. */
  readonly visible: number;
  /** What was left out, and why; empty for a full answer. */
  readonly degraded: readonly string[];
  /** How the dense run was found: "exact scan", "graph", …; undefined when it was not asked for. */
  readonly plan: string | undefined;

  /** @internal */
  constructor(found: native.Found) {
    this.hits = found.hits;
    this.commitSeq = found.commitSeq;
    this.visible = found.visible;
    this.degraded = found.degraded;
    this.plan = found.plan;
  }

  [Symbol.iterator](): Iterator<native.Hit> {
    return this.hits[Symbol.iterator]();
  }
}
