import { CallOptions } from "./call";

/** How a tuning is done. */
export interface TuneOptions extends CallOptions {
  /** What is good, such as "ndcg@10", "mrr@10" or "recall@100"; "ndcg@10" unless told. */
  metric?: string | null | undefined;
  /** Formulas to compare, or ["all"]; "convex" and "rrf" unless told. */
  methods?: readonly string[] | null | undefined;
  /** Scales to compare; all unless told. */
  normalizations?: readonly string[] | null | undefined;
  /** Step of the weight of the dense run from 0 to 1; 0.05 unless told. */
  step?: number | null | undefined;
  /** Parts of the questions, each held out once; 5 unless told. */
  folds?: number | null | undefined;
  /** What the parts and the resampling follow from; 0 unless told. */
  seed?: number | null | undefined;
  /** With fewer questions, what is in use stays unless another is better by more than one standard error; 1000 unless told. */
  fewQueries?: number | null | undefined;
  /** Whether to fit a weight for each question as well; true unless told. */
  adaptive?: boolean | null | undefined;
  /** Whose documents; "default" unless told. */
  tenant?: string | null | undefined;
}

/** A fusion that can be configured. Names are as in the report's JSON. */
export interface FusionChoice {
  /** As explanations name it: "convex(min_max)", "rrf(60)". */
  formula: string;
  method: string;
  normalization: string;
  k: number | null;
  sigma: number | null;
  gamma: number | null;
  phi: number | null;
  dense_weight: number;
}

/** A ranking compared with another one, question by question. */
export interface Comparison {
  against: string;
  difference: number;
  /** Ends of the interval that has 95 %. */
  low: number;
  high: number;
  p: number;
}

/** What a tuning found. */
export interface TuneReport {
  metric: string;
  queries: number;
  folds: number;
  seed: number;
  few_queries: boolean;
  /** Relevant documents that were judged, counted for each question. */
  relevant: number;
  /** Those of them that the folder does not have: they count as never found. */
  missing: number;
  /** The fusion to use. */
  chosen: FusionChoice;
  /** Its mean over all questions: it was chosen with these, so it promises too much. */
  chosen_mean: number;
  /** What the procedure gives for questions that it has not seen: the figure to report. */
  held_out: { name: string; mean: number };
  of_folds: FusionChoice[];
  in_use: FusionChoice;
  /** Each retriever alone, reciprocal rank fusion, and what is in use. */
  baselines: { name: string; mean: number }[];
  comparisons: Comparison[];
  formulas: { choice: FusionChoice; held_out: number; best: number }[];
  curve: { dense_weight: number; mean: number }[];
  adaptive: {
    formula: string;
    held_out: number;
    moved: number;
    margin: number | null;
    global: Comparison;
    tuned: Comparison;
  } | null;
  /** The choice as a piece of the configuration file, with where it comes from. */
  toml: string;
}
