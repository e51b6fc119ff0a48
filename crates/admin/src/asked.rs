//! What the conditions of policies may ask of an admin request.

use std::net::SocketAddr;

use authz::{Key, KeyName, RequestContext, Value, Values};
use http::HeaderMap;
use http::header::{REFERER, USER_AGENT};
use types::Timestamp;

/// Over which connection a request came.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Connection {
    /// From where.
    pub(crate) peer: SocketAddr,
    /// Whether it is encrypted.
    pub(crate) is_tls: bool,
}

/// An admin request as policies see it.
#[derive(Debug)]
pub(crate) struct AskedContext<'a> {
    pub(crate) connection: Connection,
    pub(crate) headers: &'a HeaderMap,
    pub(crate) now: Timestamp,
    pub(crate) signed_at: Timestamp,
}

impl AskedContext<'_> {
    fn header(&self, name: http::HeaderName) -> Values<'_> {
        let value = self.headers.get(name).map(|value| value.as_bytes().trim_ascii());
        value.map_or(Values::Absent, |value| Value::Text(value.into()).into())
    }
}

impl RequestContext for AskedContext<'_> {
    fn values(&self, key: Key<'_>) -> Values<'_> {
        let number = |number: u64| Value::Number(i64::try_from(number).unwrap_or(i64::MAX)).into();
        match key.name {
            KeyName::CurrentTime => Value::Time(self.now).into(),
            KeyName::EpochTime => number(self.now.seconds()),
            KeyName::SourceIp => Value::Address(self.connection.peer.ip()).into(),
            KeyName::SecureTransport => Value::Bool(self.connection.is_tls).into(),
            KeyName::Referer => self.header(REFERER),
            KeyName::UserAgent => self.header(USER_AGENT),
            KeyName::AuthType => "REST-HEADER".into(),
            KeyName::SignatureVersion => "AWS4-HMAC-SHA256".into(),
            KeyName::SignatureAge => {
                number(self.now.seconds().saturating_sub(self.signed_at.seconds()).saturating_mul(1000))
            }
            _ => Values::Absent,
        }
    }
}
