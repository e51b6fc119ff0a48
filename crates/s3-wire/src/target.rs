//! What a request is aimed at: the service, a bucket or an object, from the Host and the path.
//!
//! Keys are bytes: the path is percent-decoded and never normalised. `//`, `.` and `..` are ordinary; only a path whose
//! `..` climb above the bucket is refused, as AWS does.

use bytes::Bytes;
use types::{BucketName, NameError, ObjectKey};

use crate::error::{ErrorCode, S3Error};
use crate::percent;

/// The domains under which a bucket's name is a host's first labels: `localhost` and the configured ones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BaseDomains(Vec<String>);

impl BaseDomains {
    /// `localhost` and `configured`, which are lower-cased.
    pub fn new<'a>(configured: impl IntoIterator<Item = &'a str>) -> Self {
        let domains = configured.into_iter().map(|domain| domain.trim_matches('.').to_ascii_lowercase());
        let mut domains: Vec<_> = domains.chain(["localhost".to_owned()]).filter(|domain| !domain.is_empty()).collect();
        // The longest first: where one base is a suffix of another, the more precise one decides.
        domains.sort_by_key(|domain| std::cmp::Reverse(domain.len()));
        Self(domains)
    }

    /// What stands before a base domain in `host`, a Host header's value with or without a port.
    fn bucket_of<'a>(&self, host: &'a str) -> Option<&'a str> {
        let name = host_without_port(host);
        self.0.iter().find_map(|base| {
            let split = name.len().checked_sub(base.len())?;
            let suffix = name.get(split..)?;
            if !suffix.eq_ignore_ascii_case(base) {
                return None;
            }
            // The base domain itself: `Some("")` ends the search, a shorter base must not match.
            if split == 0 { Some("") } else { name[..split].strip_suffix('.') }
        })
    }
}

fn host_without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|digit| digit.is_ascii_digit()) => name,
        _ => host,
    }
}

/// What a request is aimed at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    bucket: Option<String>,
    key: Option<Bytes>,
    virtual_host: bool,
}

impl Target {
    /// Reads `host`, the Host header's value, and `path`, the request's path as it was sent.
    ///
    /// # Errors
    /// `InvalidURI` for a broken escape, a bucket name that is not UTF-8, or `..` above the bucket.
    pub fn parse(host: Option<&str>, path: &str, bases: &BaseDomains) -> Result<Self, S3Error> {
        let path = path.strip_prefix('/').unwrap_or(path);
        let of_host = host.and_then(|host| bases.bucket_of(host)).filter(|bucket| !bucket.is_empty());
        let (bucket, rest, virtual_host) = match of_host {
            Some(bucket) => (Some(bucket.to_ascii_lowercase()), path, true),
            None => {
                let (bucket, rest) = path.split_once('/').unwrap_or((path, ""));
                let bucket = percent::decode(bucket.as_bytes(), false).ok_or(ErrorCode::InvalidURI)?;
                let bucket = String::from_utf8(bucket).map_err(|_| ErrorCode::InvalidURI)?;
                (Some(bucket).filter(|bucket| !bucket.is_empty()), rest, false)
            }
        };
        let key = percent::decode(rest.as_bytes(), false).ok_or(ErrorCode::InvalidURI)?;
        if bucket.as_deref() == Some("..") || climbs_out(&key) {
            return Err(ErrorCode::InvalidURI.into());
        }
        if bucket.is_none() && !key.is_empty() {
            // `//key`: a path without a bucket is aimed at nothing.
            return Err(ErrorCode::InvalidBucketName.into());
        }
        Ok(Self { bucket, key: Some(Bytes::from(key)).filter(|key| !key.is_empty()), virtual_host })
    }

    /// Whether it is aimed at the service, a bucket or an object.
    pub const fn level(&self) -> Level {
        match (&self.bucket, &self.key) {
            (None, _) => Level::Service,
            (Some(_), None) => Level::Bucket,
            (Some(_), Some(_)) => Level::Object,
        }
    }

    /// The bucket's name as it was written, checked or not.
    pub fn bucket_text(&self) -> Option<&str> {
        self.bucket.as_deref()
    }

    /// The key's bytes, of any length.
    pub fn key_bytes(&self) -> Option<&Bytes> {
        self.key.as_ref()
    }

    /// Whether the bucket's name came from the Host.
    pub const fn is_virtual_host(&self) -> bool {
        self.virtual_host
    }

    /// The bucket's name.
    ///
    /// # Errors
    /// `InvalidBucketName`.
    pub fn bucket(&self) -> Result<BucketName, S3Error> {
        parse_bucket_name(self.bucket.as_deref().unwrap_or_default())
    }

    /// The key.
    ///
    /// # Errors
    /// `KeyTooLongError`.
    pub fn key(&self) -> Result<ObjectKey, S3Error> {
        parse_key(self.key.clone().unwrap_or_default())
    }
}

/// What kind of thing a request is aimed at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// The service.
    Service,
    /// A bucket.
    Bucket,
    /// An object.
    Object,
}

pub(crate) fn parse_bucket_name(name: &str) -> Result<BucketName, S3Error> {
    BucketName::new(name).map_err(|_| S3Error::new(ErrorCode::InvalidBucketName).with("BucketName", name))
}

pub(crate) fn parse_key(key: Bytes) -> Result<ObjectKey, S3Error> {
    let size = key.len();
    ObjectKey::new(key).map_err(|error| match error {
        NameError::KeyTooLong => S3Error::new(ErrorCode::KeyTooLongError)
            .with("Size", size.to_string())
            .with("MaxSizeAllowed", ObjectKey::BYTES_MAX.to_string()),
        _ => S3Error::new(ErrorCode::InvalidURI),
    })
}

/// Whether the key's `..` segments climb above the bucket at any point.
fn climbs_out(key: &[u8]) -> bool {
    if !key.windows(2).any(|pair| pair == b"..") {
        return false;
    }
    let mut depth = 0_i32;
    for segment in key.split(|&byte| byte == b'/') {
        match segment {
            b".." => depth -= 1,
            b"." => {}
            _ => depth += 1,
        }
        if depth < 0 {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(host: &str, path: &str) -> Result<(Option<String>, Option<Vec<u8>>), ErrorCode> {
        let bases = BaseDomains::new(["s3.example.com", "example.com"]);
        let target = Target::parse(Some(host), path, &bases).map_err(|error| error.code())?;
        Ok((target.bucket_text().map(str::to_owned), target.key_bytes().map(|key| key.to_vec())))
    }

    fn at(bucket: &str, key: &[u8]) -> Result<(Option<String>, Option<Vec<u8>>), ErrorCode> {
        Ok((Some(bucket.to_owned()), (!key.is_empty()).then(|| key.to_vec())))
    }

    #[test]
    fn paths_name_bucket_and_key_without_being_normalised() {
        let host = "127.0.0.1:9000";
        assert_eq!(target(host, "/"), Ok((None, None)));
        assert_eq!(target(host, "/bucket"), at("bucket", b""));
        assert_eq!(target(host, "/bucket/"), at("bucket", b""));
        assert_eq!(target(host, "/bucket//a"), at("bucket", b"/a"));
        assert_eq!(target(host, "/bucket/a//b/./../c/"), at("bucket", b"a//b/./../c/"));
        assert_eq!(target(host, "/bucket/a%2Fb%20c+d%3F"), at("bucket", b"a/b c+d?"));
        assert_eq!(target(host, "/bucket/%ff%00"), at("bucket", b"\xff\x00"));
        assert_eq!(target(host, "/bucket/..a/a.."), at("bucket", b"..a/a.."));
    }

    #[test]
    fn paths_that_climb_above_the_bucket_or_have_no_meaning_are_refused() {
        let host = "127.0.0.1:9000";
        for path in ["/bucket/../x", "/bucket/a/../../x", "/bucket/%2e%2e/x", "/../x", "/bucket/a%", "/b%ffc/a"] {
            assert_eq!(target(host, path), Err(ErrorCode::InvalidURI), "{path}");
        }
        assert_eq!(target(host, "//a"), Err(ErrorCode::InvalidBucketName));
    }

    #[test]
    fn a_host_under_a_base_domain_names_the_bucket() {
        assert_eq!(target("my.bucket.localhost:9000", "/a/b"), at("my.bucket", b"a/b"));
        assert_eq!(target("Bucket.S3.Example.Com", "/"), at("bucket", b""));
        assert_eq!(target("bucket.example.com", "//x"), at("bucket", b"/x"));
        assert_eq!(target("localhost", "/bucket/x"), at("bucket", b"x"));
        assert_eq!(target("s3.example.com:80", "/bucket/x"), at("bucket", b"x"));
        assert_eq!(target("notexample.com", "/bucket/x"), at("bucket", b"x"));
        assert_eq!(target("[::1]:9000", "/bucket/x"), at("bucket", b"x"));
        assert_eq!(target("bucket.elsewhere.org", "/other/x"), at("other", b"x"));
    }

    #[test]
    fn names_and_keys_are_checked_when_asked_for() {
        let bases = BaseDomains::new([]);
        let target = Target::parse(None, &format!("/B_d/{}", "k".repeat(1025)), &bases).unwrap();
        assert_eq!(target.level(), Level::Object);
        assert_eq!(target.bucket().unwrap_err().code(), ErrorCode::InvalidBucketName);
        let error = target.key().unwrap_err();
        assert_eq!((error.code(), error.field("Size")), (ErrorCode::KeyTooLongError, Some("1025")));
    }

    proptest::proptest! {
        #[test]
        fn any_host_and_path_are_read_or_refused(host in "\\PC{0,40}", path in "\\PC{0,60}") {
            let _ = Target::parse(Some(&host), &path, &BaseDomains::new(["example.com"]));
        }
    }
}
