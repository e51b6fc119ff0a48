//! Block checksums: one for each 64 KiB of a body, verified on every read.

use bytes::Bytes;
use twox_hash::xxhash3_128;
use types::Integrity;

/// Bytes that one checksum covers; the last block of a body may be shorter.
pub(crate) const BLOCK_BYTES: usize = 64 * 1024;

/// Bytes of one checksum.
pub(crate) const fn digest_len(integrity: Integrity) -> usize {
    match integrity {
        Integrity::Xxh3 => 16,
        Integrity::Blake3 => 32,
    }
}

/// Bytes of all checksums of a body of `body_bytes`.
pub(crate) const fn checksums_len(integrity: Integrity, body_bytes: usize) -> usize {
    body_bytes.div_ceil(BLOCK_BYTES) * digest_len(integrity)
}

/// The checksums of a body's blocks, one after the other.
pub(crate) fn checksums_of(body: &[Bytes], integrity: Integrity) -> Vec<u8> {
    let body_bytes = body.iter().map(Bytes::len).sum();
    let mut checksums = Vec::with_capacity(checksums_len(integrity, body_bytes));
    let mut block = BlockHasher::new(integrity);
    let mut room = BLOCK_BYTES;
    for piece in body {
        let mut rest = &piece[..];
        while !rest.is_empty() {
            let (now, later) = rest.split_at(rest.len().min(room));
            if now.len() == BLOCK_BYTES {
                push_digest(&mut checksums, now, integrity);
            } else {
                block.update(now);
                room -= now.len();
                if room == 0 {
                    block.finish_into(&mut checksums);
                    room = BLOCK_BYTES;
                }
            }
            rest = later;
        }
    }
    if room < BLOCK_BYTES {
        block.finish_into(&mut checksums);
    }
    checksums
}

/// Whether `bytes`, whole blocks from the body's block `first_block` on, are those that `checksums` were made of.
pub(crate) fn blocks_match(bytes: &[u8], first_block: usize, checksums: &[u8], integrity: Integrity) -> bool {
    let digest_len = digest_len(integrity);
    let expected = checksums.chunks_exact(digest_len).skip(first_block);
    let mut actual = Vec::with_capacity(digest_len);
    bytes.chunks(BLOCK_BYTES).zip(expected.map(Some).chain(std::iter::repeat(None))).all(|(block, expected)| {
        actual.clear();
        push_digest(&mut actual, block, integrity);
        expected == Some(&actual)
    })
}

fn push_digest(checksums: &mut Vec<u8>, block: &[u8], integrity: Integrity) {
    match integrity {
        Integrity::Xxh3 => checksums.extend_from_slice(&xxhash3_128::Hasher::oneshot(block).to_be_bytes()),
        Integrity::Blake3 => checksums.extend_from_slice(blake3::hash(block).as_bytes()),
    }
}

/// Hashes one block that comes in pieces; made only when a piece ends within a block.
struct BlockHasher {
    integrity: Integrity,
    state: Option<HasherState>,
}

enum HasherState {
    Xxh3(Box<xxhash3_128::Hasher>),
    Blake3(Box<blake3::Hasher>),
}

impl BlockHasher {
    fn new(integrity: Integrity) -> Self {
        Self { integrity, state: None }
    }

    fn update(&mut self, bytes: &[u8]) {
        let integrity = self.integrity;
        match self.state.get_or_insert_with(|| HasherState::new(integrity)) {
            HasherState::Xxh3(hasher) => hasher.write(bytes),
            HasherState::Blake3(hasher) => {
                hasher.update(bytes);
            }
        }
    }

    fn finish_into(&mut self, checksums: &mut Vec<u8>) {
        match self.state.take() {
            Some(HasherState::Xxh3(hasher)) => checksums.extend_from_slice(&hasher.finish_128().to_be_bytes()),
            Some(HasherState::Blake3(hasher)) => checksums.extend_from_slice(hasher.finalize().as_bytes()),
            None => {}
        }
    }
}

impl HasherState {
    fn new(integrity: Integrity) -> Self {
        match integrity {
            Integrity::Xxh3 => Self::Xxh3(Box::new(xxhash3_128::Hasher::new())),
            Integrity::Blake3 => Self::Blake3(Box::new(blake3::Hasher::new())),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn digests_are_those_of_the_published_algorithms() {
        // XXH3_128bits of the empty input and of "xxhash" without seed (xxHash's specification and test vectors).
        assert_eq!(xxhash3_128::Hasher::oneshot(b""), 0x99aa_06d3_0147_98d8_6001_c324_468d_497f);
        let blake3 = checksums_of(&[Bytes::from_static(b"abc")], Integrity::Blake3);
        assert_eq!(
            blake3::Hash::from_slice(&blake3).expect("32 bytes").to_hex().as_str(),
            "6437b3ac38465133ffb63b75273a8db548c558465d79db03fd359c6cd5bd9d85"
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        /// However a body is cut into pieces, its checksums are those of its 64 KiB blocks hashed one by one.
        #[test]
        fn checksums_do_not_depend_on_the_pieces(
            lengths in prop::collection::vec(prop_oneof![0..300usize, 60_000..140_000usize, Just(BLOCK_BYTES)], 0..6),
            blake3 in any::<bool>(),
        ) {
            let integrity = if blake3 { Integrity::Blake3 } else { Integrity::Xxh3 };
            let pieces: Vec<Bytes> =
                lengths.iter().zip(1u8..).map(|(&length, fill)| Bytes::from(vec![fill; length])).collect();
            let whole = pieces.concat();
            let mut expected = Vec::new();
            for block in whole.chunks(BLOCK_BYTES) {
                push_digest(&mut expected, block, integrity);
            }
            let checksums = checksums_of(&pieces, integrity);
            prop_assert_eq!(&checksums, &expected);
            prop_assert_eq!(checksums.len(), checksums_len(integrity, whole.len()));
            prop_assert!(blocks_match(&whole, 0, &checksums, integrity));
            if whole.len() > BLOCK_BYTES {
                prop_assert!(blocks_match(&whole[BLOCK_BYTES..], 1, &checksums, integrity));
            }
            if !whole.is_empty() {
                let mut flipped = whole.clone();
                flipped[whole.len() / 2] ^= 1;
                prop_assert!(!blocks_match(&flipped, 0, &checksums, integrity));
                prop_assert!(!blocks_match(&[&whole[..], &[0; BLOCK_BYTES]].concat(), 0, &checksums, integrity));
            }
        }
    }
}
