//! Expectation maximisation of `P(click) = propensity[rank] · attraction[item]`.

use super::bias::Estimation;

/// What was seen of an item at a rank (from 0 on). The cells of one item stand together.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cell {
    pub(super) item: usize,
    pub(super) rank: usize,
    /// What is drawn together: the query.
    pub(super) cluster: usize,
    pub(super) shown: f64,
    pub(super) clicked: f64,
}

/// Where the steps ended.
#[derive(Debug, Clone)]
pub(super) struct Fit {
    /// Up to a factor that the attractions take up.
    pub(super) propensities: Vec<f64>,
    /// Whether a rank had impressions.
    pub(super) seen: Vec<bool>,
    pub(super) log_likelihood: f64,
    pub(super) steps: usize,
    pub(super) converged: bool,
}

/// The largest propensity at the start. Not 1, of which a step would make 1 again.
const START: f64 = 0.98;

/// Fits the cells, those of a cluster as often as its weight says, from the end of another fit or from the solution for
/// rare clicks.
pub(super) fn fit(cells: &[Cell], weights: &[f64], from: Option<&Fit>, ranks: usize, estimation: &Estimation) -> Fit {
    let cells = merged(cells, weights);
    let items = cells.iter().map(|cell| cell.item + 1).max().unwrap_or_default();
    let mut seen = vec![false; ranks];
    for cell in &cells {
        seen[cell.rank] |= cell.shown > 0.0;
    }
    let (mut propensities, mut attractions) = rare_click_solution(&cells, from, ranks, items);
    let (mut steps, mut converged) = (0, false);
    while steps < estimation.steps && !converged {
        let (next, next_attractions) = step(&cells, &propensities, &attractions);
        let unit = (propensities[0].max(f64::MIN_POSITIVE), next[0].max(f64::MIN_POSITIVE));
        let change = |(before, after): (&f64, &f64)| (before / unit.0 - after / unit.1).abs();
        converged = propensities.iter().zip(&next).map(change).fold(0.0, f64::max) <= estimation.tolerance;
        (propensities, attractions) = (next, next_attractions);
        steps += 1;
    }
    let log_likelihood = log_likelihood(&cells, &propensities, &attractions);
    Fit { propensities, seen, log_likelihood, steps, converged }
}

/// The cells of each item and rank as one, over all clusters.
fn merged(cells: &[Cell], weights: &[f64]) -> Vec<Cell> {
    let weighted = cells.iter().map(|cell| {
        let weight = weights[cell.cluster];
        Cell { shown: cell.shown * weight, clicked: cell.clicked * weight, ..*cell }
    });
    let mut cells: Vec<Cell> = weighted.filter(|cell| cell.shown > 0.0).collect();
    cells.sort_by_key(|cell| (cell.item, cell.rank));
    cells.dedup_by(|cell, before| {
        let same = (cell.item, cell.rank) == (before.item, before.rank);
        if same {
            before.shown += cell.shown;
            before.clicked += cell.clicked;
        }
        same
    });
    cells
}

/// Where clicks are rare, their numbers are nearly Poisson's, and the likelihood is maximal where every row and every
/// column of `shown · propensity · attraction` sums to its clicks: iterative proportional fitting (Deming & Stephan 1940)
/// gets close in a few rounds, where expectation maximisation would take hundreds of steps.
fn rare_click_solution(cells: &[Cell], from: Option<&Fit>, ranks: usize, items: usize) -> (Vec<f64>, Vec<f64>) {
    const ROUNDS: usize = 50;
    let mut propensities = from.map_or_else(|| vec![1.0; ranks], |fit| fit.propensities.clone());
    let mut attractions = vec![0.0; items];
    let ratio = |part: f64, whole: f64| if whole > 0.0 { part / whole } else { 0.0 };
    for round in 0..ROUNDS {
        let mut by_item = vec![(0.0, 0.0); items];
        for cell in cells {
            let sum = &mut by_item[cell.item];
            *sum = (sum.0 + cell.clicked, sum.1 + cell.shown * propensities[cell.rank]);
        }
        attractions = by_item.iter().map(|&(clicked, shown)| ratio(clicked, shown)).collect();
        if from.is_some() || round + 1 == ROUNDS {
            break;
        }
        let mut by_rank = vec![(0.0, 0.0); ranks];
        for cell in cells {
            let sum = &mut by_rank[cell.rank];
            *sum = (sum.0 + cell.clicked, sum.1 + cell.shown * attractions[cell.item]);
        }
        propensities = by_rank.iter().map(|&(clicked, shown)| ratio(clicked, shown)).collect();
    }
    let largest = propensities.iter().copied().fold(f64::MIN_POSITIVE, f64::max);
    let scale = START / largest;
    let attractions = attractions.iter().map(|value| (value / scale).min(START)).collect();
    (propensities.iter().map(|value| value * scale).collect(), attractions)
}

/// One step. Of what was not clicked, `propensity · (1 − attraction)` was looked at and `(1 − propensity) · attraction`
/// would have attracted, each divided by `1 − propensity · attraction`.
fn step(cells: &[Cell], propensities: &[f64], attractions: &[f64]) -> (Vec<f64>, Vec<f64>) {
    let mut by_rank = vec![(0.0, 0.0); propensities.len()];
    let mut by_item = vec![(0.0, 0.0); attractions.len()];
    for cell in cells {
        let (propensity, attraction) = (propensities[cell.rank], attractions[cell.item]);
        let not_clicked = (cell.shown - cell.clicked) / (1.0 - propensity * attraction).max(f64::MIN_POSITIVE);
        let rank = &mut by_rank[cell.rank];
        *rank = (rank.0 + cell.clicked + not_clicked * propensity * (1.0 - attraction), rank.1 + cell.shown);
        let item = &mut by_item[cell.item];
        *item = (item.0 + cell.clicked + not_clicked * (1.0 - propensity) * attraction, item.1 + cell.shown);
    }
    let share = |sums: &[(f64, f64)], before: &[f64]| -> Vec<f64> {
        let share = |(&(part, whole), &before): (&(f64, f64), &f64)| {
            if whole > 0.0 { (part / whole).clamp(0.0, 1.0) } else { before }
        };
        sums.iter().zip(before).map(share).collect()
    };
    (share(&by_rank, propensities), share(&by_item, attractions))
}

fn log_likelihood(cells: &[Cell], propensities: &[f64], attractions: &[f64]) -> f64 {
    let of_cell = |cell: &Cell| {
        let click = propensities[cell.rank] * attractions[cell.item];
        let part = |times: f64, chance: f64| if times > 0.0 { times * chance.ln() } else { 0.0 };
        part(cell.clicked, click) + part(cell.shown - cell.clicked, 1.0 - click)
    };
    cells.iter().map(of_cell).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cells() -> Vec<Cell> {
        let cell = |item, rank, shown, clicked| Cell { item, rank, cluster: 0, shown, clicked };
        vec![
            cell(0, 0, 40.0, 31.0),
            cell(0, 2, 30.0, 9.0),
            cell(1, 0, 10.0, 3.0),
            cell(1, 1, 50.0, 8.0),
            cell(2, 1, 20.0, 14.0),
            cell(2, 2, 60.0, 22.0),
        ]
    }

    #[test]
    fn no_step_makes_the_likelihood_smaller() {
        let cells = cells();
        let (mut propensities, mut attractions) = (vec![0.5; 3], vec![0.5; 3]);
        let mut before = log_likelihood(&cells, &propensities, &attractions);
        for _ in 0..200 {
            (propensities, attractions) = step(&cells, &propensities, &attractions);
            let after = log_likelihood(&cells, &propensities, &attractions);
            assert!(after >= before - 1e-9, "{before} {after}");
            before = after;
        }
    }

    #[test]
    fn no_start_ends_higher() {
        let cells = cells();
        let estimation = Estimation::default().with_steps(100_000).with_tolerance(1e-12);
        let fitted = fit(&cells, &[1.0], None, 3, &estimation);
        assert!(fitted.converged);
        for start in [[0.3, 0.6, 0.9], [0.9, 0.1, 0.1], [0.5, 0.5, 0.5]] {
            let (mut propensities, mut attractions) = (start.to_vec(), vec![0.5; 3]);
            for _ in 0..20_000 {
                (propensities, attractions) = step(&cells, &propensities, &attractions);
            }
            let other = log_likelihood(&cells, &propensities, &attractions);
            assert!(fitted.log_likelihood >= other - 1e-6, "{} {other}", fitted.log_likelihood);
            let ratio = fitted.propensities[2] / fitted.propensities[0];
            assert!((propensities[2] / propensities[0] - ratio).abs() < 1e-3);
        }
    }

    #[test]
    fn a_cluster_counts_as_often_as_its_weight() {
        let mut twice = cells();
        twice.extend(cells().into_iter().map(|cell| Cell { cluster: 1, ..cell }));
        let estimation = Estimation::default();
        let once = fit(&twice, &[1.0, 0.0], None, 3, &estimation);
        let both = fit(&twice, &[1.0, 1.0], None, 3, &estimation);
        assert!((both.log_likelihood - 2.0 * once.log_likelihood).abs() < 1e-6);
    }
}
