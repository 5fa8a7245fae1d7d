//! The engine.

use std::path::PathBuf;
use std::time::SystemTime;

use pyo3::prelude::*;
use pyo3::types::{PyAny, PyDict, PyList, PyTuple, PyType};
use rag_core::{Cancel, Document};
use rag_runtime::tune::Asked;
use rag_runtime::{Batch, Call, Handle, Model};

use crate::answer::{self, Answer, Hit};
use crate::call::{deadline, interruptible, released, turn};
use crate::convert::{self, Wishes};
use crate::embedder::Embedder;
use crate::errors::{invalid, raise};
use crate::evaluation::by_query;
use crate::features::{self, FeatureLog, FeatureSchema};
use crate::gate::Gate;
use crate::ranker::Ranker;
use crate::reports::{Stats, UpsertReport, VerifyReport};

/// Documents between two turns of other threads.
const TURN: usize = 256;

/// A retrieval engine over one data folder. Any thread may call any method; the interpreter is released while the engine
/// works. Changes are staged by `upsert` and `delete`, and become durable and visible together with `commit`.
///
/// As a context manager it commits when the block ends, or drops what is staged when the block raises, and closes.
#[pyclass(frozen, module = "rag_core")]
pub(crate) struct Engine {
    inner: Handle,
    path: PathBuf,
}

#[pymethods]
impl Engine {
    /// Opens or makes the data folder.
    ///
    /// Args:
    ///     path: The folder. One process has it open at a time; a forked child may search, not write.
    ///     model: None for the bundled model (or what the configuration names), the path of a sentence-transformers folder
    ///         or static model file, or an Embedder.
    ///     config: A TOML file with settings; the variable RAG_CONFIG may name one as well, and variables such as
    ///         RAG__ENGINE__FUSION__DEPTH win over both.
    ///     feature_functions: Features of your own by their names, for rankers and logs: each function is called with the text
    ///         of a question and a list of candidates (dictionaries with id, title, text and metadata), from any thread, and
    ///         gives one number or None for each of them.
    ///
    /// Raises:
    ///     Conflict: Another process has the folder.
    ///     ModelMismatch: Its vectors are of another model.
    ///     Corruption: The store is damaged or lost.
    #[staticmethod]
    #[pyo3(signature = (path: "str | os.PathLike[str]", model: "str | os.PathLike[str] | Embedder | None" = None, *, config: "str | os.PathLike[str] | None" = None, feature_functions: "collections.abc.Mapping[str, collections.abc.Callable[[str, list[dict[str, typing.Any]]], collections.abc.Iterable[float | None]]] | None" = None) -> "Engine")]
    fn open(
        py: Python<'_>,
        path: PathBuf,
        model: Option<&Bound<'_, PyAny>>,
        config: Option<PathBuf>,
        feature_functions: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Engine> {
        let model = match model {
            None => Model::Configured,
            Some(model) => match (model.cast::<Embedder>(), model.extract::<PathBuf>()) {
                (Ok(embedder), _) => Model::Loaded(embedder.get().inner.clone()),
                (_, Ok(path)) => Model::At(path),
                _ => return Err(invalid(py, "`model` is neither a path nor an Embedder")),
            },
        };
        let functions = feature_functions.map(features::functions).transpose()?.unwrap_or_default();
        let open = |_: &Cancel| rag_runtime::open(&path, model, config.as_deref(), functions);
        let inner = interruptible(py, &Cancel::never(), open)?;
        Ok(Engine { inner: Handle::new(inner), path })
    }

    /// Stages documents: new ones are added, changed ones replaced, unchanged ones left alone. Only chunks whose text is
    /// new are embedded.
    ///
    /// Args:
    ///     documents: Dictionaries with the keys id, title, text and metadata; objects with these attributes, such as
    ///         dataclasses; or a table of pyarrow, polars or pandas, whose other columns are metadata. A list or tuple is
    ///         staged whole or not at all; anything longer-lived is staged in batches as it comes, and what was staged
    ///         before an error stays staged until `commit` or `rollback`.
    ///     tenant: Whose documents; None for "default".
    ///     timeout: Seconds.
    ///
    /// Raises:
    ///     InvalidArgument: Names the document and the field.
    #[pyo3(signature = (documents: "collections.abc.Iterable[object]", *, tenant: "str | None" = None, timeout: "float | None" = None) -> "UpsertReport")]
    fn upsert(
        &self,
        py: Python<'_>,
        documents: &Bound<'_, PyAny>,
        tenant: Option<&str>,
        timeout: Option<f64>,
    ) -> PyResult<UpsertReport> {
        let scope = convert::scope(py, tenant)?;
        let cancel = deadline(py, timeout)?;
        let stage = |batch: Vec<Document>| {
            let (engine, scope) = (self.inner(py)?, &scope);
            interruptible(py, &cancel, move |cancel| engine.upsert_with(scope, batch, cancel))
        };
        let rows = py.import("rag_core._documents")?.call_method1("rows_of", (documents,))?;
        let Ok((rows, columns)) = rows.extract::<(Bound<'_, PyAny>, bool)>() else {
            return Err(invalid(py, "`documents` is no collection of documents; give a list, an iterator or a table"));
        };
        let whole = documents.is_instance_of::<PyList>() || documents.is_instance_of::<PyTuple>();
        let (mut batch, mut report) = (Batch::default(), rag_core::engine::UpsertReport::default());
        for (position, row) in rows.try_iter()?.enumerate() {
            batch.push(convert::document(&row?, position, columns)?);
            if position % TURN == TURN - 1 {
                turn(py)?;
            }
            if !whole && batch.is_full() {
                report += stage(batch.take())?;
            }
        }
        if !batch.is_empty() {
            report += stage(batch.take())?;
        }
        Ok(report.into())
    }

    /// Stages deletions; gives the number of documents that were there. Ids that are not there are fine.
    #[pyo3(signature = (ids: "collections.abc.Iterable[str]", *, tenant: "str | None" = None) -> "int")]
    fn delete(&self, py: Python<'_>, ids: &Bound<'_, PyAny>, tenant: Option<&str>) -> PyResult<usize> {
        let engine = self.inner(py)?;
        let scope = convert::scope(py, tenant)?;
        let ids = convert::strings(ids, "ids")?;
        interruptible(py, &Cancel::never(), move |_| {
            engine.delete(&scope, &ids.iter().map(String::as_str).collect::<Vec<_>>())
        })
    }

    /// Makes everything staged durable, then visible; gives the number of the commit.
    fn commit(&self, py: Python<'_>) -> PyResult<u64> {
        let engine = self.inner(py)?;
        interruptible(py, &Cancel::never(), move |_| engine.commit())
    }

    /// Drops everything staged since the last commit.
    fn rollback(&self, py: Python<'_>) -> PyResult<()> {
        let engine = self.inner(py)?;
        interruptible(py, &Cancel::never(), move |_| engine.rollback())
    }

    /// Answers a question from the last commit.
    ///
    /// Args:
    ///     text: The question. May be empty with a vector.
    ///     k: Hits wanted, 1 to 10,000.
    ///     filter: Only documents that match, such as {"eq": {"lang": "en"}}; the forms are eq, ne, in, range, exists, and,
    ///         or, not.
    ///     retrievers: Any of "dense" and "lexical"; None for both, fused.
    ///     explain: Whether each hit tells how it came about.
    ///     tenant: Whose documents; None for "default".
    ///     vector: The vector of the question, if there is one already.
    ///     syntax: Read text as query syntax: title:word, "a phrase", +must, -not.
    ///     user: Who asks, for experiments and canaries to keep to; any text that is always the same for the same user. It is
    ///         not stored.
    ///     collapse: One document for each value of this metadata field, the best one; `hidden` of a hit counts the others.
    ///     diversity: How much relevance counts against variety, 0 (variety) to 1 (relevance); None for relevance alone.
    ///     timeout: Seconds; then DeadlineExceeded is raised.
    #[pyo3(signature = (text: "str", k: "int" = 10, *, filter: "collections.abc.Mapping[str, object] | str | None" = None, retrievers: "collections.abc.Sequence[str] | None" = None, explain: "bool" = false, tenant: "str | None" = None, vector: "collections.abc.Sequence[float] | numpy.typing.NDArray[numpy.floating[typing.Any]] | None" = None, syntax: "bool" = false, user: "str | None" = None, collapse: "str | None" = None, diversity: "float | None" = None, timeout: "float | None" = None) -> "Answer")]
    #[allow(clippy::too_many_arguments, reason = "keyword arguments")]
    fn search(
        &self,
        py: Python<'_>,
        text: &str,
        k: i128,
        filter: Option<&Bound<'_, PyAny>>,
        retrievers: Option<&Bound<'_, PyAny>>,
        explain: bool,
        tenant: Option<&str>,
        vector: Option<Vec<f32>>,
        syntax: bool,
        user: Option<String>,
        collapse: Option<String>,
        diversity: Option<f32>,
        timeout: Option<f64>,
    ) -> PyResult<Answer> {
        let engine = self.inner(py)?;
        let scope = convert::scope(py, tenant)?;
        let cancel = deadline(py, timeout)?;
        let request = convert::request(
            py,
            text,
            k,
            filter,
            retrievers,
            explain,
            vector,
            syntax,
            Wishes { user, collapse, diversity },
            &cancel,
        )?;
        let found = released(py, || engine.search(&scope, &request))?;
        answer::answer(py, found)
    }

    /// As `search`, in a thread of the running event loop's executor.
    #[pyo3(signature = (text: "str", k: "int" = 10, **arguments: "typing.Any") -> "collections.abc.Coroutine[object, object, Answer]")]
    fn asearch<'py>(
        slf: &Bound<'py, Self>,
        text: &str,
        k: i128,
        arguments: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        py.import("asyncio")?.call_method("to_thread", (slf.getattr("search")?, text, k), arguments)
    }

    /// Answers many questions, on several threads.
    ///
    /// Args:
    ///     texts: The questions; the other arguments are those of `search` and the same for all.
    #[pyo3(signature = (texts: "collections.abc.Iterable[str]", k: "int" = 10, *, filter: "collections.abc.Mapping[str, object] | str | None" = None, retrievers: "collections.abc.Sequence[str] | None" = None, explain: "bool" = false, tenant: "str | None" = None, syntax: "bool" = false, user: "str | None" = None, collapse: "str | None" = None, diversity: "float | None" = None, timeout: "float | None" = None) -> "list[Answer]")]
    #[allow(clippy::too_many_arguments, reason = "keyword arguments")]
    fn search_many(
        &self,
        py: Python<'_>,
        texts: &Bound<'_, PyAny>,
        k: i128,
        filter: Option<&Bound<'_, PyAny>>,
        retrievers: Option<&Bound<'_, PyAny>>,
        explain: bool,
        tenant: Option<&str>,
        syntax: bool,
        user: Option<String>,
        collapse: Option<String>,
        diversity: Option<f32>,
        timeout: Option<f64>,
    ) -> PyResult<Vec<Answer>> {
        let engine = self.inner(py)?;
        let scope = convert::scope(py, tenant)?;
        let texts = convert::strings(texts, "texts")?;
        let cancel = deadline(py, timeout)?;
        let one = convert::request(
            py,
            "",
            k,
            filter,
            retrievers,
            explain,
            None,
            syntax,
            Wishes { user, collapse, diversity },
            &cancel,
        )?;
        let found = interruptible(py, &cancel, move |cancel| {
            let requests = texts.into_iter().map(|text| {
                let mut request = one.clone().with_cancel(cancel.clone());
                request.text = text;
                request
            });
            engine.search_many(&scope, &requests.collect::<Vec<_>>())
        })?;
        found.into_iter().map(|found| answer::answer(py, found)).collect()
    }

    /// How the document `id` fares for a question: its hit with the explanation, or None when no retriever has it among
    /// its candidates. The other arguments are those of `search`.
    ///
    /// Raises:
    ///     NotFound: There is no such document.
    #[pyo3(signature = (text: "str", id: "str", k: "int" = 10, *, filter: "collections.abc.Mapping[str, object] | str | None" = None, retrievers: "collections.abc.Sequence[str] | None" = None, tenant: "str | None" = None, vector: "collections.abc.Sequence[float] | numpy.typing.NDArray[numpy.floating[typing.Any]] | None" = None, syntax: "bool" = false, user: "str | None" = None, collapse: "str | None" = None, diversity: "float | None" = None, timeout: "float | None" = None) -> "Hit | None")]
    #[allow(clippy::too_many_arguments, reason = "keyword arguments")]
    fn explain(
        &self,
        py: Python<'_>,
        text: &str,
        id: &str,
        k: i128,
        filter: Option<&Bound<'_, PyAny>>,
        retrievers: Option<&Bound<'_, PyAny>>,
        tenant: Option<&str>,
        vector: Option<Vec<f32>>,
        syntax: bool,
        user: Option<String>,
        collapse: Option<String>,
        diversity: Option<f32>,
        timeout: Option<f64>,
    ) -> PyResult<Option<Hit>> {
        let engine = self.inner(py)?;
        let scope = convert::scope(py, tenant)?;
        let cancel = deadline(py, timeout)?;
        let request = convert::request(
            py,
            text,
            k,
            filter,
            retrievers,
            true,
            vector,
            syntax,
            Wishes { user, collapse, diversity },
            &cancel,
        )?;
        let found = released(py, || engine.explain(&scope, &request, id))?;
        found.map(|hit| answer::hit(py, hit)).transpose()
    }

    /// Takes a ranker into use for all searches from now on, or none. The score of a hit then is (1 − weight) · fused + weight ·
    /// model, both scaled to the candidates of the search. When the ranker fails or has no time, the answer is the fused one
    /// and says so in `degraded`.
    ///
    /// Args:
    ///     ranker: None for the fused order.
    ///     weight: 0 to 1; None for `ltr.weight` of the configuration, which is 1.
    ///
    /// Raises:
    ///     SchemaMismatch: The model reads features that this engine does not have.
    #[pyo3(signature = (ranker: "Ranker | None", weight: "float | None" = None) -> "None")]
    fn set_ranker(&self, py: Python<'_>, ranker: Option<Bound<'_, Ranker>>, weight: Option<f32>) -> PyResult<()> {
        let engine = self.inner(py)?;
        let weight = weight.unwrap_or(engine.config().ltr.weight);
        let ranker = ranker.map(|ranker| ranker.get().inner.clone());
        released(py, || engine.set_ranker(ranker, weight))
    }

    /// The live gate: the weight of the ranker, changed while searches run.
    #[getter]
    fn gate(&self, py: Python<'_>) -> PyResult<Gate> {
        Ok(Gate { inner: self.inner(py)?.gate() })
    }

    /// The ranker in use; None without one.
    #[getter]
    fn ranker(&self, py: Python<'_>) -> PyResult<Option<Ranker>> {
        Ok(self.inner(py)?.ranker().map(|inner| Ranker { inner }))
    }

    /// The features that rankers read and `log_features` writes, as `engine.features` of the configuration declares them.
    fn feature_schema(&self, py: Python<'_>) -> PyResult<FeatureSchema> {
        Ok(FeatureSchema { inner: self.inner(py)?.feature_schema().clone() })
    }

    /// The features of the best candidates of each question, as a ranker sees them: `ltr.depth` of the configuration (100), or k
    /// where that is more.
    ///
    /// Args:
    ///     queries: {id: text}, or pairs of both; the other arguments are those of `search` and the same for all.
    ///     now: When the questions were asked, for features that count ages; None for now.
    ///
    /// Raises:
    ///     InvalidArgument: Names the question, or the feature function that raised something.
    #[pyo3(signature = (queries: "collections.abc.Mapping[str, str] | collections.abc.Iterable[tuple[str, str]]", k: "int" = 10, *, filter: "collections.abc.Mapping[str, object] | str | None" = None, retrievers: "collections.abc.Sequence[str] | None" = None, tenant: "str | None" = None, syntax: "bool" = false, now: "datetime.datetime | None" = None, timeout: "float | None" = None) -> "FeatureLog")]
    #[allow(clippy::too_many_arguments, reason = "keyword arguments")]
    fn log_features(
        &self,
        py: Python<'_>,
        queries: &Bound<'_, PyAny>,
        k: i128,
        filter: Option<&Bound<'_, PyAny>>,
        retrievers: Option<&Bound<'_, PyAny>>,
        tenant: Option<&str>,
        syntax: bool,
        now: Option<SystemTime>,
        timeout: Option<f64>,
    ) -> PyResult<FeatureLog> {
        let engine = self.inner(py)?;
        let scope = convert::scope(py, tenant)?;
        let queries = features::questions(queries)?;
        let cancel = deadline(py, timeout)?;
        let mut one = convert::request(py, "", k, filter, retrievers, false, None, syntax, Wishes::default(), &cancel)?;
        one.now = now;
        let logged = interruptible(py, &cancel, move |cancel| {
            let requests = queries.iter().map(|(id, text)| {
                let mut request = one.clone().with_cancel(cancel.clone());
                request.text.clone_from(text);
                (id.as_str(), request)
            });
            engine.log_features(&scope, &requests.collect::<Vec<_>>())
        })?;
        Ok(FeatureLog::from(logged))
    }

    /// Compares ways to fuse the retrievers' runs on judged questions: formulas, scales and weights, by nested cross-validation.
    /// Nothing of the engine changes; the report tells which configuration to open it with.
    ///
    /// Args:
    ///     queries: {id: text}, or pairs of both.
    ///     qrels: {id: {document: grade}}; questions without a relevant document are left out.
    ///     metric: What is good, such as "ndcg@10", "mrr@10" or "recall@100".
    ///     methods: Formulas to compare, `["all"]` for each; None for "convex" and "rrf".
    ///     normalizations: Scales to compare; None for all.
    ///     step: Of the weight of the dense run from 0 to 1.
    ///     folds: Parts of the questions, each held out once.
    ///     seed: What the parts and the resampling follow from.
    ///     few_queries: With fewer questions, what is in use stays unless another is better by more than one standard error.
    ///     adaptive: Whether to fit a weight for each question as well.
    ///     tenant: Whose documents; None for "default".
    ///     timeout: Seconds.
    ///
    /// Returns:
    ///     A dictionary: chosen, held_out (the figure to report), baselines, comparisons, formulas, curve, adaptive, and toml:
    ///     the choice as a piece of the configuration file, with where it comes from.
    #[pyo3(signature = (queries: "collections.abc.Mapping[str, str] | collections.abc.Iterable[tuple[str, str]]", qrels: "collections.abc.Mapping[str, collections.abc.Mapping[str, int]]", *, metric: "str" = "ndcg@10", methods: "collections.abc.Sequence[str] | None" = None, normalizations: "collections.abc.Sequence[str] | None" = None, step: "float" = 0.05, folds: "int" = 5, seed: "int" = 0, few_queries: "int" = 1000, adaptive: "bool" = true, tenant: "str | None" = None, timeout: "float | None" = None) -> "dict[str, typing.Any]")]
    #[allow(clippy::too_many_arguments, reason = "keyword arguments")]
    fn tune<'py>(
        &self,
        py: Python<'py>,
        queries: &Bound<'py, PyAny>,
        qrels: &Bound<'py, PyAny>,
        metric: &str,
        methods: Option<&Bound<'py, PyAny>>,
        normalizations: Option<&Bound<'py, PyAny>>,
        step: f64,
        folds: i128,
        seed: u64,
        few_queries: i128,
        adaptive: bool,
        tenant: Option<&str>,
        timeout: Option<f64>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let engine = self.inner(py)?;
        let scope = convert::scope(py, tenant)?;
        let (queries, qrels) = (features::questions(queries)?, by_query::<i32>(qrels, "qrels")?);
        let strings =
            |names: Option<&Bound<'py, PyAny>>, name| names.map(|names| convert::strings(names, name)).transpose();
        let asked = Asked {
            metric: Some(metric.to_owned()),
            methods: strings(methods, "methods")?,
            normalizations: strings(normalizations, "normalizations")?,
            step: Some(step),
            folds: Some(convert::count(py, "folds", folds)?),
            seed: Some(seed),
            few_queries: Some(convert::count(py, "few_queries", few_queries)?),
            adaptive: Some(adaptive),
        };
        let cancel = deadline(py, timeout)?;
        let report = interruptible(py, &cancel, move |cancel| {
            rag_runtime::tune::tune(&engine, &scope, queries, qrels, asked, cancel.clone())
        })?;
        convert::from_json(py, &report)
    }

    /// Takes the click-through history of a tenant, in the place of the one before: the features of `features.clicks`. It is
    /// kept in memory.
    ///
    /// Args:
    ///     rows: {id: (impressions, clicks)}, or triples of these.
    ///     tenant: Whose documents; None for "default".
    #[pyo3(signature = (rows: "collections.abc.Mapping[str, tuple[int, int]] | collections.abc.Iterable[tuple[str, int, int]]", *, tenant: "str | None" = None) -> "None")]
    fn set_click_history(&self, py: Python<'_>, rows: &Bound<'_, PyAny>, tenant: Option<&str>) -> PyResult<()> {
        let engine = self.inner(py)?;
        let scope = convert::scope(py, tenant)?;
        let rows = features::clicks(rows)?;
        released(py, || engine.set_click_history(&scope, &rows))
    }

    /// A stored document as a dictionary with the keys id, title, text and metadata; None when there is none of that id.
    #[pyo3(signature = (id: "str", *, tenant: "str | None" = None) -> "dict[str, typing.Any] | None")]
    fn get<'py>(&self, py: Python<'py>, id: &str, tenant: Option<&str>) -> PyResult<Option<Bound<'py, PyDict>>> {
        let engine = self.inner(py)?;
        let scope = convert::scope(py, tenant)?;
        let Some(stored) = released(py, || engine.get(&scope, id))? else { return Ok(None) };
        let dictionary = PyDict::new(py);
        dictionary.set_item("id", stored.document.id)?;
        dictionary.set_item("title", stored.document.title)?;
        dictionary.set_item("text", stored.document.text)?;
        dictionary.set_item("metadata", convert::metadata(py, &stored.document.metadata)?)?;
        Ok(Some(dictionary))
    }

    /// Ids of the documents of the last commit that match, ascending.
    ///
    /// Args:
    ///     filter: As of `search`; None for all documents.
    ///     after: Only ids after this one, such as the last one of the page before.
    ///     limit: At most so many; None for all.
    ///     tenant: Whose documents; None for "default".
    #[pyo3(signature = (filter: "collections.abc.Mapping[str, object] | str | None" = None, *, after: "str | None" = None, limit: "int | None" = None, tenant: "str | None" = None) -> "list[str]")]
    fn ids(
        &self,
        py: Python<'_>,
        filter: Option<&Bound<'_, PyAny>>,
        after: Option<&str>,
        limit: Option<i128>,
        tenant: Option<&str>,
    ) -> PyResult<Vec<String>> {
        let engine = self.inner(py)?;
        let scope = convert::scope(py, tenant)?;
        let filter = filter.map(|filter| convert::filter(py, filter)).transpose()?;
        let limit = limit.map_or(Ok(usize::MAX), |limit| convert::count(py, "limit", limit))?;
        released(py, || engine.ids(&scope, filter.as_ref(), after, limit))
    }

    /// Numbers about the engine.
    #[pyo3(signature = (*, tenant: "str | None" = None) -> "Stats")]
    fn stats(&self, py: Python<'_>, tenant: Option<&str>) -> PyResult<Stats> {
        let engine = self.inner(py)?;
        let scope = convert::scope(py, tenant)?;
        released(py, || engine.stats(&scope)).map(Stats::from)
    }

    /// Reads every row of the store and every derived file; derived pieces that are wrong are made again.
    ///
    /// Raises:
    ///     Corruption: The store itself is damaged.
    fn verify(&self, py: Python<'_>) -> PyResult<VerifyReport> {
        let engine = self.inner(py)?;
        let report = interruptible(py, &Cancel::never(), move |_| engine.verify(|| ()))?;
        Ok(VerifyReport { documents: report.documents, repaired: report.repaired })
    }

    /// Rewrites the derived indexes without what is dead.
    fn compact(&self, py: Python<'_>) -> PyResult<()> {
        let engine = self.inner(py)?;
        interruptible(py, &Cancel::never(), move |_| engine.compact())
    }

    /// What opening found damaged or missing among the derived files, and made again from the store.
    #[getter]
    fn repairs(&self, py: Python<'_>) -> PyResult<Vec<String>> {
        Ok(self.inner(py)?.repairs())
    }

    /// The data folder.
    #[getter]
    fn path(&self) -> String {
        self.path.display().to_string()
    }

    /// Closes the folder, so that another process may open it; what is staged is dropped. Calls under way finish first.
    fn close(&self, py: Python<'_>) {
        py.detach(|| self.inner.close().wait());
    }

    fn __enter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    #[pyo3(signature = (kind: "type[BaseException] | None", error: "BaseException | None", traceback: "object") -> "None")]
    fn __exit__(
        &self,
        py: Python<'_>,
        kind: Option<&Bound<'_, PyType>>,
        error: Option<&Bound<'_, PyAny>>,
        traceback: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        let _ = (error, traceback);
        let done = if kind.is_none() && self.inner.is_open() { self.commit(py).map(drop) } else { Ok(()) };
        self.close(py);
        done
    }

    fn __repr__(&self) -> String {
        let state = if self.inner.is_open() { "" } else { ", closed" };
        format!("Engine({:?}{state})", self.path.display().to_string())
    }
}

impl Engine {
    fn inner(&self, py: Python<'_>) -> PyResult<Call> {
        self.inner.call().map_err(|error| raise(py, &error))
    }
}
