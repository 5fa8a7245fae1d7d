//! From judgments to a ranker in use: `cargo run -p rag-examples --example learning_to_rank`

#![allow(clippy::print_stdout)]

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use rag_core::config::EngineConfig;
use rag_core::engine::SearchRequest;
use rag_core::ltr::model::{Model, Ranker};
use rag_core::ltr::train::{Dataset, LambdaMart, lambdamart};
use rag_core::{Document, Engine, Scope};

const TOPICS: [&str; 6] = ["bread", "soup", "bicycles", "glaciers", "violins", "tides"];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // Beside what retrieval knows, a ranker shall see how many stars readers gave.
    let mut config = EngineConfig::default();
    config.features.numeric = vec!["stars".to_owned()];
    let folder = tempfile::tempdir()?;
    let engine = Engine::builder().config(config).open(folder.path())?;
    let scope = Scope::default();
    let documents = TOPICS.iter().flat_map(|topic| (0..10u8).map(move |stars| page(topic, stars))).collect();
    engine.upsert(&scope, documents)?;
    engine.commit()?;

    // Judgments, as people or clicks give them: what has more stars is better, if it is on the topic at all.
    let questions: Vec<(&str, SearchRequest)> =
        TOPICS.iter().map(|topic| (*topic, SearchRequest::new(format!("all about {topic}"), 20))).collect();
    let grade = |question: &str, document: &str| match document.split_once('-') {
        Some((topic, stars)) if topic == question => stars.parse::<f32>().unwrap_or(0.0) / 3.0,
        _ => 0.0,
    };

    // The candidates of each question with their features: the very rows that a ranker will see when it is asked.
    let log = engine.log_features(&scope, &questions)?;
    let labels: Vec<f32> = log.iter().map(|(question, document, _)| grade(question, document).floor()).collect();
    let groups = log.groups();
    let names: Vec<String> = log.schema.features().iter().map(|feature| feature.name.clone()).collect();
    let parameters = LambdaMart { num_trees: 50, min_data_in_leaf: 5, ..LambdaMart::default() };
    let mut dataset = Dataset::new(log.rows()?, &labels, &groups);
    dataset.names = &names;
    let trained = lambdamart(&dataset, None, &parameters, &mut |_| ControlFlow::Continue(()))?;
    let ranker = Ranker::new(Model::Trees(trained.ensemble))?.with_schema(log.schema.id());

    // Kept as a file, opened again, taken into use: half of the score from now on.
    let file = folder.path().join("ranker.json");
    std::fs::write(&file, ranker.to_bytes()?)?;
    let ranker = Ranker::from_bytes(&std::fs::read(&file)?)?;
    let request = SearchRequest::new("how violins are made", 3).with_explanations();
    let before: Vec<String> = engine.search(&scope, &request)?.hits.into_iter().map(|hit| hit.id).collect();
    engine.set_ranker(Some(Arc::new(ranker)), 0.5)?;
    let after = engine.search(&scope, &request)?;
    println!("without the ranker: {}", before.join(", "));
    for hit in &after.hits {
        println!("{}. {} {:.3}", hit.rank, hit.id, hit.score);
        let Some(ltr) = hit.explanation.as_ref().and_then(|explanation| explanation.ltr.as_ref()) else { continue };
        // What moved the model most.
        let mut parts: BTreeMap<i64, &str> = BTreeMap::new();
        for feature in &ltr.features {
            let share = feature.contribution.unwrap_or_default();
            parts.insert((-share.abs() * 1e6) as i64, &feature.name);
        }
        let most: Vec<&str> = parts.into_values().take(3).collect();
        println!("   model {:.3}, above all by {}", ltr.score, most.join(", "));
    }
    let best = after.hits.first().map(|hit| hit.id.as_str());
    if best != Some("violins-9") {
        return Err(format!("the page with the most stars should come first, not {best:?}").into());
    }
    Ok(())
}

fn page(topic: &str, stars: u8) -> Document {
    let text = format!("Page {stars} about {topic}: where {topic} come from, and what to know about {topic}.");
    Document::new(format!("{topic}-{stars}"), text).with_metadata("stars", i64::from(stars))
}
