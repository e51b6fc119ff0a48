//! Square matrices over GF(2^8), as small as a stripe is wide.

use reed_solomon_erasure::galois_8::{div, mul};

/// The inverse of the square matrix `rows`; `None` if it has none.
pub(crate) fn invert(mut rows: Vec<Vec<u8>>) -> Option<Vec<Vec<u8>>> {
    let size = rows.len();
    let mut inverse: Vec<Vec<u8>> = (0..size).map(|row| unit(size, row)).collect();
    for column in 0..size {
        let pivot = (column..size).find(|&row| rows[row][column] != 0)?;
        rows.swap(column, pivot);
        inverse.swap(column, pivot);
        let divisor = rows[column][column];
        for cell in rows[column].iter_mut().chain(&mut inverse[column]) {
            *cell = div(*cell, divisor);
        }
        let (pivot_row, pivot_inverse) = (rows[column].clone(), inverse[column].clone());
        for row in (0..size).filter(|&row| row != column) {
            let factor = rows[row][column];
            subtract(&mut rows[row], &pivot_row, factor);
            subtract(&mut inverse[row], &pivot_inverse, factor);
        }
    }
    Some(inverse)
}

/// Row `row` of the identity.
pub(crate) fn unit(size: usize, row: usize) -> Vec<u8> {
    (0..size).map(|column| u8::from(column == row)).collect()
}

/// `row · matrix`.
pub(crate) fn multiply_row(row: &[u8], matrix: &[Vec<u8>]) -> Vec<u8> {
    let mut product = vec![0; matrix[0].len()];
    for (&factor, from) in row.iter().zip(matrix) {
        subtract(&mut product, from, factor);
    }
    product
}

/// `row -= factor · other`; in a field of characteristic 2 that is also the sum.
fn subtract(row: &mut [u8], other: &[u8], factor: u8) {
    for (cell, &from) in row.iter_mut().zip(other) {
        *cell ^= mul(factor, from);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_singular_matrix_has_no_inverse() {
        assert_eq!(invert(vec![vec![1, 2], vec![1, 2]]), None);
    }

    #[test]
    fn a_matrix_times_its_inverse_is_the_identity() {
        let matrix = vec![vec![0, 7, 9], vec![3, 0, 250], vec![1, 1, 1]];
        let inverse = invert(matrix.clone()).expect("not singular");
        for (row, cells) in matrix.iter().enumerate() {
            assert_eq!(multiply_row(cells, &inverse), unit(3, row));
        }
    }
}
