//! Identities over the index: what a gateway knows of an access key, and how accounts, users, groups, keys and policies
//! are made, shown and removed.
//!
//! The index decides what is free and what hangs on what; this crate checks names and reads policies before it asks, and
//! makes what must not be guessed. It knows no HTTP: the admin API and IAM's Query API are on top of it. Whether
//! somebody may do something is `authz`'s to say.

pub mod built_in;
mod error;
mod identities;
mod keys;
mod known_policies;
mod letters;
mod names;

pub use error::IamError;
pub use identities::{Identities, NewAccessKey, NewAccount, NewIdentity};
pub use keys::{KEPT, KeyIdentity, KnownKeys};
pub use letters::{ACCESS_KEY_LETTERS, SECRET_KEY_LETTERS, letters};
