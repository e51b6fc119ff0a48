//! Gateways' credentials, as `cairn admin gateway` shows them: the bodies of `/v1/gateways`.

use serde::{Deserialize, Serialize};

/// The longest name of a gateway.
pub const GATEWAY_NAME_CHARS_MAX: usize = 64;

/// A gateway's credential that was just made.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewGateway {
    /// What it is revoked by.
    pub id: String,
    /// What people call it.
    pub name: String,
    /// The credential, shown this once: what the gateway is given as `CAIRN_GATEWAY_CREDENTIAL`.
    pub credential: String,
}

/// Without the credential.
impl std::fmt::Debug for NewGateway {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NewGateway").field("id", &self.id).field("name", &self.name).finish_non_exhaustive()
    }
}

/// A gateway's credential, without what is secret of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownGateway {
    /// What it is revoked by.
    pub id: String,
    /// What people call it.
    pub name: String,
    /// When it was added, in seconds since 1970.
    pub added_seconds: u64,
}

/// How a gateway's credential is asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct AddGateway {
    /// Its name; without one it is called by its id.
    pub name: Option<GatewayName>,
    /// The credential that it has already, to be let in: `gw1:`, 32 hexadecimal digits, `:`, 64 hexadecimal digits.
    /// Without one, one is made. The same again changes nothing.
    pub credential: Option<String>,
}

/// What people call a gateway: up to 64 letters, digits, `.`, `_` and `-`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct GatewayName(String);

/// A text that is no gateway's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a gateway's name has 1 to {GATEWAY_NAME_CHARS_MAX} letters, digits, '.', '_' and '-'")]
pub struct NoGatewayName;

impl GatewayName {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::str::FromStr for GatewayName {
    type Err = NoGatewayName;

    fn from_str(text: &str) -> Result<Self, NoGatewayName> {
        Self::try_from(text.to_owned())
    }
}

impl TryFrom<String> for GatewayName {
    type Error = NoGatewayName;

    fn try_from(text: String) -> Result<Self, NoGatewayName> {
        let may_be = |letter: u8| letter.is_ascii_alphanumeric() || b"._-".contains(&letter);
        let is_name = (1..=GATEWAY_NAME_CHARS_MAX).contains(&text.len()) && text.bytes().all(may_be);
        if is_name { Ok(Self(text)) } else { Err(NoGatewayName) }
    }
}

impl From<GatewayName> for String {
    fn from(name: GatewayName) -> Self {
        name.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_need_no_quotes_anywhere() {
        for name in ["a", "web-1.example_2", &"x".repeat(64)] {
            assert_eq!(name.parse::<GatewayName>().map(String::from), Ok(name.to_owned()));
        }
        for wrong in ["", "a b", "a/b", "a&b", "\u{e4}", "a\n", &"x".repeat(65)] {
            assert_eq!(wrong.parse::<GatewayName>(), Err(NoGatewayName), "{wrong:?}");
        }
    }

    #[test]
    fn a_new_credential_is_not_printed_by_accident() {
        let new = NewGateway { id: "id".to_owned(), name: "name".to_owned(), credential: "gw1:secret".to_owned() };
        assert!(!format!("{new:?}").contains("secret"));
    }
}
