//! The features of pseudo-relevance feedback against a plain computation of their formulas.

use std::collections::{BTreeMap, BTreeSet};

use rag_ltr::random::SplitMix64;

use super::ranking::{features_of, with};
use super::*;
use crate::embed::TextKind;
use crate::features::FeatureGroup;
use crate::lexical::Analyser;

/// Documents that the features take for relevant, and words that they take from them.
const DOCUMENTS: usize = 10;
const WORDS: usize = 30;

/// 24 documents of one chunk; the words have different frequencies.
fn documents() -> Vec<(String, String)> {
    let mut random = SplitMix64::new(5);
    let mut word = move || {
        let most = 1 + random.below(60);
        format!("w{}", random.below(most))
    };
    let mut words = |count: usize| (0..count).map(|_| word()).collect::<Vec<_>>().join(" ");
    (0..24).map(|at| (words(3), words(12 + at))).collect()
}

fn mean(weights: &[f64], position: usize, value: impl Fn(usize) -> f64) -> f64 {
    let others = || (0..weights.len()).filter(|&other| other != position);
    let total: f64 = others().map(|other| weights[other]).sum();
    others().map(|other| weights[other] * value(other)).sum::<f64>() / total
}

#[test]
fn a_candidate_is_compared_with_the_best_others() {
    let folder = tempfile::tempdir().unwrap();
    let engine = with(folder.path(), |config| {
        config.chunking.max_tokens = 0;
        config.chunking.overlap_tokens = 0;
        config.features.groups = FeatureGroup::ALL.to_vec();
    });
    let documents = documents();
    for (at, (title, text)) in documents.iter().enumerate() {
        engine.upsert(&Scope::default(), vec![Document::new(format!("d{at}"), text).with_title(title)]).unwrap();
    }
    engine.commit().unwrap();
    let analyser = Analyser::new("english").unwrap();
    let terms = |at: usize| -> Vec<String> {
        let (title, text) = &documents[at];
        analyser.terms(&format!("{title} {text}")).into_iter().map(|(_, word)| word).collect()
    };
    let count = documents.len() as f64;
    let mean_length = (0..documents.len()).map(|at| terms(at).len()).sum::<usize>() as f64 / count;
    let idf = |word: &str| {
        let having = (0..documents.len()).filter(|&at| terms(at).iter().any(|other| other == word)).count() as f64;
        (1.0 + (count - having + 0.5) / (having + 0.5)).ln()
    };

    for query in ["w1 w7 w30", "w2", "w40 w3"] {
        let request = SearchRequest::new(query, 24);
        let log = engine.log_features(&Scope::default(), &[("q", request.clone())]).unwrap();
        let logged = &log.queries[0];
        assert!(logged.documents.len() > DOCUMENTS + 2, "{}", logged.documents.len());
        let features = features_of(&engine, &request);
        let number = |position: usize| logged.documents[position][1..].parse::<usize>().unwrap();
        let least = logged.scores.last().copied().unwrap();
        let weights: Vec<f64> = logged.scores[..DOCUMENTS].iter().map(|score| f64::from(score - least)).collect();
        let vectors: Vec<Vec<f32>> = (0..logged.documents.len())
            .map(|position| {
                let (title, text) = &documents[number(position)];
                let text = format!("{title} {text}");
                engine.embedder().embed(&[&text], TextKind::Passage, &Cancel::never()).unwrap().vectors
            })
            .collect();
        let share = |position: usize, word: &str| {
            let terms = terms(number(position));
            terms.iter().filter(|other| *other == word).count() as f64 / terms.len() as f64
        };
        let all: BTreeSet<String> = (0..DOCUMENTS).flat_map(|position| terms(number(position))).collect();
        assert!(all.len() > WORDS, "some words are left out");
        let mut words: Vec<(String, f64)> = all
            .into_iter()
            .map(|word| {
                let weight = (0..DOCUMENTS).map(|other| weights[other] * share(other, &word)).sum::<f64>() * idf(&word);
                (word, weight)
            })
            .collect();
        words.sort_by(|one, other| other.1.total_cmp(&one.1).then_with(|| one.0.cmp(&other.0)));
        words.truncate(WORDS);

        for (position, id) in logged.documents.iter().enumerate() {
            let cosine = |other: usize| -> f64 {
                vectors[position].iter().zip(&vectors[other]).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
            };
            let nearest = (0..DOCUMENTS).filter(|&other| other != position).map(cosine).fold(f64::MIN, f64::max);
            let weight: BTreeMap<&str, f64> = words
                .iter()
                .map(|(word, _)| (word.as_str(), mean(&weights, position, |other| share(other, word)) * idf(word)))
                .collect();
            let total: f64 = weight.values().sum();
            let own = terms(number(position));
            let norm = 1.2 * (0.25 + 0.75 * own.len().min(40) as f64 / mean_length);
            let score: f64 = weight
                .iter()
                .map(|(word, weight)| {
                    let frequency = own.iter().filter(|other| other == word).count() as f64;
                    weight / total * idf(word) * frequency * 2.2 / (frequency + norm)
                })
                .sum();
            let features = &features.iter().find(|(other, _)| other == id).unwrap().1;
            for (name, wanted) in [("cosine", mean(&weights, position, cosine)), ("nearest", nearest), ("words", score)]
            {
                let found = f64::from(features[&format!("feedback.{name}")]);
                assert!((found - wanted).abs() < 1e-5, "feedback.{name} of {id} for {query}: {found}, not {wanted}");
            }
        }
    }
}

#[test]
fn a_single_candidate_has_no_others() {
    let folder = tempfile::tempdir().unwrap();
    let engine = with(folder.path(), |config| config.features.groups = vec![FeatureGroup::Feedback]);
    engine.upsert(&Scope::default(), vec![Document::new("a", "snow on the pass")]).unwrap();
    engine.commit().unwrap();
    let features = features_of(&engine, &SearchRequest::new("snow", 3));
    let names = ["feedback.cosine", "feedback.nearest", "feedback.words"];
    assert!(names.iter().all(|name| features[0].1[*name].is_nan()), "{features:?}");
    assert!(engine.log_features(&Scope::default(), &[("q", SearchRequest::new("zzz", 3))]).is_ok());
}
