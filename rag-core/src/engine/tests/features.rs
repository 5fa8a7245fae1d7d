//! Each feature against a plain computation of its formula.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use tantivy::fieldnorm::FieldNormReader;

use super::ranking::{every_feature, features_of, with};
use super::*;
use crate::embed::TextKind;
use crate::lexical::Analyser;

/// The words of a field with their positions.
type Words = Vec<(usize, String)>;

/// One chunk: title, text, and both as one.
struct Chunk {
    document: String,
    fields: [Words; 3],
}

const FIELDS: [&str; 3] = ["title", "text", "body"];

fn chunks_of(engine: &Engine, analyser: &Analyser) -> Vec<Chunk> {
    let scope = Scope::default();
    let mut chunks = Vec::new();
    for id in engine.ids(&scope, None, None, usize::MAX).unwrap() {
        let stored = engine.get(&scope, &id).unwrap().unwrap();
        let title = analyser.terms(&stored.document.title);
        // A document without chunks has an entry in the index all the same.
        let whole = [(0, 0)];
        let pieces = if stored.chunks.is_empty() { &whole[..] } else { &stored.chunks };
        for &(start, end) in pieces {
            let text = analyser.terms(&stored.document.text[start..end]);
            // One word is left free between the two.
            let shift = title.last().map_or(0, |(at, _)| at + 2);
            let body = title.iter().cloned().chain(text.iter().map(|(at, word)| (at + shift, word.clone())));
            chunks.push(Chunk { document: id.clone(), fields: [title.clone(), text.clone(), body.collect()] });
        }
    }
    chunks
}

/// Length as the index keeps it.
fn kept_length(words: &Words) -> f64 {
    let kept = (0..=255u8).map(FieldNormReader::id_to_fieldnorm).take_while(|length| *length as usize <= words.len());
    f64::from(kept.last().unwrap())
}

/// The features of a field of a document, from the formulas of `docs/features.md`.
fn naive_text(chunks: &[Chunk], document: &str, field: usize, query: &Words) -> BTreeMap<&'static str, f64> {
    let asked: BTreeSet<&str> = query.iter().map(|(_, word)| word.as_str()).collect();
    let has = |chunk: &Chunk, word: &str| chunk.fields[field].iter().any(|(_, other)| other == word);
    let count = chunks.len() as f64;
    let mean = chunks.iter().map(|chunk| chunk.fields[field].len()).sum::<usize>() as f64 / count;
    let idf = |word: &str| {
        let having = chunks.iter().filter(|chunk| has(chunk, word)).count() as f64;
        (1.0 + (count - having + 0.5) / (having + 0.5)).ln()
    };
    let all: f64 = asked.iter().map(|word| idf(word)).sum();
    let mut features: BTreeMap<&'static str, f64> = BTreeMap::new();
    let mut closest: Option<(usize, usize)> = None;
    for chunk in chunks.iter().filter(|chunk| chunk.document == document) {
        let words = &chunk.fields[field];
        if words.is_empty() || asked.is_empty() {
            continue;
        }
        let mut best = |name: &'static str, value: f64| {
            let before = features.entry(name).or_insert(f64::NAN);
            *before = before.max(value);
        };
        let (mut bm25, mut tf_idf, mut matched) = (0.0, 0.0, BTreeSet::new());
        for (_, word) in query {
            let frequency = words.iter().filter(|(_, other)| other == word).count() as f64;
            if frequency > 0.0 {
                let norm = 1.2 * (0.25 + 0.75 * kept_length(words) / mean);
                bm25 += idf(word) * frequency * 2.2 / (frequency + norm);
                tf_idf += idf(word) * (1.0 + frequency.ln());
                matched.insert(word.as_str());
            }
        }
        best("bm25", bm25);
        best("tf_idf", tf_idf);
        best("coverage", matched.len() as f64 / asked.len() as f64);
        best("idf_share", matched.iter().map(|word| idf(word)).sum::<f64>() / all);
        let stands = |part: &[(usize, String)], at: usize| {
            let stands = |(place, word): &(usize, String)| words.contains(&(at + place - part[0].0, word.clone()));
            part.iter().all(stands)
        };
        let places: Vec<usize> = words.iter().map(|(at, _)| *at).collect();
        if query.len() > 1 {
            best("phrase", f64::from(u8::from(places.iter().any(|&at| stands(query, at)))));
            let pairs = query.windows(2).filter(|pair| places.iter().any(|&at| stands(pair, at))).count();
            best("pairs", pairs as f64 / (query.len() - 1) as f64);
        }
        if matched.len() > 1 {
            let mut least = usize::MAX;
            for (from, _) in words {
                for (to, _) in words {
                    let inside = words.iter().filter(|(at, _)| from <= at && at <= to).map(|(_, word)| word.as_str());
                    let inside: BTreeSet<&str> = inside.collect();
                    if matched.is_subset(&inside) {
                        least = least.min(to - from + 1);
                    }
                }
            }
            closest = closest.max(Some((matched.len(), usize::MAX - least)));
        }
    }
    if let Some((matched, least)) = closest {
        let least = usize::MAX - least;
        features.insert("span", least as f64);
        features.insert("proximity", matched as f64 / least as f64);
    }
    features
}

fn assert_near(found: f32, wanted: f64, what: &str) {
    let (found, wanted) = (f64::from(found), wanted);
    let near = (found - wanted).abs() <= 1e-5 * wanted.abs().max(1.0);
    assert!(near || (found.is_nan() && wanted.is_nan()), "{what}: {found}, not {wanted}");
}

fn word() -> impl Strategy<Value = String> {
    // Frequent and rare words, and stop words, which take places.
    prop_oneof![(0..12u32).prop_map(|n| format!("w{}", n * n / 12)), Just("the".to_owned())]
}

fn sentence(most: usize) -> impl Strategy<Value = String> {
    proptest::collection::vec(word(), 0..most).prop_map(|words| words.join(" "))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn features_follow_their_formulas(
        texts in proptest::collection::vec((sentence(4), sentence(30)), 1..10),
        query in sentence(6),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let scope = Scope::default();
        let engine = with(folder.path(), |config| {
            (config.chunking.max_tokens, config.chunking.overlap_tokens) = (10, 2);
        });
        for (i, (title, text)) in texts.iter().enumerate() {
            engine.upsert(&scope, vec![Document::new(format!("d{i}"), text).with_title(title)]).unwrap();
            if i % 3 == 0 {
                engine.commit().unwrap(); // another segment
            }
        }
        engine.commit().unwrap();
        if query.trim().is_empty() {
            return Ok(());
        }
        let analyser = Analyser::new("english").unwrap();
        let chunks = chunks_of(&engine, &analyser);
        let asked = analyser.terms(&query);
        let embed = |text: &str, kind| engine.embedder().embed(&[text], kind, &Cancel::never()).unwrap().vectors;
        let question = embed(&query, TextKind::Query);
        for (id, features) in features_of(&engine, &SearchRequest::new(query.as_str(), 20)) {
            for (field, name) in FIELDS.iter().enumerate() {
                let naive = naive_text(&chunks, &id, field, &asked);
                for feature in ["bm25", "tf_idf", "coverage", "idf_share", "phrase", "pairs", "span", "proximity"] {
                    let wanted = naive.get(feature).copied().unwrap_or(f64::NAN);
                    let name = format!("{name}.{feature}");
                    assert_near(features[&name], wanted, &format!("{name} of {id} for {query:?}"));
                }
            }
            let stored = engine.get(&scope, &id).unwrap().unwrap();
            let own: Vec<&Chunk> = chunks.iter().filter(|chunk| chunk.document == id).collect();
            assert_near(features["length.title"], kept_length(&own[0].fields[0]), "length.title");
            assert_near(features["length.text"], own.iter().map(|chunk| kept_length(&chunk.fields[1])).sum(), "length.text");
            assert_near(features["length.chunks"], own.len() as f64, "length.chunks");
            if question.iter().any(|value| *value != 0.0) {
                let cosines: Vec<f64> = stored.chunks.iter().map(|&(start, end)| {
                    let (title, text) = (&stored.document.title, &stored.document.text[start..end]);
                    let passage = format!("{title} {text}");
                    let passage = embed(passage.trim(), TextKind::Passage);
                    passage.iter().zip(&question).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
                }).collect();
                assert_near(features["vector.first"], cosines[0], "vector.first");
                assert_near(features["vector.best"], cosines.iter().copied().fold(f64::MIN, f64::max), "vector.best");
                assert_near(features["vector.mean"], cosines.iter().sum::<f64>() / cosines.len() as f64, "vector.mean");
            }
            let idf: Vec<f64> = asked.iter().map(|(_, word)| word.as_str()).collect::<BTreeSet<_>>().iter().map(|word| {
                let count = chunks.len() as f64;
                let having = chunks.iter().filter(|chunk| chunk.fields[2].iter().any(|(_, w)| w == word)).count() as f64;
                (1.0 + (count - having + 0.5) / (having + 0.5)).ln()
            }).collect();
            let sum = if idf.is_empty() { f64::NAN } else { idf.iter().sum() };
            assert_near(features["query.words"], idf.len() as f64, "query.words");
            assert_near(features["query.letters"], query.trim().chars().count() as f64, "query.letters");
            assert_near(features["query.idf_min"], idf.iter().copied().fold(f64::NAN, f64::min), "query.idf_min");
            assert_near(features["query.idf_max"], idf.iter().copied().fold(f64::NAN, f64::max), "query.idf_max");
            assert_near(features["query.idf_sum"], sum, "query.idf_sum");
            assert_near(features["query.idf_mean"], sum / idf.len() as f64, "query.idf_mean");
        }
    }
}

#[test]
fn the_features_of_retrieval_are_those_of_the_runs() {
    let folder = tempfile::tempdir().unwrap();
    let engine = super::ranking::filled(folder.path());
    let request = SearchRequest::new("snow on the road", 40).with_explanations();
    let answer = engine.search(&Scope::default(), &request).unwrap();
    let features = features_of(&engine, &request);
    assert_eq!(features.len(), answer.hits.len());
    for run in 0..2 {
        let of = |hit: &Hit| hit.explanation.as_ref().unwrap().runs[run].clone();
        let scores: Vec<f32> = answer.hits.iter().filter_map(|hit| of(hit).score).collect();
        let (least, most) = scores.iter().fold((f32::MAX, f32::MIN), |(a, b), s| (a.min(*s), b.max(*s)));
        for hit in &answer.hits {
            let (name, row) = (of(hit).run, &features.iter().find(|(id, _)| *id == hit.id).unwrap().1);
            let missing = f64::from(f32::NAN);
            assert_near(row[&format!("{name}.rank")], of(hit).rank.map_or(missing, |rank| rank as f64), name);
            assert_near(row[&format!("{name}.score")], of(hit).score.map_or(missing, f64::from), name);
            let scaled = of(hit).score.map_or(missing, |score| f64::from((score - least) / (most - least)));
            assert_near(row[&format!("{name}.min_max")], scaled, name);
            assert_near(row["fused.score"], f64::from(hit.score), "fused.score");
            let found = hit.explanation.as_ref().unwrap().runs.iter().filter(|run| run.rank.is_some()).count();
            assert_near(row["retrievers"], found as f64, "retrievers");
        }
    }
    let ranks: Vec<f32> = features.iter().map(|(_, row)| row["fused.rank"]).collect();
    assert_eq!(ranks, (1..=ranks.len()).map(|rank| rank as f32).collect::<Vec<_>>());
}

#[test]
fn bm25_is_that_of_the_lexical_retriever() {
    let folder = tempfile::tempdir().unwrap();
    let engine = super::ranking::filled(folder.path());
    let request = SearchRequest::new("snow on the snow road bread", 40).with_mode(Mode::Lexical);
    let answer = engine.search(&Scope::default(), &request).unwrap();
    let features = features_of(&engine, &request);
    for hit in &answer.hits {
        let row = &features.iter().find(|(id, _)| *id == hit.id).unwrap().1;
        assert_near(row["body.bm25"], f64::from(hit.score), &hit.id);
        assert!(row["vector.best"].is_nan(), "the dense retriever was not asked, so there is no vector");
        assert!(row["dense.rank"].is_nan());
    }
}

#[test]
fn words_that_are_excluded_are_not_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let engine = super::ranking::filled(folder.path());
    let syntax = SearchRequest::new("+snow title:report -bread", 40).with_syntax();
    let rows = features_of(&engine, &syntax);
    assert!(!rows.is_empty() && rows.iter().all(|(_, row)| row["query.words"] == 2.0));
}

#[test]
fn the_order_of_words_counts_at_the_beginning_of_a_long_question() {
    let folder = tempfile::tempdir().unwrap();
    let engine = with(folder.path(), every_feature);
    let documents = vec![
        Document::new("a", "snow road").with_metadata("tags", "bread oven"),
        Document::new("b", "bread oven").with_metadata("tags", "snow road"),
    ];
    engine.upsert(&Scope::default(), documents).unwrap();
    engine.commit().unwrap();
    let question = format!("{} {}", "snow road ".repeat(512), "bread oven ".repeat(5000));
    let rows: BTreeMap<String, BTreeMap<String, f32>> =
        features_of(&engine, &SearchRequest::new(question.as_str(), 9)).into_iter().collect();
    let of = |name: &str| ["a", "b"].map(|id| rows[id][name]);
    assert_eq!(of("body.pairs"), [512.0 / 1023.0, 0.0]);
    assert_eq!(of("equal.tags"), [0.0, 1.0]);
    assert_eq!(of("body.coverage"), [0.5, 0.5], "which words there are does not depend on their place");
}

#[test]
fn clicks_are_taken_where_they_are_a_feature_and_taken_away_again() {
    let (folder, scope) = (tempfile::tempdir().unwrap(), Scope::default());
    let engine = super::ranking::filled(folder.path());
    let rows = [ClickCounts::new("d00", 30, 9)];
    let clicks = || {
        let row = features_of(&engine, &SearchRequest::new("snow", 40)).into_iter().find(|(id, _)| id == "d00");
        row.unwrap().1["clicks.clicks"]
    };
    engine.set_click_history(&scope, &rows).unwrap();
    assert_eq!(clicks(), 9.0);
    engine.set_click_history(&scope, &[]).unwrap();
    assert!(clicks().is_nan());
    let folder = tempfile::tempdir().unwrap();
    let error = with(folder.path(), |_| {}).set_click_history(&scope, &rows).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
    assert!(error.to_string().contains("set `features.clicks`"), "{error}");
}

#[test]
fn metadata_is_read_as_declared() {
    let folder = tempfile::tempdir().unwrap();
    let engine = with(folder.path(), every_feature);
    let scope = Scope::default();
    let list = |values: &[&str]| values.iter().map(|value| (*value).to_owned()).collect::<Vec<String>>();
    engine
        .upsert(
            &scope,
            vec![
                Document::new("full", "bread")
                    .with_metadata("stars", 4i64)
                    .with_metadata("open", true)
                    .with_metadata("lang", "de")
                    .with_metadata("kind", "x")
                    .with_metadata("tags", list(&["snow road", "the"]))
                    .with_metadata("day", "2024-05-12"),
                Document::new("other", "bread")
                    .with_metadata("stars", 1e300)
                    .with_metadata("open", false)
                    .with_metadata("lang", "fr")
                    .with_metadata("kind", "y")
                    .with_metadata("tags", list(&["road snow"]))
                    .with_metadata("day", "2024-07-01T00:00:00Z"),
                Document::new("wrong", "bread")
                    .with_metadata("stars", "4")
                    .with_metadata("open", 1i64)
                    .with_metadata("day", "yesterday")
                    .with_metadata("tags", "the"),
                Document::new("none", "bread"),
            ],
        )
        .unwrap();
    engine.commit().unwrap();
    engine.set_click_history(&scope, &[ClickCounts::new("full", 30, 9), ClickCounts::new("other", 70, 1)]).unwrap();
    let request = SearchRequest::new("bread snow road", 9).with_now(super::ranking::at("2024-06-01T00:00:00Z"));
    let rows: BTreeMap<String, BTreeMap<String, f32>> = features_of(&engine, &request).into_iter().collect();
    let of = |name: &str| ["full", "other", "wrong", "none"].map(|id| f64::from(rows[id][name]));
    let nan = f64::NAN;
    let expect = |name: &str, wanted: [f64; 4]| {
        for (found, wanted) in of(name).into_iter().zip(wanted) {
            assert_near(found as f32, wanted, name);
        }
    };
    expect("number.stars", [4.0, f64::from(f32::MAX), nan, nan]);
    expect("flag.open", [1.0, 0.0, nan, nan]);
    expect("category.lang", [1.0, 2.0, nan, nan]);
    // Twenty days of a half-life of ten; a date to come is not fresher than now.
    expect("freshness.day", [0.25, 1.0, nan, nan]);
    expect("equal.tags", [1.0, 0.0, nan, nan]);
    expect("clicks.impressions", [30.0, 70.0, nan, nan]);
    expect("clicks.clicks", [9.0, 1.0, nan, nan]);
    expect("clicks.rate", [(9.0 + 10.0 * 0.1) / 40.0, (1.0 + 10.0 * 0.1) / 80.0, nan, nan]);
    let kinds = of("category.kind");
    assert!(kinds[..2].iter().all(|kind| (0.0..1024.0).contains(kind) && kind.fract() == 0.0) && kinds[0] != kinds[1]);
    let wrong = engine.set_click_history(&scope, &[ClickCounts::new("full", 3, 4)]).unwrap_err();
    assert!(wrong.to_string().contains("`clicks` of document \"full\""), "{wrong}");
}
