//! Object tags: the `x-amz-tagging` header, and their XML.

use bytes::Bytes;
use http::Response;

use crate::answer;
use crate::error::{ErrorCode, S3Error};
use crate::query::Query;
use crate::xml::XmlWriter;

/// How many tags an object may have.
pub const OBJECT_TAGS_MAX: usize = 10;

const KEY_CHARACTERS_MAX: usize = 128;
const VALUE_CHARACTERS_MAX: usize = 256;

/// Reads the `x-amz-tagging` header: tags as query parameters.
///
/// # Errors
/// `InvalidArgument` for what is no such query, or names a tag twice; `BadRequest` for more than ten tags; `InvalidTag`
/// for a key or value that is too long or has other characters than letters, digits, spaces and `+-=._:/@`.
pub fn parse_header(text: &str) -> Result<Vec<(String, String)>, S3Error> {
    let broken = || {
        let message = "The header 'x-amz-tagging' shall be encoded as UTF-8 then URLEncoded URL query parameters \
                       without tag name duplicates.";
        S3Error::invalid_argument(message, "x-amz-tagging", text)
    };
    let query = Query::parse(Some(text)).map_err(|_| broken())?;
    let mut tags: Vec<(String, String)> = Vec::new();
    for (key, value) in query.pairs() {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).map_err(|_| broken());
        let (key, value) = (text(key)?, text(value.unwrap_or_default())?);
        if tags.iter().any(|(other, _)| *other == key) {
            return Err(broken());
        }
        tags.push((key, value));
    }
    check(&tags)?;
    Ok(tags)
}

/// Checks number, lengths and characters.
fn check(tags: &[(String, String)]) -> Result<(), S3Error> {
    if tags.len() > OBJECT_TAGS_MAX {
        return Err(S3Error::new(ErrorCode::BadRequest).with_message("Object tags cannot be greater than 10"));
    }
    let allowed = |c: char| c.is_alphanumeric() || c.is_whitespace() && !c.is_control() || "+-=._:/@".contains(c);
    let invalid = |message: &'static str, key: &str, value: &str| {
        let error = S3Error::new(ErrorCode::InvalidTag).with_message(message);
        error.with("TagKey", key).with("TagValue", value)
    };
    for (key, value) in tags {
        if key.is_empty() || key.chars().count() > KEY_CHARACTERS_MAX || !key.chars().all(allowed) {
            return Err(invalid("The TagKey you have provided is invalid", key, value));
        }
        if key.starts_with("aws:") {
            return Err(invalid("Your TagKey cannot be prefixed with aws:", key, value));
        }
        if value.chars().count() > VALUE_CHARACTERS_MAX || !value.chars().all(allowed) {
            return Err(invalid("The TagValue you have provided is invalid", key, value));
        }
    }
    Ok(())
}

/// The answer of GetObjectTagging.
pub fn object_tagging(tags: &[(String, String)]) -> Response<Bytes> {
    let mut xml = XmlWriter::document();
    xml.open_root("Tagging");
    xml.open("TagSet");
    for (key, value) in tags {
        xml.open("Tag");
        xml.text("Key", key);
        xml.text("Value", value);
        xml.close("Tag");
    }
    xml.close("TagSet");
    xml.close("Tagging");
    answer::document(xml)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> ErrorCode {
        parse_header(text).unwrap_err().code()
    }

    #[test]
    fn tags_are_query_parameters() {
        let tags = parse_header("a=1&b%20c=%C3%A4+x&empty").unwrap();
        let expected = [("a", "1"), ("b c", "ä x"), ("empty", "")];
        assert!(tags.iter().map(|(key, value)| (key.as_str(), value.as_str())).eq(expected));
        assert_eq!(parse_header(""), Ok(Vec::new()));
    }

    #[test]
    fn tags_are_bounded() {
        assert_eq!(refused("a=1&a=2"), ErrorCode::InvalidArgument);
        assert_eq!(refused("a=%ff"), ErrorCode::InvalidArgument);
        assert_eq!(refused("a=%"), ErrorCode::InvalidArgument);
        assert_eq!(refused("=1"), ErrorCode::InvalidTag);
        assert_eq!(refused("a=%3C"), ErrorCode::InvalidTag);
        assert_eq!(refused("aws:a=1"), ErrorCode::InvalidTag);
        assert!(parse_header(&format!("{}={}", "k".repeat(128), "v".repeat(256))).is_ok());
        assert_eq!(refused(&format!("{}=1", "k".repeat(129))), ErrorCode::InvalidTag);
        assert_eq!(refused(&format!("a={}", "v".repeat(257))), ErrorCode::InvalidTag);
        let many = |count: usize| (0..count).map(|at| format!("k{at}=v")).collect::<Vec<_>>().join("&");
        assert!(parse_header(&many(10)).is_ok());
        let error = parse_header(&many(11)).unwrap_err();
        assert_eq!((error.code(), error.message()), (ErrorCode::BadRequest, "Object tags cannot be greater than 10"));
    }
}
