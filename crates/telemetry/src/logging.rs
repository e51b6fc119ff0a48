//! Log lines on stderr.

use std::fmt;
use std::io::IsTerminal;
use std::str::FromStr;

use tracing::{Event, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, SubscriberBuilder};
use tracing_subscriber::registry::LookupSpan;

use crate::fields::REQUEST_ID;
use crate::request::RequestName;

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
    let started = if json {
        let named = |format| Named { format, json: true };
        builder.json().flatten_event(true).map_event_format(named).try_init()
    } else {
        builder.map_event_format(|format| Named { format: format.with_ansi(is_terminal), json: false }).try_init()
    };
    started.map_err(|_| LoggingError::Started)
}

/// Lines of `format`, with the name of the request that the work is done for at their end.
struct Named<F> {
    format: F,
    json: bool,
}

impl<S, N, F> FormatEvent<S, N> for Named<F>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
    F: FormatEvent<S, N>,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let Some(name) = RequestName::current() else { return self.format.format_event(context, writer, event) };
        let mut line = String::new();
        self.format.format_event(context, Writer::new(&mut line), event)?;
        let line = line.trim_end();
        match line.strip_suffix('}') {
            Some(open) if self.json => writeln!(writer, "{open},\"{REQUEST_ID}\":\"{name}\"}}"),
            _ => writeln!(writer, "{line} {REQUEST_ID}={name}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().expect("not poisoned").extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    /// What two events write, of which the second belongs to a request.
    fn written(json: bool) -> String {
        let lines = Lines::default();
        let writer = lines.clone();
        let builder = SubscriberBuilder::default().with_writer(move || writer.clone());
        let log = || {
            tracing::warn!(disk = 3, "nobody's");
            RequestName(0xAB).sync_scope(|| tracing::warn!(disk = 4, "a request's"));
        };
        if json {
            let subscriber = builder.json().flatten_event(true).map_event_format(|format| Named { format, json });
            tracing::subscriber::with_default(subscriber.finish(), log);
        } else {
            let subscriber = builder.map_event_format(|format| Named { format: format.with_ansi(false), json });
            tracing::subscriber::with_default(subscriber.finish(), log);
        }
        let bytes = lines.0.lock().expect("not poisoned").clone();
        String::from_utf8(bytes).expect("text")
    }

    #[test]
    fn lines_of_work_for_a_request_end_with_its_name() {
        for (json, end) in [
            (true, "\"disk\":4,\"target\":\"telemetry::logging::tests\",\"request_id\":\"00000000000000AB\"}"),
            (false, "disk=4 request_id=00000000000000AB"),
        ] {
            let text = written(json);
            let [nobodys, a_requests] = text.lines().collect::<Vec<_>>()[..] else { panic!("two lines: {text}") };
            assert!(!nobodys.contains(REQUEST_ID), "{nobodys}");
            assert!(a_requests.ends_with(end), "{a_requests}");
        }
    }
}
