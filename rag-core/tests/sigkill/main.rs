//! A process that writes heavily is killed with SIGKILL at random moments; what it leaves is the last commit, whole.
//!
//! The test executes itself again as the process that is killed. That one says on its standard error which commit it
//! begins and which one returned. Each death is followed by an opening of the folder, the comparison of everything with
//! what the commits must have led to, and the next process on the same folder.

#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stderr, clippy::format_push_string)]

mod load;

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use rag_core::config::{EngineConfig, VectorConfig};
use rag_core::engine::{Mode, SearchRequest};
use rag_core::testing::WordEmbedder;
use rag_core::{Engine, Scope};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use load::{COMMON, IDS, State, Step};

/// Where the process that is killed finds its orders: folder, seed, last commit, backend.
const ORDERS: &str = "RAG_CORE_SIGKILL_ORDERS";
const SIGKILL: i32 = 9;
/// Commits of one process, should nobody kill it.
const MOST_COMMITS: u64 = 10_000;

#[derive(Debug, Clone, Copy, PartialEq)]
enum Backend {
    Flat,
    #[cfg(feature = "hnsw")]
    Hnsw,
}

impl Backend {
    fn open(self, folder: &Path) -> Engine {
        let mut config = EngineConfig::default();
        (config.chunking.max_tokens, config.chunking.overlap_tokens) = (8, 0);
        config.lexical.writer_memory_mib = 15;
        #[cfg(feature = "hnsw")]
        if self == Backend::Hnsw {
            config.vectors = VectorConfig::Hnsw { m: 8, ef_construction: 16, ef_search: 64 };
        }
        let builder = Engine::builder().config(config).embedder(Arc::new(WordEmbedder::new(48))).check_store();
        builder.open(folder).unwrap()
    }
}

/// What the process said before it died.
#[derive(Debug)]
struct Told {
    /// The last commit that returned.
    done: u64,
    /// The last commit that was begun.
    begun: u64,
}

/// The commits of a folder, and how they came about.
struct Killing {
    backend: Backend,
    folder: tempfile::TempDir,
    seed: u64,
    random: SmallRng,
    seq: u64,
    state: State,
    /// Words of revisions that were replaced or deleted.
    gone: Vec<String>,
}

impl Killing {
    fn new(backend: Backend, seed: u64) -> Killing {
        let folder = tempfile::tempdir().unwrap();
        let random = SmallRng::seed_from_u64(seed);
        Killing { backend, folder, seed, random, seq: 0, state: State::new(), gone: Vec::new() }
    }

    /// Starts a process on the folder and kills it: some time after its start, or shortly after it began a commit.
    fn kill_one(&mut self) -> Told {
        let mut child = self.start();
        let lines = lines_of(&mut child);
        let mut told = Told { done: self.seq, begun: self.seq };
        let mut other = Vec::new();
        let mut hear = |line: String, told: &mut Told| match line.split_once(' ') {
            Some(("begin", seq)) => told.begun = seq.parse().unwrap(),
            Some(("done", seq)) => told.done = seq.parse().unwrap(),
            _ => other.push(line),
        };
        let after_start = self.random.random_bool(0.5);
        let (commits, micros) = if after_start {
            (0, self.random.random_range(0..1_000_000))
        } else {
            (self.random.random_range(1..8), self.random.random_range(0..100_000))
        };
        while told.begun < self.seq + commits {
            let Ok(line) = lines.recv() else { break };
            hear(line, &mut told);
        }
        let until = Instant::now() + Duration::from_micros(micros);
        while let Ok(line) = lines.recv_timeout(until.saturating_duration_since(Instant::now())) {
            hear(line, &mut told);
        }
        child.kill().unwrap();
        let status = child.wait().unwrap();
        for line in &lines {
            hear(line, &mut told);
        }
        assert_eq!(status.signal(), Some(SIGKILL), "it ended by itself: {other:#?}");
        told
    }

    fn start(&self) -> Child {
        let backend = if self.backend == Backend::Flat { "flat" } else { "hnsw" };
        let orders = format!("{} {} {backend} {}", self.seed, self.seq, self.folder.path().display());
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "a_load_that_nobody_kills_ends_in_the_expected_state", "--nocapture"]);
        command.env(ORDERS, orders).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        command.spawn().unwrap()
    }

    /// Moves the expected state on to commit `seq`.
    fn advance(&mut self, seq: u64) {
        for step in self.seq + 1..=seq {
            Step::of(self.seed, step).apply(&mut self.state, &mut self.gone);
        }
        self.seq = seq;
    }

    /// Opens the folder and compares all of it with what must be there.
    fn check(&mut self, told: &Told) {
        let engine = self.backend.open(self.folder.path());
        let scope = Scope::default();
        assert_eq!(engine.repairs(), Vec::<String>::new());
        let seq = engine.stats(&scope).unwrap().commit_seq;
        assert!((told.done..=told.begun).contains(&seq), "commit {seq} is there; the process said {told:?}");
        self.advance(seq);
        let report = engine.verify(|| ()).unwrap();
        assert_eq!((report.documents, report.repaired), (self.state.len() as u64, Vec::new()));
        let stored = (0..IDS).map(load::id).chain([load::ABANDONED.to_owned()]).filter_map(|id| {
            let stored = engine.get(&scope, &id).unwrap()?;
            Some((id, stored.document.text))
        });
        assert_eq!(stored.collect::<State>(), self.state);
        self.check_answers(&engine);
    }

    fn check_answers(&mut self, engine: &Engine) {
        let find = |text: &str, mode: Mode, k: usize| {
            engine.search(&Scope::default(), &SearchRequest::new(text, k).with_mode(mode)).unwrap().hits
        };
        for mode in [Mode::Dense, Mode::Lexical] {
            let hits = find(COMMON, mode, 2 * IDS);
            let found: BTreeSet<&str> = hits.iter().map(|hit| hit.id.as_str()).collect();
            assert_eq!(found, self.state.keys().map(String::as_str).collect(), "{mode:?}");
            assert!(hits.iter().all(|hit| self.state[&hit.id].contains(&hit.passage.text)), "{mode:?}: stale text");
        }
        for _ in 0..10.min(self.state.len()) {
            let at = self.random.random_range(0..self.state.len());
            let (id, text) = self.state.iter().nth(at).unwrap();
            let best = find(load::mark(text), Mode::Lexical, 5);
            assert_eq!(best.iter().map(|hit| &hit.id).collect::<Vec<_>>(), [id]);
            let same = find(&best[0].passage.text, Mode::Dense, 5);
            assert!(same.iter().any(|hit| hit.id == *id && hit.score > 0.999), "{id} is not close to itself: {same:?}");
        }
        for word in self.gone.iter().rev().take(50) {
            assert!(find(word, Mode::Lexical, 5).is_empty(), "{word} is of a revision that went");
        }
    }
}

/// The lines of the process as they come, up to its end.
fn lines_of(child: &mut Child) -> Receiver<String> {
    let (sender, receiver) = channel();
    let lines = BufReader::new(child.stderr.take().unwrap()).lines();
    std::thread::spawn(move || lines.map_while(Result::ok).try_for_each(|line| sender.send(line)));
    receiver
}

fn kill(kills: usize, backend: Backend, seed: u64) {
    let mut killing = Killing::new(backend, seed);
    let (mut under_way, mut most_bytes) = (0, 0);
    for number in 1..=kills {
        eprintln!("kill {number} after commit {} (seed {seed}, {backend:?})", killing.seq);
        let told = killing.kill_one();
        under_way += usize::from(told.begun > told.done);
        killing.check(&told);
        most_bytes = most_bytes.max(bytes_of(&killing.folder.path().join("vectors")));
    }
    let ended = killing.seq;
    eprintln!("{kills} kills, {under_way} of them during a commit, over {ended} commits ({backend:?})");
    assert!(under_way * 4 > kills && ended as usize > kills, "the load was not heavy");
    assert_eq!(most_bytes > 0, backend == Backend::Flat, "sealed vectors");
}

fn bytes_of(folder: &Path) -> u64 {
    std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().metadata().unwrap().len()).sum()
}

#[test]
fn twenty_kills_leave_the_last_commit() {
    kill(20, Backend::Flat, 1);
}

#[test]
#[ignore = "takes minutes; the extended lane runs it"]
fn two_hundred_kills_leave_the_last_commit() {
    kill(200, Backend::Flat, 2);
}

#[cfg(feature = "hnsw")]
#[test]
#[ignore = "takes a minute; the extended lane runs it"]
fn forty_kills_leave_the_last_commit_under_the_graph_backend() {
    kill(40, Backend::Hnsw, 3);
}

/// What the process runs that is killed; without orders, a shorter load of its own.
#[test]
fn a_load_that_nobody_kills_ends_in_the_expected_state() {
    if let Ok(orders) = std::env::var(ORDERS) {
        return carry_out(&orders);
    }
    let mut killing = Killing::new(Backend::Flat, 4);
    let engine = killing.backend.open(killing.folder.path());
    for seq in 1..=24 {
        commit(&engine, killing.seed, seq, |_, _| ());
    }
    killing.advance(24);
    killing.check_answers(&engine);
    drop(engine);
    killing.check(&Told { done: 24, begun: 24 });
}

fn carry_out(orders: &str) {
    let mut orders = orders.splitn(4, ' ');
    let mut next = || orders.next().unwrap();
    let (seed, last): (u64, u64) = (next().parse().unwrap(), next().parse().unwrap());
    let backend = match next() {
        #[cfg(feature = "hnsw")]
        "hnsw" => Backend::Hnsw,
        _ => Backend::Flat,
    };
    let engine = backend.open(&PathBuf::from(next()));
    // Standard error itself, and not the macros for it, which the test harness may hold back.
    let say = |what: &str, seq: u64| std::io::stderr().write_all(format!("{what} {seq}\n").as_bytes()).unwrap();
    for seq in last + 1..last + MOST_COMMITS {
        commit(&engine, seed, seq, say);
    }
}

fn commit(engine: &Engine, seed: u64, seq: u64, say: impl Fn(&str, u64)) {
    let step = Step::of(seed, seq);
    let compact = step.compact;
    say("begin", seq);
    assert_eq!(step.carry_out(engine).unwrap(), seq);
    say("done", seq);
    if compact {
        engine.compact().unwrap();
    }
}
