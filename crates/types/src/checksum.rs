//! Checksums that S3 clients send and ask for.

use std::fmt;
use std::str::FromStr;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// S3's checksum algorithms (S3 User Guide, "Checking object integrity"). The discriminants are those of formats.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum ChecksumAlgorithm {
    /// CRC-32 (ISO-HDLC).
    Crc32,
    /// CRC-32C (Castagnoli).
    Crc32c,
    /// CRC-64/NVME.
    Crc64Nvme,
    /// SHA-1.
    Sha1,
    /// SHA-256.
    Sha256,
}

impl ChecksumAlgorithm {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Crc32, Self::Crc32c, Self::Crc64Nvme, Self::Sha1, Self::Sha256];

    /// S3's name, as in `x-amz-checksum-algorithm`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Crc32 => "CRC32",
            Self::Crc32c => "CRC32C",
            Self::Crc64Nvme => "CRC64NVME",
            Self::Sha1 => "SHA1",
            Self::Sha256 => "SHA256",
        }
    }

    /// The value's length in bytes.
    pub const fn digest_len(self) -> usize {
        match self {
            Self::Crc32 | Self::Crc32c => 4,
            Self::Crc64Nvme => 8,
            Self::Sha1 => 20,
            Self::Sha256 => 32,
        }
    }

    /// The type of an upload's checksum when the client names none: full object for CRC64NVME, else composite.
    pub const fn default_type_of_upload(self) -> ChecksumType {
        match self {
            Self::Crc64Nvme => ChecksumType::FullObject,
            _ => ChecksumType::Composite,
        }
    }

    /// Whether an upload may carry this algorithm with `checksum_type` (SHA has no full-object form for uploads,
    /// CRC64NVME no composite one).
    pub const fn allows_for_upload(self, checksum_type: ChecksumType) -> bool {
        !matches!(
            (self, checksum_type),
            (Self::Sha1 | Self::Sha256, ChecksumType::FullObject) | (Self::Crc64Nvme, ChecksumType::Composite)
        )
    }
}

/// An unknown algorithm or type, or a value of the wrong length.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the checksum is not valid")]
pub struct ChecksumError;

impl FromStr for ChecksumAlgorithm {
    type Err = ChecksumError;

    fn from_str(name: &str) -> Result<Self, ChecksumError> {
        Self::ALL.into_iter().find(|a| a.name().eq_ignore_ascii_case(name)).ok_or(ChecksumError)
    }
}

/// Whether a checksum covers an object's bytes or its parts' checksums.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ChecksumType {
    /// Over all bytes of the object.
    FullObject,
    /// Over the parts' checksums, shown with `-N`.
    Composite,
}

impl ChecksumType {
    /// S3's name, as in `x-amz-checksum-type`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::FullObject => "FULL_OBJECT",
            Self::Composite => "COMPOSITE",
        }
    }
}

impl FromStr for ChecksumType {
    type Err = ChecksumError;

    fn from_str(name: &str) -> Result<Self, ChecksumError> {
        match name {
            "FULL_OBJECT" => Ok(Self::FullObject),
            "COMPOSITE" => Ok(Self::Composite),
            _ => Err(ChecksumError),
        }
    }
}

/// A checksum and what it covers.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checksum {
    /// The algorithm.
    pub algorithm: ChecksumAlgorithm,
    /// What it covers.
    pub checksum_type: ChecksumType,
    /// The raw value, big-endian for CRCs as S3 shows them; its length is the algorithm's.
    value: Bytes,
}

impl Checksum {
    /// Checks the value's length.
    ///
    /// # Errors
    /// [`ChecksumError`] when `value` is not as long as the algorithm's digest.
    pub fn new(
        algorithm: ChecksumAlgorithm,
        checksum_type: ChecksumType,
        value: impl Into<Bytes>,
    ) -> Result<Self, ChecksumError> {
        let value = value.into();
        if value.len() == algorithm.digest_len() {
            Ok(Self { algorithm, checksum_type, value })
        } else {
            Err(ChecksumError)
        }
    }

    /// The raw value.
    pub fn value(&self) -> &[u8] {
        &self.value
    }
}

impl fmt::Debug for Checksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}({}, {})", self.algorithm.name(), self.checksum_type.name(), hex::encode(&self.value))
    }
}
