//! The outside world as traits: clock, entropy, disks, networks, memory and blocking work.
//!
//! Everything that differs from run to run comes in through here, so that a test puts a clock it turns by hand, a
//! seeded entropy or a faulty disk in its place; `.clippy.toml` bans the direct calls elsewhere. This crate knows
//! nothing of S3, shards or the index.
//!
//! Each trait has one contract suite in [`contract`] that runs on every implementation.

pub mod buffers;
pub mod clock;
mod code_pages;
pub mod contract;
pub mod disk;
pub mod entropy;
pub mod faulty;
mod left_out;
pub mod net;
pub mod process;
pub mod slices;
pub mod stage;
pub mod threads;
pub mod workers;

pub use buffers::{BudgetError, Buffer, BufferPool, MemoryBudget, Reservation};
pub use clock::{Clock, ManualClock, SystemClock};
pub use code_pages::give_back_code_pages;
pub use disk::{
    Create, DIRECT_ALIGNMENT, DirectoryLock, Disk, DiskFile, DiskSpace, FileStatus, OpenOptions, Place, RealDisk,
};
pub use entropy::{Entropy, SeededEntropy, SystemEntropy};
pub use faulty::FaultyDisk;
pub use left_out::leaves_out;
pub use net::{Connection, LinkFaults, Listener, MemoryHost, MemoryNetwork, Network, TcpNetwork};
pub use process::{process_cpu_time, process_owner};
pub use slices::prefer_short_slices;
pub use stage::{Pace, Stage};
pub use workers::Workers;
