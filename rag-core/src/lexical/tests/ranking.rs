//! Search against a naive BM25.
