//! The stage of a simulation: all its threads, of which one runs at a time, and a seed decides which.
//!
//! A simulation is a tokio runtime of one thread whose time is paused. What the real code does on threads of its own
//! (logs, databases, commits, hashing) goes on doing so, as *actors*: an actor runs until it waits in one of the ways of
//! [`crate::threads`], and only then may another, or the runtime, go on. So whatever runs alone has all memory for itself,
//! and the order of everything follows from the seed. The runtime's thread directs: whenever no task has anything to do
//! it lets actors run that no longer need to wait, in an order that the dice give and after pauses that stand for the
//! time that disks and processors take; simulated time passes only when nobody can go on.
//!
//! A thread knows by a thread-local that it is on a stage; everywhere else the ways to wait are the system's.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::{Condvar, Mutex, MutexGuard};
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::entropy::{Entropy, SeededEntropy};

tokio::task_local! {
    /// On which node the task is, whose threads share its pace.
    static NODE: u64;
}

thread_local! {
    static PLACE: RefCell<Option<Place>> = const { RefCell::new(None) };
}

/// Where a thread of a simulation stands.
#[derive(Clone)]
pub(crate) struct Place {
    stage: Stage,
    /// `None`: it is the runtime's thread, which directs.
    actor: Option<Arc<Turn>>,
}

/// What an actor waits for, asked by the director.
type IsDue = Box<dyn FnMut() -> bool + Send>;

/// How long a step of an actor takes: one in `one_in` takes up to `longest`, the others no time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// 0: no step takes any time.
    pub one_in: u64,
    /// The longest step.
    pub longest: Duration,
}

/// The stage. Clones are the same one.
#[derive(Clone)]
pub struct Stage {
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    /// Wakes the director.
    director: Condvar,
    dice: SeededEntropy,
    /// When the next actor can go on, for the task that lets time pass.
    next_due: watch::Sender<Option<Instant>>,
}

#[derive(Default)]
struct State {
    actors: BTreeMap<u64, Actor>,
    on_stage: Option<u64>,
    numbers: u64,
    steps: u64,
    paces: BTreeMap<u64, Pace>,
}

/// A thread that waits for its turn.
struct Actor {
    turn: Arc<Turn>,
    is_due: IsDue,
    deadline: Option<Instant>,
    /// When it can go on, once it need not wait any more.
    due: Option<Instant>,
}

/// One thread.
struct Turn {
    number: u64,
    name: String,
    node: u64,
    wake: Condvar,
}

impl Stage {
    /// An empty stage; the order on it follows from the seed.
    pub fn new(seed: u64) -> Self {
        let shared = Shared {
            state: Mutex::default(),
            director: Condvar::new(),
            dice: SeededEntropy::new(seed),
            next_due: watch::Sender::new(None),
        };
        Self { shared: Arc::new(shared) }
    }

    /// Makes the calling thread the director until the guard is dropped.
    pub fn enter(&self) -> Entered {
        PLACE.set(Some(Place { stage: self.clone(), actor: None }));
        Entered(())
    }

    /// Runs a future whose threads belong to the node of this number.
    pub async fn on_node<F: Future>(node: u64, future: F) -> F::Output {
        NODE.scope(node, future).await
    }

    /// Sets how long the steps of a node's threads take.
    pub fn set_pace(&self, node: u64, pace: Pace) {
        self.shared.state.lock().paces.insert(node, pace);
    }

    /// How many steps actors have taken.
    pub fn steps(&self) -> u64 {
        self.shared.state.lock().steps
    }

    /// The names of the threads that have not ended.
    pub fn threads(&self) -> Vec<String> {
        self.shared.state.lock().actors.values().map(|actor| actor.turn.name.clone()).collect()
    }

    /// Lets all run that can, until none can; for `tokio::runtime::Builder::on_thread_park`.
    pub fn run_ready(&self) {
        while self.step(false) {}
        let next = self.next_due();
        self.shared.next_due.send_if_modified(|known| std::mem::replace(known, next) != next);
    }

    /// Lets time pass for actors; to be spawned on the runtime. Never ends.
    pub fn keep_time(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut next_due = self.shared.next_due.subscribe();
        async move {
            loop {
                let next = *next_due.borrow_and_update();
                match next.filter(|next| *next > Instant::now()) {
                    Some(next) => drop(tokio::time::timeout_at(next, next_due.changed()).await),
                    None => drop(next_due.changed().await),
                }
            }
        }
    }

    /// Lets one actor run; `false` where none can. In a hurry, the time that steps take is passed over.
    fn step(&self, in_a_hurry: bool) -> bool {
        let now = Instant::now();
        let mut state = self.shared.state.lock();
        let State { actors, paces, .. } = &mut *state;
        let mut ready = Vec::new();
        for (number, actor) in actors {
            if (actor.is_due)() || actor.deadline.is_some_and(|deadline| deadline <= now) {
                let pause = || self.pause(paces.get(&actor.turn.node).copied());
                let due = *actor.due.get_or_insert_with(|| now + pause());
                if in_a_hurry || due <= now {
                    ready.push(*number);
                }
            }
        }
        if ready.is_empty() {
            return false;
        }
        let chosen = ready[self.shared.dice.number() as usize % ready.len()];
        let turn = state.actors[&chosen].turn.clone();
        state.on_stage = Some(chosen);
        state.steps += 1;
        turn.wake.notify_one();
        while state.on_stage.is_some() {
            self.shared.director.wait(&mut state);
        }
        true
    }

    fn pause(&self, pace: Option<Pace>) -> Duration {
        let Some(Pace { one_in, longest }) = pace.filter(|pace| pace.one_in > 0) else { return Duration::ZERO };
        let dice = &self.shared.dice;
        if !dice.number().is_multiple_of(one_in) {
            return Duration::ZERO;
        }
        Duration::from_micros(dice.number() % (u64::try_from(longest.as_micros()).unwrap_or(u64::MAX) + 1))
    }

    fn next_due(&self) -> Option<Instant> {
        let state = self.shared.state.lock();
        state.actors.values().filter_map(|actor| actor.due.or(actor.deadline)).min()
    }

    /// Runs others on the director's behalf until `is_due`.
    fn direct_until(&self, deadline: Option<Instant>, mut is_due: IsDue) {
        while !is_due() {
            if !self.step(true) {
                // A wait with a deadline ends early: no time can pass while the director waits.
                assert!(deadline.is_some(), "nobody on the stage can go on: {:?}", self.threads());
                return;
            }
        }
    }
}

impl fmt::Debug for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stage").finish_non_exhaustive()
    }
}

/// While it lives, its thread directs.
#[derive(Debug)]
pub struct Entered(());

impl Drop for Entered {
    fn drop(&mut self) {
        PLACE.set(None);
    }
}

/// Where the calling thread stands, if on a stage.
pub(crate) fn place() -> Option<Place> {
    PLACE.with_borrow(Clone::clone)
}

impl Place {
    /// Waits until `is_due` or the deadline.
    pub(crate) fn wait(&self, deadline: Option<Instant>, is_due: impl FnMut() -> bool + Send + 'static) {
        let Some(turn) = &self.actor else { return self.stage.direct_until(deadline, Box::new(is_due)) };
        let shared = &self.stage.shared;
        let mut state = shared.state.lock();
        state.add(turn, deadline, Box::new(is_due));
        state.on_stage = None;
        shared.director.notify_one();
        turn.wait_for_turn(&mut state);
    }

    /// Random bits of the simulation.
    pub(crate) fn number(&self) -> u64 {
        self.stage.shared.dice.number()
    }

    /// What a new thread runs, as an actor, and the flag that is set when it ends.
    pub(crate) fn stage<F: FnOnce() + Send + 'static>(
        &self,
        name: &str,
        run: F,
    ) -> Staged<impl FnOnce() + Send + use<F>> {
        let node = match &self.actor {
            Some(turn) => turn.node,
            None => NODE.try_with(|node| *node).unwrap_or_default(),
        };
        let turn = {
            let mut state = self.stage.shared.state.lock();
            state.numbers += 1;
            let turn = Turn { number: state.numbers, name: name.to_owned(), node, wake: Condvar::new() };
            let turn = Arc::new(turn);
            state.add(&turn, None, Box::new(|| true));
            turn
        };
        let (stage, runtime) = (self.stage.clone(), Handle::current());
        let ended = Arc::new(AtomicBool::new(false));
        let guard = Exit { stage: stage.clone(), ended: ended.clone() };
        let run = move || {
            let _guard = guard;
            let _runtime = runtime.enter();
            turn.wait_for_turn(&mut stage.shared.state.lock());
            PLACE.set(Some(Place { stage: stage.clone(), actor: Some(turn) }));
            run();
        };
        Staged { run, ended }
    }
}

/// A thread that is yet to be started.
pub(crate) struct Staged<F> {
    pub(crate) run: F,
    pub(crate) ended: Arc<AtomicBool>,
}

/// An actor leaves the stage for good.
struct Exit {
    stage: Stage,
    ended: Arc<AtomicBool>,
}

impl Drop for Exit {
    fn drop(&mut self) {
        PLACE.set(None);
        self.ended.store(true, Ordering::SeqCst);
        self.stage.shared.state.lock().on_stage = None;
        self.stage.shared.director.notify_one();
    }
}

impl State {
    fn add(&mut self, turn: &Arc<Turn>, deadline: Option<Instant>, is_due: IsDue) {
        self.actors.insert(turn.number, Actor { turn: turn.clone(), is_due, deadline, due: None });
    }
}

impl Turn {
    fn wait_for_turn(&self, state: &mut MutexGuard<'_, State>) {
        while state.on_stage != Some(self.number) {
            self.wake.wait(state);
        }
        state.actors.remove(&self.number);
    }
}

/// Counts what was notified, for those that wait on a stage.
#[derive(Debug, Clone, Default)]
pub(crate) struct Signal(Arc<AtomicU64>);

impl Signal {
    pub(crate) fn notify(&self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }

    /// Whether something was notified since this was called.
    pub(crate) fn watch(&self) -> impl FnMut() -> bool + Send + use<> {
        let (signal, seen) = (self.0.clone(), self.0.load(Ordering::SeqCst));
        move || signal.load(Ordering::SeqCst) != seen
    }
}
