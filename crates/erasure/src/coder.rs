//! Encoding and rebuilding.

use std::sync::{Arc, OnceLock};

use reed_solomon_erasure::galois_8::{ReedSolomon, mul_slice, mul_slice_xor};
use types::{Code, Profile};

use crate::matrix;

/// The code that every run is written with today: the systematic Vandermonde matrix of `reed-solomon-erasure`.
pub const CODE: Code = Code(1);

/// Columns are worked on in blocks of this many bytes, so that what is summed up stays in the first-level cache while
/// the shards pass by.
const BLOCK_BYTES: usize = 8 << 10;

/// Coders by k - 1 and m, made on first use; their matrix is the same for ever.
static CODERS: [[OnceLock<Arc<Coder>>; Profile::M_MAX as usize + 1]; Profile::K_MAX as usize] =
    [const { [const { OnceLock::new() }; Profile::M_MAX as usize + 1] }; Profile::K_MAX as usize];

/// Makes parity, and missing shards, of one k and m.
#[derive(Debug)]
pub struct Coder {
    k: usize,
    /// Row i makes shard i of the k data shards; the first k rows are the identity.
    rows: Vec<Vec<u8>>,
}

/// What cannot be rebuilt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ErasureError {
    /// Fewer than k shards are there.
    #[error("{present} shards are not enough to rebuild from: {needed} are needed")]
    TooFewShards {
        /// Distinct shards that are there.
        present: usize,
        /// k.
        needed: usize,
    },
    /// A run was written with a matrix that this version does not have.
    #[error("code {0} is unknown to this version")]
    UnknownCode(Code),
}

impl Coder {
    /// The coder of `profile`; made once.
    pub fn new(profile: Profile) -> Arc<Self> {
        let (k, m) = (profile.k(), profile.m());
        Arc::clone(CODERS[k - 1][m].get_or_init(|| Arc::new(Self::build(k, m))))
    }

    /// The coder of a run that was written with `code`.
    ///
    /// # Errors
    /// [`ErasureError::UnknownCode`].
    pub fn of_run(profile: Profile, code: Code) -> Result<Arc<Self>, ErasureError> {
        if code == CODE { Ok(Self::new(profile)) } else { Err(ErasureError::UnknownCode(code)) }
    }

    fn build(k: usize, m: usize) -> Self {
        let mut rows: Vec<Vec<u8>> = (0..k).map(|row| matrix::unit(k, row)).collect();
        rows.extend((0..m).map(|_| vec![0; k]));
        if m > 0 {
            let code = ReedSolomon::new(k, m).expect("a profile has 1 to 16 data and 0 to 8 parity shards");
            for column in 0..k {
                // The parity of a unit vector is a column of the matrix.
                let data: Vec<Vec<u8>> = matrix::unit(k, column).into_iter().map(|cell| vec![cell]).collect();
                let mut parity = vec![vec![0]; m];
                code.encode_sep(&data, &mut parity).expect("k data and m parity shards of one byte");
                for (row, cell) in rows[k..].iter_mut().zip(&parity) {
                    row[column] = cell[0];
                }
            }
        }
        Self { k, rows }
    }

    /// Data shards.
    pub fn k(&self) -> usize {
        self.k
    }

    /// Parity shards.
    pub fn m(&self) -> usize {
        self.rows.len() - self.k
    }

    /// Makes the m parity columns of k data columns, all of one length.
    ///
    /// # Panics
    /// If there are not k and m columns, or their lengths differ.
    pub fn encode<D: AsRef<[u8]>, P: AsMut<[u8]>>(&self, data: &[D], parity: &mut [P]) {
        assert_eq!((data.len(), parity.len()), (self.k, self.m()), "k data and m parity columns");
        let data: Vec<&[u8]> = data.iter().map(AsRef::as_ref).collect();
        let mut parity: Vec<&mut [u8]> = parity.iter_mut().map(AsMut::as_mut).collect();
        let rows: Vec<&[u8]> = self.rows[self.k..].iter().map(Vec::as_slice).collect();
        multiply(&rows, &data, &mut parity);
    }

    /// Rebuilds the `wanted` shards' columns from k of the `present` ones: pairs of a shard's number and its column,
    /// all of one length. Only what is wanted is worked out; data or parity makes no difference.
    ///
    /// # Errors
    /// [`ErasureError::TooFewShards`] if fewer than k distinct shards are present.
    ///
    /// # Panics
    /// If a number is no shard's, or lengths differ.
    pub fn reconstruct<P: AsRef<[u8]>, W: AsMut<[u8]>>(
        &self,
        present: &[(usize, P)],
        wanted: &mut [(usize, W)],
    ) -> Result<(), ErasureError> {
        let mut chosen: Vec<(usize, &[u8])> = Vec::with_capacity(self.k);
        for (shard, column) in present {
            assert!(*shard < self.rows.len(), "a shard's number is below k+m");
            if chosen.len() < self.k && chosen.iter().all(|(known, _)| known != shard) {
                chosen.push((*shard, column.as_ref()));
            }
        }
        if chosen.len() < self.k {
            return Err(ErasureError::TooFewShards { present: chosen.len(), needed: self.k });
        }
        let square = chosen.iter().map(|(shard, _)| self.rows[*shard].clone()).collect();
        let inverse = matrix::invert(square).expect("any k rows of a Vandermonde code are independent");
        let rows: Vec<Vec<u8>> =
            wanted.iter().map(|(shard, _)| matrix::multiply_row(&self.rows[*shard], &inverse)).collect();
        let rows: Vec<&[u8]> = rows.iter().map(Vec::as_slice).collect();
        let columns: Vec<&[u8]> = chosen.into_iter().map(|(_, column)| column).collect();
        let mut wanted: Vec<&mut [u8]> = wanted.iter_mut().map(|(_, column)| column.as_mut()).collect();
        multiply(&rows, &columns, &mut wanted);
        Ok(())
    }
}

/// `outputs = rows · inputs`.
fn multiply(rows: &[&[u8]], inputs: &[&[u8]], outputs: &mut [&mut [u8]]) {
    let len = inputs[0].len();
    assert!(inputs.iter().all(|input| input.len() == len), "columns are of one length");
    assert!(outputs.iter().all(|output| output.len() == len), "columns are of one length");
    let mut start = 0;
    while start < len {
        let block = start..len.min(start + BLOCK_BYTES);
        for (row, output) in rows.iter().zip(outputs.iter_mut()) {
            let output = &mut output[block.clone()];
            mul_slice(row[0], &inputs[0][block.clone()], output);
            for (&factor, input) in row.iter().zip(inputs).skip(1) {
                mul_slice_xor(factor, &input[block.clone()], output);
            }
        }
        start = block.end;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use types::Integrity;

    use super::*;

    fn coder(k: u8, m: u8) -> Arc<Coder> {
        Coder::new(Profile::new(k, m, 1 << 20, Integrity::Xxh3).expect("within bounds"))
    }

    /// Multiplication by the definition of the field: polynomials over GF(2) modulo x^8 + x^4 + x^3 + x^2 + 1.
    fn slow_multiply(mut a: u8, mut b: u8) -> u8 {
        let mut product = 0;
        while b != 0 {
            if b & 1 == 1 {
                product ^= a;
            }
            let carry = a & 0x80 != 0;
            a <<= 1;
            if carry {
                a ^= 0x1d;
            }
            b >>= 1;
        }
        product
    }

    fn slow_encode(rows: &[Vec<u8>], data: &[Vec<u8>]) -> Vec<Vec<u8>> {
        let len = data[0].len();
        let cell =
            |row: &Vec<u8>, at: usize| row.iter().zip(data).fold(0, |sum, (&f, d)| sum ^ slow_multiply(f, d[at]));
        rows.iter().map(|row| (0..len).map(|at| cell(row, at)).collect()).collect()
    }

    /// The bytes that stand on disks: these values may never change under code 1. They were worked out apart, by the
    /// definition: the Vandermonde matrix of rows (r^0, r^1, ...) times the inverse of its top square.
    #[test]
    fn golden_vectors_of_code_1() {
        let golden: [(u8, &[&str]); 5] = [
            (2, &["4a4f5e475a57feff"]),
            (4, &["94288d1d8476454a", "b147c012a1c36f82"]),
            (1, &["0001040910192431", "0001040910192431"]),
            (3, &["6f6c63747f44031c", "9485d0ed843dca8f"]),
            (8, &["11cfdfe21b5791ae", "785d018408a031c8", "61eb6ed284be15da", "a909fb4025a17e85"]),
        ];
        for (k, parity) in golden {
            let byte = |shard: u8, at: u8| shard.wrapping_mul(37).wrapping_add(at * at);
            let data: Vec<Vec<u8>> = (0..k).map(|shard| (0..8).map(|at| byte(shard, at)).collect()).collect();
            let m = u8::try_from(parity.len()).expect("few");
            let mut made = vec![vec![0; 8]; parity.len()];
            coder(k, m).encode(&data, &mut made);
            let made: Vec<String> = made.iter().map(|shard| hex(shard)).collect();
            assert_eq!(made, parity, "{k}+{m}");
        }
    }

    /// The vector that Backblaze's Java library and its ports publish.
    #[test]
    fn the_published_vector_of_five_and_five() {
        let mut parity = vec![vec![0; 2]; 5];
        coder(5, 5).encode(&[[0u8, 1], [4, 5], [2, 3], [6, 7], [8, 9]], &mut parity);
        assert_eq!(parity, [[12, 13], [10, 11], [14, 15], [90, 91], [94, 95]]);
    }

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    #[test]
    fn without_parity_there_is_nothing_to_make_and_nothing_to_rebuild() {
        let coder = coder(3, 0);
        let data = [[1u8, 2], [3, 4], [5, 6]];
        coder.encode(&data, &mut [] as &mut [Vec<u8>]);
        let mut wanted = [(1, vec![0; 2])];
        let refused = coder.reconstruct(&[(0, data[0]), (2, data[2])], &mut wanted);
        assert_eq!(refused, Err(ErasureError::TooFewShards { present: 2, needed: 3 }));
    }

    #[test]
    fn a_shard_named_twice_counts_once() {
        let mut wanted = [(2, vec![0; 1])];
        let refused = coder(2, 1).reconstruct(&[(0, [7]), (0, [7])], &mut wanted);
        assert_eq!(refused, Err(ErasureError::TooFewShards { present: 1, needed: 2 }));
    }

    #[test]
    fn an_unknown_code_is_refused() {
        let profile: Profile = "4+2".parse().expect("a profile");
        assert_eq!(Coder::of_run(profile, Code(2)).map(|_| ()), Err(ErasureError::UnknownCode(Code(2))));
        assert!(Coder::of_run(profile, CODE).is_ok());
    }

    /// Any length, so also those that leave a tail to the scalar code and those that cross a block.
    fn cases() -> impl Strategy<Value = (u8, u8, usize, u64)> {
        let len = prop_oneof![1usize..200, (BLOCK_BYTES - 40)..(BLOCK_BYTES + 40), Just(3 * BLOCK_BYTES + 17)];
        (1u8..=16, 0u8..=8, len, any::<u64>())
    }

    /// Bytes that look random, by a linear congruential generator.
    fn bytes(seed: &mut u64, len: usize) -> Vec<u8> {
        let mut next = || {
            *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (*seed >> 56) as u8
        };
        (0..len).map(|_| next()).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn parity_is_that_of_naive_multiplication_and_of_the_crate((k, m, len, mut seed) in cases()) {
            let coder = coder(k, m);
            let data: Vec<Vec<u8>> = (0..k).map(|_| bytes(&mut seed, len)).collect();
            let mut parity = vec![vec![0xaa; len]; usize::from(m)];
            coder.encode(&data, &mut parity);
            prop_assert_eq!(&parity, &slow_encode(&coder.rows[usize::from(k)..], &data));
            if m > 0 {
                let mut theirs = vec![vec![0; len]; usize::from(m)];
                ReedSolomon::new(usize::from(k), usize::from(m)).unwrap().encode_sep(&data, &mut theirs).unwrap();
                prop_assert_eq!(&parity, &theirs);
            }
        }

        #[test]
        fn any_m_shards_come_back_and_pieces_are_coded_like_the_whole((k, m, len, mut seed) in cases(), cut in 0usize..200) {
            let coder = coder(k, m);
            let (k, m) = (usize::from(k), usize::from(m));
            let mut shards: Vec<Vec<u8>> = (0..k).map(|_| bytes(&mut seed, len)).collect();
            let mut parity = vec![vec![0; len]; m];
            let cut = cut.min(len);
            for range in [0..cut, cut..len] {
                let data: Vec<&[u8]> = shards.iter().map(|shard| &shard[range.clone()]).collect();
                let mut columns: Vec<&mut [u8]> = parity.iter_mut().map(|shard| &mut shard[range.clone()]).collect();
                if !range.is_empty() {
                    coder.encode(&data, &mut columns);
                }
            }
            shards.extend(parity);
            // Lose m shards, chosen by the seed, and ask for them in an order of its own.
            let mut order: Vec<usize> = (0..k + m).collect();
            for at in (1..order.len()).rev() {
                order.swap(at, usize::from(bytes(&mut seed, 1)[0]) % (at + 1));
            }
            let (lost, left) = order.split_at(m);
            let present: Vec<(usize, &[u8])> = left.iter().map(|&shard| (shard, shards[shard].as_slice())).collect();
            let mut wanted: Vec<(usize, Vec<u8>)> = lost.iter().map(|&shard| (shard, vec![0x55; len])).collect();
            coder.reconstruct(&present, &mut wanted).expect("k shards are there");
            for (shard, column) in &wanted {
                prop_assert_eq!(column, &shards[*shard]);
            }
        }
    }
}
