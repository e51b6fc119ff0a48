//! Where one request ends and the next begins, watched beside hyper's own parser.
//!
//! hyper forgives what a proxy in front may read differently: it drops a repeated Content-Length, and a Content-Length
//! beside Transfer-Encoding. Whoever forgives can be made to disagree (RFC 9112 section 11.2, "Request Smuggling"), so
//! [`Scanner`] follows heads, lengths and chunks in the raw bytes and refuses a request before hyper sees the end of
//! its head. It also bounds heads, refuses those that hyper would refuse without a word of S3's, and tells the
//! connection's watchdog what the client is in the middle of.
//!
//! It keeps nothing of what it reads, and bytes of bodies are counted, not looked at. Should hyper refuse what is passed
//! here, its own bare 400 is the answer.

use memchr::memchr;

/// Why a request's head is refused: the connection is answered and closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    /// Longer than [`HeadLimits::bytes_max`].
    #[error("the request line and headers are too long")]
    HeadTooLong,
    /// More headers than [`HeadLimits::headers_max`].
    #[error("the request has too many headers")]
    TooManyHeaders,
    /// A header that there may be one of.
    #[error("the request has more than one {0} header")]
    Repeated(&'static str),
    /// Two answers to the question how long the body is.
    #[error("the request has both Content-Length and Transfer-Encoding")]
    LengthAndEncoding,
    /// A length that is no number, or one that the parser behind keeps for itself.
    #[error("the Content-Length is not valid")]
    BadLength,
    /// The request line is none.
    #[error("the request line is not valid")]
    BadRequestLine,
    /// A header line is none.
    #[error("a header of the request is not valid")]
    BadHeader,
    /// Any encoding but `chunked` alone.
    #[error("the Transfer-Encoding is not chunked")]
    UnknownEncoding,
    /// Every HTTP/1.1 request names its host.
    #[error("the request has no Host header")]
    MissingHost,
    /// It did not arrive in time. The watchdog's, not the scanner's.
    #[error("the request's head did not arrive in time")]
    HeadTimeout,
}

/// Bounds of a request's head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeadLimits {
    /// The most bytes of request line and headers together.
    pub bytes_max: usize,
    /// The most headers; 100 is the most that the parser behind takes.
    pub headers_max: usize,
}

/// What the client is in the middle of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Nothing: the next byte begins a request.
    Idle,
    /// A request's head.
    Head,
    /// A request's body.
    Body,
}

/// Follows the requests of one connection.
#[derive(Debug)]
pub(crate) struct Scanner {
    limits: HeadLimits,
    state: State,
    head: Head,
    /// The beginning of a line whose end has not arrived.
    partial: Vec<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// In a head, its first byte included.
    Head,
    /// In a body of known length: so many bytes are left, at least one.
    Sized(u64),
    /// In a chunk's size line: the size so far.
    ChunkSize { size: u64, digits: u8, extension: bool },
    /// In a chunk: so many bytes are left, its line end included.
    Chunk(u64),
    /// In a chunked body's trailer: bytes of the line under way, line ends excluded.
    Trailer { line_bytes: u32 },
    /// The chunks make no sense: hyper will say so and end the connection.
    Lost,
}

/// What is known of the head under way.
#[derive(Debug, Clone, Copy, Default)]
struct Head {
    bytes: usize,
    headers: usize,
    has_request_line: bool,
    is_http_11: bool,
    hosts: u32,
    lengths: u32,
    length: u64,
    encodings: u32,
}

impl Scanner {
    pub(crate) fn new(limits: HeadLimits) -> Self {
        Self { limits, state: State::Head, head: Head::default(), partial: Vec::new() }
    }

    /// Goes over the bytes that arrived.
    ///
    /// # Errors
    /// The refusal, and how many of the bytes belong to requests before the refused one.
    pub(crate) fn scan(&mut self, bytes: &[u8]) -> Result<(), (usize, Refusal)> {
        let mut at = 0;
        let mut head_from = 0;
        while at < bytes.len() {
            let rest = &bytes[at..];
            at += match self.state {
                State::Head => {
                    if self.head.bytes == 0 {
                        head_from = at;
                    }
                    self.scan_head_line(rest).map_err(|refusal| (head_from, refusal))?
                }
                State::Sized(left) => {
                    let (taken, left) = take(left, rest);
                    self.state = if left == 0 { State::Head } else { State::Sized(left) };
                    taken
                }
                State::Chunk(left) => {
                    let (taken, left) = take(left, rest);
                    self.state = if left == 0 { State::CHUNK_SIZE } else { State::Chunk(left) };
                    taken
                }
                State::ChunkSize { .. } | State::Trailer { .. } => {
                    self.state = self.state.after_framing_byte(rest[0]);
                    1
                }
                State::Lost => return Ok(()),
            };
        }
        Ok(())
    }

    /// What the client is in the middle of.
    pub(crate) fn phase(&self) -> Phase {
        match self.state {
            State::Head if self.head.bytes == 0 => Phase::Idle,
            State::Head => Phase::Head,
            _ => Phase::Body,
        }
    }

    /// Takes bytes up to the end of a line; returns how many.
    fn scan_head_line(&mut self, bytes: &[u8]) -> Result<usize, Refusal> {
        let end = memchr(b'\n', bytes);
        let taken = end.map_or(bytes.len(), |end| end + 1);
        self.head.bytes += taken;
        if self.head.bytes > self.limits.bytes_max {
            return Err(Refusal::HeadTooLong);
        }
        match end {
            None => self.partial.extend_from_slice(bytes),
            Some(end) if self.partial.is_empty() => self.end_head_line(&bytes[..end])?,
            Some(end) => {
                let mut line = std::mem::take(&mut self.partial);
                line.extend_from_slice(&bytes[..end]);
                self.end_head_line(&line)?;
                line.clear();
                self.partial = line;
            }
        }
        Ok(taken)
    }

    /// `line` is without its `\n`.
    fn end_head_line(&mut self, line: &[u8]) -> Result<(), Refusal> {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if !self.head.has_request_line {
            // Empty lines before a request are passed over (RFC 9112 section 2.2).
            if line.is_empty() {
                self.head.bytes = 0;
                return Ok(());
            }
            self.head.has_request_line = true;
            self.head.is_http_11 = read_request_line(line).ok_or(Refusal::BadRequestLine)?;
            return Ok(());
        }
        if line.is_empty() {
            self.state = self.head.body()?;
            self.head = Head::default();
            return Ok(());
        }
        self.head.headers += 1;
        if self.head.headers > self.limits.headers_max {
            return Err(Refusal::TooManyHeaders);
        }
        self.head.note_header(line)
    }
}

impl State {
    const CHUNK_SIZE: Self = Self::ChunkSize { size: 0, digits: 0, extension: false };

    /// The state after one byte of a size line or trailer.
    fn after_framing_byte(self, byte: u8) -> Self {
        match self {
            Self::ChunkSize { size, digits: 1.., .. } if byte == b'\n' => match size {
                0 => Self::Trailer { line_bytes: 0 },
                // The chunk's own line end is two bytes.
                _ => Self::Chunk(size.saturating_add(2)),
            },
            Self::ChunkSize { extension: true, .. } => self,
            Self::ChunkSize { size, digits, .. } => match (byte as char).to_digit(16) {
                Some(digit) if digits < 16 => {
                    Self::ChunkSize { size: size << 4 | u64::from(digit), digits: digits + 1, extension: false }
                }
                None if digits > 0 && matches!(byte, b';' | b'\r' | b' ' | b'\t') => {
                    Self::ChunkSize { size, digits, extension: true }
                }
                _ => Self::Lost,
            },
            Self::Trailer { line_bytes } => match (byte, line_bytes) {
                (b'\n', 0) => Self::Head,
                (b'\n', _) => Self::Trailer { line_bytes: 0 },
                (b'\r', _) => self,
                _ => Self::Trailer { line_bytes: line_bytes.saturating_add(1) },
            },
            other => other,
        }
    }
}

impl Head {
    fn note_header(&mut self, line: &[u8]) -> Result<(), Refusal> {
        let colon = memchr(b':', line).ok_or(Refusal::BadHeader)?;
        let (name, value) = (&line[..colon], &line[colon + 1..]);
        if !is_token(name) || !is_field_value(value) {
            return Err(Refusal::BadHeader);
        }
        // Most names are told apart by their length.
        if !matches!(name.len(), 4 | 14 | 17) {
            return Ok(());
        }
        let value = value.trim_ascii();
        if name.eq_ignore_ascii_case(b"host") {
            self.hosts += 1;
        } else if name.eq_ignore_ascii_case(b"content-length") {
            self.lengths += 1;
            self.length = parse_length(value).ok_or(Refusal::BadLength)?;
        } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
            self.encodings += 1;
            if !value.eq_ignore_ascii_case(b"chunked") {
                return Err(Refusal::UnknownEncoding);
            }
        }
        Ok(())
    }

    /// How the body is framed, now that the head is whole.
    fn body(&self) -> Result<State, Refusal> {
        if self.lengths > 1 {
            return Err(Refusal::Repeated("Content-Length"));
        }
        if self.encodings > 1 {
            return Err(Refusal::Repeated("Transfer-Encoding"));
        }
        if self.lengths > 0 && self.encodings > 0 {
            return Err(Refusal::LengthAndEncoding);
        }
        if self.hosts > 1 {
            return Err(Refusal::Repeated("Host"));
        }
        if self.hosts == 0 && self.is_http_11 {
            return Err(Refusal::MissingHost);
        }
        Ok(match (self.encodings, self.length) {
            (1, _) => State::CHUNK_SIZE,
            (_, 0) => State::Head,
            (_, length) => State::Sized(length),
        })
    }
}

/// Whether a request line is of HTTP/1.1, else of 1.0; `None` where it is no request line of either.
fn read_request_line(line: &[u8]) -> Option<bool> {
    let mut parts = line.split(|byte| *byte == b' ');
    let (method, target, version) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() || !is_token(method) || http::Uri::try_from(target).is_err() {
        return None;
    }
    match version {
        b"HTTP/1.1" => Some(true),
        b"HTTP/1.0" => Some(false),
        _ => None,
    }
}

/// RFC 9110 section 5.6.2.
fn is_token(text: &[u8]) -> bool {
    const SYMBOLS: &[u8] = b"!#$%&'*+-.^_`|~";
    const TOKEN: [bool; 256] = {
        let mut table = [false; 256];
        let mut byte = 0;
        while byte < 128 {
            table[byte] = (byte as u8).is_ascii_alphanumeric();
            byte += 1;
        }
        let mut at = 0;
        while at < SYMBOLS.len() {
            table[SYMBOLS[at] as usize] = true;
            at += 1;
        }
        table
    };
    !text.is_empty() && text.iter().all(|byte| TOKEN[usize::from(*byte)])
}

/// Visible characters, spaces, tabs and any byte above ASCII. Written without an early end, so that it is vectorised.
fn is_field_value(text: &[u8]) -> bool {
    let is_control = |byte: u8| byte < b' ' && byte != b'\t' || byte == 0x7f;
    !text.iter().fold(false, |found, byte| found | is_control(*byte))
}

/// How many of `bytes` belong to the next `left`, and how many of those are still to come.
fn take(left: u64, bytes: &[u8]) -> (usize, u64) {
    let taken = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
    (taken, left - taken as u64)
}

fn parse_length(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(digits).ok()?.parse().ok().filter(|length| *length <= LENGTH_MAX)
}

/// hyper's own limit: it marks bodies without a length by the two numbers above.
const LENGTH_MAX: u64 = u64::MAX - 2;

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: HeadLimits = HeadLimits { bytes_max: 1024, headers_max: 10 };

    /// Scans `bytes` whole and cut at every place; the outcome may not depend on the cut.
    fn scan(bytes: &[u8]) -> Result<Phase, Refusal> {
        let whole = {
            let mut scanner = Scanner::new(LIMITS);
            scanner.scan(bytes).map(|()| scanner.phase()).map_err(|(_, refusal)| refusal)
        };
        for cut in 0..=bytes.len() {
            let mut scanner = Scanner::new(LIMITS);
            let parts = scanner.scan(&bytes[..cut]).and_then(|()| scanner.scan(&bytes[cut..]));
            assert_eq!(parts.map(|()| scanner.phase()).map_err(|(_, refusal)| refusal), whole, "cut at {cut}");
        }
        whole
    }

    #[test]
    fn requests_follow_each_other_whatever_their_bodies() {
        for body in [
            "GET /a HTTP/1.1\r\nHost: x\r\n\r\n",
            "PUT /a HTTP/1.1\r\nhost: x\r\ncontent-LENGTH: 5\r\n\r\nhello",
            "PUT /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n1a;x=y\r\nabcdefghijklmnopqrstuvwxyz\r\n0\r\n\r\n",
            "PUT /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: Chunked\r\n\r\n0\r\nx-amz-checksum-crc32: AAAAAA==\r\n\r\n",
            "\r\n\r\nGET /a HTTP/1.0\r\n\r\n",
        ] {
            assert_eq!(scan(body.as_bytes()), Ok(Phase::Idle), "{body}");
            assert_eq!(scan(format!("{body}GET / HTTP/1.1\r\nHost: x\r\n").as_bytes()), Ok(Phase::Head), "{body}");
            assert_eq!(scan(format!("{body}{body}").as_bytes()), Ok(Phase::Idle), "{body}");
        }
        assert_eq!(scan(b"PUT /a HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhell"), Ok(Phase::Body));
        assert_eq!(
            scan(b"PUT /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n"),
            Ok(Phase::Body)
        );
    }

    #[test]
    fn what_two_parsers_could_read_differently_is_refused() {
        let refused = |headers: &str| scan(format!("PUT /a HTTP/1.1\r\nHost: x\r\n{headers}\r\n\r\n").as_bytes());
        assert_eq!(refused("Content-Length: 5\r\nContent-Length: 5"), Err(Refusal::Repeated("Content-Length")));
        assert_eq!(refused("Content-Length: 5\r\nTransfer-Encoding: chunked"), Err(Refusal::LengthAndEncoding));
        assert_eq!(refused("Transfer-Encoding: chunked\r\nContent-Length: 5"), Err(Refusal::LengthAndEncoding));
        assert_eq!(refused("Transfer-Encoding: gzip, chunked"), Err(Refusal::UnknownEncoding));
        assert_eq!(
            refused("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked"),
            Err(Refusal::Repeated("Transfer-Encoding"))
        );
        for length in ["", "-1", "+5", "5, 5", "0x5", "99999999999999999999"] {
            assert_eq!(refused(&format!("Content-Length: {length}")), Err(Refusal::BadLength), "{length}");
        }
        assert_eq!(refused("HOST: y"), Err(Refusal::Repeated("Host")));
        assert_eq!(scan(b"GET / HTTP/1.1\r\n\r\n"), Err(Refusal::MissingHost));
    }

    #[test]
    fn heads_that_are_no_http_are_refused() {
        for line in [
            "GET /",
            "GET  / HTTP/1.1",
            "GET / HTTP/1.1 ",
            "G(T / HTTP/1.1",
            "GET / HTTP/2.0",
            "GET /\u{7f} HTTP/1.1",
            " ",
        ] {
            assert_eq!(scan(format!("{line}\r\nHost: x\r\n\r\n").as_bytes()), Err(Refusal::BadRequestLine), "{line}");
        }
        for header in ["nothing", "a b: c", ": c", "a : c", " folded", "a: b\0", "a: b\rc", "a: \u{7f}"] {
            let head = format!("GET / HTTP/1.1\r\nHost: x\r\n{header}\r\n\r\n");
            assert_eq!(scan(head.as_bytes()), Err(Refusal::BadHeader), "{header}");
        }
        for fine in [
            "GET /ä%20+\"[]{}?a=&b HTTP/1.1\r\nHost: x\r\na:\r\nb: ä\t{}\r\n\r\n",
            "GET http://x/y HTTP/1.1\r\nHost: x\r\n\r\n",
        ] {
            assert_eq!(scan(fine.as_bytes()), Ok(Phase::Idle), "{fine}");
        }
    }

    #[test]
    fn heads_are_bounded_in_bytes_and_headers() {
        let long = format!("GET / HTTP/1.1\r\nHost: x\r\nx: {}\r\n\r\n", "a".repeat(LIMITS.bytes_max));
        assert_eq!(scan(long.as_bytes()), Err(Refusal::HeadTooLong));
        let many = format!("GET / HTTP/1.1\r\nHost: x\r\n{}\r\n", "a: b\r\n".repeat(LIMITS.headers_max));
        assert_eq!(scan(many.as_bytes()), Err(Refusal::TooManyHeaders));
    }

    #[test]
    fn requests_before_a_refused_one_are_let_through() {
        let good = b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n";
        let mut bytes = good.to_vec();
        bytes.extend_from_slice(b"GET /b HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n");
        assert_eq!(Scanner::new(LIMITS).scan(&bytes), Err((good.len(), Refusal::Repeated("Host"))));
    }

    #[test]
    fn chunks_that_make_no_sense_are_left_to_the_parser_behind() {
        let lost = b"PUT /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\nGET / HTTP/1.1\r\n\r\n";
        assert_eq!(scan(lost), Ok(Phase::Body));
    }
}
