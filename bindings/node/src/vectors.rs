//! The vector index on its own.

use std::path::PathBuf;
use std::sync::Arc;

use napi::bindgen_prelude::*;
use napi_derive::napi;
use rag_core::ann::{KeyedIndex, KeyedOptions, KeyedQuery};
use rag_runtime::{K, vectors};

use crate::call::{Cancel, Pooled, apart, pooled, token};
use crate::convert::{count, optional};
use crate::errors::{invalid, raise};

/// Vectors by id.
#[napi]
pub struct VectorIndex {
    inner: Arc<KeyedIndex>,
}

/// How an index is made.
#[napi(object, object_to_js = false)]
pub struct IndexArguments {
    pub metric: Option<String>,
    pub m: Option<f64>,
    pub ef_construction: Option<f64>,
    pub quantization: Option<String>,
    pub threads: Option<f64>,
}

/// What can be asked of a search.
#[napi(object, object_to_js = false)]
pub struct QueryArguments {
    pub k: Option<f64>,
    pub ef: Option<f64>,
    pub allow: Option<BigUint64Array>,
    pub threads: Option<f64>,
}

/// Neighbours, best first.
#[napi(object, object_from_js = false)]
pub struct Neighbours {
    /// Their ids.
    pub ids: BigUint64Array,
    /// Their scores; higher is nearer.
    pub scores: Float32Array,
}

#[napi]
impl VectorIndex {
    #[napi(constructor)]
    pub fn new(env: &Env, dimension: f64, arguments: IndexArguments) -> Result<Self> {
        let usual = KeyedOptions::new(count(env, "dimension", dimension)?);
        let or = |name, value, usual| optional(env, name, value).map(|value| value.unwrap_or(usual));
        let inner = vectors::make(
            usual.dimension,
            arguments.metric.as_deref().unwrap_or(vectors::METRIC),
            or("m", arguments.m, usual.m)?,
            or("efConstruction", arguments.ef_construction, usual.ef_construction)?,
            arguments.quantization.as_deref(),
            or("threads", arguments.threads, usual.threads)?,
        );
        Ok(VectorIndex { inner: Arc::new(inner.map_err(|error| raise(env, &error))?) })
    }

    #[napi(ts_return_type = "Promise<VectorIndex>")]
    pub fn load<'env>(
        env: &'env Env,
        path: String,
        mmap: Option<bool>,
        threads: Option<f64>,
        cancel: Option<&Cancel>,
    ) -> Result<Object<'env>> {
        let threads = optional(env, "threads", threads)?.unwrap_or_default();
        let (path, mmap, cancel) = (PathBuf::from(path), mmap.unwrap_or_default(), token(cancel));
        apart(env, move || Ok(VectorIndex { inner: Arc::new(vectors::load(&path, mmap, threads, &cancel)?) }))
    }

    #[napi(ts_return_type = "Promise<void>")]
    pub fn add<'env>(&self, env: &'env Env, ids: BigUint64Array, vectors: Float32Array) -> Result<Object<'env>> {
        let inner = self.inner.clone();
        apart(env, move || vectors::add(&inner, &ids, &vectors))
    }

    #[napi(ts_return_type = "Promise<number>")]
    pub fn remove<'env>(&self, env: &'env Env, ids: BigUint64Array) -> Result<Object<'env>> {
        let inner = self.inner.clone();
        apart(env, move || inner.remove(&ids).map(|removed| removed as i64))
    }

    #[napi(ts_return_type = "Promise<void>")]
    pub fn build<'env>(&self, env: &'env Env, cancel: Option<&Cancel>) -> Result<Object<'env>> {
        let (inner, cancel) = (self.inner.clone(), token(cancel));
        apart(env, move || inner.build(&cancel))
    }

    /// The neighbours of one vector.
    #[napi(ts_return_type = "Promise<Neighbours>")]
    pub fn search(
        &self,
        env: &Env,
        vector: Float32Array,
        arguments: QueryArguments,
        cancel: Option<&Cancel>,
    ) -> Result<AsyncTask<Pooled<Neighbours>>> {
        let (inner, asked) = (self.inner.clone(), Asked::of(env, arguments, cancel)?);
        Ok(pooled(move || {
            let (ids, scores): (Vec<u64>, Vec<f32>) = inner.search(&vector, &asked.query())?.into_iter().unzip();
            Ok(Neighbours { ids: ids.into(), scores: scores.into() })
        }))
    }

    /// The neighbours of several vectors, one after the other, `k` each.
    #[napi(ts_return_type = "Promise<Neighbours>")]
    pub fn search_many<'env>(
        &self,
        env: &'env Env,
        vectors: Float32Array,
        arguments: QueryArguments,
        cancel: Option<&Cancel>,
    ) -> Result<Object<'env>> {
        let (inner, asked) = (self.inner.clone(), Asked::of(env, arguments, cancel)?);
        apart(env, move || {
            let found = inner.search_many(&vectors, &asked.query())?;
            let (ids, scores) = vectors::rectangle(found, asked.k)?;
            Ok(Neighbours { ids: ids.into(), scores: scores.into() })
        })
    }

    #[napi(ts_return_type = "Promise<void>")]
    pub fn save<'env>(&self, env: &'env Env, path: String) -> Result<Object<'env>> {
        let (inner, path) = (self.inner.clone(), PathBuf::from(path));
        apart(env, move || inner.save(&path))
    }

    #[napi(getter)]
    pub fn dimension(&self) -> i64 {
        self.inner.options().dimension as i64
    }

    #[napi(getter)]
    pub fn size(&self) -> i64 {
        self.inner.len() as i64
    }

    #[napi]
    pub fn has(&self, env: &Env, id: BigInt) -> Result<bool> {
        match id.get_u64() {
            (false, id, true) => Ok(self.inner.contains(id)),
            _ => Err(invalid(env, "`id` is beyond 64 bits; give 0 to 2⁶⁴ − 2")),
        }
    }
}

/// The arguments of a search while it runs.
struct Asked {
    k: usize,
    ef: usize,
    allow: Option<BigUint64Array>,
    threads: usize,
    cancel: rag_core::Cancel,
}

impl Asked {
    fn of(env: &Env, arguments: QueryArguments, cancel: Option<&Cancel>) -> Result<Self> {
        let QueryArguments { k, ef, allow, threads } = arguments;
        Ok(Asked {
            k: optional(env, "k", k)?.unwrap_or(K),
            ef: optional(env, "ef", ef)?.unwrap_or(vectors::EF),
            allow,
            threads: optional(env, "threads", threads)?.unwrap_or_default(),
            cancel: token(cancel),
        })
    }

    fn query(&self) -> KeyedQuery<'_> {
        let Asked { k, ef, allow, threads, cancel } = self;
        KeyedQuery { k: *k, ef: *ef, allow: allow.as_deref(), threads: *threads, cancel }
    }
}
