//! Fields of the index, and the entries of a document.

use std::collections::BTreeSet;

use tantivy::schema::{
    BytesOptions, FAST, Field, INDEXED, IndexRecordOption, Schema, TantivyDocument, TextFieldIndexing, TextOptions,
};

use super::filter::metadata_terms;
use crate::types::{ChunkId, DocNum, Metadata};

/// Name of the fast field with the packed [`ChunkId`].
pub(super) const CHUNK: &str = "chunk";
/// Name of the field with the document number.
pub(super) const DOC: &str = "doc";
/// Name of the field with the metadata terms.
pub(super) const META: &str = "meta";

/// The fields, and the schema that holds them.
#[derive(Debug, Clone)]
pub(super) struct Fields {
    pub(super) schema: Schema,
    /// Packed [`ChunkId`], fast.
    pub(super) chunk: Field,
    /// Document number, indexed (deletes) and fast (filters).
    pub(super) doc: Field,
    /// Tenant, whole; on the first chunk of a document.
    pub(super) tenant: Field,
    /// Metadata terms, see [`metadata_terms`]; on the first chunk of a document.
    pub(super) meta: Field,
    /// Title and text: what plain words search.
    pub(super) body: Field,
    /// Title alone.
    pub(super) title: Field,
    /// Text alone.
    pub(super) text: Field,
}

impl Fields {
    /// The schema carries the description of the analyser as the name of its tokenizer, so that an index made by
    /// another analyser has another schema.
    pub(super) fn new(analyser: &str) -> Fields {
        let words = TextOptions::default().set_indexing_options(
            TextFieldIndexing::default()
                .set_tokenizer(analyser)
                .set_index_option(IndexRecordOption::WithFreqsAndPositions)
                .set_fieldnorms(true),
        );
        let mut schema = Schema::builder();
        let chunk = schema.add_u64_field(CHUNK, FAST);
        let doc = schema.add_u64_field(DOC, INDEXED | FAST);
        let tenant = schema.add_bytes_field("tenant", BytesOptions::default().set_indexed());
        let meta = schema.add_bytes_field(META, BytesOptions::default().set_indexed().set_fast());
        let body = schema.add_text_field("body", words.clone());
        let title = schema.add_text_field("title", words.clone());
        let text = schema.add_text_field("text", words);
        Fields { schema: schema.build(), chunk, doc, tenant, meta, body, title, text }
    }

    /// The entries of one document: one per chunk, and one of the title alone where there is no chunk.
    pub(super) fn entries(
        &self,
        doc: DocNum,
        tenant: &str,
        title: &str,
        chunks: &[(u32, &str)],
        metadata: &Metadata,
    ) -> Vec<TantivyDocument> {
        let whole = [(0, "")];
        let chunks = if chunks.is_empty() { whole.as_slice() } else { chunks };
        let mut entries: Vec<TantivyDocument> = chunks
            .iter()
            .map(|(ordinal, text)| {
                let mut entry = TantivyDocument::default();
                entry.add_u64(self.chunk, ChunkId::new(doc, *ordinal).to_u64());
                entry.add_u64(self.doc, doc);
                if !title.is_empty() {
                    entry.add_text(self.body, title);
                    entry.add_text(self.title, title);
                }
                entry.add_text(self.body, text);
                entry.add_text(self.text, text);
                entry
            })
            .collect();
        if let Some(first) = entries.first_mut() {
            first.add_bytes(self.tenant, tenant.as_bytes());
            let terms: BTreeSet<Vec<u8>> = metadata_terms(metadata).collect();
            for term in &terms {
                first.add_bytes(self.meta, term);
            }
        }
        entries
    }
}
