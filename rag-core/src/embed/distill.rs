//! Static models out of transformers: one vector for each piece of a word, so that the sum over a text is close to what
//! the transformer says of the text. No corpus and no judgments; `models/README.md` has the recipe and its figures.

mod regress;
mod texts;

use std::path::Path;

use rag_governance::Pooling;

use super::candle::{BATCH_TOKENS, TokenIds, pool};
use super::static_model::{Description, StaticModel, Table};
use super::{Embedder, TransformerModel, normalize};
use crate::error::{Error, ErrorKind, Result};
use crate::format::FileKind;
use crate::format::disk::Disk;
use crate::types::Cancel;
use regress::{axes, ridge};
use texts::{Vocabulary, synthetic};

/// Constant of the weight `a / (a + p)` of a piece with probability `p` (Arora et al. 2017).
const SIF: f64 = 3e-4;

/// How a static model is made.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq)]
pub struct DistillOptions {
    /// Name of the model, for people.
    pub name: String,
    /// Length of its vectors; at most the transformer's. Default 256.
    pub dimension: usize,
    /// Weight of its dense run in the default fusion, in `[0, 1]`. Default 0.26.
    pub dense_weight: f32,
    /// Seed of the synthetic texts. Default 1.
    pub seed: u64,
    /// Licence and attribution, kept in the file; the new model is derived from its teacher.
    pub licence: String,
}

impl DistillOptions {
    /// The settings of the bundled model, under another name.
    pub fn new(name: impl Into<String>) -> Self {
        DistillOptions { name: name.into(), dimension: 256, dense_weight: 0.26, seed: 1, licence: String::new() }
    }

    /// Sets the length of the vectors.
    #[must_use]
    pub fn with_dimension(mut self, dimension: usize) -> Self {
        self.dimension = dimension;
        self
    }

    /// Sets the weight of the dense run.
    #[must_use]
    pub fn with_dense_weight(mut self, dense_weight: f32) -> Self {
        self.dense_weight = dense_weight;
        self
    }

    /// Sets the licence and attribution.
    #[must_use]
    pub fn with_licence(mut self, licence: impl Into<String>) -> Self {
        self.licence = licence.into();
        self
    }

    /// Sets the seed.
    #[must_use]
    pub fn with_seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }
}

/// Makes a static model out of `teacher` and writes it to `path`, whole or not at all. On one thread, so that one machine
/// makes the same bytes each time; a model of the size of MiniLM takes some minutes. `progress` is called with the texts
/// that are done and all of them.
///
/// # Errors
/// `InvalidArgument` for an option out of range, `Unsupported` for a teacher that does not read text as uncased BERT
/// does, `Corruption` for one whose outputs are not finite, `Cancelled`, failures of the disk.
pub fn distill(
    teacher: &TransformerModel,
    options: &DistillOptions,
    path: &Path,
    cancel: &Cancel,
    progress: &mut (dyn FnMut(usize, usize) + Send),
) -> Result<StaticModel> {
    validate(teacher, options)?;
    let one = rayon::ThreadPoolBuilder::new().num_threads(1).build();
    let one = one.map_err(|error| Error::internal(format!("no thread to compute in: {error}")).with_source(error))?;
    let table = one.install(|| table(teacher, options, cancel, progress))?;
    let payload = table.encode()?;
    StaticModel::check(&payload)?;
    Disk::default().write_atomic(path, FileKind::Model, |out| out.write_all(&payload))?;
    let file = std::fs::read(path).map_err(|error| Error::io("read", path, error))?;
    StaticModel::from_bytes(&file)
}

fn validate(teacher: &TransformerModel, options: &DistillOptions) -> Result<()> {
    let most = teacher.dimension();
    if !(1..=most).contains(&options.dimension) {
        return Err(Error::invalid(format!("`dimension` is {}; the teacher allows 1 to {most}", options.dimension)));
    }
    if !(0.0..=1.0).contains(&options.dense_weight) {
        return Err(Error::invalid(format!("`dense_weight` is {}; give 0 to 1", options.dense_weight)));
    }
    if options.name.trim().is_empty() {
        return Err(Error::invalid("`name` is empty; name the model"));
    }
    Ok(())
}

fn table(
    teacher: &TransformerModel,
    options: &DistillOptions,
    cancel: &Cancel,
    progress: &mut (dyn FnMut(usize, usize) + Send),
) -> Result<Table> {
    let dimension = teacher.dimension();
    let vocabulary = Vocabulary::of(teacher)?;
    let groups = synthetic(&vocabulary, options.seed);
    let total = vocabulary.len() + groups.len();
    let mut done = 0;
    let mut told = || {
        done += 1;
        progress(done, total);
    };

    // What the teacher says of each piece alone, and of each synthetic text.
    let alone: Vec<TokenIds> = (0..vocabulary.len()).map(|row| vocabulary.framed(&[row])).collect();
    let mut prior = vec![0f32; vocabulary.len() * dimension];
    teacher.outputs(&alone, BATCH_TOKENS, cancel, |at, outputs| {
        put(&mut prior, dimension, at, &pool(outputs, dimension, Pooling::Cls, 0));
        told();
    })?;
    let framed: Vec<TokenIds> = groups.iter().map(|group| vocabulary.framed(group)).collect();
    let mut targets = targets(teacher, &framed, cancel, &mut told)?;
    centre(&mut prior, dimension);
    centre(&mut targets, dimension);

    let vectors = ridge(&groups, &targets, &prior, dimension, cancel)?;
    if !vectors.iter().all(|value| value.is_finite()) {
        let message = "the teacher's outputs are not finite; its model.safetensors holds numbers that are damaged";
        return Err(Error::corruption(message));
    }
    let mut rows = axes(&vectors, dimension, options.dimension)?;
    for (row, probability) in rows.chunks_exact_mut(options.dimension).zip(vocabulary.probabilities()) {
        let weight = (SIF / (SIF + probability)) as f32;
        for value in row {
            *value *= weight;
        }
    }
    let description = Description {
        name: options.name.clone(),
        dense_weight: options.dense_weight,
        source: teacher.identity().to_string(),
        licence: options.licence.clone(),
    };
    Ok(Table::quantise(description, vocabulary.pieces(), &rows, options.dimension))
}

/// The vector that the teacher gives each text.
fn targets(
    teacher: &TransformerModel,
    texts: &[TokenIds],
    cancel: &Cancel,
    told: &mut dyn FnMut(),
) -> Result<Vec<f32>> {
    let (dimension, pooling) = (teacher.dimension(), teacher.identity().pooling);
    let mut targets = vec![0f32; texts.len() * dimension];
    teacher.outputs(texts, BATCH_TOKENS, cancel, |at, outputs| {
        let mut target = pool(outputs, dimension, pooling, 0);
        normalize(&mut target);
        put(&mut targets, dimension, at, &target);
        told();
    })?;
    Ok(targets)
}

fn put(matrix: &mut [f32], dimension: usize, at: usize, row: &[f32]) {
    if let Some(place) = matrix.get_mut(at * dimension..(at + 1) * dimension) {
        place.copy_from_slice(row);
    }
}

/// Takes the mean row from every row.
fn centre(matrix: &mut [f32], dimension: usize) {
    let mut mean = vec![0f64; dimension];
    for row in matrix.chunks_exact(dimension) {
        for (mean, &value) in mean.iter_mut().zip(row) {
            *mean += f64::from(value);
        }
    }
    let rows = (matrix.len() / dimension).max(1) as f64;
    for row in matrix.chunks_exact_mut(dimension) {
        for (value, mean) in row.iter_mut().zip(&mean) {
            *value = (f64::from(*value) - mean / rows) as f32;
        }
    }
}

/// What the static model reads text by.
fn refuse_other_tokenizers(problem: &str) -> Error {
    Error::new(
        ErrorKind::Unsupported,
        format!(
            "the tokeniser {problem}; static models are made of uncased BERT models with one token before a text and one after it"
        ),
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::embed::{ModelOptions, TextKind};

    fn fixture() -> std::path::PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/tiny-bert")
    }

    fn teacher() -> TransformerModel {
        TransformerModel::load(&fixture(), &ModelOptions::new()).unwrap()
    }

    /// A copy of the fixture with this file changed.
    fn teacher_with(file: &str, change: impl Fn(&mut Vec<u8>)) -> TransformerModel {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("1_Pooling")).unwrap();
        for name in ["config.json", "modules.json", "1_Pooling/config.json", "tokenizer.json", "model.safetensors"] {
            let mut bytes = std::fs::read(fixture().join(name)).unwrap();
            if name == file {
                change(&mut bytes);
            }
            std::fs::write(folder.path().join(name), bytes).unwrap();
        }
        TransformerModel::load(folder.path(), &ModelOptions::new()).unwrap()
    }

    #[test]
    fn the_same_bytes_each_time_and_a_model_that_knows_its_words() {
        let folder = tempfile::tempdir().unwrap();
        let (one, two) = (folder.path().join("one.ragm"), folder.path().join("two.ragm"));
        let options = DistillOptions::new("tiny").with_dimension(8).with_dense_weight(0.5);
        let mut seen = (0, 0);
        let model = distill(&teacher(), &options, &one, &Cancel::never(), &mut |done, all| seen = (done, all)).unwrap();
        let wide = rayon::ThreadPoolBuilder::new().num_threads(3).build().unwrap();
        wide.install(|| distill(&teacher(), &options, &two, &Cancel::never(), &mut |_, _| ()).unwrap());
        assert_eq!(std::fs::read(&one).unwrap(), std::fs::read(&two).unwrap());
        assert!(seen.0 == seen.1 && seen.0 > 24, "{seen:?}");
        assert_eq!((model.dimension(), model.dense_weight()), (8, 0.5));
        let texts = ["the cat", "cat the", "unable", "zebra"];
        let embedded = model.embed(&texts, TextKind::Passage, &Cancel::never()).unwrap();
        assert_eq!(embedded.get(0), embedded.get(1), "a sum knows no order");
        assert_ne!(embedded.get(0), embedded.get(2));
        assert!(embedded.get(3).unwrap().iter().all(|&value| value == 0.0), "an unknown word");
        let other = options.clone().with_seed(2);
        distill(&teacher(), &other, &two, &Cancel::never(), &mut |_, _| ()).unwrap();
        assert_ne!(std::fs::read(&one).unwrap(), std::fs::read(&two).unwrap());
    }

    #[test]
    fn the_targets_are_the_vectors_of_the_teacher_by_its_own_pooling() {
        for mode in ["mean_tokens", "cls_token", "lasttoken"] {
            let pooling = format!(r#"{{"pooling_mode_{mode}": true}}"#);
            let teacher = teacher_with("1_Pooling/config.json", |bytes| *bytes = pooling.clone().into_bytes());
            let texts = ["the cat sat on the mat", "dog", "alpine pass closed"];
            let tokens: Vec<TokenIds> = texts.iter().map(|text| teacher.tokenize(text).unwrap()).collect();
            let mut told = 0;
            let given = targets(&teacher, &tokens, &Cancel::never(), &mut || told += 1).unwrap();
            let wanted = teacher.embed(&texts, TextKind::Passage, &Cancel::never()).unwrap();
            assert_eq!(given, wanted.vectors, "{mode}");
            assert_eq!(told, texts.len());
        }
    }

    #[test]
    fn another_pooling_gives_another_model() {
        let folder = tempfile::tempdir().unwrap();
        let options = DistillOptions::new("tiny").with_dimension(8);
        let embedded = |teacher: &TransformerModel, file: &str| {
            let model =
                distill(teacher, &options, &folder.path().join(file), &Cancel::never(), &mut |_, _| ()).unwrap();
            model.embed(&["the cat sat", "unable"], TextKind::Passage, &Cancel::never()).unwrap().vectors
        };
        let pooling = br#"{"pooling_mode_cls_token": true}"#;
        let cls = teacher_with("1_Pooling/config.json", |bytes| *bytes = pooling.to_vec());
        assert_ne!(embedded(&teacher(), "mean.ragm"), embedded(&cls, "cls.ragm"));
    }

    #[test]
    fn a_teacher_that_is_not_finite_leaves_no_file() {
        let teacher = teacher_with("model.safetensors", |bytes| {
            let header = u64::from_le_bytes(std::array::from_fn(|i| bytes[i])) as usize;
            for number in bytes[8 + header..].as_chunks_mut::<4>().0 {
                *number = f32::NAN.to_le_bytes();
            }
        });
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("none.ragm");
        let options = DistillOptions::new("tiny").with_dimension(8);
        let error = distill(&teacher, &options, &path, &Cancel::never(), &mut |_, _| ()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corruption);
        assert!(error.to_string().contains("model.safetensors"), "{error}");
        assert!(!path.exists());
    }

    #[test]
    fn options_are_checked_and_a_stop_leaves_no_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("none.ragm");
        let refused = |options: DistillOptions, cancel: &Cancel| {
            distill(&teacher(), &options, &path, cancel, &mut |_, _| ()).unwrap_err()
        };
        let tiny = || DistillOptions::new("tiny").with_dimension(8);
        let never = Cancel::never();
        assert!(refused(tiny().with_dimension(17), &never).to_string().contains("`dimension`"));
        assert!(refused(tiny().with_dense_weight(f32::NAN), &never).to_string().contains("`dense_weight`"));
        assert!(refused(DistillOptions { name: " ".into(), ..tiny() }, &never).to_string().contains("`name`"));
        let stopped = Cancel::never();
        stopped.cancel();
        assert_eq!(refused(tiny(), &stopped).kind(), ErrorKind::Cancelled);
        assert!(!path.exists());
    }
}
