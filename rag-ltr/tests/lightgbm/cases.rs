//! Cases as `make_lightgbm.py` writes them, and what must hold of each.

use rag_ltr::model::{Condition, Ensemble, Model};
use rag_ltr::{Ranker, Rows};
use serde::Deserialize;

/// One model with rows and what LightGBM answers for them.
#[derive(Deserialize)]
pub(crate) struct Case {
    pub(crate) name: String,
    columns: usize,
    pub(crate) text: String,
    pub(crate) json: Option<String>,
    rows: String,
    margins: String,
    predictions: String,
}

pub(crate) fn hexadecimal<const N: usize>(digits: &str) -> Vec<[u8; N]> {
    assert_eq!(digits.len() % (2 * N), 0, "{digits}");
    let byte = |digits: &[u8]| u8::from_str_radix(std::str::from_utf8(digits).unwrap(), 16).unwrap();
    let bytes: Vec<u8> = digits.as_bytes().chunks_exact(2).map(byte).collect();
    bytes.chunks_exact(N).map(|bytes| bytes.try_into().unwrap()).collect()
}

pub(crate) fn doubles(digits: &str) -> Vec<f64> {
    hexadecimal(digits).into_iter().map(f64::from_le_bytes).collect()
}

/// Equal to the bit; any NaN is as good as another.
pub(crate) fn assert_same_bits(name: &str, ours: &[f64], theirs: &[f64]) {
    assert_eq!(ours.len(), theirs.len(), "{name}: rows");
    for (row, (ours, theirs)) in ours.iter().zip(theirs).enumerate() {
        let same = ours.to_bits() == theirs.to_bits() || ours.is_nan() && theirs.is_nan();
        assert!(same, "{name}, row {row}: {ours:e} is not {theirs:e}");
    }
}

/// Equal, or neighbours.
fn assert_within_an_ulp(name: &str, ours: &[f64], theirs: &[f64]) {
    for (row, (&ours, &theirs)) in ours.iter().zip(theirs).enumerate() {
        let near = [theirs, theirs.next_up(), theirs.next_down()].contains(&ours) || ours.is_nan() && theirs.is_nan();
        assert!(near, "{name}, row {row}: the prediction {ours:e} is not {theirs:e}");
    }
}

/// What JSON has less precisely in the text, or not at all, taken out.
fn bare(ensemble: &Ensemble) -> Ensemble {
    let mut parts = ensemble.clone().into_parts();
    for tree in &mut parts.trees {
        for split in &mut tree.splits {
            (split.gain, split.value, split.weight) = (0.0, 0.0, 0.0);
            if let Condition::OneOf(words) = &mut split.condition {
                words.truncate(words.len() - words.iter().rev().take_while(|word| **word == 0).count());
            }
        }
        if let [leaf] = tree.leaves.as_mut_slice() {
            leaf.weight = 0.0;
        }
    }
    Ensemble::checked(parts).unwrap()
}

impl Case {
    pub(crate) fn read(&self) -> Ensemble {
        Ensemble::from_lightgbm(self.text.as_bytes()).unwrap_or_else(|error| panic!("{}: {error}", self.name))
    }

    /// Number of values that differ from LightGBM's is 0, in every form of the model.
    pub(crate) fn check(&self) {
        let name = &self.name;
        let values: Vec<f32> = hexadecimal(&self.rows).into_iter().map(f32::from_le_bytes).collect();
        let rows = Rows::new(&values, self.columns).unwrap();
        let (margins, predictions) = (doubles(&self.margins), doubles(&self.predictions));

        let ensemble = self.read();
        assert_same_bits(name, &ensemble.margins(rows).unwrap(), &margins);
        assert_same_bits(name, &ensemble.margins_plainly(rows).unwrap(), &margins);
        let ranker = Ranker::new(Model::Trees(ensemble.clone())).unwrap();
        assert_within_an_ulp(name, &ranker.score(rows).unwrap(), &predictions);

        let written = ensemble.to_lightgbm().unwrap_or_else(|error| panic!("{name}: {error}"));
        let again = Ensemble::from_lightgbm(written.as_bytes()).unwrap();
        assert!(again == ensemble, "{name}: written and read");
        assert_eq!(again.to_lightgbm().unwrap(), written, "{name}: written twice");

        if let Some(json) = &self.json {
            let of_json = Ensemble::from_lightgbm(json.as_bytes()).unwrap_or_else(|error| panic!("{name}: {error}"));
            assert!(bare(&of_json) == bare(&ensemble), "{name}: JSON and text");
        }
    }
}
