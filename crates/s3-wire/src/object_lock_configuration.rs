//! PutObjectLockConfiguration and GetObjectLockConfiguration.

use bytes::Bytes;
use http::{Response, StatusCode};
use types::{BucketName, DefaultRetention, ObjectLock, RetentionMode, RetentionPeriod};

use crate::answer;
use crate::error::{ErrorCode, S3Error};
use crate::operation::XML_BYTES_MAX;
use crate::xml::{Element, XmlWriter, malformed};

/// Reads the document: object lock is to be on, with this default retention.
///
/// # Errors
/// `MalformedXML`; `InvalidArgument` for a period that is not positive, or longer than a hundred years;
/// `NotImplemented` naming the element for an event hold.
pub fn parse(body: &[u8]) -> Result<Option<DefaultRetention>, S3Error> {
    if body.is_empty() {
        return Err(malformed());
    }
    let document = Element::parse(body, XML_BYTES_MAX)?.named("ObjectLockConfiguration")?;
    if document.child_text("ObjectLockEnabled")? != Some("Enabled") {
        return Err(malformed());
    }
    let Some(rule) = document.child("Rule")? else { return Ok(None) };
    let default = rule.child("DefaultRetention")?.ok_or_else(malformed)?;
    refuse_event_holds(default)?;
    let mode = default.child_text("Mode")?.and_then(RetentionMode::named).ok_or_else(malformed)?;
    let period = match (default.child_text("Days")?, default.child_text("Years")?) {
        (Some(days), None) => RetentionPeriod::Days(positive("Days", days, RetentionPeriod::DAYS_MAX)?),
        (None, Some(years)) => RetentionPeriod::Years(positive("Years", years, RetentionPeriod::YEARS_MAX)?),
        _ => return Err(malformed()),
    };
    Ok(Some(DefaultRetention { mode, period }))
}

/// Refuses holds that end by an event, which are not built.
pub(crate) fn refuse_event_holds(element: &Element<'_>) -> Result<(), S3Error> {
    match element.children().iter().find(|child| child.name().contains("EventHold")) {
        None => Ok(()),
        Some(hold) => Err(S3Error::new(ErrorCode::NotImplemented).with("Element", hold.name())),
    }
}

fn positive(name: &'static str, text: &str, most: u32) -> Result<u32, S3Error> {
    let number: i64 = text.parse().map_err(|_| malformed())?;
    let invalid =
        |words: &'static str| S3Error::new(ErrorCode::InvalidArgument).with_message(words).with("ArgumentName", name);
    match u32::try_from(number) {
        Ok(number) if (1..=most).contains(&number) => Ok(number),
        _ if number < 1 => Err(invalid("Default retention period must be a positive integer value.")),
        _ => Err(invalid("Default retention period too large.")),
    }
}

/// The configuration is set.
pub fn put_answer() -> Response<Bytes> {
    answer::empty(StatusCode::OK)
}

/// The bucket's configuration.
///
/// # Errors
/// `ObjectLockConfigurationNotFoundError` where it has none.
pub fn get_answer(bucket: &BucketName, object_lock: ObjectLock) -> Result<Response<Bytes>, S3Error> {
    let default = match object_lock {
        ObjectLock::Off => {
            let code = ErrorCode::ObjectLockConfigurationNotFoundError;
            return Err(S3Error::new(code).with("BucketName", bucket.as_str()));
        }
        ObjectLock::On => None,
        ObjectLock::Default(default) => Some(default),
    };
    let mut xml = XmlWriter::document();
    xml.open_root("ObjectLockConfiguration");
    xml.text("ObjectLockEnabled", "Enabled");
    if let Some(DefaultRetention { mode, period }) = default {
        xml.open("Rule");
        xml.open("DefaultRetention");
        xml.text("Mode", mode.name());
        match period {
            RetentionPeriod::Days(days) => xml.plain("Days", days),
            RetentionPeriod::Years(years) => xml.plain("Years", years),
        }
        xml.close("DefaultRetention");
        xml.close("Rule");
    }
    xml.close("ObjectLockConfiguration");
    Ok(answer::document(xml))
}

/// `InvalidBucketState` for a bucket without versioning.
pub fn versioning_not_enabled() -> S3Error {
    S3Error::new(ErrorCode::InvalidBucketState)
        .with_message("Versioning must be 'Enabled' on the bucket to apply a Object Lock configuration")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(default: &str) -> Result<Option<DefaultRetention>, (ErrorCode, String)> {
        let rule = format!("<Rule><DefaultRetention>{default}</DefaultRetention></Rule>");
        let enabled = "<ObjectLockEnabled>Enabled</ObjectLockEnabled>";
        let document = format!("<ObjectLockConfiguration>{enabled}{rule}</ObjectLockConfiguration>");
        parse(document.as_bytes()).map_err(|error| (error.code(), error.message().to_owned()))
    }

    #[test]
    fn a_configuration_reads_back() {
        let name = BucketName::new("bucket").unwrap();
        let default = |mode, period| ObjectLock::Default(DefaultRetention { mode, period });
        for lock in [
            ObjectLock::On,
            default(RetentionMode::Governance, RetentionPeriod::Days(36_500)),
            default(RetentionMode::Compliance, RetentionPeriod::Years(1)),
        ] {
            let document = get_answer(&name, lock).unwrap();
            let read = parse(document.body()).unwrap();
            assert_eq!(read.map_or(ObjectLock::On, ObjectLock::Default), lock);
        }
        let none = get_answer(&name, ObjectLock::Off).unwrap_err();
        assert_eq!(none.code(), ErrorCode::ObjectLockConfigurationNotFoundError);
        assert_eq!(none.field("BucketName"), Some("bucket"));
    }

    #[test]
    fn configurations_are_refused_in_aws_words() {
        let mode = "<Mode>GOVERNANCE</Mode>";
        let malformed = |default: &str| {
            let refused = of(default).unwrap_err();
            assert_eq!(refused.0, ErrorCode::MalformedXML, "{default}");
        };
        for default in [
            "",
            mode,
            "<Days>1</Days>",
            "<Mode>GOVERNANCE</Mode><Days>1</Days><Years>1</Years>",
            "<Mode>governance</Mode><Days>1</Days>",
            "<Mode>GOVERNANCE</Mode><Days>one</Days>",
            "<Mode>GOVERNANCE</Mode><Days>1</Days><Days>1</Days>",
        ] {
            malformed(default);
        }
        for (period, words) in [
            ("<Days>0</Days>", "Default retention period must be a positive integer value."),
            ("<Years>-1</Years>", "Default retention period must be a positive integer value."),
            ("<Days>36501</Days>", "Default retention period too large."),
            ("<Years>101</Years>", "Default retention period too large."),
            ("<Days>9999999999</Days>", "Default retention period too large."),
        ] {
            let refused = of(&format!("{mode}{period}")).unwrap_err();
            assert_eq!(refused, (ErrorCode::InvalidArgument, words.to_owned()), "{period}");
        }
        assert_eq!(of("<Mode>GOVERNANCE</Mode><DefaultEventHold/>").unwrap_err().0, ErrorCode::NotImplemented);
        for document in [
            "",
            "<ObjectLockConfiguration/>",
            "<ObjectLockConfiguration><ObjectLockEnabled>Disabled</ObjectLockEnabled></ObjectLockConfiguration>",
            "<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled><Rule/></ObjectLockConfiguration>",
            "<Other><ObjectLockEnabled>Enabled</ObjectLockEnabled></Other>",
        ] {
            assert_eq!(parse(document.as_bytes()).unwrap_err().code(), ErrorCode::MalformedXML, "{document}");
        }
    }
}
