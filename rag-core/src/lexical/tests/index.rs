//! Life of the index: commits, deletions, damage.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tantivy::Directory;
use tantivy::directory::error::{DeleteError, LockError, OpenReadError, OpenWriteError};
use tantivy::directory::{DirectoryLock, FileHandle, Lock, RamDirectory, WatchCallback, WatchHandle, WritePtr};

use super::{config, empty, open};
use crate::error::ErrorKind;
use crate::format::disk::Disk;
use crate::lexical::{LexicalIndex, LexicalView, Opened};
use crate::types::{Cancel, IdSet, Metadata};

fn add(index: &mut LexicalIndex, doc: u64, text: &str) {
    index.add(doc, "default", "", &[(0, text)], &Metadata::new()).unwrap();
}

fn found(index: &LexicalIndex, query: &str) -> Vec<u64> {
    let hits = index.view().search(&query.into(), 100, None, &Cancel::never()).unwrap();
    hits.into_iter().map(|(chunk, _)| chunk.doc()).collect()
}

fn live(index: &LexicalIndex) -> Vec<u64> {
    index.view().live_documents().unwrap().iter().collect()
}

#[test]
fn it_may_go_to_another_thread_and_a_view_to_many() {
    fn goes<T: Send>() {}
    fn is_shared<T: Send + Sync>() {}
    goes::<LexicalIndex>();
    is_shared::<LexicalView>();
}

#[test]
fn a_commit_makes_additions_and_deletions_visible_and_lasting() {
    let directory = RamDirectory::create();
    let mut index = open(&directory, "english");
    assert_eq!(index.committed_seq().unwrap(), None);
    add(&mut index, 1, "glacier");
    add(&mut index, 2, "glacier");
    assert_eq!(found(&index, "glacier"), [0u64; 0]);
    index.commit(7).unwrap();
    let before = index.view();
    assert_eq!(found(&index, "glacier"), [1, 2]);
    index.delete(1).unwrap();
    index.delete(99).unwrap();
    add(&mut index, 3, "glacier");
    index.commit(8).unwrap();
    assert_eq!(found(&index, "glacier"), [2, 3]);
    assert_eq!(live(&index), [2, 3]);
    // A view stays what it was.
    assert_eq!(before.live_documents().unwrap(), &IdSet::from_iter([1, 2]));
    assert_eq!(before.search(&"glacier".into(), 10, None, &Cancel::never()).unwrap().len(), 2);
    // A document may go before it ever was committed.
    add(&mut index, 4, "glacier");
    index.delete(4).unwrap();
    index.commit(9).unwrap();
    drop(index);
    let index = open(&directory, "english");
    assert_eq!(index.committed_seq().unwrap(), Some(9));
    assert_eq!(found(&index, "glacier"), [2, 3]);
}

#[test]
fn what_was_not_committed_is_gone_after_rollback_and_reopening() {
    let directory = RamDirectory::create();
    let mut index = open(&directory, "english");
    add(&mut index, 1, "glacier");
    index.commit(1).unwrap();
    add(&mut index, 2, "glacier");
    index.delete(1).unwrap();
    index.rollback().unwrap();
    index.commit(2).unwrap();
    assert_eq!(live(&index), [1]);
    add(&mut index, 3, "glacier");
    drop(index);
    assert_eq!(live(&open(&directory, "english")), [1]);
}

#[test]
fn many_commits_are_merged_in_the_background() {
    let mut index = empty("none");
    for doc in 0..100 {
        add(&mut index, doc, "a");
        if doc % 3 == 0 && doc > 10 {
            index.delete(doc - 7).unwrap();
        }
        let failure = index.commit(doc).unwrap().merge_failure;
        assert!(failure.is_none(), "{failure:?}");
    }
    index.rollback().unwrap();
    index.commit(100).unwrap();
    assert!(index.view().segments() < 60, "{} segments", index.view().segments());
    let expected: Vec<u64> = (0..100).filter(|doc| !(doc + 7 > 10 && (doc + 7) % 3 == 0 && doc + 7 < 100)).collect();
    assert_eq!(live(&index), expected);
    index.compact().unwrap();
    assert_eq!((index.view().segments(), live(&index)), (1, expected));
    assert_eq!(index.committed_seq().unwrap(), Some(100));
}

#[test]
fn compaction_of_nothing_and_of_all_deleted_is_fine() {
    let mut index = empty("none");
    index.compact().unwrap();
    add(&mut index, 1, "a");
    index.commit(1).unwrap();
    index.delete(1).unwrap();
    index.commit(2).unwrap();
    index.compact().unwrap();
    assert_eq!(live(&index), [0u64; 0]);
    assert_eq!(found(&index, "a"), [0u64; 0]);
    assert_eq!(index.committed_seq().unwrap(), Some(2));
}

#[test]
fn more_than_the_memory_of_the_writer_may_come_before_a_commit() {
    let directory = RamDirectory::create();
    let mut index = open(&directory, "none");
    add(&mut index, 0, "kept");
    index.commit(1).unwrap();
    let long = "a bc def ".repeat(100_000);
    for round in 0..2 {
        for doc in 1..40 {
            add(&mut index, doc, &long);
        }
        index.delete(39).unwrap();
        if round == 0 {
            index.rollback().unwrap();
            assert_eq!(live(&index), [0]);
        }
    }
    assert_eq!(live(&index), [0]);
    index.commit(2).unwrap();
    assert_eq!(live(&index), (0..39).collect::<Vec<_>>());
}

#[test]
fn tenants_are_told_apart() {
    let mut index = empty("none");
    for (doc, tenant) in [(1, "a"), (2, "b"), (3, "a"), (4, "ab")] {
        index.add(doc, tenant, "", &[(0, "x"), (1, "y")], &Metadata::new()).unwrap();
    }
    index.delete(3).unwrap();
    index.commit(1).unwrap();
    let of = |tenant: &str| index.view().tenant_documents(tenant).unwrap().iter().collect::<Vec<_>>();
    assert_eq!((of("a"), of("ab"), of("")), (vec![1], vec![4], vec![]));
    assert_eq!(index.view().chunks(), 6);
}

fn needs_rebuild(opened: Opened) -> String {
    match opened {
        Opened::NeedsRebuild(why) => why,
        Opened::Ready(_) => panic!("it opened"),
    }
}

#[test]
fn another_language_needs_a_rebuild_and_an_unknown_one_is_refused() {
    let directory = RamDirectory::create();
    drop(open(&directory, "english"));
    needs_rebuild(LexicalIndex::open(Box::new(directory.clone()), &config("german")).unwrap());
    let error = LexicalIndex::open(Box::new(directory), &config("pidgin")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
}

#[test]
fn a_second_writer_is_a_conflict() {
    let folder = tempfile::tempdir().unwrap();
    let first = LexicalIndex::open_folder(folder.path(), &config("none"), &Disk::default()).unwrap();
    let error = LexicalIndex::open_folder(folder.path(), &config("none"), &Disk::default()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    drop(first);
    assert!(matches!(
        LexicalIndex::open_folder(folder.path(), &config("none"), &Disk::default()).unwrap(),
        Opened::Ready(_)
    ));
}

/// Files of an index with two segments and a deletion.
fn index_in(folder: &Path) -> Vec<PathBuf> {
    let Opened::Ready(mut index) = LexicalIndex::open_folder(folder, &config("none"), &Disk::default()).unwrap() else {
        panic!()
    };
    for doc in 0..4 {
        add(&mut index, doc, "glacier ice");
        index.commit(doc).unwrap();
    }
    index.delete(2).unwrap();
    index.commit(4).unwrap();
    index.verify().unwrap();
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> = files.filter(|path| !path.to_string_lossy().ends_with(".lock")).collect();
    files.sort();
    files
}

/// Whatever happens to a file, the index opens and answers, says that it needs a rebuild, or fails with a typed error;
/// and if no file shows it, the checksums do.
#[test]
fn damage_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let files = index_in(folder.path());
    assert!(files.len() > 8, "{files:?}");
    let mut rebuilds = 0;
    for file in &files {
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        let bytes = std::fs::read(file).unwrap();
        let flipped: Vec<u8> = bytes.iter().map(|byte| byte ^ 0x5a).collect();
        let mut middle = bytes.clone();
        middle[bytes.len() / 2] ^= 1;
        for damage in [Some(&bytes[..bytes.len() / 2]), Some(&flipped), Some(&middle), Some(&[]), None] {
            match damage {
                Some(damaged) => std::fs::write(file, damaged).unwrap(),
                None => std::fs::remove_file(file).unwrap(),
            }
            match LexicalIndex::open_folder(folder.path(), &config("none"), &Disk::default()) {
                Ok(Opened::Ready(index)) => {
                    let intact = index.verify().is_ok();
                    let answer = index.view().search(&"glacier".into(), 10, None, &Cancel::never());
                    if let Err(error) = &answer {
                        assert_eq!(error.kind(), ErrorKind::Corruption, "{name}: {error}");
                    }
                    // Without the list of commits it is a new index.
                    let emptied = index.committed_seq().unwrap().is_none();
                    let unused = name.contains(".store") || name.starts_with(".managed");
                    assert!(!intact || emptied || unused || answer.is_ok(), "{name}");
                    assert!(
                        damage.is_none() || (name != "meta.json" && name != ".managed.json"),
                        "{name} has a checksum"
                    );
                }
                Ok(Opened::NeedsRebuild(_)) => rebuilds += 1,
                Err(error) => panic!("{name}: {error}"),
            }
            for path in std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path()) {
                if !files.contains(&path) {
                    std::fs::remove_file(path).unwrap();
                }
            }
            std::fs::write(file, &bytes).unwrap();
            assert!(files.iter().all(|file| file.exists()), "{name}");
        }
    }
    assert!(rebuilds > 8, "{rebuilds}");
}

/// A directory whose disk is full from some moment on.
#[derive(Debug, Clone)]
struct Filling {
    inner: RamDirectory,
    full: Arc<AtomicBool>,
    full_for_merges: Arc<AtomicBool>,
}

impl Filling {
    fn new() -> Self {
        Filling { inner: RamDirectory::create(), full: Arc::default(), full_for_merges: Arc::default() }
    }

    fn check(&self) -> io::Result<()> {
        let merging = std::thread::current().name().is_some_and(|name| name.starts_with("merge_thread"));
        let full = self.full.load(Ordering::Relaxed) || merging && self.full_for_merges.load(Ordering::Relaxed);
        if full { Err(io::Error::from(io::ErrorKind::StorageFull)) } else { Ok(()) }
    }
}

impl Directory for Filling {
    fn get_file_handle(&self, path: &Path) -> Result<Arc<dyn FileHandle>, OpenReadError> {
        self.inner.get_file_handle(path)
    }
    fn delete(&self, path: &Path) -> Result<(), DeleteError> {
        self.inner.delete(path)
    }
    fn exists(&self, path: &Path) -> Result<bool, OpenReadError> {
        self.inner.exists(path)
    }
    fn open_write(&self, path: &Path) -> Result<WritePtr, OpenWriteError> {
        self.check().map_err(|error| OpenWriteError::wrap_io_error(error, path.to_owned()))?;
        self.inner.open_write(path)
    }
    fn atomic_read(&self, path: &Path) -> Result<Vec<u8>, OpenReadError> {
        self.inner.atomic_read(path)
    }
    fn atomic_write(&self, path: &Path, data: &[u8]) -> io::Result<()> {
        self.check()?;
        self.inner.atomic_write(path, data)
    }
    fn sync_directory(&self) -> io::Result<()> {
        self.check()?;
        self.inner.sync_directory()
    }
    fn acquire_lock(&self, lock: &Lock) -> Result<DirectoryLock, LockError> {
        self.inner.acquire_lock(lock)
    }
    fn watch(&self, callback: WatchCallback) -> tantivy::Result<WatchHandle> {
        self.inner.watch(callback)
    }
}

#[test]
fn a_full_disk_fails_the_commit_and_rollback_goes_on() {
    let directory = Filling::new();
    let full = Arc::clone(&directory.full);
    let Opened::Ready(mut index) = LexicalIndex::open(Box::new(directory), &config("none")).unwrap() else { panic!() };
    add(&mut index, 1, "glacier");
    index.commit(1).unwrap();
    full.store(true, Ordering::Relaxed);
    add(&mut index, 2, "glacier");
    let error = index.commit(2).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ResourceExhausted, "{error}");
    // Searching goes on, writing does not.
    assert_eq!(found(&index, "glacier"), [1]);
    let refused = index.add(3, "t", "", &[(0, "x")], &Metadata::new()).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Unavailable, "{refused}");
    full.store(false, Ordering::Relaxed);
    index.rollback().unwrap();
    assert_eq!(index.committed_seq().unwrap(), Some(1));
    add(&mut index, 2, "glacier");
    index.commit(2).unwrap();
    assert_eq!(found(&index, "glacier"), [1, 2]);
}

#[test]
fn a_disk_that_fills_between_two_additions_is_told_by_a_later_one() {
    let directory = Filling::new();
    let full = Arc::clone(&directory.full);
    let Opened::Ready(mut index) = LexicalIndex::open(Box::new(directory), &config("none")).unwrap() else { panic!() };
    full.store(true, Ordering::Relaxed);
    let mut additions = (1..1_000_000).map(|doc| index.add(doc, "t", "", &[(0, "glacier")], &Metadata::new()));
    let error = additions.find_map(Result::err).unwrap();
    assert_eq!(error.kind(), ErrorKind::ResourceExhausted, "{error}");
}

#[test]
fn a_failed_compaction_loses_nothing() {
    let directory = Filling::new();
    let full = Arc::clone(&directory.full);
    let Opened::Ready(mut index) = LexicalIndex::open(Box::new(directory), &config("none")).unwrap() else { panic!() };
    for doc in 0..7 {
        add(&mut index, doc, "glacier");
        index.commit(doc).unwrap();
    }
    full.store(true, Ordering::Relaxed);
    let error = index.compact().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ResourceExhausted, "{error}");
    full.store(false, Ordering::Relaxed);
    index.rollback().unwrap();
    assert_eq!(live(&index), (0..7).collect::<Vec<_>>());
    index.compact().unwrap();
    assert_eq!((index.view().segments(), live(&index).len()), (1, 7));
}

#[test]
fn a_failed_merge_is_told_at_a_later_commit_and_loses_nothing() {
    let directory = Filling::new();
    let full = Arc::clone(&directory.full_for_merges);
    full.store(true, Ordering::Relaxed);
    let Opened::Ready(mut index) = LexicalIndex::open(Box::new(directory), &config("none")).unwrap() else { panic!() };
    let mut failures = Vec::new();
    let mut doc = 0;
    while failures.is_empty() && doc < 1000 {
        add(&mut index, doc, "glacier");
        failures.extend(index.commit(doc).unwrap().merge_failure);
        doc += 1;
    }
    assert_eq!(failures[0].kind(), ErrorKind::ResourceExhausted, "{failures:?}");
    assert_eq!(live(&index), (0..doc).collect::<Vec<_>>());
    full.store(false, Ordering::Relaxed);
    index.compact().unwrap();
    assert_eq!((index.view().segments(), live(&index).len() as u64), (1, doc));
}
