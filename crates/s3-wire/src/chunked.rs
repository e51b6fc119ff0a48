//! aws-chunked bodies, taken apart as they arrive (S3 API reference, "Transferring Payload in Multiple Chunks").
//!
//! ```text
//! 10000;chunk-signature=<64 hex>\r\n  <65536 bytes>  \r\n  ...
//! 0;chunk-signature=<64 hex>\r\n
//! x-amz-checksum-crc32:<base64>\r\n  x-amz-trailer-signature:<64 hex>\r\n  \r\n
//! ```
//! The decoder sees frames of any cut and never copies payload: what it gives is slices of the frames. It doesn't hash
//! and doesn't know whether a signature is true; the caller hashes what comes between [`ChunkEvent::Start`] and
//! [`ChunkEvent::End`] and asks `sigv4`.

mod line;
mod trailer;

use bytes::{Buf, Bytes};
use http::HeaderValue;

use self::line::LineBuffer;
use crate::body::OBJECT_BODY_BYTES_MAX;
use crate::error::{ErrorCode, S3Error};
use crate::head::RequestHead;

pub use trailer::Trailer;

/// All chunks but the last have at least so many bytes.
pub const CHUNK_BYTES_MIN: u64 = 8192;

/// The longest line of a chunk's header, in bytes: a size and a signature take 99.
const HEADER_BYTES_MAX: usize = 256;

/// Which of the three forms a body has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChunkedForm {
    /// STREAMING-AWS4-HMAC-SHA256-PAYLOAD: each chunk is signed.
    Signed,
    /// STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER: each chunk is signed, and the trailer.
    SignedTrailer,
    /// STREAMING-UNSIGNED-PAYLOAD-TRAILER: nothing is signed, a trailer may follow.
    UnsignedTrailer,
}

impl ChunkedForm {
    /// The form that x-amz-content-sha256 announces.
    pub fn of_request(head: &RequestHead<'_>) -> Option<Self> {
        match head.headers.get("x-amz-content-sha256").map(HeaderValue::as_bytes)? {
            b"STREAMING-AWS4-HMAC-SHA256-PAYLOAD" => Some(Self::Signed),
            b"STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER" => Some(Self::SignedTrailer),
            b"STREAMING-UNSIGNED-PAYLOAD-TRAILER" => Some(Self::UnsignedTrailer),
            _ => None,
        }
    }

    /// Whether each chunk has a signature.
    pub const fn is_signed(self) -> bool {
        matches!(self, Self::Signed | Self::SignedTrailer)
    }

    /// Whether a trailer follows the last chunk.
    pub const fn has_trailer(self) -> bool {
        matches!(self, Self::SignedTrailer | Self::UnsignedTrailer)
    }
}

/// A chunk's signature: 64 hex digits as they were sent.
pub type ChunkSignature = [u8; 64];

/// What the decoder found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChunkEvent {
    /// A chunk begins; the last one has no bytes.
    Start {
        /// Its bytes.
        size: u64,
        /// Its signature, in the signed forms.
        signature: Option<ChunkSignature>,
    },
    /// Bytes of the chunk: at least one, a slice of the frame.
    Data(Bytes),
    /// The chunk is whole.
    End,
    /// The trailer is whole, and with it the body.
    Trailer(Trailer),
    /// The body is whole, and has no trailer.
    Done,
}

/// Takes one body apart.
#[derive(Debug)]
pub struct ChunkDecoder {
    form: ChunkedForm,
    state: State,
    line: LineBuffer,
    trailer: Trailer,
    /// Plain bytes that are still to come.
    plain_bytes_left: u64,
    chunks: u64,
    /// The size of a chunk under the minimum, which only the last chunk may have.
    short_chunk: Option<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Header,
    Data {
        left: u64,
    },
    DataEnd,
    /// After the last chunk's header; its end is to be told.
    LastEnd,
    Trailer,
    /// Only line ends may follow, of which some clients send more than they must.
    Over {
        bytes: u8,
    },
}

impl ChunkDecoder {
    /// For a body of this form and `plain_bytes` bytes (x-amz-decoded-content-length).
    pub fn new(form: ChunkedForm, plain_bytes: u64) -> Self {
        Self {
            form,
            state: State::Header,
            line: LineBuffer::default(),
            trailer: Trailer::default(),
            plain_bytes_left: plain_bytes.min(OBJECT_BODY_BYTES_MAX + 1),
            chunks: 0,
            short_chunk: None,
        }
    }

    /// Takes the next thing out of `frame`, which shrinks; `None` when it is used up and more is needed.
    ///
    /// # Errors
    /// `IncompleteBody` for what is no such body, or has another length than announced; `InvalidChunkSizeError`;
    /// `MalformedTrailerError`. After an error the body must be thrown away.
    pub fn decode(&mut self, frame: &mut Bytes) -> Result<Option<ChunkEvent>, S3Error> {
        loop {
            match self.state {
                State::LastEnd => {
                    self.state = State::Trailer;
                    return Ok(Some(ChunkEvent::End));
                }
                State::Over { bytes } => return self.skip_line_ends(frame, bytes).map(|()| None),
                _ if frame.is_empty() => return Ok(None),
                State::Header => {
                    let Some(line) = self.line.take(frame, HEADER_BYTES_MAX).ok_or_else(malformed)? else {
                        return Ok(None);
                    };
                    let (size, signature) = parse_header(&line, self.form).ok_or_else(malformed)?;
                    self.line.recycle(line);
                    self.begin_chunk(size)?;
                    return Ok(Some(ChunkEvent::Start { size, signature }));
                }
                State::Data { left } => {
                    let length = usize::try_from(left).unwrap_or(usize::MAX).min(frame.len());
                    let data = frame.split_to(length);
                    let left = left - length as u64;
                    self.plain_bytes_left -= length as u64;
                    self.state = if left > 0 { State::Data { left } } else { State::DataEnd };
                    return Ok(Some(ChunkEvent::Data(data)));
                }
                State::DataEnd => {
                    let Some(line) = self.line.take(frame, 2).ok_or_else(malformed)? else { return Ok(None) };
                    if !line.is_empty() {
                        return Err(malformed());
                    }
                    self.line.recycle(line);
                    self.state = State::Header;
                    return Ok(Some(ChunkEvent::End));
                }
                State::Trailer => {
                    if let Some(event) = self.read_trailer_line(frame)? {
                        return Ok(Some(event));
                    }
                }
            }
        }
    }

    /// Checks, at the end of the request's body, that nothing is missing.
    ///
    /// # Errors
    /// `IncompleteBody`.
    pub fn finish(&self) -> Result<(), S3Error> {
        if matches!(self.state, State::Over { .. }) { Ok(()) } else { Err(malformed()) }
    }

    /// Whether [`ChunkEvent::Trailer`] or [`ChunkEvent::Done`] has been given.
    pub const fn is_done(&self) -> bool {
        matches!(self.state, State::Over { .. })
    }

    fn begin_chunk(&mut self, size: u64) -> Result<(), S3Error> {
        self.chunks += 1;
        if size == 0 {
            if self.plain_bytes_left > 0 {
                return Err(malformed());
            }
            self.state = State::LastEnd;
            return Ok(());
        }
        if let Some(bad) = self.short_chunk {
            return Err(S3Error::new(ErrorCode::InvalidChunkSizeError)
                .with("Chunk", (self.chunks - 1).to_string())
                .with("BadChunkSize", bad.to_string()));
        }
        if size > self.plain_bytes_left {
            return Err(malformed());
        }
        self.short_chunk = Some(size).filter(|size| *size < CHUNK_BYTES_MIN);
        self.state = State::Data { left: size };
        Ok(())
    }

    fn read_trailer_line(&mut self, frame: &mut Bytes) -> Result<Option<ChunkEvent>, S3Error> {
        let taken = self.line.take(frame, trailer::LINE_BYTES_MAX);
        let Some(line) = taken.ok_or(ErrorCode::MalformedTrailerError)? else { return Ok(None) };
        if !self.form.has_trailer() {
            if !line.is_empty() {
                return Err(malformed());
            }
            self.state = State::Over { bytes: 0 };
            return Ok(Some(ChunkEvent::Done));
        }
        let whole = self.trailer.add_line(&line, self.form.is_signed())?;
        self.line.recycle(line);
        if !whole {
            return Ok(None);
        }
        self.state = State::Over { bytes: 0 };
        Ok(Some(ChunkEvent::Trailer(std::mem::take(&mut self.trailer))))
    }

    fn skip_line_ends(&mut self, frame: &mut Bytes, bytes: u8) -> Result<(), S3Error> {
        const SURPLUS_MAX: usize = 16;
        let surplus = usize::from(bytes) + frame.len();
        if surplus > SURPLUS_MAX || frame.iter().any(|byte| !matches!(byte, b'\r' | b'\n')) {
            return Err(malformed());
        }
        frame.advance(frame.len());
        self.state = State::Over { bytes: u8::try_from(surplus).expect("at most SURPLUS_MAX") };
        Ok(())
    }
}

/// Reads `10000;chunk-signature=<64 hex>`; other extensions are passed over.
fn parse_header(line: &[u8], form: ChunkedForm) -> Option<(u64, Option<ChunkSignature>)> {
    let mut parts = line.split(|&byte| byte == b';');
    let digits = parts.next()?.trim_ascii();
    if digits.is_empty() || digits.len() > 16 || !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    let size = u64::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
    if !form.is_signed() {
        return Some((size, None));
    }
    let mut signatures = parts.filter_map(|part| part.trim_ascii().strip_prefix(b"chunk-signature="));
    let signature = signatures.next()?.try_into().ok()?;
    Some((size, Some(signature)))
}

fn malformed() -> S3Error {
    ErrorCode::IncompleteBody.into()
}

#[cfg(test)]
mod tests;
