export { Answer } from "./answer";
export type {
  Chunk,
  Explanation,
  Hit,
  MetadataValue,
  RunExplanation,
  Stats,
  StoredDocument,
  UpsertReport,
  VerifyReport,
} from "./answer";
export type { CallOptions } from "./call";
export type { Document, MetadataInput } from "./documents";
export { Embedder } from "./embedder";
export type { Encoded, EncodeOptions, LoadOptions } from "./embedder";
export { Engine } from "./engine";
export type { IdsOptions, OpenOptions, QuestionOptions, SearchOptions, TenantOptions } from "./engine";
export { ERROR_CODES, RagError } from "./errors";
export type { ErrorCode } from "./errors";
export type { Filter, Operand } from "./filter";
export { evaluate, fuse } from "./runs";
export type { ByQuery, EvaluateOptions, FuseOptions, Numbers } from "./runs";
export { VectorIndex } from "./vectors";
export type { IndexOptions, Neighbours, QueryOptions, ReadOptions } from "./vectors";
