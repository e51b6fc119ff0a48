//! Log lines on stderr.

use std::io::IsTerminal;
use std::str::FromStr;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::SubscriberBuilder;

/// How log lines look.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// Text on a terminal, JSON elsewhere.
    #[default]
    Auto,
    /// One line of text an event.
    Text,
    /// One JSON object an event.
    Json,
}

impl FromStr for LogFormat {
    type Err = LoggingError;

    fn from_str(name: &str) -> Result<Self, LoggingError> {
        match name {
            "auto" => Ok(Self::Auto),
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            _ => Err(LoggingError::Format(name.to_owned())),
        }
    }
}

/// Why logging did not start.
#[derive(Debug, thiserror::Error)]
pub enum LoggingError {
    /// Not a format.
    #[error("{0:?} is no log format: auto, text or json are")]
    Format(String),
    /// Not a filter.
    #[error("the log filter {filter:?} is not valid; write a level like info, or target=level pairs")]
    Filter {
        /// What was given.
        filter: String,
        /// Why it isn't one.
        #[source]
        source: tracing_subscriber::filter::ParseError,
    },
    /// Logging was started before in this process.
    #[error("logging is started already")]
    Started,
}

/// Starts logging for this process: events that `filter` (`tracing_subscriber::EnvFilter`'s syntax) lets through, on
/// stderr.
///
/// # Errors
/// [`LoggingError::Filter`], [`LoggingError::Started`].
pub fn init_logging(filter: &str, format: LogFormat) -> Result<(), LoggingError> {
    let parsed =
        EnvFilter::try_new(filter).map_err(|source| LoggingError::Filter { filter: filter.to_owned(), source })?;
    let is_terminal = std::io::stderr().is_terminal();
    let json = match format {
        LogFormat::Auto => !is_terminal,
        LogFormat::Text => false,
        LogFormat::Json => true,
    };
    let builder = SubscriberBuilder::default().with_env_filter(parsed).with_writer(std::io::stderr);
    let started =
        if json { builder.json().flatten_event(true).try_init() } else { builder.with_ansi(is_terminal).try_init() };
    started.map_err(|_| LoggingError::Started)
}
