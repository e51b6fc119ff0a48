//! What conditions and variables ask of a request, and who answers.
//!
//! A caller gives a [`RequestContext`], which is asked for a key only when a statement comes to it. What follows from
//! the principal and the resource (`aws:PrincipalArn`, `aws:username`, `s3:ResourceAccount` and the like) is answered
//! here, so that no caller can get it wrong.

mod applies;
mod key;
mod value;

pub(crate) use applies::applies_to;
pub use key::{Key, KeyName};
pub(crate) use key::{KeySet, OwnedKey};
pub use value::{Value, Values};

/// Answers what policies ask of a request.
pub trait RequestContext {
    /// The request's values of `key`; [`Values::Absent`] where it has none.
    ///
    /// Is called at most once a condition, and not before everything else in the statement holds. A key that depends on
    /// something that must be fetched (`s3:ExistingObjectTag/`) is only asked for if [`crate::Policies::may_ask`] says
    /// so beforehand.
    fn values(&self, key: Key<'_>) -> Values<'_>;
}

/// The context of a request of which nothing is known.
#[derive(Debug, Clone, Copy, Default)]
pub struct EmptyContext;

impl RequestContext for EmptyContext {
    fn values(&self, _: Key<'_>) -> Values<'_> {
        Values::Absent
    }
}
