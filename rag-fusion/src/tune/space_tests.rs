#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::parameter::apportion;
use super::space::Place;
use super::*;

fn weights(runs: usize, parts: usize) -> Parameter {
    Parameter::Weights { runs: (0..runs).map(|run| run.to_string()).collect(), step: 1.0 / parts as f64 }
}

fn any_space() -> impl Strategy<Value = Space> {
    let axes = (1usize..5, 1usize..9, 2usize..6, 1usize..4);
    axes.prop_map(|(runs, parts, count, choices)| {
        Space::new([
            ("w", weights(runs, parts)),
            ("a", Parameter::Linear { low: -1.0, high: 1.0, step: 0.3 }),
            ("k", Parameter::Logarithmic { low: 1.0, high: 100.0, count }),
            ("n", Parameter::Choice { values: (0..choices).map(|at| at.to_string()).collect() }),
        ])
        .unwrap()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn the_grid_is_complete_and_closed(space in any_space(), seed in any::<u64>()) {
        let grid: BTreeSet<Place> = space.grid().into_iter().collect();
        prop_assert_eq!(grid.len() as f64, space.size());
        let mut random = SplitMix64::new(seed);
        for stride in [1, 3] {
            let place = space.draw(&mut random);
            prop_assert!(grid.contains(&place));
            prop_assert_eq!(&space.nearest(&space.point(&place)), &place);
            prop_assert!(space.check_prior(&space.point(&place)).is_ok());
            for neighbour in space.neighbours(&place, stride) {
                prop_assert!(neighbour != place && grid.contains(&neighbour));
            }
        }
        prop_assert!(space.check_prior(&space.centre()).is_ok());
        prop_assert!(grid.contains(&space.nearest(&space.centre())));
    }

    #[test]
    fn distance_is_a_metric(space in any_space(), seed in any::<u64>()) {
        let mut random = SplitMix64::new(seed);
        let [a, b, c] = [(); 3].map(|()| space.point(&space.draw(&mut random)));
        prop_assert_eq!(space.distance(&a, &a), 0.0);
        prop_assert_eq!(space.distance(&a, &b), space.distance(&b, &a));
        prop_assert!((a == b) == (space.distance(&a, &b) == 0.0));
        prop_assert!(space.distance(&a, &c) <= space.distance(&a, &b) + space.distance(&b, &c) + 1e-12);
        prop_assert!(space.distance(&a, &b) <= 4.0);
    }
}

#[test]
fn draws_of_weights_are_even() {
    let parameter = weights(3, 4);
    let places = parameter.places();
    let mut random = SplitMix64::new(1);
    let mut counts = vec![0f64; places.len()];
    for _ in 0..15_000 {
        let drawn = parameter.draw(&mut random);
        counts[places.iter().position(|place| *place == drawn).unwrap()] += 1.0;
    }
    let chi: f64 = counts.iter().map(|count| (count - 1000.0).powi(2) / 1000.0).sum();
    assert!(places.len() == 15 && chi < 36.1, "{counts:?}"); // .999 quantile at 14 degrees
}

#[test]
fn neighbours_connect_the_grid() {
    let space =
        Space::new([("w", weights(4, 5)), ("a", Parameter::Linear { low: 0.0, high: 1.0, step: 0.5 })]).unwrap();
    let mut reached = BTreeSet::from([space.grid()[0].clone()]);
    let mut open: Vec<Place> = reached.iter().cloned().collect();
    while let Some(place) = open.pop() {
        open.extend(space.neighbours(&place, 1).into_iter().filter(|next| reached.insert(next.clone())));
    }
    assert_eq!(reached.len() as f64, space.size());
}

#[test]
fn values_are_those_of_the_definition() {
    let linear = Parameter::Linear { low: 0.0, high: 0.35, step: 0.1 };
    let numbers: Vec<Value> = linear.places().iter().map(|place| linear.value(place)).collect();
    assert_eq!(numbers, [0.0, 0.1, 0.2, 0.3].map(Value::Number));
    let tiny = Parameter::Linear { low: 0.0, high: 1e-13, step: 5e-14 };
    assert_eq!(tiny.value(&[1]), Value::Number(5e-14));
    let log = Parameter::Logarithmic { low: 1.0, high: 1000.0, count: 4 };
    let Value::Number(ten) = log.value(&[1]) else { unreachable!() };
    assert!((ten - 10.0).abs() < 1e-12 && log.value(&[3]) == Value::Number(1000.0));
    assert_eq!(weights(2, 10).value(&[3, 7]), Value::Weights(vec![0.3, 0.7]));
    assert_eq!(apportion(&[1.0 / 3.0; 3], 10), [4, 3, 3]);
    let space = Space::new([("w", weights(3, 10)), ("a", linear)]).unwrap();
    assert_eq!(space.centre().to_string(), format!("a=0.1 w={:?}", [1.0 / 3.0; 3]));
}

#[test]
fn wrong_spaces_and_priors_are_named() {
    let wrong = [
        Parameter::Weights { runs: vec![], step: 0.1 },
        Parameter::Weights { runs: vec!["a".into(), "a".into()], step: 0.1 },
        Parameter::Weights { runs: vec!["a".into()], step: 0.3 },
        Parameter::Weights { runs: vec!["a".into()], step: f64::NAN },
        Parameter::Weights { runs: vec!["a".into()], step: 0.0 },
        Parameter::Linear { low: 1.0, high: 1.0, step: 0.1 },
        Parameter::Linear { low: 0.0, high: f64::INFINITY, step: 0.1 },
        Parameter::Linear { low: 0.0, high: 1.0, step: 0.0 },
        Parameter::Logarithmic { low: 0.0, high: 1.0, count: 3 },
        Parameter::Logarithmic { low: 1.0, high: 2.0, count: 1 },
        Parameter::Choice { values: vec![] },
    ];
    for parameter in wrong {
        let error = Space::new([("p", parameter.clone())]).unwrap_err();
        assert!(matches!(&error, TuneError::Parameter { name, .. } if name == "p"), "{parameter:?}");
    }
    assert!(matches!(Space::new::<String>([]), Err(TuneError::EmptySpace)));
    let space =
        Space::new([("w", weights(2, 4)), ("k", Parameter::Linear { low: 0.0, high: 9.0, step: 1.0 })]).unwrap();
    let prior = |w: Value, k: Value| Point::new([("w", w), ("k", k)]);
    let fits = Value::Weights(vec![0.1, 0.9]);
    assert!(space.check_prior(&prior(fits.clone(), Value::Number(0.5))).is_ok());
    for (w, k) in [
        (Value::Weights(vec![1.0]), Value::Number(1.0)),
        (Value::Weights(vec![-0.5, 1.5]), Value::Number(1.0)),
        (Value::Weights(vec![0.5, 0.6]), Value::Number(1.0)),
        (fits.clone(), Value::Number(f64::NAN)),
        (fits.clone(), Value::Number(10.0)),
        (fits.clone(), Value::Choice("x".into())),
    ] {
        assert!(matches!(space.check_prior(&prior(w, k)), Err(TuneError::Prior { .. })));
    }
    assert!(space.check_prior(&Point::new([("w", fits)])).is_err());
}

#[test]
fn spaces_are_read_from_configuration() {
    let text =
        r#"{"k":{"kind":"logarithmic","low":1.0,"high":100.0,"count":3},"n":{"kind":"choice","values":["max"]}}"#;
    let space: Space = serde_json::from_str(text).unwrap();
    assert_eq!(serde_json::to_string(&space).unwrap(), text);
    assert_eq!(serde_json::to_string(&space.centre()).unwrap(), r#"{"k":10.0,"n":"max"}"#);
    let read: Point = serde_json::from_str(r#"{"k":10,"n":"max","w":[0.5,0.5]}"#).unwrap();
    assert_eq!(
        (read.number("k"), read.choice("n"), read.weights("w")),
        (Some(10.0), Some("max"), Some(&[0.5, 0.5][..]))
    );
    assert_eq!((read.number("n"), read.choice("w"), read.weights("k")), (None, None, None));
    for wrong in [r"{}", r#"{"k":{"kind":"choice","values":[]}}"#, r#"{"k":{"kind":"choice","values":["a"],"x":1}}"#] {
        assert!(serde_json::from_str::<Space>(wrong).is_err(), "{wrong}");
    }
}
