//! The live gate.

use std::path::PathBuf;
use std::sync::Arc;

use pyo3::prelude::*;
use pyo3::types::PyAny;
use rag_core::gate::{Action, LiveGate};
use rag_runtime::gate::{self, Why};

use crate::call::released;
use crate::convert;
use crate::errors::invalid;

/// The weight of the ranker of a data folder, changed and watched while searches run; docs/gate.md says who gets which weight.
///
/// Every change has an author and a reason, and is durable before it holds. Changes give what holds then: a dictionary with
/// epoch, weight, killed, experiments, canary and changed. `expect` refuses the change when the gate is at another epoch.
#[pyclass(frozen, module = "rag_core")]
pub(crate) struct Gate {
    pub(crate) inner: Arc<LiveGate>,
}

impl Gate {
    fn act<'py>(&self, py: Python<'py>, action: Action, why: Why) -> PyResult<Bound<'py, PyAny>> {
        let held = released(py, || gate::act(&self.inner, action, why))?;
        convert::from_json(py, &held)
    }
}

/// Who changes it, and why.
fn why(py: Python<'_>, reason: String, author: String, issue: Option<String>, expect: Option<i128>) -> PyResult<Why> {
    let expect = expect.map(|epoch| convert::count(py, "expect", epoch).map(|epoch| epoch as u64)).transpose()?;
    Ok(Why { author, reason, issue, expect })
}

#[pymethods]
impl Gate {
    /// The gate of a data folder, which may be open elsewhere, in this process or in another one. With an engine at hand take
    /// `engine.gate`.
    ///
    /// Args:
    ///     path: The data folder.
    ///     key_file: The secret that buckets follow from (`engine.gate.key_file`); None for that of the folder.
    #[staticmethod]
    #[pyo3(signature = (path: "str | os.PathLike[str]", *, key_file: "str | os.PathLike[str] | None" = None) -> "Gate")]
    fn open(py: Python<'_>, path: PathBuf, key_file: Option<PathBuf>) -> PyResult<Gate> {
        let inner = released(py, || gate::open(&path, key_file))?;
        Ok(Gate { inner: Arc::new(inner) })
    }

    /// What holds on disk, and what was seen of the requests: also key, guardrails and shadows.
    #[pyo3(signature = () -> "dict[str, typing.Any]")]
    fn status<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let status = released(py, || gate::status(&self.inner))?;
        convert::from_json(py, &status)
    }

    /// All changes, the first one first.
    #[pyo3(signature = () -> "list[dict[str, typing.Any]]")]
    fn records<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let records = released(py, || gate::records(&self.inner))?;
        convert::from_json(py, &records)
    }

    /// Gives the ranker another weight, 0 to 1, for all who are in no experiment.
    #[pyo3(signature = (weight: "float", *, reason: "str", author: "str", issue: "str | None" = None, expect: "int | None" = None) -> "dict[str, typing.Any]")]
    fn set_weight<'py>(
        &self,
        py: Python<'py>,
        weight: f32,
        reason: String,
        author: String,
        issue: Option<String>,
        expect: Option<i128>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let why = why(py, reason, author, issue, expect)?;
        self.act(py, Action::SetWeight { weight }, why)
    }

    /// The weight 0 for everyone, and the end of a canary under way.
    #[pyo3(signature = (*, reason: "str", author: "str", issue: "str | None" = None, expect: "int | None" = None) -> "dict[str, typing.Any]")]
    fn kill<'py>(
        &self,
        py: Python<'py>,
        reason: String,
        author: String,
        issue: Option<String>,
        expect: Option<i128>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let why = why(py, reason, author, issue, expect)?;
        self.act(py, Action::Kill, why)
    }

    /// Weight and experiments as before `kill`.
    #[pyo3(signature = (*, reason: "str", author: "str", issue: "str | None" = None, expect: "int | None" = None) -> "dict[str, typing.Any]")]
    fn revive<'py>(
        &self,
        py: Python<'py>,
        reason: String,
        author: String,
        issue: Option<String>,
        expect: Option<i128>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let why = why(py, reason, author, issue, expect)?;
        self.act(py, Action::Revive, why)
    }

    /// Begins an experiment.
    ///
    /// Args:
    ///     experiment: A dictionary with name and variants (each name, weight and optionally part), and optionally share, unit
    ///         ("user" or "query"), group and shadow.
    #[pyo3(signature = (experiment: "collections.abc.Mapping[str, typing.Any]", *, reason: "str", author: "str", issue: "str | None" = None, expect: "int | None" = None) -> "dict[str, typing.Any]")]
    fn start_experiment<'py>(
        &self,
        py: Python<'py>,
        experiment: &Bound<'py, PyAny>,
        reason: String,
        author: String,
        issue: Option<String>,
        expect: Option<i128>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let why = why(py, reason, author, issue, expect)?;
        let json = convert::json(experiment, "experiment", false)?;
        let action = released(py, || gate::start_experiment(&json))?;
        self.act(py, action, why)
    }

    /// Ends an experiment.
    #[pyo3(signature = (name: "str", *, reason: "str", author: "str", issue: "str | None" = None, expect: "int | None" = None) -> "dict[str, typing.Any]")]
    fn end_experiment<'py>(
        &self,
        py: Python<'py>,
        name: String,
        reason: String,
        author: String,
        issue: Option<String>,
        expect: Option<i128>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let why = why(py, reason, author, issue, expect)?;
        self.act(py, Action::EndExperiment { name }, why)
    }

    /// Lets a weight earn its traffic step by step; harm takes it back.
    ///
    /// Args:
    ///     plan: The weight, or a dictionary with weight and optionally steps, min_samples, max_samples, min_seconds,
    ///         max_seconds, guardrails and alpha, as `rag canary plan` prints it.
    #[pyo3(signature = (plan: "float | collections.abc.Mapping[str, typing.Any]", *, reason: "str", author: "str", issue: "str | None" = None, expect: "int | None" = None) -> "dict[str, typing.Any]")]
    fn start_canary<'py>(
        &self,
        py: Python<'py>,
        plan: &Bound<'py, PyAny>,
        reason: String,
        author: String,
        issue: Option<String>,
        expect: Option<i128>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let why = why(py, reason, author, issue, expect)?;
        let json = convert::json(plan, "plan", false)?;
        let action = released(py, || gate::start_canary(&json))?;
        self.act(py, action, why)
    }

    /// Gives a paused canary the samples and the time of its step once more.
    #[pyo3(signature = (*, reason: "str", author: "str", issue: "str | None" = None, expect: "int | None" = None) -> "dict[str, typing.Any]")]
    fn resume_canary<'py>(
        &self,
        py: Python<'py>,
        reason: String,
        author: String,
        issue: Option<String>,
        expect: Option<i128>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let why = why(py, reason, author, issue, expect)?;
        self.act(py, Action::ResumeCanary, why)
    }

    /// Ends the canary: nobody gets its weight any more.
    #[pyo3(signature = (*, reason: "str", author: "str", issue: "str | None" = None, expect: "int | None" = None) -> "dict[str, typing.Any]")]
    fn abort_canary<'py>(
        &self,
        py: Python<'py>,
        reason: String,
        author: String,
        issue: Option<String>,
        expect: Option<i128>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let why = why(py, reason, author, issue, expect)?;
        self.act(py, Action::AbortCanary, why)
    }

    /// What holds for a request: epoch, weight (None: that of the ranker), reason, experiment, variant, and the token of a
    /// canary. `search` asks this itself.
    #[pyo3(signature = (user: "str | None" = None, query: "str" = "") -> "dict[str, typing.Any]")]
    fn assign<'py>(&self, py: Python<'py>, user: Option<&str>, query: &str) -> PyResult<Bound<'py, PyAny>> {
        let assigned = released(py, || gate::assignment(&self.inner.assign(user, query)))?;
        convert::from_json(py, &assigned)
    }

    /// Tells the canary what became of a request that `assign` gave a token; of its own searches an engine tells it itself.
    #[pyo3(signature = (token: "str", *, latency_us: "int | None" = None, error: "bool" = false, cache_hit: "float | None" = None, empty: "bool" = false, quality: "float | None" = None) -> "None")]
    #[allow(clippy::too_many_arguments, reason = "keyword arguments")]
    fn observe(
        &self,
        py: Python<'_>,
        token: &str,
        latency_us: Option<i128>,
        error: bool,
        cache_hit: Option<f64>,
        empty: bool,
        quality: Option<f64>,
    ) -> PyResult<()> {
        let mut seen = gate::observation();
        seen.latency_us = latency_us.map(|us| convert::count(py, "latency_us", us).map(|us| us as u64)).transpose()?;
        (seen.error, seen.cache_hit, seen.empty, seen.quality) = (error, cache_hit, empty, quality);
        released(py, || gate::observe(&self.inner, token, &seen))
    }

    /// Tells the canary the quality of an answer, 0 to 1: a click or none. `token` is that of the answer's `gate`; None, which
    /// answers outside of a canary have, is fine and counts nothing.
    #[pyo3(signature = (token: "str | None", quality: "float") -> "None")]
    fn observe_quality(&self, py: Python<'_>, token: Option<&str>, quality: f64) -> PyResult<()> {
        if !(0.0..=1.0).contains(&quality) {
            return Err(invalid(py, format!("`quality` is {quality}; give a number from 0 to 1")));
        }
        token.map_or(Ok(()), |token| released(py, || gate::observe_quality(&self.inner, token, quality)))
    }

    /// Does what is due: lets the canary decide and saves what was seen. An engine does so itself once a second while it answers.
    fn tick(&self, py: Python<'_>) -> PyResult<()> {
        released(py, || self.inner.tick())
    }

    fn __repr__(&self) -> String {
        format!("Gate(epoch={})", self.inner.state().epoch)
    }
}
