//! The times of signatures.

use time::format_description::well_known::Rfc2822;
use time::{Date, Month, OffsetDateTime, Time};
use types::Timestamp;

/// Reads `20130524T000000Z`, the basic form of ISO 8601 that signatures use.
pub(crate) fn parse_basic(text: &str) -> Option<Timestamp> {
    let bytes = text.as_bytes();
    if bytes.len() != 16 || bytes[8] != b'T' || bytes[15] != b'Z' {
        return None;
    }
    let number = |digits: &[u8]| {
        digits.iter().try_fold(0_u16, |sum, digit| digit.is_ascii_digit().then(|| sum * 10 + u16::from(digit - b'0')))
    };
    let small = |digits: &[u8]| number(digits).and_then(|number| u8::try_from(number).ok());
    let month = Month::try_from(small(&bytes[4..6])?).ok()?;
    let date = Date::from_calendar_date(i32::from(number(&bytes[..4])?), month, small(&bytes[6..8])?).ok()?;
    let time = Time::from_hms(small(&bytes[9..11])?, small(&bytes[11..13])?, small(&bytes[13..15])?).ok()?;
    to_timestamp(date.with_time(time).assume_utc())
}

/// Reads an HTTP date.
pub(crate) fn parse_http_date(text: &str) -> Option<Timestamp> {
    to_timestamp(OffsetDateTime::parse(text, &Rfc2822).ok()?)
}

fn to_timestamp(time: OffsetDateTime) -> Option<Timestamp> {
    u64::try_from(time.unix_timestamp()).ok().map(Timestamp::from_seconds)
}

/// `20130524T000000Z`
pub(crate) fn format_basic(at: Timestamp) -> String {
    let time = offset(at);
    let (year, month, day) = time.to_calendar_date();
    let (hour, minute, second) = time.to_hms();
    format!("{year:04}{:02}{day:02}T{hour:02}{minute:02}{second:02}Z", u8::from(month))
}

/// `2013-05-24T00:00:00Z`, as error bodies show times.
pub(crate) fn format_extended(at: Timestamp) -> String {
    let time = offset(at);
    let (year, month, day) = time.to_calendar_date();
    let (hour, minute, second) = time.to_hms();
    format!("{year:04}-{:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z", u8::from(month))
}

fn offset(at: Timestamp) -> OffsetDateTime {
    let seconds = i64::try_from(at.seconds()).unwrap_or(i64::MAX);
    OffsetDateTime::from_unix_timestamp(seconds).unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_read_back() {
        let at = Timestamp::from_seconds(1_369_353_600);
        assert_eq!(parse_basic("20130524T000000Z"), Some(at));
        assert_eq!(parse_http_date("Fri, 24 May 2013 00:00:00 GMT"), Some(at));
        assert_eq!((format_basic(at), format_extended(at)), ("20130524T000000Z".into(), "2013-05-24T00:00:00Z".into()));
        for broken in
            ["", "20130524T000000", "20130532T000000Z", "20130524 000000Z", "2013é524T000000Z", "19690524T000000Z"]
        {
            assert_eq!(parse_basic(broken), None, "{broken}");
        }
    }
}
