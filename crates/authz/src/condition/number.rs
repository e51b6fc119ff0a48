//! Numbers of conditions: whole or decimal, compared exactly.

/// A number with up to nine digits behind the point, in billionths.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Decimal(i128);

const DIGITS_BEHIND: usize = 9;
const ONE: i128 = 1_000_000_000;

impl Decimal {
    /// Reads a sign, up to 18 digits, and maybe a point and up to nine more.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (negative, digits) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        let (whole, behind) = digits.split_once('.').unwrap_or((digits, "0"));
        let all_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        if !all_digits(whole) || !all_digits(behind) || whole.len() > 18 || behind.len() > DIGITS_BEHIND {
            return None;
        }
        let behind: i128 = format!("{behind:0<DIGITS_BEHIND$}").parse().ok()?;
        let billionths = whole.parse::<i128>().ok()? * ONE + behind;
        Some(Self(if negative { -billionths } else { billionths }))
    }
}

impl From<i64> for Decimal {
    fn from(number: i64) -> Self {
        Self(i128::from(number) * ONE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_compared_exactly() {
        let read = |text| Decimal::parse(text).expect(text);
        assert_eq!(read("10"), Decimal::from(10));
        assert_eq!(read("10.0"), Decimal::from(10));
        assert_eq!(read("+1"), Decimal::from(1));
        assert!(read("0.1") < read("0.10001"));
        assert!(read("-2") < read("-1.5"));
        assert!(read("999999999999999999.999999999") > Decimal::from(999_999_999_999_999_999));
    }

    #[test]
    fn what_is_no_number_is_refused() {
        for text in ["", "-", ".5", "5.", "1e3", "0x1", "--1", "1.2.3", " 1", "1234567890123456789", "0.1234567891"] {
            assert_eq!(Decimal::parse(text), None, "{text}");
        }
    }
}
