//! Live requests: as JSON, a line each, and as people read them.

use std::fmt::Write as _;
use std::time::Duration;

use gateway::{TraceFeed, Traced};
use serde::{Deserialize, Serialize};
use types::Timestamp;

/// A line of `GET /v1/trace`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TraceLine {
    /// A request has ended.
    Request(ShownRequest),
    /// So many ended unseen: they came faster than they were read.
    Missed(u64),
    /// Nothing has ended for a while.
    Quiet,
}

/// A request that has ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ShownRequest {
    /// When it ended, in microseconds since 1970.
    pub ended_us: u64,
    /// `x-amz-request-id` of its answer.
    pub request_id: String,
    /// The client's address.
    pub peer: String,
    /// The HTTP method.
    pub method: String,
    /// The path as it was sent.
    pub path: String,
    /// S3's name of the operation; `Other` for what is none.
    pub operation: String,
    /// The HTTP status of its answer.
    pub status: u16,
    /// Bytes of its body.
    pub received_bytes: u64,
    /// Bytes of its answer's body.
    pub sent_bytes: u64,
    /// Microseconds from its head to the last byte of its answer.
    pub took_us: u64,
    /// Whether all of the answer was handed over.
    pub is_complete: bool,
}

/// How long nothing is said where nothing happens: then a line tells, so that a reader who is gone is noticed.
const QUIET: Duration = Duration::from_secs(10);

/// The next line of a feed; `None` once its gateway is gone.
pub(crate) async fn next_line(feed: &mut TraceFeed) -> Option<TraceLine> {
    let Ok(next) = tokio::time::timeout(QUIET, feed.next()).await else { return Some(TraceLine::Quiet) };
    Some(match next? {
        Traced::Missed(missed) => TraceLine::Missed(missed),
        Traced::Request(request) => TraceLine::Request(ShownRequest {
            ended_us: request.ended.0,
            request_id: request.request_id.clone(),
            peer: request.peer.to_string(),
            method: request.method.clone(),
            path: request.path.clone(),
            operation: request.operation.to_owned(),
            status: request.status,
            received_bytes: request.received_bytes,
            sent_bytes: request.sent_bytes,
            took_us: u64::try_from(request.took.as_micros()).unwrap_or(u64::MAX),
            is_complete: request.is_complete,
        }),
    })
}

impl ShownRequest {
    /// One line for people: time, id, status, operation, how long, bytes in and out, client, path.
    pub(crate) fn line(&self) -> String {
        let mut line = String::new();
        let broken = if self.is_complete { "" } else { "  (broken off)" };
        let milliseconds = self.took_us as f64 / 1000.0;
        let (received, sent) = (self.received_bytes, self.sent_bytes);
        write!(
            line,
            "{}  {}  {}  {:<24} {milliseconds:>10.2} ms  {received:>10} in {sent:>10} out  {}  {} {}{broken}",
            time_of_day(Timestamp(self.ended_us)),
            self.request_id,
            self.status,
            self.operation,
            self.peer,
            self.method,
            self.path,
        )
        .expect("a string takes all text");
        line
    }
}

/// Hours, minutes, seconds and milliseconds in UTC.
fn time_of_day(at: Timestamp) -> String {
    let (seconds, milliseconds) = (at.seconds() % 86_400, at.0 / 1000 % 1000);
    format!("{:02}:{:02}:{:02}.{milliseconds:03}Z", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

/// Which requests are shown.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct TraceFilter {
    /// Only requests that were refused or failed
    #[arg(long)]
    pub errors: bool,
    /// Only requests that took at least so many milliseconds
    #[arg(long, value_name = "MS")]
    pub slow: Option<u64>,
    /// Only this operation, by S3's name, as in GetObject
    #[arg(long, value_name = "NAME")]
    pub operation: Option<String>,
    /// Only this bucket, by path
    #[arg(long, value_name = "NAME")]
    pub bucket: Option<String>,
}

impl TraceFilter {
    pub(crate) fn shows(&self, request: &ShownRequest) -> bool {
        let of_bucket = |bucket: &String| request.path.trim_start_matches('/').split('/').next() == Some(bucket);
        (!self.errors || request.status >= 400 || !request.is_complete)
            && self.slow.is_none_or(|slow| request.took_us / 1000 >= slow)
            && self.operation.as_ref().is_none_or(|name| request.operation.eq_ignore_ascii_case(name))
            && self.bucket.as_ref().is_none_or(of_bucket)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request() -> ShownRequest {
        ShownRequest {
            ended_us: 1_700_000_000_123_456,
            request_id: "0123456789ABCDEF".to_owned(),
            peer: "127.0.0.1:4000".to_owned(),
            method: "PUT".to_owned(),
            path: "/photos/a%20cat".to_owned(),
            operation: "PutObject".to_owned(),
            status: 200,
            received_bytes: 5,
            sent_bytes: 0,
            took_us: 1234,
            is_complete: true,
        }
    }

    #[test]
    fn a_line_tells_when_who_what_and_how_long() {
        let line = request().line();
        for part in ["22:13:20.123Z", "0123456789ABCDEF", " 200 ", "PutObject", "1.23 ms", "PUT /photos/a%20cat"] {
            assert!(line.contains(part), "{line} has {part}");
        }
    }

    #[test]
    fn filters_leave_out_what_was_not_asked_for() {
        let shown = |filter: TraceFilter| filter.shows(&request());
        assert!(shown(TraceFilter::default()));
        assert!(!shown(TraceFilter { errors: true, ..TraceFilter::default() }));
        assert!(shown(TraceFilter { slow: Some(1), ..TraceFilter::default() }));
        assert!(!shown(TraceFilter { slow: Some(2), ..TraceFilter::default() }));
        assert!(shown(TraceFilter { operation: Some("putobject".to_owned()), ..TraceFilter::default() }));
        assert!(!shown(TraceFilter { operation: Some("GetObject".to_owned()), ..TraceFilter::default() }));
        assert!(shown(TraceFilter { bucket: Some("photos".to_owned()), ..TraceFilter::default() }));
        assert!(!shown(TraceFilter { bucket: Some("photo".to_owned()), ..TraceFilter::default() }));
        assert!(
            TraceFilter { errors: true, ..TraceFilter::default() }.shows(&ShownRequest { status: 404, ..request() })
        );
    }

    #[test]
    fn lines_are_read_as_they_were_written() {
        for line in [TraceLine::Request(request()), TraceLine::Missed(7), TraceLine::Quiet] {
            let text = serde_json::to_string(&line).expect("plain data is JSON");
            assert!(!text.contains('\n'));
            assert_eq!(serde_json::from_str::<TraceLine>(&text).expect("it is read"), line);
        }
    }
}
