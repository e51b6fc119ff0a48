//! The checksum of a completed upload out of the checksums of its parts.

use bytes::Bytes;
use types::{Checksum, ChecksumAlgorithm, ChecksumType};

use super::digests::digest_of;

/// One part's checksum and length.
#[derive(Debug, Clone)]
pub struct PartChecksum {
    /// Over the part's bytes.
    pub checksum: Checksum,
    /// How many bytes.
    pub plain_bytes: u64,
}

/// The full-object checksum of parts in their order; `None` if the algorithm has no such thing (SHA), a part has
/// another algorithm, or there is no part.
pub fn combine_checksums(algorithm: ChecksumAlgorithm, parts: &[PartChecksum]) -> Option<Checksum> {
    let polynomial = match algorithm {
        ChecksumAlgorithm::Crc32 => Polynomial { width: 32, reflected: 0xedb8_8320 },
        ChecksumAlgorithm::Crc32c => Polynomial { width: 32, reflected: 0x82f6_3b78 },
        ChecksumAlgorithm::Crc64Nvme => Polynomial { width: 64, reflected: 0x9a6c_9329_ac4b_c9b5 },
        ChecksumAlgorithm::Sha1 | ChecksumAlgorithm::Sha256 => return None,
    };
    if parts.is_empty() || parts.iter().any(|part| part.checksum.algorithm != algorithm) {
        return None;
    }
    let combined = parts.iter().fold(0, |crc, part| polynomial.combine(crc, number(&part.checksum), part.plain_bytes));
    let bytes = combined.to_be_bytes();
    let value = bytes[bytes.len() - algorithm.digest_len()..].to_vec();
    Some(Checksum::new(algorithm, ChecksumType::FullObject, value).expect("cut to the algorithm's length"))
}

/// The composite checksum: the digest of the parts' digests one after the other. `None` if a part has another
/// algorithm or there is no part.
pub fn composite_checksum(algorithm: ChecksumAlgorithm, parts: &[PartChecksum]) -> Option<Checksum> {
    if parts.is_empty() || parts.iter().any(|part| part.checksum.algorithm != algorithm) {
        return None;
    }
    let digests: Vec<u8> = parts.iter().flat_map(|part| part.checksum.value()).copied().collect();
    let value: Bytes = digest_of(algorithm, &digests);
    Some(Checksum::new(algorithm, ChecksumType::Composite, value).expect("a digest has its algorithm's length"))
}

fn number(checksum: &Checksum) -> u64 {
    checksum.value().iter().fold(0, |number, &byte| number << 8 | u64::from(byte))
}

/// A CRC's polynomial. Values are reflected: the highest bit is the coefficient of x^0. Registers begin and end with all
/// bits inverted, so that the two inversions cancel out of a concatenation.
#[derive(Clone, Copy)]
struct Polynomial {
    width: u32,
    reflected: u64,
}

impl Polynomial {
    /// The CRC of a concatenation: the first CRC times x^(8 · length of the second), plus the second.
    fn combine(self, first: u64, second: u64, second_bytes: u64) -> u64 {
        self.multiply(self.power_of_byte(second_bytes), first) ^ second
    }

    /// x^(8 · `exponent`), by squaring.
    fn power_of_byte(self, mut exponent: u64) -> u64 {
        let one = 1 << (self.width - 1);
        let mut square = one >> 8;
        let mut power = one;
        while exponent != 0 {
            if exponent & 1 == 1 {
                power = self.multiply(square, power);
            }
            square = self.multiply(square, square);
            exponent >>= 1;
        }
        power
    }

    /// `a · b` modulo the polynomial.
    fn multiply(self, a: u64, mut b: u64) -> u64 {
        let mut product = 0;
        for bit in (0..self.width).rev() {
            if a >> bit & 1 == 1 {
                product ^= b;
            }
            b = if b & 1 == 1 { b >> 1 ^ self.reflected } else { b >> 1 };
        }
        product
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn part(algorithm: ChecksumAlgorithm, bytes: &[u8]) -> PartChecksum {
        let value = digest_of(algorithm, bytes);
        let checksum = Checksum::new(algorithm, ChecksumType::FullObject, value).expect("a digest");
        PartChecksum { checksum, plain_bytes: bytes.len() as u64 }
    }

    proptest! {
        #[test]
        fn combined_crcs_are_those_of_the_whole(
            parts in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 1..6)
        ) {
            let whole: Vec<u8> = parts.concat();
            for algorithm in [ChecksumAlgorithm::Crc32, ChecksumAlgorithm::Crc32c, ChecksumAlgorithm::Crc64Nvme] {
                let parts: Vec<PartChecksum> = parts.iter().map(|bytes| part(algorithm, bytes)).collect();
                let combined = combine_checksums(algorithm, &parts).expect("a CRC");
                prop_assert_eq!(combined.value(), &digest_of(algorithm, &whole)[..]);
                prop_assert_eq!(combined.checksum_type, ChecksumType::FullObject);
            }
        }
    }

    /// Lengths beyond 32 bits: zeros are appended one power of two after the other, which is the same by definition.
    #[test]
    fn long_parts_combine() {
        let algorithm = ChecksumAlgorithm::Crc64Nvme;
        let zeros = |bytes: u64| PartChecksum {
            checksum: combine_checksums(
                algorithm,
                &(0..33).filter(|bit| bytes >> bit & 1 == 1).map(doubled_zeros).collect::<Vec<_>>(),
            )
            .expect("a CRC"),
            plain_bytes: bytes,
        };
        fn doubled_zeros(bit: u32) -> PartChecksum {
            (0..bit).fold(part(ChecksumAlgorithm::Crc64Nvme, &[0]), |half, _| PartChecksum {
                plain_bytes: half.plain_bytes * 2,
                checksum: combine_checksums(ChecksumAlgorithm::Crc64Nvme, &[half.clone(), half]).expect("a CRC"),
            })
        }
        let five_gib = 5 << 30;
        let at_once = combine_checksums(algorithm, &[part(algorithm, b"head"), zeros(five_gib)]);
        let (some, rest) = (zeros(five_gib / 3), zeros(five_gib - five_gib / 3));
        assert_eq!(at_once, combine_checksums(algorithm, &[part(algorithm, b"head"), some, rest]));
    }

    #[test]
    fn sha_has_no_full_object_form_and_algorithms_do_not_mix() {
        let sha = part(ChecksumAlgorithm::Sha256, b"a");
        let crc = part(ChecksumAlgorithm::Crc32, b"a");
        assert_eq!(combine_checksums(ChecksumAlgorithm::Sha256, std::slice::from_ref(&sha)), None);
        assert_eq!(combine_checksums(ChecksumAlgorithm::Crc32, &[crc.clone(), sha.clone()]), None);
        assert_eq!(composite_checksum(ChecksumAlgorithm::Crc32, &[crc, sha]), None);
        assert_eq!(composite_checksum(ChecksumAlgorithm::Crc32, &[]), None);
    }

    #[test]
    fn a_composite_is_the_digest_of_the_digests() {
        let parts = [part(ChecksumAlgorithm::Sha1, b"a"), part(ChecksumAlgorithm::Sha1, b"b")];
        let composite = composite_checksum(ChecksumAlgorithm::Sha1, &parts).expect("two parts");
        let digests = [parts[0].checksum.value(), parts[1].checksum.value()].concat();
        assert_eq!(composite.value(), &digest_of(ChecksumAlgorithm::Sha1, &digests)[..]);
        assert_eq!(composite.checksum_type, ChecksumType::Composite);
    }
}
