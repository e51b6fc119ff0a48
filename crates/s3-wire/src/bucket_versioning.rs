//! PutBucketVersioning and GetBucketVersioning.

use bytes::Bytes;
use http::{Response, StatusCode};
use types::{BucketName, Versioning};

use crate::answer;
use crate::error::{ErrorCode, S3Error};
use crate::head::RequestHead;
use crate::operation::XML_BYTES_MAX;
use crate::xml::{Element, XmlWriter};

/// A bucket's versioning is to be set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PutBucketVersioningRequest {
    /// The bucket.
    pub bucket: BucketName,
    /// Enabled or suspended.
    pub versioning: Versioning,
}

impl PutBucketVersioningRequest {
    /// Reads the request.
    ///
    /// # Errors
    /// `MalformedXML`, `IllegalVersioningConfigurationException`; `AccessDenied` where MFA delete would be switched on.
    pub fn parse(head: &RequestHead<'_>, body: &[u8]) -> Result<Self, S3Error> {
        let bucket = head.bucket()?;
        let configuration = Element::parse(body, XML_BYTES_MAX)?.named("VersioningConfiguration")?;
        let versioning = match configuration.child_text("Status")? {
            Some("Enabled") => Versioning::Enabled,
            Some("Suspended") => Versioning::Suspended,
            Some(_) => return Err(ErrorCode::MalformedXML.into()),
            None => {
                return Err(S3Error::new(ErrorCode::IllegalVersioningConfigurationException)
                    .with_message("The Versioning element must be specified"));
            }
        };
        match configuration.child_text("MfaDelete")? {
            None | Some("Disabled") => Ok(Self { bucket, versioning }),
            Some("Enabled") => {
                Err(S3Error::new(ErrorCode::AccessDenied)
                    .with_message("Mfa Authentication must be used for this request"))
            }
            Some(_) => Err(ErrorCode::MalformedXML.into()),
        }
    }
}

/// The versioning is set.
pub fn put_answer() -> Response<Bytes> {
    answer::empty(StatusCode::OK)
}

/// The versioning of a bucket; one that was never versioned has no status.
pub fn get_answer(versioning: Versioning) -> Response<Bytes> {
    let mut xml = XmlWriter::document();
    xml.open_root("VersioningConfiguration");
    match versioning {
        Versioning::Off => {}
        Versioning::Enabled => xml.text("Status", "Enabled"),
        Versioning::Suspended => xml.text("Status", "Suspended"),
    }
    xml.close("VersioningConfiguration");
    answer::document(xml)
}
