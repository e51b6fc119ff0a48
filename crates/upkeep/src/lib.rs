//! upkeep.
