//! The rules of `apply`, one by one: what each command answers, and what it leaves.

mod buckets;
mod documents;
mod entries;
mod identities;
mod lifecycle;
mod locks;
mod rows;
mod splits;
mod system;
mod tags;
mod tickets;
mod upkeep;
mod uploads;
mod versions;
mod world;
