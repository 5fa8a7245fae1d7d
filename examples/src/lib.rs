//! The examples live in `examples/`, one file each, in the order to read them:
//!
//! | example | shows |
//! |---|---|
//! | `basic_search` | upsert, commit, search, explain, delete, open again |
//! | `filters_and_tenants` | scopes, filters, and what is refused |
//! | `own_embedder` | a model of your own behind the `Embedder` trait |
//! | `scale` | documents a second, query times, memory and disk for any number of documents |
//!
//! The integration lane (`cargo xtask test --lane integration`) runs every one of them.
