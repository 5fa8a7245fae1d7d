//! Changing the store: one open transaction stages everything until it is committed or dropped.

use rag_governance::ModelIdentity;
use redb::{Database, WriteTransaction};
use serde::Serialize;

use super::view::{CREATED, MODEL, NEXT, SEQ, read_meta, read_number, read_record, read_vectors};
use super::{DOCUMENTS, LIVE, META, RECORDS, Record, VECTORS, guard, redb_error};
use crate::error::Result;
use crate::format::codec;
use crate::types::DocNum;

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

    /// Stages a new revision; gives its number and the number of the one that it replaces.
    pub(crate) fn put(&self, record: &Record, vectors: &[f32]) -> Result<(DocNum, Option<DocNum>)> {
        guard(|| {
            let doc = self.next()?;
            let replaced = {
                let mut documents = self.transaction.open_table(DOCUMENTS).map_err(redb_error)?;
                let key = (record.tenant.as_str(), record.id.as_str());
                documents.insert(key, doc).map_err(redb_error)?.map(|old| old.value())
            };
            if let Some(old) = replaced {
                self.drop_rows(old)?;
            }
            let mut records = self.transaction.open_table(RECORDS).map_err(redb_error)?;
            records.insert(doc, codec::encode(doc, record)?.as_slice()).map_err(redb_error)?;
            let mut rows = self.transaction.open_table(VECTORS).map_err(redb_error)?;
            rows.insert(doc, codec::encode_floats(doc, vectors).as_slice()).map_err(redb_error)?;
            let mut live = self.transaction.open_table(LIVE).map_err(redb_error)?;
            live.insert(doc, (record.tenant.as_str(), record.chunks.len() as u32)).map_err(redb_error)?;
            Ok((doc, replaced))
        })
    }

    /// Stages a deletion; gives the number of the revision that goes, `None` when there was none.
    pub(crate) fn delete(&self, tenant: &str, id: &str) -> Result<Option<DocNum>> {
        guard(|| {
            let removed = {
                let mut documents = self.transaction.open_table(DOCUMENTS).map_err(redb_error)?;
                documents.remove((tenant, id)).map_err(redb_error)?.map(|old| old.value())
            };
            if let Some(doc) = removed {
                self.drop_rows(doc)?;
            }
            Ok(removed)
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

    fn drop_rows(&self, doc: DocNum) -> Result<()> {
        self.transaction.open_table(RECORDS).map_err(redb_error)?.remove(doc).map_err(redb_error)?;
        self.transaction.open_table(VECTORS).map_err(redb_error)?.remove(doc).map_err(redb_error)?;
        self.transaction.open_table(LIVE).map_err(redb_error)?.remove(doc).map_err(redb_error)?;
        Ok(())
    }
}
