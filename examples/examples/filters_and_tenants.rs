//! Who may see what: `cargo run -p rag-examples --example filters_and_tenants`

#![allow(clippy::print_stdout)]

use rag_core::engine::SearchRequest;
use rag_core::{Document, Engine, ErrorKind, Filter, Scope};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir()?;
    let engine = Engine::open(folder.path())?;

    // One folder serves many tenants. A scope is what a call may see, and there is no call without one, so forgetting the
    // tenant is not a mistake that can be made. Ids are unique within a tenant: both may have a document `plan`.
    let (acme, globex) = (Scope::tenant("acme")?, Scope::tenant("globex")?);
    engine.upsert(
        &acme,
        vec![
            Document::new("plan", "The launch plan for the new rocket boots.")
                .with_metadata("department", "research")
                .with_metadata("public", false)
                .with_metadata("date", "2024-05-01"),
            Document::new("press", "Press release: the rocket boots launch in autumn.")
                .with_metadata("department", "press")
                .with_metadata("public", true)
                .with_metadata("date", "2024-09-12"),
            Document::new("menu", "The canteen launches a new menu.")
                .with_metadata("department", "canteen")
                .with_metadata("public", true)
                .with_metadata("date", "2023-01-20"),
        ],
    )?;
    engine.upsert(&globex, vec![Document::new("plan", "Our plan: find out when their boots launch.")])?;
    engine.commit()?;

    let ids = |scope: &Scope, request: &SearchRequest| -> rag_core::Result<Vec<String>> {
        Ok(engine.search(scope, request)?.hits.into_iter().map(|hit| hit.id).collect())
    };
    let launch = SearchRequest::new("when do the boots launch", 10);
    println!("acme sees {:?}", ids(&acme, &launch)?);
    println!("globex sees {:?}", ids(&globex, &launch)?);
    assert_eq!(ids(&globex, &launch)?, ["plan"]);
    assert_eq!(engine.search(&globex, &launch)?.visible, 1);

    // A filter narrows one question. Both retrievers obey it before they rank, so ten hits asked for are ten hits that
    // match. Strings that are dates compare as moments.
    let this_year = launch.clone().with_filter(Filter::at_least("date", "2024-01-01"));
    let found = ids(&acme, &this_year)?;
    println!("since 2024: {found:?}");
    assert!(found.len() == 2 && !found.contains(&"menu".to_owned()));

    // The same language as JSON, for filters that come from outside.
    let filter =
        Filter::parse(r#"{"and": [{"in": {"department": ["press", "canteen"]}}, {"not": {"exists": "draft"}}]}"#)?;
    assert_eq!(ids(&acme, &launch.clone().with_filter(filter))?.len(), 2);

    // A filter in the scope is an obligation: whatever is asked, by whatever code, only public documents are seen …
    let visitor = acme.clone().restricted_to(Filter::eq("public", true));
    assert!(!ids(&visitor, &launch)?.contains(&"plan".to_owned()));
    assert!(engine.get(&visitor, "plan")?.is_none());

    // … and only such documents can be written.
    let refused = engine.upsert(&visitor, vec![Document::new("leak", "Secret.").with_metadata("public", false)]);
    match refused {
        Err(error) if error.kind() == ErrorKind::PermissionDenied => println!("refused: {error}"),
        other => return Err(format!("expected a refusal, got {other:?}").into()),
    }
    Ok(())
}
