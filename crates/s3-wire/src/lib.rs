//! s3-wire.
