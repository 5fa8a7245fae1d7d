//! From candidates to rows of features.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::sync::Arc;

use arc_swap::ArcSwap;
use rag_fusion::{Contribution, Fused, FusedHit, Normalization, Run, normalize};
use rag_ltr::schema::Migrations;

use super::cached::{MATCHING, floats, payload};
use super::clicks::{ClickCounts, ClickHistory, TenantClicks};
use super::config::FeaturesConfig;
use super::functions::FeatureFunction;
use super::plan::{Plan, RUNS};
use super::text::{self, FieldFeatures, Scratch};
use crate::ann::VectorIndex;
use crate::cache::{CacheStats, FeatureCache, MemoryCache};
use crate::distance::dot_f32;
use crate::error::{Error, Result};
use crate::lexical::{BODY, FIELDS, FieldStatistics, LexicalView, QueryWords, TEXT, TITLE, TextQuery};
use crate::store::{Record, StoreView};
use crate::types::{Cancel, DocNum};

/// Where features come from: one snapshot of the engine.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sources<'a> {
    pub(crate) store: &'a StoreView,
    pub(crate) lexical: &'a LexicalView,
    pub(crate) vectors: &'a dyn VectorIndex,
    pub(crate) seq: u64,
}

/// What is asked, by whom and when.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Question<'a> {
    pub(crate) text: &'a str,
    pub(crate) syntax: bool,
    pub(crate) vector: Option<&'a [f32]>,
    pub(crate) tenant: &'a str,
    /// Microseconds since 1970.
    pub(crate) now: i64,
    pub(crate) cancel: &'a Cancel,
}

/// The candidates of a question, best first, and the runs that they come from. All of them are permitted: the scope was
/// applied before there were runs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Candidates<'a> {
    pub(crate) runs: &'a [(&'static str, &'a Run)],
    pub(crate) fused: &'a Fused,
    /// The best of them, which are asked about.
    pub(crate) pool: &'a [FusedHit],
}

/// Rows of features, one a candidate.
#[derive(Debug, Default)]
pub(crate) struct FeatureRows {
    pub(crate) values: Vec<f32>,
    /// What the cache had, and what it did not.
    pub(crate) hits: usize,
    pub(crate) misses: usize,
}

impl FeatureRows {
    /// Share of the features that the cache had.
    #[cfg_attr(not(feature = "engine"), allow(dead_code))]
    pub(crate) fn hit_ratio(&self) -> Option<f64> {
        let asked = self.hits + self.misses;
        (asked > 0).then(|| self.hits as f64 / asked as f64)
    }

    pub(super) fn count(&mut self, missing: usize, all: usize) {
        self.hits += all - missing;
        self.misses += missing;
    }
}

/// Computes features, for serving and for logs alike.
#[derive(Debug)]
pub(crate) struct Extractor {
    pub(crate) plan: Plan,
    /// Ways from the schema to those of before.
    pub(crate) migrations: Migrations,
    pub(super) config: FeaturesConfig,
    pub(super) functions: Vec<Arc<dyn FeatureFunction>>,
    pub(super) cache: Option<Arc<dyn FeatureCache>>,
    pub(super) clicks: ArcSwap<ClickHistory>,
    /// Drawn when the engine is opened, for the keys of cached values: they hold for this folder, its model, analyser and
    /// settings, and a copy of the folder goes on as another one.
    instance: u64,
}

impl Extractor {
    /// `model` and `analyser` name what makes vectors and words; features say so in the schema.
    ///
    /// # Errors
    /// `InvalidArgument` for a configuration that gives no schema.
    pub(crate) fn new(
        config: &FeaturesConfig,
        functions: Vec<Arc<dyn FeatureFunction>>,
        cache: Option<Arc<dyn FeatureCache>>,
        model: &str,
        analyser: &str,
    ) -> Result<Extractor> {
        let plan = Plan::new(config, &functions, model, analyser)?;
        let in_memory = || (config.cache_mib > 0).then(|| MemoryCache::new((config.cache_mib as u64) << 20));
        let cache = cache.or_else(|| in_memory().map(|cache| Arc::new(cache) as Arc<dyn FeatureCache>));
        let config = config.clone();
        let schemas = config.schemas.iter().chain([&plan.schema]).cloned().collect();
        let migrations = Migrations::new(schemas, config.migrations.clone())
            .map_err(|error| Error::invalid(format!("`features.migrations`: {error}")).with_source(error))?;
        Ok(Extractor { plan, migrations, config, functions, cache, clicks: ArcSwap::default(), instance: random() })
    }

    /// Takes the click-through history of a tenant, in the place of the one before; without rows it has none.
    ///
    /// # Errors
    /// `InvalidArgument`, naming the document, and where clicks are no feature.
    pub(crate) fn set_clicks(&self, tenant: &str, rows: &[ClickCounts]) -> Result<()> {
        if self.config.clicks.is_none() {
            return Err(Error::invalid(
                "clicks are no feature of this engine; set `features.clicks` and open it again",
            ));
        }
        let clicks = if rows.is_empty() { None } else { Some(Arc::new(TenantClicks::new(rows)?)) };
        self.clicks.rcu(|history| history.with(tenant, clicks.as_ref()));
        Ok(())
    }

    pub(crate) fn cache_stats(&self) -> CacheStats {
        self.cache.as_ref().map(|cache| cache.stats()).unwrap_or_default()
    }

    /// The features of every candidate.
    ///
    /// # Errors
    /// `Cancelled`, `DeadlineExceeded`, `Corruption`, and what the cache and the caller's functions report.
    pub(crate) fn extract(
        &self,
        sources: Sources<'_>,
        question: Question<'_>,
        candidates: Candidates<'_>,
    ) -> Result<FeatureRows> {
        let mut rows = FeatureRows {
            values: vec![f32::NAN; candidates.pool.len() * self.plan.columns()],
            ..FeatureRows::default()
        };
        let mut work = Work {
            extractor: self,
            sources,
            question,
            docs: candidates.pool.iter().map(|hit| hit.id).collect(),
            records: vec![None; candidates.pool.len()],
            instance: self.instance,
        };
        if work.docs.is_empty() {
            return Ok(rows);
        }
        self.add_retrieval(candidates, &mut rows.values);
        work.add_words(&mut rows)?;
        work.add_documents(&mut rows)?;
        work.add_feedback(candidates.pool, &mut rows.values)?;
        work.add_functions(&mut rows.values)?;
        Ok(rows)
    }

    fn add_retrieval(&self, candidates: Candidates<'_>, values: &mut [f32]) {
        if self.plan.retrieval.is_empty() {
            return;
        }
        let scaled: Vec<Vec<f64>> =
            candidates.runs.iter().map(|(_, run)| normalize(run, &Normalization::MinMax)).collect();
        let columns = RUNS.map(|name| candidates.runs.iter().position(|(run, _)| *run == name));
        for (position, (hit, row)) in
            candidates.pool.iter().zip(values.chunks_exact_mut(self.plan.columns())).enumerate()
        {
            let row = &mut row[self.plan.retrieval.clone()];
            let parts: Vec<Contribution> = candidates.fused.contributions(hit).collect();
            let (of_runs, of_all) = row.split_at_mut(3 * RUNS.len());
            for (cells, run) in of_runs.as_chunks_mut::<3>().0.iter_mut().zip(columns) {
                let Some(run) = run else { continue };
                let part = parts[run];
                if let Some(rank) = part.rank {
                    *cells = [rank as f32, part.score as f32, scaled[run][rank - 1] as f32];
                }
            }
            let found = parts.iter().filter(|part| part.rank.is_some()).count();
            of_all.copy_from_slice(&[(position + 1) as f32, hit.score as f32, found as f32]);
        }
    }
}

/// One extraction.
pub(super) struct Work<'a> {
    pub(super) extractor: &'a Extractor,
    pub(super) sources: Sources<'a>,
    pub(super) question: Question<'a>,
    /// The candidates, in the order of the rows.
    pub(super) docs: Vec<DocNum>,
    /// Their stored documents, as far as they were needed yet.
    pub(super) records: Vec<Option<Record>>,
    /// What stands for the engine in the keys of cached values.
    pub(super) instance: u64,
}

impl Work<'_> {
    /// The question's own features, and those of the question and each document.
    fn add_words(&mut self, rows: &mut FeatureRows) -> Result<()> {
        let plan = &self.extractor.plan;
        if plan.query.is_empty() && plan.matching.is_empty() {
            return Ok(());
        }
        let text = self.question.text.to_owned();
        let query = if self.question.syntax { TextQuery::Syntax(text) } else { TextQuery::Words(text) };
        let words = self.sources.lexical.query_words(&query)?;
        let statistics = self.sources.lexical.statistics(&words.words)?;
        let query = self.query_features(&words, &statistics[BODY]);
        for row in rows.values.chunks_exact_mut(plan.columns()) {
            row[plan.query.clone()].copy_from_slice(&query[..plan.query.len()]);
        }
        if plan.matching.is_empty() {
            return Ok(());
        }
        let keys = self.keys(MATCHING, self.query_hash(), self.epoch());
        let mut missing = Vec::new();
        for (position, cached) in self.cached(&keys)?.into_iter().enumerate() {
            let row = &mut rows.values[position * plan.columns()..][plan.matching.clone()];
            match cached.and_then(|blob| floats(payload(&blob))).filter(|cached| cached.len() == row.len()) {
                Some(cached) => row.copy_from_slice(&cached),
                None => missing.push(position),
            }
        }
        rows.count(missing.len(), self.docs.len());
        if missing.is_empty() {
            return Ok(());
        }
        self.match_documents(&missing, &words, &statistics, &mut rows.values)?;
        let values = |&position: &usize| {
            let row = &rows.values[position * plan.columns()..][plan.matching.clone()];
            (position, row.iter().flat_map(|value| value.to_le_bytes()).collect())
        };
        self.keep(&keys, missing.iter().map(values));
        Ok(())
    }

    fn query_features(&self, words: &QueryWords, statistics: &FieldStatistics) -> [f32; 6] {
        let idf = &statistics.idf;
        let (least, most, sum) = idf
            .iter()
            .fold((f64::NAN, f64::NAN, 0.0), |(least, most, sum), &idf| (idf.min(least), idf.max(most), sum + idf));
        let count = words.words.len() as f64;
        let letters = self.question.text.trim().chars().count() as f64;
        let (sum, mean) = if idf.is_empty() { (f64::NAN, f64::NAN) } else { (sum, sum / count) };
        [count, letters, least, most, mean, sum].map(|value| value as f32)
    }

    /// Text, lengths, vectors and equality of the documents at these positions.
    fn match_documents(
        &mut self,
        missing: &[usize],
        words: &QueryWords,
        statistics: &[FieldStatistics; FIELDS],
        values: &mut [f32],
    ) -> Result<()> {
        let plan = &self.extractor.plan;
        let columns = plan.columns();
        if !plan.text.is_empty() || !plan.lengths.is_empty() {
            let docs: Vec<DocNum> = missing.iter().map(|&position| self.docs[position]).collect();
            let words_of_text: &[String] = if plan.text.is_empty() { &[] } else { &words.words };
            let occurrences = self.sources.lexical.occurrences(words_of_text, &docs, self.question.cancel)?;
            let mut scratch = Scratch::default();
            let mut fields = vec![FieldFeatures::MISSING; docs.len() * plan.text_fields.len()];
            let mut lengths = vec![[0.0f32; 3]; docs.len()];
            for chunk in &occurrences.chunks {
                self.question.cancel.check()?;
                let [title, text, chunks] = &mut lengths[chunk.document];
                *title = chunk.lengths[TITLE] as f32;
                *text += chunk.lengths[TEXT] as f32;
                *chunks += 1.0;
                let of_document = fields.chunks_exact_mut(plan.text_fields.len().max(1)).nth(chunk.document);
                for (features, &field) in of_document.into_iter().flatten().zip(&plan.text_fields) {
                    scratch.add_chunk(features, words, &statistics[field], &occurrences, chunk, field);
                }
            }
            for (at, &position) in missing.iter().enumerate() {
                let row = &mut values[position * columns..][..columns];
                let of_fields = fields[at * plan.text_fields.len()..].iter().take(plan.text_fields.len());
                for (cells, features) in row[plan.text.clone()].chunks_exact_mut(text::NAMES.len()).zip(of_fields) {
                    cells.copy_from_slice(&features.values());
                }
                row[plan.lengths.clone()].copy_from_slice(&lengths[at][..plan.lengths.len()]);
            }
        }
        if let Some(vector) = self.question.vector.filter(|_| !plan.vector.is_empty()) {
            for &position in missing {
                self.question.cancel.check()?;
                let stored = self.sources.vectors.vectors_of(self.docs[position]);
                let cosines = stored.chunks_exact(vector.len().max(1)).map(|row| dot_f32(row, vector));
                let row = &mut values[position * columns..][plan.vector.clone()];
                row.copy_from_slice(&best_mean_first(cosines));
            }
        }
        if !plan.equality.is_empty() {
            let asked: Vec<&str> =
                words.sequence.iter().map(|(_, word)| words.words[*word as usize].as_str()).collect();
            for &position in missing {
                self.question.cancel.check()?;
                let equal = self.equality(position, &asked)?;
                values[position * columns..][plan.equality.clone()].copy_from_slice(&equal);
            }
        }
        Ok(())
    }
}

/// Another number each time, in every process: the standard library seeds its hash tables so.
fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}

fn best_mean_first(mut cosines: impl Iterator<Item = f32>) -> [f32; 3] {
    let Some(first) = cosines.next() else { return [f32::NAN; 3] };
    let (mut best, mut sum, mut count) = (first, f64::from(first), 1.0);
    for cosine in cosines {
        best = best.max(cosine);
        sum += f64::from(cosine);
        count += 1.0;
    }
    [best, (sum / count) as f32, first]
}
