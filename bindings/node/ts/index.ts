export { Answer } from "./answer";
export type {
  Chunk,
  Explanation,
  FeatureExplanation,
  Hit,
  LtrExplanation,
  MetadataValue,
  RunExplanation,
  Served,
  Stats,
  StoredDocument,
  UpsertReport,
  VerifyReport,
} from "./answer";
export type { Matrix, NumberList } from "./arrays";
export type { CallOptions } from "./call";
export { ClickLog } from "./clicks";
export type { ClickEstimate, ClickEvaluation, ClickEvaluationOptions, ClickTraining, PropensityOptions } from "./clicks";
export type { Document, MetadataInput } from "./documents";
export { Embedder } from "./embedder";
export type { Encoded, EncodeOptions, LoadOptions } from "./embedder";
export { Engine } from "./engine";
export type { IdsOptions, LogOptions, OpenOptions, QuestionOptions, RankerOptions, SearchOptions, TenantOptions } from "./engine";
export { ERROR_CODES, RagError } from "./errors";
export type { ErrorCode } from "./errors";
export { FeatureLog } from "./features";
export type { ClickCounts, FeatureFunction, FeatureFunctions, FeatureQuery, FeaturesOptions, FeatureValues, Questions } from "./features";
export type { Filter, Operand } from "./filter";
export { Gate } from "./gate";
export type {
  Assignment,
  Experiment,
  GateChange,
  GateRecord,
  GateState,
  GateStatus,
  Guardrail,
  Observation,
  RampPlan,
  Reading,
  Variant,
} from "./gate";
export { Ranker } from "./ranker";
export type {
  FeatureNames,
  LinearOptions,
  RowOptions,
  SaveOptions,
  Training,
  TrainingProgress,
  TrainingRows,
  TrainOptions,
  TreeParameters,
} from "./ranker";
export { evaluate, fuse, learnFusion } from "./runs";
export type { ByQuery, EvaluateOptions, FuseOptions, FusionMethod, Normalization, Numbers } from "./runs";
export { FeatureSchema } from "./schema";
export type { FeatureKind, SchemaOptions } from "./schema";
export type { Comparison, FusionChoice, TuneOptions, TuneReport } from "./tune";
export { VectorIndex } from "./vectors";
export type { IndexOptions, Neighbours, QueryOptions, ReadOptions } from "./vectors";
