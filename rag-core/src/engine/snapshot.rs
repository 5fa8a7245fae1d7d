//! One immutable view of everything a query needs: taken once, used for the whole query.

use std::sync::Arc;

use crate::ann::VectorIndex;
use crate::error::{Error, Result};
use crate::filter::Filter;
use crate::lexical::LexicalView;
use crate::store::{Live, Record, StoreView};
use crate::types::{DocNum, IdSet, Scope};

#[derive(Debug)]
pub(super) struct Snapshot {
    pub(super) seq: u64,
    pub(super) store: StoreView,
    pub(super) live: Live,
    pub(super) lexical: LexicalView,
    pub(super) vectors: Arc<dyn VectorIndex>,
}

/// The documents that a call may see.
#[derive(Debug)]
pub(super) struct Visible {
    set: IdSet,
    /// Whether every document that the indexes hold is visible, so that nothing has to be checked.
    everything: bool,
}

impl Visible {
    pub(super) fn len(&self) -> u64 {
        self.set.len()
    }

    pub(super) fn set(&self) -> &IdSet {
        &self.set
    }

    /// Those of them that are in `set`.
    pub(super) fn narrowed(&self, set: &IdSet) -> Visible {
        Visible { set: self.set.intersection(set), everything: false }
    }

    pub(super) fn contains(&self, doc: DocNum) -> bool {
        self.set.contains(doc)
    }

    /// What the retrievers have to check; `None`: nothing.
    pub(super) fn allow(&self) -> Option<&IdSet> {
        (!self.everything).then_some(&self.set)
    }
}

impl Snapshot {
    /// The stored document of a number that an index gave.
    pub(super) fn existing_record(&self, doc: DocNum) -> Result<Record> {
        self.store.record(doc)?.ok_or_else(|| {
            Error::corruption("an index has a document that the store does not have").with("way out", "verify")
        })
    }

    /// The scope and the filter of the call, evaluated once; both retrievers obey it before they rank.
    pub(super) fn visible(&self, scope: &Scope, filter: Option<&Filter>) -> Result<Visible> {
        let mut set = self.live.tenants.get(scope.tenant_name()).cloned().unwrap_or_default();
        for filter in [scope.filter(), filter].into_iter().flatten() {
            filter.validate()?;
            set = set.intersection(&self.lexical.evaluate(filter)?);
        }
        // The indexes of a snapshot hold exactly the live documents, so a set as large as theirs is theirs.
        let everything = set.len() == self.live.all.len();
        Ok(Visible { set, everything })
    }

    /// Where a filter lets nothing through: its fields that no document of the tenant has, as notes for the caller, who
    /// may have mistyped them.
    pub(super) fn unknown_fields(
        &self,
        scope: &Scope,
        filter: Option<&Filter>,
        visible: &Visible,
    ) -> Result<Vec<String>> {
        let Some(filter) = filter.filter(|_| visible.len() == 0) else { return Ok(Vec::new()) };
        let mut notes = Vec::new();
        for field in filter.fields() {
            let having = self.visible(scope, Some(&Filter::Exists(field.to_owned())))?;
            if having.len() == 0 {
                notes.push(format!("everything: no document has the field `{field}` of the filter"));
            }
        }
        Ok(notes)
    }
}
