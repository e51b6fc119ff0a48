//! MD5 of many bodies at once.
//!
//! One MD5 is a chain: a core computes it at 0.7 GB/s whatever it does. Eight or sixteen side by side fill the lanes of
//! its vector unit: 4 to 5 GB/s together. So pieces of all bodies under way meet here. A lone body is hashed at once;
//! where several send, a batch waits for the others: 2 ms if somebody waits for a hash, longer if nobody does, since a
//! stripe's bytes stay in memory until they are on the disks anyway, and a small body's hash is computed while its
//! copies are written. A body's queue is bounded, so that a fast sender
//! waits for its hash rather than filling memory.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use md5_many::{Md5Many, Md5State};
use parking_lot::Mutex;
use platform::Workers;
use tokio::sync::Notify;
use tokio::time::Instant;

/// How long a batch waits for more bodies when some body is held up by it.
const LINGER: Duration = Duration::from_millis(2);
/// How often it waits so when nobody is held up: 50 ms.
const LINGERS_MAX: u32 = 25;
/// After waiting for nothing, so many batches are begun without waiting.
const LINGERS_LEFT_OUT: u32 = 16;
/// A body that sent nothing for so long is not waited for.
const ACTIVE: Duration = Duration::from_secs(1);
/// A body's queue: above it, the body's sender waits. Two stripes, which are what a body has in memory at most.
const QUEUE_BYTES_MAX: usize = 8 << 20;
/// What one batch takes of a body at most, about.
const BATCH_BYTES_MAX: usize = 1 << 20;
/// Two batches side by side in one core's lanes are faster than two batches one after the other.
const LANES_MAX: usize = 16;
/// From so many bodies on, a wide batch of which some lanes run idle is faster than a narrow one and a rest.
const LANES_WIDE_FROM: usize = 12;
/// The lanes of a batch below that.
const LANES: usize = 8;

/// Computes the MD5s of all bodies of this process.
#[derive(Clone)]
pub(super) struct Md5Batcher {
    shared: Arc<Shared>,
}

/// One body's MD5. Dropping it forgets the body.
pub(super) struct Md5Stream {
    id: u64,
    shared: Arc<Shared>,
    progress: Arc<Notify>,
}

struct Shared {
    engine: Md5Many,
    workers: Workers,
    bodies: Mutex<Bodies>,
}

#[derive(Default)]
struct Bodies {
    next_id: u64,
    by_id: HashMap<u64, Body>,
    /// Those that have pieces and are in no batch, in order of arrival.
    ready: VecDeque<u64>,
    /// Tasks that run batches.
    drivers: usize,
    /// How many batches are still to be begun without waiting for more bodies.
    lingers_left_out: u32,
    arrivals: Arrivals,
}

/// How many bodies begin while a batch waits: small ones are whole at once, so that only those to come can be waited
/// for.
struct Arrivals {
    window: Instant,
    begun: usize,
    /// In the last full window.
    last: usize,
}

impl Default for Arrivals {
    fn default() -> Self {
        Self { window: Instant::now(), begun: 0, last: 0 }
    }
}

impl Arrivals {
    fn count(&mut self, now: Instant) {
        self.turn(now);
        self.begun += 1;
    }

    fn per_linger(&mut self, now: Instant) -> usize {
        self.turn(now);
        self.last.max(self.begun)
    }

    fn turn(&mut self, now: Instant) {
        let elapsed = now - self.window;
        if elapsed >= LINGER {
            self.last = if elapsed < 2 * LINGER { self.begun } else { 0 };
            self.begun = 0;
            self.window = now;
        }
    }
}

struct Body {
    md5: Md5State,
    pieces: VecDeque<Bytes>,
    queued_bytes: usize,
    in_batch: bool,
    /// Whether its sender waits, for the digest or for room in the queue.
    is_waited_for: bool,
    last_piece: Instant,
    progress: Arc<Notify>,
}

impl Md5Batcher {
    pub(super) fn new(workers: Workers) -> Self {
        Self { shared: Arc::new(Shared { engine: Md5Many::new(), workers, bodies: Mutex::default() }) }
    }

    pub(super) fn begin(&self) -> Md5Stream {
        let mut bodies = self.shared.bodies.lock();
        let id = bodies.next_id;
        bodies.next_id += 1;
        let now = Instant::now();
        bodies.arrivals.count(now);
        let progress = Arc::new(Notify::new());
        let body = Body {
            md5: Md5State::new(),
            pieces: VecDeque::new(),
            queued_bytes: 0,
            in_batch: false,
            is_waited_for: false,
            last_piece: now,
            progress: Arc::clone(&progress),
        };
        bodies.by_id.insert(id, body);
        drop(bodies);
        Md5Stream { id, shared: Arc::clone(&self.shared), progress }
    }
}

impl Md5Stream {
    /// Queues the next bytes and waits while too many are queued.
    pub(super) async fn update(&mut self, piece: Bytes) {
        self.push(piece);
        self.wait_until_at_most(QUEUE_BYTES_MAX).await;
    }

    /// The digest, once all that was queued is hashed.
    pub(super) async fn finish(self) -> [u8; 16] {
        self.wait_until_at_most(0).await;
        self.shared.bodies.lock().by_id[&self.id].md5.finalize()
    }

    fn push(&self, piece: Bytes) {
        if piece.is_empty() {
            return;
        }
        let mut bodies = self.shared.bodies.lock();
        let body = bodies.by_id.get_mut(&self.id).expect("a body is known until its stream is dropped");
        body.last_piece = Instant::now();
        body.queued_bytes += piece.len();
        body.pieces.push_back(piece);
        if !body.in_batch && body.pieces.len() == 1 {
            bodies.ready.push_back(self.id);
        }
        if bodies.drivers == 0 {
            bodies.drivers = 1;
            spawn_driver(Arc::clone(&self.shared));
        }
    }

    async fn wait_until_at_most(&self, bytes: usize) {
        loop {
            let progress = self.progress.notified();
            {
                let mut bodies = self.shared.bodies.lock();
                let body = bodies.by_id.get_mut(&self.id).expect("a body is known until its stream is dropped");
                body.is_waited_for = body.queued_bytes > bytes;
                if !body.is_waited_for {
                    return;
                }
            }
            progress.await;
        }
    }
}

impl Drop for Md5Stream {
    fn drop(&mut self) {
        let mut bodies = self.shared.bodies.lock();
        let forgotten = bodies.by_id.remove(&self.id);
        bodies.ready.retain(|id| *id != self.id);
        drop(bodies);
        drop(forgotten);
    }
}

fn spawn_driver(shared: Arc<Shared>) {
    tokio::spawn(drive(shared));
}

/// Runs batches until nothing is queued.
async fn drive(shared: Arc<Shared>) {
    // How many bodies there were before waiting for more, and how often that was done.
    let mut lingers: Option<(usize, u32)> = None;
    loop {
        let batch = {
            let mut bodies = shared.bodies.lock();
            if bodies.ready.is_empty() {
                bodies.drivers -= 1;
                return;
            }
            bodies.is_worth_a_batch(lingers).then(|| bodies.take_batch(lingers.take(), &shared))
        };
        let Some(batch) = batch else {
            let ready = shared.bodies.lock().ready.len();
            let (before, times) = lingers.unwrap_or((ready, 0));
            lingers = Some((before, times + 1));
            tokio::time::sleep(LINGER).await;
            continue;
        };
        let engine = shared.engine;
        let hashed = shared.workers.run(move || hash(engine, batch)).await;
        let progress = shared.bodies.lock().put_back(hashed);
        for body in progress {
            body.notify_one();
        }
    }
}

impl Bodies {
    /// Whether not to wait (any longer) for more bodies.
    fn is_worth_a_batch(&mut self, lingers: Option<(usize, u32)>) -> bool {
        if self.ready.len() >= LANES {
            return true;
        }
        match lingers {
            Some((_, times)) if times >= LINGERS_MAX => true,
            Some(_) => self.ready.iter().any(|id| self.by_id[id].is_waited_for),
            None if self.lingers_left_out > 0 => true,
            None => {
                let now = Instant::now();
                let active = self.by_id.values().filter(|body| now - body.last_piece <= ACTIVE && !body.in_batch);
                self.ready.len() >= active.count().max(self.arrivals.per_linger(now))
            }
        }
    }

    fn take_batch(&mut self, lingered: Option<(usize, u32)>, shared: &Arc<Shared>) -> Vec<Lane> {
        self.lingers_left_out = match lingered {
            Some((before, _)) if self.ready.len() <= before => LINGERS_LEFT_OUT,
            Some(_) => 0,
            None => self.lingers_left_out.saturating_sub(1),
        };
        let count = if self.ready.len() >= LANES_WIDE_FROM { LANES_MAX } else { LANES };
        let count = count.min(self.ready.len());
        let ids: Vec<u64> = self.ready.drain(..count).collect();
        // What one core cannot keep up with goes to others; below a full batch that would only narrow both.
        if self.ready.len() >= LANES_MAX {
            self.drivers += 1;
            spawn_driver(Arc::clone(shared));
        }
        ids.into_iter().map(|id| self.take_lane(id)).collect()
    }

    fn take_lane(&mut self, id: u64) -> Lane {
        let body = self.by_id.get_mut(&id).expect("a body that is ready is known");
        body.in_batch = true;
        let mut pieces = Vec::new();
        let mut bytes = 0;
        while bytes < BATCH_BYTES_MAX {
            let Some(piece) = body.pieces.pop_front() else { break };
            bytes += piece.len();
            pieces.push(piece);
        }
        Lane { id, md5: body.md5, pieces, piece: 0, at: 0, bytes }
    }

    /// Takes hashed lanes back; bodies that were dropped meanwhile are unknown by now.
    fn put_back(&mut self, hashed: Vec<Lane>) -> Vec<Arc<Notify>> {
        let mut progress = Vec::with_capacity(hashed.len());
        for lane in hashed {
            let Some(body) = self.by_id.get_mut(&lane.id) else { continue };
            body.md5 = lane.md5;
            body.queued_bytes -= lane.bytes;
            body.in_batch = false;
            progress.push(Arc::clone(&body.progress));
            if !body.pieces.is_empty() {
                self.ready.push_back(lane.id);
            }
        }
        progress
    }
}

/// One body's share of a batch.
struct Lane {
    id: u64,
    md5: Md5State,
    pieces: Vec<Bytes>,
    /// Where hashing is: in which piece, and where in it.
    piece: usize,
    at: usize,
    bytes: usize,
}

const BLOCK: usize = 64;

impl Lane {
    /// Hashes, on its own, what doesn't fit whole blocks, until whole blocks follow. False when nothing is left.
    fn align(&mut self) -> bool {
        while let Some(piece) = self.pieces.get(self.piece) {
            let rest = &piece[self.at..];
            let into_block = usize::try_from(self.md5.bytes_hashed() % BLOCK as u64).expect("below 64");
            let alone = match into_block {
                0 if rest.len() >= BLOCK => 0,
                0 => rest.len(),
                _ => rest.len().min(BLOCK - into_block),
            };
            self.md5.update(&rest[..alone]);
            self.at += alone;
            if piece.len() - self.at >= BLOCK {
                return true;
            }
            if self.at == piece.len() {
                self.piece += 1;
                self.at = 0;
            }
        }
        false
    }

    fn blocks_left(&self) -> usize {
        (self.pieces[self.piece].len() - self.at) / BLOCK
    }
}

/// Hashes all pieces of all lanes; they are dropped here, on the worker.
fn hash(engine: Md5Many, mut lanes: Vec<Lane>) -> Vec<Lane> {
    loop {
        let mut active: Vec<&mut Lane> = lanes.iter_mut().filter_map(|lane| lane.align().then_some(lane)).collect();
        if active.is_empty() {
            break;
        }
        while !active.is_empty() {
            let count = if active.len() >= LANES_WIDE_FROM { LANES_MAX } else { LANES }.min(active.len());
            let mut together: Vec<&mut Lane> = active.drain(..count).collect();
            hash_together(engine, &mut together);
        }
    }
    for lane in &mut lanes {
        lane.pieces.clear();
    }
    lanes
}

/// Hashes as many blocks as all of `lanes` have, and one lane all of its own.
fn hash_together(engine: Md5Many, lanes: &mut [&mut Lane]) {
    let bytes = BLOCK * lanes.iter().map(|lane| lane.blocks_left()).min().expect("a lane");
    let mut states: Vec<Md5State> = lanes.iter().map(|lane| lane.md5).collect();
    let mut inputs: Vec<&[u8]> = lanes.iter().map(|lane| &lane.pieces[lane.piece][lane.at..lane.at + bytes]).collect();
    if let ([state], [input]) = (&mut states[..], &inputs[..]) {
        state.update(input);
    } else {
        // The engine is at its best with full groups of lanes in step: idle ones repeat the first.
        let full = if lanes.len() > LANES { LANES_MAX } else { LANES };
        states.resize(full, Md5State::new());
        inputs.resize(full, inputs[0]);
        engine.update_many(&mut states, &inputs);
    }
    for (lane, state) in lanes.iter_mut().zip(states) {
        lane.md5 = state;
        lane.at += bytes;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn runtime() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_time().build().expect("a runtime")
    }

    fn body(seed: usize, bytes: usize) -> Bytes {
        (0..bytes).map(|at| (at * 31 + seed * 7 + at / 251) as u8).collect()
    }

    /// Cuts `whole` at pseudo-random places and hashes it piece by piece.
    async fn hashed(batcher: &Md5Batcher, whole: Bytes, mut seed: usize, piece_max: usize) -> [u8; 16] {
        let mut stream = batcher.begin();
        let mut at = 0;
        while at < whole.len() {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let end = whole.len().min(at + 1 + (seed >> 33) % piece_max);
            stream.update(whole.slice(at..end)).await;
            at = end;
        }
        stream.finish().await
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(12))]

        #[test]
        fn every_body_gets_its_own_md5(
            lengths in prop::collection::vec(prop_oneof![0usize..200, 0usize..40_000], 1..40),
            piece_max in prop_oneof![1usize..100, Just(16_384)],
        ) {
            runtime().block_on(async {
                let batcher = Md5Batcher::new(Workers::new("test", 2));
                let bodies: Vec<Bytes> = lengths.iter().enumerate().map(|(seed, &len)| body(seed, len)).collect();
                let all = bodies.iter().enumerate().map(|(seed, whole)| {
                    let (batcher, whole) = (batcher.clone(), whole.clone());
                    tokio::spawn(async move { hashed(&batcher, whole, seed, piece_max).await })
                });
                for (task, whole) in all.collect::<Vec<_>>().into_iter().zip(&bodies) {
                    assert_eq!(task.await.expect("hashed"), md5_many::md5(whole));
                }
                assert!(batcher.shared.bodies.lock().by_id.is_empty());
            });
        }
    }

    #[test]
    fn bodies_given_up_leave_nothing_behind_and_hold_up_nobody() {
        runtime().block_on(async {
            let batcher = Md5Batcher::new(Workers::new("test", 1));
            for _ in 0..20 {
                let given_up = batcher.begin();
                given_up.push(body(1, 100_000));
                let mut kept = batcher.begin();
                kept.update(body(2, 100_000)).await;
                drop(given_up);
                assert_eq!(kept.finish().await, md5_many::md5(&body(2, 100_000)));
            }
            assert!(batcher.shared.bodies.lock().by_id.is_empty());
        });
    }

    #[test]
    fn a_fast_sender_waits_for_its_hash() {
        runtime().block_on(async {
            let batcher = Md5Batcher::new(Workers::new("test", 1));
            let mut stream = batcher.begin();
            let piece = body(3, 256 << 10);
            for _ in 0..40 {
                stream.update(piece.clone()).await;
                assert!(batcher.shared.bodies.lock().by_id[&stream.id].queued_bytes <= QUEUE_BYTES_MAX);
            }
            assert_eq!(stream.finish().await, md5_many::md5(&piece.repeat(40)));
        });
    }
}
