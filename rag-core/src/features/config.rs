//! Which features there are.

use rag_ltr::schema::{FeatureSchema, Migration};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::types::check_name;

/// Most fields that one list may name, and most values of a category.
const MAX_LISTED: usize = 1000;

/// The features of a candidate; which formula each has is told in `docs/features.md`.
///
/// ```
/// use rag_core::features::{FeaturesConfig, FreshnessConfig};
/// let mut features = FeaturesConfig::default();
/// features.freshness.push(FreshnessConfig { field: "published".to_owned(), half_life_days: 30.0 });
/// features.validate()?;
/// # Ok::<(), rag_core::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FeaturesConfig {
    /// Number of the schema that follows from these settings; raise it with every change, so that models and logs of
    /// before can be told apart. Default 1.
    pub version: u32,
    /// Groups that need no field. Default: [`FeatureGroup::DEFAULT`].
    pub groups: Vec<FeatureGroup>,
    /// Fields of the group `text`. Default: all of them.
    pub text: Vec<TextField>,
    /// Metadata fields with a date whose age counts.
    pub freshness: Vec<FreshnessConfig>,
    /// Metadata fields with a number.
    pub numeric: Vec<String>,
    /// Metadata fields with a boolean.
    pub boolean: Vec<String>,
    /// Metadata fields with one of some values.
    pub categorical: Vec<CategoryConfig>,
    /// Metadata fields whose value may occur in the question.
    pub equality: Vec<String>,
    /// How often a document was shown and chosen; `None`: not a feature.
    pub clicks: Option<ClicksConfig>,
    /// Memory of the feature cache in MiB; 0: none. Default 64.
    pub cache_mib: usize,
    /// Schemas of before, whose models are to be read still.
    pub schemas: Vec<FeatureSchema>,
    /// How rows of one schema become rows of another.
    pub migrations: Vec<Migration>,
}

impl Default for FeaturesConfig {
    fn default() -> Self {
        FeaturesConfig {
            version: 1,
            groups: FeatureGroup::DEFAULT.to_vec(),
            text: TextField::ALL.to_vec(),
            freshness: Vec::new(),
            numeric: Vec::new(),
            boolean: Vec::new(),
            categorical: Vec::new(),
            equality: Vec::new(),
            clicks: None,
            cache_mib: 64,
            schemas: Vec::new(),
            migrations: Vec::new(),
        }
    }
}

/// Groups of features that need no field to be named.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FeatureGroup {
    /// Rank and scores in each run and in the fused one.
    Retrieval,
    /// The question alone.
    Query,
    /// How the words of the question stand in the document.
    Text,
    /// How long the document is.
    Lengths,
    /// Cosines of the question and the document's chunks.
    Vector,
    /// How like the document is to the best ones of the fused ranking.
    Feedback,
}

impl FeatureGroup {
    /// Every group.
    pub const ALL: [FeatureGroup; 6] = [
        FeatureGroup::Retrieval,
        FeatureGroup::Query,
        FeatureGroup::Text,
        FeatureGroup::Lengths,
        FeatureGroup::Vector,
        FeatureGroup::Feedback,
    ];

    /// The groups that there are unless told: all but the feedback, which reads texts of the best candidates for each
    /// question and has no place in the cache.
    pub const DEFAULT: [FeatureGroup; 5] =
        [FeatureGroup::Retrieval, FeatureGroup::Query, FeatureGroup::Text, FeatureGroup::Lengths, FeatureGroup::Vector];
}

/// The fields that words are searched in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TextField {
    /// The title.
    Title,
    /// The text.
    Text,
    /// Title and text as one, which is what plain words search.
    Body,
}

impl TextField {
    /// Every field.
    pub const ALL: [TextField; 3] = [TextField::Title, TextField::Text, TextField::Body];
}

/// A date whose age counts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FreshnessConfig {
    /// Metadata field with an RFC 3339 date.
    pub field: String,
    /// Days after which the value is a half; more than 0.
    pub half_life_days: f64,
}

/// A field with one of some values.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CategoryConfig {
    /// Metadata field.
    pub field: String,
    /// Its values; the feature is the position of the document's among them, and their number for any other. Empty: a
    /// hash of the value below 1,024.
    #[serde(default)]
    pub values: Vec<String>,
}

/// How a share of clicks is made out of few of them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ClicksConfig {
    /// Impressions that the mean of all documents counts as; at least 0. Default 20.
    pub prior_impressions: f64,
}

impl Default for ClicksConfig {
    fn default() -> Self {
        ClicksConfig { prior_impressions: 20.0 }
    }
}

impl FeaturesConfig {
    /// # Errors
    /// `InvalidArgument`, naming the field, its value and what is allowed.
    pub fn validate(&self) -> Result<()> {
        check_list("features.groups", self.groups.iter().map(|group| format!("{group:?}").to_lowercase()))?;
        check_list("features.text", self.text.iter().map(|field| format!("{field:?}").to_lowercase()))?;
        check_list("features.freshness", self.freshness.iter().map(|freshness| freshness.field.clone()))?;
        check_list("features.numeric", self.numeric.iter().cloned())?;
        check_list("features.boolean", self.boolean.iter().cloned())?;
        check_list("features.categorical", self.categorical.iter().map(|category| category.field.clone()))?;
        check_list("features.equality", self.equality.iter().cloned())?;
        for FreshnessConfig { field, half_life_days } in &self.freshness {
            if !(half_life_days.is_finite() && *half_life_days > 0.0) {
                return Err(Error::invalid(format!(
                    "`features.freshness.half_life_days` of `{field}` is {half_life_days}; give a number of days above 0"
                )));
            }
        }
        for CategoryConfig { field, values } in &self.categorical {
            check_list(&format!("features.categorical.values of {field}"), values.iter().cloned())?;
        }
        if let Some(ClicksConfig { prior_impressions }) = &self.clicks
            && !(prior_impressions.is_finite() && *prior_impressions >= 0.0)
        {
            return Err(Error::invalid(format!(
                "`features.clicks.prior_impressions` is {prior_impressions}; give 0 or more"
            )));
        }
        if self.cache_mib > 1 << 20 {
            return Err(Error::invalid(format!("`features.cache_mib` is {}; give 0 to 1048576", self.cache_mib)));
        }
        Ok(())
    }

    #[cfg(feature = "engine")]
    pub(crate) fn has(&self, group: FeatureGroup) -> bool {
        self.groups.contains(&group)
    }
}

/// Names that can be told apart, and not too many of them.
fn check_list(list: &str, names: impl Iterator<Item = String>) -> Result<()> {
    let mut seen = std::collections::BTreeSet::new();
    for name in names {
        check_name(list, &name)?;
        if seen.contains(&name) {
            return Err(Error::invalid(format!("`{list}` has `{name}` twice; name it once")));
        }
        seen.insert(name);
        if seen.len() > MAX_LISTED {
            return Err(Error::invalid(format!("`{list}` has more than {MAX_LISTED} entries; leave some out")));
        }
    }
    Ok(())
}
