//! The engine.

use std::path::PathBuf;

use napi::bindgen_prelude::*;
use napi_derive::napi;
use rag_core::engine::{Mode, SearchRequest};
use rag_core::{Filter, Scope};
use rag_runtime::{Call, Handle, K, Model};

use crate::answer::{Answers, Found, Hit, Stats, StoredDocument, UpsertReport, VerifyReport};
use crate::batch::Batch;
use crate::call::{Cancel, Pooled, apart, pooled, token};
use crate::convert::{optional, scope};
use crate::embedder::Embedder;
use crate::errors::raise;
use crate::texts::Texts;

/// A retrieval engine over one data folder.
#[napi]
pub struct Engine {
    inner: Handle,
    path: String,
}

/// What can be asked of a search.
#[napi(object, object_to_js = false)]
pub struct SearchArguments<'a> {
    pub k: Option<f64>,
    pub filter: Option<String>,
    pub retrievers: Option<Vec<String>>,
    pub explain: Option<bool>,
    pub tenant: Option<String>,
    pub vector: Option<Float32ArraySlice<'a>>,
    pub syntax: Option<bool>,
}

#[napi]
impl Engine {
    #[napi(ts_return_type = "Promise<Engine>")]
    pub fn open<'env>(
        env: &'env Env,
        path: String,
        model: Option<String>,
        embedder: Option<&Embedder>,
        config: Option<String>,
    ) -> Result<Object<'env>> {
        let model = match (embedder, model) {
            (Some(embedder), _) => Model::Loaded(embedder.inner.clone()),
            (None, Some(path)) => Model::At(PathBuf::from(path)),
            (None, None) => Model::Configured,
        };
        let config = config.map(PathBuf::from);
        apart(env, move || {
            let engine = rag_runtime::open(path.as_ref(), model.clone(), config.as_deref(), Vec::new())?;
            Ok(Engine { inner: Handle::new(engine), path: path.clone() })
        })
    }

    /// Stages the documents of a batch, which is empty afterwards.
    #[napi(ts_return_type = "Promise<UpsertReport>")]
    pub fn upsert<'env>(
        &self,
        env: &'env Env,
        batch: &mut Batch,
        tenant: Option<String>,
        cancel: Option<&Cancel>,
    ) -> Result<Object<'env>> {
        let (call, scope, cancel) = (self.call(env)?, scope(env, tenant.as_deref())?, token(cancel));
        let mut documents = batch.take();
        apart(env, move || {
            let documents = std::mem::take(&mut documents);
            call.upsert_with(&scope, documents, &cancel).map(UpsertReport::from)
        })
    }

    #[napi(ts_return_type = "Promise<number>")]
    pub fn delete<'env>(&self, env: &'env Env, ids: &mut Texts, tenant: Option<String>) -> Result<Object<'env>> {
        let (call, scope, ids) = (self.call(env)?, scope(env, tenant.as_deref())?, ids.take());
        apart(env, move || {
            let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
            call.delete(&scope, &ids).map(|deleted| deleted as i64)
        })
    }

    #[napi(ts_return_type = "Promise<number>")]
    pub fn commit<'env>(&self, env: &'env Env) -> Result<Object<'env>> {
        let call = self.call(env)?;
        apart(env, move || call.commit().map(|seq| seq as i64))
    }

    #[napi(ts_return_type = "Promise<void>")]
    pub fn rollback<'env>(&self, env: &'env Env) -> Result<Object<'env>> {
        let call = self.call(env)?;
        apart(env, move || call.rollback())
    }

    /// On the engine's own threads: libuv's would only wait for them.
    #[napi(ts_return_type = "Promise<Found>")]
    pub fn search<'env>(
        &self,
        env: &'env Env,
        text: String,
        arguments: SearchArguments<'_>,
        cancel: Option<&Cancel>,
    ) -> Result<Object<'env>> {
        let call = self.call(env)?;
        let (scope, request) = request(env, text, arguments, cancel)?;
        let (deferred, promise) = env.create_deferred()?;
        rag_core::Engine::clone(&call).search_then(scope, request, move |answer| {
            let found = answer.map(Found::from);
            drop(call);
            deferred.resolve(move |env: Env| found.map_err(|error| raise(&env, &error)));
        });
        Ok(promise)
    }

    #[napi(ts_return_type = "Promise<Answers>")]
    pub fn search_many<'env>(
        &self,
        env: &'env Env,
        texts: &mut Texts,
        arguments: SearchArguments<'_>,
        cancel: Option<&Cancel>,
    ) -> Result<Object<'env>> {
        let (call, texts) = (self.call(env)?, texts.take());
        let (scope, one) = request(env, String::new(), arguments, cancel)?;
        apart(env, move || {
            let requests = texts.iter().map(|text| {
                let mut request = one.clone();
                request.text.clone_from(text);
                request
            });
            let found = call.search_many(&scope, &requests.collect::<Vec<_>>())?;
            Ok(Answers::from(found))
        })
    }

    #[napi(ts_return_type = "Promise<Hit | undefined | null>")]
    pub fn explain(
        &self,
        env: &Env,
        text: String,
        id: String,
        arguments: SearchArguments<'_>,
        cancel: Option<&Cancel>,
    ) -> Result<AsyncTask<Pooled<Option<Hit>>>> {
        let call = self.call(env)?;
        let (scope, request) = request(env, text, arguments, cancel)?;
        Ok(pooled(move || Ok(call.explain(&scope, &request, &id)?.map(Hit::from))))
    }

    #[napi(ts_return_type = "Promise<StoredDocument | null>")]
    pub fn get(
        &self,
        env: &Env,
        id: String,
        tenant: Option<String>,
    ) -> Result<AsyncTask<Pooled<Option<StoredDocument>>>> {
        let (call, scope) = (self.call(env)?, scope(env, tenant.as_deref())?);
        Ok(pooled(move || Ok(call.get(&scope, &id)?.map(StoredDocument::from))))
    }

    #[napi(ts_return_type = "Promise<Texts>")]
    pub fn ids<'env>(
        &self,
        env: &'env Env,
        filter: Option<String>,
        after: Option<String>,
        limit: Option<f64>,
        tenant: Option<String>,
    ) -> Result<Object<'env>> {
        let (call, scope) = (self.call(env)?, scope(env, tenant.as_deref())?);
        let filter = filter.map(|json| parsed(env, &json)).transpose()?;
        let limit = optional(env, "limit", limit)?.unwrap_or(usize::MAX);
        apart(env, move || call.ids(&scope, filter.as_ref(), after.as_deref(), limit).map(Texts::from))
    }

    #[napi(ts_return_type = "Promise<Stats>")]
    pub fn stats(&self, env: &Env, tenant: Option<String>) -> Result<AsyncTask<Pooled<Stats>>> {
        let (call, scope) = (self.call(env)?, scope(env, tenant.as_deref())?);
        Ok(pooled(move || call.stats(&scope).map(Stats::from)))
    }

    #[napi(ts_return_type = "Promise<VerifyReport>")]
    pub fn verify<'env>(&self, env: &'env Env) -> Result<Object<'env>> {
        let call = self.call(env)?;
        apart(env, move || call.verify(|| ()).map(VerifyReport::from))
    }

    #[napi(ts_return_type = "Promise<void>")]
    pub fn compact<'env>(&self, env: &'env Env) -> Result<Object<'env>> {
        let call = self.call(env)?;
        apart(env, move || call.compact())
    }

    #[napi(getter)]
    pub fn repairs(&self, env: &Env) -> Result<Vec<String>> {
        Ok(self.call(env)?.repairs())
    }

    #[napi(getter)]
    pub fn path(&self) -> String {
        self.path.clone()
    }

    /// Closes the folder once the calls under way are over; later ones find it closed.
    #[napi(ts_return_type = "Promise<void>")]
    pub fn close<'env>(&self, env: &'env Env) -> Result<Object<'env>> {
        let mut closing = Some(self.inner.close());
        apart(env, move || {
            if let Some(closing) = closing.take() {
                closing.wait();
            }
            Ok(())
        })
    }
}

impl Engine {
    fn call(&self, env: &Env) -> Result<Call> {
        self.inner.call().map_err(|error| raise(env, &error))
    }
}

fn parsed(env: &Env, filter: &str) -> Result<Filter> {
    Filter::parse(filter).map_err(|error| raise(env, &error))
}

fn request(
    env: &Env,
    text: String,
    arguments: SearchArguments<'_>,
    cancel: Option<&Cancel>,
) -> Result<(Scope, SearchRequest)> {
    let SearchArguments { k, filter, retrievers, explain, tenant, vector, syntax } = arguments;
    let scope = scope(env, tenant.as_deref())?;
    let mode = retrievers.as_deref().map_or(Ok(Mode::default()), Mode::of).map_err(|error| raise(env, &error))?;
    let mut request =
        SearchRequest::new(text, optional(env, "k", k)?.unwrap_or(K)).with_mode(mode).with_cancel(token(cancel));
    request.filter = filter.map(|json| parsed(env, &json)).transpose()?;
    request.explain = explain.unwrap_or_default();
    request.vector = vector.map(|vector| vector.to_vec());
    request.syntax = syntax.unwrap_or_default();
    Ok((scope, request))
}
