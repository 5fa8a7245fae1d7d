//! Governance vocabulary: model identities and their comparison.
