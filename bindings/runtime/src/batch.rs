//! Documents on their way to the engine, in pieces that bound what is held at once.

use rag_core::Document;

/// Documents and bytes after which a batch is full.
const FULL: (usize, usize) = (1024, 8 << 20);

/// Documents that wait to be handed over together. Each is held once: it is moved, not copied.
///
/// ```
/// let mut batch = rag_runtime::Batch::default();
/// batch.push(rag_core::Document::new("a", "text"));
/// assert!(!batch.is_full());
/// assert_eq!(batch.take().len(), 1);
/// ```
#[derive(Debug, Default)]
pub struct Batch {
    documents: Vec<Document>,
    bytes: usize,
}

impl Batch {
    /// Puts a document to the others.
    pub fn push(&mut self, document: Document) {
        self.bytes += document.bytes();
        self.documents.push(document);
    }

    /// Whether it is time to hand them over.
    pub fn is_full(&self) -> bool {
        self.documents.len() >= FULL.0 || self.bytes >= FULL.1
    }

    /// Number of documents.
    pub fn len(&self) -> usize {
        self.documents.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.documents.is_empty()
    }

    /// The documents; the batch is empty again.
    pub fn take(&mut self) -> Vec<Document> {
        self.bytes = 0;
        std::mem::take(&mut self.documents)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_is_full_by_number_or_by_size() {
        let mut batch = Batch::default();
        (0..FULL.0).for_each(|_| batch.push(Document::new("a", "")));
        assert!(batch.is_full());
        assert_eq!(batch.take().len(), FULL.0);
        assert!(batch.is_empty() && !batch.is_full());
        batch.push(Document::new("a", "x".repeat(FULL.1)));
        assert!(batch.is_full());
    }
}
