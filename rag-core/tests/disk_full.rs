//! A real file system that is full: a typed error, the last commit intact, and everything as before once there is room.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::print_stderr)]

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use rag_core::config::EngineConfig;
use rag_core::engine::SearchRequest;
use rag_core::testing::WordEmbedder;
use rag_core::{Document, Engine, Error, ErrorKind, Result, Scope};

/// A file system of its own, in memory; taken off when dropped.
struct Mounted {
    folder: tempfile::TempDir,
}

impl Mounted {
    /// `None`, and said so, where this user may not mount.
    fn of_kib(size: usize) -> Option<Mounted> {
        let mounted = Mounted { folder: tempfile::tempdir().unwrap() };
        match mounted.mount(&format!("size={size}k")) {
            Ok(()) => Some(mounted),
            Err(reason) => {
                eprintln!("skipped: no file system can be mounted here ({reason})");
                None
            }
        }
    }

    fn mount(&self, options: &str) -> Result<(), String> {
        let mut command = Command::new("mount");
        let output = command.args(["-t", "tmpfs", "-o", options, "tmpfs"]).arg(self.folder.path()).output();
        match output {
            Ok(output) if output.status.success() => Ok(()),
            Ok(output) => Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
            Err(error) => Err(error.to_string()),
        }
    }

    fn grow(&self) {
        self.mount("remount,size=64m").unwrap();
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(self.folder.path()).output();
    }
}

fn open(folder: &Path) -> Result<Engine> {
    let mut config = EngineConfig::default();
    config.lexical.writer_memory_mib = 15;
    Engine::builder().config(config).embedder(Arc::new(WordEmbedder::new(64))).open(folder)
}

fn commit(engine: &Engine, seq: u64) -> Result<u64> {
    let text = |i: u64| format!("alpine c{seq}x {}", format!("w{i} v{seq} ").repeat(40));
    let documents = (0..20).map(|i| Document::new(format!("{seq} {i}"), text(i))).collect();
    engine.upsert(&Scope::default(), documents)?;
    engine.commit()
}

fn hits(engine: &Engine, words: &str) -> usize {
    engine.search(&Scope::default(), &SearchRequest::new(words, 10_000)).unwrap().hits.len()
}

#[test]
fn a_full_disk_is_told_as_such_and_the_last_commit_is_there_when_there_is_room_again() {
    let mut most_commits = 0;
    // Many sizes, so that the disk is full at many different moments.
    for size in (1_600..6_000).step_by(150) {
        let Some(mounted) = Mounted::of_kib(size) else { return };
        let folder = mounted.folder.path().join("data");
        let mut done = 0;
        let failure: Error = match open(&folder) {
            Err(error) => error,
            Ok(engine) => {
                let failure = (1..10_000).find_map(|seq| commit(&engine, seq).map(|seq| done = seq).err());
                if done > 0 {
                    assert!(hits(&engine, "alpine") as u64 >= 20 * done, "searches go on");
                }
                failure.unwrap()
            }
        };
        assert_eq!(failure.kind(), ErrorKind::ResourceExhausted, "{size} KiB, after {done} commits: {failure}");
        if done > 0 {
            let full = open(&folder).map(|engine| hits(&engine, "alpine"));
            assert!(full.as_ref().map_or_else(|e| e.kind() == ErrorKind::ResourceExhausted, |&hits| hits > 0));
        }
        mounted.grow();
        let engine = open(&folder).unwrap();
        let seq = engine.stats(&Scope::default()).unwrap().commit_seq;
        assert!(seq == done || seq == done + 1, "{size} KiB: {done} commits returned, {seq} are there");
        assert_eq!(engine.verify(|| ()).unwrap().documents, 20 * seq);
        assert_eq!(hits(&engine, "alpine") as u64, 20 * seq);
        assert_eq!(commit(&engine, seq + 1).unwrap(), seq + 1);
        assert_eq!(hits(&engine, &format!("c{}x", seq + 1)) as u64, 20 * (seq + 1));
        most_commits = most_commits.max(done);
    }
    assert!(most_commits > 3, "{most_commits}");
}
