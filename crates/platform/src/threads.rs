//! Threads, and how they wait for each other: the system's, or those of a simulation's [`crate::stage`].

use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvError, RecvTimeoutError, TryRecvError};
use parking_lot::{Mutex, MutexGuard};
use tokio::time::Instant;

use crate::stage::{Signal, Staged, place};

/// Starts a thread.
///
/// # Errors
/// The operating system gives none.
pub fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> io::Result<JoinHandle> {
    let builder = thread::Builder::new().name(name.to_owned());
    let Some(place) = place() else { return Ok(JoinHandle { thread: builder.spawn(run)?, ended: None }) };
    let Staged { run, ended } = place.stage(name, run);
    Ok(JoinHandle { thread: builder.spawn(run)?, ended: Some(ended) })
}

/// A thread that was started.
#[derive(Debug)]
pub struct JoinHandle {
    thread: thread::JoinHandle<()>,
    /// On a stage, whether it has ended.
    ended: Option<Arc<AtomicBool>>,
}

impl JoinHandle {
    /// Waits until it has ended.
    ///
    /// # Errors
    /// What it panicked with.
    pub fn join(self) -> thread::Result<()> {
        if let (Some(place), Some(ended)) = (place(), self.ended) {
            place.wait(None, move || ended.load(Ordering::SeqCst));
        }
        self.thread.join()
    }
}

/// A condition variable for `parking_lot`'s mutexes. A wait may end though nothing was notified.
#[derive(Debug, Default)]
pub struct Condvar {
    condvar: parking_lot::Condvar,
    signal: Signal,
}

impl Condvar {
    /// One that nobody waits on.
    pub fn new() -> Self {
        Self::default()
    }

    /// Gives the mutex back until something is notified.
    pub fn wait<T>(&self, guard: &mut MutexGuard<'_, T>) {
        match place() {
            None => self.condvar.wait(guard),
            Some(place) => {
                let notified = self.signal.watch();
                MutexGuard::unlocked(guard, || place.wait(None, notified));
            }
        }
    }

    /// Gives the mutex back until something is notified, or for so long.
    pub fn wait_for<T>(&self, guard: &mut MutexGuard<'_, T>, patience: Duration) {
        match place() {
            None => drop(self.condvar.wait_for(guard, patience)),
            Some(place) => {
                let notified = self.signal.watch();
                MutexGuard::unlocked(guard, || place.wait(Some(Instant::now() + patience), notified));
            }
        }
    }

    /// Wakes one that waits, on a stage all.
    pub fn notify_one(&self) {
        self.signal.notify();
        self.condvar.notify_one();
    }

    /// Wakes all that wait.
    pub fn notify_all(&self) {
        self.signal.notify();
        self.condvar.notify_all();
    }
}

/// Waits for what comes through a channel.
///
/// # Errors
/// Nothing will come any more.
pub fn receive<T: Send + 'static>(channel: &Receiver<T>) -> Result<T, RecvError> {
    let Some(place) = place() else { return channel.recv() };
    let next = Next::of(channel);
    loop {
        match next.take() {
            Some(Ok(value)) => return Ok(value),
            Some(Err(RecvError)) => return Err(RecvError),
            None => place.wait(None, next.is_there()),
        }
    }
}

/// The same, at most for `patience`.
///
/// # Errors
/// Nothing came.
pub fn receive_within<T: Send + 'static>(channel: &Receiver<T>, patience: Duration) -> Result<T, RecvTimeoutError> {
    let Some(place) = place() else { return channel.recv_timeout(patience) };
    let deadline = Instant::now() + patience;
    let next = Next::of(channel);
    loop {
        match next.take() {
            Some(Ok(value)) => return Ok(value),
            Some(Err(RecvError)) => return Err(RecvTimeoutError::Disconnected),
            None if Instant::now() >= deadline => return Err(RecvTimeoutError::Timeout),
            None => place.wait(Some(deadline), next.is_there()),
        }
    }
}

/// What comes next through a channel, for a thread on a stage. The director takes it for the thread when it looks whether
/// something is there: to look alone, a channel has only a way that spins, and the director looks all the time.
struct Next<T> {
    channel: Receiver<T>,
    taken: Arc<Mutex<Option<Result<T, RecvError>>>>,
}

impl<T: Send + 'static> Next<T> {
    fn of(channel: &Receiver<T>) -> Self {
        Self { channel: channel.clone(), taken: Arc::default() }
    }

    fn take(&self) -> Option<Result<T, RecvError>> {
        self.taken.lock().take().or_else(|| look(&self.channel))
    }

    fn is_there(&self) -> impl FnMut() -> bool + Send + use<T> {
        let (channel, taken) = (self.channel.clone(), self.taken.clone());
        move || {
            let mut taken = taken.lock();
            if taken.is_none() {
                *taken = look(&channel);
            }
            taken.is_some()
        }
    }
}

fn look<T>(channel: &Receiver<T>) -> Option<Result<T, RecvError>> {
    match channel.try_recv() {
        Ok(value) => Some(Ok(value)),
        Err(TryRecvError::Disconnected) => Some(Err(RecvError)),
        Err(TryRecvError::Empty) => None,
    }
}

/// Waits for a future on a thread that is none of the runtime's.
pub fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let woken = Arc::new(Woken { flag: AtomicBool::new(false), thread: thread::current() });
    let waker = Waker::from(woken.clone());
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return output;
        }
        match place() {
            Some(place) => {
                let woken = woken.clone();
                place.wait(None, move || woken.flag.load(Ordering::SeqCst));
            }
            None => {
                while !woken.flag.load(Ordering::SeqCst) {
                    thread::park();
                }
            }
        }
        woken.flag.store(false, Ordering::SeqCst);
    }
}

struct Woken {
    flag: AtomicBool,
    thread: Thread,
}

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.flag.store(true, Ordering::SeqCst);
        self.thread.unpark();
    }
}

/// Runs what blocks where it may; the answer comes back without blocking the caller's thread.
///
/// # Panics
/// With what `work` panicked with.
pub async fn run_blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    if place().is_none() {
        return match tokio::task::spawn_blocking(work).await {
            Ok(value) => value,
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        };
    }
    let (answer, answered) = tokio::sync::oneshot::channel();
    // Whoever asked may have gone.
    let run = move || drop(answer.send(work()));
    spawn("blocking", run).expect("the operating system starts a thread");
    answered.await.expect("the work did not panic")
}
