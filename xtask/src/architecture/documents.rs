//! Documentation that can be checked: links lead somewhere, and ARCHITECTURE.md names every folder.

use std::fs;

use super::{files, root};

/// The targets of the links of a Markdown text that stay inside the repository, without what follows `#`.
fn local_links(text: &str) -> Vec<&str> {
    let targets = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    let targets = targets.filter(|target| !target.contains("://") && !target.contains(char::is_whitespace));
    targets.filter_map(|target| target.split('#').next()).filter(|path| !path.is_empty()).collect()
}

#[test]
fn links_lead_to_files() {
    let root = root();
    let documents = files(&root, |path| path.extension().is_some_and(|extension| extension == "md"));
    assert!(documents.iter().any(|path| path == "README.md"), "the documents were not found");
    let mut broken = Vec::new();
    for document in documents.iter().filter(|path| !path.contains("fixtures/")) {
        let path = root.join(document);
        for link in local_links(&fs::read_to_string(&path).unwrap()) {
            if !path.parent().unwrap().join(link).exists() {
                broken.push(format!("{document}: {link}"));
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn every_top_level_folder_is_named() {
    let root = root();
    let text = fs::read_to_string(root.join("ARCHITECTURE.md")).unwrap();
    for file in files(&root, |path| path.file_name().is_some_and(|name| name == "Cargo.toml")) {
        let folder = file.split('/').next().unwrap();
        assert!(folder == "Cargo.toml" || text.contains(&format!("| `{folder}` |")), "ARCHITECTURE.md lacks {folder}");
    }
}

#[test]
fn links_are_found() {
    let text = "[a](b.md) [c](d/e.md#f) [g](https://h/i) [j](#k) `x[](y, z)`";
    assert_eq!(local_links(text), ["b.md", "d/e.md"]);
}
