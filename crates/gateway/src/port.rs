//! A port that is taken and on which nobody answers yet.
//!
//! A server takes its ports before it touches a disk, and listens only once it serves: until then clients are refused
//! at once, as by a process that is not there, instead of being kept waiting.

use std::io;
use std::net::SocketAddr;

use tokio::net::{TcpListener, TcpSocket};

/// Connections that the kernel keeps for us while we are busy.
const BACKLOG: u32 = 4096;

/// A port that this process alone can listen on.
#[derive(Debug)]
pub struct Port {
    socket: TcpSocket,
    address: SocketAddr,
}

impl Port {
    /// Takes a port; 0 takes a free one.
    ///
    /// # Errors
    /// `AddrInUse`, `AddrNotAvailable`, `PermissionDenied` for low ports; what the operating system says else.
    pub fn take(address: SocketAddr) -> io::Result<Self> {
        let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        // A restart must not wait for the old process's connections to be forgotten.
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        let address = socket.local_addr()?;
        Ok(Self { socket, address })
    }

    /// Its address, with the number that was taken.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Lets clients in.
    ///
    /// # Errors
    /// `AddrInUse` where another process took the same port in the same moment.
    pub fn listen(self) -> io::Result<TcpListener> {
        self.socket.listen(BACKLOG)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_port_that_somebody_listens_on_is_not_taken_and_one_that_is_taken_refuses_clients() {
        let port = Port::take(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        let address = port.address();
        let refused = tokio::net::TcpStream::connect(address).await.unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
        let _listener = port.listen().unwrap();
        tokio::net::TcpStream::connect(address).await.unwrap();
        assert_eq!(Port::take(address).unwrap_err().kind(), io::ErrorKind::AddrInUse);
    }
}
