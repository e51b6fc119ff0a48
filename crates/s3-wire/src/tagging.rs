//! Tags of objects and buckets: the `x-amz-tagging` header, and their XML (PutObjectTagging, GetObjectTagging,
//! PutBucketTagging, GetBucketTagging).

use bytes::Bytes;
use http::{Response, StatusCode};

use crate::answer;
use crate::error::{ErrorCode, S3Error};
use crate::head::VersionRef;
use crate::operation::XML_BYTES_MAX;
use crate::query::Query;
use crate::xml::{Element, XmlWriter, malformed};

/// How many tags an object may have.
pub const OBJECT_TAGS_MAX: usize = 10;

/// How many tags a bucket may have.
pub const BUCKET_TAGS_MAX: usize = 50;

const KEY_CHARACTERS_MAX: usize = 128;
const VALUE_CHARACTERS_MAX: usize = 256;

/// What is tagged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tagged {
    /// An object: at most [`OBJECT_TAGS_MAX`].
    Object,
    /// A bucket: at most [`BUCKET_TAGS_MAX`].
    Bucket,
}

impl Tagged {
    fn too_many(self, count: usize) -> Option<&'static str> {
        match self {
            Self::Object if count > OBJECT_TAGS_MAX => Some("Object tags cannot be greater than 10"),
            Self::Bucket if count > BUCKET_TAGS_MAX => Some("Bucket tag count cannot be greater than 50"),
            _ => None,
        }
    }

    const fn reserved(self) -> &'static str {
        match self {
            Self::Object => "Your TagKey cannot be prefixed with aws:",
            Self::Bucket => "System tags cannot be added/updated by requester",
        }
    }
}

/// Reads a `Tagging` document.
///
/// # Errors
/// `MalformedXML`; `BadRequest` for too many tags; `InvalidTag` for a key or value that is too long or has other
/// characters than letters, digits, spaces and `+-=._:/@`, for a key that begins with `aws:`, and for a key that comes
/// twice.
pub fn parse_document(body: &[u8], tagged: Tagged) -> Result<Vec<(String, String)>, S3Error> {
    let document = Element::parse(body, XML_BYTES_MAX)?.named("Tagging")?;
    let set = document.child("TagSet")?.ok_or_else(malformed)?;
    let mut tags: Vec<(String, String)> = Vec::new();
    for tag in set.children() {
        let text = |name: &str| -> Result<String, S3Error> {
            let child = tag.child(name)?.filter(|child| child.children().is_empty());
            Ok(child.ok_or_else(malformed)?.text().to_owned())
        };
        if tag.name() != "Tag" {
            return Err(malformed());
        }
        tags.push((text("Key")?, text("Value")?));
    }
    check(&tags, tagged)?;
    for (at, (key, _)) in tags.iter().enumerate() {
        if tags[..at].iter().any(|(other, _)| other == key) {
            return Err(S3Error::new(ErrorCode::InvalidTag)
                .with_message("Cannot provide multiple Tags with the same key")
                .with("TagKey", key));
        }
    }
    Ok(tags)
}

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
        // One too many is enough to know.
        if tags.len() > OBJECT_TAGS_MAX {
            break;
        }
    }
    check(&tags, Tagged::Object)?;
    Ok(tags)
}

/// Checks number, lengths and characters.
fn check(tags: &[(String, String)], tagged: Tagged) -> Result<(), S3Error> {
    if let Some(message) = tagged.too_many(tags.len()) {
        return Err(S3Error::new(ErrorCode::BadRequest).with_message(message));
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
            return Err(invalid(tagged.reserved(), key, value));
        }
        if value.chars().count() > VALUE_CHARACTERS_MAX || !value.chars().all(allowed) {
            return Err(invalid("The TagValue you have provided is invalid", key, value));
        }
    }
    Ok(())
}

/// The answer of GetObjectTagging.
pub fn object_tagging(tags: &[(String, String)], version: Option<VersionRef>) -> Response<Bytes> {
    with_version(answer::document(write(tags)), version)
}

/// The tags of the object are set (200).
pub fn put_object_answer(version: Option<VersionRef>) -> Response<Bytes> {
    with_version(answer::empty(StatusCode::OK), version)
}

/// The tags of the object are removed (204).
pub fn delete_object_answer(version: Option<VersionRef>) -> Response<Bytes> {
    with_version(answer::empty(StatusCode::NO_CONTENT), version)
}

fn with_version(mut answer: Response<Bytes>, version: Option<VersionRef>) -> Response<Bytes> {
    if let Some(version) = version {
        answer::set(answer.headers_mut(), "x-amz-version-id", version);
    }
    answer
}

/// The document of these tags, as it is stored.
pub fn document(tags: &[(String, String)]) -> Bytes {
    write(tags).finish()
}

fn write(tags: &[(String, String)]) -> XmlWriter {
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
    xml
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

    fn of_document(tags: &[(&str, &str)], tagged: Tagged) -> Result<Vec<(String, String)>, (ErrorCode, String)> {
        let tags: Vec<_> = tags.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let refused = |error: S3Error| (error.code(), error.message().to_owned());
        parse_document(&document(&tags), tagged).map_err(refused)
    }

    #[test]
    fn a_document_of_tags_reads_back() {
        let tags = [("a", "1"), ("b c", "ä <x>"), (" empty ", "")];
        let refused = of_document(&tags, Tagged::Bucket).unwrap_err();
        assert_eq!(refused, (ErrorCode::InvalidTag, "The TagValue you have provided is invalid".to_owned()));
        let tags = [("a", "1"), ("b c", "ä x"), (" empty ", "")];
        for tagged in [Tagged::Bucket, Tagged::Object] {
            let read = of_document(&tags, tagged).unwrap();
            assert!(read.iter().map(|(key, value)| (key.as_str(), value.as_str())).eq(tags), "white space stays");
        }
        assert_eq!(of_document(&[], Tagged::Object), Ok(Vec::new()));
    }

    #[test]
    fn documents_of_tags_are_refused_in_their_own_words() {
        let invalid = |message: &str| Err((ErrorCode::InvalidTag, message.to_owned()));
        let twice = [("a", "1"), ("a", "2")];
        assert_eq!(
            of_document(&twice, Tagged::Object),
            invalid("Cannot provide multiple Tags with the same key").map(|()| Vec::new())
        );
        let system = [("aws:a", "1")];
        let reserved = of_document(&system, Tagged::Bucket).unwrap_err().1;
        assert_eq!(reserved, "System tags cannot be added/updated by requester");
        assert_eq!(of_document(&system, Tagged::Object).unwrap_err().1, "Your TagKey cannot be prefixed with aws:");
        let names: Vec<String> = (0..51).map(|at| format!("k{at}")).collect();
        let many: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "v")).collect();
        assert!(of_document(&many[..50], Tagged::Bucket).is_ok());
        let too_many = |message: &str| (ErrorCode::BadRequest, message.to_owned());
        assert_eq!(
            of_document(&many, Tagged::Bucket).unwrap_err(),
            too_many("Bucket tag count cannot be greater than 50")
        );
        assert_eq!(
            of_document(&many[..11], Tagged::Object).unwrap_err(),
            too_many("Object tags cannot be greater than 10")
        );
        for broken in [
            "<Tagging/>",
            "<TagSet/>",
            "<Tagging><TagSet><Tag><Key>a</Key></Tag></TagSet></Tagging>",
            "<Tagging><TagSet><Tag><Value>a</Value></Tag></TagSet></Tagging>",
            "<Tagging><TagSet><Other/></TagSet></Tagging>",
            "<Tagging><TagSet><Tag><Key>a</Key><Key>b</Key><Value/></Tag></TagSet></Tagging>",
            "<Tagging><TagSet/><TagSet/></Tagging>",
        ] {
            let error = parse_document(broken.as_bytes(), Tagged::Object).unwrap_err();
            assert_eq!(error.code(), ErrorCode::MalformedXML, "{broken}");
        }
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
