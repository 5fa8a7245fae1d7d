//! The cases through the command.

use serde_json::{Value as Json, json};

use super::Outcome;
use super::common::{Place, Said};

pub(super) fn run(steps: &[Json]) -> Vec<Outcome> {
    let place = Place::with(&[]);
    steps.iter().filter(|step| step["cli"] == true).filter_map(|step| told(&place, step)).collect()
}

/// `None` for what only sets the stage.
fn told(place: &Place, step: &Json) -> Option<Outcome> {
    let with = &step["with"];
    if step["call"] == "Engine.upsert" {
        let lines: Vec<String> = with["documents"].as_array().unwrap().iter().map(Json::to_string).collect();
        place.write("documents.jsonl", lines.join("\n").as_bytes());
        place.index(0, &[]);
        return None;
    }
    let mut line = vec![step["call"].as_str().unwrap().strip_prefix("Engine.").unwrap().to_owned()];
    line.extend(["--data", "data", "--json"].map(str::to_owned));
    let mut option = |name: &str, value: Option<String>| {
        line.extend(value.into_iter().flat_map(|value| [format!("--{name}"), value]));
    };
    option("k", with["k"].as_u64().map(|k| k.to_string()));
    option("mode", with.get("retrievers").map(|retrievers| retrievers[0].as_str().unwrap().to_owned()));
    option("filter", with.get("filter").map(Json::to_string));
    option("tenant", with["tenant"].as_str().map(str::to_owned));
    line.extend(["explain", "syntax"].iter().filter(|name| with[**name] == true).map(|name| format!("--{name}")));
    line.push("--".to_owned());
    line.extend(["id", "text"].iter().filter_map(|name| with[*name].as_str().map(str::to_owned)));
    Some((step["name"].as_str().unwrap().to_owned(), outcome(&line[0], &place.rag(&line))))
}

fn outcome(method: &str, said: &Said) -> Json {
    if said.code != Some(0) {
        let object: Json = serde_json::from_str(&said.err).unwrap_or_else(|_| panic!("{said:?}"));
        return json!({"error": {"kind": object["error"]["kind"], "message": object["error"]["message"]}});
    }
    let mut answer: Json = serde_json::from_str(&said.out).unwrap();
    match method {
        "search" => {
            answer.as_object_mut().unwrap().remove("stages");
            answer["hits"].as_array_mut().unwrap().iter_mut().for_each(hit);
        }
        "explain" => hit(&mut answer),
        "stats" => {
            answer["dimension"] = answer["model"]["dimension"].take();
            answer["model"] = answer["model"]["name"].take();
            answer.as_object_mut().unwrap().remove("bytes");
        }
        _ => {}
    }
    json!({"result": answer})
}

/// Into the shape of the other languages.
fn hit(hit: &mut Json) {
    let hit = hit.as_object_mut().unwrap();
    let mut passage = hit.remove("passage").unwrap();
    hit.insert("text".to_owned(), passage.as_object_mut().unwrap().remove("text").unwrap());
    hit.insert("chunk".to_owned(), passage);
    let mut explanation = hit.remove("explanation").unwrap();
    if let Some(explanation) = explanation.as_object_mut() {
        explanation.entry("ltr").or_insert(Json::Null);
    }
    hit.insert("explain".to_owned(), explanation);
}
