//! Moments of conditions: ISO 8601 as W3C's note on date and time has it, or seconds since 1970.

use types::Timestamp;

const SECONDS_OF_DAY: i64 = 86_400;

/// Reads a moment of 1970 or later; what is before is no timestamp, and compares as 1970.
///
/// Forms: `2026`, `2026-11`, `2026-11-30`, `2026-11-30T17:52Z`, `...:36Z`, `...:36.25+01:00`, or digits: seconds.
pub(crate) fn parse_time(text: &str) -> Option<Timestamp> {
    if text.len() > 4 && text.bytes().all(|byte| byte.is_ascii_digit()) {
        let seconds: u64 = text.parse().ok()?;
        return seconds.checked_mul(1_000_000).map(Timestamp);
    }
    let (date, clock) = match text.split_once('T') {
        Some((date, clock)) => (date, Some(clock)),
        None => (text, None),
    };
    let (days, is_whole_date) = parse_date(date)?;
    let micros = match clock {
        None => 0,
        Some(_) if !is_whole_date => return None,
        Some(clock) => parse_clock(clock)?,
    };
    let micros = i128::from(days * SECONDS_OF_DAY) * 1_000_000 + micros;
    Some(Timestamp(u64::try_from(micros.max(0)).ok()?))
}

/// The days since 1970, and whether the day itself was named.
fn parse_date(text: &str) -> Option<(i64, bool)> {
    let mut parts = text.split('-');
    let year = digits(parts.next()?, 4)?;
    let month = parts.next().map(|part| digits(part, 2)).unwrap_or(Some(1))?;
    let day = parts.next();
    let is_whole = day.is_some();
    let day = day.map(|part| digits(part, 2)).unwrap_or(Some(1))?;
    if parts.next().is_some() || !(1..=12).contains(&month) || !(1..=days_of_month(year, month)).contains(&day) {
        return None;
    }
    Some((days_since_1970(year, month, day), is_whole))
}

/// The microseconds since midnight in UTC, which an offset can put into another day.
fn parse_clock(text: &str) -> Option<i128> {
    let zone_at = text.find(['Z', '+', '-'])?;
    let (clock, zone) = text.split_at(zone_at);
    let offset_seconds = match zone.split_at(1) {
        ("Z", "") => 0,
        (sign, rest) => {
            let (hours, minutes) = match rest.split_once(':') {
                Some((hours, minutes)) => (digits(hours, 2)?, digits(minutes, 2)?),
                None => (digits(rest.get(..2)?, 2)?, digits(rest.get(2..)?, 2)?),
            };
            let seconds = (hours * 60 + minutes) * 60;
            match sign {
                "+" if hours < 24 && minutes < 60 => seconds,
                "-" if hours < 24 && minutes < 60 => -seconds,
                _ => return None,
            }
        }
    };
    let mut parts = clock.split(':');
    let (hour, minute) = (digits(parts.next()?, 2)?, digits(parts.next()?, 2)?);
    let (second, micros) = match parts.next() {
        None => (0, 0),
        Some(second) => match second.split_once('.') {
            Some((second, fraction)) => (digits(second, 2)?, parse_fraction(fraction)?),
            None => (digits(second, 2)?, 0),
        },
    };
    if parts.next().is_some() || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let seconds = (hour * 60 + minute) * 60 + second - offset_seconds;
    Some(i128::from(seconds) * 1_000_000 + i128::from(micros))
}

/// The microseconds of what stands behind the point; finer digits are cut.
fn parse_fraction(text: &str) -> Option<i64> {
    if text.is_empty() || text.len() > 12 || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    format!("{text:0<6}")[..6].parse().ok()
}

/// A number of exactly `count` digits.
fn digits(text: &str, count: usize) -> Option<i64> {
    let all_digits = text.len() == count && text.bytes().all(|byte| byte.is_ascii_digit());
    all_digits.then(|| text.parse().ok()).flatten()
}

const fn days_of_month(year: i64, month: i64) -> i64 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        _ => 31,
    }
}

/// Days from 1970-01-01 in the Gregorian calendar: years are counted from March, so that a leap day is a year's last.
const fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let leap_days = year / 4 - year / 100 + year / 400;
    year * 365 + leap_days + (month * 153 + 2) / 5 + day - 1 - 719_468
}

/// A moment as variables and string operators see it: `2026-11-30T17:52:36Z`.
pub(crate) fn time_text(time: Timestamp) -> String {
    let (mut days, second) = (time.seconds() / 86_400, time.seconds() % 86_400);
    let days_of_year = |year: i64| days_since_1970(year + 1, 1, 1) - days_since_1970(year, 1, 1);
    let mut days_left = i64::try_from(days).unwrap_or(i64::MAX);
    // Whole periods of 400 years are alike.
    let periods = days_left / 146_097;
    days_left %= 146_097;
    let mut year = 1970 + periods * 400;
    while days_left >= days_of_year(year) {
        days_left -= days_of_year(year);
        year += 1;
    }
    let mut month = 1;
    while days_left >= days_of_month(year, month) {
        days_left -= days_of_month(year, month);
        month += 1;
    }
    days = u64::try_from(days_left).unwrap_or(0) + 1;
    format!("{year:04}-{month:02}-{days:02}T{:02}:{:02}:{:02}Z", second / 3600, second / 60 % 60, second % 60)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn moments_are_read_in_all_their_forms() {
        for (text, seconds) in [
            ("1970", 0),
            ("1970-01-02", 86_400),
            ("2000-03-01", 951_868_800),
            ("2013-05-24T00:00:00Z", 1_369_353_600),
            ("2013-05-24T00:00Z", 1_369_353_600),
            ("2013-05-24T02:00:00+02:00", 1_369_353_600),
            ("2013-05-23T22:30:00-0130", 1_369_353_600),
            ("2013-05", 1_367_366_400),
            ("1369353600", 1_369_353_600),
            ("1969-12-31T23:59:59Z", 0),
        ] {
            assert_eq!(parse_time(text), Some(Timestamp::from_seconds(seconds)), "{text}");
        }
        assert_eq!(parse_time("1970-01-01T00:00:01.5Z"), Some(Timestamp(1_500_000)));
    }

    #[test]
    fn what_is_no_moment_is_refused() {
        for text in [
            "",
            "x",
            "20",
            "2013-13",
            "2013-02-29",
            "2013-05-24T",
            "2013-05-24T00Z",
            "2013-05-24T24:00Z",
            "2013-05T00:00Z",
            "2013-05-24T00:00:00",
            "2013-05-24T00:00:00+2",
            "2013-05-24T00:00:00+é1",
            "2013-05-24T00:00:00.Z",
            "99999999999999999999999",
            "2013-5-24",
        ] {
            assert_eq!(parse_time(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(seconds in 0_u64..253_402_300_800) {
            let time = Timestamp::from_seconds(seconds);
            prop_assert_eq!(parse_time(&time_text(time)), Some(time));
        }

        #[test]
        fn any_text_is_read_or_refused(text in ".{0,30}") {
            let _ = parse_time(&text);
        }
    }
}
