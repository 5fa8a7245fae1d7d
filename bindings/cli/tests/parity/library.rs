//! The cases through Rust.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rag_core::ann::{KeyedIndex, KeyedQuery};
use rag_core::embed::{self, Embedder, ModelOptions, TextKind};
use rag_core::engine::{Answer, Hit, Mode, SearchRequest};
use rag_core::fusion::Parameters;
use rag_core::gate::LiveGate;
use rag_core::{Cancel, Document, Engine, Error, Filter, Metadata, Result, Scope, Value};
use rag_runtime::maps;
use rag_runtime::tune::{Asked, tune};
use rag_runtime::{Model, learned, vectors};
use serde_json::{Map, Value as Json, json};

use super::gate;
use super::ltr::{self, Learning};
use super::{Outcome, outcome};

pub(super) fn run(steps: &[Json]) -> Vec<Outcome> {
    let folder = tempfile::tempdir().unwrap();
    let mut state =
        State { folder, engine: None, embedder: None, index: None, gate: None, learning: Learning::default() };
    steps.iter().map(|step| outcome(step, state.call(step["call"].as_str().unwrap(), &step["with"]))).collect()
}

/// What the steps share.
struct State {
    folder: tempfile::TempDir,
    engine: Option<Engine>,
    embedder: Option<Arc<dyn Embedder>>,
    index: Option<KeyedIndex>,
    gate: Option<Arc<LiveGate>>,
    learning: Learning,
}

impl State {
    fn call(&mut self, call: &str, with: &Json) -> Result<Json> {
        let (class, method) = call.split_once('.').unwrap_or(("", call));
        match class {
            "Engine" => self.of_engine(method, with),
            "Embedder" => self.of_embedder(method, with),
            "VectorIndex" => self.of_index(method, with),
            "Gate" => gate::call(self.folder.path(), &mut self.gate, method, with)
                .map_err(|error| without(&self.folder, &error)),
            "FeatureSchema" => self.learning.of_schema(method, with),
            "FeatureLog" => self.learning.of_log(self.folder.path(), method, with),
            "ClickLog" => self.learning.of_clicks(self.folder.path(), method, with),
            "Ranker" => {
                let made = self.learning.of_ranker(self.folder.path(), method, with);
                made.map_err(|error| without(&self.folder, &error))
            }
            _ => of_runs(method, with),
        }
    }

    fn of_engine(&mut self, method: &str, with: &Json) -> Result<Json> {
        if method == "open" {
            let config = with["config"].as_str().map(|text| {
                let path = self.folder.path().join("config.toml");
                std::fs::write(&path, text).unwrap();
                path
            });
            let (data, functions) = (self.folder.path().join("data"), ltr::functions(&with["functions"]));
            let opened = rag_runtime::open(&data, Model::Configured, config.as_deref(), functions);
            self.engine = Some(opened.map_err(|error| without(&self.folder, &error))?);
            return Ok(Json::Null);
        }
        if method == "close" {
            self.engine = None;
            return Ok(Json::Null);
        }
        let engine = self.engine.as_ref().unwrap();
        if method == "gate" {
            self.gate = Some(engine.gate());
            return Ok(Json::Null);
        }
        let scope = with["tenant"].as_str().map_or(Ok(Scope::default()), Scope::tenant)?;
        if method == "tune" {
            let mut asked = with.as_object().unwrap().clone();
            let texts = asked.remove("queries").unwrap();
            let qrels = serde_json::from_value(asked.remove("qrels").unwrap()).unwrap();
            let text = |(id, text): (&String, &Json)| (id.clone(), text.as_str().unwrap().to_owned());
            let queries = texts.as_object().unwrap().iter().map(text).collect();
            let asked = Asked::parse(&Json::Object(asked).to_string())?;
            let report = tune(engine, &scope, queries, qrels, asked, Cancel::never())?;
            return Ok(serde_json::from_str(&report).unwrap());
        }
        if let Some(done) = self.learning.of_engine(engine, &scope, method, with, request) {
            return done;
        }
        Ok(match method {
            "upsert" => {
                let report = engine.upsert(&scope, documents(&with["documents"]))?;
                json!({
                    "added": report.added, "updated": report.updated, "unchanged": report.unchanged,
                    "repeated": report.repeated, "chunks": report.chunks, "embedded": report.embedded,
                    "truncated": report.truncated,
                })
            }
            "delete" => json!(engine.delete(&scope, &strings(&with["ids"]))?),
            "commit" => json!(engine.commit()?),
            "rollback" => json!(engine.rollback()?),
            "search" => answer(&engine.search(&scope, &request(with, with["text"].as_str().unwrap())?)?),
            "search_many" => {
                let texts = strings(&with["texts"]);
                let requests = texts.iter().map(|text| request(with, text)).collect::<Result<Vec<_>>>()?;
                engine.search_many(&scope, &requests)?.iter().map(answer).collect()
            }
            "explain" => {
                let request = request(with, with["text"].as_str().unwrap())?;
                let found = engine.explain(&scope, &request, with["id"].as_str().unwrap())?;
                found.as_ref().map_or(Json::Null, hit)
            }
            "get" => engine.get(&scope, with["id"].as_str().unwrap())?.map_or(Json::Null, |stored| {
                let Document { id, title, text, metadata, .. } = stored.document;
                json!({"id": id, "title": title, "text": text, "metadata": to_json(&metadata)})
            }),
            "ids" => {
                let filter = with.get("filter").map(|filter| Filter::parse(&filter.to_string())).transpose()?;
                let limit = with["limit"].as_u64().map_or(usize::MAX, |limit| limit as usize);
                json!(engine.ids(&scope, filter.as_ref(), with["after"].as_str(), limit)?)
            }
            "stats" => {
                let stats = engine.stats(&scope)?;
                json!({
                    "documents": stats.documents, "documents_total": stats.documents_total,
                    "chunks_total": stats.chunks_total, "commit_seq": stats.commit_seq, "model": stats.model.name,
                    "dimension": stats.model.dimension, "vector_backend": stats.vector_backend,
                    "vectors": stats.vectors, "analyser": stats.analyser,
                })
            }
            "verify" => {
                let report = engine.verify(|| ())?;
                json!({"documents": report.documents, "repaired": report.repaired})
            }
            "compact" => json!(engine.compact()?),
            "repairs" => json!(engine.repairs()),
            other => panic!("no Engine.{other}"),
        })
    }

    fn of_embedder(&mut self, method: &str, with: &Json) -> Result<Json> {
        if method == "load" {
            let mut options = ModelOptions::new();
            if let Some(device) = with["device"].as_str() {
                options.device = device.parse()?;
            }
            options.max_tokens = with["max_tokens"].as_u64().map(|tokens| tokens as usize);
            let path = with["path"].as_str().map(PathBuf::from);
            self.embedder = Some(embed::load_or_bundled(path.as_deref(), &options)?);
            return Ok(Json::Null);
        }
        let embedder = self.embedder.as_ref().unwrap();
        Ok(match method {
            "dimension" => json!(embedder.dimension()),
            "max_tokens" => json!(embedder.max_tokens()),
            "name" => json!(embedder.identity().name),
            "encode" => {
                let kind: TextKind = with["kind"].as_str().unwrap_or("document").parse()?;
                let tokens = with["batch_tokens"].as_u64().map(|tokens| tokens as usize);
                let made = embedder.embed_batched(&strings(&with["texts"]), kind, tokens, &Cancel::never())?;
                made.vectors.chunks(made.dimension).map(floats).collect()
            }
            other => panic!("no Embedder.{other}"),
        })
    }

    fn of_index(&mut self, method: &str, with: &Json) -> Result<Json> {
        let number = |name: &str, default: usize| with[name].as_u64().map_or(default, |value| value as usize);
        let never = Cancel::never();
        let path = with["path"].as_str().map(|name| self.folder.path().join(name)).unwrap_or_default();
        match method {
            "new" => {
                let metric = with["metric"].as_str().unwrap_or("cosine");
                let (m, ef, quantization) =
                    (number("m", 16), number("ef_construction", 200), with["quantization"].as_str());
                let made = vectors::make(number("dim", 0), metric, m, ef, quantization, number("threads", 0))?;
                self.index = Some(made);
                return Ok(Json::Null);
            }
            "load" => {
                let mmap = with["mmap"].as_bool().unwrap_or(false);
                let loaded = vectors::load(&path, mmap, number("threads", 0), &never);
                self.index = Some(loaded.map_err(|error| without(&self.folder, &error))?);
                return Ok(Json::Null);
            }
            _ => {}
        }
        let index = self.index.as_ref().unwrap();
        Ok(match method {
            "add" => {
                let rows: Vec<f32> = with["vectors"].as_array().unwrap().iter().flat_map(numbers).collect();
                json!(vectors::add(index, &ids(&with["ids"]), &rows)?)
            }
            "remove" => json!(index.remove(&ids(&with["ids"]))?),
            "build" => json!(index.build(&never)?),
            "save" => json!(index.save(&path)?),
            "len" => json!(index.len()),
            "dim" => json!(index.options().dimension),
            "contains" => json!(index.contains(with["id"].as_str().unwrap().parse().unwrap())),
            "search" => {
                let (k, ef, threads) = (number("k", 10), number("ef", 64), number("threads", 0));
                let allow = with.get("allow").map(ids);
                let query = KeyedQuery { k, ef, allow: allow.as_deref(), threads, cancel: &never };
                let q = with["q"].as_array().unwrap();
                if q[0].is_array() {
                    let rows: Vec<f32> = q.iter().flat_map(numbers).collect();
                    let (ids, scores) = vectors::rectangle(index.search_many(&rows, &query)?, k)?;
                    let ids: Vec<Vec<String>> =
                        ids.chunks(k).map(|row| row.iter().map(u64::to_string).collect()).collect();
                    json!({"ids": ids, "scores": scores.chunks(k).map(floats).collect::<Vec<_>>()})
                } else {
                    let found = index.search(&numbers(&with["q"]), &query)?;
                    let (ids, scores): (Vec<String>, Vec<f32>) =
                        found.into_iter().map(|(id, score)| (id.to_string(), score)).unzip();
                    json!({"ids": ids, "scores": floats(&scores)})
                }
            }
            other => panic!("no VectorIndex.{other}"),
        })
    }
}

fn of_runs(function: &str, with: &Json) -> Result<Json> {
    let run = |run: &Json| -> maps::Scores {
        let of_query = |(query, scores): (&String, &Json)| {
            let scores = scores.as_object().unwrap().iter();
            (query.clone(), scores.map(|(id, score)| (id.clone(), score.as_f64().unwrap())).collect())
        };
        run.as_object().unwrap().iter().map(of_query).collect()
    };
    let runs = || with["runs"].as_array().unwrap().iter().map(run).collect::<Vec<_>>();
    let text = |name: &str| with[name].as_str().map(str::to_owned);
    let number = |name: &str| with[name].as_f64();
    let parameters = Parameters { k: number("k"), sigma: number("sigma"), gamma: number("gamma"), phi: number("phi") };
    let weights = with.get("weights").filter(|weights| !weights.is_null());
    let weights = weights.map(|weights| serde_json::from_value(weights.clone()).unwrap());
    match function {
        "fuse" => {
            let how = maps::Asked {
                method: text("method"),
                parameters,
                weights,
                normalization: text("normalization"),
                learned: with["method"].is_object().then(|| with["method"].to_string()),
            };
            let fused = maps::fuse(runs(), &how)?;
            let pairs = |hits: Vec<(String, f64)>| hits.into_iter().map(|(id, score)| json!([id, score])).collect();
            Ok(fused.into_iter().map(|(query, hits)| json!([query, Json::Array(pairs(hits))])).collect())
        }
        "learn_fusion" => {
            let count = |name: &str| with[name].as_u64().map(|count| count as usize);
            let asked = learned::Asked {
                method: text("method").unwrap(),
                parameters,
                segments: count("segments"),
                width: count("width"),
                normalization: text("normalization"),
                weights,
            };
            let qrels = serde_json::from_value(with["qrels"].clone()).unwrap();
            Ok(serde_json::from_str(&learned::learn(&runs(), &qrels, &asked)?).unwrap())
        }
        "evaluate" => {
            let qrels = serde_json::from_value(with["qrels"].clone()).unwrap();
            let run = serde_json::from_value(with["run"].clone()).unwrap();
            let metrics = serde_json::from_value(with["metrics"].clone()).unwrap();
            let evaluated = maps::evaluate(&qrels, &run, metrics, with["missing"].as_str().unwrap_or("zero"))?;
            if with["per_query"] == true {
                Ok(evaluated.queries().map(|(query, values)| (query, values.collect::<Json>())).collect())
            } else {
                Ok(evaluated.means().map(|(name, mean)| (name, json!(mean))).collect())
            }
        }
        other => panic!("no function {other}"),
    }
}

fn request(with: &Json, text: &str) -> Result<SearchRequest> {
    let mut request = SearchRequest::new(text, with["k"].as_u64().map_or(10, |k| k as usize));
    if with.get("retrievers").is_some() {
        request.mode = Mode::of(&strings(&with["retrievers"]))?;
    }
    request.filter = match with.get("filter") {
        None => None,
        Some(Json::String(text)) => Some(Filter::parse(text)?),
        Some(filter) => Some(Filter::parse(&filter.to_string())?),
    };
    request.explain = with["explain"] == true;
    request.syntax = with["syntax"] == true;
    let text = |name: &str| with[name].as_str().map(str::to_owned);
    (request.user, request.collapse) = (text("user"), text("collapse"));
    request.diversity = with["diversity"].as_f64().map(|lambda| lambda as f32);
    request.vector = match with.get("vector") {
        None => None,
        Some(vector) => Some(match vector["of"].as_str() {
            Some(text) => {
                let model = embed::load_or_bundled(None, &ModelOptions::new())?;
                model.embed(&[text], TextKind::Query, &Cancel::never())?.vectors
            }
            None => numbers(vector),
        }),
    };
    if let Some(seconds) = with["timeout"].as_f64() {
        request.cancel = Cancel::after(Duration::from_secs_f64(seconds));
    }
    Ok(request)
}

fn documents(given: &Json) -> Vec<Document> {
    let document = |given: &Json| {
        let text = |name: &str| given[name].as_str().unwrap_or_default();
        let mut document = Document::new(text("id"), text("text")).with_title(text("title"));
        flatten("", given["metadata"].as_object().unwrap_or(&Map::new()), &mut document.metadata);
        document
    };
    given.as_array().unwrap().iter().map(document).collect()
}

fn flatten(prefix: &str, fields: &Map<String, Json>, into: &mut Metadata) {
    for (name, given) in fields {
        match given {
            Json::Object(inner) => flatten(&format!("{prefix}{name}."), inner, into),
            other => drop(into.insert(format!("{prefix}{name}"), value(other))),
        }
    }
}

fn value(given: &Json) -> Value {
    match given {
        Json::Bool(flag) => Value::Bool(*flag),
        Json::String(text) => Value::Text(text.clone()),
        Json::Array(items) => Value::List(items.iter().map(value).collect()),
        number => number.as_i64().map_or_else(|| Value::Float(number.as_f64().unwrap()), Value::Int),
    }
}

fn to_json(metadata: &Metadata) -> Json {
    metadata.iter().map(|(name, value)| (name.clone(), value.to_json())).collect()
}

fn answer(answer: &Answer) -> Json {
    json!({
        "hits": answer.hits.iter().map(hit).collect::<Vec<_>>(), "commit_seq": answer.commit_seq,
        "visible": answer.visible, "degraded": answer.degraded, "plan": answer.plan, "gate": gate::served(&answer.gate),
    })
}

fn hit(hit: &Hit) -> Json {
    let explain = hit.explanation.as_ref().map(|explanation| {
        let runs = explanation.runs.iter().map(|run| {
            json!({
                "run": run.run, "rank": run.rank, "score": run.score.map(float), "normalized": run.normalized.map(float),
                "weight": float(run.weight), "contribution": float(run.contribution),
            })
        });
        json!({
            "score": float(explanation.score), "fusion": explanation.fusion, "runs": runs.collect::<Vec<_>>(),
            "ltr": explanation.ltr.as_ref().map(ltr::explanation), "diversity": explanation.diversity,
        })
    });
    let passage = &hit.passage;
    json!({
        "rank": hit.rank, "id": hit.id, "score": float(hit.score), "title": hit.title, "text": passage.text,
        "chunk": {"ordinal": passage.ordinal, "start": passage.start, "end": passage.end},
        "metadata": to_json(&hit.metadata), "hidden": hit.hidden, "explain": explain,
    })
}

/// Of 64 bits, as Python and JavaScript have no other.
pub(super) fn float(value: f32) -> Json {
    if value.is_finite() { json!(f64::from(value)) } else { json!("-inf") }
}

fn floats(values: &[f32]) -> Json {
    values.iter().map(|&value| float(value)).collect()
}

fn strings(list: &Json) -> Vec<&str> {
    list.as_array().unwrap().iter().map(|text| text.as_str().unwrap()).collect()
}

fn ids(list: &Json) -> Vec<u64> {
    strings(list).into_iter().map(|id| id.parse().unwrap()).collect()
}

fn numbers(list: &Json) -> Vec<f32> {
    list.as_array().unwrap().iter().map(|number| number.as_f64().unwrap() as f32).collect()
}

/// The error with the test's folder left out of its message.
fn without(folder: &tempfile::TempDir, error: &Error) -> Error {
    let message = error.to_string().replace(&format!("{}/", folder.path().display()), "");
    Error::new(error.kind(), message)
}
