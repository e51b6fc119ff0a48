//! A machine's way to the network, which its death cuts for good: what still runs of it reaches nobody.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use platform::{Connection, Listener, MemoryHost, Network};

/// The network as one life of a machine sees it. Clones are the same plug.
#[derive(Debug, Clone)]
pub(crate) struct Plug {
    host: MemoryHost,
    pulled: Arc<AtomicBool>,
}

impl Plug {
    /// Plugs a machine in.
    pub(crate) fn new(host: MemoryHost) -> Self {
        Self { host, pulled: Arc::default() }
    }

    /// Nothing gets out any more; connections that are there have to be broken by the network.
    pub(crate) fn pull(&self) {
        self.pulled.store(true, Ordering::Relaxed);
    }

    fn check(&self) -> io::Result<()> {
        if self.pulled.load(Ordering::Relaxed) { Err(io::ErrorKind::NetworkUnreachable.into()) } else { Ok(()) }
    }
}

#[async_trait]
impl Network for Plug {
    async fn connect(&self, address: &str) -> io::Result<Box<dyn Connection>> {
        self.check()?;
        let connection = self.host.connect(address).await?;
        // It may have waited for a blocked link while the machine died.
        self.check()?;
        Ok(connection)
    }

    async fn listen(&self, address: &str) -> io::Result<Box<dyn Listener>> {
        self.check()?;
        self.host.listen(address).await
    }
}
