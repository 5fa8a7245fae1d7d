//! How often documents were shown and chosen.

use std::collections::HashMap;
use std::sync::Arc;

use super::config::ClicksConfig;
use crate::error::{Error, Result};

/// What happened to one document.
///
/// ```
/// let row = rag_core::features::ClickCounts::new("manual-7", 120, 31);
/// assert_eq!(row.clicks, 31);
/// ```
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClickCounts {
    /// Id of the document.
    pub id: String,
    /// How often it was shown.
    pub impressions: u64,
    /// How often it was chosen then; at most `impressions`.
    pub clicks: u64,
}

impl ClickCounts {
    /// One row.
    pub fn new(id: impl Into<String>, impressions: u64, clicks: u64) -> Self {
        ClickCounts { id: id.into(), impressions, clicks }
    }
}

/// The history of each tenant.
#[derive(Debug, Clone, Default)]
pub(crate) struct ClickHistory(HashMap<String, Arc<TenantClicks>>);

impl ClickHistory {
    /// This history with another one for `tenant`, or none.
    pub(super) fn with(&self, tenant: &str, clicks: Option<&Arc<TenantClicks>>) -> ClickHistory {
        let mut tenants = self.0.clone();
        tenants.remove(tenant);
        tenants.extend(clicks.map(|clicks| (tenant.to_owned(), clicks.clone())));
        ClickHistory(tenants)
    }

    pub(super) fn of(&self, tenant: &str) -> Option<&TenantClicks> {
        self.0.get(tenant).map(|clicks| &**clicks)
    }
}

/// The counts of the documents of one tenant.
#[derive(Debug, Clone, Default)]
pub(super) struct TenantClicks {
    documents: HashMap<u128, (u64, u64)>,
    /// Clicks by impressions of all of them together.
    mean: f64,
}

impl TenantClicks {
    /// # Errors
    /// `InvalidArgument`, naming the document.
    pub(super) fn new(rows: &[ClickCounts]) -> Result<TenantClicks> {
        let mut documents = HashMap::with_capacity(rows.len());
        let (mut shown, mut chosen) = (0.0, 0.0);
        for ClickCounts { id, impressions, clicks } in rows {
            if clicks > impressions {
                return Err(Error::invalid(format!(
                    "`clicks` of document {id:?} is {clicks}, its `impressions` {impressions}; a document is chosen at most as often as it is shown"
                )));
            }
            if documents.insert(id_hash(id), (*impressions, *clicks)).is_some() {
                return Err(Error::invalid(format!("document {id:?} has two rows of clicks; add them up")));
            }
            shown += *impressions as f64;
            chosen += *clicks as f64;
        }
        Ok(TenantClicks { documents, mean: if shown > 0.0 { chosen / shown } else { 0.0 } })
    }

    /// Impressions, clicks, and their share drawn towards the mean of the tenant; `None` for a document without a row.
    pub(super) fn features(&self, id: u128, config: &ClicksConfig) -> Option<[f32; 3]> {
        let &(impressions, clicks) = self.documents.get(&id)?;
        let (shown, chosen, prior) = (impressions as f64, clicks as f64, config.prior_impressions);
        let rate = if shown + prior > 0.0 { (chosen + prior * self.mean) / (shown + prior) } else { f64::NAN };
        Some([shown as f32, chosen as f32, rate as f32])
    }
}

/// Under which a document's counts are found.
pub(super) fn id_hash(id: &str) -> u128 {
    xxhash_rust::xxh3::xxh3_128(id.as_bytes())
}
