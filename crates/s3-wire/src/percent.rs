//! Percent-encoding: decoding of paths and queries, and the two ways in which S3 encodes.

/// Decodes `%XX`; with `plus_is_space` also `+`, as in queries.
///
/// `None` when a `%` isn't followed by two hex digits.
pub fn decode(text: &[u8], plus_is_space: bool) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len());
    decode_into(&mut out, text, plus_is_space)?;
    Some(out)
}

/// [`decode`] onto the end of `out`.
pub(crate) fn decode_into(out: &mut Vec<u8>, text: &[u8], plus_is_space: bool) -> Option<()> {
    let mut bytes = text.iter();
    while let Some(&byte) = bytes.next() {
        out.push(match byte {
            b'%' => hex_digit(*bytes.next()?)? << 4 | hex_digit(*bytes.next()?)?,
            b'+' if plus_is_space => b' ',
            _ => byte,
        });
    }
    Some(())
}

/// Encodes a key for a listing with `encoding-type=url`: as forms are encoded, but `/` stays.
pub fn encode_listing(out: &mut Vec<u8>, text: &[u8]) {
    let mut rest = text;
    while !rest.is_empty() {
        let plain = rest.iter().position(|&byte| !KEPT_IN_LISTINGS[usize::from(byte)]).unwrap_or(rest.len());
        out.extend_from_slice(&rest[..plain]);
        let Some((&byte, after)) = rest[plain..].split_first() else { return };
        match byte {
            b' ' => out.push(b'+'),
            _ => push_escape(out, byte),
        }
        rest = after;
    }
}

/// What listings keep: most bytes of most keys, so they are copied by the run.
const KEPT_IN_LISTINGS: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 128 {
        let character = byte as u8;
        table[byte] = character.is_ascii_alphanumeric() || matches!(character, b'-' | b'.' | b'_' | b'/' | b'*');
        byte += 1;
    }
    table
};

/// Encodes what stands in a path or a query: all but `A-Z a-z 0-9 - . _ ~`, and `/` where `keep_slash`.
pub fn encode(text: &[u8], keep_slash: bool) -> String {
    let mut out = Vec::with_capacity(text.len());
    for &byte in text {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(byte),
            b'/' if keep_slash => out.push(byte),
            _ => push_escape(&mut out, byte),
        }
    }
    String::from_utf8(out).expect("encoded text is ASCII")
}

fn push_escape(out: &mut Vec<u8>, byte: u8) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    out.extend_from_slice(&[b'%', DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
}

const fn hex_digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listings_are_encoded_as_forms_are() {
        let mut out = Vec::new();
        encode_listing(&mut out, "foo+1/b ä*~".as_bytes());
        assert_eq!(out, b"foo%2B1/b+%C3%A4*%7E");
    }

    #[test]
    fn half_an_escape_is_refused() {
        for text in ["%", "%4", "%zz", "a%4"] {
            assert_eq!(decode(text.as_bytes(), false), None, "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn encoding_reads_back(text: Vec<u8>, keep_slash: bool) {
            proptest::prop_assert_eq!(decode(encode(&text, keep_slash).as_bytes(), false).unwrap(), text.clone());
            let mut listed = Vec::new();
            encode_listing(&mut listed, &text);
            proptest::prop_assert_eq!(decode(&listed, true).unwrap(), text);
        }
    }
}
