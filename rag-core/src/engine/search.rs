//! The query, top to bottom: gate → authorise → embed → dense ‖ lexical → fuse → features → ltr → rerank → diversify → hydrate.

use std::borrow::Cow;
use std::collections::HashMap;
use std::time::Instant;

use rag_fusion::{Fused, FusedHit, Method, Normalization, Run, Weighted, fuse};

use super::Inner;
use super::api::{Answer, Explanation, Hit, LtrExplanation, Mode, Passage, RunExplanation, SearchRequest, Served};
use super::list::{Listed, diversify, settle};
use super::rank::{Order, Place};
use super::snapshot::{Snapshot, Visible};
use super::stages::Stages;
use crate::ann::VectorQuery;
use crate::embed::{TextKind, check_embeddings, normalize};
use crate::error::{Error, Result};
use crate::gate::Assignment;
use crate::lexical::TextQuery;
use crate::store::Record;
use crate::telemetry::Stage;
use crate::tune::{DENSE, LEXICAL};
use crate::types::{ChunkId, DocNum, Scope};

/// A retriever's answer as a run of documents, and the best chunk of each.
pub(super) struct Retrieved {
    pub(super) run: Run,
    chunks: HashMap<DocNum, ChunkId>,
}

/// How deep a search goes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Depth {
    /// Candidates of each retriever.
    pub(super) retrieved: usize,
    /// Fused candidates that a ranker ranks.
    pub(super) ranked: usize,
    /// The best of these that are looked at again, or all that leave.
    pub(super) listed: usize,
}

/// The candidates of a question, fused.
pub(super) struct Found<'a> {
    pub(super) visible: Visible,
    pub(super) vector: Option<Cow<'a, [f32]>>,
    pub(super) runs: Vec<(&'static str, Retrieved)>,
    /// How the pool was made, for explanations.
    fusion: String,
    pub(super) pool: Fused,
    /// How many of them a ranker ranks.
    ranked: usize,
    plan: Option<&'static str>,
    degraded: Vec<String>,
}

impl Found<'_> {
    /// The best candidates, and all that tie with the last of them: the order of indexing cuts no tie.
    pub(super) fn best(&self) -> &[FusedHit] {
        let hits = self.pool.hits();
        let last = hits.get(self.ranked - 1).map_or(f64::NEG_INFINITY, |hit| hit.score);
        &hits[..hits.partition_point(|hit| hit.score >= last)]
    }
}

impl Inner {
    pub(super) fn depth(&self, request: &SearchRequest) -> Depth {
        let reranked = self.reranker.load().as_ref().map_or(0, |_| self.config.rerank.depth);
        let diversified = request.diversity.map_or(0, |_| self.config.diversity.depth);
        Depth {
            retrieved: self.config.fusion.depth.max(request.k),
            ranked: self.config.ltr.depth.max(request.k),
            listed: request.k.max(reranked).max(diversified),
        }
    }

    /// On the engine's threads from the beginning: to go there for each stage costs more than the stages of a small folder.
    /// `only`: of the hits the one of this id, at its rank among all.
    pub(super) fn search(
        &self,
        scope: &Scope,
        request: &SearchRequest,
        depth: Depth,
        only: Option<&str>,
    ) -> Result<Answer> {
        self.searching.run(|| {
            let assigned = self.assign(request);
            let begun = Instant::now();
            let answer = self.answer(scope, request, depth, only, &assigned);
            if only.is_none() {
                self.observe(&assigned, begun.elapsed(), &answer);
            }
            answer
        })
    }

    fn answer(
        &self,
        scope: &Scope,
        request: &SearchRequest,
        depth: Depth,
        only: Option<&str>,
        assigned: &Assignment,
    ) -> Result<Answer> {
        self.lock.may_read()?;
        let stages = Stages::new(&*self.telemetry, &request.cancel);
        let snapshot = self.snapshot.load_full();
        let found = self.find(&stages, &snapshot, scope, request, depth)?;
        let order = self.rank(&stages, &snapshot, scope, request, &found, assigned)?;
        let mut degraded: Vec<String> = found.degraded.iter().cloned().chain(order.skipped.clone()).collect();
        let count = depth.listed.max(request.k);
        let mut list = stages.run(Stage::Hydrate, || settle(&snapshot, scope, request, &found, &order, count))?;
        self.rerank(&stages, request, &mut list, &mut degraded)?;
        diversify(&stages, &snapshot, request, depth, &mut list, &mut degraded)?;
        list.truncate(request.k);
        let hits = self.hits(request, &found, &order, list, only)?;
        self.lock.may_read()?;
        Ok(Answer {
            hits,
            commit_seq: snapshot.seq,
            visible: found.visible.len(),
            degraded,
            plan: found.plan,
            gate: Served::new(assigned, order.own_weight),
            feature_cache_hits: order.cache_hits,
            stages: stages.durations(),
        })
    }

    /// Authorise → embed → dense ‖ lexical → fuse: the candidates, for answers and for feature logs.
    pub(super) fn find<'a>(
        &self,
        stages: &Stages<'_>,
        snapshot: &Snapshot,
        scope: &Scope,
        request: &'a SearchRequest,
        depth: Depth,
    ) -> Result<Found<'a>> {
        let visible = stages.run(Stage::Authorise, || visible(snapshot, scope, request))?;
        let vector = stages.run(Stage::Embed, || self.query_vector(request))?;

        let (dense, lexical) = self.searching.both(
            || stages.run(Stage::Dense, || self.dense(snapshot, &visible, vector.as_deref(), depth.retrieved, request)),
            || stages.run(Stage::Lexical, || lexical(snapshot, &visible, depth.retrieved, request)),
        );
        let (dense, lexical) = (dense?, lexical?);
        let mut degraded = snapshot.unknown_fields(scope, request.filter.as_ref(), &visible)?;
        if request.mode != Mode::Lexical && vector.is_none() {
            degraded.push("dense: the model knows no word of the query".to_owned());
        }

        let mut runs = Vec::new();
        let mut plan = None;
        if let Some((retrieved, how)) = dense {
            plan = Some(how);
            runs.push((DENSE, retrieved));
        }
        if let Some(retrieved) = lexical {
            runs.push((LEXICAL, retrieved));
        }
        let (fusion, pool) = stages.run(Stage::Fuse, || self.fuse(request.mode, &runs))?;
        Ok(Found { visible, vector, runs, fusion, pool, ranked: depth.ranked, plan, degraded })
    }

    /// The vector of the question: the caller's, else the model's; `None` when the model knows no word of it or the
    /// dense retriever is not asked.
    fn query_vector<'a>(&self, request: &'a SearchRequest) -> Result<Option<Cow<'a, [f32]>>> {
        if request.mode == Mode::Lexical {
            return Ok(None);
        }
        if let Some(vector) = &request.vector {
            return normalized(vector, self.embedder.dimension()).map(|unit| Some(Cow::Owned(unit)));
        }
        let text = [request.text.as_str()];
        let embeddings = self.embedder.embed(&text, TextKind::Query, &request.cancel)?;
        check_embeddings(&embeddings, self.embedder.identity(), 1)?;
        let is_known = embeddings.vectors.iter().any(|&value| value != 0.0);
        Ok(is_known.then_some(Cow::Owned(embeddings.vectors)))
    }

    fn dense(
        &self,
        snapshot: &Snapshot,
        visible: &Visible,
        vector: Option<&[f32]>,
        depth: usize,
        request: &SearchRequest,
    ) -> Result<Option<(Retrieved, &'static str)>> {
        let Some(vector) = vector else { return Ok(None) };
        let mut plan = "";
        let retrieved = collapse(DENSE, depth, |k| {
            let query = VectorQuery { vector, k, ef: None, allow: visible.allow(), cancel: &request.cancel };
            let found = self.searching.run(|| snapshot.vectors.search(&query))?;
            plan = found.plan;
            Ok(found.hits.into_iter().map(|hit| (hit.chunk, hit.score)).collect())
        })?;
        Ok(Some((retrieved, plan)))
    }

    /// One run keeps its own scores; two are combined with the dense weight of the configuration or the model.
    fn fuse(&self, mode: Mode, runs: &[(&'static str, Retrieved)]) -> Result<(String, Fused)> {
        let runs: Vec<(&'static str, &Run)> = runs.iter().map(|(name, retrieved)| (*name, &retrieved.run)).collect();
        let single = match mode {
            Mode::Hybrid => None,
            Mode::Dense => Some(DENSE),
            Mode::Lexical => Some(LEXICAL),
        };
        if let Some(name) = single {
            let weighted: Vec<Weighted<'_>> = runs.iter().map(|(_, run)| Weighted::new(run, 1.0)).collect();
            let pool = fuse(&weighted, &Method::Sum, &Normalization::None, usize::MAX).map_err(fusion_error)?;
            return Ok((name.to_owned(), pool));
        }
        let dense_weight = self.config.fusion.dense_weight.unwrap_or_else(|| self.embedder.dense_weight());
        Ok((self.formula.name.clone(), self.formula.fuse(&runs, dense_weight.into())?))
    }
}

/// What the scope and the filter let through and, in query syntax, the clauses with `+` and `-`: these hold for both
/// retrievers.
fn visible(snapshot: &Snapshot, scope: &Scope, request: &SearchRequest) -> Result<Visible> {
    let visible = snapshot.visible(scope, request.filter.as_ref())?;
    if !request.syntax {
        return Ok(visible);
    }
    Ok(match snapshot.lexical.required(&TextQuery::Syntax(request.text.clone()))? {
        Some(required) => visible.narrowed(&required),
        None => visible,
    })
}

fn lexical(snapshot: &Snapshot, visible: &Visible, depth: usize, request: &SearchRequest) -> Result<Option<Retrieved>> {
    if request.mode == Mode::Dense || request.text.trim().is_empty() {
        return Ok(None);
    }
    let text = request.text.clone();
    let query = if request.syntax { TextQuery::Syntax(text) } else { TextQuery::Words(text) };
    collapse(LEXICAL, depth, |k| snapshot.lexical.search(&query, k, visible.allow(), &request.cancel)).map(Some)
}

/// Chunks to documents: each document counts with its best chunk. Asks for more chunks until there are `depth`
/// documents or no more chunks.
fn collapse(
    name: &str,
    depth: usize,
    mut retrieve: impl FnMut(usize) -> Result<Vec<(ChunkId, f32)>>,
) -> Result<Retrieved> {
    let mut k = depth;
    loop {
        let found = retrieve(k)?;
        let mut best: HashMap<DocNum, (ChunkId, f32)> = HashMap::with_capacity(depth);
        for &(chunk, score) in &found {
            best.entry(chunk.doc()).or_insert((chunk, score)); // best first, so the first chunk is the best
        }
        if best.len() >= depth || found.len() < k {
            let mut documents: Vec<(ChunkId, f32)> = best.into_values().collect();
            documents.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
            documents.truncate(depth);
            let chunks = documents.iter().map(|&(chunk, _)| (chunk.doc(), chunk)).collect();
            let run = Run::new(name, documents.iter().map(|&(chunk, score)| (chunk.doc(), f64::from(score))));
            return Ok(Retrieved { run: run.map_err(fusion_error)?, chunks });
        }
        k *= 4;
    }
}

/// Whether a document may leave: the scope and the filter once more, on what is stored.
pub(super) fn is_permitted(
    visible: &Visible,
    scope: &Scope,
    request: &SearchRequest,
    doc: DocNum,
    record: &Record,
) -> bool {
    visible.contains(doc)
        && record.tenant == scope.tenant_name()
        && [scope.filter(), request.filter.as_ref()].into_iter().flatten().all(|f| f.matches(&record.metadata))
}

impl Found<'_> {
    /// The passage of a document that the run which adds most to its score found.
    pub(super) fn passage(&self, fused: &FusedHit, record: &Record) -> Passage {
        let mut parts: Vec<_> = self.pool.contributions(fused).zip(&self.runs).collect();
        parts.sort_by(|(one, _), (other, _)| other.value.total_cmp(&one.value));
        let chunk = parts.iter().find_map(|(_, (_, run))| run.chunks.get(&fused.id)).copied();
        let ordinal = chunk.map_or(0, |chunk| chunk.ordinal() as usize);
        let (start, end) = record.chunks.get(ordinal).map_or((0, 0), |&(start, end)| (start as usize, end as usize));
        Passage { ordinal, start, end, text: record.chunk(ordinal).unwrap_or_default().to_owned() }
    }
}

impl Inner {
    /// What leaves; `only`: of the list the document of this id.
    fn hits(
        &self,
        request: &SearchRequest,
        found: &Found<'_>,
        order: &Order<'_>,
        list: Vec<Listed<'_>>,
        only: Option<&str>,
    ) -> Result<Vec<Hit>> {
        let ranked = (1..).zip(list).filter(|(_, listed)| only.is_none_or(|id| listed.record.id == id));
        let ranked: Vec<(usize, Listed<'_>)> = ranked.collect();
        let explanations: Vec<Option<Explanation>> = if request.explain {
            request.cancel.check()?;
            let places: Vec<&Place<'_>> = ranked.iter().map(|(_, listed)| listed.place).collect();
            let learned = order.explain(&places, self.schema())?;
            ranked.iter().zip(learned).map(|((_, listed), learned)| Some(explanation(found, listed, learned))).collect()
        } else {
            vec![None; ranked.len()]
        };
        let hit = |((rank, listed), explanation): ((usize, Listed<'_>), Option<Explanation>)| {
            let Listed { place, record, passage, hidden, .. } = listed;
            let Record { id, title, metadata, .. } = record;
            Hit { rank, score: place.score, id, title, metadata, passage, hidden, explanation }
        };
        Ok(ranked.into_iter().zip(explanations).map(hit).collect())
    }
}

/// How a place came about; `learned`: what the model said of it.
fn explanation(found: &Found<'_>, listed: &Listed<'_>, learned: Option<LtrExplanation>) -> Explanation {
    let place = listed.place;
    let parts = found.pool.contributions(place.fused).zip(&found.runs);
    let runs = parts.map(|(part, (run, _))| RunExplanation {
        run,
        rank: part.rank,
        score: part.rank.map(|_| part.score as f32),
        normalized: part.rank.map(|_| part.normalized as f32),
        weight: part.weight as f32,
        contribution: part.value as f32,
    });
    Explanation {
        score: place.score,
        fusion: found.fusion.clone(),
        runs: runs.collect(),
        ltr: learned,
        rerank: listed.reranked,
        diversity: listed.marginal,
    }
}

fn normalized(vector: &[f32], dimension: usize) -> Result<Vec<f32>> {
    crate::ann::check_vectors("vector", vector, dimension)?;
    if vector.len() != dimension {
        return Err(Error::invalid(format!("`vector` has {} values; the model has {dimension}", vector.len())));
    }
    if vector.iter().all(|&value| value == 0.0) {
        return Err(Error::invalid("`vector` is all zeros; it is close to nothing"));
    }
    let mut unit = vector.to_vec();
    normalize(&mut unit);
    Ok(unit)
}

fn fusion_error(error: rag_fusion::Error) -> Error {
    Error::internal(format!("fusion: {error}")).with_source(error)
}
