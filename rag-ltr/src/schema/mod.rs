//! Which features a row has, and how rows of one schema become rows of another.

mod adapter;
mod migration;

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::error::{Error, Result};
use crate::model::MAX_COLUMNS;

pub use adapter::Adapter;
pub use migration::{Formula, Migration, Migrations, Step};

/// What the values of a feature are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FeatureKind {
    /// Numbers whose order means something.
    #[default]
    Numeric,
    /// 0 or 1.
    Boolean,
    /// Whole numbers from 0 on that only name something.
    Categorical,
}

impl FeatureKind {
    fn name(self) -> &'static str {
        match self {
            FeatureKind::Numeric => "numeric",
            FeatureKind::Boolean => "boolean",
            FeatureKind::Categorical => "categorical",
        }
    }
}

/// One feature of a schema.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Feature {
    /// Its name, unique in the schema.
    pub name: String,
    /// What its values are; numbers where it is not said.
    #[serde(default)]
    pub kind: FeatureKind,
    /// What its values depend on besides the data, in short text: a list of values, a half-life, the name of a model. The
    /// same name and kind with another meaning is another feature. `None` where nothing can be set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub meaning: Option<String>,
}

impl Feature {
    /// A feature without parameters.
    pub fn new(name: impl Into<String>, kind: FeatureKind) -> Feature {
        Feature { name: name.into(), kind, meaning: None }
    }

    /// The feature with what its values depend on.
    #[must_use]
    pub fn with_meaning(mut self, meaning: impl Into<String>) -> Feature {
        self.meaning = Some(meaning.into());
        self
    }
}

/// The features of a row, in order. [`FeatureSchema::id`] names them in models, caches and messages.
///
/// ```
/// use rag_ltr::schema::{Feature, FeatureKind, FeatureSchema};
/// let bm25 = Feature::new("bm25", FeatureKind::Numeric);
/// let schema = FeatureSchema::new(3, vec![bm25])?;
/// assert_eq!(schema.id().to_string(), "v3:52c2e968bc9a");
/// # Ok::<(), rag_ltr::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "Written")]
pub struct FeatureSchema {
    version: u32,
    features: Vec<Feature>,
    hash: String,
}

/// A schema as it stands in a file.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    version: u32,
    features: Vec<Feature>,
    hash: String,
}

impl FeatureSchema {
    /// Takes the features of a row. The version is the caller's count; it is no part of the hash.
    ///
    /// # Errors
    /// [`Error::Shape`] for no features, more than [`MAX_COLUMNS`], and a name that is empty or stands twice.
    pub fn new(version: u32, features: Vec<Feature>) -> Result<FeatureSchema> {
        if !(1..=MAX_COLUMNS).contains(&features.len()) {
            let message = format!("the schema has {} features; 1 to {MAX_COLUMNS} are allowed", features.len());
            return Err(Error::Shape(message));
        }
        let mut names = BTreeSet::new();
        for (position, Feature { name, .. }) in features.iter().enumerate() {
            if name.is_empty() {
                return Err(Error::Shape(format!("feature {position} of the schema has no name")));
            }
            if !names.insert(name) {
                return Err(Error::Shape(format!("the schema has the feature `{name}` twice")));
            }
        }
        let hash = hash(&features);
        Ok(FeatureSchema { version, features, hash })
    }

    /// Number of the schema, given by whoever declares it.
    pub fn version(&self) -> u32 {
        self.version
    }

    /// The features, in the order of a row's columns.
    pub fn features(&self) -> &[Feature] {
        &self.features
    }

    /// SHA-256 of the names, kinds, meanings and order of the features, as 64 hexadecimal digits. Equal features have equal hashes
    /// in every version.
    pub fn hash(&self) -> &str {
        &self.hash
    }

    /// What names the schema in models and messages.
    pub fn id(&self) -> SchemaId {
        let digits = self.hash.get(..SchemaId::DIGITS).unwrap_or_default();
        SchemaId { version: self.version, hash: u64::from_str_radix(digits, 16).unwrap_or_default() }
    }
}

/// The hash of the features: of each one the length of its name in bytes, the name and the kind; where it has
/// a meaning, that too with its length.
fn hash(features: &[Feature]) -> String {
    let mut hash = Sha256::new();
    for Feature { name, kind, meaning } in features {
        hash.update(format!("{}:{name}:{};", name.len(), kind.name()));
        if let Some(meaning) = meaning {
            hash.update(format!("={}:{meaning};", meaning.len()));
        }
    }
    hash.finalize().iter().fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"))
}

impl TryFrom<Written> for FeatureSchema {
    type Error = Error;

    fn try_from(written: Written) -> Result<Self> {
        let schema = FeatureSchema::new(written.version, written.features)?;
        if schema.hash != written.hash {
            let Written { hash, version, .. } = written;
            let message = format!("the features of schema version {version} have the hash {}, not {hash}", schema.hash);
            return Err(Error::Shape(message));
        }
        Ok(schema)
    }
}

impl From<FeatureSchema> for Written {
    fn from(FeatureSchema { version, features, hash }: FeatureSchema) -> Self {
        Written { version, features, hash }
    }
}

/// Version and the first 12 digits of the hash of a [`FeatureSchema`], written `v3:ab12cd34ef56`.
///
/// ```
/// use rag_ltr::schema::SchemaId;
/// let id: SchemaId = "v3:ab12cd34ef56".parse()?;
/// assert_eq!((id.version(), id.to_string().as_str()), (3, "v3:ab12cd34ef56"));
/// # Ok::<(), rag_ltr::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SchemaId {
    version: u32,
    hash: u64,
}

impl SchemaId {
    const DIGITS: usize = 12;

    /// Number of the schema.
    pub fn version(self) -> u32 {
        self.version
    }

    /// Whether the two have the same features in the same order, whatever their versions.
    pub fn has_features_of(self, other: SchemaId) -> bool {
        self.hash == other.hash
    }
}

impl fmt::Display for SchemaId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "v{}:{:0digits$x}", self.version, self.hash, digits = SchemaId::DIGITS)
    }
}

impl FromStr for SchemaId {
    type Err = Error;

    /// # Errors
    /// [`Error::Shape`] for anything that [`SchemaId`] would not be written as.
    fn from_str(text: &str) -> Result<Self> {
        let parsed = text.strip_prefix('v').and_then(|text| text.split_once(':')).and_then(|(version, hash)| {
            Some(SchemaId { version: version.parse().ok()?, hash: u64::from_str_radix(hash, 16).ok()? })
        });
        // Written again it must be the same, so that no schema has two names.
        parsed.filter(|id| id.to_string() == text).ok_or_else(|| {
            Error::Shape(format!("`{text}` names no feature schema, which is written such as v3:ab12cd34ef56"))
        })
    }
}

impl TryFrom<String> for SchemaId {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<SchemaId> for String {
    fn from(id: SchemaId) -> String {
        id.to_string()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn schema(version: u32, features: &[(&str, FeatureKind)]) -> Result<FeatureSchema> {
        let feature = |&(name, kind): &(&str, FeatureKind)| Feature::new(name, kind);
        FeatureSchema::new(version, features.iter().map(feature).collect())
    }

    #[test]
    fn the_hash_sees_names_kinds_and_order_and_no_version() {
        use FeatureKind::{Boolean, Categorical, Numeric};
        let hash = |features: &[(&str, FeatureKind)]| schema(1, features).unwrap().hash;
        let ours = hash(&[("a", Numeric), ("b", Boolean)]);
        // printf '1:a:numeric;1:b:boolean;' | sha256sum
        assert_eq!(ours, "7b3647050d40ed01797aec7040109b3c733a0963aa7a1a1a9b7681d8c9fca870");
        assert_eq!(ours, schema(9, &[("a", Numeric), ("b", Boolean)]).unwrap().hash);
        for other in [
            hash(&[("b", Boolean), ("a", Numeric)]),
            hash(&[("a", Numeric), ("b", Categorical)]),
            hash(&[("a", Numeric), ("c", Boolean)]),
            hash(&[("a:numeric;1:b", Boolean)]),
        ] {
            assert_ne!(ours, other);
        }
    }

    #[test]
    fn the_hash_sees_what_features_mean_and_old_schemas_are_read() {
        let lang = || Feature::new("lang", FeatureKind::Categorical);
        let schema = |feature: Feature| FeatureSchema::new(1, vec![feature]).unwrap();
        let (plain, ours) = (schema(lang()), schema(lang().with_meaning("en, de")));
        assert!(!ours.id().has_features_of(plain.id()));
        assert!(!ours.id().has_features_of(schema(lang().with_meaning("de, en")).id()));
        // printf '4:lang:categorical;=6:en, de;' | sha256sum
        assert_eq!(ours.hash, "b7d966ffdc5d267211277de3129bc4f65551e145f56da91c3bacad9ceccfa259");
        let json = serde_json::to_string(&ours).unwrap();
        assert_eq!(serde_json::from_str::<FeatureSchema>(&json).unwrap(), ours);
        let old = serde_json::to_string(&plain).unwrap();
        assert!(!old.contains("meaning"));
        assert_eq!(serde_json::from_str::<FeatureSchema>(&old).unwrap(), plain);
    }

    #[test]
    fn no_features_and_names_that_name_nothing_are_refused() {
        let numeric = FeatureKind::Numeric;
        let refused = [schema(1, &[]), schema(1, &[("", numeric)]), schema(1, &[("a", numeric), ("a", numeric)])];
        let messages = refused.map(|refused| refused.unwrap_err().to_string());
        assert!(messages[0].contains("0 features") && messages[1].contains("feature 0") && messages[2].contains("`a`"));
    }

    #[test]
    fn a_schema_is_read_as_it_was_written_and_not_with_another_hash() {
        let schema = schema(4, &[("bm25", FeatureKind::Numeric), ("language", FeatureKind::Categorical)]).unwrap();
        let json = serde_json::to_string(&schema).unwrap();
        assert_eq!(serde_json::from_str::<FeatureSchema>(&json).unwrap(), schema);
        let changed = serde_json::from_str::<FeatureSchema>(&json.replace("bm25", "bm26"));
        assert!(changed.unwrap_err().to_string().contains("hash"));
        let id = serde_json::to_string(&schema.id()).unwrap();
        assert_eq!(serde_json::from_str::<SchemaId>(&id).unwrap(), schema.id());
        for odd in ["v3", "3:ab12cd34ef56", "v3:AB12cd34ef56", "v03:ab12cd34ef56", "v3:ab12", "v3:+b12cd34ef56"] {
            assert!(odd.parse::<SchemaId>().is_err(), "{odd}");
        }
    }
}
