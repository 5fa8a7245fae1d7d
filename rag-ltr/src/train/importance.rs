//! Which features a model uses.

use crate::error::{Error, Result};
use crate::matrix::Rows;
use crate::model::{Ensemble, Ranker};
use crate::random::SplitMix64;

/// How much trees use each feature.
#[derive(Debug, Clone, PartialEq)]
pub struct Importance {
    /// Column by column, by how much its splits improved the objective in the training, in all.
    pub gain: Vec<f64>,
    /// Column by column, how many splits ask for it.
    pub split: Vec<usize>,
}

/// How much the trees of an ensemble use each feature.
pub fn importance(ensemble: &Ensemble) -> Importance {
    let columns = ensemble.parts().columns;
    let mut importance = Importance { gain: vec![0.0; columns], split: vec![0; columns] };
    for split in ensemble.parts().trees.iter().flat_map(|tree| &tree.splits) {
        importance.gain[split.feature as usize] += split.gain;
        importance.split[split.feature as usize] += 1;
    }
    importance
}

/// Column by column, how much worse a model is on average when the values of the column are shuffled between the rows
/// (Breiman 2001): what the model owes to the column, on these rows. `quality` says how good margins are, more being
/// better, such as their mean nDCG. The model scores `1 + columns · repeats` times; a column that it does not use is 0.
///
/// # Errors
/// [`Error::Setting`] for `repeats` of 0, [`Error::Shape`] for rows with another number of columns.
pub fn permutation_importance(
    ranker: &Ranker,
    rows: Rows<'_>,
    quality: &mut dyn FnMut(&[f64]) -> f64,
    repeats: usize,
    seed: u64,
) -> Result<Vec<f64>> {
    if repeats == 0 {
        return Err(Error::Setting { name: "repeats", value: 0.0, range: "1 or more" });
    }
    let whole = quality(&ranker.margins(rows)?);
    let columns = rows.columns();
    let mut random = SplitMix64::new(seed);
    let mut values = rows.values().to_vec();
    let mut order: Vec<usize> = (0..rows.len()).collect();
    let mut losses = vec![0.0; columns];
    for (column, loss) in losses.iter_mut().enumerate() {
        for _ in 0..repeats {
            random.shuffle(&mut order);
            for (row, &from) in order.iter().enumerate() {
                values[row * columns + column] = rows.row(from)[column];
            }
            *loss += whole - quality(&ranker.margins(Rows::new(&values, columns)?)?);
        }
        *loss /= repeats as f64;
        for row in 0..rows.len() {
            values[row * columns + column] = rows.row(row)[column];
        }
    }
    Ok(losses)
}
