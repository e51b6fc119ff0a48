//! Reading a part through for its digests: what a rebuild knows of a body that no row describes.

use futures::StreamExt;
use types::{Checksum, ChecksumAlgorithm};

use super::digests::{BodyDigests, Digests, WantedDigests};
use super::{DataPath, PartToRead, ReadError};

/// A part's digests, computed from its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartDigests {
    /// MD5.
    pub md5: [u8; 16],
    /// CRC-64/NVME.
    pub crc64_nvme: u64,
    /// Of the wanted algorithms.
    pub checksums: Vec<Checksum>,
}

impl DataPath {
    /// Reads a part of `bytes` plain bytes through, rebuilding what is missing, and computes its digests.
    ///
    /// # Errors
    /// [`ReadError`]: the part is not whole.
    pub async fn digest_part(
        &self,
        part: PartToRead,
        bytes: u64,
        checksum: Option<ChecksumAlgorithm>,
    ) -> Result<PartDigests, ReadError> {
        let wanted = WantedDigests::md5_and(checksum);
        let mut digests = BodyDigests::begin(wanted, bytes, &self.core.md5, &self.core.seams.workers);
        let mut body = self.read(vec![part], 0..bytes);
        while let Some(piece) = body.next().await {
            digests.update(piece?).await;
        }
        let Digests { md5, crc64_nvme, checksums, .. } = digests.finish().await;
        Ok(PartDigests { md5: md5.expect("the MD5 was wanted"), crc64_nvme, checksums })
    }
}
