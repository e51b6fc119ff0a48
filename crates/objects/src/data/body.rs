//! What goes into a write and what comes out of it.

use std::error::Error;
use std::fmt;

use async_trait::async_trait;
use bytes::Bytes;
use types::{Checksum, ChecksumAlgorithm, Extent, HomeKey, PartNumber, Profile, Run, TicketId};

/// A body as it arrives: decoded, its chunk signatures checked.
#[async_trait]
pub trait BodySource: Send {
    /// The next bytes, of any length; `None` at the end. Not called again after an end or an error.
    ///
    /// # Errors
    /// [`BodyError`]: the write is given up.
    async fn next(&mut self) -> Result<Option<Bytes>, BodyError>;

    /// Called once after the end: the checksums that the body's trailers name. They are compared with the bytes.
    ///
    /// # Errors
    /// [`BodyError`]: a trailer is missing or its signature is wrong.
    async fn finish(&mut self) -> Result<Vec<Checksum>, BodyError>;
}

/// Why a body ended before its end, in the words of whoever supplies it; handed back unchanged.
#[derive(Debug)]
pub struct BodyError(pub Box<dyn Error + Send + Sync>);

impl fmt::Display for BodyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the body could not be read to its end")
    }
}

impl Error for BodyError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&*self.0)
    }
}

/// A body that is in memory already.
#[derive(Debug, Clone, Default)]
pub struct WholeBody(Option<Bytes>);

impl WholeBody {
    /// The body of these bytes.
    pub fn new(bytes: Bytes) -> Self {
        Self(Some(bytes))
    }
}

#[async_trait]
impl BodySource for WholeBody {
    async fn next(&mut self) -> Result<Option<Bytes>, BodyError> {
        Ok(self.0.take().filter(|bytes| !bytes.is_empty()))
    }

    async fn finish(&mut self) -> Result<Vec<Checksum>, BodyError> {
        Ok(Vec::new())
    }
}

/// What to write, and under which names.
#[derive(Debug, Clone)]
pub struct WriteRequest {
    /// The key that the runs are written under.
    pub home: HomeKey,
    /// The part's number; 1 for a plain PUT.
    pub part: PartNumber,
    /// The ticket that the runs are written under.
    pub ticket: TicketId,
    /// The body's length in bytes, where the client said it.
    pub declared_bytes: Option<u64>,
    /// The wanted profile.
    pub profile: Profile,
    /// Whether the MD5 is wanted.
    pub md5: bool,
    /// The checksums to work out beside CRC-64/NVME; those in `expected` are added.
    pub checksums: Vec<ChecksumAlgorithm>,
    /// What the client said of the body before sending it.
    pub expected: ExpectedDigests,
    /// Whether a body up to the inline limit may come back to go into the index; else it goes to the disks whatever its
    /// length (a manifest must be there to be found by a rebuild).
    pub may_inline: bool,
    /// What the shards' headers carry of the request, so that an index row can be rebuilt from them.
    pub part_metadata: Bytes,
}

/// Digests that a body must have.
#[derive(Debug, Clone, Default)]
pub struct ExpectedDigests {
    /// Content-MD5.
    pub md5: Option<[u8; 16]>,
    /// x-amz-content-sha256, where it is a digest.
    pub payload_sha256: Option<[u8; 32]>,
    /// x-amz-checksum-* headers.
    pub checksums: Vec<Checksum>,
}

/// A body that is on the disks (or comes back to go into the index), synced.
#[derive(Debug, Clone)]
pub struct StoredBody {
    /// Where the bytes are; empty for an empty body.
    pub extents: Vec<Extent>,
    /// The MD5, if it was wanted or expected.
    pub md5: Option<[u8; 16]>,
    /// CRC-64/NVME.
    pub crc64_nvme: u64,
    /// The checksums wanted or expected, in the order of their algorithms; each over the whole body.
    pub checksums: Vec<Checksum>,
    /// The body's length in bytes.
    pub plain_bytes: u64,
    /// Whether some run is narrower than the wanted profile.
    pub degraded: bool,
}

impl StoredBody {
    /// The runs that the body lies in: to be discarded when no command names them after all.
    pub fn runs(&self) -> Vec<Run> {
        self.extents.iter().filter_map(Extent::run).cloned().collect()
    }
}

/// Why a body was not stored. Runs that were begun have been handed to the [`super::DiscardSink`].
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The sender's fault or misfortune; the gateway knows the words.
    #[error(transparent)]
    Body(#[from] BodyError),
    /// The body is shorter or longer than declared.
    #[error("the body has {received} bytes, not {declared}")]
    Length {
        /// What was said.
        declared: u64,
        /// What came (where it is longer: at least).
        received: u64,
    },
    /// Not the expected MD5.
    #[error("the body's MD5 is not the one that was sent")]
    BadMd5,
    /// Not the expected payload SHA-256.
    #[error("the body's SHA-256 is not the signed one")]
    BadPayloadSha256,
    /// Not the expected checksum.
    #[error("the body's {} is not the one that was sent", .0.name())]
    BadChecksum(ChecksumAlgorithm),
    /// Memory was not free in time: 503 SlowDown.
    #[error("too many transfers at once")]
    SlowDown,
    /// The live disks hold no profile that protects the body: 503.
    #[error("the live disks cannot hold {profile} nor anything narrower: {reason}")]
    InsufficientDisks {
        /// The wanted profile.
        profile: Profile,
        /// What is missing.
        reason: String,
    },
    /// The disks that are left have no room: 507.
    #[error("the disks are full")]
    Full,
}
