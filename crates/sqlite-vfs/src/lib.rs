//! sqlite-vfs.
