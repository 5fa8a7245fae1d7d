//! Objectives and what they do to a margin.

use crate::error::{Error, Result};
use crate::model::Link;

/// The link of an `objective`, as LightGBM writes and reads it. Without one the training had an objective of the
/// caller's, and LightGBM predicts the margin.
pub(super) fn link_of(objective: Option<&str>) -> Result<Link> {
    let mut words = objective.unwrap_or("custom").split_ascii_whitespace();
    let name = words.next().unwrap_or_default();
    let options: Vec<&str> = words.collect();
    let unsupported = || {
        let objective: String = objective.unwrap_or_default().chars().take(80).collect();
        Error::Unsupported(format!("the objective `{objective}`"))
    };
    match (name, options.as_slice()) {
        ("binary", [option]) => {
            let steepness = option.strip_prefix("sigmoid:").and_then(loose_number).ok_or_else(unsupported)?;
            Ok(Link::Sigmoid { steepness })
        }
        ("cross_entropy" | "xentropy", []) => Ok(Link::Sigmoid { steepness: 1.0 }),
        ("cross_entropy_lambda" | "xentlambda", []) => Ok(Link::Softplus),
        ("poisson" | "gamma" | "tweedie", []) => Ok(Link::Exp),
        ("regression" | "regression_l1" | "fair" | "quantile" | "mape", ["sqrt"]) => Ok(Link::SignedSquare),
        (name, []) if is_plain(name) => Ok(Link::Identity),
        _ => Err(unsupported()),
    }
}

/// Objectives whose prediction is the margin, under every name that LightGBM has for them.
fn is_plain(name: &str) -> bool {
    let names = [
        "regression regression_l2 l2 mean_squared_error mse l2_root root_mean_squared_error rmse",
        "regression_l1 l1 mean_absolute_error mae huber fair quantile mape mean_absolute_percentage_error",
        "lambdarank rank_xendcg xendcg xe_ndcg xe_ndcg_mart xendcg_mart",
        "custom none null na",
    ];
    names.iter().flat_map(|names| names.split(' ')).any(|known| known == name)
}

/// An objective of LightGBM with this link.
pub(super) fn objective_of(link: Link) -> Result<String> {
    Ok(match link {
        Link::Identity => "lambdarank".to_owned(),
        Link::Exp => "poisson".to_owned(),
        Link::Softplus => "cross_entropy_lambda".to_owned(),
        Link::SignedSquare => "regression sqrt".to_owned(),
        Link::Sigmoid { steepness } => {
            let mut spellings =
                (0..=17).flat_map(|places| [format!("{steepness:.places$}"), format!("{steepness:.places$e}")]);
            let text = spellings.find(|text| loose_number(text) == Some(steepness)).ok_or_else(|| {
                Error::Unsupported(format!("the steepness {steepness} of its sigmoid, which LightGBM cannot read"))
            })?;
            format!("binary sigmoid:{text}")
        }
        Link::Step => return Err(Error::Unsupported("the link of `binary:hinge`, which LightGBM has not".to_owned())),
    })
}

/// A positive number as LightGBM reads the one after `sigmoid:`, which is not always the nearest to the decimals: the
/// digits before and after the point are whole numbers that are divided and added. `None` for what is not written by it.
fn loose_number(text: &str) -> Option<f64> {
    /// Powers of ten up to this one are exact, in whatever order they are multiplied.
    const EXACT: i32 = 22;
    let (digits, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let exponent: i32 = exponent.parse().ok()?;
    let places = i32::try_from(fraction.len()).ok()?;
    let is_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !is_digits(whole) || !is_digits(fraction) || places > EXACT || exponent.abs() > EXACT {
        return None;
    }
    let number = |digits: &str| digits.bytes().fold(0.0, |number, digit| number * 10.0 + f64::from(digit - b'0'));
    let value = number(whole) + number(fraction) / 10f64.powi(places);
    let scale = 10f64.powi(exponent.abs());
    let value = if exponent < 0 { value / scale } else { value * scale };
    (value > 0.0 && value.is_finite()).then_some(value)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::float_cmp)]
mod tests {
    use super::*;

    #[test]
    fn every_link_but_the_step_survives() {
        let sigmoids = ["1", "0.7", "5.61316e-05", "1.23457e+06"].map(|text| loose_number(text).unwrap());
        let sigmoids = sigmoids.map(|steepness| Link::Sigmoid { steepness });
        for link in [Link::Identity, Link::Exp, Link::Softplus, Link::SignedSquare].into_iter().chain(sigmoids) {
            assert_eq!(link_of(Some(&objective_of(link).unwrap())).unwrap(), link);
        }
        assert!(matches!(objective_of(Link::Step), Err(Error::Unsupported(_))));
        assert_eq!(link_of(None).unwrap(), Link::Identity);
    }

    #[test]
    fn numbers_are_read_as_loosely_as_lightgbm_does() {
        assert_eq!(loose_number("1"), Some(1.0));
        assert_eq!(loose_number("1e-05"), Some(1e-5));
        assert_eq!(loose_number("1.23457e+06"), Some(1_234_570.0));
        let exact: f64 = "0.12345678901234567".parse().unwrap();
        assert_eq!(loose_number("0.12345678901234567"), Some(12_345_678_901_234_567.0 / 1e17));
        assert!((exact - 12_345_678_901_234_567.0 / 1e17).abs() < 1e-16);
        for text in ["", "-1", "0", "nan", "1e400", "1e", ".5", "1x", "1:2"] {
            assert_eq!(loose_number(text), None, "{text}");
        }
    }

    #[test]
    fn what_is_not_known_is_refused() {
        let unknown = [
            "multiclass num_class:3",
            "multiclassova",
            "regression cube",
            "binary",
            "binary sigmoid:0",
            "binary sigmoid:x",
        ];
        for objective in unknown.into_iter().chain(["mine", "", "lambdarank sqrt", "binary sigmoid:1 sigmoid:2"]) {
            assert!(matches!(link_of(Some(objective)), Err(Error::Unsupported(_))), "{objective}");
        }
    }
}
