//! HTTP by hand: requests of which a test decides every byte, signed by AWS's own signer, and answers as they come.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_sdk_s3::presigning::PresignedRequest;
use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SigningSettings, UriPathNormalizationMode,
    sign,
};
use aws_sigv4::sign::v4::{SigningParams, calculate_signature, generate_signing_key};
use sha2::{Digest, Sha256};

use crate::server::{ACCESS_KEY, SECRET_KEY, Server};

/// How long any answer may take.
const PATIENCE: Duration = Duration::from_secs(30);
const REGION: &str = "us-east-1";

/// An answer.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Answer {
    /// The first value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(each, _)| each.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// The body, which must be UTF-8.
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("the body is text")
    }

    /// The text of the first element of this name.
    pub fn element(&self, name: &str) -> Option<&str> {
        let (_, rest) = self.text().split_once(&format!("<{name}>"))?;
        rest.split_once(&format!("</{name}>")).map(|(text, _)| text)
    }

    /// Status and error code; an error also names its request as its header does.
    pub fn error(&self) -> (u16, &str) {
        let code = self.element("Code").unwrap_or_else(|| panic!("no error in {self:?}"));
        assert_eq!(self.element("RequestId"), self.header("x-amz-request-id"), "{self:?}");
        (self.status, code)
    }
}

/// How a body is covered by the signature: `x-amz-content-sha256`.
pub enum Payload<'a> {
    Whole(&'a [u8]),
    Unsigned,
    Named(&'a str),
}

/// A signed request, to be sent or spoilt.
#[derive(Debug, Clone)]
pub struct Signed {
    pub method: String,
    pub target: String,
    pub headers: Vec<(String, String)>,
    signature: String,
    time: SystemTime,
}

impl Signed {
    /// With one more header, which is not signed.
    pub fn with(mut self, name: &str, value: impl ToString) -> Self {
        self.headers.push((name.to_owned(), value.to_string()));
        self
    }

    /// The bytes of the head.
    pub fn head(&self) -> Vec<u8> {
        let mut head = format!("{} {} HTTP/1.1\r\n", self.method, self.target);
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str("\r\n");
        head.into_bytes()
    }

    /// Head and body.
    pub fn with_body(&self, body: &[u8]) -> Vec<u8> {
        [&self.head()[..], body].concat()
    }
}

/// `127.0.0.1:PORT`
pub fn host_of(server: &Server) -> &str {
    server.endpoint().trim_start_matches("http://")
}

/// Signs a request in its Authorization header; `headers` are signed, too.
pub fn signed(server: &Server, method: &str, target: &str, headers: &[(&str, &str)], payload: &Payload<'_>) -> Signed {
    signed_for(host_of(server), method, target, headers, payload)
}

/// The same for another host.
pub fn signed_for(host: &str, method: &str, target: &str, headers: &[(&str, &str)], payload: &Payload<'_>) -> Signed {
    signed_by((ACCESS_KEY, SECRET_KEY), host, method, target, headers, payload)
}

/// The same by another key.
pub fn signed_by(
    (access_key, secret_key): (&str, &str),
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
    let identity = Credentials::new(access_key, secret_key, None, None, "tests").into();
    let time = SystemTime::now();
    let params = SigningParams::builder().identity(&identity).region(REGION).name("s3").time(time).settings(settings);
    let params = params.build().expect("all that signing needs").into();
    let body = match payload {
        Payload::Whole(bytes) => SignableBody::Bytes(bytes),
        Payload::Unsigned => SignableBody::UnsignedPayload,
        Payload::Named(name) => SignableBody::Precomputed((*name).to_owned()),
    };
    let uri = format!("http://{host}{target}");
    let signable = SignableRequest::new(method, uri, headers.iter().copied(), body).expect("it can be signed");
    let (instructions, signature) = sign(signable, &params).expect("signed").into_parts();
    let (added, _) = instructions.into_parts();
    let mut all = vec![("Host".to_owned(), host.to_owned())];
    all.extend(headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    all.extend(added.iter().map(|header| (header.name().to_owned(), header.value().to_owned())));
    Signed { method: method.to_owned(), target: target.to_owned(), headers: all, signature, time }
}

/// Sends a request whose body is signed by its hash, and reads the answer.
pub fn request(server: &Server, method: &str, target: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
    send_whole(server, signed(server, method, target, headers, &Payload::Whole(body)), body)
}

/// The same to another server, at `HOST:PORT`, that knows the tests' key.
pub fn request_to(host: &str, method: &str, target: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
    send_whole_to(host, signed_for(host, method, target, headers, &Payload::Whole(body)), body)
}

/// Sends a presigned request as anybody can who has its URL; `headers` are more than those that it was signed with.
pub fn presigned(server: &Server, request: &PresignedRequest, headers: &[(&str, &str)], body: &[u8]) -> Answer {
    let all: Vec<_> = request.headers().chain(headers.iter().copied()).collect();
    by_url(server, request.method(), request.uri(), &all, body)
}

/// Sends a request to a URL, with nothing but these headers and what its body needs.
pub fn by_url(server: &Server, method: &str, url: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
    let (host, path) = url.trim_start_matches("http://").split_once('/').expect("a URL has a path");
    let all = [("Host", host)].into_iter().chain(headers.iter().copied());
    let request = Signed {
        method: method.to_owned(),
        target: format!("/{path}"),
        headers: all.map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
        signature: String::new(),
        time: SystemTime::now(),
    };
    send_whole(server, request, body)
}

fn send_whole(server: &Server, request: Signed, body: &[u8]) -> Answer {
    send_whole_to(host_of(server), request, body)
}

fn send_whole_to(host: &str, request: Signed, body: &[u8]) -> Answer {
    let is_head = request.method == "HEAD";
    let request = request.with("Content-Length", body.len());
    Connection::to(host).exchange(&request.with_body(body), is_head)
}

/// How an aws-chunked body is made.
pub struct Chunks<'a> {
    pub plain: &'a [u8],
    pub chunk_bytes: usize,
    pub is_signed: bool,
    pub trailer: Option<(&'a str, &'a str)>,
}

/// A PUT with an aws-chunked body: its head, Content-Length included, and its body.
pub fn signed_chunks(
    server: &Server,
    target: &str,
    headers: &[(&str, &str)],
    chunks: &Chunks<'_>,
) -> (Signed, Vec<u8>) {
    let plain_bytes = chunks.plain.len().to_string();
    let mut all = vec![("x-amz-decoded-content-length", plain_bytes.as_str()), ("content-encoding", "aws-chunked")];
    all.extend(chunks.trailer.map(|(name, _)| ("x-amz-trailer", name)));
    all.extend_from_slice(headers);
    let form = match (chunks.is_signed, chunks.trailer) {
        (true, None) => "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
        (true, Some(_)) => "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER",
        (false, _) => "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
    };
    let signed = signed(server, "PUT", target, &all, &Payload::Named(form));
    let body = chunked_body(&signed, chunks);
    (signed.with("Content-Length", body.len()), body)
}

fn chunked_body(seed: &Signed, chunks: &Chunks<'_>) -> Vec<u8> {
    let hex_hash = |bytes: &[u8]| hex::encode(Sha256::digest(bytes));
    let mut previous = seed.signature.clone();
    let mut body = Vec::new();
    for chunk in chunks.plain.chunks(chunks.chunk_bytes).chain([&[][..]]) {
        let mut line = format!("{:x}", chunk.len());
        if chunks.is_signed {
            previous = seed.chained("PAYLOAD", &previous, &format!("{}\n{}", hex_hash(b""), hex_hash(chunk)));
            line.push_str(&format!(";chunk-signature={previous}"));
        }
        body.extend_from_slice(format!("{line}\r\n").as_bytes());
        body.extend_from_slice(chunk);
        if !chunk.is_empty() {
            body.extend_from_slice(b"\r\n");
        }
    }
    if let Some((name, value)) = chunks.trailer {
        body.extend_from_slice(format!("{name}:{value}\r\n").as_bytes());
        if chunks.is_signed {
            let hash = hex_hash(format!("{name}:{value}\n").as_bytes());
            let signature = seed.chained("TRAILER", &previous, &hash);
            body.extend_from_slice(format!("x-amz-trailer-signature:{signature}\r\n").as_bytes());
        }
    }
    body.extend_from_slice(b"\r\n");
    body
}

impl Signed {
    /// The signature of what follows another signed thing.
    fn chained(&self, kind: &str, previous: &str, rest: &str) -> String {
        let time = self.headers.iter().find(|(name, _)| name == "x-amz-date").map(|(_, time)| time);
        let time = time.expect("a signed request says when");
        let scope = format!("{}/{REGION}/s3/aws4_request", &time[..8]);
        let text = format!("AWS4-HMAC-SHA256-{kind}\n{time}\n{scope}\n{previous}\n{rest}");
        calculate_signature(generate_signing_key(SECRET_KEY, self.time, REGION, "s3"), text.as_bytes())
    }
}

/// One connection.
pub struct Connection {
    stream: TcpStream,
    /// What arrived and was not read as part of an answer.
    unread: Vec<u8>,
}

impl Connection {
    pub fn open(server: &Server) -> Self {
        Self::to(host_of(server))
    }

    /// To `HOST:PORT`.
    pub fn to(host: &str) -> Self {
        let stream = TcpStream::connect(host).expect("the server accepts");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout is set");
        Self { stream, unread: Vec::new() }
    }

    /// Sends bytes; a server that answers and closes before it has read all is no error.
    pub fn send(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes);
    }

    /// Tells the server that nothing more comes.
    pub fn end_sending(&self) {
        self.stream.shutdown(Shutdown::Write).expect("shut down");
    }

    /// Sends one request and reads its answer.
    pub fn exchange(&mut self, bytes: &[u8], is_head: bool) -> Answer {
        self.send(bytes);
        self.answer(is_head)
    }

    /// Reads one answer; `100 Continue` is passed over.
    pub fn answer(&mut self, is_head: bool) -> Answer {
        loop {
            let answer = self.any_answer(is_head);
            if answer.status != 100 {
                return answer;
            }
        }
    }

    /// Reads one answer of any status.
    pub fn any_answer(&mut self, is_head: bool) -> Answer {
        let head = self.until(b"\r\n\r\n");
        let text: String = head.iter().map(|byte| char::from(*byte)).collect();
        let mut lines = text.split("\r\n");
        let status = lines.next().and_then(|line| line.get(9..12)).and_then(|status| status.parse().ok());
        let headers = lines.filter_map(|line| line.split_once(':'));
        let headers = headers.map(|(name, value)| (name.to_owned(), value.trim().to_owned())).collect();
        let mut answer = Answer { status: status.expect("a status"), headers, body: Vec::new() };
        if is_head || matches!(answer.status, 100 | 204 | 304) {
            return answer;
        }
        match answer.header("content-length").map(|length| length.parse().expect("a number")) {
            Some(length) => answer.body = self.exactly(length),
            None => loop {
                let line = self.until(b"\r\n");
                let size = std::str::from_utf8(&line[..line.len() - 2]).expect("a size");
                let chunk = self.exactly(usize::from_str_radix(size, 16).expect("a size") + 2);
                if chunk.len() == 2 {
                    break;
                }
                answer.body.extend_from_slice(&chunk[..chunk.len() - 2]);
            },
        }
        answer
    }

    /// Whether the connection ends with nothing more on it.
    pub fn ends(&mut self) -> bool {
        let has_ended = match self.stream.read_to_end(&mut self.unread) {
            Ok(_) => true,
            // Closed with something unread on the server's side, it is reset.
            Err(error) => error.kind() == std::io::ErrorKind::ConnectionReset,
        };
        has_ended && self.unread.is_empty()
    }

    fn until(&mut self, mark: &[u8]) -> Vec<u8> {
        loop {
            if let Some(at) = self.unread.windows(mark.len()).position(|window| window == mark) {
                return self.unread.drain(..at + mark.len()).collect();
            }
            self.read_more();
        }
    }

    fn exactly(&mut self, bytes: usize) -> Vec<u8> {
        while self.unread.len() < bytes {
            self.read_more();
        }
        self.unread.drain(..bytes).collect()
    }

    fn read_more(&mut self) {
        let mut buffer = [0; 16 << 10];
        let read = self.stream.read(&mut buffer).expect("the answer goes on");
        let so_far = String::from_utf8_lossy(&self.unread);
        assert!(read > 0, "the connection ended within an answer: {so_far:?}");
        self.unread.extend_from_slice(&buffer[..read]);
    }
}
