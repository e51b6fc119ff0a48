//! PutObjectRetention and GetObjectRetention.

use bytes::Bytes;
use http::Response;
use types::{Retention, RetentionMode};

use crate::answer;
use crate::error::{ErrorCode, S3Error};
use crate::object_lock_configuration::refuse_event_holds;
use crate::operation::XML_BYTES_MAX;
use crate::time::parse_iso8601;
use crate::xml::{Element, XmlWriter, malformed};

/// Reads the document; an empty `Retention` removes what there is.
///
/// # Errors
/// `MalformedXML`; `NotImplemented` naming the element for an event hold.
pub fn parse(body: &[u8]) -> Result<Option<Retention>, S3Error> {
    if body.is_empty() {
        return Err(malformed());
    }
    let document = Element::parse(body, XML_BYTES_MAX)?.named("Retention")?;
    refuse_event_holds(&document)?;
    match (document.child_text("Mode")?, document.child_text("RetainUntilDate")?) {
        (None, None) => Ok(None),
        (Some(mode), Some(until)) => {
            let (mode, until) = (RetentionMode::named(mode), parse_iso8601(until));
            Ok(Some(Retention { mode: mode.ok_or_else(malformed)?, until: until.ok_or_else(malformed)? }))
        }
        _ => Err(malformed()),
    }
}

/// A version's retention, also one that is over.
///
/// # Errors
/// `NoSuchObjectLockConfiguration` where it has none.
pub fn get_answer(retention: Option<Retention>) -> Result<Response<Bytes>, S3Error> {
    let Retention { mode, until } = retention.ok_or(ErrorCode::NoSuchObjectLockConfiguration)?;
    let mut xml = XmlWriter::document();
    xml.open_root("Retention");
    xml.text("Mode", mode.name());
    xml.time("RetainUntilDate", until);
    xml.close("Retention");
    Ok(answer::document(xml))
}

#[cfg(test)]
mod tests {
    use types::Timestamp;

    use super::*;

    #[test]
    fn a_retention_reads_back_and_an_empty_one_is_none() {
        for mode in [RetentionMode::Governance, RetentionMode::Compliance] {
            let retention = Some(Retention { mode, until: Timestamp::from_seconds(1_900_000_000) });
            assert_eq!(parse(get_answer(retention).unwrap().body()), Ok(retention));
        }
        assert_eq!(parse(b"<Retention/>"), Ok(None));
        assert_eq!(get_answer(None).unwrap_err().code(), ErrorCode::NoSuchObjectLockConfiguration);
    }

    #[test]
    fn what_is_no_retention_is_malformed() {
        for document in [
            "",
            "<Other/>",
            "<Retention><Mode>GOVERNANCE</Mode></Retention>",
            "<Retention><RetainUntilDate>2030-01-01T00:00:00Z</RetainUntilDate></Retention>",
            "<Retention><Mode>abc</Mode><RetainUntilDate>2030-01-01T00:00:00Z</RetainUntilDate></Retention>",
            "<Retention><Mode>GOVERNANCE</Mode><RetainUntilDate>tomorrow</RetainUntilDate></Retention>",
        ] {
            assert_eq!(parse(document.as_bytes()).unwrap_err().code(), ErrorCode::MalformedXML, "{document}");
        }
        let hold = parse(b"<Retention><EventHold>ON</EventHold></Retention>").unwrap_err();
        assert_eq!((hold.code(), hold.field("Element")), (ErrorCode::NotImplemented, Some("EventHold")));
    }
}
