//! Object lock in headers: what holds a new version, and what holds one that is read.

use http::{HeaderMap, HeaderValue};
use types::{LegalHold, ObjectAttributes, Retention, RetentionMode, Timestamp};

use crate::answer;
use crate::error::{ErrorCode, S3Error};
use crate::head::RequestHead;
use crate::time::{parse_iso8601, push_iso8601};

const MODE: &str = "x-amz-object-lock-mode";
const UNTIL: &str = "x-amz-object-lock-retain-until-date";
const HOLD: &str = "x-amz-object-lock-legal-hold";

/// Whether a header is one of object lock's that are read.
pub(crate) fn is_known(header: &str) -> bool {
    [MODE, UNTIL, HOLD].contains(&header)
}

/// Reads what a request gives the version that it makes.
///
/// # Errors
/// `InvalidArgument` for a mode without a date or the other way round, and for values that S3 doesn't have.
pub fn parse(head: &RequestHead<'_>) -> Result<(Option<Retention>, LegalHold), S3Error> {
    let retention = match (head.header(MODE)?, head.header(UNTIL)?) {
        (None, None) => None,
        (Some(_), None) => return Err(lacks(UNTIL)),
        (None, Some(_)) => return Err(lacks(MODE)),
        (Some(mode), Some(until)) => Some(Retention {
            mode: RetentionMode::named(mode)
                .ok_or_else(|| S3Error::invalid_argument("Unknown wormMode directive.", MODE, mode))?,
            until: parse_iso8601(until).ok_or_else(|| {
                let words = "The retain until date must be provided in ISO 8601 format";
                S3Error::invalid_argument(words, UNTIL, until)
            })?,
        }),
    };
    let hold = head.header(HOLD)?.map(|text| {
        let words = "Legal Hold must be either of 'ON' or 'OFF'";
        LegalHold::named(text).ok_or_else(|| S3Error::invalid_argument(words, HOLD, text))
    });
    Ok((retention, hold.transpose()?.unwrap_or_default()))
}

fn lacks(header: &str) -> S3Error {
    S3Error::new(ErrorCode::InvalidArgument)
        .with_message("x-amz-object-lock-retain-until-date and x-amz-object-lock-mode must both be supplied")
        .with("ArgumentName", header)
}

/// Refuses a retention in a header that is over at `now`.
///
/// # Errors
/// `InvalidArgument`.
pub fn check_until(attributes: &ObjectAttributes, now: Timestamp) -> Result<(), S3Error> {
    match attributes.retention.filter(|retention| retention.until <= now) {
        None => Ok(()),
        Some(over) => Err(until_passed().with("ArgumentName", UNTIL).with("ArgumentValue", iso8601(over.until))),
    }
}

/// `InvalidArgument` for a retention that is over already; the argument's name is to be added.
pub fn until_passed() -> S3Error {
    S3Error::new(ErrorCode::InvalidArgument).with_message("The retain until date must be in the future!")
}

/// `InvalidRequest`: the bucket has no object lock.
pub fn no_configuration() -> S3Error {
    S3Error::invalid_request("Bucket is missing Object Lock Configuration")
}

/// `InvalidArgument` for a lock that nobody signed.
pub fn refused_to_anonymous() -> S3Error {
    S3Error::new(ErrorCode::InvalidArgument)
        .with_message("Put Object requests with Object Lock parameters require AWS Signature Version 4")
        .with("ArgumentName", "Authorization")
}

/// `InvalidRequest` for a body without a digest that a lock is to hold.
pub(crate) fn needs_integrity() -> S3Error {
    S3Error::invalid_request(
        "Content-MD5 OR x-amz-checksum- HTTP header is required for Put Object requests with Object Lock parameters",
    )
}

/// Writes what holds a version into the head of a GetObject or HeadObject answer.
pub(crate) fn set_headers(headers: &mut HeaderMap, attributes: &ObjectAttributes) {
    if let Some(Retention { mode, until }) = attributes.retention {
        answer::set(headers, MODE, mode.name());
        let until = HeaderValue::try_from(iso8601(until)).expect("a time is ASCII");
        headers.insert(UNTIL, until);
    }
    if let Some(hold) = attributes.legal_hold.name() {
        answer::set(headers, HOLD, hold);
    }
}

fn iso8601(at: Timestamp) -> String {
    let mut text = Vec::new();
    push_iso8601(&mut text, at);
    String::from_utf8(text).expect("a time is ASCII")
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, Method};

    use super::*;
    use crate::{BaseDomains, Query, Target};

    fn parsed(pairs: &[(&'static str, &str)]) -> Result<(Option<Retention>, LegalHold), S3Error> {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
        }
        let target = Target::parse(None, "/bucket/key", &BaseDomains::new([])).unwrap();
        let query = Query::default();
        parse(&RequestHead { method: &Method::PUT, target: &target, query: &query, headers: &headers })
    }

    #[test]
    fn what_holds_a_version_is_read_and_shown_again() {
        let (retention, legal_hold) =
            parsed(&[(MODE, "COMPLIANCE"), (UNTIL, "2030-01-02T03:04:04.5Z"), (HOLD, "ON")]).unwrap();
        let attributes = ObjectAttributes { retention, legal_hold, ..ObjectAttributes::default() };
        let mut headers = HeaderMap::new();
        set_headers(&mut headers, &attributes);
        assert_eq!((&headers[MODE], &headers[HOLD]), (&"COMPLIANCE".parse().unwrap(), &"ON".parse().unwrap()));
        assert_eq!(headers[UNTIL], "2030-01-02T03:04:05.000Z", "what is shown holds to the end");
        let (retention, legal_hold) = parsed(&[(HOLD, "OFF")]).unwrap();
        let attributes = ObjectAttributes { retention, legal_hold, ..ObjectAttributes::default() };
        let mut headers = HeaderMap::new();
        set_headers(&mut headers, &attributes);
        assert_eq!((headers.len(), &headers[HOLD]), (1, &"OFF".parse().unwrap()));
        assert_eq!(parsed(&[]), Ok((None, LegalHold::Unset)));
    }

    #[test]
    fn locks_are_refused_in_aws_words() {
        let both = "x-amz-object-lock-retain-until-date and x-amz-object-lock-mode must both be supplied";
        let date = "2030-01-01T00:00:00Z";
        for (pairs, message, argument) in [
            (&[(MODE, "GOVERNANCE")][..], both, UNTIL),
            (&[(UNTIL, date)], both, MODE),
            (&[(MODE, "governance"), (UNTIL, date)], "Unknown wormMode directive.", MODE),
            (
                &[(MODE, "GOVERNANCE"), (UNTIL, "abc")],
                "The retain until date must be provided in ISO 8601 format",
                UNTIL,
            ),
            (&[(HOLD, "on")], "Legal Hold must be either of 'ON' or 'OFF'", HOLD),
        ] {
            let error = parsed(pairs).unwrap_err();
            assert_eq!((error.code(), error.message()), (ErrorCode::InvalidArgument, message), "{pairs:?}");
            assert_eq!(error.field("ArgumentName"), Some(argument));
        }
        let (retention, _) = parsed(&[(MODE, "GOVERNANCE"), (UNTIL, "1960-01-01T00:00:00Z")]).unwrap();
        let attributes = ObjectAttributes { retention, ..ObjectAttributes::default() };
        let error = check_until(&attributes, Timestamp::from_seconds(5)).unwrap_err();
        assert_eq!(error.message(), "The retain until date must be in the future!");
        assert_eq!(error.field("ArgumentName"), Some(UNTIL));
        let (retention, _) = parsed(&[(MODE, "GOVERNANCE"), (UNTIL, "1970-01-01T00:00:06+00:00")]).unwrap();
        let attributes = ObjectAttributes { retention, ..ObjectAttributes::default() };
        assert!(check_until(&attributes, Timestamp::from_seconds(5)).is_ok());
        assert!(check_until(&attributes, Timestamp::from_seconds(6)).is_err());
    }
}
