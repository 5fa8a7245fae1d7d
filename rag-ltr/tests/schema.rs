//! Migrations of rows between schemas: nothing is lost by renaming there and back, and the way over several migrations does
//! what they do one after the other.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use proptest::prelude::*;
use rag_ltr::random::SplitMix64;
use rag_ltr::schema::{Feature, FeatureKind, FeatureSchema, Formula, Migration, Migrations, SchemaId, Step};
use rag_ltr::{Error, Rows};

fn schema(version: u32, names: &[&str]) -> FeatureSchema {
    let feature = |name: &&str| Feature::new(*name, FeatureKind::Numeric);
    FeatureSchema::new(version, names.iter().map(feature).collect()).unwrap()
}

fn rename(from: &str, to: &str) -> Step {
    Step::Rename { from: from.to_owned(), to: to.to_owned() }
}

fn derive(feature: &str, formula: Formula) -> Step {
    Step::Derive { feature: feature.to_owned(), kind: FeatureKind::Numeric, formula }
}

fn default(feature: &str, value: Option<f32>) -> Step {
    Step::Default { feature: feature.to_owned(), kind: FeatureKind::Numeric, value }
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| value.to_bits()).collect()
}

fn migrate(from: &FeatureSchema, to: &FeatureSchema, steps: Vec<Step>) -> Result<Migrations, Error> {
    let migration = Migration { from: from.id(), to: to.id(), steps };
    Migrations::new(vec![from.clone(), to.clone()], vec![migration])
}

#[test]
fn every_formula_does_what_it_says() {
    let (old, new) =
        (schema(1, &["a", "b"]), schema(2, &["copy", "sum", "difference", "product", "ratio", "log1p", "half", "gap"]));
    let (a, b) = (|| "a".to_owned(), || "b".to_owned());
    let steps = vec![
        derive("copy", Formula::Copy(b())),
        derive("sum", Formula::Sum(vec![a(), b(), a()])),
        derive("difference", Formula::Difference(a(), b())),
        derive("product", Formula::Product(vec![a(), b(), "sum".to_owned()])),
        derive("ratio", Formula::Ratio(a(), b())),
        derive("log1p", Formula::Log1p(a())),
        default("half", Some(0.5)),
        default("gap", None),
        Step::Drop(a()),
        Step::Drop(b()),
    ];
    let adapter = migrate(&old, &new, steps).unwrap().adapter(old.id(), new.id()).unwrap();
    let rows = adapter.rows(Rows::new(&[3.0, 2.0, -1.0, 0.0, f32::NAN, 1.0], 2).unwrap()).unwrap();
    let nan = f32::NAN;
    let ln_4 = 4f64.ln() as f32;
    let expected = [
        [2.0, 8.0, 1.0, 48.0, 1.5, ln_4, 0.5, nan],
        // A division by 0 and the logarithm of 0 are missing.
        [0.0, -2.0, -1.0, 0.0, nan, nan, 0.5, nan],
        [1.0, nan, nan, nan, nan, nan, 0.5, nan],
    ];
    let is_equal = |(ours, wanted): (&f32, &f32)| ours == wanted || ours.is_nan() && wanted.is_nan();
    assert!(rows.iter().zip(expected.as_flattened()).all(is_equal), "{rows:?}");
    assert_eq!((adapter.columns(), adapter.columns_after(), rows.len()), (2, 8, 24));
}

#[test]
fn what_drops_nothing_goes_backwards_too_and_what_drops_does_not() {
    let (old, new) = (schema(1, &["bm25", "age"]), schema(2, &["freshness", "age", "text.bm25"]));
    let steps = vec![rename("bm25", "text.bm25"), derive("freshness", Formula::Log1p("age".to_owned()))];
    let migrations = migrate(&old, &new, steps).unwrap();
    let back = migrations.adapter(new.id(), old.id()).unwrap();
    assert_eq!(back.rows(Rows::new(&[0.1, 2.0, 3.0], 3).unwrap()).unwrap(), [3.0, 2.0]);

    let dropped = migrate(&new, &old, vec![Step::Drop("freshness".to_owned()), rename("text.bm25", "bm25")]).unwrap();
    assert!(dropped.adapter(new.id(), old.id()).is_ok());
    let refused = dropped.adapter(old.id(), new.id()).unwrap_err();
    assert!(matches!(refused, Error::Schema { .. }), "{refused}");
    let message = refused.to_string();
    assert!(message.contains(&old.id().to_string()) && message.contains(&new.id().to_string()), "{message}");
    assert!(message.contains("declare a migration"), "{message}");
}

#[test]
fn a_schema_that_only_has_another_version_needs_no_migration() {
    let (old, new) = (schema(1, &["a", "b"]), schema(2, &["a", "b"]));
    let migrations = Migrations::new(vec![old.clone()], Vec::new()).unwrap();
    let adapter = migrations.adapter(new.id(), old.id()).unwrap();
    assert!(adapter.is_identity());
    assert_eq!((adapter.from(), adapter.to()), (new.id(), old.id()));
    let unknown: SchemaId = "v7:000000000000".parse().unwrap();
    assert!(matches!(migrations.adapter(unknown, old.id()), Err(Error::Schema { .. })));
}

#[test]
fn migrations_that_do_not_fit_are_refused_with_the_step() {
    let (old, new) = (schema(1, &["a", "b"]), schema(2, &["a", "c"]));
    let text = |name: &str| name.to_owned();
    let cases = [
        (vec![rename("x", "c")], "step 1: there is no feature `x`"),
        (vec![rename("b", "a")], "step 1: there is a feature `a` already"),
        (vec![Step::Drop(text("b")), Step::Drop(text("b"))], "step 2: there is no feature `b`"),
        (vec![Step::Drop(text("b")), derive("c", Formula::Copy(text("b")))], "step 2: there is no feature `b`"),
        (vec![derive("c", Formula::Sum(vec![]))], "step 1: there are no features"),
        (vec![Step::Drop(text("b"))], "`c` is in the schema"),
        (vec![default("c", None)], "`b` is at its end"),
        (
            vec![
                Step::Drop(text("b")),
                Step::Default { feature: text("c"), kind: FeatureKind::Boolean, value: Some(1.0) },
            ],
            "`c` is boolean at its end and numeric",
        ),
    ];
    for (steps, wanted) in cases {
        let refused = migrate(&old, &new, steps).unwrap_err();
        assert!(matches!(refused, Error::Migration { .. }) && refused.to_string().contains(wanted), "{refused}");
    }
    let migration = Migration { from: old.id(), to: new.id(), steps: Vec::new() };
    let refused = Migrations::new(vec![old], vec![migration]).unwrap_err();
    assert!(refused.to_string().contains("is not declared"), "{refused}");
    for odd in [r#"{"drop": "a", "keep": "b"}"#, r#"{"rename": {"from": "a", "to": "b", "how": 1}}"#, r#""drop""#] {
        assert!(serde_json::from_str::<Step>(odd).is_err(), "{odd}");
    }
}

#[test]
fn a_feature_that_means_something_else_does_not_pass_as_it_is() {
    let lang = |version, values: &str| {
        FeatureSchema::new(version, vec![Feature::new("lang", FeatureKind::Categorical).with_meaning(values)]).unwrap()
    };
    let (old, new) = (lang(1, "en, de"), lang(2, "de, en"));
    let none = Migrations::new(vec![old.clone(), new.clone()], Vec::new()).unwrap();
    assert!(matches!(none.adapter(new.id(), old.id()), Err(Error::Schema { .. })));
    let refused = migrate(&new, &old, Vec::new()).unwrap_err().to_string();
    assert!(refused.contains("`lang` means `de, en`") && refused.contains("drop it"), "{refused}");
    let kind = FeatureKind::Categorical;
    let missing = Step::Default { feature: "lang".to_owned(), kind, value: None };
    let anew = migrate(&new, &old, vec![Step::Drop("lang".to_owned()), missing]).unwrap();
    assert!(anew.adapter(new.id(), old.id()).is_ok());
    // Where one of them does not say, the migration does.
    let silent = FeatureSchema::new(3, vec![Feature::new("lang", kind)]).unwrap();
    assert!(migrate(&new, &silent, Vec::new()).unwrap().adapter(silent.id(), new.id()).is_ok());
}

/// Features as a program knows them that keeps each row as a map, and steps that may be taken on them.
struct Walk {
    random: SplitMix64,
    names: Vec<String>,
    rows: Vec<Vec<f32>>,
    made: usize,
}

impl Walk {
    fn schema(&mut self, version: u32) -> FeatureSchema {
        let names: Vec<&str> = self.names.iter().map(String::as_str).collect();
        schema(version, &names)
    }

    fn pick(&mut self) -> usize {
        self.random.below(self.names.len())
    }

    fn name(&mut self) -> String {
        self.made += 1;
        format!("new {}", self.made)
    }

    fn push(&mut self, name: &str, value: impl Fn(&[f32]) -> f32) {
        self.names.push(name.to_owned());
        for row in &mut self.rows {
            let value = value(row);
            row.push(value);
        }
    }

    fn step(&mut self, may_drop: bool) -> Step {
        let (one, two) = (self.pick(), self.pick());
        let (first, second) = (self.names[one].clone(), self.names[two].clone());
        let missing = |value: f64| if (value as f32).is_finite() { value as f32 } else { f32::NAN };
        match self.random.below(if may_drop { 5 } else { 4 }) {
            0 | 1 => {
                let name = self.name();
                self.names[one].clone_from(&name);
                rename(&first, &name)
            }
            2 => {
                let name = self.name();
                self.push(&name, |_| 7.5);
                default(&name, Some(7.5))
            }
            4 if self.names.len() > 1 => {
                self.names.remove(one);
                for row in &mut self.rows {
                    row.remove(one);
                }
                Step::Drop(first)
            }
            _ => {
                let name = self.name();
                self.push(&name, |row| missing(f64::from(row[one]) / f64::from(row[two])));
                derive(&name, Formula::Ratio(first, second))
            }
        }
    }

    /// The features change places, as they may from schema to schema.
    fn shuffle(&mut self) {
        let mut order: Vec<usize> = (0..self.names.len()).collect();
        self.random.shuffle(&mut order);
        self.names = order.iter().map(|&at| self.names[at].clone()).collect();
        for row in &mut self.rows {
            *row = order.iter().map(|&at| row[at]).collect();
        }
    }
}

fn canonical(values: &[f32]) -> Vec<u32> {
    let one_nan = |value: &f32| if value.is_nan() { f32::NAN } else { *value };
    bits(&values.iter().map(one_nan).collect::<Vec<_>>())
}

proptest! {
    #[test]
    fn the_way_over_several_migrations_does_what_they_do(seed in any::<u64>(), may_drop in any::<bool>()) {
        let mut random = SplitMix64::new(seed);
        let columns = 1 + random.below(5);
        let start: Vec<f32> =
            (0..3 * columns).map(|_| if random.below(5) == 0 { f32::NAN } else { random.below(4) as f32 }).collect();
        let names = (0..columns).map(|column| format!("old {column}")).collect();
        let mut walk = Walk { random, names, rows: start.chunks(columns).map(<[f32]>::to_vec).collect(), made: 0 };
        let mut schemas = vec![walk.schema(0)];
        let mut migrations = Vec::new();
        for version in 1..4 {
            let steps: Vec<Step> = (0..walk.random.below(5)).map(|_| walk.step(may_drop)).collect();
            walk.shuffle();
            let next = walk.schema(version);
            let from = schemas[schemas.len() - 1].id();
            let migration = Migration { from, to: next.id(), steps };
            let json = serde_json::to_string(&migration).unwrap();
            migrations.push(serde_json::from_str::<Migration>(&json).unwrap());
            schemas.push(next);
        }
        let (first, last) = (schemas[0].id(), schemas[3].id());
        let known = Migrations::new(schemas, migrations).unwrap();
        let there = known.adapter(first, last).unwrap();
        let rows = Rows::new(&start, columns).unwrap();
        let adapted = there.rows(rows).unwrap();
        prop_assert_eq!(canonical(&adapted), canonical(&walk.rows.concat()));
        prop_assert!(known.adapter(first, first).unwrap().is_identity());
        if !may_drop {
            // Names come back and what is new goes, so that the row is the old one to the bit.
            let back = known.adapter(last, first).unwrap();
            let returned = back.rows(Rows::new(&adapted, there.columns_after()).unwrap()).unwrap();
            prop_assert_eq!(bits(&returned), bits(&start));
        }
    }
}
