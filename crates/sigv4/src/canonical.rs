//! The canonical request: the bytes that both sides hash.
//!
//! S3's rules differ from those of other services: the path is taken as it was sent, neither normalised nor encoded
//! twice; each of its bytes is decoded and encoded again by one rule, since clients escape differently.

use std::borrow::Cow;

use http::header::HOST;

use crate::claim::SignedClaim;

impl SignedClaim<'_> {
    /// The canonical request (S3 API reference, "Signature Calculations for the Authorization Header").
    pub(crate) fn canonical_request(&self) -> Vec<u8> {
        let request = &self.request;
        let mut out = Vec::with_capacity(1024);
        out.extend_from_slice(request.method.as_str().as_bytes());
        out.push(b'\n');
        push_encoded(&mut out, request.uri.path().as_bytes(), true, false);
        out.push(b'\n');
        push_query(&mut out, request.uri.query().unwrap_or_default(), self.presigned);
        out.push(b'\n');
        for name in self.signed_headers.split(';') {
            self.push_header(&mut out, name);
        }
        out.push(b'\n');
        out.extend_from_slice(self.signed_headers.as_bytes());
        out.push(b'\n');
        out.extend_from_slice(self.payload_line.as_bytes());
        out
    }

    fn push_header(&self, out: &mut Vec<u8>, name: &str) {
        out.extend_from_slice(name.as_bytes());
        out.push(b':');
        match self.request.uri.authority() {
            // An absolute target names the host, and the Host header beside it says nothing (RFC 9112, section 3.2.2).
            // Whoever serves the request goes by the target, so what was signed must be the target's.
            Some(authority) if name == HOST.as_str() => out.extend_from_slice(authority.as_str().as_bytes()),
            _ => {
                for (at, value) in self.request.headers.get_all(name).iter().enumerate() {
                    if at > 0 {
                        out.push(b',');
                    }
                    push_folded(out, value.as_bytes());
                }
            }
        }
        out.push(b'\n');
    }
}

/// A header's value without white space around it, each run of spaces within as one.
fn push_folded(out: &mut Vec<u8>, value: &[u8]) {
    let value = value.trim_ascii();
    if !value.windows(2).any(|pair| pair == b"  ") {
        out.extend_from_slice(value);
        return;
    }
    let mut space = false;
    for &byte in value {
        if byte != b' ' || !space {
            out.push(byte);
        }
        space = byte == b' ';
    }
}

/// The query's pairs, decoded, encoded by one rule, and sorted by name, then value. A presigned URL's own signature is
/// left out.
fn push_query(out: &mut Vec<u8>, query: &str, presigned: bool) {
    if query.is_empty() {
        return;
    }
    let mut encoded = Vec::with_capacity(query.len() + 32);
    let mut pairs = Vec::with_capacity(16);
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        if presigned && name == "X-Amz-Signature" {
            continue;
        }
        let start = encoded.len();
        push_encoded(&mut encoded, name.as_bytes(), false, true);
        let middle = encoded.len();
        push_encoded(&mut encoded, value.as_bytes(), false, true);
        pairs.push((start..middle, middle..encoded.len()));
    }
    pairs.sort_by(|a, b| {
        (&encoded[a.0.clone()], &encoded[a.1.clone()]).cmp(&(&encoded[b.0.clone()], &encoded[b.1.clone()]))
    });
    for (at, (name, value)) in pairs.into_iter().enumerate() {
        if at > 0 {
            out.push(b'&');
        }
        out.extend_from_slice(&encoded[name]);
        out.push(b'=');
        out.extend_from_slice(&encoded[value]);
    }
}

/// Decodes escapes (and `+` in a query) and encodes all but the unreserved characters; a broken escape is taken as the
/// characters that it is made of.
fn push_encoded(out: &mut Vec<u8>, text: &[u8], keep_slash: bool, plus_is_space: bool) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    let mut rest = text;
    while let [first, after @ ..] = rest {
        rest = after;
        let byte = match (*first, after) {
            (b'%', [high, low, after @ ..]) => match (hex_digit(*high), hex_digit(*low)) {
                (Some(high), Some(low)) => {
                    rest = after;
                    high << 4 | low
                }
                _ => b'%',
            },
            (b'+', _) if plus_is_space => b' ',
            (byte, _) => byte,
        };
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(byte),
            b'/' if keep_slash => out.push(byte),
            _ => out.extend([b'%', DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]),
        }
    }
}

const fn hex_digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}

/// The parameters of a query, still percent-encoded.
pub(crate) fn pairs(query: &str) -> impl Iterator<Item = (&str, &str)> {
    query.split('&').filter(|pair| !pair.is_empty()).map(|pair| pair.split_once('=').unwrap_or((pair, "")))
}

/// The decoded value of a parameter, if it is UTF-8.
pub(crate) fn decode_query_text(text: &str) -> Option<Cow<'_, str>> {
    if !text.contains(['%', '+']) {
        return Some(Cow::Borrowed(text));
    }
    let spaced = text.replace('+', " ");
    let decoded = percent_encoding::percent_decode_str(&spaced).decode_utf8().ok()?;
    Some(Cow::Owned(decoded.into_owned()))
}
