//! Entity tags.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// An object's or part's entity tag: an MD5, for a completed upload that of its parts' MD5s, `-` and their count.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ETag {
    /// MD5 of the plain bytes, or of the parts' MD5s one after the other.
    pub md5: [u8; 16],
    /// How many parts a completed upload has; `None` for a plain PUT and for a part.
    pub parts: Option<u16>,
}

/// Text that is no entity tag of this store (it can match none).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an ETag of this store: 32 hex digits are expected, for a completed upload with -COUNT")]
pub struct ETagError;

impl ETag {
    /// The tag of one body.
    pub const fn of_body(md5: [u8; 16]) -> Self {
        Self { md5, parts: None }
    }
}

impl fmt::Display for ETag {
    /// Without quotes.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut digits = [0; 32];
        hex::encode_to_slice(self.md5, &mut digits).expect("32 digits for 16 bytes");
        f.write_str(std::str::from_utf8(&digits).expect("hex digits are ASCII"))?;
        match self.parts {
            Some(parts) => write!(f, "-{parts}"),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for ETag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ETag({self})")
    }
}

impl FromStr for ETag {
    type Err = ETagError;

    /// Takes the tag with or without quotes.
    fn from_str(text: &str) -> Result<Self, ETagError> {
        let bare = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(text);
        let (digits, parts) = match bare.split_once('-') {
            Some((digits, count)) => (digits, Some(count.parse().map_err(|_| ETagError)?)),
            None => (bare, None),
        };
        let mut md5 = [0; 16];
        hex::decode_to_slice(digits, &mut md5).map_err(|_| ETagError)?;
        Ok(Self { md5, parts })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_read_back_with_and_without_quotes() {
        let plain = ETag::of_body([0xab; 16]);
        let upload = ETag { parts: Some(12), ..plain };
        for tag in [plain, upload] {
            assert_eq!(tag.to_string().parse(), Ok(tag));
            assert_eq!(format!("\"{tag}\"").parse(), Ok(tag));
        }
        assert_eq!("xyz".parse::<ETag>(), Err(ETagError));
    }
}
