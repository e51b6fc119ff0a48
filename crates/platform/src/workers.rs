//! Threads for work that would block the reactor: hashing, coding, file reads.

/// A fixed set of threads that take jobs in order.
#[derive(Debug, Clone)]
pub struct Workers {}

impl Workers {
    /// Starts `threads` threads named `name`.
    pub fn new(name: &str, threads: usize) -> Self {
        todo!()
    }

    /// Runs `job` on a worker; the answer comes back without blocking the caller's thread.
    pub async fn run<T: Send + 'static>(&self, job: impl FnOnce() -> T + Send + 'static) -> T {
        todo!()
    }

    /// Gives `job` to a worker and does not wait.
    pub fn spawn(&self, job: impl FnOnce() + Send + 'static) {
        todo!()
    }
}
