//! Reading the store.

use std::collections::BTreeMap;

use rag_governance::ModelIdentity;
use redb::{ReadOnlyTable, ReadTransaction, ReadableTable, ReadableTableMetadata as _};
use serde::de::DeserializeOwned;

use super::{DOCUMENTS, LIVE, META, RECORDS, Record, VECTORS, guard, redb_error};
use crate::error::{Error, Result};
use crate::format::codec;
use crate::types::{DocNum, IdSet};

/// Keys of the table `meta`.
pub(super) const SEQ: &str = "commit_seq";
pub(super) const NEXT: &str = "next_document";
pub(super) const MODEL: &str = "model";
pub(super) const CREATED: &str = "created_at";

/// An immutable view of one commit; reads of it never wait for a writer.
pub(crate) struct StoreView {
    meta: ReadOnlyTable<&'static str, &'static [u8]>,
    documents: ReadOnlyTable<(&'static str, &'static str), DocNum>,
    records: ReadOnlyTable<DocNum, &'static [u8]>,
    vectors: ReadOnlyTable<DocNum, &'static [u8]>,
    live: ReadOnlyTable<DocNum, (&'static str, u32)>,
}

impl std::fmt::Debug for StoreView {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("StoreView")
    }
}

impl StoreView {
    pub(super) fn new(read: &ReadTransaction) -> Result<Self> {
        Ok(StoreView {
            meta: read.open_table(META).map_err(redb_error)?,
            documents: read.open_table(DOCUMENTS).map_err(redb_error)?,
            records: read.open_table(RECORDS).map_err(redb_error)?,
            vectors: read.open_table(VECTORS).map_err(redb_error)?,
            live: read.open_table(LIVE).map_err(redb_error)?,
        })
    }

    /// Number of the commit; 0 before the first.
    pub(crate) fn seq(&self) -> Result<u64> {
        guard(|| Ok(read_meta(&self.meta, SEQ)?.unwrap_or(0)))
    }

    /// The model that made the vectors; `None` before the first commit.
    pub(crate) fn model(&self) -> Result<Option<ModelIdentity>> {
        guard(|| read_meta(&self.meta, MODEL))
    }

    /// When the store was made, RFC 3339; `None` before the first commit.
    pub(crate) fn created_at(&self) -> Result<Option<String>> {
        guard(|| read_meta(&self.meta, CREATED))
    }

    /// Current revision of a document.
    pub(crate) fn number(&self, tenant: &str, id: &str) -> Result<Option<DocNum>> {
        guard(|| read_number(&self.documents, tenant, id))
    }

    /// Ids of the tenant's documents that are in `among`, ascending byte by byte, from the first one after `after` on.
    pub(crate) fn ids(&self, tenant: &str, among: &IdSet, after: Option<&str>, limit: usize) -> Result<Vec<String>> {
        let start = (tenant, after.unwrap_or_default());
        guard(|| {
            let mut ids = Vec::new();
            for row in self.documents.range(start..).map_err(redb_error)? {
                let (key, number) = row.map_err(redb_error)?;
                let (owner, id) = key.value();
                if owner != tenant || ids.len() >= limit {
                    break;
                }
                if among.contains(number.value()) && after != Some(id) {
                    ids.push(id.to_owned());
                }
            }
            Ok(ids)
        })
    }

    /// A stored revision.
    pub(crate) fn record(&self, doc: DocNum) -> Result<Option<Record>> {
        guard(|| read_record(&self.records, doc))
    }

    /// The vectors of a stored revision.
    pub(crate) fn vectors(&self, doc: DocNum) -> Result<Option<Vec<f32>>> {
        guard(|| read_vectors(&self.vectors, doc))
    }

    /// All current revisions of each tenant, and the number of chunks.
    pub(crate) fn live(&self) -> Result<Live> {
        guard(|| {
            let mut live = Live::default();
            for row in self.live.iter().map_err(redb_error)? {
                let (doc, row) = row.map_err(redb_error)?;
                let (tenant, chunks) = row.value();
                live.add(doc.value(), tenant, chunks);
            }
            Ok(live)
        })
    }

    /// Reads every row and checks that the tables agree; gives the number of documents.
    ///
    /// # Errors
    /// `Corruption`, naming the first row that is wrong.
    pub(crate) fn check(&self, dimension: usize, mut progress: impl FnMut()) -> Result<u64> {
        guard(|| {
            let wrong = |doc: DocNum, what: &str| Err(Error::corruption(format!("document {doc}: {what}")));
            for row in self.live.iter().map_err(redb_error)? {
                let (doc, row) = row.map_err(redb_error)?;
                let (doc, (tenant, chunks)) = (doc.value(), row.value());
                let Some(record) = read_record(&self.records, doc)? else {
                    return wrong(doc, "its record is missing");
                };
                let vectors = read_vectors(&self.vectors, doc)?.unwrap_or_default();
                if record.tenant != tenant || record.chunks.len() != chunks as usize {
                    return wrong(doc, "its record and the list of documents disagree");
                }
                if vectors.len() != record.chunks.len() * dimension {
                    return wrong(doc, "it has another number of vectors than of chunks");
                }
                if read_number(&self.documents, tenant, &record.id)? != Some(doc) {
                    return wrong(doc, "its id leads to another revision");
                }
                progress();
            }
            let documents = self.live.len().map_err(redb_error)?;
            for (table, rows) in
                [("documents", self.documents.len()), ("records", self.records.len()), ("vectors", self.vectors.len())]
            {
                let rows = rows.map_err(redb_error)?;
                if rows != documents {
                    return Err(Error::corruption(format!(
                        "table `{table}` has {rows} rows for {documents} documents"
                    )));
                }
            }
            Ok(documents)
        })
    }
}

/// Current revisions by tenant.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Live {
    /// All of them.
    pub(crate) all: IdSet,
    /// Those of each tenant.
    pub(crate) tenants: BTreeMap<String, IdSet>,
    /// Number of chunks of all.
    pub(crate) chunks: u64,
}

impl Live {
    /// Adds a revision.
    pub(crate) fn add(&mut self, doc: DocNum, tenant: &str, chunks: u32) {
        self.all.insert(doc);
        self.chunks += u64::from(chunks);
        match self.tenants.get_mut(tenant) {
            Some(set) => {
                set.insert(doc);
            }
            None => {
                self.tenants.insert(tenant.to_owned(), [doc].into_iter().collect());
            }
        }
    }

    /// Takes a revision out.
    pub(crate) fn remove(&mut self, doc: DocNum, tenant: &str, chunks: u32) {
        self.all.remove(doc);
        self.chunks = self.chunks.saturating_sub(u64::from(chunks));
        if let Some(set) = self.tenants.get_mut(tenant) {
            set.remove(doc);
            if set.is_empty() {
                self.tenants.remove(tenant);
            }
        }
    }
}

pub(super) fn read_meta<T: DeserializeOwned>(
    table: &impl ReadableTable<&'static str, &'static [u8]>,
    name: &str,
) -> Result<Option<T>> {
    table.get(name).map_err(redb_error)?.map(|bytes| codec::decode(0, bytes.value())).transpose()
}

pub(super) fn read_number(
    table: &impl ReadableTable<(&'static str, &'static str), DocNum>,
    tenant: &str,
    id: &str,
) -> Result<Option<DocNum>> {
    Ok(table.get((tenant, id)).map_err(redb_error)?.map(|number| number.value()))
}

pub(super) fn read_record(table: &impl ReadableTable<DocNum, &'static [u8]>, doc: DocNum) -> Result<Option<Record>> {
    let Some(bytes) = table.get(doc).map_err(redb_error)? else { return Ok(None) };
    let record: Record = codec::decode(doc, bytes.value())?;
    if !record.is_consistent() {
        return Err(Error::corruption(format!("document {doc}: a chunk lies outside its text")));
    }
    Ok(Some(record))
}

pub(super) fn read_vectors(table: &impl ReadableTable<DocNum, &'static [u8]>, doc: DocNum) -> Result<Option<Vec<f32>>> {
    table.get(doc).map_err(redb_error)?.map(|bytes| codec::decode_floats(doc, bytes.value())).transpose()
}
