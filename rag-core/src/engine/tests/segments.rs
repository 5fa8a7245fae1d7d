//! Sealed vectors that are whole, but of another time.

use super::*;

fn sealed(folder: &Path, texts: [&str; 2]) -> std::path::PathBuf {
    let engine = open(folder);
    let documents = texts.iter().zip(["a", "b"]).map(|(text, id)| Document::new(id, *text)).collect();
    engine.upsert(&Scope::default(), documents).unwrap();
    engine.commit().unwrap();
    engine.compact().unwrap();
    folder.join("vectors/vectors-000001.seg")
}

#[test]
fn a_segment_that_the_manifest_does_not_list_is_made_again() {
    let (folder, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let ours = sealed(folder.path(), ["alpine passes", "fresh bread"]);
    let theirs = sealed(other.path(), ["fresh bread", "alpine passes"]); // the same documents by number
    std::fs::copy(theirs, ours).unwrap();
    let engine = open(folder.path());
    assert!(engine.repairs().iter().any(|repair| repair.contains("not the segment")), "{:?}", engine.repairs());
    let request = SearchRequest::new("fresh bread", 1).with_mode(Mode::Dense);
    assert_eq!(ids(&engine.search(&Scope::default(), &request).unwrap()), ["b"]);
}
