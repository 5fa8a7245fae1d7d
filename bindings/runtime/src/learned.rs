//! Fusions that are learnt from judgments, as scripting languages hold them: a fusion is a JSON object.

use std::collections::HashMap;

use rag_core::fusion::learned::{Judged, bayes_fuse, map_fuse, pos_fuse, prob_fuse, seg_fuse, slide_fuse};
use rag_core::fusion::{Calibration, Fusion, Method, Normalization, Parameters, Run};
use rag_core::{Error, Result};

use crate::maps::{ByQuery, Scores, of};

/// Methods that are learnt.
pub const LEARNED: [&str; 6] = ["bayes_fuse", "map_fuse", "pos_fuse", "prob_fuse", "seg_fuse", "slide_fuse"];

/// Normalisations that are learnt.
pub const CALIBRATED: [&str; 2] = ["platt", "isotonic"];

/// Segments of `prob_fuse` unless told.
pub const SEGMENTS: usize = 20;

/// Ranks to each side of `slide_fuse` unless told.
pub const WIDTH: usize = 5;

/// What is learnt; what is `None` is as the method has it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Asked {
    /// One of [`LEARNED`], or with a normalisation of [`CALIBRATED`] one that looks at scores.
    pub method: String,
    /// Of methods that have one.
    pub parameters: Parameters,
    /// Of `prob_fuse`: the number of parts that answers are cut into; [`SEGMENTS`] unless told.
    pub segments: Option<usize>,
    /// Of `slide_fuse`: ranks to each side; [`WIDTH`] unless told.
    pub width: Option<usize>,
    /// Of methods that look at scores: one of [`CALIBRATED`] or of [`Normalization::NAMES`]; `min_max` unless told.
    pub normalization: Option<String>,
    /// One for each run; 1 each unless told.
    pub weights: Option<Vec<f64>>,
}

/// Learns how far each run can be trusted, from its answers to the judged queries: a fusion in JSON. Documents without a
/// judgment count as not relevant, and queries that a run does not answer as empty answers (which `pos_fuse` and `slide_fuse` do not
/// count: they look at answers that are long enough).
///
/// ```
/// use rag_runtime::{learned, maps};
/// let run = |best: &str, other: &str| vec![("q".to_owned(), vec![(best.to_owned(), 2.0), (other.to_owned(), 1.0)])];
/// let runs = || vec![run("a", "b"), run("b", "a")];
/// let qrels = [("q".to_owned(), [("a".to_owned(), 1)].into())].into();
/// let asked = learned::Asked { method: "map_fuse".to_owned(), ..Default::default() };
/// let learned = Some(learned::learn(&runs(), &qrels, &asked)?);
/// let fused = maps::fuse(runs(), &maps::Asked { learned, ..Default::default() })?;
/// assert_eq!(fused[0].1[0].0, "a");
/// # Ok::<(), rag_core::Error>(())
/// ```
///
/// # Errors
/// `InvalidArgument` naming the argument, or the query and what is wrong with its scores.
pub fn learn(runs: &[Scores], qrels: &ByQuery<i32>, asked: &Asked) -> Result<String> {
    if runs.is_empty() {
        return Err(Error::invalid("`runs` is empty; give at least one"));
    }
    let weights = asked.weights.clone().unwrap_or_else(|| vec![1.0; runs.len()]);
    if weights.len() != runs.len() {
        return Err(Error::invalid(format!("`weights` has {} values for {} runs", weights.len(), runs.len())));
    }
    let answers = runs.iter().enumerate().map(|(number, run)| judged(number, run, qrels));
    let answers = answers.collect::<Result<Vec<_>>>()?;
    let method = method(asked, &answers)?;
    let normalization = match asked.normalization.as_deref() {
        Some(name) if !method.reads_scores() => {
            let message = format!("`normalization` is {name:?}, but {:?} looks at ranks; leave it out", asked.method);
            return Err(Error::invalid(message));
        }
        Some("platt") => calibrated(&answers, Calibration::platt)?,
        Some("isotonic") => calibrated(&answers, Calibration::isotonic)?,
        Some(name) => Normalization::from_name(name).ok_or_else(|| {
            let known = [&CALIBRATED[..], &Normalization::NAMES[..]].concat().join(", ");
            Error::invalid(format!("`normalization` is {name:?}; give one of {known}"))
        })?,
        None => Normalization::MinMax,
    };
    let fusion = Fusion { method, normalization, weights };
    if !fusion.is_learned() {
        let (methods, scales) = (LEARNED.join(", "), CALIBRATED.join(", "));
        let message = format!(
            "nothing of {:?} is learnt; give one of {methods} as `method`, or one of {scales} as `normalization`",
            asked.method
        );
        return Err(Error::invalid(message));
    }
    fusion.check().map_err(|error| Error::invalid(error.to_string()).with_source(error))?;
    serde_json::to_string(&fusion).map_err(|error| Error::internal(error.to_string()).with_source(error))
}

/// The answer of a run to a judged query: each score, and whether its document is relevant.
struct Answer {
    hits: Vec<(f64, bool)>,
    relevant: usize,
}

/// The answers of a run to the judged queries, which go in ascending order.
fn judged(number: usize, run: &Scores, qrels: &ByQuery<i32>) -> Result<Vec<Answer>> {
    let answered: HashMap<&str, &Vec<(String, f64)>> = run.iter().map(|(query, hits)| (&**query, hits)).collect();
    let mut queries: Vec<_> = qrels.iter().collect();
    queries.sort_unstable_by_key(|(query, _)| *query);
    let answer = |(query, grades): (&String, &HashMap<String, i32>)| {
        let hits = answered.get(&**query).map(|hits| hits.as_slice()).unwrap_or_default();
        let hits = hits.iter().map(|(id, score)| (id.as_str(), *score));
        let run = Run::new(number.to_string(), hits).map_err(|error| of(query, &error))?;
        let is_relevant = |id: &str| grades.get(id).is_some_and(|&grade| grade > 0);
        let hits = run.hits().iter().map(|hit| (hit.score, is_relevant(hit.id))).collect();
        Ok(Answer { hits, relevant: grades.values().filter(|&&grade| grade > 0).count() })
    };
    queries.into_iter().map(answer).collect()
}

fn method(asked: &Asked, answers: &[Vec<Answer>]) -> Result<Method> {
    let judged = |answer: &Answer| {
        let hits = answer.hits.iter().map(|(_, relevant)| *relevant).collect();
        Judged { hits, relevant: answer.relevant }
    };
    let answers: Vec<Vec<Judged>> = answers.iter().map(|answers| answers.iter().map(judged).collect()).collect();
    let name = asked.method.as_str();
    let stranger = match name {
        "prob_fuse" => asked.width.map(|_| "width"),
        "slide_fuse" => asked.segments.map(|_| "segments"),
        _ => asked.width.map(|_| "width").or(asked.segments.map(|_| "segments")),
    };
    if let Some(stranger) = stranger {
        return Err(Error::invalid(format!("`{stranger}` is no parameter of {name}; leave it out")));
    }
    if LEARNED.contains(&name) && asked.parameters != Parameters::default() {
        return Err(Error::invalid(format!(
            "`k`, `sigma`, `gamma` and `phi` are no parameters of {name}; leave them out"
        )));
    }
    let method = match name {
        "bayes_fuse" => bayes_fuse(&answers),
        "map_fuse" => map_fuse(&answers),
        "pos_fuse" => pos_fuse(&answers),
        "prob_fuse" => prob_fuse(&answers, asked.segments.unwrap_or(SEGMENTS)),
        "seg_fuse" => seg_fuse(&answers),
        "slide_fuse" => slide_fuse(&answers, asked.width.unwrap_or(WIDTH)),
        other => Method::from_name(other, asked.parameters),
    };
    method.map_err(|error| Error::invalid(error.to_string()).with_source(error))
}

fn calibrated(
    answers: &[Vec<Answer>],
    fit: impl Fn(&[(f64, bool)]) -> rag_core::fusion::Result<Calibration>,
) -> Result<Normalization> {
    let of_run = |(run, answers): (usize, &Vec<Answer>)| {
        let hits: Vec<(f64, bool)> = answers.iter().flat_map(|answer| answer.hits.iter().copied()).collect();
        fit(&hits).map_err(|error| Error::invalid(format!("`runs[{run}]`: {error}")).with_source(error))
    };
    answers.iter().enumerate().map(of_run).collect::<Result<Vec<_>>>().map(Normalization::Calibrated)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::maps;

    fn run(queries: &[(&str, &[(&str, f64)])]) -> Scores {
        let hits = |hits: &[(&str, f64)]| hits.iter().map(|(id, score)| ((*id).to_owned(), *score)).collect();
        queries.iter().map(|(query, of)| ((*query).to_owned(), hits(of))).collect()
    }

    fn runs() -> Vec<Scores> {
        vec![
            run(&[("p", &[("a", 3.0), ("b", 2.0), ("c", 1.0)]), ("q", &[("d", 3.0), ("e", 2.5)])]),
            run(&[("p", &[("c", 9.0), ("a", 4.0)])]),
        ]
    }

    fn qrels() -> ByQuery<i32> {
        let of = |ids: &[&str]| ids.iter().map(|id| ((*id).to_owned(), 1)).collect();
        [("p".to_owned(), of(&["a"])), ("q".to_owned(), of(&["d", "z"]))].into()
    }

    fn asked(method: &str) -> Asked {
        Asked { method: method.to_owned(), ..Asked::default() }
    }

    #[test]
    fn every_method_is_learnt_and_used() {
        for method in LEARNED {
            let learned = Some(learn(&runs(), &qrels(), &asked(method)).unwrap());
            let fused = maps::fuse(runs(), &maps::Asked { learned, ..maps::Asked::default() }).unwrap();
            assert_eq!(fused[0].1[0].0, "a", "{method}");
            assert_eq!(fused[1].0, "q");
        }
        for scale in CALIBRATED {
            let asked = Asked { normalization: Some(scale.to_owned()), ..asked("sum") };
            let learned = learn(&runs(), &qrels(), &asked).unwrap();
            let fused = maps::fuse(runs(), &maps::Asked { learned: Some(learned), ..maps::Asked::default() }).unwrap();
            assert!(fused[0].1.iter().all(|(_, score)| (0.0..=2.0).contains(score)), "{scale}: {fused:?}");
        }
    }

    #[test]
    fn map_fuse_by_hand() {
        // Average precision of the first run: 1 for p, 1/2 for q, where z is not found; of the second 1/2 and 0.
        let learned = Some(learn(&runs(), &qrels(), &asked("map_fuse")).unwrap());
        let fused = maps::fuse(runs(), &maps::Asked { learned, ..maps::Asked::default() }).unwrap();
        assert_eq!(fused[0].1[0], ("a".to_owned(), 0.75 + 0.25 / 2.0));
    }

    #[test]
    fn wrong_arguments_are_named() {
        let message = |asked: &Asked| learn(&runs(), &qrels(), asked).unwrap_err().to_string();
        assert!(message(&asked("rrf")).contains("nothing of \"rrf\" is learnt"));
        assert!(message(&asked("bogus")).contains("`method`"));
        assert!(message(&Asked { width: Some(1), ..asked("prob_fuse") }).contains("`width`"));
        assert!(message(&Asked { segments: Some(0), ..asked("prob_fuse") }).contains("segments"));
        assert!(message(&Asked { weights: Some(vec![1.0]), ..asked("pos_fuse") }).contains("`weights`"));
        assert!(message(&Asked { normalization: Some("platt".to_owned()), ..asked("pos_fuse") }).contains("ranks"));
        assert!(message(&Asked { normalization: Some("mean".to_owned()), ..asked("sum") }).contains("isotonic"));
        assert!(learn(&runs(), &ByQuery::new(), &asked("pos_fuse")).is_err());
        let learned = Some(learn(&runs(), &qrels(), &asked("pos_fuse")).unwrap());
        let how = maps::Asked { learned, ..maps::Asked::default() };
        let message = |result: Result<Scores>| result.unwrap_err().to_string();
        assert!(message(maps::fuse(runs()[..1].to_vec(), &how)).contains("learnt for 2 runs"));
        let both = maps::Asked { weights: Some(vec![1.0, 1.0]), ..how };
        assert!(message(maps::fuse(runs(), &both)).contains("give it alone"));
        let segments = |count| Asked { segments: Some(count), ..asked("prob_fuse") };
        let refused = |asked: &Asked| learn(&runs(), &qrels(), asked).unwrap_err().to_string();
        assert!(refused(&segments(usize::MAX)).contains("`segments`"));
        assert!(refused(&Asked { width: Some(usize::MAX), ..asked("slide_fuse") }).contains("`width`"));
        for weights in [vec![f64::NAN, 1.0], vec![-1.0, 1.0], vec![0.0, 0.0]] {
            assert!(refused(&Asked { weights: Some(weights), ..asked("pos_fuse") }).contains("weight"));
        }
        assert!(learn(&[], &qrels(), &asked("pos_fuse")).unwrap_err().to_string().contains("`runs`"));
        for (text, way_out) in [
            (r#"{"method":"sum","normalization":"min_max","weights":[1]}"#, "no learnt fusion"),
            (r#"{"method":{"map_fuse":{"map_scores":[1,1],"typo":3}},"normalization":"none","weights":[1,1]}"#, "typo"),
            (
                r#"{"method":"sum","normalization":{"calibrated":[{"isotonic":[[3,7],[2,-5]]},{"isotonic":[]}]},"weights":[1,1]}"#,
                "calibration of run 0",
            ),
            (r#"{"method":{"map_fuse":{"map_scores":[1,1]}},"normalization":"none","weights":[1,-1]}"#, "run `1`"),
        ] {
            let how = maps::Asked { learned: Some(text.to_owned()), ..maps::Asked::default() };
            assert!(message(maps::fuse(runs(), &how)).contains(way_out), "{text}");
        }
        let damaged = maps::Asked { learned: Some("{\"method\": 3}".to_owned()), ..maps::Asked::default() };
        assert!(message(maps::fuse(runs(), &damaged)).contains("no learnt fusion"));
    }
}
