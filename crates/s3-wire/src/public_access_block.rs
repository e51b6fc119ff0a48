//! PutPublicAccessBlock and GetPublicAccessBlock: what of a bucket is never public.

use bytes::Bytes;

use crate::error::S3Error;
use crate::operation::XML_BYTES_MAX;
use crate::xml::{Element, XmlWriter, malformed};

/// The four switches of a public access block.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PublicAccess {
    /// Public ACLs may not be set.
    pub block_public_acls: bool,
    /// Those that are set grant nothing to the public.
    pub ignore_public_acls: bool,
    /// A public policy may not be set.
    pub block_public_policy: bool,
    /// One that is set allows nothing to the public.
    pub restrict_public_buckets: bool,
}

impl PublicAccess {
    /// Everything is blocked.
    pub const NONE: Self = Self {
        block_public_acls: true,
        ignore_public_acls: true,
        block_public_policy: true,
        restrict_public_buckets: true,
    };

    /// Reads the document; what it doesn't name is off.
    ///
    /// # Errors
    /// `MalformedXML`.
    pub fn parse(body: &[u8]) -> Result<Self, S3Error> {
        let document = Element::parse(body, XML_BYTES_MAX)?.named("PublicAccessBlockConfiguration")?;
        let switch = |name: &str| match document.child_text(name)? {
            None => Ok(false),
            Some(text) if text.eq_ignore_ascii_case("true") => Ok(true),
            Some(text) if text.eq_ignore_ascii_case("false") => Ok(false),
            Some(_) => Err(malformed()),
        };
        Ok(Self {
            block_public_acls: switch("BlockPublicAcls")?,
            ignore_public_acls: switch("IgnorePublicAcls")?,
            block_public_policy: switch("BlockPublicPolicy")?,
            restrict_public_buckets: switch("RestrictPublicBuckets")?,
        })
    }

    /// The document, as it is stored and answered.
    pub fn document(self) -> Bytes {
        let mut xml = XmlWriter::document();
        xml.open_root("PublicAccessBlockConfiguration");
        xml.flag("BlockPublicAcls", self.block_public_acls);
        xml.flag("IgnorePublicAcls", self.ignore_public_acls);
        xml.flag("BlockPublicPolicy", self.block_public_policy);
        xml.flag("RestrictPublicBuckets", self.restrict_public_buckets);
        xml.close("PublicAccessBlockConfiguration");
        xml.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorCode;

    #[test]
    fn switches_read_back_and_are_off_unless_named() {
        for block in [PublicAccess::default(), PublicAccess::NONE] {
            assert_eq!(PublicAccess::parse(&block.document()), Ok(block));
        }
        let one = b"<PublicAccessBlockConfiguration><BlockPublicPolicy>TRUE</BlockPublicPolicy></PublicAccessBlockConfiguration>";
        assert_eq!(PublicAccess::parse(one), Ok(PublicAccess { block_public_policy: true, ..PublicAccess::default() }));
        let broken = b"<PublicAccessBlockConfiguration><BlockPublicPolicy>maybe</BlockPublicPolicy></PublicAccessBlockConfiguration>";
        assert_eq!(PublicAccess::parse(broken).unwrap_err().code(), ErrorCode::MalformedXML);
    }
}
