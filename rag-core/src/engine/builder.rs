//! Opening an engine with settings other than the default.

use std::path::Path;
use std::sync::{Arc, Mutex};

use arc_swap::{ArcSwap, ArcSwapOption};
use rag_governance::ModelIdentity;

use super::lock::Lock;
use super::open::{Layout, Writer};
use super::{Engine, Inner};
use crate::cache::FeatureCache;
use crate::config::EngineConfig;
use crate::embed::{Embedder, StaticModel};
use crate::error::Result;
use crate::features::{Extractor, FeatureFunction};
use crate::format::disk::Disk;
use crate::gate::{AuditSink, LiveGate};
use crate::lexical::Analyser;
use crate::pool::Pool;
use crate::store::StoreCheck;
use crate::telemetry::{NoTelemetry, Telemetry};
use crate::tune::Formula;
use crate::types::Cancel;

/// Settings of an engine that is about to be opened.
///
/// ```
/// use rag_core::{Engine, config::EngineConfig};
/// let folder = tempfile::tempdir()?;
/// let mut config = EngineConfig::default();
/// config.fusion.depth = 50;
/// let engine = Engine::builder().config(config).open(folder.path())?;
/// assert_eq!(engine.config().fusion.depth, 50);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct EngineBuilder {
    config: EngineConfig,
    embedder: Option<Arc<dyn Embedder>>,
    telemetry: Option<Arc<dyn Telemetry>>,
    functions: Vec<Arc<dyn FeatureFunction>>,
    cache: Option<Arc<dyn FeatureCache>>,
    check: StoreCheck,
    disk: Disk,
    audit: Audit,
}

/// Who must agree to changes of the gate.
#[derive(Clone, Default)]
struct Audit(Option<Arc<dyn AuditSink>>);

impl std::fmt::Debug for Audit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.0.is_some() { "Audit(given)" } else { "Audit(none)" })
    }
}

impl EngineBuilder {
    /// The default settings and the bundled model.
    pub fn new() -> Self {
        EngineBuilder::default()
    }

    /// Sets the settings.
    #[must_use]
    pub fn config(mut self, config: EngineConfig) -> Self {
        self.config = config;
        self
    }

    /// Sets the embedding model. A folder that was embedded with another one does not open.
    #[must_use]
    pub fn embedder(mut self, embedder: Arc<dyn Embedder>) -> Self {
        self.embedder = Some(embedder);
        self
    }

    /// Sets the receiver of stage records.
    #[must_use]
    pub fn telemetry(mut self, telemetry: Arc<dyn Telemetry>) -> Self {
        self.telemetry = Some(telemetry);
        self
    }

    /// Adds features of the caller's own; may be called several times, and the order is that of the schema.
    #[must_use]
    pub fn feature_function(mut self, function: Arc<dyn FeatureFunction>) -> Self {
        self.functions.push(function);
        self
    }

    /// Sets the cache of features, in the place of the one in memory. Engines may share it.
    #[must_use]
    pub fn feature_cache(mut self, cache: Arc<dyn FeatureCache>) -> Self {
        self.cache = Some(cache);
        self
    }

    /// Gives every change of the gate to `audit` as well, before it is written to the folder's own log; what it refuses does
    /// not happen.
    #[must_use]
    pub fn audit(mut self, audit: Arc<dyn AuditSink>) -> Self {
        self.audit = Audit(Some(audit));
        self
    }

    /// Checks every page of the store while opening; takes as long as reading the file.
    #[must_use]
    pub fn check_store(mut self) -> Self {
        self.check.integrity = true;
        self
    }

    /// Gives unused space of the store back to the file system while opening.
    #[must_use]
    pub fn compact_store(mut self) -> Self {
        self.check.compact = true;
        self
    }

    /// Lets every write to the disk fail when `plan` says so.
    #[cfg(feature = "testing")]
    #[must_use]
    pub fn faults(mut self, plan: Arc<crate::testing::FaultPlan>) -> Self {
        self.disk = Disk::failing(plan);
        self
    }

    /// Opens or makes the folder: takes its lock, opens the store, and brings the derived indexes up to it. Derived
    /// files that are missing or damaged are made again, which [`Engine::repairs`] tells.
    ///
    /// # Errors
    /// `InvalidArgument` for settings and features, `Conflict` when another process has the folder, `ModelMismatch` when its vectors
    /// are of another model, `Corruption` when the store is damaged, failures of the disk.
    pub fn open(self, folder: impl AsRef<Path>) -> Result<Engine> {
        self.config.validate()?;
        let embedder = match self.embedder {
            Some(embedder) => embedder,
            None => Arc::new(StaticModel::bundled()?),
        };
        let analyser = Analyser::new(&self.config.lexical.language)?;
        // Not by its name, which a moved folder changes.
        let model = ModelIdentity { name: "model".to_owned(), ..embedder.identity().clone() }.to_string();
        let features = Extractor::new(&self.config.features, self.functions, self.cache, &model, analyser.describe())?;
        let layout = Layout::create(folder.as_ref())?;
        let lock = Lock::take(&layout.folder)?;
        let gate = LiveGate::with(&layout.folder, &self.config.gate, self.disk.clone(), self.audit.0)?;
        let (mut writer, repairs) = Writer::open(layout.clone(), &self.config, &*embedder, self.disk, self.check)?;
        let snapshot = writer.sync(true)?;
        writer.vectors.remove_strangers(&layout.vectors);
        let engine = Engine {
            inner: Arc::new(Inner {
                layout,
                analyser: writer.analyser.clone(),
                embedder,
                telemetry: self.telemetry.unwrap_or_else(|| Arc::new(NoTelemetry)),
                formula: Formula::of(&self.config.fusion)?,
                features,
                ranking: ArcSwapOption::empty(),
                reranker: ArcSwapOption::empty(),
                gate: Arc::new(gate),
                snapshot: ArcSwap::from_pointee(snapshot),
                writer: Mutex::new(writer),
                repairs: Mutex::new(repairs),
                searching: Pool::new("rag-search", self.config.runtime.threads),
                writing: Pool::new("rag-write", self.config.runtime.threads),
                config: self.config,
                closing: Cancel::never(),
                #[cfg(feature = "hnsw")]
                building: Mutex::new(None),
                lock,
            }),
        };
        #[cfg(feature = "hnsw")]
        engine.inner.build_graph_in_background(&mut *engine.inner.writer()?);
        Ok(engine)
    }
}
