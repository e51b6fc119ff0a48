//! What a form must look like by the policy that it carries (S3 API reference, "Browser-Based Uploads Using POST").

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use types::{BucketName, Timestamp};

use crate::error::{ErrorCode, S3Error};

/// The policy of a form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PostPolicy {
    expiration: Timestamp,
    conditions: Vec<Condition>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Condition {
    Equal { field: String, value: String },
    StartsWith { field: String, prefix: String },
    LengthRange(LengthRange),
}

/// How long a form's file may be, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LengthRange {
    /// At least.
    pub min: u64,
    /// At most.
    pub max: u64,
}

impl Default for LengthRange {
    fn default() -> Self {
        Self { min: 0, max: u64::MAX }
    }
}

impl LengthRange {
    fn and(self, other: Self) -> Self {
        Self { min: self.min.max(other.min), max: self.max.min(other.max) }
    }
}

impl PostPolicy {
    /// Reads a policy as it stands in the form's field, in base64.
    ///
    /// # Errors
    /// `InvalidPolicyDocument`.
    pub fn parse(encoded: &[u8]) -> Result<Self, S3Error> {
        let text = STANDARD.decode(encoded.trim_ascii()).map_err(|_| invalid("Invalid Base64 Encoding."))?;
        let document: Value = serde_json::from_slice(&text).map_err(|_| invalid("Invalid JSON."))?;
        let Value::Object(document) = document else { return Err(invalid("Invalid JSON.")) };
        let unexpected = document.keys().find(|name| !matches!(name.as_str(), "expiration" | "conditions"));
        if let Some(name) = unexpected {
            return Err(invalid(format!("Unexpected: '{name}'.")));
        }
        let expiration = document.get("expiration").ok_or_else(|| invalid("Policy missing expiration."))?;
        let conditions = document.get("conditions").ok_or_else(|| invalid("Policy missing conditions."))?;
        let Value::Array(conditions) = conditions else { return Err(invalid("Invalid 'conditions' value.")) };
        let mut parsed = Vec::with_capacity(conditions.len());
        for condition in conditions {
            match condition {
                Value::Object(pairs) => equalities(pairs, &mut parsed)?,
                Value::Array(operands) => parsed.push(comparison(operands)?),
                _ => return Err(invalid_condition()),
            }
        }
        Ok(Self { expiration: time_of(expiration)?, conditions: parsed })
    }

    /// Whether a form is as the policy says; how long its file may be then. `fields` are those before the file, their
    /// names in lower case.
    ///
    /// # Errors
    /// `AccessDenied`: it has expired, a condition does not hold, or there is a field that no condition names.
    pub fn check(
        &self,
        bucket: &BucketName,
        fields: &[(String, Vec<u8>)],
        now: Timestamp,
    ) -> Result<LengthRange, S3Error> {
        if now >= self.expiration {
            return Err(denied("Policy expired."));
        }
        let mut length = LengthRange::default();
        for condition in &self.conditions {
            match condition {
                Condition::LengthRange(range) => length = length.and(*range),
                Condition::Equal { field, value } => {
                    let holds = value_of(bucket, fields, field).is_some_and(|given| given == value.as_bytes());
                    holds.then_some(()).ok_or_else(|| failed("eq", field, value))?;
                }
                Condition::StartsWith { field, prefix } => {
                    let given = value_of(bucket, fields, field);
                    let holds = given.is_some_and(|given| starts_with(field, given, prefix.as_bytes()));
                    holds.then_some(()).ok_or_else(|| failed("starts-with", field, prefix))?;
                }
            }
        }
        let named = |name: &str| {
            self.conditions.iter().any(|condition| match condition {
                Condition::Equal { field, .. } | Condition::StartsWith { field, .. } => field == name,
                Condition::LengthRange(_) => false,
            })
        };
        let given = fields.iter().map(|(name, _)| name.as_str()).chain(["bucket"]);
        match given.filter(|name| must_be_named(name)).find(|name| !named(name)) {
            Some(extra) => Err(denied(format!("Extra input fields: {extra}"))),
            None => Ok(length),
        }
    }
}

/// The bucket stands in the URL, and counts as a field.
fn value_of<'a>(bucket: &'a BucketName, fields: &'a [(String, Vec<u8>)], name: &str) -> Option<&'a [u8]> {
    if name == "bucket" {
        return Some(bucket.as_str().as_bytes());
    }
    fields.iter().find(|(field, _)| field == name).map(|(_, value)| value.as_slice())
}

/// Each of several content types must begin so.
fn starts_with(field: &str, given: &[u8], prefix: &[u8]) -> bool {
    if field == "content-type" {
        return given.split(|&byte| byte == b',').all(|each| each.trim_ascii().starts_with(prefix));
    }
    given.starts_with(prefix)
}

/// What signs the policy can't stand in it.
fn must_be_named(field: &str) -> bool {
    !matches!(field, "policy" | "x-amz-signature" | "signature" | "awsaccesskeyid") && !field.starts_with("x-ignore-")
}

fn equalities(pairs: &Map<String, Value>, into: &mut Vec<Condition>) -> Result<(), S3Error> {
    if pairs.len() != 1 {
        return Err(invalid("Invalid Simple-Condition: Simple-Conditions must have exactly one property specified."));
    }
    for (field, value) in pairs {
        let value = value.as_str().ok_or_else(|| invalid("Invalid Simple-Condition: value must be a string."))?;
        into.push(Condition::Equal { field: field.to_ascii_lowercase(), value: value.to_owned() });
    }
    Ok(())
}

fn comparison(operands: &[Value]) -> Result<Condition, S3Error> {
    let [operator, left, right] = operands else { return Err(invalid_condition()) };
    let operator = operator.as_str().ok_or_else(invalid_condition)?.to_ascii_lowercase();
    if operator == "content-length-range" {
        let bound = |value: &Value| match value {
            Value::Number(number) => number.as_u64(),
            Value::String(digits) => digits.parse().ok(),
            _ => None,
        };
        let (min, max) = (bound(left).ok_or_else(invalid_condition)?, bound(right).ok_or_else(invalid_condition)?);
        return Ok(Condition::LengthRange(LengthRange { min, max }));
    }
    let field = left.as_str().and_then(|field| field.strip_prefix('$')).ok_or_else(invalid_condition)?;
    let (field, value) = (field.to_ascii_lowercase(), right.as_str().ok_or_else(invalid_condition)?.to_owned());
    match operator.as_str() {
        "eq" => Ok(Condition::Equal { field, value }),
        "starts-with" => Ok(Condition::StartsWith { field, prefix: value }),
        _ => Err(invalid_condition()),
    }
}

fn time_of(expiration: &Value) -> Result<Timestamp, S3Error> {
    let broken = || invalid("Invalid 'expiration' value.");
    let text = expiration.as_str().ok_or_else(broken)?;
    // The parser takes a space there, too.
    if text.as_bytes().get(10) != Some(&b'T') {
        return Err(broken());
    }
    let time = OffsetDateTime::parse(text, &Rfc3339).map_err(|_| broken())?;
    u64::try_from(time.unix_timestamp()).map(Timestamp::from_seconds).map_err(|_| broken())
}

fn invalid(why: impl std::fmt::Display) -> S3Error {
    S3Error::new(ErrorCode::InvalidPolicyDocument).with_message(format!("Invalid Policy: {why}"))
}

fn invalid_condition() -> S3Error {
    invalid("Invalid Condition.")
}

fn failed(operator: &str, field: &str, value: &str) -> S3Error {
    denied(format!("Policy Condition failed: [\"{operator}\", \"${field}\", \"{value}\"]"))
}

fn denied(why: impl std::fmt::Display) -> S3Error {
    S3Error::new(ErrorCode::AccessDenied).with_message(format!("Invalid according to Policy: {why}"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: Timestamp = Timestamp::from_seconds(1_700_000_000);

    fn parsed(text: &str) -> Result<PostPolicy, String> {
        PostPolicy::parse(STANDARD.encode(text).as_bytes()).map_err(|error| {
            assert_eq!(error.code(), ErrorCode::InvalidPolicyDocument);
            error.message().to_owned()
        })
    }

    fn checked(conditions: &str, fields: &[(&str, &str)]) -> Result<LengthRange, String> {
        let policy = format!(r#"{{"expiration":"2030-01-01T12:00:00.000Z","conditions":[{conditions}]}}"#);
        let fields: Vec<_> =
            fields.iter().map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec())).collect();
        let bucket = BucketName::new("pictures").unwrap();
        parsed(&policy).unwrap().check(&bucket, &fields, NOW).map_err(|error| {
            assert_eq!(error.code(), ErrorCode::AccessDenied);
            error.message().to_owned()
        })
    }

    #[test]
    fn a_form_must_be_as_its_policy_says() {
        let conditions = r#"{"bUcKeT":"pictures"},["starts-with","$Key","user/"],["eq","$acl","private"],
            ["content-length-range",1,"100"],["content-length-range",0,50]"#;
        let fields =
            [("key", "user/a"), ("acl", "private"), ("x-ignore-this", "1"), ("policy", "p"), ("x-amz-signature", "s")];
        assert_eq!(checked(conditions, &fields), Ok(LengthRange { min: 1, max: 50 }));
        let denied = |fields: &[(&str, &str)]| checked(conditions, fields).unwrap_err();
        let failed = "Invalid according to Policy: Policy Condition failed: ";
        assert_eq!(
            denied(&[("key", "other/a"), ("acl", "private")]),
            format!("{failed}[\"starts-with\", \"$key\", \"user/\"]")
        );
        assert_eq!(denied(&[("key", "user/a")]), format!("{failed}[\"eq\", \"$acl\", \"private\"]"));
        let extra = denied(&[("key", "user/a"), ("acl", "private"), ("x-amz-meta-a", "b")]);
        assert_eq!(extra, "Invalid according to Policy: Extra input fields: x-amz-meta-a");
        assert_eq!(
            checked(r#"{"key":"k"}"#, &[("key", "k")]).unwrap_err(),
            "Invalid according to Policy: Extra input fields: bucket"
        );
        let other = checked(r#"{"bucket":"others"},{"key":"k"}"#, &[("key", "k")]).unwrap_err();
        assert_eq!(other, format!("{failed}[\"eq\", \"$bucket\", \"others\"]"));
    }

    #[test]
    fn each_of_several_content_types_must_begin_so() {
        let conditions = r#"["starts-with","$bucket",""],["starts-with","$content-type","image/"]"#;
        assert!(checked(conditions, &[("content-type", "image/png, image/gif")]).is_ok());
        assert!(checked(conditions, &[("content-type", "image/png,text/html")]).is_err());
        assert!(checked(conditions, &[]).is_err(), "a field that is missing begins with nothing");
    }

    #[test]
    fn a_policy_ends() {
        let policy =
            |at: &str| parsed(&format!(r#"{{"expiration":"{at}","conditions":[["starts-with","$bucket",""]]}}"#));
        let bucket = BucketName::new("pictures").unwrap();
        let check = |at: &str| policy(at).unwrap().check(&bucket, &[], NOW).map_err(|error| error.message().to_owned());
        assert!(check("2023-11-14T22:13:21Z").is_ok());
        assert_eq!(check("2023-11-14T22:13:20Z").unwrap_err(), "Invalid according to Policy: Policy expired.");
        for broken in ["tomorrow", "2030-01-01 12:00:00Z"] {
            assert_eq!(policy(broken).unwrap_err(), "Invalid Policy: Invalid 'expiration' value.");
        }
    }

    #[test]
    fn broken_policies_are_told_so() {
        let words = |text: &str| parsed(text).unwrap_err();
        assert_eq!(words("{"), "Invalid Policy: Invalid JSON.");
        assert_eq!(words("[]"), "Invalid Policy: Invalid JSON.");
        assert_eq!(words(r#"{"conditions":[]}"#), "Invalid Policy: Policy missing expiration.");
        assert_eq!(words(r#"{"expiration":"2030-01-01T12:00:00Z"}"#), "Invalid Policy: Policy missing conditions.");
        assert_eq!(
            words(r#"{"expiration":"2030-01-01T12:00:00Z","CONDITIONS":[]}"#),
            "Invalid Policy: Unexpected: 'CONDITIONS'."
        );
        for condition in [
            "{}",
            r#"{"a":"b","c":"d"}"#,
            r#"{"a":1}"#,
            r#""eq""#,
            r#"["eq","$a"]"#,
            r#"["eq","a","b"]"#,
            r#"["like","$a","b"]"#,
            r#"["content-length-range",0]"#,
            r#"["content-length-range",-1,0]"#,
            r#"["content-length-range",0,"x"]"#,
        ] {
            assert!(
                parsed(&format!(r#"{{"expiration":"2030-01-01T12:00:00Z","conditions":[{condition}]}}"#)).is_err(),
                "{condition}"
            );
        }
        assert!(PostPolicy::parse(b"not base64!").is_err());
        // Deep nesting ends with an error, not with the stack.
        assert_eq!(words(&"[".repeat(100_000)), "Invalid Policy: Invalid JSON.");
    }

    proptest! {
        #[test]
        fn nothing_panics(text in ".{0,200}", raw in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = PostPolicy::parse(STANDARD.encode(&text).as_bytes());
            let _ = PostPolicy::parse(&raw);
        }
    }
}
