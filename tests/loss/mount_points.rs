//! Disks that are mounts: one that isn't mounted leaves a blank directory, which must not pass for a new disk.

use super::*;
use crate::mounts::{FileSystem, Mounts};

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_is_not_mounted_is_not_formatted_and_a_blank_mount_is_rebuilt() {
    let Some(mut server) = Server::start_on(FileSystem::Tmpfs(1 << 30), 6, &[]) else { return };
    let bucket = server.bucket().await;
    let answers = Arc::new(Answers::default());
    let mut writers: Vec<Writer> = (0..WRITERS).map(|number| Writer::new(number, KEYS)).collect();
    write_all(&server, &bucket, &mut writers, &answers).await;
    // Under load, so that whatever wants to make files there comes to it.
    server.with_mount(2, Mounts::unmount);
    write_all(&server, &bucket, &mut writers, &answers).await;
    server.wait_for_status("the loss is noticed", |status| status.matches(r#""state":"down""#).count() == 1);
    write_all(&server, &bucket, &mut writers, &answers).await;
    // Nor does a start take the directory under the mount for a disk.
    for start in 0..2 {
        let names: Vec<_> = std::fs::read_dir(server.disk(2)).expect("the directory is there").collect();
        assert!(names.is_empty(), "start {start}: the directory under the mount was written to: {names:?}");
        server.wait_for_status("it is down", |status| status.matches(r#""state":"down""#).count() == 1);
        check_all(&server, &bucket, &mut writers).await;
        if start == 0 {
            server.kill();
            server.restart();
        }
    }
    // A blank file system is mounted in its place.
    server.with_mount(2, Mounts::mount);
    server.wait_for_status("the disk is rebuilt and nothing is degraded", |status| {
        status.matches(r#""state":"up""#).count() == 6
            && status.contains(r#""rebuilding":[]"#)
            && status.contains(r#""degraded_parts":0"#)
    });
    // Only what was rebuilt there can make up for the loss of two others.
    server.with_mount(1, Mounts::unmount);
    server.with_mount(4, Mounts::unmount);
    write_all(&server, &bucket, &mut writers, &answers).await;
    check_all(&server, &bucket, &mut writers).await;
}
