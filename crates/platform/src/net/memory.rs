//! A network in memory whose every link can be made bad, the same for the same seed.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Weak};
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use tokio::sync::{Notify, mpsc};

use super::pipe::{End, Pipe};
use super::{Connection, Listener, Network};
use crate::entropy::{Entropy, SeededEntropy};

/// How a link (one direction between two hosts) treats what is written to it. The mishaps with bytes are worse than
/// TCP's: they are what a broken or hostile box between the two does.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LinkFaults {
    /// Nothing arrives; what is written waits, and arrives once the link is whole again. Connections are not opened.
    pub blocked: bool,
    /// How long each write is under way.
    pub delay: Duration,
    /// One write in so many has a bit flipped; 0: none.
    pub flip_one_in: u64,
    /// One write in so many arrives twice; 0: none.
    pub repeat_one_in: u64,
    /// One write in so many is left out; 0: none.
    pub lose_one_in: u64,
    /// One write in so many breaks the connection; 0: none.
    pub cut_one_in: u64,
    /// Whether reads give few bytes at a time, of random number.
    pub short_reads: bool,
}

/// What happens to one write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mishap {
    None,
    Flipped,
    Repeated,
    Lost,
    Cut,
}

/// One direction between two hosts.
#[derive(Debug)]
pub(super) struct Link {
    faults: Mutex<LinkFaults>,
    dice: SeededEntropy,
}

impl Link {
    pub(super) fn faults(&self) -> LinkFaults {
        *self.faults.lock()
    }

    /// Decides on a write, and flips the bit where that is decided.
    pub(super) fn mishap(&self, bytes: &mut [u8]) -> Mishap {
        let faults = self.faults();
        let strikes = |one_in: u64| one_in != 0 && self.dice.number().is_multiple_of(one_in);
        if strikes(faults.cut_one_in) {
            return Mishap::Cut;
        }
        if strikes(faults.lose_one_in) {
            return Mishap::Lost;
        }
        if strikes(faults.repeat_one_in) {
            return Mishap::Repeated;
        }
        if !bytes.is_empty() && strikes(faults.flip_one_in) {
            let bit = self.dice.number() as usize % (bytes.len() * 8);
            bytes[bit / 8] ^= 1 << (bit % 8);
            return Mishap::Flipped;
        }
        Mishap::None
    }

    pub(super) fn read_bytes_max(&self) -> usize {
        if self.faults().short_reads { 1 + (self.dice.number() % 100) as usize } else { usize::MAX }
    }
}

/// A network in memory: hosts by name, and a link with its own faults for each direction between two of them.
///
/// Delays are tokio's time, so that they pass at once where that is paused or simulated.
#[derive(Debug, Clone)]
pub struct MemoryNetwork {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    seed: u64,
    state: Mutex<State>,
    /// Links were changed.
    changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    listeners: HashMap<String, mpsc::UnboundedSender<(End, String)>>,
    links: HashMap<(String, String), Arc<Link>>,
    pipes: Vec<(String, String, Weak<Pipe>)>,
    ports: u16,
}

impl MemoryNetwork {
    /// An empty, whole network; its mishaps follow from the seed.
    pub fn new(seed: u64) -> Self {
        Self { shared: Arc::new(Shared { seed, state: Mutex::default(), changed: Notify::new() }) }
    }

    /// The network as the host of this name sees it; it can listen at its own name's ports alone.
    pub fn host(&self, name: &str) -> MemoryHost {
        MemoryHost { name: name.to_owned(), network: self.clone() }
    }

    /// Changes how what `from` writes gets to `to`, for connections that are there too.
    pub fn set_faults(&self, from: &str, to: &str, faults: LinkFaults) {
        let mut state = self.shared.state.lock();
        *self.link(&mut state, from, to).faults.lock() = faults;
        let pipes = pipes_of(&mut state, |one, other| one == from && other == to);
        drop(state);
        pipes.iter().for_each(|pipe| pipe.wake());
        self.shared.changed.notify_waiters();
    }

    /// Changes both directions between two hosts.
    pub fn set_faults_between(&self, one: &str, other: &str, faults: LinkFaults) {
        self.set_faults(one, other, faults);
        self.set_faults(other, one, faults);
    }

    /// Breaks all connections between two hosts.
    pub fn cut(&self, one: &str, other: &str) {
        let between = |from: &str, to: &str| (from == one && to == other) || (from == other && to == one);
        let pipes = pipes_of(&mut self.shared.state.lock(), between);
        pipes.iter().for_each(|pipe| pipe.reset());
    }

    /// Breaks all connections of a host and stops its listeners, as its sudden death does.
    pub fn kill(&self, host: &str) {
        let mut state = self.shared.state.lock();
        state.listeners.retain(|address, _| host_of(address) != host);
        let pipes = pipes_of(&mut state, |from, to| from == host || to == host);
        drop(state);
        pipes.iter().for_each(|pipe| pipe.reset());
    }

    fn link(&self, state: &mut State, from: &str, to: &str) -> Arc<Link> {
        let dice = || {
            let name = from.bytes().chain([0]).chain(to.bytes());
            // FNV-1a: a seed of its own for each link, the same in every run.
            name.fold(self.shared.seed ^ 0xcbf2_9ce4_8422_2325, |hash, byte| {
                (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
            })
        };
        let link = state.links.entry((from.to_owned(), to.to_owned()));
        Arc::clone(
            link.or_insert_with(|| Arc::new(Link { faults: Mutex::default(), dice: SeededEntropy::new(dice()) })),
        )
    }

    async fn connect(&self, from: &str, address: &str) -> io::Result<End> {
        let to = host_of(address);
        loop {
            let changed = self.shared.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            let links = {
                let mut state = self.shared.state.lock();
                [self.link(&mut state, from, to), self.link(&mut state, to, from)]
            };
            if links.iter().all(|link| !link.faults().blocked) {
                return self.open(from, address, links);
            }
            changed.await;
        }
    }

    fn open(&self, from: &str, address: &str, [there, back]: [Arc<Link>; 2]) -> io::Result<End> {
        let to = host_of(address);
        let (there, back) = (Pipe::new(there), Pipe::new(back));
        let mut state = self.shared.state.lock();
        let listener = state.listeners.get(address).ok_or(io::ErrorKind::ConnectionRefused)?;
        let peer = End::new(&there, &back);
        listener.send((peer, format!("{from}:0"))).map_err(|_gone| io::ErrorKind::ConnectionRefused)?;
        state.pipes.retain(|(_, _, pipe)| pipe.strong_count() > 0);
        state.pipes.push((from.to_owned(), to.to_owned(), Arc::downgrade(&there)));
        state.pipes.push((to.to_owned(), from.to_owned(), Arc::downgrade(&back)));
        Ok(End::new(&back, &there))
    }
}

fn host_of(address: &str) -> &str {
    address.rsplit_once(':').map_or(address, |(host, _)| host)
}

fn pipes_of(state: &mut State, is_meant: impl Fn(&str, &str) -> bool) -> Vec<Arc<Pipe>> {
    let meant = state.pipes.iter().filter(|(from, to, _)| is_meant(from, to));
    meant.filter_map(|(_, _, pipe)| pipe.upgrade()).collect()
}

/// A [`MemoryNetwork`] as one host sees it.
#[derive(Debug, Clone)]
pub struct MemoryHost {
    name: String,
    network: MemoryNetwork,
}

#[async_trait]
impl Network for MemoryHost {
    async fn connect(&self, address: &str) -> io::Result<Box<dyn Connection>> {
        Ok(Box::new(self.network.connect(&self.name, address).await?))
    }

    async fn listen(&self, address: &str) -> io::Result<Box<dyn Listener>> {
        if host_of(address) != self.name {
            return Err(io::ErrorKind::AddrNotAvailable.into());
        }
        let mut state = self.network.shared.state.lock();
        let address = if address.ends_with(":0") {
            state.ports += 1;
            format!("{}:{}", self.name, 40_000 + state.ports)
        } else {
            address.to_owned()
        };
        let taken = state.listeners.get(&address).is_some_and(|listener| !listener.is_closed());
        if taken {
            return Err(io::ErrorKind::AddrInUse.into());
        }
        let (sender, connections) = mpsc::unbounded_channel();
        state.listeners.insert(address.clone(), sender);
        Ok(Box::new(MemoryListener { address, connections: tokio::sync::Mutex::new(connections) }))
    }
}

#[derive(Debug)]
struct MemoryListener {
    address: String,
    connections: tokio::sync::Mutex<mpsc::UnboundedReceiver<(End, String)>>,
}

#[async_trait]
impl Listener for MemoryListener {
    async fn accept(&self) -> io::Result<(Box<dyn Connection>, String)> {
        let next = self.connections.lock().await.recv().await;
        // Its host was killed: nobody comes any more.
        let (end, peer) = next.ok_or(io::ErrorKind::ConnectionAborted)?;
        Ok((Box::new(end), peer))
    }

    fn local_address(&self) -> io::Result<String> {
        Ok(self.address.clone())
    }
}
