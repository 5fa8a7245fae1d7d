//! The cases of the live gate through Rust.

use std::path::Path;
use std::sync::Arc;

use rag_core::Result;
use rag_core::engine::Served;
use rag_core::gate::{Action, LiveGate};
use rag_runtime::gate::{self, Why};
use serde_json::{Value as Json, json};

use super::library::float;

pub(super) fn call(folder: &Path, gate: &mut Option<Arc<LiveGate>>, method: &str, with: &Json) -> Result<Json> {
    if method == "open" {
        let key = folder.join("gate-key");
        std::fs::write(&key, with["key"].as_str().unwrap()).unwrap();
        *gate = Some(Arc::new(gate::open(&folder.join("data"), Some(key))?));
        return Ok(Json::Null);
    }
    let gate = gate.as_ref().unwrap();
    let text = |name: &str| with[name].as_str().unwrap_or_default().to_owned();
    let action = match method {
        "set_weight" => Action::SetWeight { weight: with["weight"].as_f64().unwrap() as f32 },
        "kill" => Action::Kill,
        "revive" => Action::Revive,
        "start_experiment" => gate::start_experiment(&with["experiment"].to_string())?,
        "end_experiment" => Action::EndExperiment { name: text("name") },
        "start_canary" => gate::start_canary(&with["plan"].to_string())?,
        "resume_canary" => Action::ResumeCanary,
        "abort_canary" => Action::AbortCanary,
        _ => return asked(gate, method, with),
    };
    let issue = with["issue"].as_str().map(str::to_owned);
    let why = Why { author: text("author"), reason: text("reason"), issue, expect: with["expect"].as_u64() };
    gate::act(gate, action, why).map(|json| told(&json))
}

fn asked(gate: &LiveGate, method: &str, with: &Json) -> Result<Json> {
    Ok(match method {
        "status" => told(&gate::status(gate)?),
        "records" => told(&gate::records(gate)?),
        "assign" => {
            told(&gate::assignment(&gate.assign(with["user"].as_str(), with["query"].as_str().unwrap_or_default()))?)
        }
        "observe" => {
            let mut seen = gate::observation();
            (seen.latency_us, seen.cache_hit) = (with["latency_us"].as_u64(), with["cache_hit"].as_f64());
            json!(gate::observe(gate, with["token"].as_str().unwrap(), &seen)?)
        }
        "observe_quality" => match with["token"].as_str() {
            Some(token) => json!(gate::observe_quality(gate, token, with["quality"].as_f64().unwrap())?),
            None => Json::Null,
        },
        "tick" => json!(gate.tick()?),
        other => panic!("no Gate.{other}"),
    })
}

/// Without what is another each time.
fn told(json: &str) -> Json {
    fn strip(value: &mut Json) {
        match value {
            Json::Array(items) => items.iter_mut().for_each(strip),
            Json::Object(fields) => {
                fields.retain(|name, _| name != "at_us" && name != "key");
                fields.values_mut().for_each(strip);
            }
            _ => {}
        }
    }
    let mut value = serde_json::from_str(json).unwrap();
    strip(&mut value);
    value
}

pub(super) fn served(served: &Served) -> Json {
    json!({
        "epoch": served.epoch, "weight": served.weight.map(float), "reason": served.reason,
        "experiment": served.experiment, "variant": served.variant,
        "token": served.token.map(|token| token.to_string()),
    })
}
