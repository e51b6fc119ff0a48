//! The trailer of an aws-chunked body.

use types::{Checksum, ChecksumAlgorithm};

use super::ChunkSignature;
use crate::checksum;
use crate::error::{ErrorCode, S3Error};

/// The longest line of a trailer, in bytes.
pub(super) const LINE_BYTES_MAX: usize = 1024;

/// How many lines a trailer may have; S3 knows trailers of one header.
const LINES_MAX: usize = 8;

const SIGNATURE: &[u8] = b"x-amz-trailer-signature";

/// What stood after the last chunk.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Trailer {
    headers: Vec<(String, Vec<u8>)>,
    signature: Option<ChunkSignature>,
}

impl Trailer {
    /// Names, in lower case, and values in order; the signature is not among them.
    pub fn headers(&self) -> &[(String, Vec<u8>)] {
        &self.headers
    }

    /// The trailer's signature: there is one in the signed form.
    pub const fn signature(&self) -> Option<&ChunkSignature> {
        self.signature.as_ref()
    }

    /// What the signature covers the SHA-256 of: `name:value\n` for each header.
    pub fn canonical(&self) -> Vec<u8> {
        let lines = self.headers.iter().map(|(name, value)| [name.as_bytes(), b":", value, b"\n"].concat());
        lines.collect::<Vec<_>>().concat()
    }

    /// The checksum of the whole body that was announced for the trailer.
    ///
    /// # Errors
    /// `MalformedTrailerError` when the trailer has another one or none; `InvalidRequest` when its value is broken.
    pub fn checksum(&self, announced: ChecksumAlgorithm) -> Result<Checksum, S3Error> {
        let [(name, value)] = &*self.headers else { return Err(ErrorCode::MalformedTrailerError.into()) };
        if name != checksum::header_name(announced) {
            return Err(ErrorCode::MalformedTrailerError.into());
        }
        checksum::parse_value(announced, name, value)
            .map_err(|_| S3Error::invalid_request(format!("Value for {name} trailing header is invalid.")))
    }

    /// Adds a line; `true` when it was the last one.
    ///
    /// An empty line ends the trailer, but in the signed form only after the signature: some clients end each header
    /// with `\n\r\n`.
    pub(super) fn add_line(&mut self, line: &[u8], signed: bool) -> Result<bool, S3Error> {
        let malformed = || S3Error::new(ErrorCode::MalformedTrailerError);
        if line.is_empty() {
            return Ok(!signed || self.signature.is_some());
        }
        let at = line.iter().position(|&byte| byte == b':').ok_or_else(malformed)?;
        let (name, value) = (line[..at].trim_ascii().to_ascii_lowercase(), line[at + 1..].trim_ascii());
        if self.signature.is_some() || self.headers.len() >= LINES_MAX {
            return Err(malformed());
        }
        if name == SIGNATURE {
            if !signed {
                return Err(malformed());
            }
            self.signature = Some(value.try_into().map_err(|_| malformed())?);
            return Ok(false);
        }
        let name = String::from_utf8(name).map_err(|_| malformed())?;
        self.headers.push((name, value.to_vec()));
        Ok(false)
    }
}
