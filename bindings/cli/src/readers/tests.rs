#![allow(clippy::format_collect, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)]

use std::fs;
use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use rag_core::Value;
use tempfile::TempDir;

use super::*;

/// A folder with these files.
fn folder(files: &[(&str, &[u8])]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, content) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
    folder
}

fn read_all(root: &Path, options: ReadOptions) -> (Vec<Document>, ReadReport) {
    let mut reader = read(root, options).unwrap();
    let documents: Vec<_> = reader.by_ref().collect();
    let report = reader.into_report();
    assert_eq!(report.read, documents.len() as u64);
    (documents, report)
}

fn ids(documents: &[Document]) -> Vec<&str> {
    documents.iter().map(|document| document.id.as_str()).collect()
}

/// What was skipped, as `path below the root[:line]: why`.
fn skipped(report: &ReadReport, root: &Path) -> Vec<String> {
    let prefix = format!("{}/", root.display());
    report.skipped.iter().map(|skipped| skipped.to_string().replacen(&prefix, "", 1)).collect()
}

fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn a_folder_is_read_in_name_order_and_the_rest_is_named() {
    let root = folder(&[
        (".gitignore", b"target/\n*.log\n"),
        (".hidden.txt", b"x"),
        ("README.md", b"\xEF\xBB\xBF# The title\n\nText.\n"),
        ("a/b/main.rs", b"fn main() {}\n"),
        ("a/empty.txt", b" \n\t\n"),
        ("build.log", b"ignored"),
        ("latin1.txt", b"12\xB0C"),
        ("photo.png", b"\x89PNG"),
        ("really.txt", b"ab\0cd"),
        ("target/out.txt", b"ignored"),
        ("z.txt", "größe".as_bytes()),
    ]);
    let (documents, report) = read_all(root.path(), ReadOptions::default());
    assert_eq!(ids(&documents), ["README.md", "a/b/main.rs", "z.txt"]);
    assert_eq!((documents[0].title.as_str(), documents[0].text.as_str()), ("The title", "# The title\n\nText.\n"));
    assert_eq!((documents[1].title.as_str(), &documents[1].metadata["kind"]), ("main.rs", &Value::from("code")));
    let metadata = &documents[2].metadata;
    assert_eq!((&metadata["path"], &metadata["bytes"]), (&Value::from("z.txt"), &Value::Int(7)));
    assert_eq!((&metadata["kind"], &metadata["extension"]), (&Value::from("text"), &Value::from("txt")));
    let Value::Text(modified) = &metadata["modified"] else { panic!("{metadata:?}") };
    assert!(modified.parse::<jiff::Timestamp>().is_ok(), "{modified}");
    assert_eq!((report.empty, report.ignored, report.failed), (1, 1, 2));
    assert_eq!(
        skipped(&report, root.path()),
        [
            "latin1.txt: not UTF-8: invalid byte at offset 2; convert it to UTF-8",
            "photo.png: no reader for this kind of file",
            "really.txt: binary: a NUL byte among the first 8192 bytes",
        ]
    );
    assert_eq!(report.failures().count(), 2);
}

#[test]
fn a_single_file_is_read_whatever_its_name() {
    let root = folder(&[("notes", b"some notes"), ("data.xyz", b"text"), ("x.bin", b"\0")]);
    assert_eq!(read_all(&root.path().join("notes"), ReadOptions::default()).0[0].id, "notes");
    assert_eq!(read_all(&root.path().join("data.xyz"), ReadOptions::default()).0[0].text, "text");
    assert_eq!(read_all(&root.path().join("x.bin"), ReadOptions::default()).1.failed, 1);
    let missing = read(&root.path().join("none"), ReadOptions::default()).err().unwrap();
    assert_eq!(missing.kind(), rag_core::ErrorKind::NotFound);
}

#[test]
fn a_bad_line_of_json_is_named_and_the_next_one_read() {
    let mut content = b"\xEF\xBB\xBF{\"_id\": \"a\", \"title\": \"A\", \"text\": \"one\"}\r\n\n".to_vec();
    content.extend_from_slice(
        b"{\"id\": 2, \"text\": \"bro\xFFken\"}\n{\"id\": 3, \"te\n[1]\n{\"id\": 6, \"text\": \"\"}\n",
    );
    content.extend_from_slice(b"{\"n\": 7}\n{\"text\": \"last, without an end\"}");
    let root = folder(&[("d/c.jsonl", &content), ("d/e.ndjson.gz", &gzip(&content))]);
    let (documents, report) = read_all(root.path(), ReadOptions::default());
    assert_eq!(ids(&documents), ["a", "d/c.jsonl#8", "a", "d/e.ndjson.gz#8"]);
    assert_eq!((report.empty, report.failed), (2, 8));
    let named = skipped(&report, root.path());
    let lines: Vec<_> = named.iter().map(|text| text.split(": ").next().unwrap()).collect();
    assert_eq!(lines[..4], ["d/c.jsonl:3", "d/c.jsonl:4", "d/c.jsonl:5", "d/c.jsonl:7"]);
}

#[test]
fn a_line_of_ten_megabytes_is_read_and_one_beyond_the_limit_passed_over() {
    let long = "word ".repeat(2 << 20);
    let content = format!("{{\"id\":\"long\",\"text\":\"{long}\"}}\n{{\"id\":\"b\",\"text\":\"short\"}}\n");
    let root = folder(&[("c.jsonl", content.as_bytes()), ("t.txt", long.as_bytes())]);
    let (documents, report) = read_all(root.path(), ReadOptions::default());
    assert_eq!(ids(&documents), ["long", "b", "t.txt"]);
    assert_eq!((documents[0].text.len(), report.failed), (10 << 20, 0));

    let (documents, report) = read_all(root.path(), ReadOptions { max_bytes: 1 << 20, ..ReadOptions::default() });
    assert_eq!(ids(&documents), ["b"]);
    let named = skipped(&report, root.path());
    assert_eq!(named, ["c.jsonl:1: larger than 1048576 bytes", "t.txt: larger than 1048576 bytes"]);
}

#[test]
fn the_limit_counts_the_line_without_its_end() {
    for end in ["\n", "\r\n", ""] {
        for (length, fits) in [(29usize, true), (30, true), (31, false), (32, false), (33, false), (90, false)] {
            let line = format!("{{\"id\":\"x\",\"text\":\"{}\"}}", "y".repeat(length - 20));
            assert_eq!(line.len(), length);
            let root = folder(&[("c.jsonl", format!("{line}{end}").as_bytes())]);
            let (documents, report) = read_all(root.path(), ReadOptions { max_bytes: 30, ..ReadOptions::default() });
            assert_eq!((documents.len() == 1, report.failed == 0), (fits, fits), "{length} {end:?}");
        }
    }
}

#[test]
fn rows_become_documents() {
    let root = folder(&[
        (
            "a.csv",
            b"id,title,text,year,code\n1,T,\"two\nlines, quoted\",2024,007\n2,U,short\n3,,x,,\n4,V,\xFF,1,1\n,,,,\n",
        ),
        ("b.tsv", b"body\trating\na \"raw\" quote\t0.5\n"),
        ("c.csv.gz", &gzip(b"content\nzipped\n")),
        ("d.csv", b""),
    ]);
    let (documents, report) = read_all(root.path(), ReadOptions::default());
    assert_eq!(ids(&documents), ["1", "3", "b.tsv#2", "c.csv.gz#2"]);
    assert_eq!(documents[0].text, "two\nlines, quoted");
    assert_eq!(documents[0].metadata["year"], Value::Int(2024));
    assert_eq!(documents[0].metadata["code"], Value::from("007"));
    assert_eq!((documents[2].text.as_str(), &documents[2].metadata["rating"]), ("a \"raw\" quote", &Value::Float(0.5)));
    assert_eq!(
        skipped(&report, root.path()),
        [
            "a.csv:4: malformed: 3 fields where the header has 5",
            "a.csv:6: not UTF-8: invalid byte at offset 0; convert it to UTF-8",
            "a.csv:7: no text: none of the fields `text`, `body`, `content`, `abstract` is a string",
        ]
    );
}

#[test]
fn an_unclosed_quote_does_not_swallow_the_memory() {
    let content = format!("id,text\n1,fine\n2,\"{}", "never closed\n".repeat(100_000));
    let root = folder(&[("a.csv", content.as_bytes())]);
    let (documents, report) = read_all(root.path(), ReadOptions { max_bytes: 100_000, ..ReadOptions::default() });
    assert_eq!((ids(&documents), report.failed), (vec!["1"], 1));
    assert!(matches!(report.skipped[0].problem, Problem::TooLarge { .. }));
}

#[test]
fn a_cut_archive_is_reported_after_what_could_be_read() {
    let lines: String = (0..2000).map(|i| format!("{{\"id\":{i},\"text\":\"t{}\"}}\n", i * 7919 % 1009)).collect();
    let whole = gzip(lines.as_bytes());
    let root = folder(&[("c.jsonl.gz", &whole[..whole.len() / 2]), ("d.txt.gz", b"not gzip"), ("e.txt", b"next")]);
    let (documents, report) = read_all(root.path(), ReadOptions::default());
    assert!(!documents.is_empty() && documents.len() < 2000, "{}", documents.len());
    assert_eq!(documents.last().unwrap().id, "e.txt");
    assert_eq!(report.failed, 2);
}

#[test]
fn only_a_thousand_particulars_are_kept() {
    let root = folder(&[("c.jsonl", "nonsense\n".repeat(1500).as_bytes())]);
    let (_, report) = read_all(root.path(), ReadOptions::default());
    assert_eq!((report.failed, report.skipped.len()), (1500, MAX_KEPT));
}

#[test]
fn a_file_whose_reader_is_not_built_in_is_an_error_by_its_own_name() {
    let root = folder(&[("a.pdf", b""), ("b.html", b"")]);
    for (name, is_built) in [("a.pdf", cfg!(feature = "pdf")), ("b.html", cfg!(feature = "html"))] {
        let refused = read(&root.path().join(name), ReadOptions::default()).err().map(|error| error.kind());
        assert_eq!(refused, (!is_built).then_some(ErrorKind::Unsupported), "{name}");
    }
    assert_eq!(read_all(root.path(), ReadOptions::default()).1.failed, u64::from(cfg!(feature = "pdf")));
}

#[cfg(unix)]
mod unix {
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    #[test]
    fn links_are_followed_on_request_and_cycles_are_named() {
        let root = folder(&[("a/x.txt", b"x"), ("y.txt", b"y")]);
        symlink("..", root.path().join("a/up")).unwrap();
        symlink("y.txt", root.path().join("link.txt")).unwrap();
        symlink("gone.txt", root.path().join("dangling.txt")).unwrap();

        let (documents, report) = read_all(root.path(), ReadOptions::default());
        assert_eq!((ids(&documents), report.ignored, report.failed), (vec!["a/x.txt", "y.txt"], 3, 0));

        let (documents, report) = read_all(root.path(), ReadOptions { follow_links: true, ..ReadOptions::default() });
        assert_eq!(ids(&documents), ["a/x.txt", "link.txt", "y.txt"]);
        let named = skipped(&report, root.path());
        assert_eq!((named.len(), report.failed), (2, 2), "{named:?}");
        assert!(matches!(report.skipped[0].problem, Problem::Cycle { .. }), "{named:?}");
        assert!(
            named[0].starts_with("a/up: a symbolic link to") && named[1].starts_with("dangling.txt: "),
            "{named:?}"
        );
    }

    #[test]
    fn what_may_not_be_read_is_named() {
        let root = folder(&[("a.txt", b"a"), ("closed/b.txt", b"b"), ("closed.txt", b"c")]);
        for name in ["closed", "closed.txt"] {
            fs::set_permissions(root.path().join(name), fs::Permissions::from_mode(0o000)).unwrap();
        }
        if fs::read(root.path().join("closed.txt")).is_ok() {
            eprintln!("skipped: this user may read everything");
            return;
        }
        let (documents, report) = read_all(root.path(), ReadOptions::default());
        assert_eq!((ids(&documents), report.failed), (vec!["a.txt"], 2));
        fs::set_permissions(root.path().join("closed"), fs::Permissions::from_mode(0o700)).unwrap();
    }

    #[test]
    fn names_that_are_not_utf8_and_sockets_are_named() {
        let root = folder(&[("a.txt", b"a")]);
        fs::write(root.path().join(std::ffi::OsStr::from_bytes(b"b\xFF.txt")), "b").unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(root.path().join("s.txt")).unwrap();
        let (documents, report) = read_all(root.path(), ReadOptions::default());
        assert_eq!((ids(&documents), report.ignored, report.failed), (vec!["a.txt"], 1, 1));
    }

    #[test]
    fn a_file_that_vanishes_is_named() {
        let root = folder(&[("a.txt", b"a"), ("b.txt", b"b"), ("c.txt", b"c")]);
        let mut reader = read(root.path(), ReadOptions::default()).unwrap();
        assert_eq!(reader.next().unwrap().id, "a.txt");
        fs::remove_file(root.path().join("b.txt")).unwrap();
        assert_eq!(reader.next().unwrap().id, "c.txt");
        assert!(reader.next().is_none());
        assert_eq!(reader.report().failed, 1);
        assert!(matches!(&reader.report().skipped[0].problem, Problem::Io(_)));
    }
}

mod beir {
    use super::super::beir::Beir;
    use super::*;

    const CORPUS: &[u8] =
        b"{\"_id\":\"d1\",\"title\":\"\",\"text\":\"one\",\"metadata\":{}}\n{\"_id\":\"d2\",\"text\":\"two\"}\n";
    const QUERIES: &[u8] = b"{\"_id\":\"q1\",\"text\":\"first\"}\n{\"_id\":2,\"text\":\"second\"}\n";
    const QRELS: &[u8] = b"query-id\tcorpus-id\tscore\nq1\td1\t2\nq1\td2\t0\n2\td1\t0\n";

    #[test]
    fn a_collection_is_opened_plain_or_compressed() {
        let plain = folder(&[
            ("corpus.jsonl", CORPUS),
            ("queries.jsonl", QUERIES),
            ("qrels/test.tsv", QRELS),
            ("qrels/train.tsv", b"q1\td2\t1\n"),
        ]);
        let packed = folder(&[
            ("corpus.jsonl.gz", &gzip(CORPUS)),
            ("queries.jsonl.gz", &gzip(QUERIES)),
            ("qrels/dev.tsv", QRELS),
        ]);
        for (root, split) in [(plain, "test"), (packed, "dev")] {
            let beir = Beir::open(root.path()).unwrap();
            assert_eq!(beir.split, split);
            assert_eq!(beir.queries["2"], "second");
            assert_eq!(beir.qrels.get("q1"), Some(&[("d1".to_owned(), 2), ("d2".to_owned(), 0)].into()));
            assert_eq!((beir.qrels.len(), beir.left_out), (1, 1));
            assert_eq!(beir.judged_queries().collect::<Vec<_>>(), [("q1", "first")]);
            let documents: Vec<_> = beir.corpus().unwrap().collect();
            assert_eq!(ids(&documents), ["d1", "d2"]);
        }
    }

    #[test]
    fn what_is_wrong_is_named_with_its_file() {
        let kept: [(&str, &[u8]); 3] =
            [("corpus.jsonl", CORPUS), ("queries.jsonl", QUERIES), ("qrels/test.tsv", QRELS)];
        for (file, content, told) in [
            ("corpus.jsonl", None, "neither corpus.jsonl nor corpus.jsonl.gz"),
            ("queries.jsonl", None, "neither queries.jsonl nor queries.jsonl.gz"),
            ("qrels/test.tsv", None, "qrels"),
            ("queries.jsonl", Some("{\"_id\":\"q1\"}\n"), "queries.jsonl:1: `text` is not a string"),
            ("queries.jsonl", Some("\n{\n"), "queries.jsonl:2: malformed"),
            (
                "qrels/test.tsv",
                Some("q\td\t1\nq\td\t1.5\n"),
                "test.tsv:2: grade `1.5` of document `d` is not an integer",
            ),
            ("qrels/test.tsv", Some("q d 1\n"), "test.tsv:1: 1 columns instead of 3"),
            ("qrels/test.tsv", Some("q\td\t1\nq\td\t2\n"), "test.tsv:2: document `d` stands twice"),
            ("qrels/test.tsv", Some("q9\td1\t1\n"), "test.tsv judges the query `q9`"),
        ] {
            let mut files: Vec<_> = kept.iter().copied().filter(|(name, _)| *name != file).collect();
            files.extend(content.map(|content: &str| (file, content.as_bytes())));
            let root = folder(&files);
            let message = Beir::open(root.path()).err().unwrap().to_string();
            assert!(message.contains(told), "{message} should tell {told}");
        }
    }
}

/// Every collection of the shared data, if it lies beside the clone.
#[test]
fn shared_collections_are_read_whole() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/ir");
    let Ok(entries) = fs::read_dir(&root) else {
        eprintln!("skipped: {} is absent", root.display());
        return;
    };
    for folder in entries.map(|entry| entry.unwrap().path()).filter(|path| path.join("corpus.jsonl.gz").is_file()) {
        let beir = super::beir::Beir::open(&folder).unwrap();
        let mut corpus = beir.corpus().unwrap();
        let known: std::collections::HashSet<_> = corpus.by_ref().map(|document| document.id).collect();
        let report = corpus.into_report();
        assert_eq!((report.failed, report.read), (0, known.len() as u64), "{}", beir.name);
        let judged = beir.judged_queries().count();
        assert!(judged > 0, "{}", beir.name);
        eprintln!("{}: {} documents, {} empty, {judged} judged queries", beir.name, report.read, report.empty);
    }
}
