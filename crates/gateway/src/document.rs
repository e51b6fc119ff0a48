//! A request's XML body, gathered whole.

use bytes::{Bytes, BytesMut};
use md5::Md5;
use s3_wire::body::{BodyChecksum, BodyIntegrity, ObjectBody, plain_bytes};
use s3_wire::chunked::ChunkedForm;
use s3_wire::{ErrorCode, Operation, S3Error, checksum};
use sha1::Sha1;
use sha2::{Digest, Sha256};
use sigv4::PayloadHash;
use types::{Checksum, ChecksumAlgorithm, ChecksumType};

use crate::body::RequestBody;
use crate::call::Call;

/// Gathers the body of at most `bytes_max` bytes and compares all digests that the head and the trailer name. A request
/// without a body has an empty one.
///
/// # Errors
/// `MaxMessageLengthExceeded`; `XAmzContentSHA256Mismatch`, `BadDigest`, `SignatureDoesNotMatch`; those of frames.
pub(crate) async fn gather(call: &mut Call<'_>, bytes_max: usize) -> Result<Bytes, S3Error> {
    let announced = announced(call)?;
    if announced.plain_bytes.is_some_and(|bytes| bytes > bytes_max as u64) {
        return Err(too_long(bytes_max));
    }
    let payload = call.authenticated.payload;
    let signer = call.authenticated.chunks.take();
    let mut body = RequestBody::new(call.frames, &announced, signer, &call.core.services.workers)?;
    let document = read_all(&mut body, bytes_max).await?;
    let mut checksums = body.trailing_checksums()?;
    if let BodyChecksum::Value(checksum) = announced.integrity.checksum {
        checksums.push(checksum);
    }
    if let PayloadHash::Sha256(expected) = payload {
        let calculated = Sha256::digest(&document).into();
        if calculated != expected {
            return Err(checksum::content_sha256_mismatch(&expected, &calculated));
        }
    }
    if let Some(expected) = announced.integrity.content_md5 {
        let calculated = Md5::digest(&document).into();
        if calculated != expected {
            return Err(checksum::bad_content_md5(&expected, &calculated));
        }
    }
    match checksums.iter().find(|checksum| checksum_of(checksum.algorithm, &document) != **checksum) {
        Some(checksum) => Err(checksum::bad_checksum(checksum.algorithm)),
        None => Ok(document),
    }
}

/// What the head says of the document: unlike an object it may come without a length.
fn announced(call: &Call<'_>) -> Result<ObjectBody, S3Error> {
    let chunked = ChunkedForm::of_request(&call.head);
    let plain_bytes = match chunked {
        None => call.head.content_length()?,
        Some(_) => plain_bytes(&call.head, chunked)?,
    };
    let integrity = match call.operation {
        Operation::CompleteMultipartUpload => BodyIntegrity::parse_of_completion(&call.head)?,
        _ => BodyIntegrity::parse(&call.head)?,
    };
    Ok(ObjectBody { plain_bytes, chunked, integrity })
}

async fn read_all(body: &mut RequestBody<'_>, bytes_max: usize) -> Result<Bytes, S3Error> {
    let Some(first) = body.next_bytes().await? else { return Ok(Bytes::new()) };
    let mut gathered: Option<BytesMut> = None;
    let mut bytes = first.len();
    while let Some(next) = body.next_bytes().await? {
        bytes += next.len();
        if bytes > bytes_max {
            return Err(too_long(bytes_max));
        }
        gathered.get_or_insert_with(|| BytesMut::from(&first[..])).extend_from_slice(&next);
    }
    if bytes > bytes_max {
        return Err(too_long(bytes_max));
    }
    Ok(gathered.map_or(first, BytesMut::freeze))
}

pub(crate) fn too_long(bytes_max: usize) -> S3Error {
    S3Error::new(ErrorCode::MaxMessageLengthExceeded).with("MaxMessageLengthBytes", bytes_max.to_string())
}

fn checksum_of(algorithm: ChecksumAlgorithm, bytes: &[u8]) -> Checksum {
    let value = match algorithm {
        ChecksumAlgorithm::Crc32 => crc32fast::hash(bytes).to_be_bytes().to_vec(),
        ChecksumAlgorithm::Crc32c => crc32c::crc32c(bytes).to_be_bytes().to_vec(),
        ChecksumAlgorithm::Crc64Nvme => {
            let mut digest = crc64fast_nvme::Digest::new();
            digest.write(bytes);
            digest.sum64().to_be_bytes().to_vec()
        }
        ChecksumAlgorithm::Sha1 => Sha1::digest(bytes).to_vec(),
        ChecksumAlgorithm::Sha256 => Sha256::digest(bytes).to_vec(),
    };
    Checksum::new(algorithm, ChecksumType::FullObject, value).expect("each digest has its algorithm's length")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The check values of "123456789" (reveng catalogue; RFC 3174 and FIPS 180-4 implementations).
    #[test]
    fn checksums_are_those_of_their_catalogues() {
        let digest = |algorithm| checksum_of(algorithm, b"123456789").value().to_vec();
        assert_eq!(digest(ChecksumAlgorithm::Crc32), 0xcbf4_3926_u32.to_be_bytes());
        assert_eq!(digest(ChecksumAlgorithm::Crc32c), 0xe306_9283_u32.to_be_bytes());
        assert_eq!(digest(ChecksumAlgorithm::Crc64Nvme), 0xae8b_1486_0a79_9888_u64.to_be_bytes());
        assert_eq!(digest(ChecksumAlgorithm::Sha1)[..4], [0xf7, 0xc3, 0xbc, 0x1d]);
        assert_eq!(digest(ChecksumAlgorithm::Sha256)[..4], [0x15, 0xe2, 0xb0, 0xd3]);
    }
}
