//! What people write: texts, filters, queries, and the files of evaluations.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use rag_ltr::model::Ensemble;
use rag_ltr::{Rows, trec};
use tantivy::directory::RamDirectory;

use super::Bytes;
use crate::config::{ChunkingConfig, LexicalConfig};
use crate::embed::{Embedder as _, StaticModel, TextKind};
use crate::engine::{Chunker, FORMAT_FIELD};
use crate::error::ErrorKind;
use crate::filter::Filter;
use crate::lexical::{LexicalIndex, LexicalView, Opened, TextQuery};
use crate::types::{Cancel, DocNum, Document, IdSet, Metadata, Value};

static MODEL: LazyLock<StaticModel> = LazyLock::new(|| StaticModel::bundled().unwrap());

/// Token starts ascend and are character boundaries before something that is not white space; the embedding is finite, of
/// length 1 or 0, and the same alone and in a batch.
pub fn tokenizer(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let starts = MODEL.token_starts(&text).unwrap();
    assert!(starts.is_sorted());
    for &start in &starts {
        let letter = text.get(start as usize..).and_then(|rest| rest.chars().next());
        assert!(letter.is_some_and(|letter| !letter.is_whitespace()), "{start}");
    }
    let embedded = MODEL.embed(&["before", &text], TextKind::Passage, &Cancel::never()).unwrap();
    let alone = MODEL.embed(&[&text], TextKind::Query, &Cancel::never()).unwrap();
    assert_eq!(alone.get(0), embedded.get(1));
    let length = alone.vectors.iter().map(|&x| f64::from(x) * f64::from(x)).sum::<f64>().sqrt();
    assert!(length == 0.0 && alone.vectors.iter().all(|&x| x == 0.0) || (length - 1.0).abs() < 1e-4, "{length}");
    assert!(length == 0.0 || !starts.is_empty());
}

/// Chunks come in order, begin and end at character boundaries, and leave nothing out but white space.
pub fn chunk(data: &[u8]) {
    const FORMATS: [&str; 6] = ["text", "markdown", "rust", "python", "javascript", "unheard of"];
    let mut input = Bytes(data);
    let (format, max_tokens) = (FORMATS[input.below(FORMATS.len())], input.below(40));
    let config = ChunkingConfig { max_tokens, overlap_tokens: input.below(max_tokens.max(1)) };
    let text = String::from_utf8_lossy(input.rest()).into_owned();
    let document = Document::new("a", text).with_metadata(FORMAT_FIELD, format);
    let ranges = Chunker::new(&config, &*MODEL).chunk(&document).unwrap();
    let text = &document.text;
    let mut covered = 0;
    for pair in ranges.windows(2) {
        assert!(pair[0].0 < pair[1].0 && pair[0].1 <= pair[1].1, "{format}: {pair:?}");
    }
    for (start, end) in ranges.into_iter().map(|(start, end)| (start as usize, end as usize)) {
        assert!(start < end && text.get(start..end).is_some(), "{format}: {start}..{end}");
        if covered < start {
            let lost = text.get(covered..start).unwrap();
            assert!(lost.trim().is_empty(), "{format}: {lost:?} is lost at {covered}");
        }
        covered = covered.max(end);
    }
    assert!(text[covered..].trim().is_empty(), "{format}: the end from {covered} is lost");
}

/// Documents with every kind of metadata, and an index over them.
struct Corpus {
    metadata: Vec<Metadata>,
    view: LexicalView,
}

static CORPUS: LazyLock<Corpus> = LazyLock::new(|| {
    let values: [Value; 14] = [
        "en".into(),
        "".into(),
        "2024-05-01".into(),
        "2024-05-01T02:00:00+02:00".into(),
        Value::Int(0),
        Value::Int(-1),
        Value::Int(i64::MAX),
        Value::Int((1 << 53) + 1),
        Value::Float(0.5),
        Value::Float(-0.0),
        Value::Float(9_007_199_254_740_992.0),
        Value::Bool(true),
        Value::List(vec!["en".into(), Value::Int(7), Value::Bool(false)]),
        Value::List(Vec::new()),
    ];
    let texts = ["The glacier melts, slowly.", "melting ice and snow", "Über die Alpen; 中文 ice", "a 1.5 e-mail"];
    let config = LexicalConfig { writer_memory_mib: 15, ..LexicalConfig::default() };
    let Opened::Ready(mut index) = LexicalIndex::open(Box::new(RamDirectory::create()), &config).unwrap() else {
        panic!("a new index is ready");
    };
    let mut metadata = vec![Metadata::new()];
    for (i, value) in values.iter().enumerate() {
        metadata.push([("a".to_owned(), value.clone())].into());
        metadata.push([("a".to_owned(), values[(i + 5) % 14].clone()), ("b.c".to_owned(), value.clone())].into());
    }
    for (doc, fields) in metadata.iter().enumerate() {
        let chunks = [(0, texts[doc % 4]), (1, texts[doc / 4 % 4])];
        index.add(doc as DocNum, "default", texts[doc / 3 % 4], &chunks[..doc % 3], fields).unwrap();
        if doc == 12 {
            index.commit(1).unwrap();
        }
    }
    index.commit(2).unwrap();
    Corpus { metadata, view: index.view() }
});

/// A filter is refused by name, or means the same to its definition, to the index and behind two negations.
pub fn filter(data: &[u8]) {
    let filter = match Filter::parse(&String::from_utf8_lossy(data)) {
        Ok(filter) => filter,
        Err(error) => return assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{error}"),
    };
    filter.validate().unwrap();
    let Corpus { metadata, view } = &*CORPUS;
    let matching = |filter: &Filter| -> BTreeSet<DocNum> {
        metadata.iter().zip(0..).filter(|(fields, _)| filter.matches(fields)).map(|(_, doc)| doc).collect()
    };
    let defined = matching(&filter);
    let negated = Filter::Not(Box::new(filter.clone()));
    assert_eq!(matching(&negated).len() + defined.len(), metadata.len());
    assert_eq!(view.evaluate(&filter).unwrap().iter().collect::<BTreeSet<_>>(), defined, "{filter:?}");
}

/// A query is refused by position, or answered by finite scores in order; and the first answers are the same however many
/// are asked for, and when few documents are allowed.
pub fn query(data: &[u8]) {
    let text = String::from_utf8_lossy(data).into_owned();
    let Corpus { metadata, view } = &*CORPUS;
    let all: IdSet = (0..metadata.len() as DocNum).collect();
    for query in [TextQuery::Words(text.clone()), TextQuery::Syntax(text)] {
        let search = |k: usize, allow: Option<&IdSet>| view.search(&query, k, allow, &Cancel::never());
        let hits = match search(100, None) {
            Ok(hits) => hits,
            Err(error) => {
                assert!(matches!(query, TextQuery::Syntax(_)), "{error}");
                assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{error}");
                continue;
            }
        };
        assert!(hits.iter().all(|(_, score)| score.is_finite()));
        assert!(hits.is_sorted_by(|a, b| a.1 > b.1 || a.1 == b.1 && a.0 < b.0), "{hits:?}");
        assert_eq!(search(3, None).unwrap(), hits.iter().copied().take(3).collect::<Vec<_>>());
        assert_eq!(search(100, Some(&all)).unwrap(), hits);
    }
}

/// A model file of LightGBM is refused, or a model that the fast scorer and the plain one agree on, and that survives being
/// written again.
pub fn lightgbm(data: &[u8]) {
    let Ok(ensemble) = Ensemble::from_lightgbm(data) else { return };
    let columns = ensemble.parts().columns;
    let values: Vec<f32> = [f32::NAN, 0.0, -1.0, f32::INFINITY].into_iter().cycle().take(columns * 5).collect();
    let rows = Rows::new(&values, columns).unwrap();
    let bits = |margins: Vec<f64>| -> Vec<u64> { margins.into_iter().map(f64::to_bits).collect() };
    assert_eq!(bits(ensemble.margins(rows).unwrap()), bits(ensemble.margins_plainly(rows).unwrap()));
    if let Ok(text) = ensemble.to_lightgbm() {
        assert_eq!(Ensemble::from_lightgbm(text.as_bytes()).unwrap(), ensemble);
    }
}

/// Runs and judgments are refused by line, or survive being written again.
pub fn trec(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    if let Ok(run) = trec::read_run(&text) {
        let mut written = String::new();
        if trec::write_run(&run, "tag", &mut written).is_ok() {
            assert_eq!(trec::read_run(&written).unwrap(), run);
        }
    }
    for qrels in [trec::read_qrels(&text), trec::read_beir_qrels(&text)].into_iter().flatten() {
        let mut written = String::new();
        if trec::write_qrels(&qrels, &mut written).is_ok() {
            assert_eq!(trec::read_qrels(&written).unwrap(), qrels);
        }
    }
}
