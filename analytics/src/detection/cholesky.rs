//! Small symmetric positive definite matrices: packed lower triangles and their Cholesky factors. Sized for the tags of
//! one machine (at most 64); nothing allocates after set-up. Golub and Van Loan, *Matrix Computations*, 4.2.

use serde::{Deserialize, Serialize};

/// A symmetric matrix, or a lower triangular one, as its packed lower triangle, row by row.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Packed {
    order: usize,
    values: Vec<f64>,
}

const fn packed_index(row: usize, column: usize) -> usize {
    row * (row + 1) / 2 + column
}

impl Packed {
    /// All zero.
    pub(crate) fn zero(order: usize) -> Self {
        Self { order, values: vec![0.0; packed_index(order, 0)] }
    }

    /// Element of the symmetric matrix.
    pub(crate) fn get(&self, row: usize, column: usize) -> f64 {
        self.values[packed_index(row.max(column), row.min(column))]
    }

    /// Element of the lower triangle: `column <= row`.
    pub(crate) fn at(&mut self, row: usize, column: usize) -> &mut f64 {
        &mut self.values[packed_index(row, column)]
    }

    /// Adds `weight * x x'`.
    pub(crate) fn add_outer(&mut self, x: &[f64], weight: f64) {
        let mut values = self.values.iter_mut();
        for (row, a) in x.iter().enumerate() {
            for b in &x[..=row] {
                if let Some(value) = values.next() {
                    *value += weight * a * b;
                }
            }
        }
    }

    /// Cholesky factor of the rows and columns `chosen` of `matrix`, into `self`. `false` when they are not positive
    /// definite; the factor is then unusable.
    pub(crate) fn factorise(&mut self, matrix: &Self, chosen: &[u8]) -> bool {
        self.order = chosen.len();
        self.values.clear();
        // Room for the whole matrix was reserved by whoever set the factor up, so this does not allocate.
        self.values.resize(packed_index(self.order, 0), 0.0);
        for row in 0..self.order {
            for column in 0..=row {
                let dot: f64 = (0..column).map(|k| self.get(row, k) * self.get(column, k)).sum();
                let rest = matrix.get(chosen[row].into(), chosen[column].into()) - dot;
                if row == column {
                    if !(rest > 0.0 && rest.is_finite()) {
                        return false;
                    }
                    *self.at(row, row) = rest.sqrt();
                } else {
                    let pivot = self.get(column, column);
                    *self.at(row, column) = rest / pivot;
                }
            }
        }
        true
    }

    /// With `self` the factor L: replaces `x` by the solution y of L y = x.
    pub(crate) fn solve_lower(&self, x: &mut [f64]) {
        for row in 0..self.order {
            let start = packed_index(row, 0);
            let coefficients = &self.values[start..=start + row];
            let dot: f64 = coefficients[..row].iter().zip(&x[..row]).map(|(l, y)| l * y).sum();
            x[row] = (x[row] - dot) / coefficients[row];
        }
    }

    /// With `self` the factor L: replaces `x` by the solution w of L' w = x.
    pub(crate) fn solve_upper(&self, x: &mut [f64]) {
        for row in (0..self.order).rev() {
            let start = packed_index(row, 0);
            let coefficients = &self.values[start..=start + row];
            x[row] /= coefficients[row];
            let solved = x[row];
            for (value, l) in x[..row].iter_mut().zip(coefficients) {
                *value -= l * solved;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn solving_undoes_multiplying(
            rows in prop::collection::vec(prop::array::uniform5(-3.0..3.0_f64), 8..20),
            x in prop::array::uniform5(-3.0..3.0_f64),
        ) {
            let mut matrix = Packed::zero(5);
            for row in &rows {
                matrix.add_outer(row, 1.0);
            }
            for i in 0..5 {
                *matrix.at(i, i) += 1.0;
            }
            let mut solution: Vec<f64> =
                (0..5).map(|i| (0..5).map(|j| matrix.get(i, j) * x[j]).sum()).collect();
            let mut factor = Packed::zero(5);
            prop_assert!(factor.factorise(&matrix, &[0, 1, 2, 3, 4]));
            factor.solve_lower(&mut solution);
            factor.solve_upper(&mut solution);
            for (actual, expected) in solution.iter().zip(x) {
                prop_assert!((actual - expected).abs() < 1e-9);
            }
        }
    }

    #[test]
    fn a_matrix_that_is_not_positive_definite_is_refused() {
        let mut factor = Packed::zero(2);
        assert!(!factor.factorise(&Packed::zero(2), &[0, 1]));
    }

    #[test]
    fn a_submatrix_is_factorised_by_itself() {
        let mut matrix = Packed::zero(3);
        for (i, value) in [4.0, 9.0, 16.0].into_iter().enumerate() {
            *matrix.at(i, i) = value;
        }
        let mut factor = Packed::zero(3);
        assert!(factor.factorise(&matrix, &[0, 2]));
        let mut x = [4.0, 16.0];
        factor.solve_lower(&mut x);
        factor.solve_upper(&mut x);
        assert!((x[0] - 1.0).abs() < 1e-12 && (x[1] - 1.0).abs() < 1e-12);
    }
}
