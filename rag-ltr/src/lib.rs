//! Learning to rank and ranking metrics: pure functions over runs, judgments and feature matrices.
