//! May this principal do this? A decision and its reason.
//!
//! Pure: no I/O, no clock. Every request passes [`authorize`] from the first day on, though the root account is the
//! only principal with rights today; users, groups and policies later change what stands behind the question and not
//! where it is asked. This crate doesn't know who signed a request (`sigv4`) or what the answer looks like
//! (`s3-wire`).

mod action;
mod decision;
mod resource;

pub use action::Action;
pub use decision::{Decision, Principal, Reason, authorize};
pub use resource::Resource;
