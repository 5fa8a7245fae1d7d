//! `rag search` and `rag explain`.

use anyhow::Result;
use rag_core::engine::{Answer, Explanation, Hit, LtrExplanation, Mode, SearchRequest};
use rag_core::{Error, ErrorKind, Filter};
use serde_json::{Value as Json, json};

use crate::ui::{Output, colour, exit, plain};
use crate::{Data, Question};

/// Characters of a passage that are shown.
const SHOWN: usize = 240;

/// Features of a ranker that are shown to people.
const TOP_FEATURES: usize = 5;

impl Question {
    fn request(&self) -> Result<SearchRequest> {
        let mut request = SearchRequest::new(self.text.join(" "), self.k).with_mode(match self.mode.as_str() {
            "dense" => Mode::Dense,
            "lexical" => Mode::Lexical,
            _ => Mode::Hybrid,
        });
        request.syntax = self.syntax;
        request.filter = self.filter.as_deref().map(Filter::parse).transpose()?;
        Ok(request)
    }
}

pub(crate) fn run(output: Output, question: &Question, data: &Data, explain: bool) -> Result<u8> {
    let engine = data.open_ranked(question)?;
    let mut request = question.request()?;
    request.explain = explain;
    let answer = engine.search(&data.scope()?, &request)?;
    if let (Some(asked), Some(served)) = (question.ltr_weight, answer.gate.weight)
        && asked != served
    {
        output.note(format_args!(
            "the gate gives the ranker the weight {served}, not --ltr-weight {asked}: see rag gate show"
        ));
    }
    output.answer(&to_json(&answer), |_| render(&answer))?;
    Ok(exit::OK)
}

pub(crate) fn explain(output: Output, id: &str, question: &Question, data: &Data) -> Result<u8> {
    let engine = data.open_ranked(question)?;
    let Some(hit) = engine.explain(&data.scope()?, &question.request()?, id)? else {
        let depth = engine.config().fusion.depth.max(question.k);
        let message = format!("{id} is not among the first {depth} candidates of any retriever");
        return Err(Error::new(ErrorKind::NotFound, message).into());
    };
    output.answer(&hit_json(&hit), |_| render_hit(&hit))?;
    Ok(exit::OK)
}

pub(crate) fn render(answer: &Answer) -> String {
    let mut out: Vec<String> = answer.hits.iter().map(render_hit).collect();
    if out.is_empty() {
        out.push("nothing found".to_owned());
    }
    out.extend(answer.degraded.iter().map(|left_out| format!("left out: {}", plain::line(left_out))));
    out.join("\n\n")
}

fn render_hit(hit: &Hit) -> String {
    let title = if hit.title == hit.id { String::new() } else { one_line(&hit.title) };
    let mut out = format!(
        "{:>2}. {}{}{title}  {}",
        hit.rank,
        colour::paint(colour::HEADING, plain::line(&hit.id)),
        if title.is_empty() { "" } else { "  " },
        colour::paint(colour::FIGURE, format!("{:.4}", hit.score))
    );
    let passage = one_line(&hit.passage.text);
    let shown: String = passage.chars().take(SHOWN).collect();
    let more = if shown.len() < passage.len() { "…" } else { "" };
    out += &["\n    ", &shown, more].concat();
    if let Some(explanation) = &hit.explanation {
        out += &["\n    ", &colour::paint(colour::FAINT, parts(explanation))].concat();
        for line in explanation.ltr.iter().flat_map(learned) {
            out += &["\n    ", &colour::paint(colour::FAINT, plain::line(&line))].concat();
        }
    }
    out
}

/// The words of a text that may have line ends, and control characters.
fn one_line(text: &str) -> String {
    plain::line(&text.split_whitespace().collect::<Vec<_>>().join(" ")).into_owned()
}

fn parts(explanation: &Explanation) -> String {
    let runs = explanation.runs.iter().map(|run| match (run.rank, run.score) {
        (Some(rank), Some(score)) => format!(
            "{} rank {rank} score {score:.3} → {:.3} × {:.2} = {:.4}",
            run.run,
            run.normalized.unwrap_or(0.0),
            run.weight,
            run.contribution
        ),
        _ => format!("{} not among its candidates", run.run),
    });
    format!("{}: {}", explanation.fusion, runs.collect::<Vec<_>>().join("; "))
}

/// What a ranker said: how the score is blended, and which features weighed most.
fn learned(ltr: &LtrExplanation) -> Vec<String> {
    let mut lines = vec![format!(
        "ltr: fused {:.3} → {:.3} × {:.2} + model {:.3} → {:.3} × {:.2}",
        ltr.fused,
        ltr.fused_normalized,
        1.0 - ltr.weight,
        ltr.score,
        ltr.normalized,
        ltr.weight
    )];
    let told = ltr.features.iter().filter_map(|feature| Some((feature, feature.contribution?)));
    let mut told: Vec<_> = told.filter(|(_, contribution)| *contribution != 0.0).collect();
    told.sort_by(|(_, one), (_, other)| other.abs().total_cmp(&one.abs()));
    let parts = told.iter().take(TOP_FEATURES).map(|(feature, contribution)| {
        let value = if feature.value.is_nan() { "missing".to_owned() } else { format!("{:.4}", feature.value) };
        format!("{} = {value}: {contribution:+.3}", feature.name)
    });
    let parts = parts.collect::<Vec<_>>().join("; ");
    lines.extend((!parts.is_empty()).then_some(parts));
    lines
}

fn to_json(answer: &Answer) -> Json {
    let stages = answer.stages.iter().map(|(stage, duration)| json!({"stage": stage, "micros": duration.as_micros()}));
    json!({
        "hits": answer.hits.iter().map(hit_json).collect::<Vec<_>>(),
        "commit_seq": answer.commit_seq,
        "visible": answer.visible,
        "degraded": answer.degraded,
        "plan": answer.plan,
        "gate": {
            "epoch": answer.gate.epoch, "weight": answer.gate.weight, "reason": answer.gate.reason,
            "experiment": answer.gate.experiment, "variant": answer.gate.variant,
            "token": answer.gate.token.map(|token| token.to_string()),
        },
        "stages": stages.collect::<Vec<_>>(),
    })
}

fn hit_json(hit: &Hit) -> Json {
    let metadata: serde_json::Map<String, Json> =
        hit.metadata.iter().map(|(field, value)| (field.clone(), value.to_json())).collect();
    let explanation = hit.explanation.as_ref().map(|explanation| {
        let runs = explanation.runs.iter().map(|run| {
            json!({
                "run": run.run, "rank": run.rank, "score": run.score, "normalized": run.normalized,
                "weight": run.weight, "contribution": run.contribution,
            })
        });
        json!({
            "score": explanation.score, "fusion": explanation.fusion, "runs": runs.collect::<Vec<_>>(),
            "ltr": explanation.ltr.as_ref().map(ltr_json), "diversity": explanation.diversity,
        })
    });
    json!({
        "rank": hit.rank, "score": hit.score, "id": hit.id, "title": hit.title, "metadata": metadata, "hidden": hit.hidden,
        "passage": {
            "ordinal": hit.passage.ordinal, "start": hit.passage.start, "end": hit.passage.end, "text": hit.passage.text,
        },
        "explanation": explanation,
    })
}

fn ltr_json(ltr: &LtrExplanation) -> Json {
    let features = ltr.features.iter().map(|feature| {
        let value = Some(feature.value).filter(|value| value.is_finite());
        json!({"name": feature.name, "value": value, "contribution": feature.contribution})
    });
    json!({
        "fused": ltr.fused, "fused_normalized": ltr.fused_normalized, "score": ltr.score, "normalized": ltr.normalized,
        "weight": ltr.weight, "expected": ltr.expected, "features": features.collect::<Vec<_>>(),
    })
}
