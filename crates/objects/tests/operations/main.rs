//! The operations over an index in memory and disks in memory: one file an operation or subject.
//!
//! The index is `index::local::LocalIndex`, so what is decided is what `apply` decides; [`world::LossyIndex`] around it
//! loses commands and answers on demand. No test sleeps; where the code under test pauses, it pauses for real.

#![allow(clippy::unwrap_used, reason = "helpers of tests are test code, too")]

mod bucket_documents;
mod buckets;
mod copy_object;
mod delete_object;
mod get_object;
mod list_object_versions;
mod list_objects;
mod lost_answers;
mod multipart;
mod object_lock;
mod put_object;
mod put_object_tagging;
mod restripe_part;
mod versioning;
mod world;
