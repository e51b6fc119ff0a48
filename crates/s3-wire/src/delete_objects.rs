//! DeleteObjects: up to 1000 deletes in one request.

use bytes::Bytes;
use http::Response;
use types::{BucketName, ObjectKey};

use crate::answer;
use crate::body::BodyIntegrity;
use crate::conditions::{ETagList, WriteConditions};
use crate::delete_object::Deleted;
use crate::error::{ErrorCode, S3Error};
use crate::head::{RequestHead, VersionRef};
use crate::operation::LONG_XML_BYTES_MAX;
use crate::target::parse_key;
use crate::xml::{Element, XmlWriter};

/// How many objects one request may name.
pub const OBJECTS_MAX: usize = 1000;

/// Objects are to be deleted.
#[derive(Debug, Clone, PartialEq)]
pub struct DeleteObjectsRequest {
    /// The bucket.
    pub bucket: BucketName,
    /// What to delete, in order; what is refused on its own stands in its place.
    pub objects: Vec<Result<ObjectToDelete, Refused>>,
    /// Whether only what failed is answered.
    pub quiet: bool,
    /// Whether retention in governance mode may be passed over, if the caller has the right.
    pub bypass_governance: bool,
}

/// One object, or version, to delete.
#[derive(Debug, Clone, PartialEq)]
pub struct ObjectToDelete {
    /// The key.
    pub key: ObjectKey,
    /// The version to remove for good.
    pub version: Option<VersionRef>,
    /// What must hold when it is committed.
    pub conditions: WriteConditions,
}

/// An entry that was not deleted, and why.
#[derive(Debug, Clone, PartialEq)]
pub struct Refused {
    /// Its key as it was sent.
    pub key: Bytes,
    /// Its version as it was sent.
    pub version: Option<String>,
    /// Why.
    pub error: S3Error,
}

impl DeleteObjectsRequest {
    /// The body's digests, of which one must be there.
    ///
    /// # Errors
    /// `InvalidRequest` without one, and the errors of [`BodyIntegrity::parse`].
    pub fn integrity(head: &RequestHead<'_>) -> Result<BodyIntegrity, S3Error> {
        let integrity = BodyIntegrity::parse(head)?;
        if integrity.is_empty() {
            let words = "Missing required header for this request: Content-MD5 OR x-amz-checksum-*";
            return Err(S3Error::invalid_request(words));
        }
        Ok(integrity)
    }

    /// Reads the request.
    ///
    /// # Errors
    /// `MalformedXML`, also for none or more than [`OBJECTS_MAX`] objects.
    pub fn parse(head: &RequestHead<'_>, body: &[u8]) -> Result<Self, S3Error> {
        let bucket = head.bucket()?;
        let delete = Element::parse(body, LONG_XML_BYTES_MAX)?.named("Delete")?;
        let quiet = match delete.child_text("Quiet")? {
            None => false,
            Some(text) if text.eq_ignore_ascii_case("true") => true,
            Some(text) if text.eq_ignore_ascii_case("false") => false,
            Some(_) => return Err(ErrorCode::MalformedXML.into()),
        };
        let entries = delete.children().iter().filter(|child| child.name() == "Object");
        let objects: Vec<_> = entries.map(parse_object).collect::<Result<_, _>>()?;
        if objects.is_empty() || objects.len() > OBJECTS_MAX {
            return Err(ErrorCode::MalformedXML.into());
        }
        Ok(Self { bucket, objects, quiet, bypass_governance: head.bypasses_governance() })
    }
}

/// The outer error is of the document, the inner one of this entry alone.
fn parse_object(object: &Element<'_>) -> Result<Result<ObjectToDelete, Refused>, S3Error> {
    let key = object.child("Key")?.filter(|key| key.children().is_empty() && !key.text().is_empty());
    let key = Bytes::copy_from_slice(key.ok_or(ErrorCode::MalformedXML)?.text().as_bytes());
    let version = object.child_text("VersionId")?.filter(|version| !version.is_empty());
    let etag = object.child_text("ETag")?.filter(|etag| !etag.is_empty());
    let unbuilt = ["LastModifiedTime", "Size"];
    let unbuilt = unbuilt.into_iter().find(|name| object.children().iter().any(|child| child.name() == *name));
    let parse = || {
        if let Some(name) = unbuilt {
            return Err(S3Error::header_not_implemented(name));
        }
        let version = version.map(VersionRef::parse).transpose()?;
        let conditions = WriteConditions { if_match: etag.map(ETagList::parse), if_none_match: None };
        Ok(ObjectToDelete { key: parse_key(key.clone())?, version, conditions })
    };
    Ok(parse().map_err(|error| Refused { key: key.clone(), version: version.map(str::to_owned), error }))
}

/// What became of one entry.
#[derive(Debug, Clone, PartialEq)]
pub enum DeleteOutcome {
    /// It is deleted, or was not there.
    Deleted {
        /// The key.
        key: ObjectKey,
        /// The version that the entry named.
        named: Option<VersionRef>,
        /// What the delete did.
        deleted: Deleted,
    },
    /// It was not.
    Refused(Refused),
}

/// Writes the answer; `quiet` leaves out what was deleted.
pub fn answer(outcomes: &[DeleteOutcome], quiet: bool) -> Response<Bytes> {
    let mut xml = XmlWriter::with_capacity(256 + 128 * outcomes.len());
    xml.open_root("DeleteResult");
    for outcome in outcomes {
        match outcome {
            DeleteOutcome::Deleted { .. } if quiet => {}
            DeleteOutcome::Deleted { key, named, deleted } => {
                xml.open("Deleted");
                xml.text("Key", key.as_bytes());
                if let Some(named) = named {
                    xml.plain("VersionId", named);
                }
                if deleted.marker {
                    xml.flag("DeleteMarker", true);
                    if let Some(version) = deleted.version {
                        xml.plain("DeleteMarkerVersionId", version);
                    }
                }
                xml.close("Deleted");
            }
            DeleteOutcome::Refused(Refused { key, version, error }) => {
                xml.open("Error");
                xml.text("Key", key);
                if let Some(version) = version {
                    xml.text("VersionId", version);
                }
                xml.text("Code", error.code().as_str());
                xml.text("Message", error.message());
                xml.close("Error");
            }
        }
    }
    xml.close("DeleteResult");
    answer::document(xml)
}
