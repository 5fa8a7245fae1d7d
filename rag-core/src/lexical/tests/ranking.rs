//! Search against a naive BM25.

use std::collections::{BTreeMap, HashMap, HashSet};

use proptest::prelude::*;
use tantivy::fieldnorm::FieldNormReader;

use super::{empty, of_texts};
use crate::error::ErrorKind;
use crate::lexical::{LexicalIndex, TextQuery};
use crate::types::{Cancel, ChunkId, IdSet, Metadata};

fn ids(index: &LexicalIndex, query: impl Into<TextQuery>, k: usize) -> Vec<u64> {
    hits(index, query, k, None).into_iter().map(|(chunk, _)| chunk.doc()).collect()
}

fn hits(index: &LexicalIndex, query: impl Into<TextQuery>, k: usize, allow: Option<&IdSet>) -> Vec<(ChunkId, f32)> {
    index.view().search(&query.into(), k, allow, &Cancel::never()).unwrap()
}

fn syntax(text: &str) -> TextQuery {
    TextQuery::Syntax(text.to_owned())
}

/// Length as the index keeps it.
fn kept_length(words: usize) -> f64 {
    let kept = (0..=255u8).map(FieldNormReader::id_to_fieldnorm).take_while(|length| *length as usize <= words).last();
    f64::from(kept.unwrap())
}

/// BM25 by its formula over documents of plain words, best first.
fn naive(documents: &BTreeMap<u64, Vec<String>>, query: &[String]) -> Vec<(u64, f64)> {
    let count = documents.len() as f64;
    let mean = documents.values().map(Vec::len).sum::<usize>() as f64 / count;
    let mut scores: HashMap<u64, f64> = HashMap::new();
    for word in query {
        let holding = documents.values().filter(|words| words.contains(word)).count() as f64;
        let idf = (1.0 + (count - holding + 0.5) / (holding + 0.5)).ln();
        for (doc, words) in documents {
            let frequency = words.iter().filter(|other| *other == word).count() as f64;
            if frequency > 0.0 {
                let norm = 1.2 * (1.0 - 0.75 + 0.75 * kept_length(words.len()) / mean);
                *scores.entry(*doc).or_default() += idf * frequency * 2.2 / (frequency + norm);
            }
        }
    }
    let mut ranking: Vec<(u64, f64)> = scores.into_iter().collect();
    ranking.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    ranking
}

fn word() -> impl Strategy<Value = String> {
    // Frequent and rare words.
    (0..40u32).prop_map(|n| format!("w{}", n * n / 40))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn scores_are_bm25_in_any_layout_of_segments(
        texts in prop::collection::vec(prop::collection::vec(word(), 0..60), 1..400),
        query in prop::collection::vec(word(), 1..6),
        k in 1..30usize,
        commit_every in 1..200usize,
        allowed in prop::collection::hash_set(0..400u64, 0..400),
    ) {
        let mut split = empty("none");
        let mut whole = empty("none");
        let mut documents = BTreeMap::new();
        for (doc, words) in texts.into_iter().enumerate() {
            let text = words.join(" ");
            // The other way round, so that the order of entries is not the order of numbers.
            let number = 400 - doc as u64;
            for index in [&mut split, &mut whole] {
                index.add(number, "t", "", &[(0, &text)], &Metadata::new()).unwrap();
            }
            if doc % commit_every == commit_every - 1 {
                split.commit(1).unwrap();
            }
            documents.insert(number, words);
        }
        split.commit(2).unwrap();
        whole.commit(2).unwrap();
        let text = query.join(" ");
        let expected = naive(&documents, &query);
        let found = hits(&split, text.as_str(), k, None);
        prop_assert_eq!(&hits(&whole, text.as_str(), k, None), &found);
        prop_assert_eq!(found.len(), expected.len().min(k));
        let scores: HashMap<u64, f64> = expected.iter().copied().collect();
        for ((chunk, score), (_, wanted)) in found.iter().zip(&expected) {
            prop_assert!((f64::from(*score) - wanted).abs() < 1e-4 * wanted, "{} is not {}", score, wanted);
            prop_assert!((scores[&chunk.doc()] - wanted).abs() < 1e-4 * wanted);
        }
        prop_assert!(found.windows(2).all(|pair| pair[0].1 > pair[1].1
            || pair[0].1 == pair[1].1 && pair[0].0 < pair[1].0));

        // With documents allowed: the whole ranking without the others.
        let everything = hits(&split, text.as_str(), 1000, None);
        let allowed: IdSet = allowed.into_iter().collect();
        let mut rest: Vec<_> = everything.into_iter().filter(|(chunk, _)| allowed.contains(chunk.doc())).collect();
        rest.truncate(k);
        prop_assert_eq!(&hits(&split, text.as_str(), k, Some(&allowed)), &rest);
        // And on the way for many of them.
        let many: IdSet = allowed.iter().chain(1_000_000..1_002_000).collect();
        prop_assert_eq!(&hits(&split, text.as_str(), k, Some(&many)), &rest);

        split.compact().unwrap();
        prop_assert_eq!(split.view().segments(), 1);
        prop_assert_eq!(hits(&split, text.as_str(), k, None), found);
    }
}

#[test]
fn pruning_loses_nothing_where_segments_differ_in_length() {
    // Blocks of 128 entries and more, first long texts, then short ones, so that the means of the segments lie apart.
    let mut index = empty("none");
    let mut documents = BTreeMap::new();
    let mut state = 7u64;
    let mut random = |below: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    for doc in 0..6000u64 {
        let length = if doc < 3000 { 20 + random(200) } else { 1 + random(20) };
        let words: Vec<String> = (0..length).map(|_| format!("w{}", random(30) * random(30))).collect();
        index.add(doc, "t", "", &[(0, &words.join(" "))], &Metadata::new()).unwrap();
        documents.insert(doc, words);
        if doc == 2999 {
            index.commit(1).unwrap();
        }
    }
    index.commit(2).unwrap();
    assert!(index.view().segments() >= 2);
    for query in ["w0", "w1", "w4 w29", "w0 w2 w10 w841", "w6 w6 w12"] {
        let words: Vec<String> = query.split(' ').map(str::to_owned).collect();
        let expected = naive(&documents, &words);
        for k in [1, 10, 100] {
            let found = hits(&index, query, k, None);
            assert_eq!(found.len(), k.min(expected.len()));
            for ((_, score), (_, wanted)) in found.iter().zip(&expected) {
                assert!((f64::from(*score) - wanted).abs() < 1e-4 * wanted, "{query}, {k}: {score} is not {wanted}");
            }
            let all = hits(&index, query, 10_000, None);
            assert_eq!(found, all[..k.min(all.len())], "{query}, {k}");
        }
    }
}

#[test]
fn equal_scores_rank_by_number() {
    let mut index = empty("none");
    for doc in [5, 3, 9, 1, 7] {
        index.add(doc, "t", "", &[(0, "one two three")], &Metadata::new()).unwrap();
        index.commit(doc).unwrap();
    }
    assert_eq!(ids(&index, "three one", 3), [1, 3, 5]);
    index.compact().unwrap();
    assert_eq!(ids(&index, "one three", 3), [1, 3, 5]);
}

#[test]
fn any_text_is_a_query_of_words() {
    let index = of_texts(
        "english",
        &["rust's borrow checker (E0502)", "C++ \"templates\"", "日本の首都は東京です", "naïve Bayes"],
    );
    for (query, found) in [
        ("borrow-checker?", vec![0]),
        ("e0502: what is it", vec![0]),
        ("\"templates", vec![1]),
        ("東京", vec![2]),
        ("NAIVE", vec![3]),
        ("title:bayes -naïve ^^ AND (", vec![3]),
        ("", vec![]),
        ("the of and", vec![]),
        ("!!! \u{0} \u{fffd} \u{1f600}", vec![]),
        ("unheard", vec![]),
    ] {
        assert_eq!(ids(&index, query, 10), found, "{query}");
    }
    assert_eq!(ids(&index, "borrow", 0), [0u64; 0]);
}

#[test]
fn clauses_of_the_syntax_find_what_they_say() {
    let mut index = empty("english");
    for (doc, title, text) in [
        (0, "Alpine glaciers", "The melting of ice in the Alps"),
        (1, "Ice cream", "Melting is quick in the sun, and ice is cold"),
        (2, "Snow", "Glacier ice, never melting ice"),
    ] {
        index.add(doc, "t", title, &[(0, text)], &Metadata::new()).unwrap();
    }
    index.commit(1).unwrap();
    let found = |text: &str| {
        let mut docs = ids(&index, syntax(text), 10);
        docs.sort_unstable();
        docs
    };
    for (query, expected) in [
        ("glaciers", vec![0, 2]),
        ("title:glacier", vec![0]),
        ("text:glacier", vec![2]),
        ("\"melting ice\"", vec![2]),
        // A stop word takes its place in a phrase.
        ("\"melting of ice\"", vec![0]),
        ("+ice -cream", vec![0, 2]),
        ("+ice +title:snow", vec![2]),
        ("title:\"ice cream\"", vec![1]),
        // A phrase does not run from the title into the text.
        ("\"glaciers the melting\"", vec![]),
        ("ice-cream", vec![1]),
        ("+the ice -unheard", vec![0, 1, 2]),
        ("the", vec![]),
        ("", vec![]),
    ] {
        assert_eq!(found(query), expected, "{query}");
    }
    assert_eq!(ids(&index, syntax("cream^50 glacier"), 1), [1]);
    assert_eq!(ids(&index, syntax("cream^0.01 glacier"), 1), [0]);
    let plain = hits(&index, "melting ice", 10, None);
    assert_eq!(hits(&index, syntax("melting ice"), 10, None), plain);
    let error = index.view().search(&syntax("nobody:x"), 10, None, &Cancel::never()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
    // What must not be found is found by neither way of search.
    let few: IdSet = [1, 2].into_iter().collect();
    assert_eq!(hits(&index, syntax("+ice -cream"), 10, Some(&few)).len(), 1);
}

#[test]
fn each_chunk_is_found_by_its_own_words_and_the_title() {
    let mut index = empty("english");
    index.add(8, "t", "Volcanoes", &[(0, "lava"), (1, "ash"), (2, "lava lava")], &Metadata::new()).unwrap();
    index.add(9, "t", "Volcano without text", &[], &Metadata::new()).unwrap();
    index.commit(1).unwrap();
    let chunks = |query: &str| -> HashSet<(u64, u32)> {
        hits(&index, query, 10, None).into_iter().map(|(chunk, _)| (chunk.doc(), chunk.ordinal())).collect()
    };
    assert_eq!(chunks("ash"), HashSet::from([(8, 1)]));
    assert_eq!(chunks("lava"), HashSet::from([(8, 0), (8, 2)]));
    assert_eq!(chunks("volcano"), HashSet::from([(8, 0), (8, 1), (8, 2), (9, 0)]));
    assert!(chunks("").is_empty());
}

#[test]
fn a_query_can_be_stopped() {
    let index = of_texts("none", &["a b", "b c"]);
    let cancel = Cancel::never();
    cancel.cancel();
    let error = index.view().search(&"b".into(), 10, None, &cancel).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Cancelled);
}

#[test]
fn huge_texts_and_queries_are_taken() {
    let mut index = empty("english");
    let words = "glacier ".repeat(10 << 17);
    let one = "x".repeat(10 << 20);
    let strange = "\u{0301}\u{200d}\u{202e}".repeat(100_000);
    let distinct: String = (0..200_000).map(|n| format!("q{n}")).collect::<Vec<_>>().join(" ");
    for (doc, text) in [&words, &one, &strange, &distinct].into_iter().enumerate() {
        index.add(doc as u64, "t", "", &[(0, text)], &Metadata::new()).unwrap();
    }
    index.commit(1).unwrap();
    assert_eq!(ids(&index, "glaciers", 10), [0]);
    assert_eq!(ids(&index, words.as_str(), 10), [0]);
    assert_eq!(ids(&index, distinct.as_str(), 10), [3]);
    assert_eq!(ids(&index, one.as_str(), 10), [0u64; 0]);
    let endless = TextQuery::Syntax(format!("\"{words}\""));
    let refused = index.view().search(&endless, 1, None, &Cancel::never()).unwrap_err();
    assert!(refused.to_string().contains("those of its phrases counted"), "{refused}");
    assert!(ids(&index, strange.as_str(), 10).is_empty());
    index.compact().unwrap();
    assert_eq!(index.view().live_documents().unwrap().len(), 4);
}
