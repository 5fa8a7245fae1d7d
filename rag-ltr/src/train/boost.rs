//! Boosting: tree after tree, each on the derivatives that those before it leave.

use std::ops::ControlFlow;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::model::{Arithmetic, Ensemble, EnsembleParts, Link, Tree};
use crate::random::SplitMix64;
use crate::threads::{MAX_THREADS, Threads};
use crate::train::dataset::Dataset;
use crate::train::evaluate::Evaluator;
use crate::train::gradients::Loss;
use crate::train::grow::{Grower, Grown, pick};
use crate::train::histogram::Derivatives;
use crate::train::parameters::{LambdaMart, Objective};
use crate::train::table::Table;

/// How often other rows and features are drawn for a tree where no split of those drawn is good enough.
const MOST_DRAWS: usize = 100;

/// What a training made.
#[derive(Debug, Clone, PartialEq)]
pub struct Trained {
    /// The trees up to the best iteration.
    pub ensemble: Ensemble,
    /// The learning curve: one point for each tree that was grown, those after the best iteration included.
    pub curve: Vec<Round>,
    /// How many trees the ensemble has: those with the best validation where early stopping is on, else all.
    pub best_iteration: usize,
    /// Why there are no more trees.
    pub end: End,
}

/// Why a training ended.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// All trees are grown.
    Complete,
    /// The caller ended it.
    Stopped,
    /// The validation has not become better for [`LambdaMart::early_stopping_rounds`] trees.
    NotBetter,
    /// No split improves the objective within the limits of a leaf, or the labels are met. Where rows or features are
    /// drawn, 100 draws in a row had no such split.
    NothingToSplit,
}

/// One point of a learning curve.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Round {
    /// Mean nDCG of the training at each of [`LambdaMart::eval_at`], in which a query without a gain counts 0 (LightGBM
    /// counts it 1); the loss for objectives that do not rank; empty where it is not asked for.
    pub training: Vec<f64>,
    /// The same of the validation; empty without one.
    pub validation: Vec<f64>,
}

/// How far a training is.
#[derive(Debug, Clone, Copy)]
pub struct Progress<'a> {
    /// Trees grown.
    pub iteration: usize,
    /// Trees asked for.
    pub num_trees: usize,
    /// What the last of them brought.
    pub round: &'a Round,
}

/// Trains trees boosted for a ranking: LambdaMART (Burges 2010) on histograms (Ke et al. 2017).
///
/// The same data, parameters and seed give the same trees, whatever the number of threads. `progress` is called on the
/// thread of the caller after each tree; [`ControlFlow::Break`] ends the training with the trees that there are. It ends
/// early too when no split improves the objective any more; [`Trained::end`] says so. Where already the first tree finds
/// none, the ensemble has no trees and answers the same for every row. A bag of rows without a split is drawn again, and
/// costs no tree.
///
/// ```
/// use std::ops::ControlFlow;
/// use rag_ltr::Rows;
/// use rag_ltr::train::{Dataset, LambdaMart, lambdamart};
///
/// // 40 queries of 5 documents; the first feature is what the grades follow, the second is none of it.
/// let features: Vec<f32> = (0..200).flat_map(|at| [(at * 7 % 5) as f32, (at % 3) as f32]).collect();
/// let labels: Vec<f32> = (0..200).map(|at| (at * 7 % 5) as f32).collect();
/// let dataset = Dataset::new(Rows::new(&features, 2)?, &labels, &[5; 40]);
/// let parameters = LambdaMart { num_trees: 20, ..LambdaMart::default() };
/// let trained = lambdamart(&dataset, None, &parameters, &mut |_| ControlFlow::Continue(()))?;
/// assert_eq!(trained.curve[19].training, [1.0]);
/// let margins = trained.ensemble.margins(Rows::new(&[4.0, 0.0, 1.0, 2.0], 2)?)?;
/// assert!(margins[0] > margins[1]);
/// # Ok::<(), rag_ltr::Error>(())
/// ```
///
/// # Errors
/// [`Error::Setting`] for a parameter out of its range, [`Error::Training`] for data that does not fit together and for
/// derivatives or scores that leave the range of numbers.
pub fn lambdamart(
    dataset: &Dataset<'_>,
    validation: Option<&Dataset<'_>>,
    parameters: &LambdaMart,
    progress: &mut dyn FnMut(Progress<'_>) -> ControlFlow<()>,
) -> Result<Trained> {
    parameters.check()?;
    parameters.check_columns(dataset.rows.columns())?;
    dataset.check(parameters)?;
    if let Some(validation) = validation {
        validation.check(parameters)?;
        let (wanted, found) = (dataset.rows.columns(), validation.rows.columns());
        if wanted != found {
            return Err(Error::Training(format!("the validation has {found} columns, the training {wanted}")));
        }
    } else if parameters.early_stopping_rounds > 0 {
        return Err(Error::Training("early_stopping_rounds needs a validation; give one, or set it to 0".to_owned()));
    }
    let threads = Threads::new(parameters.num_threads, MAX_THREADS)?;
    let table = Table::new(dataset, parameters, &threads)?;
    let loss = Loss::new(dataset, parameters);
    let mut boosting = Boosting {
        dataset,
        parameters,
        threads: &threads,
        grower: Grower::new(&table, parameters, &threads),
        features: vec![true; table.features.len()],
        scores: vec![loss.base(); dataset.rows.len()],
        derivatives: vec![Derivatives::default(); dataset.rows.len()],
        bag: (0..dataset.rows.len() as u32).collect(),
        random: SplitMix64::new(parameters.seed),
        loss: &loss,
    };
    let evaluator = Evaluator::new(dataset, parameters);
    let mut watched = validation.map(|validation| Watched {
        dataset: *validation,
        evaluator: Evaluator::new(validation, parameters),
        scores: vec![loss.base(); validation.rows.len()],
    });
    let (mut trees, mut curve) = (Vec::new(), Vec::new());
    let mut best: Option<(f64, usize)> = None;
    let mut end = End::Complete;
    while trees.len() < parameters.num_trees {
        let Some(tree) = threads.run(|| boosting.next_tree(trees.len()))? else {
            end = End::NothingToSplit;
            break;
        };
        let mut round = Round::default();
        if parameters.is_provide_training_metric {
            round.training = evaluator.values(&boosting.scores);
        }
        if let Some(watched) = &mut watched {
            round.validation = watched.after(&tree);
        }
        trees.push(tree);
        let watching = round.validation.first().filter(|_| parameters.early_stopping_rounds > 0);
        if let Some(&value) = watching {
            let value = if evaluator.is_gain() { value } else { -value };
            if best.is_none_or(|(best, _)| value > best) {
                best = Some((value, trees.len()));
            }
        }
        let is_ended = progress(Progress { iteration: trees.len(), num_trees: parameters.num_trees, round: &round });
        curve.push(round);
        let since_best = best.map_or(0, |(_, at)| trees.len() - at);
        if is_ended.is_break() {
            end = End::Stopped;
            break;
        }
        if best.is_some() && since_best >= parameters.early_stopping_rounds {
            end = End::NotBetter;
            break;
        }
    }
    let best_iteration = best.map_or(trees.len(), |(_, at)| at);
    trees.truncate(best_iteration);
    let ensemble = Ensemble::checked(EnsembleParts {
        columns: dataset.rows.columns(),
        names: dataset.names.to_vec(),
        trees,
        base: loss.base(),
        arithmetic: Arithmetic::F64,
        average: false,
        link: match parameters.objective {
            Objective::Binary => Link::Sigmoid { steepness: parameters.sigmoid },
            Objective::Lambdarank | Objective::Regression => Link::Identity,
        },
    })?;
    Ok(Trained { ensemble, curve, best_iteration, end })
}

fn out_of_range(what: &str, iteration: usize) -> Error {
    let way_out = "give a smaller learning_rate or sigmoid, or smaller labels, weights and inverse_propensities";
    Error::Training(format!("{what} have left the range of numbers at tree {}; {way_out}", iteration + 1))
}

/// What changes from tree to tree.
struct Boosting<'a> {
    dataset: &'a Dataset<'a>,
    parameters: &'a LambdaMart,
    threads: &'a Threads,
    loss: &'a Loss<'a>,
    grower: Grower<'a>,
    /// All features of the table.
    features: Vec<bool>,
    scores: Vec<f64>,
    derivatives: Vec<Derivatives>,
    /// The rows that trees are grown from.
    bag: Vec<u32>,
    random: SplitMix64,
}

impl Boosting<'_> {
    /// `None` where no split is good enough.
    fn next_tree(&mut self, iteration: usize) -> Result<Option<Tree>> {
        self.loss.derive(&self.scores, &mut self.derivatives, self.threads);
        if !self.derivatives.iter().all(|row| row.gradient.is_finite() && row.hessian.is_finite()) {
            return Err(out_of_range("the derivatives", iteration));
        }
        let Some(grown) = self.grow(iteration) else { return Ok(None) };
        let splits = grown.tree.splits.iter().flat_map(|split| [split.gain, split.value]);
        if !splits.chain(grown.tree.leaves.iter().map(|leaf| leaf.value)).all(f64::is_finite) {
            return Err(out_of_range("the values of a tree", iteration));
        }
        self.add(&grown);
        if !self.scores.iter().all(|score| score.is_finite()) {
            return Err(out_of_range("the scores", iteration));
        }
        Ok(Some(grown.tree))
    }

    /// Grows a tree from a draw of rows and features, the first that has a split.
    fn grow(&mut self, iteration: usize) -> Option<Grown> {
        let LambdaMart { bagging_freq, feature_fraction, feature_fraction_bynode, .. } = *self.parameters;
        let is_drawn = self.is_bagged() || feature_fraction < 1.0 || feature_fraction_bynode < 1.0;
        let draws = if is_drawn { MOST_DRAWS } else { 1 };
        for draw in 0..draws {
            if self.is_bagged() && (draw > 0 || iteration.is_multiple_of(bagging_freq)) {
                self.fill_bag();
            }
            let picked = (feature_fraction < 1.0).then(|| pick(&self.features, feature_fraction, &mut self.random));
            let features = picked.as_deref().unwrap_or(&self.features);
            let grown = self.grower.grow(&self.bag, &self.derivatives, features, &mut self.random);
            if grown.is_some() {
                return grown;
            }
        }
        None
    }

    fn is_bagged(&self) -> bool {
        self.parameters.bagging_freq > 0 && self.parameters.bagging_fraction < 1.0
    }

    /// Adds what a tree answers to the scores of all rows.
    fn add(&mut self, grown: &Grown) {
        for (leaf, rows) in grown.tree.leaves.iter().zip(&grown.rows) {
            for &row in self.grower.rows(rows.clone()) {
                self.scores[row as usize] += leaf.value;
            }
        }
        if self.is_bagged() {
            let mut bag = self.bag.iter().peekable();
            for row in 0..self.scores.len() {
                if bag.next_if(|&&other| other as usize == row).is_none() {
                    let leaf = grown.tree.leaf_of(self.dataset.rows.row(row));
                    self.scores[row] += grown.tree.leaves[leaf].value;
                }
            }
        }
    }

    /// Picks each row, or each query with its rows, with the chance of the bagging fraction.
    fn fill_bag(&mut self) {
        let fraction = self.parameters.bagging_fraction;
        self.bag.clear();
        if self.parameters.bagging_by_query {
            for rows in self.dataset.queries() {
                if self.random.fraction() < fraction {
                    self.bag.extend(rows.start as u32..rows.end as u32);
                }
            }
        } else {
            let rows = 0..self.scores.len() as u32;
            self.bag.extend(rows.filter(|_| self.random.fraction() < fraction));
        }
    }
}

/// A validation and its scores so far.
struct Watched<'a> {
    dataset: Dataset<'a>,
    evaluator: Evaluator<'a>,
    scores: Vec<f64>,
}

impl Watched<'_> {
    fn after(&mut self, tree: &Tree) -> Vec<f64> {
        for (score, row) in self.scores.iter_mut().zip(self.dataset.rows.iter()) {
            *score += tree.leaves[tree.leaf_of(row)].value;
        }
        self.evaluator.values(&self.scores)
    }
}
