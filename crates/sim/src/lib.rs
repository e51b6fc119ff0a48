//! The whole cluster in one thread, by a seed: nodes and gateways of the real code over a network, disks and clocks that
//! fail, clients that note what they did and heard, and invariants that must hold of every history.
//!
//! [`run`] is one seed from beginning to end. What is simulated and what is real, see docs/decisions/0011-simulator.md;
//! how threads become steps, `platform::stage`. This crate knows what is promised, and nothing of how it is kept: it asks
//! through S3's operations, and looks at rows of the index only to compare replicas.

pub mod history;
pub mod invariants;
pub mod linearizability;

mod aftermath;
mod client;
mod clock;
mod cluster;
mod front;
mod gate;
mod machine;
mod mishaps;
mod model;
mod nemesis;
mod operator;
mod plug;
mod role;
mod run;
mod storage;
mod values;

pub use mishaps::Mishaps;
pub use run::{Report, Scenario, run};
