//! PutObjectLegalHold and GetObjectLegalHold.

use bytes::Bytes;
use http::Response;
use types::LegalHold;

use crate::answer;
use crate::error::{ErrorCode, S3Error};
use crate::operation::XML_BYTES_MAX;
use crate::xml::{Element, XmlWriter, malformed};

/// Reads the document.
///
/// # Errors
/// `MalformedXML`.
pub fn parse(body: &[u8]) -> Result<LegalHold, S3Error> {
    if body.is_empty() {
        return Err(malformed());
    }
    let document = Element::parse(body, XML_BYTES_MAX)?.named("LegalHold")?;
    document.child_text("Status")?.and_then(LegalHold::named).ok_or_else(malformed)
}

/// A version's legal hold.
///
/// # Errors
/// `NoSuchObjectLockConfiguration` where it never was said.
pub fn get_answer(hold: LegalHold) -> Result<Response<Bytes>, S3Error> {
    let status = hold.name().ok_or(ErrorCode::NoSuchObjectLockConfiguration)?;
    let mut xml = XmlWriter::document();
    xml.open_root("LegalHold");
    xml.text("Status", status);
    xml.close("LegalHold");
    Ok(answer::document(xml))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hold_is_on_or_off_and_nothing_else() {
        for hold in [LegalHold::On, LegalHold::Off] {
            assert_eq!(parse(get_answer(hold).unwrap().body()), Ok(hold));
        }
        assert_eq!(get_answer(LegalHold::Unset).unwrap_err().code(), ErrorCode::NoSuchObjectLockConfiguration);
        for document in ["", "<LegalHold/>", "<LegalHold><Status>on</Status></LegalHold>", "<Status>ON</Status>"] {
            assert_eq!(parse(document.as_bytes()).unwrap_err().code(), ErrorCode::MalformedXML, "{document}");
        }
    }
}
