//! What is computed from stored documents.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::cached::{FACTS, payload};
use super::document::{Facts, freshness, written};
use super::extract::{FeatureRows, Work};
use super::functions::{FeatureDocument, FeatureFunction, FeatureQuery};
use crate::error::{Error, Result};
use crate::store::Record;
use crate::types::Value;

impl Work<'_> {
    /// What holds of the documents whatever is asked: metadata, freshness and clicks.
    pub(super) fn add_documents(&mut self, rows: &mut FeatureRows) -> Result<()> {
        let extractor = self.extractor;
        let (plan, config) = (&extractor.plan, &extractor.config);
        if plan.metadata.is_empty() && plan.freshness.is_empty() && plan.clicks.is_empty() {
            return Ok(());
        }
        let facts = self.facts(rows)?;
        let history = extractor.clicks.load();
        let clicks = history.of(self.question.tenant).zip(config.clicks.as_ref());
        for (row, facts) in rows.values.chunks_exact_mut(plan.columns()).zip(&facts) {
            row[plan.metadata.clone()].copy_from_slice(&facts.values);
            let cells = row[plan.freshness.clone()].iter_mut();
            for ((cell, date), field) in cells.zip(&facts.dates).zip(&config.freshness) {
                *cell = date.map_or(f32::NAN, |date| freshness(date, self.question.now, field));
            }
            if let Some(features) = clicks.and_then(|(history, config)| history.features(facts.id, config)) {
                row[plan.clicks.clone()].copy_from_slice(&features);
            }
        }
        Ok(())
    }

    fn facts(&mut self, rows: &mut FeatureRows) -> Result<Vec<Facts>> {
        let extractor = self.extractor;
        let (dates, values) = (extractor.config.freshness.len(), extractor.plan.metadata.len());
        let keys = self.keys(FACTS, 0, 0);
        let (mut facts, mut missing) = (Vec::with_capacity(self.docs.len()), Vec::new());
        for (position, cached) in self.cached(&keys)?.into_iter().enumerate() {
            let cached = cached.and_then(|blob| Facts::from_bytes(payload(&blob), dates, values));
            let found = cached.map_or_else(
                || {
                    missing.push(position);
                    Ok(Facts::of(self.record(position)?, &extractor.config))
                },
                Ok::<Facts, Error>,
            );
            facts.push(found?);
        }
        rows.count(missing.len(), facts.len());
        if !missing.is_empty() {
            self.keep(&keys, missing.iter().map(|&position| (position, facts[position].to_bytes())));
        }
        Ok(facts)
    }

    /// The features of the caller's own functions.
    pub(super) fn add_functions(&mut self, values: &mut [f32]) -> Result<()> {
        let extractor = self.extractor;
        if extractor.functions.is_empty() {
            return Ok(());
        }
        for position in 0..self.docs.len() {
            self.record(position)?;
        }
        let documents = self.records.iter().flatten().map(|Record { id, title, text, metadata, .. }| FeatureDocument {
            id,
            title,
            text,
            metadata,
        });
        let documents: Vec<FeatureDocument<'_>> = documents.collect();
        let query = FeatureQuery {
            text: self.question.text,
            tenant: self.question.tenant,
            vector: self.question.vector,
            cancel: self.question.cancel,
        };
        for (function, columns) in extractor.functions.iter().zip(&extractor.plan.functions) {
            self.question.cancel.check()?;
            let computed = run(&**function, query, &documents)?;
            if computed.len() != documents.len() * columns.len() {
                return Err(Error::internal(format!(
                    "the feature function {function:?} gave {} values for {} documents of {} features",
                    computed.len(),
                    documents.len(),
                    columns.len()
                )));
            }
            let rows = values.chunks_exact_mut(extractor.plan.columns());
            for (row, computed) in rows.zip(computed.chunks_exact(columns.len().max(1))) {
                for (cell, value) in row[columns.clone()].iter_mut().zip(computed) {
                    *cell = value.clamp(f32::MIN, f32::MAX);
                }
            }
        }
        Ok(())
    }

    /// For each equality field whether one of its values stands in the question, word for word; NaN where the document
    /// has no such field or its values have no words. `asked`: the words of the question in their order.
    pub(super) fn equality(&mut self, position: usize, asked: &[&str]) -> Result<Vec<f32>> {
        let (extractor, lexical) = (self.extractor, self.sources.lexical);
        let record = self.record(position)?;
        let equal = extractor.config.equality.iter().map(|field| {
            let values = match record.metadata.get(field) {
                Some(Value::List(values)) => values.as_slice(),
                Some(single) => std::slice::from_ref(single),
                None => return f32::NAN,
            };
            values.iter().filter_map(written).fold(f32::NAN, |best, value| {
                let terms = lexical.terms(&value);
                if terms.is_empty() {
                    return best;
                }
                let stands = asked.windows(terms.len()).any(|asked| asked.iter().zip(&terms).all(|(a, (_, b))| a == b));
                best.max(f32::from(u8::from(stands)))
            })
        });
        Ok(equal.collect())
    }

    pub(super) fn record(&mut self, position: usize) -> Result<&Record> {
        let record = &mut self.records[position];
        if record.is_none() {
            *record = self.sources.store.record(self.docs[position])?;
        }
        record.as_ref().ok_or_else(|| {
            Error::corruption("an index has a document that the store does not have").with("way out", "verify")
        })
    }
}

/// A defect of the caller's function is an error like others.
fn run(function: &dyn FeatureFunction, query: FeatureQuery<'_>, documents: &[FeatureDocument<'_>]) -> Result<Vec<f32>> {
    catch_unwind(AssertUnwindSafe(|| function.compute(query, documents)))
        .unwrap_or_else(|_| Err(Error::internal(format!("the feature function {function:?} panicked"))))
}
