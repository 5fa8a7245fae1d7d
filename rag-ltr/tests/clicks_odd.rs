//! Estimates from clicks at the ends of what may be asked: tiny propensities, too many samples.
#![allow(clippy::unwrap_used)]

use rag_ltr::Error;
use rag_ltr::clicks::{
    ClickLog, Counterfactual, Estimation, Impression, Propensities, Shown, Warning, estimate_by_em, evaluate,
};
use rag_ltr::metrics::TrecRun;
use rag_ltr::significance::{MAX_SAMPLES, Resampling, bootstrap, randomization_test};

/// 300 impressions of two documents; the first of each was shown with the stated propensity in every tenth.
fn log(propensity: f64) -> ClickLog {
    let mut log = ClickLog::new();
    for at in 0..300 {
        let mut shown = vec![Shown::new("a", 1, at % 2 == 0), Shown::new("b", 2, at % 3 == 0)];
        shown[0].propensity = (at % 10 == 0).then_some(propensity);
        log.push(Impression::new("q", shown)).unwrap();
    }
    log
}

fn new_ranking() -> TrecRun {
    let mut run = TrecRun::new();
    run.insert_query("q", [("a", 2.0), ("b", 1.0)]).unwrap();
    run
}

#[test]
fn weights_out_of_all_proportion_are_told() {
    let propensities = Propensities::new(&[1.0, 0.5]).unwrap();
    for propensity in [1e-100, 1e-200, 1e-300, 5e-324] {
        let evaluation = evaluate(&log(propensity), &propensities, &new_ranking(), &Counterfactual::default()).unwrap();
        assert!((evaluation.effective_sample_size - 30.0).abs() < 1e-6, "{propensity}: {evaluation:?}");
        let has = |wanted: fn(&Warning) -> bool| evaluation.warnings.iter().any(wanted);
        assert!(has(|warning| matches!(warning, Warning::FewEffective { .. })), "{propensity}");
        assert!(
            has(|warning| matches!(warning, Warning::ExtremeWeight { share } if (share - 1.0 / 30.0).abs() < 1e-9)),
            "{propensity}"
        );
        if propensity > 1e-250 {
            let ips = evaluation.ips;
            assert!(ips.standard_error.is_finite() && ips.standard_error > ips.value / 100.0, "{propensity}: {ips:?}");
        }
    }
    // The same weights, small enough for plain sums.
    let evaluation = evaluate(&log(0.5), &propensities, &new_ranking(), &Counterfactual::default()).unwrap();
    let weights: Vec<f64> = (0..300).flat_map(|at| [if at % 10 == 0 { 2.0 } else { 1.0 }, 1.0]).collect();
    let (sum, squares) = weights.iter().fold((0.0, 0.0), |(sum, squares), w| (sum + w, squares + w * w));
    assert!((evaluation.effective_sample_size - sum * sum / squares).abs() < 1e-9, "{evaluation:?}");
}

#[test]
fn samples_are_bounded_before_memory_is_taken() {
    let propensities = Propensities::new(&[1.0, 0.5]).unwrap();
    let values: (Vec<f64>, Vec<f64>) = ((0..30).map(f64::from).collect(), vec![3.0; 30]);
    for samples in [0, MAX_SAMPLES + 1, usize::MAX] {
        let resampling = Resampling::default().with_samples(samples);
        let settings = Counterfactual::default().with_resampling(resampling);
        for refused in [
            bootstrap(&values.0, &values.1, resampling).err(),
            randomization_test(&values.0, &values.1, resampling).err(),
            evaluate(&log(0.5), &propensities, &new_ranking(), &settings).err(),
            estimate_by_em(&log(0.5), &Estimation::default().with_resampling(resampling)).err(),
        ] {
            assert!(matches!(refused, Some(Error::Setting { name: "samples", .. })), "{samples}: {refused:?}");
        }
    }
}
