//! The shape of all duties, and what runs them.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use index::{Answer, Command, CommandBody, IndexError, IndexService};
use shards::ShardError;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use types::RequestNumber;

/// How long a duty that failed waits before it tries again.
const RETRY: Duration = Duration::from_secs(5);

/// What a step came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// There is more to do now.
    Again,
    /// Nothing to do for so long, unless [`Duty::wake`] says otherwise.
    Idle(Duration),
}

/// Why a step failed. The duty is tried again later; nothing is half done that a repeat would not finish.
#[derive(Debug, thiserror::Error)]
pub enum DutyError {
    /// The index gave no answer.
    #[error("the index gave no answer")]
    Index(#[from] IndexError),
    /// A disk refused.
    #[error("a disk refused")]
    Shard(#[from] ShardError),
    /// Something else.
    #[error("{0}")]
    Other(String),
}

/// One background duty.
#[async_trait]
pub trait Duty: Send + Sync + 'static {
    /// Its name in log lines.
    fn name(&self) -> &'static str;

    /// Does a little: at most some hundred milliseconds of work.
    ///
    /// # Errors
    /// [`DutyError`]; the step is repeated later.
    async fn step(&self) -> Result<Step, DutyError>;

    /// Returns when an idle duty should go on before its time. Never, unless the duty says otherwise.
    async fn wake(&self) {
        std::future::pending::<()>().await;
    }
}

/// Duties while they run, each on a task of its own.
#[derive(Debug)]
pub struct Duties {
    stop: watch::Sender<bool>,
    tasks: Vec<JoinHandle<()>>,
}

impl Duties {
    /// Starts `duties` on the current runtime.
    pub fn start(duties: Vec<Arc<dyn Duty>>) -> Self {
        let (stop, stopped) = watch::channel(false);
        let tasks = duties.into_iter().map(|duty| tokio::spawn(run(duty, stopped.clone()))).collect();
        Self { stop, tasks }
    }

    /// Ends all duties at their next await and waits for them.
    pub async fn stop(self) {
        // No receiver is left only when all duties have ended.
        let _ = self.stop.send(true);
        for task in self.tasks {
            if let Err(error) = task.await {
                tracing::error!(%error, "a duty ended badly");
            }
        }
    }
}

async fn run(duty: Arc<dyn Duty>, mut stopped: watch::Receiver<bool>) {
    loop {
        let step = tokio::select! {
            biased;
            _ = stopped.changed() => return,
            step = duty.step() => step,
        };
        let pause = match step {
            Ok(Step::Again) => {
                tokio::task::yield_now().await;
                continue;
            }
            Ok(Step::Idle(pause)) => pause,
            Err(error) => {
                tracing::warn!(duty = duty.name(), %error, "a duty failed and will be tried again");
                RETRY
            }
        };
        tokio::select! {
            biased;
            _ = stopped.changed() => return,
            () = duty.wake() => {}
            () = tokio::time::sleep(pause) => {}
        }
    }
}

/// Commits a command that is idempotent by itself.
///
/// # Errors
/// [`DutyError::Index`].
pub(crate) async fn propose(index: &dyn IndexService, body: CommandBody) -> Result<Answer, DutyError> {
    Ok(index.propose(Command { request: None, answered: RequestNumber(0), body }).await?)
}
