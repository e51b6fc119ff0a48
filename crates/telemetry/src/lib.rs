//! Spans, field names and metric handles: how Cairn says what it does.
//!
//! Log lines go to stderr, as JSON where that is no terminal. Field names are those of [`fields`], so that a request
//! can be followed from gateway to disk. Metrics are named in [`metric`] and rendered by [`Metrics`]; their labels are
//! bounded sets (operation names, disk ids), never keys or buckets. This crate knows nothing of what it reports on.

mod causes;
pub mod fields;
pub mod logging;
pub mod metric;
mod request;

pub use causes::with_causes;
pub use logging::{LogFormat, LoggingError, init_logging};
pub use metric::{Metrics, MetricsError};
pub use request::{RequestName, carried};
