//! The engine: documents in, ranked and explained answers out, durable.

mod api;
mod builder;
mod chunk;
mod gated;
#[cfg(feature = "hnsw")]
mod graph;
mod ingest;
mod list;
mod lock;
mod maintenance;
mod open;
mod rank;
mod search;
mod snapshot;
mod stages;
#[cfg(test)]
mod tests;
mod tune;
mod vectors;
mod words;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard};

use arc_swap::{ArcSwap, ArcSwapOption};

pub use api::{
    Answer, DiskBytes, Explanation, FeatureExplanation, Hit, LtrExplanation, MAX_K, Mode, Passage, RunExplanation,
    SearchRequest, Served, Stats, StoredDocument, UpsertReport, VerifyReport,
};
pub use builder::EngineBuilder;
#[cfg(feature = "testing")]
pub(crate) use chunk::Chunker;
pub use chunk::FORMAT_FIELD;

use crate::config::EngineConfig;
use crate::embed::Embedder;
use crate::error::{Error, ErrorKind, Result};
use crate::features::{ClickCounts, Extractor, FeatureLog};
use crate::filter::Filter;
use crate::gate::LiveGate;
use crate::pool::Pool;
use crate::rerank::Reranker;
use crate::telemetry::Telemetry;
use crate::tune::Formula;
use crate::types::{Cancel, Document, Scope};
use lock::Lock;
use open::{Layout, Repairs, Writer};
use rank::Ranking;
use snapshot::Snapshot;
use stages::Stages;

/// A retrieval engine over one data folder. Clones share it; every method may be called from any thread.
///
/// Searches work on an immutable snapshot and never wait for a writer; writers take turns. Changes are staged by
/// [`Engine::upsert`] and [`Engine::delete`] and become durable and visible together with [`Engine::commit`].
///
/// ```
/// use rag_core::{Document, Engine, Scope, engine::SearchRequest};
/// let folder = tempfile::tempdir()?;
/// let engine = Engine::open(folder.path())?;
/// let scope = Scope::default();
/// engine.upsert(&scope, vec![
///     Document::new("a", "Alpine passes are closed in winter because of snow."),
///     Document::new("b", "The bakery opens at six in the morning."),
/// ])?;
/// engine.commit()?;
/// let answer = engine.search(&scope, &SearchRequest::new("when does the bakery open", 1))?;
/// assert_eq!(answer.hits[0].id, "b");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Engine {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    config: EngineConfig,
    layout: Layout,
    analyser: String,
    embedder: Arc<dyn Embedder>,
    telemetry: Arc<dyn Telemetry>,
    /// How two runs become one.
    formula: Formula,
    features: Extractor,
    /// The model in use; without one the fused order stands.
    ranking: ArcSwapOption<Ranking>,
    reranker: ArcSwapOption<InUse>,
    /// The weight of the model.
    gate: Arc<LiveGate>,
    snapshot: ArcSwap<Snapshot>,
    writer: Mutex<Writer>,
    /// What open found wrong and made again; told by the next `verify`.
    repairs: Mutex<Repairs>,
    /// Threads of the searches, and those of the writers, which embed: a search waits for no batch of documents.
    searching: Pool,
    writing: Pool,
    /// Stops what runs in the background when the engine is dropped.
    closing: Cancel,
    /// The thread that builds a vector graph.
    #[cfg(feature = "hnsw")]
    building: Mutex<Option<std::thread::JoinHandle<()>>>,
    lock: Lock,
}

/// The reranker in use.
#[derive(Debug)]
struct InUse(Arc<dyn Reranker>);

impl Drop for Engine {
    /// In a forked child the threads of the engine do not exist, and waiting for them would never end: there nothing is
    /// torn down but by the end of the process.
    fn drop(&mut self) {
        if !self.inner.lock.is_own() {
            std::mem::forget(Arc::clone(&self.inner));
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.closing.cancel();
    }
}

impl Engine {
    /// Opens or makes the data folder with the default settings and the bundled model.
    ///
    /// # Errors
    /// As [`EngineBuilder::open`].
    pub fn open(folder: impl AsRef<std::path::Path>) -> Result<Engine> {
        EngineBuilder::new().open(folder)
    }

    /// Settings other than the default.
    pub fn builder() -> EngineBuilder {
        EngineBuilder::new()
    }

    /// Stages documents: new ones are added, changed ones replaced, unchanged ones left alone. Only chunks whose text
    /// is new are embedded. Of several documents with one id the last one counts.
    ///
    /// # Errors
    /// `InvalidArgument` naming the document and the field, `PermissionDenied` for a document outside the scope; then
    /// nothing of this call is staged. `ResourceExhausted`, `Unavailable` and other failures of the disk drop
    /// everything staged since the last commit, as the error says.
    pub fn upsert(&self, scope: &Scope, documents: Vec<Document>) -> Result<UpsertReport> {
        self.inner.upsert(scope, documents, &Cancel::never())
    }

    /// As [`Engine::upsert`], with a way to stop and a deadline; stopped, nothing of this call is staged.
    ///
    /// # Errors
    /// As [`Engine::upsert`]; `Cancelled` and `DeadlineExceeded`.
    pub fn upsert_with(&self, scope: &Scope, documents: Vec<Document>, cancel: &Cancel) -> Result<UpsertReport> {
        self.inner.upsert(scope, documents, cancel)
    }

    /// Whether [`Engine::upsert`] would take the document as it is. Callers that collect documents from many places leave
    /// out the ones that are wrong this way, instead of losing the batch.
    ///
    /// # Errors
    /// As [`Engine::upsert`] for what is wrong with a document.
    pub fn check(&self, scope: &Scope, document: &Document) -> Result<()> {
        self.inner.check(scope, document)
    }

    /// Stages deletions; gives the number of documents that were there. Ids that are not there are fine.
    ///
    /// # Errors
    /// Failures of the disk, as for [`Engine::upsert`].
    pub fn delete(&self, scope: &Scope, ids: &[&str]) -> Result<usize> {
        self.inner.delete(scope, ids)
    }

    /// Makes everything staged durable, then visible; gives the number of the commit. Deleted documents are gone from
    /// every answer from here on. Without staged changes it does nothing.
    ///
    /// # Errors
    /// Failures of the disk. The message says whether the commit stands.
    pub fn commit(&self) -> Result<u64> {
        let mut writer = self.inner.writer()?;
        if writer.has_changes() {
            self.inner.lock.count_commit();
        }
        let never = Cancel::never();
        if let Some(snapshot) = writer.commit(&Stages::new(&*self.inner.telemetry, &never))? {
            self.inner.snapshot.store(Arc::new(snapshot));
            #[cfg(feature = "hnsw")]
            self.inner.build_graph_in_background(&mut writer);
        }
        Ok(self.inner.snapshot.load().seq)
    }

    /// Drops everything staged since the last commit.
    ///
    /// # Errors
    /// When the lexical index cannot go back; the next commit repairs it.
    pub fn rollback(&self) -> Result<()> {
        self.inner.writer()?.rollback()
    }

    /// Answers a question from the last commit.
    ///
    /// # Errors
    /// `InvalidArgument` naming the field, `Cancelled`, `DeadlineExceeded`, `Corruption`.
    pub fn search(&self, scope: &Scope, request: &SearchRequest) -> Result<Answer> {
        request.validate()?;
        self.inner.search(scope, request, self.inner.depth(request), None)
    }

    /// As [`Engine::search`] while the caller goes on: `done` gets the answer, on one of the engine's threads. For callers
    /// that wait for many things at once, such as event loops.
    ///
    /// ```
    /// use rag_core::{Engine, Scope, engine::SearchRequest};
    /// let folder = tempfile::tempdir()?;
    /// let engine = Engine::open(folder.path())?;
    /// let (send, receive) = std::sync::mpsc::channel();
    /// engine.search_then(Scope::default(), SearchRequest::new("bread", 3), move |answer| drop(send.send(answer)));
    /// assert!(receive.recv()??.hits.is_empty());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn search_then(
        &self,
        scope: Scope,
        request: SearchRequest,
        done: impl FnOnce(Result<Answer>) + Send + 'static,
    ) {
        let engine = self.clone();
        self.inner.searching.spawn(move || {
            let answer = catch_unwind(AssertUnwindSafe(|| engine.search(&scope, &request)));
            drop(engine); // before `done`, who may wait for nobody to have it any more
            done(answer.unwrap_or_else(|_| Err(Error::internal("the search ended in a defect of this software"))));
        });
    }

    /// Answers many questions, side by side on the engine's threads; the answers come in the order of the questions.
    ///
    /// # Errors
    /// Those of the first question that fails, as [`Engine::search`].
    pub fn search_many(&self, scope: &Scope, requests: &[SearchRequest]) -> Result<Vec<Answer>> {
        self.inner.searching.map(requests, |request| self.search(scope, request)).into_iter().collect()
    }

    /// How the document `id` fares for a question: its explanation, or `None` when no retriever has it among its
    /// candidates, or a ranker not among those that it ranks. Rank and score are those that a search for the same request gives, or would give with a larger `k`
    /// but the same candidates.
    ///
    /// # Errors
    /// `NotFound` when the scope has no such document; as [`Engine::search`].
    pub fn explain(&self, scope: &Scope, request: &SearchRequest, id: &str) -> Result<Option<Hit>> {
        if self.get(scope, id)?.is_none() {
            return Err(Error::new(ErrorKind::NotFound, format!("there is no document {id:?} in this scope")));
        }
        request.validate()?;
        // As deep as the search itself, since the scale of a run is that of its candidates; two runs have at most twice
        // as many.
        let depth = self.inner.depth(request);
        let request = SearchRequest { k: 2 * depth.retrieved, explain: true, ..request.clone() };
        Ok(self.inner.search(scope, &request, depth, Some(id))?.hits.pop())
    }

    /// Takes a ranker into use for all searches from now on, or none. The score of a hit then is
    /// `(1 − weight) · fused + weight · model`, both scaled to the candidates of the search; see `docs/scores.md`. The weight
    /// holds until the gate is given another one ([`Engine::gate`]). A model
    /// may read some features of [`Engine::feature_schema`] in any order, by name; one without names reads all of them in
    /// the order of the schema.
    ///
    /// # Errors
    /// `InvalidArgument` for a weight outside 0 to 1; `SchemaMismatch` for a model of features that this engine does not
    /// have. The ranker before then stays.
    pub fn set_ranker(&self, ranker: Option<Arc<rag_ltr::Ranker>>, weight: f32) -> Result<()> {
        let ranking = ranker.map(|ranker| self.inner.ranking_of(ranker, weight)).transpose()?;
        self.inner.ranking.store(ranking.map(Arc::new));
        Ok(())
    }

    /// The live gate: the weight of the ranker, changed while searches run. See [`crate::gate`].
    pub fn gate(&self) -> Arc<LiveGate> {
        Arc::clone(&self.inner.gate)
    }

    /// The ranker in use.
    pub fn ranker(&self) -> Option<Arc<rag_ltr::Ranker>> {
        self.inner.ranking.load().as_ref().map(|ranking| ranking.ranker.clone())
    }

    /// Takes a reranker into use for all searches from now on, or none: see [`Reranker`].
    pub fn set_reranker(&self, reranker: Option<Arc<dyn Reranker>>) {
        self.inner.reranker.store(reranker.map(|reranker| Arc::new(InUse(reranker))));
    }

    /// The features that rankers read and [`Engine::log_features`] writes, as `EngineConfig::features` declares them.
    pub fn feature_schema(&self) -> &rag_ltr::schema::FeatureSchema {
        self.inner.schema()
    }

    /// The features of the candidates of each question (given with an id of the caller's), as a ranker would see them:
    /// what serves searches also writes the log. Candidates are the best `ltr.depth` of the fused ranking, or as many as
    /// the request asks for where that is more.
    ///
    /// ```
    /// use rag_core::{Document, Engine, Scope, engine::SearchRequest};
    /// let folder = tempfile::tempdir()?;
    /// let (engine, scope) = (Engine::open(folder.path())?, Scope::default());
    /// engine.upsert(&scope, vec![Document::new("a", "fresh bread"), Document::new("b", "the bakery")])?;
    /// engine.commit()?;
    /// let log = engine.log_features(&scope, &[("q1", SearchRequest::new("bread", 10))])?;
    /// assert_eq!(log.groups(), [2]);
    /// assert_eq!(log.rows()?.columns(), engine.feature_schema().features().len());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`Engine::search`], naming the question, and what the cache and the caller's feature functions report: a log
    /// has no gaps.
    pub fn log_features(&self, scope: &Scope, queries: &[(&str, SearchRequest)]) -> Result<FeatureLog> {
        self.inner.log_features(scope, queries)
    }

    /// Takes the click-through history of the scope's tenant, in the place of the one before; it is kept in memory.
    /// Without rows the tenant has none. The features of `features.clicks` are made of it.
    ///
    /// # Errors
    /// `InvalidArgument`, naming the document whose row is wrong, and without `features.clicks`; the history before then
    /// stays.
    pub fn set_click_history(&self, scope: &Scope, rows: &[ClickCounts]) -> Result<()> {
        scope.validate()?;
        self.inner.features.set_clicks(scope.tenant_name(), rows)
    }

    /// A stored document; `None` when the scope has none of that id.
    ///
    /// # Errors
    /// `Corruption`.
    pub fn get(&self, scope: &Scope, id: &str) -> Result<Option<StoredDocument>> {
        self.inner.get(scope, id)
    }

    /// Ids of the documents that the scope and the filter let through, ascending byte by byte: at most `limit` of those
    /// after `after`, so that the last id of one page begins the next. A page is of the last commit; pages may be of
    /// different ones.
    ///
    /// ```
    /// use rag_core::{Document, Engine, Filter, Scope};
    /// let folder = tempfile::tempdir()?;
    /// let (engine, scope) = (Engine::open(folder.path())?, Scope::default());
    /// let document = |id: &str| Document::new(id, "text").with_metadata("lang", "en");
    /// engine.upsert(&scope, vec![document("b"), document("a"), document("c")])?;
    /// engine.commit()?;
    /// assert_eq!(engine.ids(&scope, Some(&Filter::eq("lang", "en")), None, 2)?, ["a", "b"]);
    /// assert_eq!(engine.ids(&scope, None, Some("b"), usize::MAX)?, ["c"]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// `InvalidArgument` naming what is wrong with the filter; `Corruption`.
    pub fn ids(
        &self,
        scope: &Scope,
        filter: Option<&Filter>,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<String>> {
        self.inner.ids(scope, filter, after, limit)
    }

    /// Numbers about the engine.
    ///
    /// # Errors
    /// `Corruption`.
    pub fn stats(&self, scope: &Scope) -> Result<Stats> {
        self.inner.stats(scope)
    }

    /// Reads every row of the store and every derived file. Derived pieces that are wrong are made again; damage of the
    /// store is an error, since nothing can replace it. `progress` is called once a document.
    ///
    /// # Errors
    /// `Corruption`, naming what is damaged; `Conflict` while changes are staged.
    pub fn verify(&self, mut progress: impl FnMut()) -> Result<VerifyReport> {
        self.inner.verify(&mut progress)
    }

    /// Rewrites the derived indexes without what is dead; with the graph backend, returns once the graph is there, which
    /// otherwise is built in the background while the exact scan answers. The store's own free space is used again by later writes;
    /// [`EngineBuilder::compact_store`] gives it back to the file system.
    ///
    /// # Errors
    /// Failures of the disk; `Conflict` while changes are staged.
    pub fn compact(&self) -> Result<()> {
        self.inner.compact()
    }

    /// What open found damaged or missing among the derived files, and made again from the store.
    pub fn repairs(&self) -> Vec<String> {
        self.inner.repairs.lock().map(|repairs| repairs.clone()).unwrap_or_default()
    }

    /// The settings in force.
    pub fn config(&self) -> &EngineConfig {
        &self.inner.config
    }

    /// The embedding model.
    pub fn embedder(&self) -> &Arc<dyn Embedder> {
        &self.inner.embedder
    }
}

impl Inner {
    fn writer(&self) -> Result<MutexGuard<'_, Writer>> {
        self.lock.may_write()?;
        self.writer.lock().map_err(|_| {
            Error::internal("an earlier write ended in a defect of this software; open the folder again to go on")
        })
    }
}
