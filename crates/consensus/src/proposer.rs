//! Gathers commands into proposals: at once while nothing is under way, else as many as come until something is.
//!
//! One entry of the log is one proposal of many commands, so that openraft's work for an entry is shared.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use index::{Answer, Command, CommandBody, IndexError, Proposal};
use parking_lot::Mutex;
use platform::Clock;
use tokio::sync::{Notify, oneshot};
use types::{Extent, Part};

use crate::group::Group;
use crate::raft_types::Proposed;

/// Proposals that may be under way at once.
const UNDER_WAY_MAX: usize = 4;
/// Commands of one proposal.
const COMMANDS_MAX: usize = 4096;
/// Bytes of one proposal, about.
const BYTES_MAX: usize = 4 << 20;
/// While proposals are under way, another one is made only of so many commands, or bytes.
const COMMANDS_WORTH_IT: usize = 64;
const BYTES_WORTH_IT: usize = 256 << 10;

/// A command that waits to be proposed, and who waits for its answer.
struct Waiting {
    command: Command,
    answer: oneshot::Sender<Result<Answer, IndexError>>,
}

#[derive(Default)]
struct Queue {
    waiting: Vec<Waiting>,
    bytes: usize,
    closed: Option<IndexError>,
}

struct Inner {
    queue: Mutex<Queue>,
    under_way: AtomicUsize,
    wake: Notify,
    /// Told when nothing is under way any more.
    idle: Notify,
}

/// A group's proposer.
#[derive(Clone)]
pub(crate) struct Proposer {
    inner: Arc<Inner>,
}

impl Proposer {
    /// Starts proposing to a group.
    pub(crate) fn start(group: Arc<dyn Group>, clock: Arc<dyn Clock>) -> Self {
        let inner = Arc::new(Inner {
            queue: Mutex::default(),
            under_way: AtomicUsize::new(0),
            wake: Notify::new(),
            idle: Notify::new(),
        });
        tokio::spawn(run(inner.clone(), group, clock));
        Self { inner }
    }

    /// Proposes a command and waits for its answer.
    pub(crate) async fn propose(&self, command: Command) -> Result<Answer, IndexError> {
        let (answer, answered) = oneshot::channel();
        {
            let mut queue = self.inner.queue.lock();
            if let Some(error) = &queue.closed {
                return Err(error.clone());
            }
            queue.bytes += bytes_of(&command);
            queue.waiting.push(Waiting { command, answer });
        }
        self.inner.wake.notify_one();
        answered.await.unwrap_or_else(|_| Err(IndexError::Unknown { reason: "the index ended meanwhile".to_owned() }))
    }

    /// Waits until no proposal is under way.
    pub(crate) async fn idle(&self) {
        loop {
            let idle = self.inner.idle.notified();
            if self.inner.under_way.load(Ordering::SeqCst) == 0 {
                return;
            }
            idle.await;
        }
    }

    /// Refuses all commands from now on that are not proposed yet.
    pub(crate) fn close(&self, error: &IndexError) {
        let refused = {
            let mut queue = self.inner.queue.lock();
            queue.closed = Some(error.clone());
            std::mem::take(&mut queue.waiting)
        };
        for waiting in refused {
            let _ = waiting.answer.send(Err(error.clone()));
        }
        self.inner.wake.notify_one();
    }
}

async fn run(inner: Arc<Inner>, group: Arc<dyn Group>, clock: Arc<dyn Clock>) {
    loop {
        inner.wake.notified().await;
        loop {
            let (batch, closed) = inner.take_batch();
            if batch.is_empty() {
                if closed {
                    return;
                }
                break;
            }
            inner.under_way.fetch_add(1, Ordering::SeqCst);
            propose(&inner, &*group, &*clock, batch).await;
        }
    }
}

impl Inner {
    /// What is to be proposed now: nothing, when it is better to wait.
    fn take_batch(&self) -> (Vec<Waiting>, bool) {
        let under_way = self.under_way.load(Ordering::SeqCst);
        let mut queue = self.queue.lock();
        let is_worth_it = queue.waiting.len() >= COMMANDS_WORTH_IT || queue.bytes >= BYTES_WORTH_IT;
        if under_way >= UNDER_WAY_MAX || (under_way > 0 && !is_worth_it) {
            return (Vec::new(), queue.closed.is_some());
        }
        let mut bytes = 0;
        let fits = |waiting: &&Waiting| {
            let before = bytes;
            bytes += bytes_of(&waiting.command);
            before < BYTES_MAX
        };
        let count = queue.waiting.iter().take(COMMANDS_MAX).take_while(fits).count();
        let rest = queue.waiting.split_off(count);
        queue.bytes = queue.bytes.saturating_sub(bytes);
        let batch = std::mem::replace(&mut queue.waiting, rest);
        if queue.waiting.is_empty() {
            queue.bytes = 0;
        }
        (batch, queue.closed.is_some())
    }

    fn ended(&self) {
        if self.under_way.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.idle.notify_waiters();
        }
        self.wake.notify_one();
    }
}

async fn propose(inner: &Arc<Inner>, group: &dyn Group, clock: &dyn Clock, batch: Vec<Waiting>) {
    let (commands, answers): (Vec<Command>, Vec<_>) = batch.into_iter().map(|one| (one.command, one.answer)).unzip();
    let proposal = Proposed::new(Proposal { time: clock.now(), commands });
    let end = UnderWay(inner.clone());
    let answered = move |result: Result<crate::raft_types::Answers, IndexError>| {
        // Before the answers: whoever gets one may propose at once.
        drop(end);
        match result {
            Ok(given) => {
                for (waiting, answer) in answers.into_iter().zip(given.0) {
                    // Whoever asked may have gone.
                    let _ = waiting.send(Ok(answer));
                }
            }
            Err(error) => {
                for waiting in answers {
                    let _ = waiting.send(Err(error.clone()));
                }
            }
        }
    };
    group.propose(proposal, Box::new(answered)).await;
}

/// Ends with the answer, or with the proposal when it is dropped without one.
struct UnderWay(Arc<Inner>);

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.ended();
    }
}

/// Bytes of a command, about: what it carries inline, and the rest at a flat rate.
fn bytes_of(command: &Command) -> usize {
    const REST: usize = 400;
    let inline = |part: &Part| -> usize {
        part.extents.iter().map(|extent| if let Extent::Inline(bytes) = extent { bytes.len() } else { 0 }).sum()
    };
    REST + match &command.body {
        CommandBody::PutObject(put) => inline(&put.part),
        CommandBody::PutPart(put) => inline(&put.part),
        CommandBody::ReplacePart(replace) => inline(&replace.part),
        CommandBody::CompleteUpload(complete) => complete.parts.len() * 64,
        CommandBody::DiscardRuns { runs } => runs.len() * 64,
        CommandBody::RemoveGarbage { rows } => rows.len() * 64,
        // Tags are most of it, where versions have them.
        CommandBody::Expire(expire) => expire.keys.iter().map(|key| 128 + key.actions.len() * 1024).sum(),
        _ => 0,
    }
}
