//! The S3 request that work is done for: its name is in each log line that the work writes, on whatever machine.
//!
//! A gateway sets it where it answers; `rpc` carries it to nodes. Work that is done for many requests at once, such as
//! a batch of commands or the sync of a disk, has none.

use std::fmt;
use std::future::Future;

tokio::task_local! {
    static CURRENT: RequestName;
}

/// What `x-amz-request-id` shows as 16 upper-case hex digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestName(pub u64);

impl fmt::Display for RequestName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016X}", self.0)
    }
}

impl RequestName {
    /// The request that this task works for now.
    pub fn current() -> Option<Self> {
        CURRENT.try_with(|name| *name).ok()
    }

    /// `work`, done for this request.
    pub fn scope<F: Future>(self, work: F) -> impl Future<Output = F::Output> {
        CURRENT.scope(self, work)
    }

    /// Runs `work` for this request.
    pub fn sync_scope<T>(self, work: impl FnOnce() -> T) -> T {
        CURRENT.sync_scope(self, work)
    }
}

/// `work`, for whichever request this is called for: what is handed to another task keeps its name.
pub async fn carried<F: Future>(name: Option<RequestName>, work: F) -> F::Output {
    match name {
        Some(name) => name.scope(work).await,
        None => work.await,
    }
}
