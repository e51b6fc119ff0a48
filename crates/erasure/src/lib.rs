//! Bytes to k+m shards and back.
//!
//! The code is Reed-Solomon over GF(2^8) with the systematic Vandermonde matrix of `reed-solomon-erasure`
//! ([`CODE`]): shards 0..k are the data itself, k..k+m parity, and any k of them give back the rest. This crate knows no
//! stripes, no lengths and no I/O: it works on columns, the bytes at the same offsets of all shards, of whatever length
//! the caller has at hand.

mod coder;
mod cpu;
mod matrix;

pub use coder::{CODE, Coder, ErasureError};
pub use cpu::{CpuError, check_cpu};
