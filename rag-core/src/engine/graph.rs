//! Building the vector graph beside everything else: the exact scan answers until it is there.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use super::Inner;
use super::open::Writer;
use crate::ann::{HnswBuild, HnswGraph};
use crate::error::{Error, ErrorKind, Result};
use crate::fork;
use crate::pool::Pool;
use crate::types::Cancel;

impl Inner {
    /// Starts a build in a thread of its own when the index wants one.
    pub(super) fn build_graph_in_background(self: &Arc<Self>, writer: &mut Writer) {
        let Some(build) = writer.vectors.start_build() else { return };
        let (engine, closing, threads) = (Arc::downgrade(self), self.closing.clone(), self.config.runtime.threads);
        let thread = std::thread::Builder::new().name("rag-graph".to_owned()).spawn(move || {
            let graph = run(build, threads, &closing);
            if let Some(engine) = engine.upgrade() {
                engine.install_graph(graph);
            }
        });
        match (thread, self.building.lock()) {
            (Ok(thread), Ok(mut building)) => *building = Some(thread),
            (Err(error), _) => {
                tracing::warn!(%error, "no thread to build the graph in; the next commit tries again");
                writer.vectors.install(None);
            }
            _ => {}
        }
    }

    /// Returns when no build is under way, and has the graph there is worth having.
    pub(super) fn build_graph_now(&self) -> Result<()> {
        let under_way = self.building.lock().ok().and_then(|mut building| building.take());
        if let Some(thread) = under_way {
            let _ = fork::aside(|| thread.join());
        }
        let mut writer = self.writer()?;
        let Some(build) = writer.vectors.start_build() else { return Ok(()) };
        let graph = run(build, self.config.runtime.threads, &self.closing);
        let failure = graph.as_ref().err().cloned();
        writer.vectors.install(graph.ok());
        failure.map_or(Ok(()), Err)
    }

    /// Puts a graph to use. While changes are staged nothing may be published, so the next commit does it then.
    fn install_graph(&self, graph: Result<HnswGraph>) {
        let _working = fork::enter();
        let Ok(mut writer) = self.writer() else { return };
        let graph = graph.inspect_err(|error| {
            if error.kind() != ErrorKind::Cancelled {
                tracing::warn!(%error, "building the graph failed; the next commit tries again");
            }
        });
        let built = graph.is_ok();
        writer.vectors.install(graph.ok());
        if built && !writer.has_changes() {
            match writer.sync(false) {
                Ok(snapshot) => self.snapshot.store(Arc::new(snapshot)),
                Err(error) => tracing::warn!(%error, "the new graph is not in use yet; the next commit tries again"),
            }
        }
    }
}

/// Builds in threads of its own: in those of the searches it would make them wait. A defect there is an error like others,
/// so that the index learns that its build is over.
fn run(build: HnswBuild, threads: usize, cancel: &Cancel) -> Result<HnswGraph> {
    let work = || fork::aside(|| Pool::new("rag-graph", threads).run_apart(|| build.run(cancel)));
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| Err(Error::internal("building the graph failed")))
}
