//! What a request has of a key.

use std::borrow::Cow;
use std::net::IpAddr;

use types::Timestamp;

use crate::condition::time_text;

/// One value, in the form that the caller has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value<'a> {
    /// Text: any bytes, as keys and prefixes are.
    Text(Cow<'a, [u8]>),
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Number(i64),
    /// A moment.
    Time(Timestamp),
    /// An IPv4 or IPv6 address.
    Address(IpAddr),
}

impl Value<'_> {
    /// As the string operators and variables see it.
    pub(crate) fn text(&self) -> Cow<'_, [u8]> {
        match self {
            Self::Text(bytes) => Cow::Borrowed(bytes),
            Self::Bool(true) => Cow::Borrowed(b"true"),
            Self::Bool(false) => Cow::Borrowed(b"false"),
            Self::Number(number) => Cow::Owned(number.to_string().into_bytes()),
            Self::Time(time) => Cow::Owned(time_text(*time).into_bytes()),
            Self::Address(address) => Cow::Owned(address.to_canonical().to_string().into_bytes()),
        }
    }

    /// Text that is UTF-8, for what is to be parsed.
    pub(crate) fn utf8(&self) -> Option<&str> {
        match self {
            Self::Text(bytes) => std::str::from_utf8(bytes).ok(),
            _ => None,
        }
    }
}

impl<'a> From<&'a str> for Value<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(Cow::Borrowed(text.as_bytes()))
    }
}

impl<'a> From<&'a [u8]> for Value<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        Self::Text(Cow::Borrowed(bytes))
    }
}

impl From<String> for Value<'_> {
    fn from(text: String) -> Self {
        Self::Text(Cow::Owned(text.into_bytes()))
    }
}

/// All that a request has of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Values<'a> {
    /// It does not have the key.
    Absent,
    /// A single value.
    One(Value<'a>),
    /// The values of a key that may have several (`s3:RequestObjectTagKeys`, `aws:TagKeys`); without any it counts as
    /// absent.
    Many(Vec<Value<'a>>),
}

impl<'a> Values<'a> {
    /// The values.
    pub(crate) fn as_slice(&self) -> &[Value<'a>] {
        match self {
            Self::Absent => &[],
            Self::One(value) => std::slice::from_ref(value),
            Self::Many(values) => values,
        }
    }

    /// The value, if there is one or none.
    pub fn optional(value: Option<impl Into<Value<'a>>>) -> Self {
        value.map_or(Self::Absent, |value| Self::One(value.into()))
    }
}

impl<'a> From<Value<'a>> for Values<'a> {
    fn from(value: Value<'a>) -> Self {
        Self::One(value)
    }
}

impl<'a> From<&'a str> for Values<'a> {
    fn from(text: &'a str) -> Self {
        Self::One(text.into())
    }
}
