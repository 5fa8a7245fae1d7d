//! Rank fusion: runs, normalisation, RRF and score combination.
