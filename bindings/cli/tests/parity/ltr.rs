//! The steps of learning to rank through Rust.

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rag_core::engine::{LtrExplanation, SearchRequest};
use rag_core::features::{ClickCounts, FeatureFunction, FeatureLog};
use rag_core::ltr::clicks::ClickLog;
use rag_core::ltr::schema::FeatureSchema;
use rag_core::ltr::train::Dataset;
use rag_core::ltr::{Ranker, Rows};
use rag_core::rankers;
use rag_core::{Cancel, Engine, Result, Scope, Value};
use rag_runtime::ltr::{self, Options};
use rag_runtime::{clicks, logs};
use serde_json::{Map, Value as Json, json};

/// What the steps of learning to rank share.
#[derive(Default)]
pub(super) struct Learning {
    ranker: Option<Arc<Ranker>>,
    bytes: Vec<u8>,
    schema: Option<FeatureSchema>,
    log: Option<FeatureLog>,
    clicks: Option<ClickLog>,
}

impl Learning {
    /// `None` for other methods of the engine.
    pub(super) fn of_engine(
        &mut self,
        engine: &Engine,
        scope: &Scope,
        method: &str,
        with: &Json,
        request: impl Fn(&Json, &str) -> Result<SearchRequest>,
    ) -> Option<Result<Json>> {
        let call = || -> Result<Json> {
            Ok(match method {
                "feature_schema" => {
                    self.schema = Some(engine.feature_schema().clone());
                    schema(engine.feature_schema())
                }
                "ranker" => json!(engine.ranker().map(|ranker| Some(ranker) == self.ranker)),
                "set_ranker" => {
                    let ranker = self.ranker.clone().filter(|_| with["ranker"] == true);
                    let weight = with["weight"].as_f64().map_or(engine.config().ltr.weight, |weight| weight as f32);
                    json!(engine.set_ranker(ranker, weight)?)
                }
                "set_click_history" => {
                    let rows = with["rows"].as_array().unwrap().iter().map(|row| {
                        let count = |at: usize| row[at].as_u64().unwrap();
                        ClickCounts::new(row[0].as_str().unwrap(), count(1), count(2))
                    });
                    json!(engine.set_click_history(scope, &rows.collect::<Vec<_>>())?)
                }
                "log_features" => {
                    let queries = with["queries"].as_array().unwrap().iter().map(|query| {
                        let mut request = request(with, query[1].as_str().unwrap())?;
                        request.now =
                            with["now"].as_f64().map(|now| SystemTime::UNIX_EPOCH + Duration::from_secs_f64(now));
                        Ok((query[0].as_str().unwrap(), request))
                    });
                    self.log = Some(engine.log_features(scope, &queries.collect::<Result<Vec<_>>>()?)?);
                    Json::Null
                }
                other => panic!("no Engine.{other}"),
            })
        };
        let is_ours = ["feature_schema", "ranker", "set_ranker", "set_click_history", "log_features"].contains(&method);
        is_ours.then(call)
    }

    pub(super) fn of_schema(&mut self, method: &str, with: &Json) -> Result<Json> {
        assert_eq!(method, "new");
        let kinds = with.get("kinds").map(texts);
        let meanings = with.get("meanings").map(|meanings| serde_json::from_value(meanings.clone()).unwrap());
        let made = ltr::schema(texts(&with["names"]), kinds, meanings, with["version"].as_u64().unwrap_or(1) as u32)?;
        let told = schema(&made);
        self.schema = Some(made);
        Ok(told)
    }

    pub(super) fn of_log(&self, folder: &Path, method: &str, with: &Json) -> Result<Json> {
        let log = self.log.as_ref().unwrap();
        let qrels = || serde_json::from_value(with["qrels"].clone()).unwrap();
        Ok(match method {
            "X" => matrix(&log.values, log.schema.features().len()),
            "group" => json!(log.groups()),
            "query_ids" => log.queries.iter().map(|query| query.id.as_str()).collect(),
            "document_ids" => log.iter().map(|(_, document, _)| document).collect(),
            "names" => log.schema.features().iter().map(|feature| feature.name.as_str()).collect(),
            "schema" => schema(&log.schema),
            "len" => json!(log.iter().count()),
            "labels" => logs::labels(log, &qrels()).into_iter().map(f64::from).collect(),
            "to_svmlight" => {
                let path = folder.join(with["path"].as_str().unwrap());
                logs::save_svmlight(log, &qrels(), &path)?;
                json!(std::fs::read_to_string(path).unwrap())
            }
            other => panic!("no FeatureLog.{other}"),
        })
    }

    pub(super) fn of_clicks(&mut self, folder: &Path, method: &str, with: &Json) -> Result<Json> {
        if method == "load" {
            let path = folder.join("clicks.jsonl");
            std::fs::write(&path, with["text"].as_str().unwrap()).unwrap();
            self.clicks = Some(clicks::load(&path)?);
            return Ok(Json::Null);
        }
        let log = self.clicks.as_ref().unwrap();
        let propensities: Vec<f64> = serde_json::from_value(with["propensities"].clone()).unwrap_or_default();
        Ok(match method {
            "len" => json!(log.len()),
            "clicks" => json!(log.clicks()),
            "propensities" => {
                let (method, ranks) = (with["method"].as_str().unwrap_or(clicks::METHOD), with["ranks"].as_u64());
                json!(clicks::propensities(log, method, ranks.map(|ranks| ranks as u32), with["monotone"].as_bool())?)
            }
            "relevance" => json!(clicks::relevance(log, &propensities)?),
            "training" => {
                let features = self.log.as_ref().unwrap();
                let made = clicks::training(log, features, &propensities)?;
                let columns = features.schema.features().len();
                let values: Vec<f32> =
                    made.rows.iter().flat_map(|&row| &features.values[row * columns..][..columns]).copied().collect();
                json!({
                    "X": matrix(&values, columns), "y": made.labels, "group": made.groups,
                    "inverse_propensities": made.inverse_propensities.iter().map(|&one| f64::from(one)).collect::<Vec<_>>(),
                })
            }
            "history" => {
                clicks::history(log)?.into_iter().map(|row| json!([row.id, row.impressions, row.clicks])).collect()
            }
            "evaluate" => {
                let run = serde_json::from_value(with["run"].clone()).unwrap();
                let reward = with["reward"].as_str().unwrap_or(clicks::REWARD);
                let k = with["k"].as_u64().map(|k| k as usize);
                clicks::evaluate(log, &run, &propensities, reward, k, with["clip"].as_f64())?
            }
            other => panic!("no ClickLog.{other}"),
        })
    }

    pub(super) fn of_ranker(&mut self, folder: &Path, method: &str, with: &Json) -> Result<Json> {
        let path = with["path"].as_str().map(|name| folder.join(name)).unwrap_or_default();
        let made = match method {
            "load" => Some(rankers::load(&path)?),
            "from_bytes" if with.get("text").is_some() => {
                Some(Ranker::from_bytes(with["text"].as_str().unwrap().as_bytes())?)
            }
            "from_bytes" => Some(Ranker::from_bytes(&self.bytes)?),
            "train" | "train_linear" => Some(self.train(method, with)?),
            _ => None,
        };
        if let Some(made) = made {
            self.ranker = Some(Arc::new(made));
            return Ok(Json::Null);
        }
        let format = || with["format"].as_str().unwrap_or("rag").parse();
        let ranker = self.ranker.as_ref().unwrap();
        let (values, columns) = table(&with["X"]);
        let rows = || Rows::new(&values, columns);
        Ok(match method {
            "save" => json!(rankers::save(ranker, &path, format()?)?),
            "to_bytes" => {
                self.bytes = rankers::to_bytes(ranker, format()?)?;
                Json::Null
            }
            "score" => json!(ranker.score(rows()?)?),
            "margin" => json!(ranker.margins(rows()?)?),
            "explain" => {
                let explained = ranker.explain(rows()?)?;
                let contributions: Vec<&[f64]> = (0..explained.len()).map(|row| explained.row(row)).collect();
                json!([contributions, explained.expected()])
            }
            "feature_names" => json!(ranker.names()),
            "num_features" => json!(ranker.columns()),
            "num_trees" => json!(ltr::num_trees(ranker)),
            "feature_importance" => json!(ltr::importance(ranker, with["kind"].as_str())?),
            "training" => json!(ltr::training(ranker)),
            "schema" => json!(ranker.schema().map(|id| id.to_string())),
            other => panic!("no Ranker.{other}"),
        })
    }

    fn train(&self, method: &str, with: &Json) -> Result<Ranker> {
        let log = self.log.as_ref().filter(|_| with["log"] == true);
        let (values, columns) =
            log.map_or_else(|| table(&with["X"]), |log| (log.values.clone(), log.schema.features().len()));
        let labels = match log {
            Some(log) => logs::labels(log, &serde_json::from_value(with["qrels"].clone()).unwrap()),
            None => floats(&with["y"]),
        };
        let groups = log.map_or_else(|| counts(&with["group"]), FeatureLog::groups);
        let factors = |name: &str| with.get(name).map(floats);
        let (weights, inverse_propensities) = (factors("weights"), factors("inverse_propensities"));
        let data = Dataset {
            weights: weights.as_deref(),
            inverse_propensities: inverse_propensities.as_deref(),
            ..Dataset::new(Rows::new(&values, columns)?, &labels, &groups)
        };
        let others =
            ["X", "y", "group", "log", "qrels", "weights", "inverse_propensities", "feature_names", "schema", "valid"];
        let parameters = with.as_object().unwrap().iter().filter(|(name, _)| !others.contains(&name.as_str()));
        let parameters: Map<String, Json> = parameters.map(|(name, value)| (name.clone(), value.clone())).collect();
        let parameters = Json::Object(parameters).to_string();
        let names = with.get("feature_names").map(texts);
        let schema = self.schema.as_ref().filter(|_| with["schema"] == true);
        let options = Options { parameters: &parameters, names: names.as_deref(), schema };
        if method == "train_linear" {
            return ltr::train_linear(&data, &options, &Cancel::never());
        }
        let valid = with.get("valid").map(|valid| (table(&valid[0]), floats(&valid[1]), counts(&valid[2])));
        let valid = valid.as_ref().map(|((values, columns), labels, groups)| {
            Ok::<_, rag_core::Error>(Dataset::new(Rows::new(values, *columns)?, labels, groups))
        });
        let mut go_on = |_| ControlFlow::Continue(());
        ltr::train(&data, valid.transpose()?.as_ref(), &options, &Cancel::never(), &mut go_on)
    }
}

/// Features `my.FIELD` of numbers in the metadata.
pub(super) fn functions(fields: &Json) -> Vec<Arc<dyn FeatureFunction>> {
    let of_field = |field: String| {
        let name = format!("my.{field}");
        logs::feature_function(name, move |_, documents| {
            let number = |value: Option<&Value>| match value {
                Some(Value::Int(whole)) => *whole as f32,
                Some(Value::Float(number)) => *number as f32,
                _ => f32::NAN,
            };
            Ok(documents.iter().map(|document| number(document.metadata.get(&field))).collect())
        })
    };
    if fields.is_null() { Vec::new() } else { texts(fields).into_iter().map(of_field).collect() }
}

pub(super) fn explanation(ltr: &LtrExplanation) -> Json {
    let features = ltr.features.iter().map(|feature| {
        let value = Some(feature.value).filter(|value| !value.is_nan()).map(super::library::float);
        json!({"name": feature.name, "value": value, "contribution": feature.contribution})
    });
    json!({
        "fused": f64::from(ltr.fused), "fused_normalized": f64::from(ltr.fused_normalized), "score": ltr.score,
        "normalized": f64::from(ltr.normalized), "weight": f64::from(ltr.weight), "expected": ltr.expected,
        "features": features.collect::<Vec<_>>(),
    })
}

fn schema(schema: &FeatureSchema) -> Json {
    let names: Vec<&str> = schema.features().iter().map(|feature| feature.name.as_str()).collect();
    let kinds: Vec<&str> = schema.features().iter().map(|feature| ltr::kind_name(feature.kind)).collect();
    let meanings: Vec<Option<&str>> = schema.features().iter().map(|feature| feature.meaning.as_deref()).collect();
    json!({
        "id": schema.id().to_string(), "version": schema.version(), "names": names, "kinds": kinds,
        "meanings": meanings, "hash": schema.hash(),
    })
}

fn texts(list: &Json) -> Vec<String> {
    serde_json::from_value(list.clone()).unwrap()
}

fn counts(list: &Json) -> Vec<usize> {
    list.as_array().map(|list| list.iter().map(|count| count.as_u64().unwrap() as usize).collect()).unwrap_or_default()
}

/// Null is a missing value.
fn floats(list: &Json) -> Vec<f32> {
    list.as_array().unwrap().iter().map(|number| number.as_f64().map_or(f32::NAN, |number| number as f32)).collect()
}

/// Values row after row, and the columns.
fn table(rows: &Json) -> (Vec<f32>, usize) {
    let Some(rows) = rows.as_array() else { return (Vec::new(), 1) };
    (rows.iter().flat_map(floats).collect(), rows.first().map_or(1, |row| row.as_array().unwrap().len()))
}

fn matrix(values: &[f32], columns: usize) -> Json {
    let cell = |value: &f32| if value.is_nan() { json!("nan") } else { json!(f64::from(*value)) };
    values.chunks(columns).map(|row| row.iter().map(cell).collect::<Json>()).collect()
}
