//! Documents in, ranked and explained answers out: `cargo run -p rag-examples --example basic_search`

#![allow(clippy::print_stdout)]

use rag_core::engine::SearchRequest;
use rag_core::{Document, Engine, Scope};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // An engine lives in a folder of its own. The embedding model is part of the library, so there is nothing to download
    // and nothing to configure. Here the folder is a temporary one; yours would be a path that stays.
    let folder = tempfile::tempdir()?;
    let engine = Engine::open(folder.path())?;

    // Every call says on whose behalf it is made. Without tenants of your own, the default scope is all you need.
    let scope = Scope::default();

    // A document has an id and a text. Title and metadata are optional.
    let report = engine.upsert(
        &scope,
        vec![
            Document::new("passes", "High alpine roads are closed from November to May because of snow.")
                .with_title("Mountain passes")
                .with_metadata("topic", "travel"),
            Document::new("bakery", "The bakery opens at six in the morning and sells out of rye bread by nine."),
            Document::new("rust", "Ownership lets the compiler free memory without a garbage collector."),
            Document::new("soup", "Simmer the soup slowly; boiling makes the broth cloudy."),
        ],
    )?;
    println!("{} documents added, {} chunks embedded", report.added, report.embedded);

    // Nothing is visible yet: changes are staged until a commit makes all of them durable at once.
    engine.commit()?;

    // A question. By default two retrievers answer it, nearest vectors and BM25, and their runs are fused.
    let request = SearchRequest::new("can I drive over the mountains in winter", 2).with_explanations();
    let answer = engine.search(&scope, &request)?;
    for hit in &answer.hits {
        println!("\n{}. {} {:.3}  {}", hit.rank, hit.id, hit.score, hit.passage.text);
        // An explanation says what each run thought of the document; the contributions add up to the score.
        for run in hit.explanation.iter().flat_map(|explanation| &explanation.runs) {
            match (run.rank, run.score) {
                (Some(rank), Some(score)) => println!(
                    "   {}: rank {rank}, score {score:.3}, contributes {:.2} × {:.3} = {:.3}",
                    run.run,
                    run.weight,
                    run.normalized.unwrap_or_default(),
                    run.contribution
                ),
                _ => println!("   {}: not found", run.run),
            }
        }
    }
    assert_eq!(answer.hits[0].id, "passes");

    // Saying the same again costs nothing, and a change costs what changed.
    let again = vec![Document::new("soup", "Simmer the soup slowly; boiling makes the broth cloudy.")];
    assert_eq!(engine.upsert(&scope, again)?.unchanged, 1);

    // A deleted document is gone from every answer when `commit` returns.
    engine.delete(&scope, &["passes"])?;
    engine.commit()?;
    let answer = engine.search(&scope, &request)?;
    assert!(answer.hits.iter().all(|hit| hit.id != "passes"));

    // Everything is on disk: the folder opens again with what was committed last.
    drop(engine);
    let engine = Engine::open(folder.path())?;
    println!("\n{} documents after opening again", engine.stats(&scope)?.documents);
    assert_eq!(engine.stats(&scope)?.documents, 3);
    Ok(())
}
