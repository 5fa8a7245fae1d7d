//! Which crate may depend on which: the arrows of ARCHITECTURE.md.

use toml::{Table, Value};

/// Packages that nothing may depend on.
const ENDS: [&str; 4] = ["rag-benches", "rag-cli", "rag-examples", "xtask"];

/// What pure crates may use of the outside: no I/O, no runtime, no models. faer is arithmetic on matrices.
const LEAF_MAY_USE: [&str; 12] = [
    "arc-swap",
    "base64",
    "ed25519-dalek",
    "faer",
    "foldhash",
    "hmac",
    "rayon",
    "serde",
    "serde_json",
    "sha2",
    "thiserror",
    "zeroize",
];

/// What the engine must never pull in.
const CORE_MUST_NOT_USE: [&str; 8] =
    ["anyhow", "axum", "clap", "hyper", "reqwest", "tokio", "tracing-subscriber", "ureq"];

/// The crates of the project that a package may depend on; `None`: any but the [`ENDS`].
fn permitted(package: &str, path: &str) -> Option<&'static [&'static str]> {
    match package {
        "rag-fusion" | "rag-ltr" | "rag-governance" => Some(&[]),
        "rag-core" => Some(&["rag-fusion", "rag-ltr", "rag-governance"]),
        _ if path.starts_with("rag-core/adapters/") => Some(&["rag-core"]),
        // The bindings reach the leaves through rag-core, and adapters through the runtime.
        _ if path.starts_with("bindings/runtime/") => Some(&["rag-core", "rag-adapter-*"]),
        _ if path.starts_with("bindings/cli/") => Some(&["rag-core", "rag-runtime", "rag-http"]),
        _ if path.starts_with("bindings/") => Some(&["rag-core", "rag-runtime"]),
        _ => None,
    }
}

/// Sentences about what a manifest may not have. Dependencies of tests are looked at for the project's own crates only.
pub(super) fn broken_arrows(path: &str, manifest: &str) -> Vec<String> {
    let manifest: Table = manifest.parse().unwrap_or_else(|error| panic!("{path}: {error}"));
    let Some(package) = manifest.get("package").and_then(|package| package.get("name")).and_then(Value::as_str) else {
        return Vec::new();
    };
    let mut broken = Vec::new();
    let mut say = |name: &str, why: &str| broken.push(format!("{path}: `{package}` may not depend on `{name}`: {why}"));
    let is_leaf = permitted(package, path) == Some(&[]);
    for (kind, name) in dependencies(&manifest) {
        let is_ours = name == "xtask" || name.starts_with("rag-");
        if is_ours && name != package {
            let allowed = permitted(package, path).is_none_or(|allowed| allowed.iter().any(|it| matches(it, &name)));
            if ENDS.contains(&name.as_str()) || !allowed {
                say(&name, "the arrows of ARCHITECTURE.md do not lead there");
            }
        } else if is_leaf && kind != "dev-dependencies" && !LEAF_MAY_USE.contains(&name.as_str()) {
            say(&name, "the leaves are pure");
        } else if package == "rag-core" && kind != "dev-dependencies" && CORE_MUST_NOT_USE.contains(&name.as_str()) {
            say(&name, "the engine has no runtime, no network and no command line");
        }
    }
    broken
}

/// `*` at the end of a pattern stands for any ending.
fn matches(pattern: &str, name: &str) -> bool {
    pattern.strip_suffix('*').map_or(pattern == name, |prefix| name.starts_with(prefix))
}

/// Every dependency with the table it stands in, those of single targets included.
fn dependencies(manifest: &Table) -> Vec<(&'static str, String)> {
    let mut found = Vec::new();
    let targets = manifest.get("target").and_then(Value::as_table);
    let tables = targets.into_iter().flat_map(|targets| targets.values().filter_map(Value::as_table));
    for table in std::iter::once(manifest).chain(tables) {
        for kind in ["dependencies", "dev-dependencies", "build-dependencies"] {
            for (name, value) in table.get(kind).and_then(Value::as_table).into_iter().flatten() {
                let real = value.get("package").and_then(Value::as_str).unwrap_or(name);
                found.push((kind, real.to_owned()));
            }
        }
    }
    found
}

#[test]
fn broken_arrows_are_seen() {
    let count = |path: &str, package: &str, tables: &str| {
        broken_arrows(path, &format!("[package]\nname = \"{package}\"\n{tables}")).len()
    };
    assert_eq!(count("rag-ltr/Cargo.toml", "rag-ltr", "[dependencies]\nrag-fusion = {}\ntempfile = {}\n"), 2);
    assert_eq!(count("rag-ltr/Cargo.toml", "rag-ltr", "[dev-dependencies]\ntempfile = {}\nrag-core = {}\n"), 1);
    assert_eq!(count("rag-core/Cargo.toml", "rag-core", "[target.'cfg(unix)'.dependencies]\ntokio = {}\n"), 1);
    assert_eq!(count("rag-core/Cargo.toml", "rag-core", "[dependencies]\nx = { package = \"rag-runtime\" }\n"), 1);
    assert_eq!(count("bindings/cli/Cargo.toml", "rag-cli", "[dependencies]\nrag-ltr = {}\nrag-core = {}\n"), 1);
    assert_eq!(count("bindings/runtime/Cargo.toml", "rag-runtime", "[dependencies]\nrag-adapter-redis = {}\n"), 0);
    assert_eq!(count("examples/Cargo.toml", "rag-examples", "[dependencies]\nrag-ltr = {}\nxtask = {}\n"), 1);
}
