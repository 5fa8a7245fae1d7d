//! The invariants of ARCHITECTURE.md that a test can see, held against every manifest and every source file.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod documents;
mod manifests;
mod source;

use std::fs;
use std::path::{Path, PathBuf};

use source::{has_word, product_code};

/// Files beyond this length are named in the output of the test; they are no failure.
const LONG: usize = 500;

/// One rule about the code of the product: which files it holds in, and what must not stand there.
struct Rule {
    says: &'static str,
    /// Whether the rule holds in the file of this path (with `/`, below the root).
    holds_in: fn(&str) -> bool,
    /// Whether a line of code breaks it.
    broken_by: fn(&str) -> bool,
}

const LEAVES: [&str; 3] = ["rag-fusion/src/", "rag-ltr/src/", "rag-governance/src/"];
const CORE: &str = "rag-core/src/";

fn in_leaf(path: &str) -> bool {
    LEAVES.iter().any(|leaf| path.starts_with(leaf))
}

fn in_library(path: &str) -> bool {
    path.starts_with(CORE) || in_leaf(path)
}

/// A module named `arch`, or the one that maps memory.
fn may_be_unsafe(path: &str) -> bool {
    path.split('/').any(|part| part == "arch" || part == "arch.rs") || path == "rag-core/src/format/mmap.rs"
}

/// Third-party crates whose types stay inside.
const HIDDEN: [&str; 9] =
    ["bincode", "candle_core", "candle_nn", "hnsw_rs", "redb", "roaring", "tantivy", "tokenizers", "tokio"];

const RULES: [Rule; 9] = [
    Rule {
        says: "only rag-core/src/format/codec.rs names bincode",
        holds_in: |path| path != "rag-core/src/format/codec.rs",
        broken_by: |line| has_word(line, "bincode"),
    },
    Rule {
        says: "`unsafe` stands only in modules named `arch` and in format/mmap.rs",
        holds_in: |path| !may_be_unsafe(path),
        broken_by: |line| has_word(line, "unsafe"),
    },
    Rule {
        says: "intrinsics stand only in modules named `arch`",
        holds_in: |path| !may_be_unsafe(path) || path.ends_with("mmap.rs"),
        broken_by: |line| {
            let line = line.replace("std::arch::is_", "").replace("core::arch::is_", "");
            line.contains("core::arch") || line.contains("std::arch")
        },
    },
    Rule {
        says: "only format/mmap.rs maps memory",
        holds_in: |path| path != "rag-core/src/format/mmap.rs",
        broken_by: |line| has_word(line, "memmap2"),
    },
    Rule {
        says: "the libraries never read the environment",
        holds_in: in_library,
        broken_by: |line| {
            has_word(line, "std::env") || ["env::var", "env::vars", "env::args"].iter().any(|it| line.contains(it))
        },
    },
    Rule {
        says: "the libraries never print and never exit",
        holds_in: in_library,
        broken_by: |line| {
            ["println!", "eprintln!", "print!", "eprint!", "dbg!"].iter().any(|it| line.contains(it))
                || line.contains("process::exit")
                || line.contains("process::abort")
        },
    },
    Rule {
        says: "the libraries never touch the network and start no asynchronous runtime",
        holds_in: in_library,
        broken_by: |line| {
            has_word(line, "std::net") || ["tokio", "TcpStream", "UdpSocket"].iter().any(|it| has_word(line, it))
        },
    },
    Rule {
        says: "the leaves do no I/O and see neither candle nor a process",
        holds_in: in_leaf,
        broken_by: |line| {
            let std_io = ["std::fs", "std::net", "std::process", "std::io", "File::open", "File::create"];
            std_io.iter().any(|it| line.contains(it)) || line.contains("candle")
        },
    },
    Rule {
        says: "no type of a third party stands in a public signature of rag-core",
        holds_in: |path| path.starts_with(CORE),
        broken_by: |line| {
            let line = line.trim_start();
            line.starts_with("pub ")
                && HIDDEN
                    .iter()
                    .any(|name| line.contains(&format!("{name}::")) || line.starts_with(&format!("pub use {name}")))
        },
    },
];

/// The sentences about one file: rule, path, line.
fn broken_rules(path: &str, source: &str) -> Vec<String> {
    let code = product_code(source);
    let mut broken = Vec::new();
    for rule in RULES.iter().filter(|rule| (rule.holds_in)(path)) {
        for (number, line) in code.lines().enumerate().filter(|(_, line)| (rule.broken_by)(line)) {
            broken.push(format!("{path}:{}: {}: `{}`", number + 1, rule.says, line.trim()));
        }
    }
    broken
}

/// Code that only tests run, and tools that are no part of the product.
fn is_outside_the_product(path: &str) -> bool {
    let is_test = path.split('/').any(|part| ["tests", "tests.rs", "parity.rs", "build.rs"].contains(&part));
    is_test || ["xtask/", "fuzz/", "benches/", "examples/"].iter().any(|folder| path.starts_with(folder))
}

fn root() -> PathBuf {
    crate::workspace_root().unwrap()
}

/// Every file below the root with this name or extension, as path with `/` below the root.
fn files(root: &Path, wanted: fn(&Path) -> bool) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir() {
                if !name.starts_with('.') && !["target", "node_modules"].contains(&name.as_str()) {
                    folders.push(path);
                }
            } else if wanted(&path) {
                found.push(path.strip_prefix(root).unwrap().to_string_lossy().replace('\\', "/"));
            }
        }
    }
    found.sort();
    found
}

#[test]
fn every_source_file_keeps_the_rules() {
    let root = root();
    let sources = files(&root, |path| path.extension().is_some_and(|extension| extension == "rs"));
    assert!(sources.iter().any(|path| path == "rag-core/src/lib.rs"), "the sources were not found");
    let mut broken = Vec::new();
    for path in sources {
        let source = fs::read_to_string(root.join(&path)).unwrap();
        let lines = source.lines().count();
        if lines > LONG {
            eprintln!("warning: {path} has {lines} lines; parts of it may want a file of their own");
        }
        if !is_outside_the_product(&path) {
            broken.extend(broken_rules(&path, &source));
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn manifests_keep_the_arrows() {
    let root = root();
    let manifests = files(&root, |path| path.file_name().is_some_and(|name| name == "Cargo.toml"));
    let mut broken = Vec::new();
    for path in manifests {
        broken.extend(manifests::broken_arrows(&path, &fs::read_to_string(root.join(&path)).unwrap()));
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn broken_rules_are_seen() {
    for (path, source) in [
        ("rag-core/src/store/mod.rs", "use bincode::encode;"),
        ("rag-core/src/ann/flat.rs", "fn f() { unsafe { g() } }"),
        ("rag-core/src/distance/mod.rs", "use std::arch::x86_64::__m256;"),
        ("rag-core/src/ann/flat.rs", "use memmap2::Mmap;"),
        ("rag-core/src/config.rs", "let v = std::env::var(name);"),
        ("rag-ltr/src/lib.rs", "println!();"),
        ("rag-core/src/engine/mod.rs", "std::process::exit(1)"),
        ("rag-core/src/engine/mod.rs", "tokio::spawn(f)"),
        ("rag-fusion/src/run.rs", "std::fs::read(path)"),
        ("rag-core/src/ann/mod.rs", "pub fn new(inner: hnsw_rs::Hnsw) -> Self"),
        ("rag-core/src/lib.rs", "pub use tantivy;"),
    ] {
        assert_eq!(broken_rules(path, source).len(), 1, "{path}: {source}");
    }
}

#[test]
fn permitted_places_are_left_alone() {
    for (path, source) in [
        ("rag-core/src/format/codec.rs", "use bincode::serde;"),
        ("rag-core/src/distance/arch/x86_64.rs", "use core::arch::x86_64::*; unsafe fn f() {}"),
        ("rag-ltr/src/score/arch.rs", "unsafe { f() }"),
        ("rag-core/src/distance/mod.rs", "if std::arch::is_x86_feature_detected!() {}"),
        ("rag-core/src/format/mmap.rs", "unsafe { memmap2::Mmap::map(file) }"),
        ("rag-core/src/store/mod.rs", "pub(crate) fn f(db: redb::Database) {}\n// bincode, unsafe"),
        ("rag-core/src/store/mod.rs", "#[cfg(test)]\nmod tests { fn f() { println!(); } }"),
        ("bindings/runtime/src/lib.rs", "std::env::var(name)"),
    ] {
        assert_eq!(broken_rules(path, source), Vec::<String>::new(), "{path}");
    }
}
