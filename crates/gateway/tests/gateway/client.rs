//! A client that writes and reads HTTP by hand, so that a test decides about every byte, and signs with AWS's signer.

use std::net::SocketAddr;
use std::time::{Duration, UNIX_EPOCH};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SignatureLocation, SigningSettings,
    UriPathNormalizationMode, sign,
};
use aws_sigv4::sign::v4::{SigningParams, calculate_signature, generate_signing_key};
use sha2::{Digest, Sha256};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use types::Timestamp;

use crate::world::{BEGINNING, SECRET_KEY};

/// How long any step of a test may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// A client of one gateway; each request has its own connection.
pub(crate) struct Client {
    pub(crate) address: SocketAddr,
    pub(crate) access_key: &'static str,
    pub(crate) now: Timestamp,
}

/// An answer.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(each, _)| each.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap()
    }

    /// The text of the first element of this name.
    pub(crate) fn element(&self, name: &str) -> Option<String> {
        let text = self.text();
        let from = text.find(&format!("<{name}>"))? + name.len() + 2;
        let to = text[from..].find(&format!("</{name}>"))?;
        Some(text[from..from + to].to_owned())
    }

    /// Status and error code.
    pub(crate) fn error(&self) -> (u16, String) {
        (self.status, self.element("Code").unwrap_or_else(|| panic!("no error in {self:?}")))
    }
}

/// How a body is signed.
pub(crate) enum Payload<'a> {
    Whole(&'a [u8]),
    Unsigned,
    /// The value of `x-amz-content-sha256`.
    Named(&'a str),
}

/// A signed request, to be sent or spoilt.
#[derive(Clone)]
pub(crate) struct Signed {
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) signature: String,
}

impl Signed {
    /// The bytes of the head.
    pub(crate) fn head(&self) -> Vec<u8> {
        let mut head = format!("{} {} HTTP/1.1\r\n", self.method, self.target);
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str("\r\n");
        head.into_bytes()
    }

    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }
}

impl Client {
    pub(crate) fn new(address: SocketAddr, access_key: &'static str) -> Self {
        Self { address, access_key, now: BEGINNING }
    }

    pub(crate) fn host(&self) -> String {
        self.address.to_string()
    }

    pub(crate) async fn get(&mut self, target: &str) -> Answer {
        self.send("GET", target, &[], b"").await
    }

    pub(crate) async fn put(&mut self, target: &str, body: &[u8]) -> Answer {
        self.send("PUT", target, &[], body).await
    }

    /// Sends a request whose body is signed by its hash.
    pub(crate) async fn send(&mut self, method: &str, target: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let length = body.len().to_string();
        let signed = self.sign(method, target, headers, &Payload::Whole(body)).with("content-length", &length);
        self.exchange(&signed, body).await
    }

    /// Sends a request and reads its answer.
    pub(crate) async fn exchange(&self, signed: &Signed, body: &[u8]) -> Answer {
        let bytes = [&signed.head()[..], body].concat();
        self.exchange_bytes(&bytes, signed.method == "HEAD").await
    }

    /// Sends bytes on a connection of their own and reads one answer.
    pub(crate) async fn exchange_bytes(&self, bytes: &[u8], is_head: bool) -> Answer {
        let mut stream = self.connect().await;
        // The gateway may answer, and close, before it has read all.
        let _ = stream.write_all(bytes).await;
        read_answer(&mut stream, is_head).await
    }

    pub(crate) async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// Signs in the Authorization header. `headers` are signed, too.
    pub(crate) fn sign(&self, method: &str, target: &str, headers: &[(&str, &str)], payload: &Payload<'_>) -> Signed {
        self.sign_for(&self.host(), method, target, headers, payload)
    }

    /// The same for another host.
    pub(crate) fn sign_for(
        &self,
        host: &str,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        payload: &Payload<'_>,
    ) -> Signed {
        self.signed_at(SignatureLocation::Headers, host, method, target, headers, payload)
    }

    /// A presigned request, valid for ten minutes.
    pub(crate) fn presign(&self, method: &str, target: &str) -> Signed {
        self.signed_at(SignatureLocation::QueryParams, &self.host(), method, target, &[], &Payload::Unsigned)
    }

    fn signed_at(
        &self,
        location: SignatureLocation,
        host: &str,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        payload: &Payload<'_>,
    ) -> Signed {
        let mut settings = SigningSettings::default();
        settings.percent_encoding_mode = PercentEncodingMode::Single;
        settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
        settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
        settings.signature_location = location;
        settings.expires_in = (location == SignatureLocation::QueryParams).then_some(Duration::from_secs(600));
        let identity = Credentials::new(self.access_key, SECRET_KEY, None, None, "test").into();
        let params = SigningParams::builder()
            .identity(&identity)
            .region("eu-west-1")
            .name("s3")
            .time(UNIX_EPOCH + Duration::from_secs(self.now.seconds()))
            .settings(settings)
            .build()
            .unwrap()
            .into();
        let body = match payload {
            Payload::Whole(bytes) => SignableBody::Bytes(bytes),
            Payload::Unsigned => SignableBody::UnsignedPayload,
            Payload::Named(name) => SignableBody::Precomputed((*name).to_owned()),
        };
        let uri = format!("http://{host}{target}");
        let signable = SignableRequest::new(method, uri.as_str(), headers.iter().copied(), body).unwrap();
        let (instructions, signature) = sign(signable, &params).unwrap().into_parts();
        let mut request = http::Request::builder().method(method).uri(uri).body(()).unwrap();
        instructions.apply_to_request_http1x(&mut request);
        let mut all = vec![("host".to_owned(), host.to_owned())];
        all.extend(headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        for (name, value) in request.headers() {
            all.push((name.to_string(), value.to_str().unwrap().to_owned()));
        }
        let target = request.uri().path_and_query().unwrap().to_string();
        Signed { method: method.to_owned(), target, headers: all, signature }
    }

    /// An aws-chunked body: the request that announces it and its bytes.
    pub(crate) fn sign_chunks(&self, target: &str, chunks: &Chunks<'_>) -> (Signed, Vec<u8>) {
        let plain_bytes = chunks.plain.len().to_string();
        let mut headers = vec![("x-amz-decoded-content-length", plain_bytes.as_str())];
        if let Some((name, _)) = chunks.trailer {
            headers.push(("x-amz-trailer", name));
        }
        headers.extend_from_slice(chunks.headers);
        let form = match (chunks.is_signed, chunks.trailer) {
            (true, None) => "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
            (true, Some(_)) => "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER",
            (false, _) => "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
        };
        let signed = self.sign("PUT", target, &headers, &Payload::Named(form));
        let body = self.chunked_body(chunks, &signed.signature);
        let length = body.len().to_string();
        (signed.with("content-length", &length), body)
    }

    fn chunked_body(&self, chunks: &Chunks<'_>, seed: &str) -> Vec<u8> {
        let mut previous = seed.to_owned();
        let mut body = Vec::new();
        for chunk in chunks.plain.chunks(chunks.chunk_bytes).chain([&[][..]]) {
            if chunks.is_signed {
                let empty = hex::encode(Sha256::digest(b""));
                let hash = hex::encode(Sha256::digest(chunk));
                previous = self.sign_text(&format!("{}\n{previous}\n{empty}\n{hash}", self.preamble("PAYLOAD")));
                body.extend_from_slice(format!("{:x};chunk-signature={previous}\r\n", chunk.len()).as_bytes());
            } else {
                body.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
            }
            body.extend_from_slice(chunk);
            if !chunk.is_empty() {
                body.extend_from_slice(b"\r\n");
            }
        }
        if let Some((name, value)) = chunks.trailer {
            body.extend_from_slice(format!("{name}:{value}\r\n").as_bytes());
            if chunks.is_signed {
                let hash = hex::encode(Sha256::digest(format!("{name}:{value}\n")));
                let signature = self.sign_text(&format!("{}\n{previous}\n{hash}", self.preamble("TRAILER")));
                body.extend_from_slice(format!("x-amz-trailer-signature:{signature}\r\n").as_bytes());
            }
        }
        body.extend_from_slice(b"\r\n");
        body
    }

    fn preamble(&self, kind: &str) -> String {
        let (date, time) = basic_time(self.now);
        format!("AWS4-HMAC-SHA256-{kind}\n{date}T{time}Z\n{date}/eu-west-1/s3/aws4_request")
    }

    fn sign_text(&self, text: &str) -> String {
        let at = UNIX_EPOCH + Duration::from_secs(self.now.seconds());
        calculate_signature(generate_signing_key(SECRET_KEY, at, "eu-west-1", "s3"), text.as_bytes())
    }
}

/// An aws-chunked body to be made.
pub(crate) struct Chunks<'a> {
    pub(crate) plain: &'a [u8],
    pub(crate) chunk_bytes: usize,
    pub(crate) is_signed: bool,
    pub(crate) trailer: Option<(&'a str, &'a str)>,
    pub(crate) headers: &'a [(&'a str, &'a str)],
}

/// `20231114` and `221320` of a time.
fn basic_time(at: Timestamp) -> (String, String) {
    // The signer's own text: a presigned query has it.
    let seconds = at.seconds();
    let days = seconds / 86_400;
    let (year, month, day) = civil(days);
    let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    (format!("{year:04}{month:02}{day:02}"), format!("{hour:02}{minute:02}{second:02}"))
}

/// The date `days` after 1970 (Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms").
fn civil(days: u64) -> (u64, u64, u64) {
    let shifted = days + 719_468;
    let (era, of_era) = (shifted / 146_097, shifted % 146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let part = (5 * of_year + 2) / 153;
    let day = of_year - (153 * part + 2) / 5 + 1;
    let month = if part < 10 { part + 3 } else { part - 9 };
    (year + era * 400 + u64::from(month <= 2), month, day)
}

/// Reads one answer, `100 Continue` passed over.
pub(crate) async fn read_answer<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut S, is_head: bool) -> Answer {
    tokio::time::timeout(PATIENCE, async {
        loop {
            let answer = read_one(stream, is_head).await.expect("the connection ended without an answer");
            if answer.status != 100 {
                return answer;
            }
        }
    })
    .await
    .expect("no answer in time")
}

/// Reads what is left of an answer of which `begun` was read.
pub(crate) async fn read_rest<S: AsyncRead + Unpin>(stream: &mut S, begun: &[u8]) -> Answer {
    let rest = read_after(stream, begun.to_vec(), false);
    tokio::time::timeout(PATIENCE, rest).await.expect("no end in time").expect("the answer goes on")
}

/// Reads one answer of any status; `None` when the connection ends instead.
pub(crate) async fn read_one<S: AsyncRead + Unpin>(stream: &mut S, is_head: bool) -> Option<Answer> {
    read_after(stream, Vec::new(), is_head).await
}

async fn read_after<S: AsyncRead + Unpin>(stream: &mut S, mut head: Vec<u8>, is_head: bool) -> Option<Answer> {
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        if stream.read(&mut byte).await.ok()? == 0 {
            assert!(head.is_empty(), "the connection ended within a head: {}", String::from_utf8_lossy(&head));
            return None;
        }
        head.push(byte[0]);
    }
    let text = String::from_utf8(head).unwrap();
    let mut lines = text.split("\r\n");
    let status: u16 = lines.next().unwrap()[9..12].parse().unwrap();
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_owned(), value.trim().to_owned()))
        .collect();
    let mut answer = Answer { status, headers, body: Vec::new() };
    if is_head || matches!(status, 100 | 204 | 304) {
        return Some(answer);
    }
    if let Some(length) = answer.header("content-length") {
        answer.body = vec![0; length.parse().unwrap()];
        stream.read_exact(&mut answer.body).await.expect("the body is as long as announced");
    } else {
        answer.body = read_chunks(stream).await;
    }
    Some(answer)
}

async fn read_chunks<S: AsyncRead + Unpin>(stream: &mut S) -> Vec<u8> {
    let mut body = Vec::new();
    loop {
        let mut line = Vec::new();
        while !line.ends_with(b"\r\n") {
            line.push(stream.read_u8().await.unwrap());
        }
        let digits = std::str::from_utf8(&line[..line.len() - 2]).unwrap();
        let size = usize::from_str_radix(digits, 16).unwrap();
        let mut chunk = vec![0; size + 2];
        stream.read_exact(&mut chunk).await.unwrap();
        body.extend_from_slice(&chunk[..size]);
        if size == 0 {
            return body;
        }
    }
}

/// Whether the connection ends with nothing more on it.
pub(crate) async fn ends(stream: &mut (impl AsyncRead + Unpin)) -> bool {
    let mut rest = Vec::new();
    let ended = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut rest)).await.expect("it does not end");
    ended.is_err() || rest.is_empty()
}
