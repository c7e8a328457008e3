//! Ridge regression with a second look: small, robust enough for commissioning data, without a matrix library.

use crate::{
    detection::cholesky::Packed,
    features::statistics::{mean_and_std_dev, robust_centre_and_scale},
};

const RIDGE: f64 = 1e-3;
/// Residuals further out than this many spreads do not take part in the second fit.
pub(crate) const TRIM: f64 = 4.0;

/// Scalar product, as long as both last.
pub(crate) fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(x, y)| x * y).sum()
}

/// Ridge regression, and again without the values the first one finds far out; coefficients (0 for regressors not
/// chosen) and the spread of the residuals that took part.
pub(crate) fn fit_twice(values: &[f64], rows: &[&[f64]], chosen: &[usize]) -> (Vec<f64>, f64) {
    let residuals = |coefficients: &[f64]| -> Vec<f64> {
        values.iter().zip(rows).map(|(value, row)| value - dot(coefficients, row)).collect()
    };
    let first = residuals(&fit(values, rows, chosen, |_| true));
    let (centre, scale) = robust_centre_and_scale(&mut first.clone());
    let takes_part = |i: usize| (first[i] - centre).abs() <= TRIM * scale;
    let second = fit(values, rows, chosen, takes_part);
    let remaining = residuals(&second);
    let inner = remaining.iter().enumerate().filter(|(i, _)| takes_part(*i)).map(|(_, r)| *r);
    let (_, spread) = mean_and_std_dev(inner);
    (second, spread)
}

fn fit(
    values: &[f64],
    rows: &[&[f64]],
    chosen: &[usize],
    takes_part: impl Fn(usize) -> bool,
) -> Vec<f64> {
    let mut coefficients = vec![0.0; rows.first().map_or(1, |row| row.len())];
    let order = chosen.len();
    let (mut matrix, mut factor) = (Packed::zero(order), Packed::zero(order));
    let (mut solution, mut picked) = (vec![0.0; order], vec![0.0; order]);
    let weight = 1.0 / rows.len().max(1) as f64;
    for (_, (value, row)) in values.iter().zip(rows).enumerate().filter(|(i, _)| takes_part(*i)) {
        for (out, &index) in picked.iter_mut().zip(chosen) {
            *out = row[index];
        }
        matrix.add_outer(&picked, weight);
        for (sum, x) in solution.iter_mut().zip(&picked) {
            *sum += weight * x * value;
        }
    }
    // The intercept is not shrunk, only kept from vanishing when there is no row at all.
    for i in 0..order {
        *matrix.at(i, i) += if i == 0 { 1e-12 } else { RIDGE };
    }
    let all: Vec<u8> = (0_u8..).take(order).collect();
    if factor.factorise(&matrix, &all) {
        factor.solve_lower(&mut solution);
        factor.solve_upper(&mut solution);
        for (value, &index) in solution.iter().zip(chosen) {
            coefficients[index] = *value;
        }
    }
    coefficients
}
