//! Memory for bodies: one byte budget, and buffers that are used again.
//!
//! Fresh pages cost more CPU than sending or receiving the bytes in them, so buffers go back to their pool. The budget
//! is what bounds a gateway's memory: a transfer reserves before it takes its first byte, first come first served.

mod budget;
mod pool;

pub use budget::{BudgetError, MemoryBudget, Reservation};
pub use pool::{Buffer, BufferPool};
