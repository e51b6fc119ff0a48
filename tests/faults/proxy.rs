//! A way to a node that is slow, loses what goes over it, or changes it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// What becomes of bytes on their way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Line {
    /// They arrive.
    Good,
    /// They arrive later.
    Slow(Duration),
    /// One bit of every so many bytes is turned over.
    Flipping(u64),
    /// Connections break after so many bytes, in the midst of whatever it is.
    Breaking(u64),
}

/// Listens in a node's place.
pub struct Proxy {
    address: String,
    line: watch::Sender<Line>,
}

impl Proxy {
    /// A way to `target`.
    pub async fn to(target: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("it listens").to_string();
        let line = watch::Sender::new(Line::Good);
        let counted = Arc::new(AtomicU64::new(0));
        let of_each = line.subscribe();
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                let Ok(far) = TcpStream::connect(&target).await else { continue };
                let ((near_in, near_out), (far_in, far_out)) = (near.into_split(), far.into_split());
                tokio::spawn(carry(near_in, far_out, of_each.clone(), counted.clone()));
                tokio::spawn(carry(far_in, near_out, of_each.clone(), counted.clone()));
            }
        });
        Self { address, line }
    }

    /// Where it listens.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// What becomes of bytes from now on.
    pub fn set(&self, line: Line) {
        self.line.send_replace(line);
    }
}

/// Carries bytes one way until an end is closed or the line breaks. `counted` are the bytes of all connections.
async fn carry(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, line: watch::Receiver<Line>, counted: Arc<AtomicU64>) {
    let mut buffer = vec![0; 64 << 10];
    while let Ok(count) = from.read(&mut buffer).await {
        if count == 0 {
            break;
        }
        let bytes = &mut buffer[..count];
        let before = counted.fetch_add(count as u64, Ordering::Relaxed);
        let crossed = |every: u64| {
            let next = before.next_multiple_of(every) - before;
            usize::try_from(next).ok().filter(|at| *at < count)
        };
        let now = *line.borrow();
        match now {
            Line::Good => {}
            Line::Slow(delay) => tokio::time::sleep(delay).await,
            Line::Flipping(every) => {
                if let Some(at) = crossed(every) {
                    bytes[at] ^= 1 << (before % 8);
                }
            }
            Line::Breaking(every) => {
                if let Some(at) = crossed(every) {
                    // A part of it arrives; then both ends see the connection end.
                    let _ = to.write_all(&bytes[..at]).await;
                    break;
                }
            }
        }
        if to.write_all(bytes).await.is_err() {
            break;
        }
    }
}
