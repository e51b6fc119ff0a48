//! What rpc promises, between a server and clients that know each other by a network alone.

mod authentication;
mod bad_network;
mod calls;
mod contracts;
mod directory;
mod gateways;
mod joining;
mod raft;
mod world;
