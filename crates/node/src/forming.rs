//! Which nodes make a cluster: forms once, joins later.
//!
//! Every node is started with the same list of addresses. It asks all of them, and what they say decides: where one is
//! a member of a cluster, a blank node joins that; where all answer and all are blank, the one with the lowest id founds
//! a cluster of all; else everybody waits. So a node that lost its disks never founds a second cluster, and a list that
//! only part of the nodes answers to founds none.

mod decision;
mod messages;

pub(crate) use decision::{Decision, decide};
pub(crate) use messages::{Greeting, JoinReply, JoinRequest, Prepared, Stage};
