//! Accepting connections, and draining them.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

use crate::activity::Activity;
use crate::connection::serve_connection;
use crate::gateway::GatewayCore;

/// How long accepting rests when the process or machine has no room for another socket.
const REST: Duration = Duration::from_millis(100);

/// How the listener is told to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Serving {
    /// Go on.
    On,
    /// Take no more connections, let requests under way end; after this time break off what is left.
    Draining(Duration),
}

/// Serves connections until draining ends. Returns whether all ended by themselves.
pub(crate) async fn serve(
    core: Arc<GatewayCore>,
    listener: TcpListener,
    mut serving: watch::Receiver<Serving>,
) -> bool {
    let slots = Arc::new(Semaphore::new(core.settings.connections_max));
    let mut connections = JoinSet::new();
    let open = Arc::new(OpenConnections::default());
    let patience = loop {
        tokio::select! {
            biased;
            patience = draining(&mut serving) => break patience,
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
            (socket, peer, slot) = accept(&listener, &slots) => {
                let core = Arc::clone(&core);
                let tls = core.settings.tls.as_ref().map(crate::tls::Tls::acceptor);
                let (activity, entry) = open.enter();
                connections.spawn(async move {
                    serve_connection(core, socket, peer, tls, activity).await;
                    drop((entry, slot));
                });
            }
        }
    };
    // New clients are refused from here on, not kept waiting.
    drop(listener);
    open.drain();
    let ended = tokio::time::timeout(patience, async { while connections.join_next().await.is_some() {} }).await;
    if ended.is_err() {
        tracing::warn!(connections = connections.len(), "drain time is over, connections broken off");
        connections.shutdown().await;
    }
    ended.is_ok()
}

async fn draining(serving: &mut watch::Receiver<Serving>) -> Duration {
    loop {
        if let Serving::Draining(patience) = *serving.borrow_and_update() {
            return patience;
        }
        if serving.changed().await.is_err() {
            return Duration::ZERO; // The handle is gone: nobody wants the gateway any more.
        }
    }
}

async fn accept(
    listener: &TcpListener,
    slots: &Arc<Semaphore>,
) -> (TcpStream, SocketAddr, tokio::sync::OwnedSemaphorePermit) {
    let slot = Arc::clone(slots).acquire_owned().await.expect("the semaphore is never closed");
    loop {
        match listener.accept().await {
            Ok((socket, peer)) => return (socket, peer, slot),
            Err(error) if is_of_one_connection(&error) => {}
            Err(error) => {
                tracing::error!(%error, "no connection can be accepted");
                tokio::time::sleep(REST).await;
            }
        }
    }
}

/// Whether an error of accept is that of a client that went away, not ours.
fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionRefused
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::Interrupted
    )
}

/// The connections that draining must tell.
#[derive(Debug, Default)]
struct OpenConnections(Mutex<Entries>);

#[derive(Debug, Default)]
struct Entries {
    next: u64,
    drains: bool,
    open: HashMap<u64, Weak<Activity>>,
}

struct Entry {
    number: u64,
    of: Arc<OpenConnections>,
}

impl OpenConnections {
    fn enter(self: &Arc<Self>) -> (Arc<Activity>, Entry) {
        let activity = Arc::new(Activity::default());
        let mut entries = self.0.lock();
        let number = entries.next;
        entries.next += 1;
        entries.open.insert(number, Arc::downgrade(&activity));
        if entries.drains {
            activity.drain();
        }
        (activity, Entry { number, of: Arc::clone(self) })
    }

    fn drain(&self) {
        let mut entries = self.0.lock();
        entries.drains = true;
        for activity in entries.open.values().filter_map(Weak::upgrade) {
            activity.drain();
        }
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.of.0.lock().open.remove(&self.number);
    }
}
