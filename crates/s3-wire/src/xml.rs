//! XML as S3 speaks it.

mod reader;
mod writer;

pub use reader::{DEPTH_MAX, ELEMENTS_MAX, Element};
pub use writer::XmlWriter;
