//! A data folder and a model file of each format version are kept, and must open for ever.
//!
//! The files of the current version are written where they are absent: delete `tests/golden/v1` after a change of the
//! format that needs no new version (there is none once a version was released), and run this test.
#![cfg(all(feature = "engine", feature = "testing"))]
#![allow(clippy::unwrap_used)]

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use rag_core::embed::{Embedder, Embeddings, StaticModel, TextKind};
use rag_core::engine::{Mode, SearchRequest};
use rag_core::governance::{ModelIdentity, Pooling, Prompts, Quantization};
use rag_core::testing::{FORMAT_VERSION, model_file};
use rag_core::{Cancel, Document, Engine, Filter, Result, Scope};

fn golden(version: u16) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/golden/v{version}"))
}

/// Counts of hashed words: a model that never changes.
#[derive(Debug)]
struct Words(ModelIdentity);

impl Words {
    fn new() -> Arc<Words> {
        Arc::new(Words(ModelIdentity {
            name: "golden words".into(),
            quantization: Quantization::F32,
            source_hash: "0".repeat(64),
            dimension: 64,
            pooling: Pooling::Mean,
            prompts: Prompts { query: String::new(), passage: "passage: ".into() },
        }))
    }
}

impl Embedder for Words {
    fn identity(&self) -> &ModelIdentity {
        &self.0
    }
    fn max_tokens(&self) -> Option<usize> {
        None
    }
    fn token_starts(&self, text: &str) -> Result<Vec<u32>> {
        Ok(text.split(' ').map(|word| (word.as_ptr() as usize - text.as_ptr() as usize) as u32).collect())
    }
    fn embed(&self, texts: &[&str], _: TextKind, _: &Cancel) -> Result<Embeddings> {
        let dimension = self.dimension();
        let mut vectors = vec![0.0; texts.len() * dimension];
        for (text, row) in texts.iter().zip(vectors.chunks_exact_mut(dimension)) {
            for word in text.split(' ').filter(|word| !word.is_empty()) {
                let fnv = word.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
                    (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)
                });
                row[(fnv >> 32) as usize % dimension] += 1.0;
            }
            let length = row.iter().map(|x| x * x).sum::<f32>().sqrt();
            row.iter_mut().filter(|_| length > 0.0).for_each(|x| *x /= length);
        }
        Ok(Embeddings { dimension, vectors, truncated: vec![false; texts.len()] })
    }
}

fn open(folder: &Path) -> Engine {
    Engine::builder().embedder(Words::new()).check_store().open(folder).unwrap()
}

/// Id, title, text, language, year; the last one goes into the store after the indexes were sealed.
const DOCUMENTS: [(&str, &str, &str, &str, i64); 5] = [
    ("passes", "Alpine passes", "the passes are closed in winter because of snow", "en", 1999),
    ("bakery", "", "the bakery opens at six in the morning", "en", 2004),
    ("brot", "Bäckerei", "frisches brot ab sechs uhr", "de", 2004),
    ("long", "", "one two three four five six seven eight nine ten eleven twelve", "en", 2010),
    ("late", "Late", "a train that leaves after midnight", "en", 2020),
];

/// A segment of vectors, a sealed lexical index with a deletion, a later commit in memory alone, two tenants.
fn write_folder(folder: &Path) {
    let engine = open(folder);
    let scope = Scope::default();
    let document = |&(id, title, text, language, year): &(&str, &str, &str, &str, i64)| {
        Document::new(id, text).with_title(title).with_metadata("lang", language).with_metadata("year", year)
    };
    engine.upsert(&scope, DOCUMENTS[..4].iter().map(document).collect()).unwrap();
    engine.upsert(&scope, vec![Document::new("gone", "a text that is deleted")]).unwrap();
    engine
        .upsert(&Scope::tenant("other").unwrap(), vec![Document::new("bakery", "another tenant").with_tenant("other")])
        .unwrap();
    engine.commit().unwrap();
    engine.compact().unwrap();
    engine.delete(&scope, &["gone"]).unwrap();
    engine.upsert(&scope, DOCUMENTS[4..].iter().map(document).collect()).unwrap();
    engine.commit().unwrap();
}

/// Files of a folder, by their path within it, without those that only say who has it open.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if path.is_dir() {
            found.extend(files(&path).into_iter().map(|below| Path::new(path.file_name().unwrap()).join(below)));
        } else {
            found.push(PathBuf::from(path.file_name().unwrap()));
        }
    }
    found.retain(|path| !path.to_string_lossy().ends_with(".lock") && path != Path::new("LOCK"));
    found.sort();
    found
}

fn write_golden(golden: &Path) {
    let folder = tempfile::tempdir().unwrap();
    write_folder(folder.path());
    for file in files(folder.path()) {
        let target = golden.join("folder").join(format!("{}.gz", file.display()));
        fs::create_dir_all(target.parent().unwrap()).unwrap();
        let mut packed = GzEncoder::new(File::create(target).unwrap(), Compression::best());
        packed.write_all(&fs::read(folder.path().join(file)).unwrap()).unwrap();
        packed.finish().unwrap();
    }
    fs::write(golden.join("model.ragm"), golden_model()).unwrap();
}

/// Three pieces, two dimensions.
fn golden_model() -> Vec<u8> {
    let description = br#"{"name":"golden","dense_weight":0.25}"#;
    model_file(2, description, "a\nb\n##c", &[0.5, 1.0, 2.0], &[3, 4, -3, 4, 0, -127])
}

/// A copy that can be opened for writing.
fn unpacked(golden: &Path) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for file in files(&golden.join("folder")) {
        let target = folder.path().join(file.with_extension(""));
        fs::create_dir_all(target.parent().unwrap()).unwrap();
        let mut bytes = Vec::new();
        GzDecoder::new(File::open(golden.join("folder").join(file)).unwrap()).read_to_end(&mut bytes).unwrap();
        fs::write(target, bytes).unwrap();
    }
    folder
}

fn found(engine: &Engine, scope: &Scope, text: &str, mode: Mode) -> Vec<String> {
    let mut request = SearchRequest::new(text, 3);
    request.mode = mode;
    engine.search(scope, &request).unwrap().hits.into_iter().map(|hit| hit.id).collect()
}

#[test]
fn a_folder_of_every_version_opens_whole() {
    if !golden(FORMAT_VERSION).exists() {
        write_golden(&golden(FORMAT_VERSION));
    }
    for version in 1..=FORMAT_VERSION {
        let folder = unpacked(&golden(version));
        let engine = open(folder.path());
        let nothing: &[String] = &[];
        assert_eq!(engine.repairs(), nothing, "version {version}");
        let report = engine.verify(|| ()).unwrap();
        assert_eq!((report.documents, report.repaired.as_slice()), (6, nothing));
        let scope = Scope::default();
        for (id, title, text, language, year) in DOCUMENTS {
            let document = engine.get(&scope, id).unwrap().unwrap().document;
            assert_eq!((document.title.as_str(), document.text.as_str()), (title, text));
            assert_eq!(
                document.metadata,
                Document::new("", "").with_metadata("lang", language).with_metadata("year", year).metadata
            );
            for mode in [Mode::Dense, Mode::Lexical, Mode::Hybrid] {
                assert_eq!(found(&engine, &scope, text, mode)[0], id, "{mode:?}");
            }
        }
        assert!(engine.get(&scope, "gone").unwrap().is_none());
        assert!(!found(&engine, &scope, "a text that is deleted", Mode::Hybrid).contains(&"gone".to_owned()));
        let german = Scope::default().restricted_to(Filter::eq("lang", "de"));
        assert_eq!(found(&engine, &german, "bakery brot", Mode::Hybrid), ["brot"]);
        assert_eq!(found(&engine, &Scope::tenant("other").unwrap(), "bakery tenant", Mode::Hybrid), ["bakery"]);
        let stats = engine.stats(&scope).unwrap();
        assert_eq!((stats.documents, stats.commit_seq, stats.chunks_total), (5, 2, 6));

        engine.upsert(&scope, vec![Document::new("new", "written by this version")]).unwrap();
        engine.commit().unwrap();
        drop(engine);
        assert_eq!(found(&open(folder.path()), &scope, "written by this version", Mode::Hybrid)[0], "new");
    }
}

#[test]
fn a_model_file_of_every_version_is_read() {
    for version in 1..=FORMAT_VERSION {
        let Ok(file) = fs::read(golden(version).join("model.ragm")) else {
            assert_eq!(version, FORMAT_VERSION, "the other test writes the current one");
            continue;
        };
        let model = StaticModel::from_bytes(&file).unwrap();
        assert_eq!((model.identity().name.as_str(), model.dimension(), model.dense_weight()), ("golden", 2, 0.25));
        let embedded = model.embed(&["a", "B", "ac", "unknown"], TextKind::Query, &Cancel::never()).unwrap();
        // (3, 4) · 0.5, (-3, 4) · 1 and (0, -127) · 2, summed and brought to length 1.
        assert_eq!(embedded.vectors[..4], [0.6, 0.8, -0.6, 0.8]);
        assert!((embedded.vectors[5] / embedded.vectors[4] + 252.0 / 1.5).abs() < 1e-3);
        assert_eq!(embedded.vectors[6..], [0.0, 0.0]);
    }
    assert_eq!(fs::read(golden(FORMAT_VERSION).join("model.ragm")).unwrap_or_else(|_| golden_model()), golden_model());
}
