//! XML as S3 speaks it.

mod reader;
mod writer;

pub(crate) use reader::malformed;
pub use reader::{DEPTH_MAX, ELEMENTS_MAX, Element};
pub use writer::XmlWriter;
