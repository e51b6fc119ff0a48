//! All digests of one body, computed while it passes.
//!
//! CRCs run at 12 to 25 GB/s, so they are computed where the bytes are, still hot from being copied; MD5 and SHA go to
//! the workers, except for bodies so small that the way there costs more.

use bytes::Bytes;
use crc64fast_nvme::Digest as Crc64;
use md5_many::Md5State;
use platform::Workers;
use sha1::Sha1;
use sha2::{Digest, Sha256};
use types::{Checksum, ChecksumAlgorithm, ChecksumType};

use super::body::{ExpectedDigests, WriteError, WriteRequest};
use super::md5::{Md5Batcher, Md5Stream};
use super::sha::{ShaState, ShaStream};

/// The MD5 of bodies up to this many bytes is computed where they are: some 12 us.
const MD5_HERE_BYTES_MAX: u64 = 8 << 10;
/// The same for SHA: some 45 us.
const SHA_HERE_BYTES_MAX: u64 = 64 << 10;

/// Which digests of a body are wanted; CRC-64/NVME always is.
#[derive(Debug, Clone)]
pub(super) struct WantedDigests {
    md5: bool,
    /// In order, without repeats.
    checksums: Vec<ChecksumAlgorithm>,
    payload_sha256: bool,
}

impl WantedDigests {
    pub(super) fn of(request: &WriteRequest) -> Self {
        let ExpectedDigests { md5, payload_sha256, checksums } = &request.expected;
        let expected = checksums.iter().map(|checksum| checksum.algorithm);
        let mut algorithms: Vec<ChecksumAlgorithm> = request.checksums.iter().copied().chain(expected).collect();
        algorithms.sort_unstable();
        algorithms.dedup();
        Self { md5: request.md5 || md5.is_some(), checksums: algorithms, payload_sha256: payload_sha256.is_some() }
    }

    pub(super) fn md5_and(checksum: Option<ChecksumAlgorithm>) -> Self {
        Self { md5: true, checksums: checksum.into_iter().collect(), payload_sha256: false }
    }

    fn has(&self, algorithm: ChecksumAlgorithm) -> bool {
        self.checksums.contains(&algorithm) || (self.payload_sha256 && algorithm == ChecksumAlgorithm::Sha256)
    }

    fn sha(&self) -> Option<ShaState> {
        let sha1 = self.has(ChecksumAlgorithm::Sha1).then(Sha1::new);
        let sha256 = self.has(ChecksumAlgorithm::Sha256).then(Sha256::new);
        (sha1.is_some() || sha256.is_some()).then_some(ShaState { sha1, sha256 })
    }
}

/// A body's digests under way.
pub(super) struct BodyDigests {
    wanted: WantedDigests,
    crcs: Crcs,
    md5: Option<Md5>,
    sha: Option<Sha>,
}

enum Md5 {
    Here(Box<Md5State>),
    OnWorkers(Md5Stream),
}

enum Sha {
    Here(Box<ShaState>),
    OnWorkers(ShaStream),
}

#[derive(Default)]
struct Crcs {
    crc64: Crc64,
    crc32: Option<crc32fast::Hasher>,
    crc32c: Option<u32>,
}

impl BodyDigests {
    /// `bytes_max` is what the body can have at most.
    pub(super) fn begin(wanted: WantedDigests, bytes_max: u64, batcher: &Md5Batcher, workers: &Workers) -> Self {
        let crcs = Crcs {
            crc64: Crc64::new(),
            crc32: wanted.has(ChecksumAlgorithm::Crc32).then(crc32fast::Hasher::new),
            crc32c: wanted.has(ChecksumAlgorithm::Crc32c).then_some(0),
        };
        let md5 = wanted.md5.then(|| match bytes_max {
            ..=MD5_HERE_BYTES_MAX => Md5::Here(Box::default()),
            _ => Md5::OnWorkers(batcher.begin()),
        });
        let sha = wanted.sha().map(|sha| match bytes_max {
            ..=SHA_HERE_BYTES_MAX => Sha::Here(Box::new(sha)),
            _ => Sha::OnWorkers(ShaStream::begin(workers.clone(), sha)),
        });
        Self { wanted, crcs, md5, sha }
    }

    /// Takes the next bytes; waits while hashing is far behind.
    pub(super) async fn update(&mut self, piece: Bytes) {
        self.crcs.update(&piece);
        match &mut self.sha {
            Some(Sha::Here(sha)) => sha.update(&piece),
            Some(Sha::OnWorkers(sha)) => sha.update(piece.clone()).await,
            None => {}
        }
        match &mut self.md5 {
            Some(Md5::Here(md5)) => md5.update(&piece),
            Some(Md5::OnWorkers(md5)) => md5.update(piece).await,
            None => {}
        }
    }

    pub(super) async fn finish(self) -> Digests {
        let sha = match self.sha {
            Some(Sha::Here(sha)) => *sha,
            Some(Sha::OnWorkers(sha)) => sha.finish().await,
            None => ShaState::default(),
        };
        let md5 = match self.md5 {
            Some(Md5::Here(md5)) => Some(md5.finalize()),
            Some(Md5::OnWorkers(md5)) => Some(md5.finish().await),
            None => None,
        };
        let sha256 = sha.sha256.map(|sha256| <[u8; 32]>::from(sha256.finalize()));
        let sha1 = sha.sha1.map(|sha1| <[u8; 20]>::from(sha1.finalize()));
        let crc64_nvme = self.crcs.crc64.sum64();
        let value = |algorithm: ChecksumAlgorithm| -> Vec<u8> {
            match algorithm {
                ChecksumAlgorithm::Crc32 => self.crcs.crc32.clone().map(|crc| crc.finalize().to_be_bytes().to_vec()),
                ChecksumAlgorithm::Crc32c => self.crcs.crc32c.map(|crc| crc.to_be_bytes().to_vec()),
                ChecksumAlgorithm::Crc64Nvme => Some(crc64_nvme.to_be_bytes().to_vec()),
                ChecksumAlgorithm::Sha1 => sha1.map(|digest| digest.to_vec()),
                ChecksumAlgorithm::Sha256 => sha256.map(|digest| digest.to_vec()),
            }
            .expect("what is wanted was computed")
        };
        let checksum = |algorithm: &ChecksumAlgorithm| {
            Checksum::new(*algorithm, ChecksumType::FullObject, value(*algorithm)).expect("the algorithm's length")
        };
        let checksums = self.wanted.checksums.iter().map(checksum).collect();
        Digests { md5, crc64_nvme, payload_sha256: sha256.filter(|_| self.wanted.payload_sha256), checksums }
    }
}

impl Crcs {
    fn update(&mut self, bytes: &[u8]) {
        self.crc64.write(bytes);
        if let Some(crc32) = &mut self.crc32 {
            crc32.update(bytes);
        }
        if let Some(crc32c) = &mut self.crc32c {
            *crc32c = crc32c::crc32c_append(*crc32c, bytes);
        }
    }
}

/// A body's digests.
#[derive(Debug, Clone)]
pub(super) struct Digests {
    pub(super) md5: Option<[u8; 16]>,
    pub(super) crc64_nvme: u64,
    pub(super) payload_sha256: Option<[u8; 32]>,
    pub(super) checksums: Vec<Checksum>,
}

impl Digests {
    /// Compares with what the client said, in headers and in trailers.
    pub(super) fn verify(&self, expected: &ExpectedDigests, trailers: &[Checksum]) -> Result<(), WriteError> {
        if expected.md5.is_some_and(|md5| self.md5 != Some(md5)) {
            return Err(WriteError::BadMd5);
        }
        if expected.payload_sha256.is_some_and(|sha256| self.payload_sha256 != Some(sha256)) {
            return Err(WriteError::BadPayloadSha256);
        }
        for said in expected.checksums.iter().chain(trailers) {
            let computed = match said.algorithm {
                ChecksumAlgorithm::Crc64Nvme => Some(&self.crc64_nvme.to_be_bytes()[..]),
                _ => self.checksums.iter().find(|own| own.algorithm == said.algorithm).map(Checksum::value),
            };
            if computed != Some(said.value()) {
                return Err(WriteError::BadChecksum(said.algorithm));
            }
        }
        Ok(())
    }
}

/// The digest of bytes at hand.
pub(super) fn digest_of(algorithm: ChecksumAlgorithm, bytes: &[u8]) -> Bytes {
    match algorithm {
        ChecksumAlgorithm::Crc32 => crc32fast::hash(bytes).to_be_bytes().to_vec().into(),
        ChecksumAlgorithm::Crc32c => crc32c::crc32c(bytes).to_be_bytes().to_vec().into(),
        ChecksumAlgorithm::Crc64Nvme => {
            let mut crc = Crc64::new();
            crc.write(bytes);
            crc.sum64().to_be_bytes().to_vec().into()
        }
        ChecksumAlgorithm::Sha1 => Sha1::digest(bytes).to_vec().into(),
        ChecksumAlgorithm::Sha256 => Sha256::digest(bytes).to_vec().into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The check values of the CRC catalogue and of FIPS 180-4's examples.
    #[test]
    fn digests_have_their_published_values() {
        let digest = |algorithm, bytes: &[u8]| -> String {
            digest_of(algorithm, bytes).iter().map(|byte| format!("{byte:02x}")).collect()
        };
        assert_eq!(digest(ChecksumAlgorithm::Crc32, b"123456789"), "cbf43926");
        assert_eq!(digest(ChecksumAlgorithm::Crc32c, b"123456789"), "e3069283");
        assert_eq!(digest(ChecksumAlgorithm::Crc64Nvme, b"123456789"), "ae8b14860a799888");
        assert_eq!(digest(ChecksumAlgorithm::Sha1, b"abc"), "a9993e364706816aba3e25717850c26c9cd0d89d");
        assert_eq!(
            digest(ChecksumAlgorithm::Sha256, b"abc"),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }
}
