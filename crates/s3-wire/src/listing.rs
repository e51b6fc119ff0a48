//! What the listings share: limits, encoding, markers.

use bytes::Bytes;

use crate::error::{ErrorCode, S3Error};
use crate::head::RequestHead;
use crate::percent;
use crate::xml::XmlWriter;

/// The most entries of one page, and how many a request gets that names no number.
pub const PAGE_MAX: usize = 1000;

/// How keys are written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum KeyEncoding {
    /// As they are; characters that XML doesn't have are referred to by number.
    #[default]
    Plain,
    /// Percent-encoded: `encoding-type=url`.
    Url,
}

impl KeyEncoding {
    /// Reads `encoding-type`.
    ///
    /// # Errors
    /// `InvalidArgument` for anything but `url`.
    pub fn parse(head: &RequestHead<'_>) -> Result<Self, S3Error> {
        match head.query.text("encoding-type")? {
            None | Some("") => Ok(Self::Plain),
            Some(name) if name.eq_ignore_ascii_case("url") => Ok(Self::Url),
            Some(name) => {
                let message = "Invalid Encoding Method specified in Request";
                Err(S3Error::invalid_argument(message, "encoding-type", name))
            }
        }
    }

    /// Writes an element with a key, a prefix, a marker or a delimiter.
    pub(crate) fn write(self, xml: &mut XmlWriter, name: &str, key: &[u8]) {
        match self {
            Self::Plain => xml.text(name, key),
            Self::Url => {
                xml.open(name);
                percent::encode_listing(xml.buffer(), key);
                xml.close(name);
            }
        }
    }

    /// Writes the `EncodingType` element, if it has one.
    pub(crate) fn write_type(self, xml: &mut XmlWriter) {
        if self == Self::Url {
            xml.raw("<EncodingType>url</EncodingType>");
        }
    }

    /// Writes the common prefixes of a page.
    pub(crate) fn write_prefix(self, xml: &mut XmlWriter, prefix: &[u8]) {
        xml.open("CommonPrefixes");
        self.write(xml, "Prefix", prefix);
        xml.close("CommonPrefixes");
    }
}

/// What is listed: S3's prefix and delimiter, and how much of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ListScope {
    /// Only keys that begin so; may be empty.
    pub prefix: Bytes,
    /// Keys are rolled up at the first of these after the prefix; empty: not at all.
    pub delimiter: Bytes,
    /// At most so many entries and common prefixes together; may be 0.
    pub limit: usize,
    /// How keys are written.
    pub encoding: KeyEncoding,
}

impl ListScope {
    /// Reads `prefix`, `delimiter`, `encoding-type`, and the limit named `limit` (`max-keys`, `max-uploads`).
    ///
    /// # Errors
    /// `InvalidArgument`.
    pub(crate) fn parse(head: &RequestHead<'_>, limit: &'static str) -> Result<Self, S3Error> {
        Ok(Self {
            prefix: bytes(head, "prefix"),
            delimiter: bytes(head, "delimiter"),
            limit: page_limit(limit, head.query.text(limit)?)?,
            encoding: KeyEncoding::parse(head)?,
        })
    }
}

/// The bytes of a query parameter; empty where it is missing.
pub(crate) fn bytes(head: &RequestHead<'_>, name: &str) -> Bytes {
    head.query.bytes(name).map(Bytes::copy_from_slice).unwrap_or_default()
}

/// Reads a page's limit, cut to [`PAGE_MAX`].
///
/// # Errors
/// `InvalidArgument` for what is no number from 0 to 2147483647.
pub(crate) fn page_limit(name: &str, text: Option<&str>) -> Result<usize, S3Error> {
    Ok(bounded_number(name, text)?.map_or(PAGE_MAX, |limit| limit.min(PAGE_MAX)))
}

/// Reads a number from 0 to 2147483647.
///
/// # Errors
/// `InvalidArgument`, in AWS's two ways to say it.
pub(crate) fn bounded_number(name: &str, text: Option<&str>) -> Result<Option<usize>, S3Error> {
    let Some(text) = text.filter(|text| !text.is_empty()) else { return Ok(None) };
    match text.parse::<i32>() {
        Ok(number) if number >= 0 => Ok(Some(number.unsigned_abs() as usize)),
        Ok(_) => {
            let message = format!("Argument {name} must be an integer between 0 and {}", i32::MAX);
            Err(S3Error::invalid_argument(message, name, text))
        }
        Err(_) => {
            let message = format!("Provided {name} not an integer or within integer range");
            Err(S3Error::invalid_argument(message, name, text))
        }
    }
}

/// `InvalidArgument` with AWS's default words, naming a parameter.
pub(crate) fn invalid(name: &str, value: &[u8]) -> S3Error {
    S3Error::invalid_argument(ErrorCode::InvalidArgument.message(), name, String::from_utf8_lossy(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_numbers_cut_to_a_page() {
        let limit = |text| page_limit("max-keys", text).map_err(|error| error.message().to_owned());
        assert_eq!((limit(None), limit(Some("")), limit(Some("0"))), (Ok(1000), Ok(1000), Ok(0)));
        assert_eq!((limit(Some("7")), limit(Some("2147483647"))), (Ok(7), Ok(1000)));
        let out_of_range = Err("Argument max-keys must be an integer between 0 and 2147483647".to_owned());
        assert_eq!(limit(Some("-1")), out_of_range);
        for text in ["blah", "2147483648", "1.5", " 1"] {
            assert_eq!(limit(Some(text)), Err("Provided max-keys not an integer or within integer range".to_owned()));
        }
    }
}
