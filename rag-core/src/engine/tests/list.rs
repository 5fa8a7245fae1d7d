//! What becomes of an order of candidates: one of each group, a reranker, variety.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use super::*;
use crate::error::ErrorKind;
use crate::rerank::{RerankCandidate, Reranker};

const WORDS: [&str; 4] = ["snow", "road", "bread", "winter"];

/// Twenty documents of four pages each; the first of each page says most of the words.
fn filled(folder: &Path, change: impl FnOnce(&mut EngineConfig)) -> Engine {
    let engine = super::ranking::with(folder, change);
    let document = |number: usize| {
        let text = WORDS[..4 - number % 4].join(" ") + &format!(" page {}", number / 4);
        let document = Document::new(format!("d{number:02}"), text);
        if number < 18 { document.with_metadata("page", (number / 4) as i64) } else { document }
    };
    engine.upsert(&Scope::default(), (0..20).map(document).collect()).unwrap();
    engine.commit().unwrap();
    engine
}

fn search(engine: &Engine, request: &SearchRequest) -> Answer {
    engine.search(&Scope::default(), request).unwrap()
}

#[test]
fn one_of_each_group_leaves_and_says_how_many_it_hides() {
    let folder = tempfile::tempdir().unwrap();
    let engine = filled(folder.path(), |_| ());
    let request = SearchRequest::new("snow road bread winter", 7);
    let all = search(&engine, &SearchRequest { k: 20, ..request.clone() });
    let mut best: BTreeMap<String, (&str, usize)> = BTreeMap::new();
    let mut expected = Vec::new();
    for hit in &all.hits {
        let key = hit.metadata.get("page").map_or(hit.id.clone(), |page| format!("{page:?}"));
        best.entry(key)
            .or_insert_with(|| {
                expected.push(hit.id.as_str());
                (hit.id.as_str(), 0)
            })
            .1 += 1;
    }
    let collapsed = search(&engine, &request.clone().with_collapse("page"));
    assert_eq!(ids(&collapsed), expected[..7]);
    let three = search(&engine, &SearchRequest { k: 3, ..request.clone() }.with_collapse("page"));
    assert_eq!(ids(&three), expected[..3]);
    let hidden: usize = collapsed.hits.iter().map(|hit| hit.hidden).sum();
    assert_eq!(hidden, 20 - expected.len(), "5 pages and 2 documents without one");
    assert_eq!(ids(&search(&engine, &request.clone().with_collapse("nothing"))), ids(&search(&engine, &request)));
    let empty = engine.search(&Scope::default(), &request.with_collapse("")).unwrap_err();
    assert!(empty.to_string().contains("`collapse`"), "{empty}");
}

#[test]
fn variety_comes_before_relevance_as_far_as_it_is_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let engine = filled(folder.path(), |config| config.diversity.depth = 12);
    let request = SearchRequest::new("snow road bread winter", 6).with_explanations();
    let plain = search(&engine, &request);
    assert_eq!(ids(&search(&engine, &request.clone().with_diversity(1.0))), ids(&plain));
    let varied = search(&engine, &request.clone().with_diversity(0.05));
    assert_eq!(varied.hits[0].id, plain.hits[0].id, "nothing stands before the first");
    assert_ne!(ids(&varied), ids(&plain));
    let values: Vec<f64> = varied.hits.iter().map(|hit| hit.explanation.as_ref().unwrap().diversity.unwrap()).collect();
    assert!(values.windows(2).all(|pair| pair[0] >= pair[1]), "{values:?}");
    // The explanation of one document alone is that of the search.
    for hit in &varied.hits {
        let alone = engine.explain(&Scope::default(), &request.clone().with_diversity(0.05), &hit.id).unwrap().unwrap();
        assert_eq!((alone.rank, &alone.explanation), (hit.rank, &hit.explanation));
    }
    let wrong = engine.search(&Scope::default(), &request.with_diversity(1.5)).unwrap_err();
    assert!(wrong.to_string().contains("`diversity` is 1.5"), "{wrong}");
}

/// Prefers late ids, or does what it is told.
#[derive(Debug, Default)]
struct ByName {
    mood: Mutex<&'static str>,
}

impl Reranker for ByName {
    fn rerank(&self, question: &str, candidates: &[RerankCandidate<'_>], cancel: &Cancel) -> Result<Vec<f32>> {
        assert!(!question.is_empty() && candidates.iter().all(|candidate| candidate.passage.contains("snow")));
        match *self.mood.lock().unwrap() {
            "failing" => Err(Error::internal("no service")),
            "short" => Ok(vec![1.0]),
            "not finite" => Ok(vec![f32::NAN; candidates.len()]),
            "slow" => loop {
                cancel.check()?;
                std::thread::sleep(Duration::from_millis(1));
            },
            "cancelled" => Err(Error::new(ErrorKind::Cancelled, "given up by itself")),
            _ => Ok(candidates.iter().map(|candidate| candidate.id[1..].parse().unwrap()).collect()),
        }
    }
}

#[test]
fn a_reranker_orders_the_best_and_what_fails_leaves_the_order() {
    let folder = tempfile::tempdir().unwrap();
    let engine = filled(folder.path(), |config| (config.rerank.depth, config.rerank.budget_ms) = (5, 50));
    let request = SearchRequest::new("snow road bread winter", 8).with_explanations();
    let plain = search(&engine, &request);
    let by_name = Arc::new(ByName::default());
    engine.set_reranker(Some(by_name.clone()));
    let reranked = search(&engine, &request);
    let mut expected = ids(&plain);
    expected[..5].sort_unstable();
    expected[..5].reverse();
    assert_eq!(ids(&reranked), expected);
    let scores: Vec<Option<f32>> = reranked.hits.iter().map(|hit| hit.explanation.as_ref().unwrap().rerank).collect();
    assert!(scores[..5].iter().all(Option::is_some) && scores[5..].iter().all(Option::is_none), "{scores:?}");
    assert!(reranked.stages.iter().any(|(stage, _)| *stage == "rerank"));
    let two = search(&engine, &SearchRequest { k: 2, ..request.clone() });
    assert_eq!(ids(&two), expected[..2], "as deep as it is asked, not as few as leave");
    for (mood, says) in [
        ("failing", "no service"),
        ("short", "1 scores for 5 candidates"),
        ("not finite", "NaN"),
        ("slow", "deadline"),
        ("cancelled", "given up by itself"),
    ] {
        *by_name.mood.lock().unwrap() = mood;
        if mood == "cancelled" {
            assert_eq!(engine.search(&Scope::default(), &request).unwrap().degraded.len(), 1);
            continue;
        }
        let answer = search(&engine, &request);
        assert_eq!(ids(&answer), ids(&plain), "{mood}");
        assert!(
            answer.degraded[0].starts_with("rerank: ") && answer.degraded[0].contains(says),
            "{:?}",
            answer.degraded
        );
    }
    engine.set_reranker(None);
    assert!(search(&engine, &request).degraded.is_empty());
}
