//! Declared ways from one schema to another.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

use super::adapter::{Adapter, Operation};
use super::{Feature, FeatureKind, FeatureSchema, SchemaId};
use crate::error::{Error, Result};

/// How rows of one schema become rows of another. Features that no step names stay; their order is that of the schema
/// that is reached. A feature that stays or gets another name must mean the same in both schemas, where both say what it
/// means; one that means something else is dropped and made anew by a default or a formula.
///
/// ```
/// use rag_ltr::schema::Migration;
/// let json = r#"{
///     "from": "v1:ab12cd34ef56",
///     "to": "v2:12ab34cd56ef",
///     "steps": [
///         {"rename": {"from": "bm25", "to": "text.bm25"}},
///         {"default": {"feature": "text.phrase", "kind": "boolean", "value": 0}},
///         {"derive": {"feature": "clicks.rate", "formula": {"ratio": ["clicks", "impressions"]}}},
///         {"drop": "clicks"}
///     ]
/// }"#;
/// let migration: Migration = serde_json::from_str(json)?;
/// assert_eq!(migration.steps.len(), 4);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Migration {
    /// Schema of the rows that there are.
    pub from: SchemaId,
    /// Schema of the rows that are wanted.
    pub to: SchemaId,
    /// What is done to the features, one after the other.
    pub steps: Vec<Step>,
}

/// One step of a [`Migration`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Step {
    /// A feature gets another name.
    Rename {
        /// Its name so far.
        from: String,
        /// Its new name.
        to: String,
    },
    /// A feature is left out.
    Drop(String),
    /// A new feature has the same value in every row.
    Default {
        /// Its name.
        feature: String,
        /// What its values are.
        #[serde(default)]
        kind: FeatureKind,
        /// The value; missing where it is not said.
        #[serde(default)]
        value: Option<f32>,
    },
    /// A new feature is made of others.
    Derive {
        /// Its name.
        feature: String,
        /// What its values are.
        #[serde(default)]
        kind: FeatureKind,
        /// What makes it.
        formula: Formula,
    },
}

/// What a new feature is made of: names of features. It is missing where one of them is, and where the result is not
/// finite.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Formula {
    /// The same value.
    Copy(String),
    /// All of them added.
    Sum(Vec<String>),
    /// The first less the second.
    Difference(String, String),
    /// All of them multiplied.
    Product(Vec<String>),
    /// The first divided by the second.
    Ratio(String, String),
    /// `ln(1 + value)`.
    Log1p(String),
}

/// All schemas and migrations that are known. A migration can be gone backwards where it drops nothing: a feature gets its
/// old name back, and a new one is left out.
///
/// ```
/// use rag_ltr::Rows;
/// use rag_ltr::schema::{Feature, FeatureKind, FeatureSchema, Migration, Migrations, Step};
///
/// let feature = |name: &str| Feature::new(name, FeatureKind::Numeric);
/// let old = FeatureSchema::new(1, vec![feature("bm25")])?;
/// let new = FeatureSchema::new(2, vec![feature("freshness"), feature("bm25")])?;
/// let freshness = Step::Default { feature: "freshness".to_owned(), kind: FeatureKind::Numeric, value: None };
/// let migration = Migration { from: old.id(), to: new.id(), steps: vec![freshness] };
/// let (old_id, new_id) = (old.id(), new.id());
/// let migrations = Migrations::new(vec![old, new], vec![migration])?;
///
/// // A model of the old schema scores rows of the new one.
/// let adapter = migrations.adapter(new_id, old_id)?;
/// assert_eq!(adapter.rows(Rows::new(&[0.5, 7.0, 0.1, 8.0], 2)?)?, [7.0, 8.0]);
/// # Ok::<(), rag_ltr::Error>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Migrations {
    columns: BTreeMap<SchemaId, usize>,
    adapters: Vec<Adapter>,
}

impl Migrations {
    /// Takes schemas and the migrations between them, each of which must end at the features of its schema.
    ///
    /// # Errors
    /// [`Error::Migration`] naming the two schemas and the step.
    pub fn new(schemas: Vec<FeatureSchema>, migrations: Vec<Migration>) -> Result<Migrations> {
        let schemas: BTreeMap<SchemaId, FeatureSchema> =
            schemas.into_iter().map(|schema| (schema.id(), schema)).collect();
        let mut adapters = Vec::new();
        for migration in migrations {
            adapters.push(compile(&migration, &schemas)?);
            let steps: Option<Vec<Step>> = migration.steps.iter().rev().map(Step::inverse).collect();
            if let Some(steps) = steps {
                adapters.push(compile(&Migration { from: migration.to, to: migration.from, steps }, &schemas)?);
            }
        }
        let columns = schemas.iter().map(|(&id, schema)| (id, schema.features().len())).collect();
        Ok(Migrations { columns, adapters })
    }

    /// What turns rows of one schema into rows of another: over as few migrations as possible, of those the ones declared
    /// first. Schemas with the same features need none.
    ///
    /// # Errors
    /// [`Error::Schema`] naming both schemas where no migration leads from the one to the other, or the first is not known.
    pub fn adapter(&self, from: SchemaId, to: SchemaId) -> Result<Adapter> {
        let way_out = |problem: &str| Error::Schema {
            model: to.to_string(),
            rows: from.to_string(),
            way_out: format!("{problem}, or train the model anew"),
        };
        let Some((_, &columns)) = self.columns.iter().find(|(id, _)| id.has_features_of(from)) else {
            return Err(way_out(&format!("declare schema {from} and a migration")));
        };
        let mut open = VecDeque::from([Adapter::identity(from, columns)]);
        let mut seen = vec![from];
        while let Some(path) = open.pop_front() {
            if path.to.has_features_of(to) {
                return Ok(Adapter { to, ..path });
            }
            for next in self.adapters.iter().filter(|next| next.from.has_features_of(path.to)) {
                if !seen.contains(&next.to) {
                    seen.push(next.to);
                    open.push_back(path.clone().then(next));
                }
            }
        }
        Err(way_out("declare a migration from the one to the other (rename, drop, default, derive)"))
    }
}

impl Step {
    /// The step backwards; a feature that was dropped does not come back.
    fn inverse(&self) -> Option<Step> {
        match self {
            Step::Rename { from, to } => Some(Step::Rename { from: to.clone(), to: from.clone() }),
            Step::Default { feature, .. } | Step::Derive { feature, .. } => Some(Step::Drop(feature.clone())),
            Step::Drop(_) => None,
        }
    }
}

/// The features that there are after some steps.
type Features<'a> = BTreeMap<&'a str, Place<'a>>;

/// Where the values of a feature stand, what they are, and what they mean where a schema says so.
type Place<'a> = (usize, FeatureKind, Option<&'a str>);

fn compile(migration: &Migration, schemas: &BTreeMap<SchemaId, FeatureSchema>) -> Result<Adapter> {
    let Migration { from, to, steps } = migration;
    let (from, to) = (*from, *to);
    let refuse = |problem: String| Error::Migration { from: from.to_string(), to: to.to_string(), problem };
    let schema = |id: SchemaId| schemas.get(&id).ok_or_else(|| refuse(format!("the schema {id} is not declared")));
    let (old, new) = (schema(from)?, schema(to)?);
    let columns = old.features().len();
    let mut features: Features<'_> = old
        .features()
        .iter()
        .enumerate()
        .map(|(column, old)| (&*old.name, (column, old.kind, old.meaning.as_deref())))
        .collect();
    let mut operations = Vec::new();
    for (number, step) in steps.iter().enumerate() {
        take(step, columns, &mut features, &mut operations)
            .map_err(|problem| refuse(format!("step {}: {problem}", number + 1)))?;
    }
    let mut picked = Vec::with_capacity(new.features().len());
    for Feature { name, kind, meaning } in new.features() {
        match features.remove(name.as_str()) {
            Some((_, _, Some(found))) if meaning.as_deref().is_some_and(|meaning| meaning != found) => {
                let wanted = meaning.as_deref().unwrap_or_default();
                return Err(refuse(format!(
                    "`{name}` means `{found}` at its end and `{wanted}` in the schema; drop it and make it by a default or a formula"
                )));
            }
            Some((position, found, _)) if found == *kind => picked.push(position),
            Some((_, found, _)) => {
                let (found, wanted) = (found.name(), kind.name());
                return Err(refuse(format!("`{name}` is {found} at its end and {wanted} in the schema")));
            }
            None => return Err(refuse(format!("`{name}` is in the schema and not at its end; rename or add one"))),
        }
    }
    if let Some(name) = features.keys().next() {
        return Err(refuse(format!("`{name}` is at its end and not in the schema; drop it")));
    }
    Ok(Adapter { from, to, columns, operations, picked })
}

/// Takes one step.
fn take<'a>(
    step: &'a Step,
    columns: usize,
    features: &mut Features<'a>,
    operations: &mut Vec<Operation>,
) -> Result<(), String> {
    let (name, place) = match step {
        Step::Drop(name) => return features.remove(name.as_str()).map(drop).ok_or_else(|| absent(name)),
        Step::Rename { from, to } => (to, features.remove(from.as_str()).ok_or_else(|| absent(from))?),
        Step::Default { feature, kind, value } => {
            operations.push(Operation::Value(value.unwrap_or(f32::NAN)));
            (feature, (columns + operations.len() - 1, *kind, None))
        }
        Step::Derive { feature, kind, formula } => {
            (feature, (formula.position(columns, features, operations)?, *kind, None))
        }
    };
    match features.insert(name, place) {
        None => Ok(()),
        Some(_) => Err(format!("there is a feature `{name}` already")),
    }
}

fn absent(name: &str) -> String {
    format!("there is no feature `{name}`")
}

impl Formula {
    /// Where the value stands that it makes.
    fn position(
        &self,
        columns: usize,
        features: &Features<'_>,
        operations: &mut Vec<Operation>,
    ) -> Result<usize, String> {
        let of = |name: &String| features.get(name.as_str()).map_or_else(|| Err(absent(name)), |&(at, ..)| Ok(at));
        let all = |names: &[String]| -> Result<Vec<usize>, String> {
            if names.is_empty() {
                return Err("there are no features to add or to multiply".to_owned());
            }
            names.iter().map(of).collect()
        };
        let operation = match self {
            Formula::Copy(name) => return of(name),
            Formula::Sum(names) => Operation::Sum(all(names)?),
            Formula::Difference(whole, part) => Operation::Difference(of(whole)?, of(part)?),
            Formula::Product(names) => Operation::Product(all(names)?),
            Formula::Ratio(part, whole) => Operation::Ratio(of(part)?, of(whole)?),
            Formula::Log1p(name) => Operation::Log1p(of(name)?),
        };
        operations.push(operation);
        Ok(columns + operations.len() - 1)
    }
}
