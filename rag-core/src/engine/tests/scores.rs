//! The promises of `docs/scores.md` that only a whole engine can keep or break.

use super::*;

const MODES: [Mode; 3] = [Mode::Hybrid, Mode::Dense, Mode::Lexical];

fn engine_with(folder: &Path, change: impl FnOnce(&mut EngineConfig)) -> Engine {
    let mut config = EngineConfig::default();
    change(&mut config);
    Engine::builder().config(config).embedder(Arc::new(WordEmbedder::new(64))).open(folder).unwrap()
}

/// Documents that differ in how often they have the words of the question.
fn fill(engine: &Engine) {
    let text = |i: usize| format!("{} {} filler words of document {i}", "snow ".repeat(i % 7), "bread ".repeat(i % 5));
    let documents = (0..40).map(|i| Document::new(format!("d{i:02}"), text(i))).collect();
    engine.upsert(&Scope::default(), documents).unwrap();
    engine.commit().unwrap();
}

#[test]
fn equal_scores_rank_by_document_id_whatever_was_indexed_first() {
    let folder = tempfile::tempdir().unwrap();
    let engine = open(folder.path());
    let scope = Scope::default();
    for id in ["e", "b", "d", "a", "c"] {
        engine.upsert(&scope, vec![Document::new(id, "fresh bread")]).unwrap();
        engine.commit().unwrap();
    }
    for mode in MODES {
        let request = SearchRequest::new("bread", 3).with_mode(mode);
        assert_eq!(ids(&engine.search(&scope, &request).unwrap()), ["a", "b", "c"], "{mode:?}");
    }
}

#[test]
fn answers_are_equal_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let engine = open(folder.path());
    fill(&engine);
    let answers = |engine: &Engine| -> Vec<String> {
        let ask = |mode| SearchRequest::new("snow on bread", 20).with_mode(mode).with_explanations();
        MODES.map(|mode| format!("{:?}", engine.search(&Scope::default(), &ask(mode)).unwrap().hits)).to_vec()
    };
    let before = answers(&engine);
    drop(engine);
    assert_eq!(answers(&open(folder.path())), before);
}

#[test]
fn explanations_add_up_on_the_scale_of_the_runs() {
    let folder = tempfile::tempdir().unwrap();
    let engine = engine_with(folder.path(), |config| config.fusion.dense_weight = Some(0.25));
    fill(&engine);
    let request = SearchRequest::new("snow on bread", 40).with_explanations();
    let hits = engine.search(&Scope::default(), &request).unwrap().hits;
    assert!(hits.windows(2).all(|pair| pair[0].score >= pair[1].score && pair[0].rank + 1 == pair[1].rank));
    assert_eq!(hits[0].rank, 1);
    for run in 0..2 {
        let parts: Vec<&RunExplanation> = hits
            .iter()
            .map(|hit| &hit.explanation.as_ref().unwrap().runs[run])
            .filter(|run| run.rank.is_some())
            .collect();
        let scores = || parts.iter().filter_map(|part| part.score);
        let (least, most) = (scores().fold(f32::MAX, f32::min), scores().fold(f32::MIN, f32::max));
        for part in &parts {
            let scaled = (f64::from(part.score.unwrap()) - f64::from(least)) / (f64::from(most) - f64::from(least));
            assert!((f64::from(part.normalized.unwrap()) - scaled).abs() < 1e-6, "{part:?}");
            assert_eq!(part.weight, if part.run == "dense" { 0.25 } else { 0.75 });
            assert!((part.contribution - part.weight * part.normalized.unwrap()).abs() < 1e-7, "{part:?}");
        }
        let best = parts.iter().find(|part| part.rank == Some(1)).unwrap();
        assert_eq!((best.score, best.normalized), (Some(most), Some(1.0)));
    }
    for hit in &hits {
        let explanation = hit.explanation.as_ref().unwrap();
        let sum: f64 = explanation.runs.iter().map(|run| f64::from(run.contribution)).sum();
        assert_eq!((explanation.score, explanation.fusion.as_str()), (hit.score, "convex(min_max)"));
        assert!((f64::from(hit.score) - sum).abs() < 2e-7, "{explanation:?}");
    }
}

#[test]
fn reciprocal_rank_fusion_counts_from_one_with_sixty() {
    let folder = tempfile::tempdir().unwrap();
    let engine = engine_with(folder.path(), |config| config.fusion.method = "rrf".to_owned());
    fill(&engine);
    let request = SearchRequest::new("snow on bread", 5).with_explanations();
    for hit in engine.search(&Scope::default(), &request).unwrap().hits {
        let explanation = hit.explanation.unwrap();
        assert_eq!(explanation.fusion, "rrf(60)");
        for run in explanation.runs.iter().filter(|run| run.rank.is_some()) {
            assert_eq!(run.normalized, Some(1.0 / (60.0 + run.rank.unwrap() as f32)));
        }
    }
}

#[test]
fn one_retriever_alone_gives_its_own_score() {
    let folder = tempfile::tempdir().unwrap();
    let engine = open(folder.path());
    fill(&engine);
    for (mode, name) in [(Mode::Dense, "dense"), (Mode::Lexical, "lexical")] {
        let request = SearchRequest::new("snow on bread", 5).with_mode(mode).with_explanations();
        for hit in engine.search(&Scope::default(), &request).unwrap().hits {
            let explanation = hit.explanation.unwrap();
            assert_eq!((explanation.fusion.as_str(), explanation.runs.len()), (name, 1));
            assert_eq!((explanation.runs[0].run, explanation.runs[0].score), (name, Some(hit.score)));
        }
    }
}

#[test]
fn explain_tells_what_the_search_gave() {
    let folder = tempfile::tempdir().unwrap();
    let engine = engine_with(folder.path(), |config| config.fusion.depth = 6);
    fill(&engine);
    let scope = Scope::default();
    let request = SearchRequest::new("snow on bread", 6).with_explanations();
    for hit in engine.search(&scope, &request).unwrap().hits {
        let explained = engine.explain(&scope, &request, &hit.id).unwrap().unwrap();
        assert_eq!((explained.rank, explained.score), (hit.rank, hit.score));
        assert_eq!(explained.explanation, hit.explanation);
    }
}
