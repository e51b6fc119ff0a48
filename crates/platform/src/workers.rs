//! Threads for work that would block the reactor: hashing, coding, file reads.

use std::fmt;
use std::panic::{self, AssertUnwindSafe};

use crossbeam_channel::{Receiver, Sender};
use tokio::sync::oneshot;

use crate::threads;

type Job = Box<dyn FnOnce() + Send>;

/// A fixed set of threads that take jobs in order.
///
/// The threads end after the jobs already given, once the last handle is dropped.
#[derive(Clone)]
pub struct Workers {
    jobs: Sender<Job>,
}

impl Workers {
    /// Starts `threads` threads (at least one) named `name`.
    ///
    /// # Panics
    /// Where the operating system gives no thread; without them nothing can be served.
    pub fn new(name: &str, threads: usize) -> Self {
        let (jobs, waiting) = crossbeam_channel::unbounded::<Job>();
        for _ in 0..threads.max(1) {
            let waiting = waiting.clone();
            threads::spawn(name, move || work(&waiting)).expect("the operating system starts a thread");
        }
        Self { jobs }
    }

    /// Runs `job` on a worker; the answer comes back without blocking the caller's thread.
    ///
    /// The job is given when this is first polled, and is done even if the caller then goes away.
    ///
    /// # Panics
    /// With what `job` panicked with.
    pub async fn run<T: Send + 'static>(&self, job: impl FnOnce() -> T + Send + 'static) -> T {
        let (answer, waiting) = oneshot::channel();
        self.give(Box::new(move || {
            let outcome = panic::catch_unwind(AssertUnwindSafe(job));
            if answer.send(outcome).is_err_and(|outcome| outcome.is_err()) {
                tracing::error!("a job panicked whose caller had gone away");
            }
        }));
        match waiting.await.expect("a worker answers each job") {
            Ok(value) => value,
            Err(payload) => panic::resume_unwind(payload),
        }
    }

    /// Gives `job` to a worker and does not wait.
    pub fn spawn(&self, job: impl FnOnce() + Send + 'static) {
        self.give(Box::new(job));
    }

    fn give(&self, job: Job) {
        self.jobs.send(job).expect("workers live as long as a handle does");
    }
}

impl fmt::Debug for Workers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Workers").field("waiting_jobs", &self.jobs.len()).finish()
    }
}

fn work(waiting: &Receiver<Job>) {
    while let Ok(job) = threads::receive(waiting) {
        // A job of `run` brings its panic to its caller; one of `spawn` has nobody, and the thread must go on.
        if panic::catch_unwind(AssertUnwindSafe(job)).is_err() {
            tracing::error!("a job panicked that nobody waits for");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[tokio::test]
    async fn run_brings_the_answer() {
        assert_eq!(Workers::new("test", 2).run(|| 6 * 7).await, 42);
    }

    #[tokio::test]
    async fn a_panic_reaches_the_caller_and_the_worker_survives() {
        let workers = Workers::new("test", 1);
        let caller = workers.clone();
        let outcome = tokio::spawn(async move { caller.run(|| panic!("of the job")).await }).await;
        let payload = outcome.expect_err("the panic comes through").into_panic();
        assert_eq!(payload.downcast_ref(), Some(&"of the job"));
        workers.spawn(|| panic!("of a job without a caller"));
        assert_eq!(workers.run(|| 1).await, 1);
    }

    /// One worker must take the jobs in the order in which they were given.
    #[tokio::test]
    async fn jobs_are_taken_in_order() {
        let workers = Workers::new("test", 1);
        let (sender, receiver) = mpsc::channel();
        for number in 0..100 {
            let sender = sender.clone();
            workers.spawn(move || sender.send(number).expect("the test listens"));
        }
        drop(sender);
        workers.run(|| ()).await;
        assert_eq!(receiver.iter().collect::<Vec<_>>(), (0..100).collect::<Vec<_>>());
    }

    /// A value in the worker's thread-local storage is dropped when the thread ends; the channel in it then closes.
    #[test]
    fn dropping_the_last_handle_ends_the_threads_after_their_jobs() {
        thread_local! {
            static ALIVE: std::cell::RefCell<Option<mpsc::Sender<&'static str>>> = const { std::cell::RefCell::new(None) };
        }
        let (sender, receiver) = mpsc::channel();
        let workers = Workers::new("test", 1);
        let other = workers.clone();
        workers.spawn(move || ALIVE.with_borrow_mut(|alive| *alive = Some(sender)));
        drop(workers);
        other.spawn(|| ALIVE.with_borrow(|alive| alive.as_ref().expect("set").send("done").expect("the test listens")));
        drop(other);
        assert_eq!(receiver.iter().collect::<Vec<_>>(), ["done"]);
    }
}
