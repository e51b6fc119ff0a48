//! Disks that took others' places settle within seconds where the writers live: what is waited for is the tickets of before
//! the disks came, not those that writers took since.

use crate::loss::{check_all, delete, loaded};
use crate::server::Server;

/// All disks are there, and none waits for anything.
fn is_whole(server: &Server) {
    server.wait_for_status("all disks have settled", |status| {
        status.matches(r#""state":"up""#).count() == 6 && status.contains(r#""rebuilding":[],"settling":[]"#)
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn disks_that_are_replaced_together_settle_while_their_writers_live() {
    let (server, bucket, mut writers, _) = loaded().await;
    for disk in [1, 5] {
        delete(&server.disk(disk));
        std::fs::create_dir(server.disk(disk)).expect("a blank directory");
    }
    server.wait_for_status("both are noticed", |status| !status.contains(r#""rebuilding":[],"settling":[]"#));
    is_whole(&server);
    delete(&server.disk(2));
    delete(&server.disk(6));
    check_all(&server, &bucket, &mut writers).await;
}

/// The process was ended as it should be, so that no writer of before is left.
#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_is_replaced_at_a_start_settles_with_no_client_there() {
    let (mut server, bucket, mut writers, _) = loaded().await;
    server.stop();
    delete(&server.disk(3));
    server.restart();
    is_whole(&server);
    delete(&server.disk(2));
    delete(&server.disk(6));
    check_all(&server, &bucket, &mut writers).await;
}
