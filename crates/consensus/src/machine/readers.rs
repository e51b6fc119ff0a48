//! The threads that answer queries, each with a connection of its own.
//!
//! One takes only lookups, the other also listings, so that a long listing holds up no lookup. A query is run once the
//! database has applied what the query must see; until then it is parked, also while a failed database is replaced.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering, fence};

use index::{IndexDatabaseError, IndexError, IndexReader, Query, QueryAnswer};
use parking_lot::Mutex;
use platform::threads::{self, Condvar, JoinHandle};
use tokio::sync::{mpsc, oneshot};
use types::RangeId;

use super::{KnownRanges, Progress, RecentVersions, Work};

/// Lookups that one transaction answers.
const LOOKUPS_AT_ONCE: usize = 16;
/// The thread that takes lookups alone, and the one that also takes listings.
const FOR_LOOKUPS: usize = 0;
const FOR_LISTINGS: usize = 1;
/// On so many databases a query is tried before its failure is answered.
const ATTEMPTS_MAX: u32 = 2;

/// A query that waits for its answer.
#[derive(Debug)]
pub(crate) struct ReadJob {
    query: Query,
    answer: oneshot::Sender<Result<QueryAnswer, IndexError>>,
    range: RangeId,
    /// The entry that must be applied first.
    needs: u64,
    /// The database on which it may be run at the earliest.
    epoch_min: u64,
    attempts: u32,
}

impl ReadJob {
    /// A query to a range, and where its answer comes.
    pub(crate) fn new(query: Query, range: RangeId) -> (Self, oneshot::Receiver<Result<QueryAnswer, IndexError>>) {
        let (answer, answered) = oneshot::channel();
        (Self { query, answer, range, needs: 0, epoch_min: 0, attempts: 0 }, answered)
    }

    /// Sets the entry that must be applied before the query is run.
    pub(crate) fn after(self, needs: u64) -> Self {
        Self { needs, ..self }
    }

    /// Answers with an error.
    pub(crate) fn refuse(self, error: IndexError) {
        self.send(Err(error));
    }

    fn send(self, answer: Result<QueryAnswer, IndexError>) {
        // Whoever asked may have gone.
        let _ = self.answer.send(answer);
    }

    fn is_listing(&self) -> bool {
        match self.query.bare() {
            Query::Credentials
            | Query::AccessKey { .. }
            | Query::Tickets
            | Query::Cluster
            | Query::BucketByName { .. }
            | Query::BucketRow(_)
            | Query::Usage(_)
            | Query::Version { .. }
            | Query::VersionHead { .. }
            | Query::Upload { .. }
            | Query::RunLives { .. } => false,
            Query::Parts { limit, .. } => *limit > 1,
            _ => true,
        }
    }
}

#[derive(Debug, Default)]
struct State {
    lookups: VecDeque<ReadJob>,
    listings: VecDeque<ReadJob>,
    parked: Vec<ReadJob>,
    /// Counts the databases that were opened.
    epoch: u64,
    /// Connections to the database of this epoch that no thread has taken yet.
    readers: Vec<IndexReader>,
    /// Which threads wait for work, with a connection.
    waiting: [bool; ReaderPool::READERS],
    closed: Option<IndexError>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    wake: [Condvar; ReaderPool::READERS],
    parked: AtomicUsize,
    progress: Arc<Progress>,
    known: Arc<KnownRanges>,
    recent: Arc<RecentVersions>,
    work: mpsc::WeakSender<Work>,
}

/// The readers.
#[derive(Debug)]
pub(crate) struct ReaderPool {
    shared: Arc<Shared>,
    threads: Mutex<Vec<JoinHandle>>,
}

impl ReaderPool {
    /// How many connections a database must give.
    pub(crate) const READERS: usize = 2;

    /// Starts the threads; they wait for a database. `work` is told when one fails.
    pub(crate) fn start(
        progress: Arc<Progress>,
        known: Arc<KnownRanges>,
        recent: Arc<RecentVersions>,
        work: &mpsc::Sender<Work>,
    ) -> std::io::Result<Self> {
        let shared = Arc::new(Shared {
            state: Mutex::default(),
            wake: Default::default(),
            parked: AtomicUsize::new(0),
            progress,
            known,
            recent,
            work: work.downgrade(),
        });
        let spawn = |number: usize| {
            let shared = shared.clone();
            let run = move || Reader { shared, number, epoch: 0, connection: None }.run();
            threads::spawn("index-reader", run)
        };
        let threads = (0..Self::READERS).map(spawn).collect::<std::io::Result<_>>()?;
        Ok(Self { shared, threads: Mutex::new(threads) })
    }

    /// Reads from this database from now on; the old one's readers are closed.
    pub(crate) fn install(&self, epoch: u64, readers: Vec<IndexReader>) {
        {
            let mut state = self.shared.state.lock();
            state.epoch = epoch;
            state.readers = readers;
        }
        self.unpark();
        self.shared.wake_all();
    }

    /// Queues queries that have passed the barrier; those whose answer is at hand are answered at once.
    pub(crate) fn push(&self, jobs: impl IntoIterator<Item = ReadJob>) {
        let mut jobs = jobs.into_iter().filter_map(|job| self.shared.answer_at_once(job)).peekable();
        if jobs.peek().is_none() {
            return;
        }
        let mut state = self.shared.state.lock();
        for job in jobs {
            self.shared.sort_in(&mut state, job);
        }
        self.shared.wake_for_work(&mut state);
    }

    /// Something was applied: queries that waited for it are run.
    pub(crate) fn unpark(&self) {
        fence(Ordering::SeqCst);
        if self.shared.parked.load(Ordering::SeqCst) == 0 {
            return;
        }
        let mut state = self.shared.state.lock();
        for job in std::mem::take(&mut state.parked) {
            self.shared.parked.fetch_sub(1, Ordering::SeqCst);
            self.shared.sort_in(&mut state, job);
        }
        self.shared.wake_for_work(&mut state);
    }

    /// Refuses all queries from now on and ends the threads.
    pub(crate) fn close(&self, error: &IndexError) {
        let refused: Vec<ReadJob> = {
            let mut state = self.shared.state.lock();
            state.closed = Some(error.clone());
            self.shared.recent.close();
            let State { lookups, listings, parked, .. } = &mut *state;
            lookups.drain(..).chain(listings.drain(..)).chain(parked.drain(..)).collect()
        };
        self.shared.wake_all();
        for job in refused {
            job.refuse(error.clone());
        }
        // Not joined under the lock, on which whoever closes it too would wait.
        let threads = std::mem::take(&mut *self.threads.lock());
        for thread in threads {
            let _ = thread.join();
        }
    }
}

impl Drop for ReaderPool {
    fn drop(&mut self) {
        self.close(&IndexError::Unavailable { reason: "the index has ended".to_owned() });
    }
}

impl Shared {
    /// Answers a lookup of a version that was read of late; gives any other job back.
    fn answer_at_once(&self, job: ReadJob) -> Option<ReadJob> {
        if self.progress.next(job.range) <= job.needs || !self.known.has(job.range, &job.query) {
            return Some(job);
        }
        match self.recent.get(&job.query) {
            Some(answer) => {
                job.send(Ok(answer));
                None
            }
            None => Some(job),
        }
    }

    /// Puts a job where it belongs: to be run, or to wait.
    fn sort_in(&self, state: &mut State, job: ReadJob) {
        if let Some(error) = &state.closed {
            return job.refuse(error.clone());
        }
        if self.may_run(state, &job) {
            return state.run(job);
        }
        self.parked.fetch_add(1, Ordering::SeqCst);
        // Either whoever applies sees that somebody waits, or what it applied is seen here.
        fence(Ordering::SeqCst);
        if self.may_run(state, &job) {
            self.parked.fetch_sub(1, Ordering::SeqCst);
            state.run(job);
        } else {
            state.parked.push(job);
        }
    }

    fn put_back(&self, jobs: Vec<ReadJob>) {
        let mut state = self.state.lock();
        for job in jobs {
            self.sort_in(&mut state, job);
        }
        self.wake_for_work(&mut state);
    }

    fn wake_all(&self) {
        for thread in &self.wake {
            thread.notify_all();
        }
    }

    /// Wakes as few threads as the work needs: each wake-up costs more than a lookup.
    fn wake_for_work(&self, state: &mut State) {
        let lookups = state.lookups.len();
        let first_is_busy = !state.waiting[FOR_LOOKUPS];
        if lookups > 0 {
            self.wake(state, FOR_LOOKUPS);
        }
        if !state.listings.is_empty() || lookups > LOOKUPS_AT_ONCE || (lookups > 0 && first_is_busy) {
            self.wake(state, FOR_LISTINGS);
        }
    }

    fn wake(&self, state: &mut State, thread: usize) {
        if std::mem::take(&mut state.waiting[thread]) {
            self.wake[thread].notify_one();
        }
    }

    fn may_run(&self, state: &State, job: &ReadJob) -> bool {
        state.epoch >= job.epoch_min && self.progress.next(job.range) > job.needs
    }
}

impl State {
    fn run(&mut self, job: ReadJob) {
        if job.is_listing() { self.listings.push_back(job) } else { self.lookups.push_back(job) }
    }
}

/// One thread.
struct Reader {
    shared: Arc<Shared>,
    number: usize,
    epoch: u64,
    connection: Option<IndexReader>,
}

impl Reader {
    fn run(mut self) {
        platform::prefer_short_slices();
        while let Some(jobs) = self.next() {
            self.answer(jobs);
        }
    }

    /// Waits for jobs and for a connection; `None` at the end.
    fn next(&mut self) -> Option<Vec<ReadJob>> {
        let shared = self.shared.clone();
        let mut state = shared.state.lock();
        loop {
            if state.closed.is_some() {
                return None;
            }
            if self.epoch != state.epoch {
                self.epoch = state.epoch;
                self.connection = state.readers.pop();
            }
            if self.connection.is_some() {
                let jobs = self.take(&mut state);
                if !jobs.is_empty() {
                    return Some(jobs);
                }
            }
            state.waiting[self.number] = self.connection.is_some();
            shared.wake[self.number].wait(&mut state);
            state.waiting[self.number] = false;
        }
    }

    fn take(&self, state: &mut State) -> Vec<ReadJob> {
        if self.number == FOR_LISTINGS
            && let Some(listing) = state.listings.pop_front()
        {
            return vec![listing];
        }
        let count = state.lookups.len().min(LOOKUPS_AT_ONCE);
        state.lookups.drain(..count).collect()
    }

    fn answer(&mut self, jobs: Vec<ReadJob>) {
        let Some(connection) = &mut self.connection else { return };
        let replacements = self.shared.progress.replacements();
        if jobs.iter().any(|job| self.shared.progress.next(job.range) <= job.needs) {
            // Rows are being replaced since the jobs were taken.
            return self.shared.put_back(jobs);
        }
        let lookups: Vec<_> = jobs.iter().map(|job| self.shared.recent.before_read(&job.query)).collect();
        match connection.query_all(jobs.iter().map(|job| (job.range, &job.query))) {
            Ok(_) if self.shared.progress.replacements() != replacements => self.shared.put_back(jobs),
            Ok(answers) => {
                for ((job, lookup), answer) in jobs.into_iter().zip(lookups).zip(answers) {
                    match answer {
                        Ok(answer) => {
                            if let Some(lookup) = lookup {
                                self.shared.recent.keep(lookup, &answer);
                            }
                            job.send(Ok(answer));
                        }
                        Err(error) => self.failed(vec![job], &error),
                    }
                }
            }
            Err(error) => self.failed(jobs, &error),
        }
    }

    /// Gives the connection up, has the database replaced, and lets the jobs wait for the next one.
    fn failed(&mut self, jobs: Vec<ReadJob>, error: &IndexDatabaseError) {
        self.connection = None;
        if let Some(work) = self.shared.work.upgrade() {
            // A full queue means that the applier is at work: it will find the failure itself, or be told again.
            let _ = work.try_send(Work::DatabaseFailed(self.epoch, error.to_string()));
        }
        let mut state = self.shared.state.lock();
        for job in jobs {
            let attempts = job.attempts + 1;
            if attempts >= ATTEMPTS_MAX {
                job.refuse(refusal(error));
                continue;
            }
            self.shared.sort_in(&mut state, ReadJob { attempts, epoch_min: self.epoch + 1, ..job });
        }
        self.shared.wake_for_work(&mut state);
    }
}

fn refusal(error: &IndexDatabaseError) -> IndexError {
    let reason = error.to_string();
    match error {
        IndexDatabaseError::Damaged { .. }
        | IndexDatabaseError::NewerFormat { .. }
        | IndexDatabaseError::NewerLevel(_) => IndexError::Damaged { reason },
        _ => IndexError::Unavailable { reason },
    }
}
