//! Life of the index: commits, deletions, damage.
