//! cairn.
fn main() {}
