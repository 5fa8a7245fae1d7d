//! From an order of candidates to the list that leaves: what is stored of them, few of each value of a field, a reranker's
//! word on the best, and variety among them.

use rag_fusion::diversify::{Mmr, collapse};

use super::Inner;
use super::api::{Passage, SearchRequest};
use super::rank::{Order, Place};
use super::search::{Depth, Found, is_permitted};
use super::snapshot::Snapshot;
use super::stages::Stages;
use crate::distance::dot_f32;
use crate::embed::mean_vector;
use crate::error::{Error, ErrorKind, Result};
use crate::rerank::RerankCandidate;
use crate::store::Record;
use crate::telemetry::Stage;
use crate::types::{Scope, Value};

/// Share of the time left that a reranker may take; the rest is for what comes after.
const SHARE_OF_TIME: f64 = 0.8;

/// A candidate with what is stored of it.
pub(super) struct Listed<'p> {
    pub(super) place: &'p Place<'p>,
    pub(super) record: Record,
    pub(super) passage: Passage,
    /// Further documents of the same value of the field that the request collapses by.
    pub(super) hidden: usize,
    /// What the reranker said.
    pub(super) reranked: Option<f32>,
    /// Its value of maximal marginal relevance when it was picked.
    pub(super) marginal: Option<f64>,
}

/// The best `count` candidates that may leave. Equal scores rank by the first run, then by id: all that tie with the last
/// one take part, so that the order of indexing decides nothing.
pub(super) fn settle<'p>(
    snapshot: &Snapshot,
    scope: &Scope,
    request: &SearchRequest,
    found: &Found<'_>,
    order: &'p Order<'_>,
    count: usize,
) -> Result<Vec<Listed<'p>>> {
    let first_run = |listed: &Listed<'_>| found.pool.first_run(listed.place.fused);
    let mut deep = count;
    loop {
        let last = order.places.get(deep - 1).map_or(f32::NEG_INFINITY, |place| place.score);
        let mut list = Vec::with_capacity(deep.min(order.places.len()));
        for place in order.places.iter().take_while(|place| place.score >= last) {
            let record = snapshot.existing_record(place.fused.id)?;
            if is_permitted(&found.visible, scope, request, place.fused.id, &record) {
                let passage = found.passage(place.fused, &record);
                list.push(Listed { place, record, passage, hidden: 0, reranked: None, marginal: None });
            }
        }
        list.sort_by(|a, b| {
            let by_score = b.place.score.total_cmp(&a.place.score);
            let by_run = by_score.then_with(|| first_run(a).cmp(&first_run(b)));
            by_run.then_with(|| a.record.id.cmp(&b.record.id))
        });
        list.truncate(deep);
        let Some(field) = &request.collapse else { return Ok(list) };
        let keys = list.iter().map(|listed| listed.record.metadata.get(field).map(key_of));
        let collapsed = collapse(keys, 1).map_err(|error| Error::internal(error.to_string()).with_source(error))?;
        if collapsed.kept.len() >= count || deep >= order.places.len() {
            for group in collapsed.groups {
                list[group.kept[0]].hidden = group.hidden;
            }
            let mut list: Vec<Option<Listed<'p>>> = list.into_iter().map(Some).collect();
            return Ok(collapsed.kept.into_iter().take(count).filter_map(|kept| list[kept].take()).collect());
        }
        deep *= 2; // too many alike: the groups are looked for among twice as many
    }
}

impl Inner {
    /// Puts the best candidates in the order of the reranker, if there is one. Where it fails or takes too long the order
    /// stays, which `degraded` then says.
    pub(super) fn rerank(
        &self,
        stages: &Stages<'_>,
        request: &SearchRequest,
        list: &mut [Listed<'_>],
        degraded: &mut Vec<String>,
    ) -> Result<()> {
        let Some(reranker) = self.reranker.load_full().filter(|_| !list.is_empty()) else { return Ok(()) };
        let best = list.len().min(self.config.rerank.depth);
        let best = &mut list[..best];
        let hurried = request.cancel.hurried(SHARE_OF_TIME).at_most(self.config.rerank.budget());
        let scores = stages.run_until(&hurried, Stage::Rerank, || {
            let candidates: Vec<RerankCandidate<'_>> = best.iter().map(Listed::as_candidate).collect();
            let scores = reranker.0.rerank(&request.text, &candidates, &hurried)?;
            if scores.len() != candidates.len() {
                let (found, wanted) = (scores.len(), candidates.len());
                return Err(Error::invalid(format!("the reranker gave {found} scores for {wanted} candidates")));
            }
            match scores.iter().find(|score| !score.is_finite()) {
                Some(score) => Err(Error::invalid(format!("the reranker gave the score {score}"))),
                None => Ok(scores),
            }
        });
        match skipped(scores, request)? {
            Ok(scores) => {
                best.iter_mut().zip(scores).for_each(|(listed, score)| listed.reranked = Some(score));
                best.sort_by(|a, b| b.reranked.unwrap_or_default().total_cmp(&a.reranked.unwrap_or_default()));
            }
            Err(reason) => degraded.push(format!("rerank: {reason}")),
        }
        Ok(())
    }
}

/// Puts variety before relevance as far as the request asks for it: maximal marginal relevance by the cosine of the
/// documents' vectors, among as many candidates as the depth says. Without time the order stays.
pub(super) fn diversify(
    stages: &Stages<'_>,
    snapshot: &Snapshot,
    request: &SearchRequest,
    depth: Depth,
    list: &mut Vec<Listed<'_>>,
    degraded: &mut Vec<String>,
) -> Result<()> {
    let Some(lambda) = request.diversity else { return Ok(()) };
    let hurried = request.cancel.hurried(SHARE_OF_TIME);
    let diversified = stages.run_until(&hurried, Stage::Diversify, || {
        let dimension = snapshot.vectors.dimension();
        let vector = |listed: &Listed<'_>| mean_vector(snapshot.vectors.vectors_of(listed.place.fused.id), dimension);
        let reranked = list.iter().take_while(|listed| listed.reranked.is_some()).count();
        // What the reranker has not seen has scores of another kind, and keeps its place behind.
        let pool = &list[..if reranked > 0 { reranked } else { list.len().min(depth.listed) }];
        let vectors: Vec<Vec<f32>> = pool.iter().map(vector).collect();
        let cosine = |one: usize, other: usize| match (&vectors[one][..], &vectors[other][..]) {
            ([], _) | (_, []) => 0.0,
            (one, other) => f64::from(dot_f32(one, other)),
        };
        let relevance = |listed: &Listed<'_>| f64::from(listed.reranked.unwrap_or(listed.place.score));
        let relevance: Vec<f64> = pool.iter().map(relevance).collect();
        let stopped = || hurried.check().is_err();
        let mmr = Mmr::new(f64::from(lambda)).pick(&relevance, cosine, pool.len(), &stopped);
        mmr.map_err(|error| Error::invalid(format!("`diversity`: {error}")).with_source(error))
    });
    match skipped(diversified, request)? {
        Ok(diversified) if diversified.stopped => {
            request.cancel.check()?;
            degraded.push("diversify: there was no time".to_owned());
        }
        Ok(diversified) => {
            let mut before: Vec<Option<Listed<'_>>> = std::mem::take(list).into_iter().map(Some).collect();
            for picked in diversified.picked {
                list.extend(before[picked.position].take().map(|listed| Listed { marginal: picked.value, ..listed }));
            }
            list.extend(before.into_iter().flatten());
        }
        Err(reason) => degraded.push(format!("diversify: {reason}")),
    }
    Ok(())
}

impl Listed<'_> {
    fn as_candidate(&self) -> RerankCandidate<'_> {
        let Record { id, title, metadata, .. } = &self.record;
        RerankCandidate { id, title, passage: &self.passage.text, metadata }
    }
}

/// The reason why a stage that an answer can do without is left out; an error where the caller's own word ended it.
pub(super) fn skipped<T>(result: Result<T>, request: &SearchRequest) -> Result<Result<T, Error>> {
    match result {
        Ok(value) => Ok(Ok(value)),
        // A stage may say `Cancelled` of itself; only the caller's own word ends the search.
        Err(error) => match request.cancel.check() {
            Err(_) if error.kind() == ErrorKind::Cancelled => Err(error),
            Err(stopped) => Err(stopped),
            Ok(()) => Ok(Err(error)),
        },
    }
}

/// What documents of one group have alike: the value, of a list all values.
fn key_of(value: &Value) -> String {
    format!("{value:?}")
}
