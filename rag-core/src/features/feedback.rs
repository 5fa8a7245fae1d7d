//! Pseudo-relevance feedback: how like a candidate is to the best candidates of the fused ranking.

use std::collections::HashMap;

use rag_fusion::FusedHit;

use super::extract::Work;
use super::text::{B, K1};
use crate::distance::dot_f32;
use crate::embed::mean_vector;
use crate::error::Result;
use crate::lexical::BODY;

/// The best candidates, which are taken for relevant.
const DOCUMENTS: usize = 10;

/// Words that are taken from them.
const WORDS: usize = 30;

/// Words whose rarity is looked up for that, and bytes of each text that are read.
const CONSIDERED: usize = 200;
const MOST_BYTES: usize = 64 << 10;

/// The features of a candidate, in order.
pub(super) const NAMES: [&str; 3] = ["cosine", "nearest", "words"];

/// The best candidates, each with a weight: its fused score, scaled to all candidates.
struct Feedback {
    weights: Vec<f64>,
}

impl Feedback {
    fn new(pool: &[FusedHit]) -> Feedback {
        let least = pool.last().map_or(0.0, |hit| hit.score);
        let weights = pool.iter().take(DOCUMENTS).map(|hit| hit.score - least);
        let weights: Vec<f64> = weights.collect();
        // Candidates that are all alike count the same.
        let is_flat = weights.iter().all(|&weight| weight <= 0.0);
        Feedback { weights: if is_flat { vec![1.0; weights.len()] } else { weights } }
    }

    /// The mean of a value over the best candidates but the one at `position` itself; NaN where there is none.
    fn mean(&self, position: usize, value: impl Fn(usize) -> f64) -> f64 {
        let (mut sum, mut total) = (0.0, 0.0);
        for (other, weight) in self.weights.iter().enumerate().filter(|(other, _)| *other != position) {
            let value = value(other);
            if !value.is_nan() {
                sum += weight * value;
                total += weight;
            }
        }
        if total > 0.0 { sum / total } else { f64::NAN }
    }
}

impl Work<'_> {
    /// The features of every candidate, from the candidates in their fused order. A candidate never counts for itself.
    pub(super) fn add_feedback(&mut self, pool: &[FusedHit], values: &mut [f32]) -> Result<()> {
        let plan = &self.extractor.plan;
        if plan.feedback.is_empty() {
            return Ok(());
        }
        let feedback = Feedback::new(pool);
        let vectors: Vec<Vec<f32>> =
            self.docs.iter().map(|&doc| mean_vector(self.sources.vectors.vectors_of(doc), self.dimension())).collect();
        let words = self.feedback_words(&feedback)?;
        for (position, row) in values.chunks_exact_mut(self.extractor.plan.columns()).enumerate() {
            let cosine = |other: usize| match (&vectors[position][..], &vectors[other][..]) {
                ([], _) | (_, []) => f64::NAN,
                (one, other) => f64::from(dot_f32(one, other)),
            };
            let others = (0..feedback.weights.len()).filter(|&other| other != position);
            let nearest = others.map(cosine).fold(f64::NAN, f64::max);
            let features = [feedback.mean(position, cosine), nearest, words[position]];
            row[self.extractor.plan.feedback.clone()].copy_from_slice(&features.map(|value| value as f32));
        }
        Ok(())
    }

    fn dimension(&self) -> usize {
        self.sources.vectors.dimension()
    }

    /// BM25 of each candidate for the words that tell the best candidates from the rest, weighted as Rocchio (1971) and
    /// relevance models (Lavrenko & Croft 2001) do; NaN where there are no such words.
    fn feedback_words(&mut self, feedback: &Feedback) -> Result<Vec<f64>> {
        let missing = vec![f64::NAN; self.docs.len()];
        let mut shares: Vec<HashMap<String, f64>> = Vec::new();
        for position in 0..feedback.weights.len() {
            self.question.cancel.check()?;
            let record = self.record(position)?;
            let text = format!("{} {}", record.title, beginning(&record.text));
            let terms = self.sources.lexical.terms(&text);
            let share = 1.0 / terms.len().max(1) as f64;
            let mut shares_of_document = HashMap::new();
            for (_, word) in terms {
                *shares_of_document.entry(word).or_insert(0.0) += share;
            }
            shares.push(shares_of_document);
        }
        let mut weights: HashMap<&str, f64> = HashMap::new();
        for (share, weight) in shares.iter().zip(&feedback.weights) {
            for (word, share) in share {
                *weights.entry(word).or_default() += weight * share;
            }
        }
        let considered = heaviest(weights.into_iter().map(|(word, weight)| (word.to_owned(), weight)), CONSIDERED);
        let words: Vec<String> = considered.iter().map(|(word, _)| word.clone()).collect();
        let idf = &self.sources.lexical.statistics(&words)?[BODY].idf;
        let weighted = considered.into_iter().zip(idf).map(|((word, weight), idf)| (word, weight * idf));
        let mut words: Vec<String> = heaviest(weighted, WORDS).into_iter().map(|(word, _)| word).collect();
        if words.is_empty() {
            return Ok(missing);
        }
        words.sort_unstable();
        let statistics = &self.sources.lexical.statistics(&words)?[BODY];
        let occurrences = self.sources.lexical.occurrences(&words, &self.docs, self.question.cancel)?;
        // For each candidate the weight of each word without what the candidate itself says.
        let share = |other: usize, word: usize| shares[other].get(&words[word]).copied().unwrap_or(0.0);
        let all: Vec<f64> =
            (0..words.len()).map(|word| feedback.mean(usize::MAX, |other| share(other, word))).collect();
        let weights_for = |position: usize| -> Vec<f64> {
            let mut weights = if position < feedback.weights.len() {
                (0..words.len()).map(|word| feedback.mean(position, |other| share(other, word))).collect()
            } else {
                all.clone()
            };
            weights.iter_mut().zip(&statistics.idf).for_each(|(weight, idf)| *weight *= idf);
            let sum: f64 = weights.iter().sum();
            for weight in &mut weights {
                *weight /= sum;
            }
            weights
        };
        let weights: Vec<Vec<f64>> = (0..self.docs.len()).map(weights_for).collect();
        let mut scores = missing;
        for chunk in &occurrences.chunks {
            let norm = K1 * (1.0 - B + B * f64::from(chunk.lengths[BODY]) / statistics.mean_length);
            let score: f64 = occurrences
                .of(chunk, BODY)
                .map(|(word, positions)| {
                    let frequency = positions.len() as f64;
                    weights[chunk.document][word] * statistics.idf[word] * frequency * (K1 + 1.0) / (frequency + norm)
                })
                .sum();
            scores[chunk.document] = scores[chunk.document].max(score);
        }
        Ok(scores)
    }
}

/// The words with the largest weights; equal ones in the order of the words.
fn heaviest(words: impl Iterator<Item = (String, f64)>, count: usize) -> Vec<(String, f64)> {
    let mut words: Vec<(String, f64)> = words.filter(|(_, weight)| *weight > 0.0).collect();
    words.sort_by(|(one, heavy), (other, light)| light.total_cmp(heavy).then_with(|| one.cmp(other)));
    words.truncate(count);
    words
}

/// As much of a text as is read.
fn beginning(text: &str) -> &str {
    let end = (0..=MOST_BYTES.min(text.len())).rev().find(|&end| text.is_char_boundary(end)).unwrap_or(0);
    &text[..end]
}
