//! The CRC of a concatenation out of the CRCs of its parts.

use types::{Checksum, ChecksumAlgorithm};

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
pub fn combine_checksums(_algorithm: ChecksumAlgorithm, _parts: &[PartChecksum]) -> Option<Checksum> {
    todo!()
}

/// The composite checksum: the digest of the parts' digests one after the other. `None` if a part has another
/// algorithm or there is no part.
pub fn composite_checksum(_algorithm: ChecksumAlgorithm, _parts: &[PartChecksum]) -> Option<Checksum> {
    todo!()
}
