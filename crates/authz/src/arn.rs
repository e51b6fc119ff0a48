//! Amazon Resource Names: `arn:aws:SERVICE:REGION:ACCOUNT:RESOURCE` (IAM User Guide, "Amazon Resource Names").

use std::fmt;

use types::AccountId;

/// The namespace of an ARN that Cairn knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Namespace {
    /// Buckets and objects.
    S3,
    /// Users, groups, roles and policies.
    Iam,
    /// Sessions.
    Sts,
}

impl Namespace {
    /// As ARNs have it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::S3 => "s3",
            Self::Iam => "iam",
            Self::Sts => "sts",
        }
    }
}

/// Why a text is not an ARN of Cairn's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ArnError {
    /// It does not have six parts of which the first is `arn`.
    #[error("an ARN has the form arn:aws:SERVICE:REGION:ACCOUNT:RESOURCE")]
    Form,
    /// The partition is not `aws`.
    #[error("the partition of an ARN is aws")]
    Partition,
    /// The namespace is none of `s3`, `iam` and `sts`.
    #[error("the namespace of an ARN is s3, iam or sts")]
    Namespace,
    /// The account is neither empty nor twelve digits.
    #[error("an account in an ARN has twelve digits")]
    Account,
}

/// An ARN of partition `aws`, without wildcards in front of its resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Arn<'a> {
    /// What kind of thing it names.
    pub namespace: Namespace,
    /// Empty for all that Cairn names.
    pub region: &'a str,
    /// The account that has it; none for buckets and objects.
    pub account: Option<AccountId>,
    /// The rest, colons and all: `user/path/name`, `bucket/key`.
    pub resource: &'a str,
}

impl<'a> Arn<'a> {
    /// Reads `text`.
    ///
    /// # Errors
    /// [`ArnError`].
    pub fn parse(text: &'a str) -> Result<Self, ArnError> {
        let mut parts = text.splitn(6, ':');
        let mut part = || parts.next().ok_or(ArnError::Form);
        let (scheme, partition, namespace, region, account, resource) =
            (part()?, part()?, part()?, part()?, part()?, part()?);
        if scheme != "arn" || resource.is_empty() {
            return Err(ArnError::Form);
        }
        if partition != "aws" {
            return Err(ArnError::Partition);
        }
        let namespace = [Namespace::S3, Namespace::Iam, Namespace::Sts]
            .into_iter()
            .find(|known| known.as_str() == namespace)
            .ok_or(ArnError::Namespace)?;
        let account = match account {
            "" => None,
            digits => Some(parse_account(digits).ok_or(ArnError::Account)?),
        };
        Ok(Self { namespace, region, account, resource })
    }
}

impl fmt::Display for Arn<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "arn:aws:{}:{}:", self.namespace.as_str(), self.region)?;
        if let Some(account) = self.account {
            write!(f, "{account}")?;
        }
        write!(f, ":{}", self.resource)
    }
}

/// An account of exactly twelve digits.
pub(crate) fn parse_account(digits: &str) -> Option<AccountId> {
    let all_digits = digits.len() == 12 && digits.bytes().all(|byte| byte.is_ascii_digit());
    all_digits.then(|| digits.parse().ok().map(AccountId)).flatten()
}

/// The twelve digits of an account.
pub(crate) fn account_digits(account: AccountId) -> [u8; 12] {
    let mut digits = [b'0'; 12];
    let mut left = account.0;
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + u8::try_from(left % 10).expect("a digit is below ten");
        left /= 10;
    }
    digits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arns_are_read_and_written() {
        for text in [
            "arn:aws:s3:::bucket/a:b",
            "arn:aws:iam::000000000007:user/division/bob",
            "arn:aws:sts::123456789012:assumed-role/role/session",
        ] {
            assert_eq!(Arn::parse(text).expect("an ARN").to_string(), text);
        }
        assert_eq!(Arn::parse("arn:aws:iam::000000000007:root").expect("an ARN").account, Some(AccountId(7)));
    }

    #[test]
    fn what_is_no_arn_is_refused() {
        for (text, error) in [
            ("", ArnError::Form),
            ("arn:aws:s3::bucket", ArnError::Form),
            ("arn:aws:s3:::", ArnError::Form),
            ("arn:azure:s3:::bucket", ArnError::Partition),
            ("arn:aws:ec2:::instance", ArnError::Namespace),
            ("arn:aws:iam::12345678901:root", ArnError::Account),
            ("arn:aws:iam::12345678901x:root", ArnError::Account),
        ] {
            assert_eq!(Arn::parse(text), Err(error), "{text}");
        }
    }

    #[test]
    fn accounts_have_twelve_digits() {
        assert_eq!(&account_digits(AccountId(7)), b"000000000007");
        assert_eq!(&account_digits(AccountId::ROOT), b"100000000000");
        assert_eq!(parse_account("000000000007"), Some(AccountId(7)));
        assert_eq!(parse_account("+00000000007"), None);
    }
}
