//! What a client says of a body beside its bytes.

use types::ChecksumAlgorithm;

use crate::data::ExpectedDigests;

/// What a client says of a body before it sends it. What it says after it comes from `BodySource::finish`.
#[derive(Debug, Clone, Default)]
pub struct BodyFacts {
    /// Its plain length (of aws-chunked bodies `x-amz-decoded-content-length`).
    pub declared_bytes: Option<u64>,
    /// Digests named in headers; a body that has others leaves nothing behind.
    pub expected: ExpectedDigests,
    /// The algorithm of the checksum that is kept with the object: of an `x-amz-checksum-*` header, of a trailer that
    /// `x-amz-trailer` announces, or of `x-amz-sdk-checksum-algorithm`. `None`: CRC64NVME.
    pub checksum: Option<ChecksumAlgorithm>,
}
