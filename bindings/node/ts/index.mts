// The entry for `import`. The CommonJS module stays the only copy of the code; `export *` would give away its `__esModule`.
export { Answer, ClickLog, Embedder, Engine, ERROR_CODES, FeatureLog, FeatureSchema, Gate, RagError, Ranker, VectorIndex, evaluate, fuse, learnFusion } from "./index.js";
export type * from "./index.js";
