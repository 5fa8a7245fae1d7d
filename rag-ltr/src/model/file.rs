//! Our own model file, and what tells it from the files of others.
//!
//! One object in JSON, without white space:
//!
//! | field | holds |
//! |---|---|
//! | `format` | `"rag-ltr"` |
//! | `version` | 1 |
//! | `writer` | the library that wrote the file, for people |
//! | `model` | `{"trees": …}` with the fields of [`EnsembleParts`], or `{"linear": …}` with those of [`LinearModel`] |
//! | `schema` | the features of a row as a [`SchemaId`]; may be absent |
//! | `training` | how the model came to be, as a [`Training`]; may be absent |
//!
//! Every number is read back to the last bit. None is NaN or infinite, which JSON has no word for, but thresholds may be
//! `"inf"` and `"-inf"`: LightGBM and [`crate::train`] part all numbers from NaN in this way.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Deserializer as _, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{Ensemble, EnsembleParts, LinearModel, Link, Model, Ranker, Tree, xgboost};
use crate::error::{Error, Result};
use crate::schema::SchemaId;
use crate::train::End;

const FORMAT: &str = "rag-ltr";

/// The version that is written, and the only one that there is to read.
const VERSION: u64 = 1;

/// How a model came to be: kept in its file and shown, never read for a score.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Training {
    /// The library that trained, with its version.
    pub library: String,
    /// The parameters by their names.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub parameters: Map<String, Value>,
    /// Metrics after each tree or step, by names such as `valid ndcg@10`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub curves: BTreeMap<String, Vec<f64>>,
    /// Metrics of the model, by names such as `test ndcg@10`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metrics: BTreeMap<String, f64>,
    /// Why there are no more trees; nothing for a weighted sum, nor where it is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<End>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File<'a> {
    format: Cow<'a, str>,
    version: u64,
    writer: Cow<'a, str>,
    model: FileModel<'a>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    schema: Option<SchemaId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    training: Option<Cow<'a, Training>>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum FileModel<'a> {
    Trees(Cow<'a, EnsembleParts>),
    Linear(Cow<'a, LinearModel>),
}

/// Whose file it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    Ours,
    LightGbm,
    XgBoost,
}

impl Ranker {
    /// Writes the model with its schema and training as a file of this library: JSON, version 1.
    ///
    /// ```
    /// use rag_ltr::Ranker;
    /// use rag_ltr::model::{Arithmetic, Ensemble, EnsembleParts, Link, Model, Tree};
    /// let (arithmetic, link) = (Arithmetic::F64, Link::Identity);
    /// let trees = vec![Tree::constant(0.1)];
    /// let parts = EnsembleParts { columns: 1, names: vec![], trees, base: 0.0, arithmetic, average: false, link };
    /// let ranker = Ranker::new(Model::Trees(Ensemble::checked(parts)?))?.with_schema("v3:ab12cd34ef56".parse()?);
    /// assert_eq!(Ranker::from_bytes(&ranker.to_bytes()?)?, ranker);
    /// # Ok::<(), rag_ltr::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Unsupported`] for a number other than a threshold that is not finite, naming it.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        self.check_finite()?;
        let model = match self.model() {
            Model::Trees(ensemble) => FileModel::Trees(Cow::Borrowed(ensemble.parts())),
            Model::Linear(linear) => FileModel::Linear(Cow::Borrowed(linear)),
        };
        let file = File {
            format: FORMAT.into(),
            version: VERSION,
            writer: concat!("rag-ltr ", env!("CARGO_PKG_VERSION")).into(),
            model,
            schema: self.schema(),
            training: self.training().map(Cow::Borrowed),
        };
        serde_json::to_vec(&file).map_err(|error| Error::model("the writer", error.to_string()))
    }

    /// Reads a model file: our own, and those of LightGBM (text, JSON) and XGBoost (JSON, UBJSON). What it is shows in
    /// its first bytes and keys. Memory is a small multiple of the file's length at most.
    ///
    /// # Errors
    /// [`Error::Model`] for bytes that are no such file, naming the place; [`Error::Version`] for a file of our own that a
    /// later library wrote; [`Error::Unsupported`] for a model that would be scored differently here.
    pub fn from_bytes(bytes: &[u8]) -> Result<Ranker> {
        match recognise(bytes)? {
            Format::Ours => read(bytes),
            Format::LightGbm => Ranker::new(Model::Trees(Ensemble::from_lightgbm(bytes)?)),
            Format::XgBoost => Ranker::new(xgboost::read(bytes)?),
        }
    }

    fn check_finite(&self) -> Result<()> {
        let odd = match self.model() {
            Model::Trees(ensemble) => {
                let trees = ensemble.parts().trees.iter().enumerate();
                let odd =
                    trees.filter_map(|(position, tree)| Some(format!("{} of tree {position}", odd_number(tree)?)));
                odd.chain(odd_link(ensemble.parts().link)).next()
            }
            Model::Linear(linear) => odd_link(linear.link),
        };
        let odd = odd.or_else(|| self.training().and_then(Training::odd_number));
        let refuse =
            |what| Error::Unsupported(format!("a number that is not finite as {what}, which its file has no word for"));
        odd.map_or(Ok(()), |what| Err(refuse(what)))
    }
}

/// What of a tree is not finite, where [`Ensemble::checked`] lets it be.
fn odd_number(tree: &Tree) -> Option<String> {
    let is_odd = |numbers: &[f64]| numbers.iter().any(|number| !number.is_finite());
    let split = tree.splits.iter().position(|split| is_odd(&[split.gain, split.value, split.weight, split.cover]));
    let leaf = || tree.leaves.iter().position(|leaf| is_odd(&[leaf.weight, leaf.cover]));
    let split = split.map(|position| format!("gain, value, weight or cover of split {position}"));
    split.or_else(|| leaf().map(|position| format!("weight or cover of leaf {position}")))
}

fn odd_link(link: Link) -> Option<String> {
    let is_odd = matches!(link, Link::Sigmoid { steepness } if !steepness.is_finite());
    is_odd.then(|| "the steepness of the link".to_owned())
}

impl Training {
    fn odd_number(&self) -> Option<String> {
        let curve = self.curves.iter().find(|(_, values)| values.iter().any(|value| !value.is_finite()));
        let metric = || self.metrics.iter().find(|(_, value)| !value.is_finite()).map(|(name, _)| name);
        let name = curve.map(|(name, _)| name).or_else(metric)?;
        Some(format!("`{name}` of the training"))
    }
}

/// Reads a file of our own.
fn read(bytes: &[u8]) -> Result<Ranker> {
    /// What every version has.
    #[derive(Deserialize)]
    struct Header<'a> {
        version: u64,
        #[serde(borrow)]
        writer: Cow<'a, str>,
    }
    let damaged = |error: serde_json::Error| {
        Error::model(format!("line {} column {}", error.line(), error.column()), error.to_string())
    };
    let header: Header<'_> = serde_json::from_slice(bytes).map_err(damaged)?;
    if header.version != VERSION {
        let writer = header.writer.chars().take(100).collect();
        return Err(Error::Version { found: header.version, writer, readable: VERSION });
    }
    let file: File<'_> = serde_json::from_slice(bytes).map_err(damaged)?;
    let model = match file.model {
        FileModel::Trees(parts) => Model::Trees(Ensemble::checked(parts.into_owned())?),
        FileModel::Linear(linear) => Model::Linear(linear.into_owned()),
    };
    let mut ranker = Ranker::new(model)?;
    if let Some(schema) = file.schema {
        ranker = ranker.with_schema(schema);
    }
    if let Some(training) = file.training {
        ranker = ranker.with_training(training.into_owned());
    }
    Ok(ranker)
}

/// Looks at the first bytes, then at the first key that only one of the formats has.
fn recognise(bytes: &[u8]) -> Result<Format> {
    /// Stops at that key.
    struct Keys<'a>(&'a mut Option<Format>);

    impl<'de> Visitor<'de> for Keys<'_> {
        type Value = ();

        fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            formatter.write_str("an object")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
            while let Some(key) = map.next_key::<Cow<'_, str>>()? {
                *self.0 = match &*key {
                    "format" if map.next_value::<Cow<'_, str>>()? == FORMAT => Some(Format::Ours),
                    "format" => return Ok(()),
                    "name" | "tree_info" => Some(Format::LightGbm),
                    "learner" => Some(Format::XgBoost),
                    _ => None,
                };
                if self.0.is_some() {
                    return Ok(());
                }
                map.next_value::<IgnoredAny>()?;
            }
            Ok(())
        }
    }

    let text = bytes.trim_ascii_start();
    if text.starts_with(b"tree") {
        return Ok(Format::LightGbm);
    }
    // UBJSON has the marker of a length where JSON has a quote or white space.
    if let [b'{', b'i' | b'U' | b'I' | b'l' | b'L', ..] = bytes {
        return Ok(Format::XgBoost);
    }
    let mut found = None;
    let parsed = serde_json::Deserializer::from_slice(text).deserialize_map(Keys(&mut found));
    found.ok_or_else(|| {
        let why = parsed.map_or_else(|error| format!(" ({error})"), |()| String::new());
        let problem = format!("it is no model file of rag-ltr, LightGBM (text, JSON) or XGBoost (JSON, UBJSON){why}");
        Error::model("the beginning", problem)
    })
}
