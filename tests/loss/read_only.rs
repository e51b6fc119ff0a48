//! Disks that turn read-only under the server.

use super::*;
use crate::mounts::{FileSystem, Mounts};

fn turn_read_only(server: &mut Server, disk: usize) {
    server.with_mount(disk, Mounts::turn_read_only);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_read_only_disks_lose_nothing_the_first_ones() {
    let Some(server) = Server::start_on(FileSystem::Tmpfs(1 << 30), 6, &[]) else { return };
    two_disks_may_go(server, 1, 2, turn_read_only).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_read_only_disks_lose_nothing_later_ones() {
    let Some(server) = Server::start_on(FileSystem::Tmpfs(1 << 30), 6, &[]) else { return };
    two_disks_may_go(server, 3, 5, turn_read_only).await;
}

/// ext4 turns read-only when it finds itself damaged, under files that are open for writing.
#[tokio::test(flavor = "multi_thread")]
async fn two_file_systems_that_turn_read_only_by_themselves_lose_nothing() {
    let Some(server) = Server::start_on(FileSystem::Ext4(1 << 30), 6, &[]) else { return };
    two_disks_may_go(server, 1, 3, turn_read_only).await;
}
