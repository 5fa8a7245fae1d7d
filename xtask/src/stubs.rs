//! The types of the Python package, out of the signatures in its library.

use std::path::Path;

use anyhow::{Context, Result, ensure};

/// Modules that the annotations of the Rust sources name.
const IMPORTS: &str =
    "import collections.abc\nimport datetime\nimport os\nimport typing\n\nimport numpy\nimport numpy.typing\n";

/// What Rust cannot say of special methods and of fields. Every line must be there, so that none outlives its method.
const SHARPER: [(&str, &str); 9] = [
    (
        "    def __getitem__(self, index: Any, /) -> Any:",
        "    @typing.overload\n    def __getitem__(self, index: int, /) -> Hit: ...\n    @typing.overload\n    \
         def __getitem__(self, index: slice, /) -> tuple[Hit, ...]:",
    ),
    ("def __iter__(self, /) -> Any:", "def __iter__(self, /) -> collections.abc.Iterator[Hit]:"),
    ("def hits(self, /) -> tuple:", "def hits(self, /) -> tuple[Hit, ...]:"),
    ("def runs(self, /) -> tuple:", "def runs(self, /) -> tuple[RunExplanation, ...]:"),
    ("def features(self, /) -> tuple:", "def features(self, /) -> tuple[FeatureExplanation, ...]:"),
    ("features: tuple)", "features: tuple[FeatureExplanation, ...])"),
    ("runs: tuple,", "runs: tuple[RunExplanation, ...],"),
    ("def metadata(self, /) -> dict:", "def metadata(self, /) -> dict[str, typing.Any]:"),
    ("metadata: dict,", "metadata: dict[str, typing.Any],"),
];

/// The stubs of the module in `library`, a build with the feature `rag-python/stubs`.
pub(crate) fn made(library: &Path) -> Result<String> {
    let module = pyo3_introspection::introspect_cdylib(library, "_rag_core")?;
    let mut files = pyo3_introspection::module_stub_files(&module);
    let raw = files.remove(Path::new("__init__.pyi")).context("the library has no signatures in it")?;
    let mut stubs: String = raw.lines().map(|line| unquoted(line) + "\n").collect();
    for (said, meant) in SHARPER {
        ensure!(stubs.contains(said), "the stubs have no `{said}` any more; xtask/src/stubs.rs makes it sharper");
        stubs = stubs.replace(said, meant);
    }
    stubs = stubs.replace("hits: tuple,", "hits: tuple[Hit, ...],");
    let (about, rest) = stubs.split_once("\nfrom ").context("the stubs begin in another way")?;
    Ok(format!("# Made of the Rust signatures by `cargo xtask stubs`.\n{about}\n{IMPORTS}from {rest}"))
}

/// A signature without the quotation marks around its annotations; those of defaults stay.
fn unquoted(line: &str) -> String {
    if !line.trim_start().starts_with("def ") {
        return line.to_owned();
    }
    let mut plain = line.to_owned();
    for mark in [": \"", "-> \""] {
        while let Some(start) = plain.find(mark).map(|at| at + mark.len() - 1) {
            let Some(length) = plain[start + 1..].find('"') else { break };
            plain.remove(start + 1 + length);
            plain.remove(start);
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn annotations_lose_their_quotes_and_defaults_keep_them() {
        let quoted = r#"    def f(x: "int | None" = None, y: "str" = "a", *, z: dict) -> "list[str]": ..."#;
        assert_eq!(unquoted(quoted), r#"    def f(x: int | None = None, y: str = "a", *, z: dict) -> list[str]: ..."#);
        assert_eq!(unquoted(r#"        "a": "b""#), r#"        "a": "b""#);
    }
}
