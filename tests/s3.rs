//! Every S3 operation through the AWS SDK for Rust, one file for an operation, named as on the other floors.

mod put_object;
