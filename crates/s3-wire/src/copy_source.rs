//! `x-amz-copy-source`: the object that a copy reads.

use bytes::Bytes;
use types::{BucketName, ObjectKey};

use crate::error::S3Error;
use crate::head::{RequestHead, VersionRef};
use crate::percent;

/// The object that a copy reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopySource {
    /// Its bucket.
    pub bucket: BucketName,
    /// Its key.
    pub key: ObjectKey,
    /// Its version; `None` is the newest.
    pub version: Option<VersionRef>,
}

impl CopySource {
    /// Reads the header: `bucket/key`, percent-encoded, with or without a leading `/`, and `?versionId=`.
    ///
    /// A `?` that belongs to the key is encoded; the last `?versionId=` is the one that names a version. `+` is a
    /// space, as AWS reads it.
    ///
    /// # Errors
    /// `InvalidArgument`.
    pub fn parse(head: &RequestHead<'_>) -> Result<Self, S3Error> {
        let raw = head.headers.get("x-amz-copy-source").map_or(&b""[..], |value| value.as_bytes());
        let refused = |message: &'static str| {
            S3Error::invalid_argument(message, "x-amz-copy-source", String::from_utf8_lossy(raw))
        };
        let (path, version) = split_version(raw);
        let path = percent::decode(path, true).ok_or_else(|| refused("Invalid copy source encoding"))?;
        let path = path.strip_prefix(b"/").unwrap_or(&path);
        let Some(slash) = path.iter().position(|&byte| byte == b'/').filter(|at| *at + 1 < path.len()) else {
            return Err(refused("Copy Source must mention the source bucket and key: sourcebucket/sourcekey"));
        };
        let bucket = std::str::from_utf8(&path[..slash]).ok().and_then(|name| BucketName::new(name).ok());
        let key = ObjectKey::new(Bytes::copy_from_slice(&path[slash + 1..]));
        let version = match version {
            Some(version) => {
                let text = percent::decode(version, false).and_then(|text| String::from_utf8(text).ok());
                Some(VersionRef::parse(&text.ok_or_else(|| refused("Invalid copy source encoding"))?)?)
            }
            None => None,
        };
        Ok(Self {
            bucket: bucket.ok_or_else(|| refused("Invalid copy source bucket name"))?,
            key: key.map_err(|_| refused("Invalid copy source object key"))?,
            version,
        })
    }
}

fn split_version(raw: &[u8]) -> (&[u8], Option<&[u8]>) {
    const MARK: &[u8] = b"?versionId=";
    match raw.windows(MARK.len()).rposition(|window| window == MARK) {
        Some(at) => (&raw[..at], Some(&raw[at + MARK.len()..])),
        None => (raw, None),
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderValue, Method};
    use types::{CommitStamp, VersionId};

    use super::*;
    use crate::{BaseDomains, Query, Target};

    fn parse(source: &[u8]) -> Result<(String, Vec<u8>, Option<VersionRef>), String> {
        let headers: HeaderMap =
            [("x-amz-copy-source".parse().unwrap(), HeaderValue::from_bytes(source).unwrap())].into_iter().collect();
        let target = Target::parse(None, "/bucket/key", &BaseDomains::new([])).unwrap();
        let query = Query::default();
        CopySource::parse(&RequestHead { method: &Method::PUT, target: &target, query: &query, headers: &headers })
            .map(|source| (source.bucket.to_string(), source.key.as_bytes().to_vec(), source.version))
            .map_err(|error| error.message().to_owned())
    }

    #[test]
    fn sources_are_decoded_once_and_versions_cut_off() {
        let id = VersionId { stamp: CommitStamp(1), random: 2 };
        let at = |key: &[u8], version| Ok(("source".to_owned(), key.to_vec(), version));
        assert_eq!(parse(b"source/a/b"), at(b"a/b", None));
        assert_eq!(parse(b"/source//a"), at(b"/a", None));
        assert_eq!(parse(b"source%2Fa%252Fb"), at(b"a%2Fb", None));
        assert_eq!(parse(b"source/a+b%2Bc%20d"), at(b"a b+c d", None));
        assert_eq!(parse(b"source/a?versionId=null"), at(b"a", Some(VersionRef::Null)));
        assert_eq!(parse(format!("source/a?versionId={id}").as_bytes()), at(b"a", Some(VersionRef::Id(id))));
        assert_eq!(parse(b"source/a%3FversionId=x"), at(b"a?versionId=x", None));
        assert_eq!(parse(b"source/a?versionId=b?versionId=null"), at(b"a?versionId=b", Some(VersionRef::Null)));
        assert_eq!(parse(b"source/\xff"), at(b"\xff", None));
    }

    #[test]
    fn broken_sources_are_refused_in_aws_words() {
        let mention = "Copy Source must mention the source bucket and key: sourcebucket/sourcekey";
        for source in ["", "/", "source", "source/", "/source"] {
            assert_eq!(parse(source.as_bytes()), Err(mention.to_owned()), "{source}");
        }
        assert_eq!(parse(b"So/key"), Err("Invalid copy source bucket name".to_owned()));
        assert_eq!(parse(b"source/%zz"), Err("Invalid copy source encoding".to_owned()));
        let long = format!("source/{}", "k".repeat(1025));
        assert_eq!(parse(long.as_bytes()), Err("Invalid copy source object key".to_owned()));
        assert_eq!(parse(b"source/a?versionId=7"), Err("Invalid version id specified".to_owned()));
    }
}
