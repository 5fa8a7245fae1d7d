//! The vocabulary of a teacher, and synthetic texts of its pieces.

use rag_ltr::random::SplitMix64;
use serde_json::Value as Json;

use super::refuse_other_tokenizers;
use crate::embed::TransformerModel;
use crate::embed::candle::TokenIds;
use crate::error::Result;

/// How often each piece is in a text at least, pieces of a text that come from such a round, and words added to them.
const ROUNDS: usize = 6;
const GROUP: usize = 12;
const COMMON: usize = 4;

/// Rank that pieces of one character count with: letters and marks are frequent, and say little.
const RANK_OF_CHARACTERS: f64 = 3.0;

/// The pieces that get a vector, and how likely each is in a text.
#[derive(Debug)]
pub(super) struct Vocabulary {
    pieces: Vec<String>,
    ids: Vec<u32>,
    probabilities: Vec<f64>,
    /// The tokens before and after a text.
    frame: (u32, u32),
}

impl Vocabulary {
    /// All pieces of the teacher but special and unused ones.
    pub(super) fn of(teacher: &TransformerModel) -> Result<Vocabulary> {
        let described = teacher.describe_tokenizer()?;
        check(&described)?;
        let frame = match teacher.tokenize("")?.ids[..] {
            [before, after] => (before, after),
            _ => return Err(refuse_other_tokenizers("puts something else around a text")),
        };
        let special: Vec<&str> = described["added_tokens"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|token| token["content"].as_str())
            .collect();
        let known = described["model"]["vocab"].as_object().into_iter().flatten();
        let mut known: Vec<(u32, &String)> =
            known.filter_map(|(piece, id)| Some((u32::try_from(id.as_u64()?).ok()?, piece))).collect();
        known.retain(|(_, piece)| {
            !special.contains(&piece.as_str()) && !piece.starts_with("[unused") && !piece.contains('\n')
        });
        known.sort_unstable();
        // Zipf's law as Mandelbrot put it: vocabularies are in the order of frequency, but for single characters, which
        // stand at the front and are none of the sum.
        let zipf = |rank: f64| 1.0 / (rank + 2.7);
        let (mut rank, mut sum) = (0.0, 0.0);
        let mut weights = Vec::with_capacity(known.len());
        for (_, piece) in &known {
            if is_character(piece) {
                weights.push(zipf(RANK_OF_CHARACTERS));
            } else {
                weights.push(zipf(rank));
                sum += zipf(rank);
                rank += 1.0;
            }
        }
        Ok(Vocabulary {
            pieces: known.iter().map(|(_, piece)| (*piece).clone()).collect(),
            ids: known.iter().map(|(id, _)| *id).collect(),
            probabilities: weights.iter().map(|weight| weight / sum).collect(),
            frame,
        })
    }

    pub(super) fn len(&self) -> usize {
        self.pieces.len()
    }

    pub(super) fn pieces(&self) -> &[String] {
        &self.pieces
    }

    pub(super) fn probabilities(&self) -> &[f64] {
        &self.probabilities
    }

    /// The rows as a text that the teacher reads.
    pub(super) fn framed(&self, rows: &[usize]) -> TokenIds {
        let pieces = rows.iter().filter_map(|&row| self.ids.get(row).copied());
        let ids = std::iter::once(self.frame.0).chain(pieces).chain([self.frame.1]).collect();
        TokenIds { ids, truncated: false }
    }
}

/// Whether a piece is one character, as a word or within one.
fn is_character(piece: &str) -> bool {
    let body = piece.strip_prefix("##").filter(|body| !body.is_empty()).unwrap_or(piece);
    body.chars().nth(1).is_none()
}

/// Refuses what our own reading of text would not follow.
fn check(described: &Json) -> Result<()> {
    let model = &described["model"];
    if model["type"] != "WordPiece" {
        return Err(refuse_other_tokenizers(&format!("is of the type {}", model["type"])));
    }
    if model["continuing_subword_prefix"].as_str().is_some_and(|prefix| prefix != "##") {
        return Err(refuse_other_tokenizers("marks pieces within a word in another way than with ##"));
    }
    let normalizer = &described["normalizer"];
    if normalizer["type"] != "BertNormalizer" || normalizer["lowercase"] != true || normalizer["strip_accents"] == false
    {
        return Err(refuse_other_tokenizers("keeps capital letters or accents"));
    }
    Ok(())
}

/// Groups of rows: shuffled rounds of the whole vocabulary, so that each piece is in some texts, with frequent words
/// among them, so that texts look a little like texts.
pub(super) fn synthetic(vocabulary: &Vocabulary, seed: u64) -> Vec<Vec<usize>> {
    let mut random = SplitMix64::new(seed);
    let words: Vec<usize> = (0..vocabulary.len())
        .filter(|&row| vocabulary.pieces.get(row).is_some_and(|piece| !piece.starts_with("##") && !is_character(piece)))
        .collect();
    let mut sum = 0.0;
    let cumulative: Vec<f64> = words
        .iter()
        .map(|&row| {
            sum += vocabulary.probabilities.get(row).copied().unwrap_or_default();
            sum
        })
        .collect();
    let mut groups = Vec::with_capacity(ROUNDS * vocabulary.len().div_ceil(GROUP));
    let mut order: Vec<usize> = (0..vocabulary.len()).collect();
    for _ in 0..ROUNDS {
        random.shuffle(&mut order);
        for part in order.chunks(GROUP) {
            let mut group = part.to_vec();
            for _ in 0..COMMON {
                let at = random.fraction() * sum;
                group.extend(words.get(cumulative.partition_point(|&upto| upto <= at)).copied());
            }
            random.shuffle(&mut group);
            groups.push(group);
        }
    }
    groups
}
