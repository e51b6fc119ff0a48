//! What S3 says of an object that is not there.

use super::{Policies, decide};
use crate::action::Action;
use crate::context::{Key, KeyName, RequestContext, Values};
use crate::evaluation::Request;
use crate::resource::Resource;

/// What is to be said of an object that is not there (S3 API Reference, "GetObject": permissions).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Absence {
    /// 404 `NoSuchKey`: who asks may list it.
    NotFound,
    /// 403 `AccessDenied`: whoever may not list learns nothing.
    Denied,
}

/// Says what an allowed request for a missing object is answered: whether who asks may list the bucket, with the key
/// for a prefix.
pub fn decide_absence<'a>(request: &Request<'a>, policies: &Policies<'a>) -> Absence {
    let Resource::Object { bucket, key } = request.resource else { return Absence::Denied };
    let context = ListedKey { key: key.as_bytes(), context: request.context };
    let listing =
        Request { action: Action::ListBucket, resource: Resource::Bucket(bucket), context: &context, ..*request };
    if decide(&listing, policies).allowed { Absence::NotFound } else { Absence::Denied }
}

/// The context of a listing of one key.
struct ListedKey<'a> {
    key: &'a [u8],
    context: &'a dyn RequestContext,
}

impl RequestContext for ListedKey<'_> {
    fn values(&self, key: Key<'_>) -> Values<'_> {
        match key.name {
            KeyName::Prefix => Values::One(self.key.into()),
            _ => self.context.values(key),
        }
    }
}
