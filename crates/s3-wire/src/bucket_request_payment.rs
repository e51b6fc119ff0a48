//! PutBucketRequestPayment and GetBucketRequestPayment: who pays for requests. It is stored and told; nobody is billed.

use bytes::Bytes;

use crate::error::S3Error;
use crate::operation::XML_BYTES_MAX;
use crate::xml::{Element, XmlWriter, malformed};

/// Who pays for requests to a bucket.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Payer {
    /// Its owner.
    #[default]
    BucketOwner,
    /// Whoever sends them.
    Requester,
}

impl Payer {
    /// Reads the document.
    ///
    /// # Errors
    /// `MalformedXML`.
    pub fn parse(body: &[u8]) -> Result<Self, S3Error> {
        let document = Element::parse(body, XML_BYTES_MAX)?.named("RequestPaymentConfiguration")?;
        match document.child_text("Payer")? {
            Some("BucketOwner") => Ok(Self::BucketOwner),
            Some("Requester") => Ok(Self::Requester),
            _ => Err(malformed()),
        }
    }

    /// The document, as it is stored and answered.
    pub fn document(self) -> Bytes {
        let mut xml = XmlWriter::document();
        xml.open_root("RequestPaymentConfiguration");
        xml.raw(match self {
            Self::BucketOwner => "<Payer>BucketOwner</Payer>",
            Self::Requester => "<Payer>Requester</Payer>",
        });
        xml.close("RequestPaymentConfiguration");
        xml.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorCode;

    #[test]
    fn a_payer_reads_back_and_others_are_malformed() {
        for payer in [Payer::BucketOwner, Payer::Requester] {
            assert_eq!(Payer::parse(&payer.document()), Ok(payer));
        }
        for content in ["", "<Payer/>", "<Payer>requester</Payer>", "<Payer>Requester</Payer><Payer>Requester</Payer>"]
        {
            let document = format!("<RequestPaymentConfiguration>{content}</RequestPaymentConfiguration>");
            assert_eq!(Payer::parse(document.as_bytes()).unwrap_err().code(), ErrorCode::MalformedXML, "{content}");
        }
    }
}
