//! PutBucketAccelerateConfiguration and GetBucketAccelerateConfiguration: it is stored and told, and changes nothing.

use bytes::Bytes;
use types::BucketName;

use crate::error::S3Error;
use crate::operation::XML_BYTES_MAX;
use crate::xml::{Element, XmlWriter, malformed};

/// Whether transfers are said to be accelerated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Acceleration {
    /// They are.
    Enabled,
    /// They no longer are.
    Suspended,
}

impl Acceleration {
    /// Reads the document.
    ///
    /// # Errors
    /// `MalformedXML`; `InvalidRequest` for a bucket whose name no accelerated endpoint could have.
    pub fn parse(body: &[u8], bucket: &BucketName) -> Result<Self, S3Error> {
        if bucket.as_str().contains('.') {
            return Err(S3Error::invalid_request(
                "S3 Transfer Acceleration is not supported for buckets with periods (.) in their names",
            ));
        }
        let document = Element::parse(body, XML_BYTES_MAX)?.named("AccelerateConfiguration")?;
        match document.child_text("Status")? {
            Some("Enabled") => Ok(Self::Enabled),
            Some("Suspended") => Ok(Self::Suspended),
            _ => Err(malformed()),
        }
    }

    /// The document, as it is stored and answered.
    pub fn document(self) -> Bytes {
        let mut xml = XmlWriter::document();
        xml.open_root("AccelerateConfiguration");
        xml.raw(match self {
            Self::Enabled => "<Status>Enabled</Status>",
            Self::Suspended => "<Status>Suspended</Status>",
        });
        xml.close("AccelerateConfiguration");
        xml.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorCode;

    #[test]
    fn a_status_reads_back_and_others_are_malformed() {
        let bucket = BucketName::new("bucket").unwrap();
        for status in [Acceleration::Enabled, Acceleration::Suspended] {
            assert_eq!(Acceleration::parse(&status.document(), &bucket), Ok(status));
        }
        for content in ["", "<Status/>", "<Status>enabled</Status>"] {
            let document = format!("<AccelerateConfiguration>{content}</AccelerateConfiguration>");
            let error = Acceleration::parse(document.as_bytes(), &bucket).unwrap_err();
            assert_eq!(error.code(), ErrorCode::MalformedXML, "{content}");
        }
        let dotted = BucketName::new("bucket.dotted").unwrap();
        let error = Acceleration::parse(&Acceleration::Enabled.document(), &dotted).unwrap_err();
        assert_eq!(error.code(), ErrorCode::InvalidRequest);
    }
}
