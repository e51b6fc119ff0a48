//! The keys of one direction of a connection.

use bytes::Bytes;
use twox_hash::XxHash3_128;

use super::MAC_BYTES;

pub(crate) type Mac = [u8; MAC_BYTES];

/// The keys of one direction of a connection.
pub(crate) struct SessionKeys {
    prefix: [u8; 32],
    tail: [u8; 32],
    body_seed: u64,
}

impl SessionKeys {
    pub(crate) fn derive(session: &[u8; 32]) -> Self {
        let labelled = |label: &[u8]| *blake3::Hasher::new_keyed(session).update(label).finalize().as_bytes();
        let seed = labelled(b"body");
        let body_seed = u64::from_le_bytes(*seed.first_chunk().expect("a hash has 32 bytes"));
        Self { prefix: labelled(b"prefix"), tail: labelled(b"tail"), body_seed }
    }

    pub(crate) fn prefix_mac(&self, number: u64, lengths: &[u8; 8]) -> Mac {
        let mut input = [0; 16];
        input[..8].copy_from_slice(&number.to_le_bytes());
        input[8..].copy_from_slice(lengths);
        shortened(blake3::keyed_hash(&self.prefix, &input))
    }

    pub(crate) fn tail_mac(&self, number: u64, head: &[u8], body_checksum: u128) -> Mac {
        let mut hasher = blake3::Hasher::new_keyed(&self.tail);
        hasher.update(&number.to_le_bytes()).update(&body_checksum.to_le_bytes()).update(head);
        shortened(hasher.finalize())
    }

    /// A checksum to be fed with a body. It finds every accident; who alters bodies on purpose and knows no key can't
    /// aim, but is kept out for sure by TLS alone.
    pub(crate) fn body_checksum(&self) -> XxHash3_128 {
        XxHash3_128::with_seed(self.body_seed)
    }

    /// The checksum of a whole body; 0 for none.
    pub(crate) fn checksum_of(&self, body: &[Bytes]) -> u128 {
        if body.is_empty() {
            return 0;
        }
        let mut checksum = self.body_checksum();
        body.iter().for_each(|piece| checksum.write(piece));
        checksum.finish_128()
    }
}

/// Compares in a time that doesn't tell where they differ.
pub(crate) fn are_equal(mac: &Mac, other: &[u8]) -> bool {
    mac.len() == other.len() && mac.iter().zip(other).fold(0, |differing, (a, b)| differing | (a ^ b)) == 0
}

fn shortened(hash: blake3::Hash) -> Mac {
    *hash.as_bytes().first_chunk().expect("a hash has 32 bytes")
}
