//! The engine.

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use napi::bindgen_prelude::*;
use napi_derive::napi;
use rag_core::engine::{Mode, SearchRequest};
use rag_core::{Filter, Scope};
use rag_runtime::tune::{Asked, tune};
use rag_runtime::{Call, Handle, K, Model, Settings};

use crate::answer::{Answers, Found, Hit, Stats, StoredDocument, UpsertReport, VerifyReport};
use crate::batch::Batch;
use crate::call::{Cancel, Pooled, apart, pooled, token};
use crate::convert::{optional, scope};
use crate::embedder::Embedder;
use crate::errors::{invalid, raise};
use crate::features::{self, FeatureFunction, FeatureSchema, Logged};
use crate::gate::Gate;
use crate::ranker::Ranker;
use crate::runs::Evaluation;
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
    pub user: Option<String>,
    pub collapse: Option<String>,
    pub diversity: Option<f64>,
}

/// Features of the caller's own, by their names.
#[napi(object, object_to_js = false)]
pub struct FeatureFunctions<'a> {
    pub names: Vec<String>,
    #[napi(ts_type = "Array<(call: FeatureCall) => void>")]
    pub functions: Vec<FeatureFunction<'a>>,
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
        features: Option<String>,
        functions: FeatureFunctions<'_>,
    ) -> Result<Object<'env>> {
        let model = match (embedder, model) {
            (Some(embedder), _) => Model::Loaded(embedder.inner.clone()),
            (None, Some(path)) => Model::At(PathBuf::from(path)),
            (None, None) => Model::Configured,
        };
        let config = config.map(PathBuf::from);
        let FeatureFunctions { names, functions } = functions;
        let functions = names.into_iter().zip(&functions).map(|(name, function)| features::function(name, function));
        let mut functions = functions.collect::<Result<Vec<_>>>()?;
        apart(env, move || {
            let functions = std::mem::take(&mut functions);
            let mut settings = Settings::from_environment(config.as_deref())?;
            if let Some(features) = &features {
                settings.put_features(features)?;
            }
            let engine = rag_runtime::open_with(settings, path.as_ref(), model.clone(), functions)?;
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

    /// The features of the candidates of each question.
    #[napi(ts_return_type = "Promise<Logged>")]
    pub fn log_features<'env>(
        &self,
        env: &'env Env,
        ids: &mut Texts,
        texts: &mut Texts,
        now: Option<f64>,
        arguments: SearchArguments<'_>,
        cancel: Option<&Cancel>,
    ) -> Result<Object<'env>> {
        let (call, ids, texts) = (self.call(env)?, ids.take(), texts.take());
        let (scope, mut one) = request(env, String::new(), arguments, cancel)?;
        one.now = now.map(|milliseconds| time(env, milliseconds)).transpose()?;
        apart(env, move || {
            let requests = ids.iter().zip(&texts).map(|(id, text)| {
                let mut request = one.clone();
                request.text.clone_from(text);
                (id.as_str(), request)
            });
            call.log_features(&scope, &requests.collect::<Vec<_>>()).map(Logged::from)
        })
    }

    #[napi]
    pub fn feature_schema(&self, env: &Env) -> Result<FeatureSchema> {
        Ok(FeatureSchema { inner: self.call(env)?.feature_schema().clone() })
    }

    #[napi(getter)]
    pub fn gate(&self, env: &Env) -> Result<Gate> {
        Ok(Gate { inner: self.call(env)?.gate() })
    }

    #[napi(getter)]
    pub fn ranker(&self, env: &Env) -> Result<Option<Ranker>> {
        Ok(self.call(env)?.ranker().map(|inner| Ranker { inner }))
    }

    #[napi(ts_return_type = "Promise<void>")]
    pub fn set_ranker(&self, env: &Env, ranker: Option<&Ranker>, weight: Option<f64>) -> Result<AsyncTask<Pooled<()>>> {
        let (call, ranker) = (self.call(env)?, ranker.map(|ranker| ranker.inner.clone()));
        let weight = weight.map_or(call.config().ltr.weight, |weight| weight as f32);
        Ok(pooled(move || call.set_ranker(ranker.clone(), weight)))
    }

    /// The report of a tuning, in JSON.
    #[napi(ts_return_type = "Promise<string>")]
    #[allow(clippy::too_many_arguments, reason = "one object there")]
    pub fn tune<'env>(
        &self,
        env: &'env Env,
        ids: &mut Texts,
        texts: &mut Texts,
        judgments: &mut Evaluation,
        settings: String,
        tenant: Option<String>,
        cancel: Option<&Cancel>,
    ) -> Result<Object<'env>> {
        let (call, scope, cancel) = (self.call(env)?, scope(env, tenant.as_deref())?, token(cancel));
        let queries: Vec<(String, String)> = ids.take().into_iter().zip(texts.take()).collect();
        let (qrels, asked) = (judgments.take_judgments(), Asked::parse(&settings).map_err(|error| raise(env, &error))?);
        apart(env, move || tune(&call, &scope, queries.clone(), qrels.clone(), asked.clone(), cancel.clone()))
    }

    /// One number of each kind for each id.
    #[napi(ts_return_type = "Promise<void>")]
    pub fn set_click_history<'env>(
        &self,
        env: &'env Env,
        ids: &mut Texts,
        impressions: Float64ArraySlice<'_>,
        clicks: Float64ArraySlice<'_>,
        tenant: Option<String>,
    ) -> Result<Object<'env>> {
        let (call, scope, ids) = (self.call(env)?, scope(env, tenant.as_deref())?, ids.take());
        let (impressions, clicks) = (impressions.to_vec(), clicks.to_vec());
        apart(env, move || {
            let rows = features::click_counts(&ids, &impressions, &clicks)?;
            call.set_click_history(&scope, &rows)
        })
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

/// A time of JavaScript: milliseconds since 1970.
fn time(env: &Env, milliseconds: f64) -> Result<SystemTime> {
    let (epoch, distance) = (SystemTime::UNIX_EPOCH, Duration::try_from_secs_f64(milliseconds.abs() / 1000.0).ok());
    let time = |distance| if milliseconds < 0.0 { epoch.checked_sub(distance) } else { epoch.checked_add(distance) };
    distance.and_then(time).ok_or_else(|| invalid(env, "`now` is an invalid date"))
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
    let SearchArguments { k, filter, retrievers, explain, tenant, vector, syntax, user, collapse, diversity } =
        arguments;
    let scope = scope(env, tenant.as_deref())?;
    let mode = retrievers.as_deref().map_or(Ok(Mode::default()), Mode::of).map_err(|error| raise(env, &error))?;
    let mut request =
        SearchRequest::new(text, optional(env, "k", k)?.unwrap_or(K)).with_mode(mode).with_cancel(token(cancel));
    request.filter = filter.map(|json| parsed(env, &json)).transpose()?;
    request.explain = explain.unwrap_or_default();
    request.vector = vector.map(|vector| vector.to_vec());
    request.syntax = syntax.unwrap_or_default();
    (request.user, request.collapse) = (user, collapse);
    request.diversity = diversity.map(|lambda| lambda as f32);
    Ok((scope, request))
}
