//! What a file is, by its name.

use std::path::Path;

/// How the content of a file is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Plain text.
    Text,
    /// Markdown.
    Markdown,
    /// Source code and configuration.
    Code,
    /// A web page.
    Html,
    /// PDF.
    Pdf,
    /// One JSON object a line.
    Jsonl,
    /// Comma-separated values with a header row (RFC 4180).
    Csv,
    /// Tab-separated values with a header row, without quoting.
    Tsv,
}

impl Kind {
    /// The value of the metadata field `kind`.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Kind::Text => "text",
            Kind::Markdown => "markdown",
            Kind::Code => "code",
            Kind::Html => "html",
            Kind::Pdf => "pdf",
            Kind::Jsonl => "jsonl",
            Kind::Csv => "csv",
            Kind::Tsv => "tsv",
        }
    }

    /// The cargo feature that brings its reader, if this build lacks it.
    pub(crate) fn missing_feature(self) -> Option<&'static str> {
        match self {
            Kind::Html if !cfg!(feature = "html") => Some("html"),
            Kind::Pdf if !cfg!(feature = "pdf") => Some("pdf"),
            _ => None,
        }
    }
}

/// The kind of a file and whether it is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Format {
    /// What is inside.
    pub(crate) kind: Kind,
    /// Whether gzip is around it.
    pub(crate) gzip: bool,
}

/// Extensions that are read as source code.
const CODE: &[&str] = &[
    "asm",
    "awk",
    "bash",
    "bat",
    "c",
    "cc",
    "cfg",
    "clj",
    "cmake",
    "conf",
    "cpp",
    "cs",
    "css",
    "cu",
    "cxx",
    "d",
    "dart",
    "diff",
    "el",
    "ex",
    "exs",
    "fish",
    "fs",
    "go",
    "gradle",
    "graphql",
    "groovy",
    "h",
    "hcl",
    "hpp",
    "hs",
    "hxx",
    "ini",
    "ipynb",
    "java",
    "jl",
    "js",
    "json",
    "jsx",
    "kt",
    "kts",
    "less",
    "lisp",
    "lock",
    "lua",
    "m",
    "mjs",
    "mk",
    "ml",
    "mli",
    "mm",
    "nim",
    "nix",
    "patch",
    "php",
    "pl",
    "pm",
    "properties",
    "proto",
    "ps1",
    "py",
    "pyi",
    "r",
    "rb",
    "rs",
    "sass",
    "scala",
    "scss",
    "sh",
    "sql",
    "svelte",
    "swift",
    "tcl",
    "tf",
    "toml",
    "ts",
    "tsx",
    "vb",
    "vim",
    "vue",
    "xml",
    "yaml",
    "yml",
    "zig",
    "zsh",
];

/// Names without a telling extension that hold text: the part before the first `.` or `-`, in lower case.
const TEXT_NAMES: &[&str] = &[
    "readme",
    "license",
    "licence",
    "copying",
    "changelog",
    "changes",
    "authors",
    "contributors",
    "contributing",
    "notice",
    "news",
    "todo",
    "install",
];

/// The same for code.
const CODE_NAMES: &[&str] = &["makefile", "dockerfile", "justfile", "rakefile", "gemfile", "jenkinsfile"];

/// What `path` holds, judged by its name; `None` if nothing here can read it.
pub(crate) fn of_path(path: &Path) -> Option<Format> {
    let name = path.file_name()?.to_str()?.to_lowercase();
    let (name, gzip) = match name.strip_suffix(".gz") {
        Some(inner) => (inner, true),
        None => (name.as_str(), false),
    };
    let kind = match Path::new(name).extension().and_then(|extension| extension.to_str()) {
        Some("txt" | "text" | "rst" | "adoc" | "org" | "tex" | "log") => Kind::Text,
        Some("md" | "markdown" | "mdx") => Kind::Markdown,
        Some("html" | "htm" | "xhtml") => Kind::Html,
        Some("pdf") => Kind::Pdf,
        Some("jsonl" | "ndjson") => Kind::Jsonl,
        Some("csv") => Kind::Csv,
        Some("tsv" | "tab") => Kind::Tsv,
        Some(extension) if CODE.binary_search(&extension).is_ok() => Kind::Code,
        Some(_) => return None,
        None => {
            let stem = name.split(['.', '-']).next().unwrap_or_default();
            if TEXT_NAMES.contains(&stem) {
                Kind::Text
            } else if CODE_NAMES.contains(&stem) {
                Kind::Code
            } else {
                return None;
            }
        }
    };
    (!gzip || !matches!(kind, Kind::Html | Kind::Pdf)).then_some(Format { kind, gzip })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_extensions_are_sorted_for_the_binary_search() {
        assert!(CODE.is_sorted());
    }

    #[test]
    fn names_tell_the_kind() {
        let kind = |name: &str| of_path(Path::new(name)).map(|format| (format.kind, format.gzip));
        assert_eq!(kind("a/b.MD"), Some((Kind::Markdown, false)));
        assert_eq!(kind("corpus.jsonl.gz"), Some((Kind::Jsonl, true)));
        assert_eq!(kind("lib.rs"), Some((Kind::Code, false)));
        assert_eq!(kind("LICENSE-MIT"), Some((Kind::Text, false)));
        assert_eq!(kind("Dockerfile"), Some((Kind::Code, false)));
        for unknown in ["photo.png", "page.html.gz", "a.gz", "data.bin", "noextension", ".."] {
            assert_eq!(kind(unknown), None, "{unknown}");
        }
    }
}
