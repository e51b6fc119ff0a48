//! Times as S3 writes and reads them. Clients see whole seconds only.

use std::time::{Duration, UNIX_EPOCH};

use http::HeaderValue;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use types::Timestamp;

/// The end of the year 9999, where the formats stop.
const SECONDS_MAX: u64 = 253_402_300_799;

/// An HTTP date: `Fri, 24 May 2013 00:00:00 GMT`.
pub fn http_date(at: Timestamp) -> HeaderValue {
    let seconds = at.seconds().min(SECONDS_MAX);
    let text = httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(seconds));
    HeaderValue::from_str(&text).expect("an HTTP date is ASCII")
}

/// Reads an HTTP date in any of its three formats (RFC 9110, section 5.6.7); `None` for anything else, which makes a
/// condition void.
pub fn parse_http_date(text: &str) -> Option<Timestamp> {
    let time = httpdate::parse_http_date(text.trim()).ok()?;
    Some(Timestamp::from_seconds(time.duration_since(UNIX_EPOCH).ok()?.as_secs()))
}

/// Reads an ISO 8601 time with its offset from UTC; a part of a second counts as a whole one, what lies before 1970 is
/// 1970, and what lies after 9999 is its end. `None` for anything else.
pub(crate) fn parse_iso8601(text: &str) -> Option<Timestamp> {
    let time = OffsetDateTime::parse(text, &Rfc3339).ok()?;
    let nanoseconds = u128::try_from(time.unix_timestamp_nanos()).unwrap_or(0);
    let at = Timestamp(u64::try_from(nanoseconds.div_ceil(1_000)).ok()?).rounded_up();
    Some(at.min(Timestamp::from_seconds(SECONDS_MAX)))
}

/// Writes `2013-05-24T00:00:00.000Z`, as XML answers show times.
pub(crate) fn push_iso8601(out: &mut Vec<u8>, at: Timestamp) {
    let seconds = i64::try_from(at.seconds()).unwrap_or(i64::MAX);
    let time = OffsetDateTime::from_unix_timestamp(seconds).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    let (year, month, day) = time.to_calendar_date();
    let (hour, minute, second) = time.to_hms();
    let year = u16::try_from(year).unwrap_or_default();
    let two = |number: u8| [b'0' + number / 10, b'0' + number % 10];
    let [century, of_century] = [(year / 100) as u8, (year % 100) as u8].map(two);
    let ([m, mo], [d, da], [h, ho], [i, mi], [s, se]) =
        (two(month.into()), two(day), two(hour), two(minute), two(second));
    out.extend_from_slice(&century);
    out.extend_from_slice(&of_century);
    out.extend_from_slice(&[b'-', m, mo, b'-', d, da, b'T', h, ho, b':', i, mi, b':', s, se]);
    out.extend_from_slice(b".000Z");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn http_dates_are_read_in_their_three_formats() {
        let at = Some(Timestamp::from_seconds(784_111_777));
        for text in ["Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"] {
            assert_eq!(parse_http_date(text), at, "{text}");
        }
        for text in ["", "yesterday", "1994-11-06T08:49:37Z", "Sun, 06 Nov 1894 08:49:37 GMT"] {
            assert_eq!(parse_http_date(text), None, "{text}");
        }
    }

    #[test]
    fn iso_times_are_read_with_their_offset_and_never_too_short() {
        let at = |seconds| Some(Timestamp::from_seconds(seconds));
        assert_eq!(parse_iso8601("1994-11-06T08:49:37Z"), at(784_111_777));
        assert_eq!(parse_iso8601("1994-11-06T09:49:37+01:00"), at(784_111_777));
        assert_eq!(parse_iso8601("1994-11-06T08:49:36.000001Z"), at(784_111_777));
        assert_eq!(parse_iso8601("1960-01-01T00:00:00Z"), at(0));
        for end in ["9999-12-31T23:59:59Z", "9999-12-31T23:59:59.5Z", "9999-12-31T23:59:59-23:00"] {
            assert_eq!(parse_iso8601(end), at(SECONDS_MAX), "{end}");
        }
        for text in ["", "1994-11-06", "1994-11-06T08:49:37", "Sun, 06 Nov 1994 08:49:37 GMT", "1994-13-06T08:49:37Z"] {
            assert_eq!(parse_iso8601(text), None, "{text}");
        }
    }

    #[test]
    fn times_are_written_in_whole_seconds() {
        let at = Timestamp(784_111_777_987_654);
        let mut out = Vec::new();
        push_iso8601(&mut out, at);
        assert_eq!(out, b"1994-11-06T08:49:37.000Z");
        assert_eq!(http_date(at), "Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(http_date(Timestamp(u64::MAX)), "Fri, 31 Dec 9999 23:59:59 GMT");
    }

    proptest::proptest! {
        #[test]
        fn http_dates_read_back(seconds in 0_u64..250_000_000_000) {
            let at = Timestamp::from_seconds(seconds);
            proptest::prop_assert_eq!(parse_http_date(http_date(at).to_str().unwrap()), Some(at));
        }

        #[test]
        fn any_text_is_a_date_or_none(text in "\\PC{0,40}") {
            let _ = parse_http_date(&text);
        }
    }
}
