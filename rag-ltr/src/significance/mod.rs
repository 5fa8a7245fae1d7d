//! Whether two systems differ by more than chance, from their values of one metric, query by query.
//!
//! Every test takes the values of system `a` and of system `b` in the same order of queries, as
//! [`Evaluation::paired`](crate::metrics::Evaluation::paired) gives them, and looks at the differences `b − a`: above 0,
//! `b` is better. Every `p` is two-sided: how often differences at least this large would be seen if there were none. With
//! several comparisons on one collection, divide the level you accept by their number (Bonferroni).
//!
//! ```
//! use rag_ltr::significance::{Resampling, bootstrap, randomization_test, t_test};
//! let before = [0.40, 0.55, 0.30, 0.62, 0.48, 0.51, 0.20, 0.75];
//! let after = [0.45, 0.61, 0.33, 0.60, 0.56, 0.58, 0.29, 0.78];
//! let test = t_test(&before, &after)?;
//! assert!(test.mean_difference > 0.0 && test.p < 0.01);
//! let interval = bootstrap(&before, &after, Resampling::default())?;
//! assert!(interval.low > 0.0 && interval.high < 0.1);
//! assert!(randomization_test(&before, &after, Resampling::default())? < 0.05);
//! # Ok::<(), rag_ltr::Error>(())
//! ```

mod resample;
mod student;

pub(crate) use resample::quantile;
pub use resample::{Bootstrap, MAX_SAMPLES, Resampling, bootstrap, randomization_test};
pub use student::{TTest, t_test, two_sided_p};

use crate::error::{Error, Result};

/// `b − a`, at least two and all finite.
fn differences(a: &[f64], b: &[f64]) -> Result<Vec<f64>> {
    if a.len() != b.len() {
        return Err(Error::Lengths(a.len(), b.len()));
    }
    if a.len() < 2 {
        return Err(Error::TooFew(a.len()));
    }
    let differences: Vec<f64> = a.iter().zip(b).map(|(a, b)| b - a).collect();
    match differences.iter().position(|difference| !difference.is_finite()) {
        Some(position) => Err(Error::Sample(position)),
        None => Ok(differences),
    }
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}
