//! Names that clients choose: buckets, keys, storage classes.

use std::fmt;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// A name that breaks its rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Not a bucket name by the S3 User Guide's "Bucket naming rules".
    #[error("the bucket name is not valid")]
    Bucket,
    /// An object key has 1 to 1024 bytes.
    #[error("an object key has 1 to {} bytes", ObjectKey::BYTES_MAX)]
    KeyTooLong,
    /// An empty object key.
    #[error("an object key has at least one byte")]
    KeyEmpty,
    /// Not a storage class: 1 to 64 of `A-Z 0-9 _ -`.
    #[error("the storage class name is not valid")]
    StorageClass,
}

/// A bucket's name: 3 to 63 of `a-z 0-9 . -`, by the S3 User Guide's "General purpose bucket naming rules".
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct BucketName(Box<str>);

impl BucketName {
    /// Checks `name` by S3's rules.
    ///
    /// # Errors
    /// [`NameError::Bucket`].
    pub fn new(name: &str) -> Result<Self, NameError> {
        if is_bucket_name(name) { Ok(Self(name.into())) } else { Err(NameError::Bucket) }
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn is_bucket_name(name: &str) -> bool {
    let bytes = name.as_bytes();
    let edge = |byte: Option<&u8>| byte.is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    (3..=63).contains(&bytes.len())
        && bytes.iter().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'-'))
        && edge(bytes.first())
        && edge(bytes.last())
        && !name.contains("..")
        && name.parse::<std::net::Ipv4Addr>().is_err()
        && !["xn--", "sthree-", "amzn-s3-demo-"].iter().any(|prefix| name.starts_with(prefix))
        && !["-s3alias", "--ol-s3", ".mrap", "--x-s3", "--table-s3"].iter().any(|suffix| name.ends_with(suffix))
}

impl TryFrom<String> for BucketName {
    type Error = NameError;

    fn try_from(name: String) -> Result<Self, NameError> {
        Self::new(&name)
    }
}

impl From<BucketName> for String {
    fn from(name: BucketName) -> Self {
        name.0.into()
    }
}

impl fmt::Display for BucketName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for BucketName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

/// The space in which a bucket name is unique. Today there is one, the empty one; tenants get their own later.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Namespace(pub String);

/// An object's key: 1 to 1024 bytes, any bytes, never normalised.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ObjectKey(Bytes);

impl ObjectKey {
    /// The longest key, in bytes (S3 User Guide, "Naming Amazon S3 objects").
    pub const BYTES_MAX: usize = 1024;

    /// Checks the length.
    ///
    /// # Errors
    /// [`NameError::KeyEmpty`] and [`NameError::KeyTooLong`].
    pub fn new(key: impl Into<Bytes>) -> Result<Self, NameError> {
        let key = key.into();
        match key.len() {
            0 => Err(NameError::KeyEmpty),
            1..=Self::BYTES_MAX => Ok(Self(key)),
            _ => Err(NameError::KeyTooLong),
        }
    }

    /// The key's bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.0))
    }
}

impl fmt::Debug for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", String::from_utf8_lossy(&self.0))
    }
}

/// The name of a wanted profile, as `x-amz-storage-class` gives it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct StorageClass(Box<str>);

impl StorageClass {
    /// The class of an object that names none.
    pub const STANDARD: &'static str = "STANDARD";

    /// Checks the name's form; whether it is configured is the gateway's question.
    ///
    /// # Errors
    /// [`NameError::StorageClass`].
    pub fn new(name: &str) -> Result<Self, NameError> {
        let allowed = |b: u8| b.is_ascii_uppercase() || b.is_ascii_digit() || matches!(b, b'_' | b'-');
        if (1..=64).contains(&name.len()) && name.bytes().all(allowed) {
            Ok(Self(name.into()))
        } else {
            Err(NameError::StorageClass)
        }
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for StorageClass {
    fn default() -> Self {
        Self(Self::STANDARD.into())
    }
}

impl TryFrom<String> for StorageClass {
    type Error = NameError;

    fn try_from(name: String) -> Result<Self, NameError> {
        Self::new(&name)
    }
}

impl From<StorageClass> for String {
    fn from(class: StorageClass) -> Self {
        class.0.into()
    }
}

impl fmt::Debug for StorageClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bucket_names_follow_the_user_guide() {
        for name in ["abc", "my.bucket-1", "a".repeat(63).as_str(), "1.2.3", "xn-a"] {
            assert!(BucketName::new(name).is_ok(), "{name}");
        }
        for name in ["ab", "Abc", "a_b", "-abc", "abc-", "a..b", "1.2.3.4", "xn--abc", "abc-s3alias", "a b", ""] {
            assert_eq!(BucketName::new(name), Err(NameError::Bucket), "{name}");
        }
        assert!(BucketName::new(&"a".repeat(64)).is_err());
    }

    #[test]
    fn keys_are_any_bytes_up_to_1024() {
        assert!(ObjectKey::new(vec![0xff; 1024]).is_ok());
        assert_eq!(ObjectKey::new(vec![b'a'; 1025]), Err(NameError::KeyTooLong));
        assert_eq!(ObjectKey::new(Bytes::new()), Err(NameError::KeyEmpty));
    }
}
