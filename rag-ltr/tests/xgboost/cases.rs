//! A model with what XGBoost answers for rows, as `fixtures/make_xgboost.py` writes it.

use std::path::Path;

use rag_ltr::model::{Model, Ranker, xgboost};
use rag_ltr::{Error, Rows};
use serde::Deserialize;

/// Floats are the bits of 32.
#[derive(Deserialize)]
pub(crate) struct Case {
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) json: Option<String>,
    #[serde(default)]
    pub(crate) ubjson: Option<String>,
    pub(crate) columns: usize,
    pub(crate) rows: Vec<u32>,
    pub(crate) margins: Vec<u32>,
    pub(crate) predictions: Vec<u32>,
}

/// A model that must be refused, and a part of the message.
#[derive(Deserialize)]
pub(crate) struct Refused {
    pub(crate) name: String,
    pub(crate) ubjson: String,
    pub(crate) says: String,
}

#[derive(Deserialize)]
pub(crate) struct Fixture {
    pub(crate) cases: Vec<Case>,
    pub(crate) refused: Vec<Refused>,
}

impl Fixture {
    pub(crate) fn read() -> Fixture {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/xgboost.json.gz");
        let file = std::fs::File::open(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        serde_json::from_reader(std::io::BufReader::new(flate2::read::GzDecoder::new(file))).unwrap()
    }

    pub(crate) fn case(&self, name: &str) -> &Case {
        self.cases.iter().find(|case| case.name == name).unwrap_or_else(|| panic!("no case {name}"))
    }
}

pub(crate) fn from_hex(digits: &str) -> Vec<u8> {
    let digit = |byte: u8| (byte as char).to_digit(16).unwrap() as u8;
    digits.as_bytes().chunks_exact(2).map(|pair| digit(pair[0]) << 4 | digit(pair[1])).collect()
}

fn floats(bits: &[u32]) -> Vec<f32> {
    bits.iter().copied().map(f32::from_bits).collect()
}

impl Case {
    /// The model in each form that the case has.
    pub(crate) fn files(&self) -> Vec<Vec<u8>> {
        let json = self.json.iter().map(|text| text.as_bytes().to_vec());
        json.chain(self.ubjson.as_deref().map(from_hex)).collect()
    }

    pub(crate) fn models(&self) -> Vec<Model> {
        let read = |file: Vec<u8>| xgboost::read(&file).unwrap_or_else(|error| panic!("{}: {error}", self.name));
        self.files().into_iter().map(read).collect()
    }

    /// Every form gives the same model; it answers as XGBoost does, to the last bit.
    pub(crate) fn check(&self) {
        let (name, models) = (&self.name, self.models());
        assert!(models.windows(2).all(|pair| pair[0] == pair[1]), "{name}: JSON and UBJSON differ");
        let values = floats(&self.rows);
        let rows = Rows::new(&values, self.columns).unwrap();
        assert!(!rows.is_empty() && rows.len() == self.margins.len() && rows.len() == self.predictions.len(), "{name}");
        for model in models {
            if let Model::Trees(trees) = &model {
                self.assert_equal("plain margin", rows, &trees.margins_plainly(rows).unwrap(), &self.margins);
            }
            let ranker = Ranker::new(model).unwrap();
            self.assert_equal("margin", rows, &ranker.margins(rows).unwrap(), &self.margins);
            self.assert_equal("prediction", rows, &ranker.score(rows).unwrap(), &self.predictions);
        }
    }

    fn assert_equal(&self, what: &str, rows: Rows<'_>, ours: &[f64], theirs: &[u32]) {
        for (row, (&ours, &theirs)) in ours.iter().zip(theirs).enumerate() {
            let (theirs, name, values) = (f32::from_bits(theirs), &self.name, rows.row(row));
            // Zeros are equal whatever their sign: XGBoost adds each tree of `dart` to a zero first.
            let is_equal = ours == f64::from(theirs) || ours.is_nan() && theirs.is_nan();
            assert!(is_equal, "{name}, row {row} {values:?}: {what} {ours:e}, not {theirs:e}");
        }
    }
}

/// Reads bytes that may be anything; a model that comes of them is scored.
pub(crate) fn read_and_score(bytes: &[u8]) -> Result<(), Error> {
    let ranker = Ranker::new(xgboost::read(bytes)?)?;
    let columns = ranker.columns();
    let values: Vec<f32> = [f32::NAN, 0.5, f32::INFINITY, -0.0].iter().flat_map(|&v| vec![v; columns]).collect();
    let rows = Rows::new(&values, columns)?;
    let bits = |margins: Vec<f64>| margins.into_iter().map(f64::to_bits).collect::<Vec<_>>();
    let margins = bits(ranker.margins(rows)?);
    if let Model::Trees(trees) = ranker.model() {
        assert_eq!(margins, bits(trees.margins_plainly(rows)?));
    }
    assert_eq!((margins.len(), ranker.score(rows)?.len()), (4, 4));
    Ok(())
}
