//! The store against a map in memory, on a disk that dies; and damaged files opened as a store.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};

use rag_governance::{ModelIdentity, Pooling, Prompts, Quantization};

use super::{Bytes, damage};
use crate::error::{ErrorKind, Result};
use crate::format::disk::{Disk, FaultPlan};
use crate::store::{Record, Replaced, Store, StoreCheck, StoreView, StoreWrite};
use crate::types::{DocNum, Metadata, Value};

const DIMENSION: usize = 2;
const TENANTS: [&str; 2] = ["default", "other"];
const IDS: [&str; 6] = ["a", "b", "c", "d", "ü", "a longer id, so that keys differ in length"];
/// From nothing to more than a page.
const LENGTHS: [usize; 6] = [0, 1, 40, 700, 5_000, 20_000];

/// What the store should hold at a commit: number, record and vectors of each document.
type State = BTreeMap<(&'static str, &'static str), (DocNum, Record, Vec<f32>)>;

fn model() -> ModelIdentity {
    ModelIdentity {
        name: "fuzz".into(),
        quantization: Quantization::F32,
        source_hash: "00".into(),
        dimension: DIMENSION,
        pooling: Pooling::Mean,
        prompts: Prompts::default(),
    }
}

fn record(tenant: &str, id: &str, length: usize, stamp: u8) -> (Record, Vec<f32>) {
    let text: String =
        (0..length).map(|i| char::from(b'a' + ((i as u8).wrapping_mul(7).wrapping_add(stamp) % 26))).collect();
    let chunks: u32 = if length == 0 { 0 } else { 1 + u32::from(stamp % 3) };
    let bound = |i: u32| (length as u64 * u64::from(i) / u64::from(chunks.max(1))) as u32;
    let record = Record {
        tenant: tenant.to_owned(),
        id: id.to_owned(),
        title: format!("title {stamp}"),
        text,
        metadata: Metadata::from([("stamp".to_owned(), Value::Int(i64::from(stamp)))]),
        chunks: (0..chunks).map(|i| (bound(i), bound(i + 1))).collect(),
        chunking: u64::from(stamp),
    };
    let vectors = (0..chunks as usize * DIMENSION).map(|i| f32::from(stamp) + i as f32).collect();
    (record, vectors)
}

/// Compares everything that a view gives.
fn assert_holds(view: &StoreView, seq: u64, state: &State) {
    assert_eq!(view.seq().unwrap(), seq);
    assert_eq!(view.model().unwrap().is_some(), seq > 0);
    assert_eq!(view.created_at().unwrap().is_some(), seq > 0);
    assert_eq!(view.check(DIMENSION, || ()).unwrap(), state.len() as u64);
    let live = view.live().unwrap();
    let numbers: BTreeSet<DocNum> = state.values().map(|(doc, ..)| *doc).collect();
    assert_eq!(live.all.iter().collect::<BTreeSet<_>>(), numbers);
    assert_eq!(live.chunks, state.values().map(|(_, record, _)| record.chunks.len() as u64).sum::<u64>());
    for tenant in TENANTS {
        for id in IDS {
            let known = state.get(&(tenant, id));
            let number = view.number(tenant, id).unwrap();
            assert_eq!(number, known.map(|(doc, ..)| *doc));
            let Some((doc, record, vectors)) = known else { continue };
            assert_eq!(view.record(*doc).unwrap().as_ref(), Some(record));
            assert_eq!(view.vectors(*doc).unwrap().as_ref(), Some(vectors));
            assert!(live.tenants.get(tenant).is_some_and(|set| set.contains(*doc)));
        }
    }
}

/// Operations on the store are the ones on a map: put, delete, commit, roll back, reopen, look at an old commit; and when
/// the disk dies on the way, the state after the next opening is that of the last commit or of the one under way.
pub fn store(data: &[u8]) {
    let folder = tempfile::tempdir().unwrap();
    let mut input = Bytes(data);
    let mut run = Run::new(folder.path().join("store"));
    run.open(&mut input);
    while let Some(operation) = input.next() {
        if let Err(error) = run.step(operation, &mut input) {
            assert!(run.plan.tripped(), "{error}");
            assert!(
                matches!(error.kind(), ErrorKind::Internal | ErrorKind::Unavailable),
                "{:?}: {error}",
                error.kind()
            );
            run.open(&mut input);
        }
    }
    run.open(&mut Bytes(&[]));
}

struct Run {
    path: PathBuf,
    plan: Arc<FaultPlan>,
    /// Dropped before the store.
    held: Vec<(StoreView, u64, State)>,
    write: Option<StoreWrite>,
    store: Option<Store>,
    /// The last commit that returned, and whether one after it is under way.
    seq: u64,
    committed: State,
    committing: bool,
    staged: State,
    /// Numbers below it were given.
    next: DocNum,
}

impl Run {
    fn new(path: PathBuf) -> Run {
        Run {
            path,
            plan: FaultPlan::after(u64::MAX),
            held: Vec::new(),
            write: None,
            store: None,
            seq: 0,
            committed: State::new(),
            committing: false,
            staged: State::new(),
            next: 0,
        }
    }

    /// Opens the file anew and compares; the disk that the input chooses may die on the way, the next one lives.
    fn open(&mut self, input: &mut Bytes<'_>) {
        let settings = input.byte();
        let check = StoreCheck { integrity: settings & 1 != 0, compact: settings & 2 != 0 };
        let writes = if settings & 4 == 0 { u64::MAX } else { u64::from(input.byte()) };
        for writes in [writes, u64::MAX] {
            self.held.clear();
            self.write = None;
            self.store = None;
            self.plan = FaultPlan::after(writes);
            match Store::open(&self.path, &Disk::failing(self.plan.clone()), check) {
                Ok(store) => {
                    self.store = Some(store);
                    break;
                }
                Err(error) => assert!(self.plan.tripped(), "{error}"),
            }
        }
        let view = self.store.as_ref().unwrap().view().unwrap();
        if std::mem::take(&mut self.committing) && view.seq().unwrap() == self.seq + 1 {
            self.seq += 1;
            self.committed = self.staged.clone();
        }
        self.staged = self.committed.clone();
        assert_holds(&view, self.seq, &self.committed);
    }

    fn step(&mut self, operation: u8, input: &mut Bytes<'_>) -> Result<()> {
        match operation % 16 {
            0..=6 => {
                let (tenant, id) = key(input);
                let (length, stamp) = (LENGTHS[input.below(LENGTHS.len())], input.byte());
                let (record, vectors) = record(tenant, id, length, stamp);
                let (doc, replaced) = self.write()?.put(&record, &vectors)?;
                assert!(doc >= self.next, "{doc} was given before");
                self.next = doc + 1;
                let old = self.staged.insert((tenant, id), (doc, record, vectors));
                assert_eq!(replaced, old.map(gone));
            }
            7 | 8 => {
                let (tenant, id) = key(input);
                let removed = self.write()?.delete(tenant, id)?;
                assert_eq!(removed, self.staged.remove(&(tenant, id)).map(gone));
            }
            9 => {
                let (tenant, id) = key(input);
                let current = self.write()?.current(tenant, id)?;
                let known = self.staged.get(&(tenant, id)).cloned();
                let known = known.as_ref();
                assert_eq!(current.as_ref().map(|(doc, record)| (doc, record)), known.map(|(doc, r, _)| (doc, r)));
                if let Some((doc, _, vectors)) = known {
                    assert_eq!(self.write()?.vectors(*doc)?.as_ref(), Some(vectors));
                }
            }
            10..=12 => {
                self.write()?;
                let write = self.write.take().unwrap();
                self.committing = true;
                assert_eq!(write.commit(&model(), "now")?, self.seq + 1);
                self.committing = false;
                self.seq += 1;
                self.committed = self.staged.clone();
                assert_holds(&self.store.as_ref().unwrap().view()?, self.seq, &self.committed);
            }
            13 => {
                self.write = None;
                self.staged = self.committed.clone();
            }
            14 => {
                let view = self.store.as_ref().unwrap().view()?;
                self.held.push((view, self.seq, self.committed.clone()));
                for (view, seq, state) in &self.held {
                    assert_holds(view, *seq, state);
                }
            }
            _ => self.open(input),
        }
        Ok(())
    }

    fn write(&mut self) -> Result<&StoreWrite> {
        if self.write.is_none() {
            self.write = Some(self.store.as_ref().unwrap().begin(self.next)?);
        }
        Ok(self.write.as_ref().unwrap())
    }
}

fn gone((doc, record, _): (DocNum, Record, Vec<f32>)) -> Replaced {
    Replaced { doc, chunks: record.chunks.len() as u32 }
}

fn key(input: &mut Bytes<'_>) -> (&'static str, &'static str) {
    let chosen = input.below(TENANTS.len() * IDS.len());
    (TENANTS[chosen % TENANTS.len()], IDS[chosen / TENANTS.len()])
}

/// A whole file, and its state at each commit.
struct Sample {
    file: Vec<u8>,
    states: Vec<State>,
}

static SAMPLE: LazyLock<Sample> = LazyLock::new(|| {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    let store = Store::open(&path, &Disk::default(), StoreCheck::default()).unwrap();
    let mut states = vec![State::new()];
    for round in 0..4u8 {
        let write = store.begin(0).unwrap();
        let mut state = states.last().unwrap().clone();
        for (i, id) in IDS.into_iter().enumerate().filter(|(i, _)| round == 0 || i % 4 == usize::from(round)) {
            let (record, vectors) = record(TENANTS[i % 2], id, LENGTHS[i] / 4, round);
            let (doc, _) = write.put(&record, &vectors).unwrap();
            state.insert((TENANTS[i % 2], id), (doc, record, vectors));
        }
        if round == 2 {
            write.delete(TENANTS[0], IDS[0]).unwrap();
            state.remove(&(TENANTS[0], IDS[0]));
        }
        write.commit(&model(), "now").unwrap();
        states.push(state);
    }
    drop(store);
    let compact = StoreCheck { integrity: false, compact: true };
    drop(Store::open(&path, &Disk::default(), compact).unwrap());
    Sample { file: std::fs::read(&path).unwrap(), states }
});

/// A damaged file opens with a typed error or as a store that can be read and written with typed errors; when all its
/// checks pass, it holds one of its commits.
pub fn store_open(data: &[u8]) {
    let mut input = Bytes(data);
    let settings = input.byte();
    let sample = (settings & 1 == 0).then(|| &*SAMPLE);
    let mut file = sample.map(|sample| sample.file.clone()).unwrap_or_default();
    match sample {
        Some(_) => damage(&mut file, &mut input),
        None => file.extend_from_slice(input.rest()),
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    std::fs::write(&path, &file).unwrap();
    let check = StoreCheck { integrity: settings & 2 != 0, compact: settings & 4 != 0 };
    let outcome = use_file(&path, check, sample.map(|sample| sample.states.as_slice()));
    typed(outcome);
    typed(use_file(&path, StoreCheck { integrity: true, compact: false }, None));
}

/// What damage may lead to.
fn typed(outcome: Result<()>) {
    if let Err(error) = outcome {
        assert!(matches!(error.kind(), ErrorKind::Corruption | ErrorKind::Unsupported), "{:?}: {error}", error.kind());
    }
}

/// Opens, reads everything, writes a little.
fn use_file(path: &Path, check: StoreCheck, states: Option<&[State]>) -> Result<()> {
    let store = Store::open(path, &Disk::default(), check)?;
    let view = store.view()?;
    let seq = view.seq()?;
    let whole = view.check(DIMENSION, || ()).is_ok();
    for doc in view.live()?.all.iter().take(100) {
        view.record(doc).and_then(|_| view.vectors(doc)).map(drop)?;
    }
    if let Some(states) = states.filter(|_| check.integrity && whole) {
        assert_holds(&view, seq, states.get(seq as usize).unwrap());
    }
    let write = store.begin(0)?;
    let (record, vectors) = record(TENANTS[0], IDS[1], 100, 9);
    write.put(&record, &vectors)?;
    write.delete(TENANTS[1], IDS[2])?;
    let seq = write.commit(&model(), "now")?;
    assert_eq!(store.view()?.seq()?, seq);
    Ok(())
}
