//! How long things may take, and how many there may be at a time.

use std::time::Duration;

/// How long things may take, and how many there may be at a time.
#[derive(Debug, Clone, Copy)]
pub struct RpcSettings {
    /// Opening a connection, the handshake included.
    pub connect_timeout: Duration,
    /// How long a gateway whose credential is not known waits for it to become known: it may just have been added, and
    /// nodes look for that once a second. Less than `connect_timeout`.
    pub credential_patience: Duration,
    /// After a connection could not be opened, calls to that node fail at once for so long.
    pub reconnect_pause: Duration,
    /// Appending a shard, or changing anything else on a disk.
    pub append_timeout: Duration,
    /// Reading a shard.
    pub read_timeout: Duration,
    /// A command or query to the index.
    pub index_timeout: Duration,
    /// A connection on which nothing came for so long is asked for a sign of life.
    pub keepalive: Duration,
    /// A connection on which nothing came for so long, although something was to come, is given up; so is one whose
    /// peer takes nothing for so long.
    pub silence_max: Duration,
    /// How long a body that comes in waits for its memory.
    pub memory_patience: Duration,
    /// Connections to one node for shards.
    pub bulk_connections: usize,
    /// Requests of small messages that one connection may leave unanswered.
    pub small_in_flight_max: u32,
    /// Requests of shards that one connection may leave unanswered.
    pub bulk_in_flight_max: u32,
}

impl Default for RpcSettings {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(3),
            credential_patience: Duration::from_secs(2),
            reconnect_pause: Duration::from_millis(200),
            append_timeout: Duration::from_secs(10),
            read_timeout: Duration::from_secs(10),
            index_timeout: Duration::from_secs(10),
            keepalive: Duration::from_secs(2),
            silence_max: Duration::from_secs(4),
            memory_patience: Duration::from_secs(2),
            bulk_connections: 2,
            small_in_flight_max: 1024,
            bulk_in_flight_max: 64,
        }
    }
}
