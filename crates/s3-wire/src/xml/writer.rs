//! XML out: one growing buffer, escaped as AWS does.

use std::io::Write;

use bytes::Bytes;

/// The namespace of S3's answers.
const NAMESPACE: &str = "http://s3.amazonaws.com/doc/2006-03-01/";

/// Writes one XML document. Names of elements are constants of this crate; texts come from anywhere.
#[derive(Debug)]
pub struct XmlWriter {
    buffer: Vec<u8>,
}

impl XmlWriter {
    /// A document with its declaration written.
    pub fn document() -> Self {
        Self::with_capacity(512)
    }

    /// A document with its declaration written and room for about `bytes` bytes.
    pub fn with_capacity(bytes: usize) -> Self {
        let mut writer = Self::fragment();
        writer.buffer.reserve(bytes);
        writer.raw("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
        writer
    }

    /// Elements without a declaration: the rest of a document whose beginning was already sent.
    pub const fn fragment() -> Self {
        Self { buffer: Vec::new() }
    }

    /// Opens the document's root in S3's namespace.
    pub fn open_root(&mut self, name: &str) {
        self.raw("<");
        self.raw(name);
        self.raw(" xmlns=\"");
        self.raw(NAMESPACE);
        self.raw("\">");
    }

    /// `<name>`
    pub fn open(&mut self, name: &str) {
        self.raw("<");
        self.raw(name);
        self.raw(">");
    }

    /// `</name>`
    pub fn close(&mut self, name: &str) {
        self.raw("</");
        self.raw(name);
        self.raw(">");
    }

    /// Text that needs no escaping, or markup.
    pub fn raw(&mut self, text: &str) {
        self.buffer.extend_from_slice(text.as_bytes());
    }

    /// An element with escaped text. Bytes that are not UTF-8 become U+FFFD; characters that XML 1.0 doesn't have are
    /// written as references to them, as AWS does.
    pub fn text(&mut self, name: &str, text: impl AsRef<[u8]>) {
        self.open(name);
        escape(&mut self.buffer, text.as_ref());
        self.close(name);
    }

    /// An element with what `value` displays, which needs no escaping: a number, a time, a name of a closed set.
    pub fn plain(&mut self, name: &str, value: impl std::fmt::Display) {
        self.open(name);
        write!(self.buffer, "{value}").expect("a Vec takes all bytes");
        self.close(name);
    }

    /// The buffer's end, for writers that put a value's bytes there themselves.
    pub(crate) fn buffer(&mut self) -> &mut Vec<u8> {
        &mut self.buffer
    }

    /// The document.
    pub fn finish(self) -> Bytes {
        self.buffer.into()
    }
}

fn escape(out: &mut Vec<u8>, text: &[u8]) {
    match std::str::from_utf8(text) {
        Ok(text) => escape_characters(out, text),
        Err(_) => {
            for chunk in text.utf8_chunks() {
                escape_characters(out, chunk.valid());
                if !chunk.invalid().is_empty() {
                    out.extend_from_slice("\u{fffd}".as_bytes());
                }
            }
        }
    }
}

fn escape_characters(out: &mut Vec<u8>, text: &str) {
    let bytes = text.as_bytes();
    let mut copied = 0;
    for (at, &byte) in bytes.iter().enumerate() {
        if !SPECIAL[usize::from(byte)] {
            continue;
        }
        let (reference, length): (&[u8], usize) = match byte {
            b'&' => (b"&amp;", 1),
            b'<' => (b"&lt;", 1),
            b'>' => (b"&gt;", 1),
            b'"' => (b"&quot;", 1),
            b'\'' => (b"&apos;", 1),
            0xef => match &bytes[at..at + 3] {
                [_, 0xbf, 0xbe] => (b"&#xFFFE;", 3),
                [_, 0xbf, 0xbf] => (b"&#xFFFF;", 3),
                _ => continue,
            },
            _ => (b"", 1),
        };
        out.extend_from_slice(&bytes[copied..at]);
        if reference.is_empty() {
            write!(out, "&#x{byte:X};").expect("a Vec takes all bytes");
        } else {
            out.extend_from_slice(reference);
        }
        copied = at + length;
    }
    out.extend_from_slice(&bytes[copied..]);
}

/// Bytes that may begin something to escape. 0xEF leads U+FFFE and U+FFFF, which XML doesn't have.
const SPECIAL: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 0x20 {
        table[byte] = true;
        byte += 1;
    }
    table[b'&' as usize] = true;
    table[b'<' as usize] = true;
    table[b'>' as usize] = true;
    table[b'"' as usize] = true;
    table[b'\'' as usize] = true;
    table[0xef] = true;
    table
};

#[cfg(test)]
mod tests {
    use super::*;

    fn escaped(text: &[u8]) -> String {
        let mut out = Vec::new();
        escape(&mut out, text);
        String::from_utf8(out).expect("escaping makes UTF-8")
    }

    #[test]
    fn texts_are_escaped_as_aws_does() {
        assert_eq!(escaped(b"a&b<c>d\"e'f"), "a&amp;b&lt;c&gt;d&quot;e&apos;f");
        assert_eq!(escaped(b"\x00\x01\t\r\n\x1f"), "&#x0;&#x1;&#x9;&#xD;&#xA;&#x1F;");
        assert_eq!(escaped("größe \u{ffff}\u{fffd}x".as_bytes()), "größe &#xFFFF;\u{fffd}x");
        assert_eq!(escaped(b"a\xffb"), "a\u{fffd}b");
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_make_text_without_markup(text: Vec<u8>) {
            let escaped = escaped(&text);
            proptest::prop_assert!(!escaped.contains(['<', '>', '"', '\'', '\n', '\0']));
        }

        #[test]
        fn what_was_escaped_reads_back(text in "[ -~\u{80}-\u{ffff}\r\n\t]*") {
            let mut xml = XmlWriter::document();
            xml.text("T", &text);
            let document = xml.finish();
            let read = crate::xml::Element::parse(&document, 1 << 20).expect("the document is whole");
            proptest::prop_assert_eq!(read.text(), text.as_str());
        }
    }
}
