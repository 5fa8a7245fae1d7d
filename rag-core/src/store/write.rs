//! Changing the store: one open transaction stages everything until it is committed or dropped.

use rag_governance::ModelIdentity;
use redb::{Database, WriteTransaction};
use serde::Serialize;

use super::view::{CREATED, MODEL, NEXT, SEQ, read_meta, read_number, read_record, read_vectors};
use super::{DOCUMENTS, LIVE, META, RECORDS, Record, VECTORS, guard, redb_error};
use crate::error::Result;
use crate::format::codec;
use crate::types::DocNum;

/// A revision that goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Replaced {
    /// Its number.
    pub(crate) doc: DocNum,
    /// How many chunks it had.
    pub(crate) chunks: u32,
}

/// Staged changes; dropping it leaves the store as it was.
pub(crate) struct StoreWrite {
    transaction: WriteTransaction,
    least: DocNum,
}

impl std::fmt::Debug for StoreWrite {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("StoreWrite")
    }
}

impl StoreWrite {
    pub(super) fn create_tables(database: &Database) -> Result<()> {
        let transaction = database.begin_write().map_err(redb_error)?;
        transaction.open_table(META).map_err(redb_error)?;
        transaction.open_table(DOCUMENTS).map_err(redb_error)?;
        transaction.open_table(RECORDS).map_err(redb_error)?;
        transaction.open_table(VECTORS).map_err(redb_error)?;
        transaction.open_table(LIVE).map_err(redb_error)?;
        transaction.commit().map_err(redb_error)
    }

    pub(super) fn new(database: &Database, least: DocNum) -> Result<Self> {
        let mut transaction = database.begin_write().map_err(redb_error)?;
        // The allocator state is saved with each commit: reopening after a crash does not walk the whole file.
        transaction.set_quick_repair(true);
        Ok(StoreWrite { transaction, least })
    }

    /// The staged state of one document: its number, its record and its vectors.
    pub(crate) fn current(&self, tenant: &str, id: &str) -> Result<Option<(DocNum, Record)>> {
        guard(|| {
            let documents = self.transaction.open_table(DOCUMENTS).map_err(redb_error)?;
            let Some(doc) = read_number(&documents, tenant, id)? else { return Ok(None) };
            let records = self.transaction.open_table(RECORDS).map_err(redb_error)?;
            Ok(read_record(&records, doc)?.map(|record| (doc, record)))
        })
    }

    /// The staged vectors of a revision.
    pub(crate) fn vectors(&self, doc: DocNum) -> Result<Option<Vec<f32>>> {
        guard(|| read_vectors(&self.transaction.open_table(VECTORS).map_err(redb_error)?, doc))
    }

    /// Stages a new revision; gives its number and the revision that it replaces.
    pub(crate) fn put(&self, record: &Record, vectors: &[f32]) -> Result<(DocNum, Option<Replaced>)> {
        guard(|| {
            let doc = self.next()?;
            let replaced = {
                let mut documents = self.transaction.open_table(DOCUMENTS).map_err(redb_error)?;
                let key = (record.tenant.as_str(), record.id.as_str());
                documents.insert(key, doc).map_err(redb_error)?.map(|old| old.value())
            };
            let replaced = replaced.map(|old| self.drop_rows(old)).transpose()?;
            let mut records = self.transaction.open_table(RECORDS).map_err(redb_error)?;
            records.insert(doc, codec::encode(doc, record)?.as_slice()).map_err(redb_error)?;
            let mut rows = self.transaction.open_table(VECTORS).map_err(redb_error)?;
            rows.insert(doc, codec::encode_floats(doc, vectors).as_slice()).map_err(redb_error)?;
            let mut live = self.transaction.open_table(LIVE).map_err(redb_error)?;
            live.insert(doc, (record.tenant.as_str(), record.chunks.len() as u32)).map_err(redb_error)?;
            Ok((doc, replaced))
        })
    }

    /// Stages a deletion; gives the revision that goes, `None` when there was none.
    pub(crate) fn delete(&self, tenant: &str, id: &str) -> Result<Option<Replaced>> {
        guard(|| {
            let removed = {
                let mut documents = self.transaction.open_table(DOCUMENTS).map_err(redb_error)?;
                documents.remove((tenant, id)).map_err(redb_error)?.map(|old| old.value())
            };
            removed.map(|doc| self.drop_rows(doc)).transpose()
        })
    }

    /// Makes everything staged durable; gives the number of the commit.
    pub(crate) fn commit(self, model: &ModelIdentity, now: &str) -> Result<u64> {
        guard(|| {
            let seq = {
                let meta = self.transaction.open_table(META).map_err(redb_error)?;
                read_meta::<u64>(&meta, SEQ)?.unwrap_or(0) + 1
            };
            self.set(SEQ, &seq)?;
            self.set(MODEL, model)?;
            if seq == 1 {
                self.set(CREATED, &now)?;
            }
            self.transaction.commit().map_err(redb_error)?;
            Ok(seq)
        })
    }

    /// Numbers are given once: the counter is part of the transaction, and `least` covers those of dropped ones.
    fn next(&self) -> Result<DocNum> {
        let doc = {
            let meta = self.transaction.open_table(META).map_err(redb_error)?;
            read_meta::<u64>(&meta, NEXT)?.unwrap_or(1).max(self.least)
        };
        self.set(NEXT, &(doc + 1))?;
        Ok(doc)
    }

    fn set<T: Serialize>(&self, name: &str, value: &T) -> Result<()> {
        let mut meta = self.transaction.open_table(META).map_err(redb_error)?;
        meta.insert(name, codec::encode(0, value)?.as_slice()).map_err(redb_error)?;
        Ok(())
    }

    fn drop_rows(&self, doc: DocNum) -> Result<Replaced> {
        self.transaction.open_table(RECORDS).map_err(redb_error)?.remove(doc).map_err(redb_error)?;
        self.transaction.open_table(VECTORS).map_err(redb_error)?.remove(doc).map_err(redb_error)?;
        let mut live = self.transaction.open_table(LIVE).map_err(redb_error)?;
        let row = live.remove(doc).map_err(redb_error)?;
        Ok(Replaced { doc, chunks: row.map_or(0, |row| row.value().1) })
    }
}
