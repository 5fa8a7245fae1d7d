//! The candidates of judged queries, for tuning.

use std::collections::BTreeMap;

use super::api::SearchRequest;
use super::stages::Stages;
use super::{Engine, Inner};
use crate::error::{Error, Result};
use crate::tune::{self, JudgedQuery, NOT_THERE, Pool, TuneOptions, TuneReport, choose};
use crate::types::Scope;

impl Engine {
    /// Compares ways to fuse the retrievers' runs on judged queries: see [`crate::tune`]. Nothing of the engine changes; the
    /// report tells which configuration to open it with.
    ///
    /// # Errors
    /// `InvalidArgument` naming the field, `Cancelled`, `DeadlineExceeded`, and as [`Engine::search`].
    pub fn tune(&self, scope: &Scope, queries: &[JudgedQuery], options: &TuneOptions) -> Result<TuneReport> {
        tune::check(queries, options)?;
        let pools = self.inner.searching.map(queries, |query| self.inner.pool(scope, query, options));
        let pools = pools
            .into_iter()
            .enumerate()
            .map(|(position, pool)| pool.map_err(|error| error.with("query", position.to_string())));
        let pools = pools.collect::<Result<Vec<Pool>>>()?;
        if !pools.iter().any(Pool::has_relevant) {
            let named = queries.iter().flat_map(|query| query.grades.iter()).find(|(_, grade)| **grade > 0);
            let id = named.map(|(id, _)| id.as_str()).unwrap_or_default();
            let message = format!(
                "none of the relevant documents of `queries` is in the folder, such as {id:?}; give their ids as the folder has them"
            );
            return Err(Error::invalid(message));
        }
        let in_use = &self.inner.config.fusion;
        let weight = in_use.dense_weight.unwrap_or_else(|| self.inner.embedder.dense_weight());
        self.inner.searching.run(|| choose(&pools, in_use, shortest(weight), options))
    }
}

/// The number of 64 bits that is written like this one of 32.
fn shortest(weight: f32) -> f64 {
    weight.to_string().parse().unwrap_or_else(|_| f64::from(weight))
}

impl Inner {
    /// What the retrievers find, as a search does.
    fn pool(&self, scope: &Scope, query: &JudgedQuery, options: &TuneOptions) -> Result<Pool> {
        let request = SearchRequest::new(&query.text, 1).with_cancel(options.cancel.clone());
        self.lock.may_read()?;
        let stages = Stages::new(&*self.telemetry, &request.cancel);
        let snapshot = self.snapshot.load_full();
        let found = self.find(&stages, &snapshot, scope, &request, self.depth(&request))?;
        let mut grades = BTreeMap::new();
        for (missing, (id, &grade)) in (0..).zip(&query.grades) {
            let document = snapshot.store.number(scope.tenant_name(), id)?;
            grades.insert(document.unwrap_or(NOT_THERE + missing), grade);
        }
        Ok(Pool { runs: found.runs.into_iter().map(|(name, retrieved)| (name, retrieved.run)).collect(), grades })
    }
}
