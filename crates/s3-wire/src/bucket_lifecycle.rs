//! PutBucketLifecycleConfiguration and GetBucketLifecycleConfiguration: what becomes of a bucket's objects with time.
//!
//! What the rules say of an object is [`crate::lifecycle`]'s matter. Sources: the S3 API reference, "LifecycleRule", and
//! the S3 User Guide, "Lifecycle configuration elements"; where the service's own answers differ from them, those.

mod read;
#[cfg(test)]
mod tests;
mod write;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response};
use types::{StorageClass, Timestamp};

use crate::answer;
use crate::bucket_document::get_answer;
use crate::error::S3Error;
use crate::head::RequestHead;
use crate::xml::Element;

/// How many rules a bucket may have.
pub const LIFECYCLE_RULES_MAX: usize = 1000;

/// The header that says up to which size objects are left where they are.
const MINIMUM_SIZE: &str = "x-amz-transition-default-minimum-object-size";

/// A bucket's rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LifecycleConfiguration {
    /// At least one.
    pub rules: Vec<LifecycleRule>,
    /// Which objects are too small to be moved to another storage class.
    pub minimum_size: MinimumSize,
}

/// Which objects no rule moves to another storage class, unless it has bounds of size itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum MinimumSize {
    /// What each class asks for: no class of this store asks for any.
    #[default]
    VariesByStorageClass,
    /// Objects below 128 KiB are not moved.
    AllStorageClasses128K,
}

/// One rule.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LifecycleRule {
    /// What its maker calls it, or what it was called for them. No two rules have the same.
    pub id: String,
    /// Whether it is in force.
    pub enabled: bool,
    /// Which objects it is about.
    pub filter: Filter,
    /// What becomes of newest versions.
    pub expiration: Option<Expiration>,
    /// Where newest versions go.
    pub transitions: Vec<Transition>,
    /// When other versions are removed.
    pub noncurrent_expiration: Option<NoncurrentExpiration>,
    /// Where other versions go.
    pub noncurrent_transitions: Vec<NoncurrentTransition>,
    /// After how many days an upload that was not completed is ended.
    pub abort_uploads_after_days: Option<u32>,
}

/// Which objects a rule is about: those for which all that is named holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// How it was written, so that it is answered so.
    pub form: FilterForm,
    /// Keys begin so.
    pub prefix: Option<String>,
    /// Objects have these tags.
    pub tags: Vec<(String, String)>,
    /// They have more bytes than this.
    pub larger_than: Option<u64>,
    /// They have fewer bytes than this.
    pub smaller_than: Option<u64>,
}

/// How a filter is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum FilterForm {
    /// `Prefix` in the rule itself, as before there were filters.
    Legacy,
    /// `Filter` with one predicate, or none.
    #[default]
    Single,
    /// `Filter` with `And`.
    And,
}

/// When newest versions expire. In a bucket with versions they get a delete marker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expiration {
    /// So many days after they were made.
    Days(u32),
    /// From this midnight on.
    Date(Timestamp),
    /// Never; but a delete marker that is all that is left of a key is removed, if `true`.
    ExpiredMarkers(bool),
}

/// When newest versions go to another storage class.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transition {
    /// When.
    pub at: TransitionTime,
    /// Where.
    pub class: StorageClass,
}

/// When a newest version is to be moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TransitionTime {
    /// So many days after it was made.
    Days(u32),
    /// From this midnight on.
    Date(Timestamp),
}

/// When versions that are not the newest are removed for good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoncurrentExpiration {
    /// So many days after a newer one came.
    pub days: u32,
    /// So many of the newest of them stay.
    pub newer: Option<u32>,
}

/// When versions that are not the newest go to another storage class.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoncurrentTransition {
    /// So many days after a newer one came.
    pub days: u32,
    /// So many of the newest of them stay.
    pub newer: Option<u32>,
    /// Where.
    pub class: StorageClass,
}

impl MinimumSize {
    const ALL: [Self; 2] = [Self::VariesByStorageClass, Self::AllStorageClasses128K];

    /// AWS's name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::VariesByStorageClass => "varies_by_storage_class",
            Self::AllStorageClasses128K => "all_storage_classes_128K",
        }
    }

    /// What a PUT asks for.
    ///
    /// # Errors
    /// `InvalidArgument` for another value.
    pub fn of_request(head: &RequestHead<'_>) -> Result<Self, S3Error> {
        let Some(text) = head.header(MINIMUM_SIZE)? else { return Ok(Self::default()) };
        let known = Self::ALL.into_iter().find(|known| known.as_str() == text);
        known.ok_or_else(|| S3Error::invalid_argument("Invalid Argument", MINIMUM_SIZE, text))
    }

    fn set(self, headers: &mut HeaderMap) {
        headers.insert(MINIMUM_SIZE, HeaderValue::from_static(self.as_str()));
    }
}

impl LifecycleConfiguration {
    /// Which storage classes the rules move objects to.
    pub fn classes(&self) -> impl Iterator<Item = &StorageClass> {
        self.rules.iter().flat_map(|rule| {
            let newest = rule.transitions.iter().map(|transition| &transition.class);
            newest.chain(rule.noncurrent_transitions.iter().map(|transition| &transition.class))
        })
    }

    /// Gives each rule that has no id one, made of what the rule says and of its place among the others.
    pub fn name_rules(&mut self, random: [u8; 16]) {
        let base = u128::from_be_bytes(random);
        for (at, rule) in self.rules.iter_mut().enumerate() {
            if rule.id.is_empty() {
                rule.id = hex::encode(base.wrapping_add(at as u128).to_be_bytes());
            }
        }
    }

    /// What reading answers, out of what is stored.
    ///
    /// # Errors
    /// `MalformedXML` for what is no such document.
    pub fn get_answer(stored: &[u8]) -> Result<Response<Bytes>, S3Error> {
        let read = Self::parse_stored(stored)?;
        let mut response = get_answer(read.document());
        read.minimum_size.set(response.headers_mut());
        Ok(response)
    }

    /// The rules are set.
    pub fn put_answer(&self) -> Response<Bytes> {
        let mut response = answer::empty(http::StatusCode::OK);
        self.minimum_size.set(response.headers_mut());
        response
    }

    /// Reads what [`LifecycleConfiguration::stored`] wrote.
    ///
    /// # Errors
    /// `MalformedXML`, and others of [`LifecycleConfiguration::parse`].
    pub fn parse_stored(document: &[u8]) -> Result<Self, S3Error> {
        Self::read(&Element::parse(document, usize::MAX)?, read::Filters::Strict)
    }
}
