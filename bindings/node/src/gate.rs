//! The live gate. Actions and what holds cross as JSON.

use std::path::PathBuf;
use std::sync::Arc;

use napi::bindgen_prelude::*;
use napi_derive::napi;
use rag_core::gate::{Action, LiveGate};
use rag_runtime::gate::{self, Why};

use crate::call::{Pooled, pooled};
use crate::convert::optional;
use crate::errors::raise;

/// The gate of a data folder.
#[napi]
pub struct Gate {
    pub(crate) inner: Arc<LiveGate>,
}

/// Who changes it, and why.
#[napi(object, object_to_js = false)]
pub struct GateChange {
    pub author: String,
    pub reason: String,
    pub issue: Option<String>,
    pub expect: Option<f64>,
}

/// What became of a request.
#[napi(object, object_to_js = false)]
pub struct GateObservation {
    pub latency_us: Option<f64>,
    pub error: Option<bool>,
    pub cache_hit: Option<f64>,
    pub empty: Option<bool>,
    pub quality: Option<f64>,
}

#[napi]
impl Gate {
    #[napi(ts_return_type = "Promise<Gate>")]
    pub fn open(path: String, key_file: Option<String>) -> AsyncTask<Pooled<Gate>> {
        pooled(move || {
            let gate = gate::open(path.as_ref(), key_file.clone().map(PathBuf::from))?;
            Ok(Gate { inner: Arc::new(gate) })
        })
    }

    #[napi(ts_return_type = "Promise<string>")]
    pub fn status(&self) -> AsyncTask<Pooled<String>> {
        let gate = Arc::clone(&self.inner);
        pooled(move || gate::status(&gate))
    }

    #[napi(ts_return_type = "Promise<string>")]
    pub fn records(&self) -> AsyncTask<Pooled<String>> {
        let gate = Arc::clone(&self.inner);
        pooled(move || gate::records(&gate))
    }

    #[napi(ts_return_type = "Promise<string>")]
    pub fn set_weight(&self, env: &Env, weight: f64, change: GateChange) -> Result<AsyncTask<Pooled<String>>> {
        self.act(env, Ok(Action::SetWeight { weight: weight as f32 }), change)
    }

    #[napi(ts_return_type = "Promise<string>")]
    pub fn kill(&self, env: &Env, change: GateChange) -> Result<AsyncTask<Pooled<String>>> {
        self.act(env, Ok(Action::Kill), change)
    }

    #[napi(ts_return_type = "Promise<string>")]
    pub fn revive(&self, env: &Env, change: GateChange) -> Result<AsyncTask<Pooled<String>>> {
        self.act(env, Ok(Action::Revive), change)
    }

    #[napi(ts_return_type = "Promise<string>")]
    pub fn start_experiment(
        &self,
        env: &Env,
        experiment: String,
        change: GateChange,
    ) -> Result<AsyncTask<Pooled<String>>> {
        self.act(env, gate::start_experiment(&experiment), change)
    }

    #[napi(ts_return_type = "Promise<string>")]
    pub fn end_experiment(&self, env: &Env, name: String, change: GateChange) -> Result<AsyncTask<Pooled<String>>> {
        self.act(env, Ok(Action::EndExperiment { name }), change)
    }

    #[napi(ts_return_type = "Promise<string>")]
    pub fn start_canary(&self, env: &Env, plan: String, change: GateChange) -> Result<AsyncTask<Pooled<String>>> {
        self.act(env, gate::start_canary(&plan), change)
    }

    #[napi(ts_return_type = "Promise<string>")]
    pub fn resume_canary(&self, env: &Env, change: GateChange) -> Result<AsyncTask<Pooled<String>>> {
        self.act(env, Ok(Action::ResumeCanary), change)
    }

    #[napi(ts_return_type = "Promise<string>")]
    pub fn abort_canary(&self, env: &Env, change: GateChange) -> Result<AsyncTask<Pooled<String>>> {
        self.act(env, Ok(Action::AbortCanary), change)
    }

    #[napi]
    pub fn assign(&self, env: &Env, user: Option<String>, query: String) -> Result<String> {
        gate::assignment(&self.inner.assign(user.as_deref(), &query)).map_err(|error| raise(env, &error))
    }

    #[napi]
    pub fn observe(&self, env: &Env, token: String, given: GateObservation) -> Result<()> {
        let mut seen = gate::observation();
        seen.latency_us = optional(env, "latencyUs", given.latency_us)?.map(|us| us as u64);
        (seen.error, seen.empty) = (given.error.unwrap_or_default(), given.empty.unwrap_or_default());
        (seen.cache_hit, seen.quality) = (given.cache_hit, given.quality);
        gate::observe(&self.inner, &token, &seen).map_err(|error| raise(env, &error))
    }

    #[napi]
    pub fn observe_quality(&self, env: &Env, token: String, quality: f64) -> Result<()> {
        gate::observe_quality(&self.inner, &token, quality).map_err(|error| raise(env, &error))
    }

    #[napi(ts_return_type = "Promise<void>")]
    pub fn tick(&self) -> AsyncTask<Pooled<()>> {
        let gate = Arc::clone(&self.inner);
        pooled(move || gate.tick())
    }
}

impl Gate {
    fn act(
        &self,
        env: &Env,
        action: rag_core::Result<Action>,
        change: GateChange,
    ) -> Result<AsyncTask<Pooled<String>>> {
        let action = action.map_err(|error| raise(env, &error))?;
        let expect = optional(env, "expect", change.expect)?.map(|epoch| epoch as u64);
        let GateChange { author, reason, issue, .. } = change;
        let why = Why { author, reason, issue, expect };
        let gate = Arc::clone(&self.inner);
        Ok(pooled(move || gate::act(&gate, action.clone(), why.clone())))
    }
}
