//! Networks: connections that carry bytes in order, or break.
//!
//! Nobody above may take a connection for more than that: the peer can be anyone, and bytes can be those of anyone.

mod memory;
mod pipe;
mod tcp;
#[cfg(test)]
mod tests;

use std::fmt;
use std::io;

use async_trait::async_trait;
use tokio::io::{AsyncRead, AsyncWrite};

pub use memory::{LinkFaults, MemoryHost, MemoryNetwork};
pub use tcp::TcpNetwork;

/// One side's way to all others. An address is `host:port`; what a host is, is the network's matter.
#[async_trait]
pub trait Network: Send + Sync + fmt::Debug {
    /// Opens a connection to whoever listens at `address`. It waits as long as the network lets it: the caller bounds
    /// the time.
    ///
    /// # Errors
    /// Nobody listens there, or the way there is known to be broken.
    async fn connect(&self, address: &str) -> io::Result<Box<dyn Connection>>;

    /// Takes connections at `address`; port 0 stands for any that is free.
    ///
    /// # Errors
    /// The address is taken, or not of this host.
    async fn listen(&self, address: &str) -> io::Result<Box<dyn Listener>>;
}

/// A place where connections come in; it is given up when dropped.
#[async_trait]
pub trait Listener: Send + Sync + fmt::Debug {
    /// The next connection and the address that it comes from, for log lines. Dropping the future loses none.
    ///
    /// # Errors
    /// One connection failed, or there is no room for more now; later ones may come.
    async fn accept(&self) -> io::Result<(Box<dyn Connection>, String)>;

    /// Where it listens, the port included.
    ///
    /// # Errors
    /// The operating system doesn't say.
    fn local_address(&self) -> io::Result<String>;
}

/// One connection. Small writes leave at once; several slices are written by one call where they fit.
pub trait Connection: AsyncRead + AsyncWrite + Send + Unpin + fmt::Debug {
    /// The two directions, each for a task of its own. The peer sees the end when the writing one is dropped.
    fn split(self: Box<Self>) -> (ReadHalf, WriteHalf);
}

/// What comes in.
pub type ReadHalf = Box<dyn AsyncRead + Send + Unpin>;
/// What goes out.
pub type WriteHalf = Box<dyn AsyncWrite + Send + Unpin>;
