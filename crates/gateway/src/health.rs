//! The health pages on the S3 port: the paths that MinIO's probes ask for.

use bytes::Bytes;
use http::{HeaderValue, Method, Response, StatusCode, header};
use tokio::sync::watch;

/// Whether reads and writes work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Readiness {
    /// They do.
    Ready,
    /// They don't yet, or not now.
    NotReady {
        /// What is missing.
        reason: String,
    },
}

/// A bucket of this name could not be reached while the pages are served.
pub(crate) const RESERVED_BUCKET: &str = "minio";

/// The answer to a health probe; `None` where the request is none.
pub(crate) fn answer(method: &Method, path: &str, readiness: &watch::Receiver<Readiness>) -> Option<Response<Bytes>> {
    let page = path.strip_prefix("/minio/health/")?;
    if !matches!(*method, Method::GET | Method::HEAD) {
        return None;
    }
    let (status, text) = match page {
        "live" => (StatusCode::OK, Bytes::from_static(b"ok\n")),
        "ready" | "cluster" | "cluster/read" => match &*readiness.borrow() {
            Readiness::Ready => (StatusCode::OK, Bytes::from_static(b"ok\n")),
            Readiness::NotReady { reason } => (StatusCode::SERVICE_UNAVAILABLE, Bytes::from(format!("{reason}\n"))),
        },
        _ => return None,
    };
    let mut response = Response::new(text);
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    Some(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readiness_shows_in_the_pages_that_probe_it() {
        let (change, readiness) = watch::channel(Readiness::NotReady { reason: "no disk".to_owned() });
        let status = |path| answer(&Method::GET, path, &readiness).map(|response| response.status().as_u16());
        assert_eq!(status("/minio/health/live"), Some(200));
        assert_eq!(status("/minio/health/ready"), Some(503));
        assert_eq!(status("/minio/health/cluster"), Some(503));
        assert_eq!(status("/minio/health/other"), None);
        assert_eq!(status("/bucket/minio/health/live"), None);
        change.send(Readiness::Ready).unwrap();
        assert_eq!(status("/minio/health/ready"), Some(200));
        assert!(answer(&Method::PUT, "/minio/health/live", &readiness).is_none());
    }
}
