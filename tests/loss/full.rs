//! Two disks that fill up under the server.

use super::*;
use crate::mounts::{FileSystem, Filling};

/// Room for what a test writes several times over.
const DISK: FileSystem = FileSystem::Tmpfs(384 << 20);
async fn two_full_disks(first: usize, second: usize) {
    // The other four have half as much room as six: what is deleted must not stay for an hour.
    let Some(server) = Server::start_on(DISK, 6, &["--garbage-grace", "1m"]) else { return };
    let mut fillings = Vec::new();
    two_disks_may_go(server, first, second, |server, disk| fillings.push(Filling::of(&[server.disk(disk)]))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_full_disks_lose_nothing_the_first_ones() {
    two_full_disks(1, 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_full_disks_lose_nothing_later_ones() {
    two_full_disks(3, 5).await;
}
