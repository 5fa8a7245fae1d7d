//! The committed cases.

use std::collections::BTreeSet;
use std::io::Read;
use std::path::Path;

use rag_ltr::model::{Condition, Ensemble, Missing};
use serde::Deserialize;

use crate::cases::Case;

#[derive(Deserialize)]
struct Fixture {
    cases: Vec<Case>,
}

pub(crate) fn fixture(version: &str) -> Vec<Case> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/lightgbm");
    let file = std::fs::File::open(folder.join(format!("{version}.json.gz"))).unwrap();
    let mut text = String::new();
    flate2::read::GzDecoder::new(file).read_to_string(&mut text).unwrap();
    serde_json::from_str::<Fixture>(&text).unwrap().cases
}

#[test]
fn models_of_lightgbm_4_score_to_the_bit() {
    fixture("v4").iter().for_each(Case::check);
}

#[test]
fn models_of_lightgbm_3_score_to_the_bit() {
    fixture("v3").iter().for_each(Case::check);
}

/// The cases have what they are there for.
#[test]
fn the_cases_cover_the_formats() {
    for version in ["v3", "v4"] {
        let cases = fixture(version);
        assert!(cases.iter().all(|case| case.text.contains(&format!("\nversion={version}\n"))));
        let ensembles: Vec<Ensemble> = cases.iter().map(Case::read).collect();
        let trees = || ensembles.iter().flat_map(|ensemble| &ensemble.parts().trees);
        let splits = || trees().flat_map(|tree| &tree.splits);
        for missing in [Missing::Zero, Missing::Nan] {
            for left in [false, true] {
                let found = splits().any(|split| (split.missing, split.missing_left) == (missing, left));
                assert!(found, "{version}: {missing:?}, {left}");
            }
        }
        assert!(splits().any(|split| matches!(&split.condition, Condition::OneOf(words) if words.len() > 1)));
        assert!(
            splits().any(|split| matches!(split.condition, Condition::AtMost(threshold) if threshold.abs() < 2e-35))
        );
        assert!(splits().any(|split| split.condition == Condition::AtMost(f64::INFINITY)));
        assert!(trees().any(|tree| tree.leaves.len() == 1) && trees().any(|tree| tree.leaves.len() > 64));
        let linear = || trees().flat_map(|tree| &tree.leaves).filter_map(|leaf| leaf.linear.as_ref());
        assert!(linear().any(|linear| linear.terms.is_empty()) && linear().any(|linear| linear.terms.len() > 1));
        assert!(ensembles.iter().any(|ensemble| ensemble.parts().average));
        let links: BTreeSet<String> = ensembles.iter().map(|ensemble| format!("{:?}", ensemble.parts().link)).collect();
        assert!(links.len() >= 7, "{links:?}");
        assert!(cases.iter().filter(|case| case.json.is_some()).count() >= 10);
    }
}
