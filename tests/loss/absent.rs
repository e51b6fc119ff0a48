//! More disks are missing than what is stored may lose: what cannot be read is told with the disks to bring back, and all is
//! there once they are. Those that were merely absent at a start come back by themselves.

use aws_sdk_s3::Client;

use crate::admin::get;
use crate::loss::delete;
use crate::server::Server;

/// Large enough for stripes of 4+2.
const BYTES: usize = 3 << 20;

async fn put(client: &Client, bucket: &str, key: &str) {
    let body = vec![key.as_bytes()[0]; BYTES];
    client.put_object().bucket(bucket).key(key).body(body.into()).send().await.expect("PUT");
}

async fn is_there(client: &Client, bucket: &str, key: &str) -> bool {
    let Ok(got) = client.get_object().bucket(bucket).key(key).send().await else { return false };
    let body = got.body.collect().await;
    body.is_ok_and(|body| body.into_bytes().iter().eq(vec![key.as_bytes()[0]; BYTES].iter()))
}

fn has(status: &str, condition: &str) -> bool {
    status.contains(&format!(r#""condition":"{condition}""#))
}

#[tokio::test(flavor = "multi_thread")]
async fn more_lost_disks_than_may_be_are_told_with_those_to_bring_back() {
    let server = Server::start(6);
    let (client, bucket) = (server.client(), server.bucket().await);
    put(&client, &bucket, "a").await;
    server.wait_for_status("it is whole", |status| has(status, "ready"));
    let aside = tempfile::TempDir::new_in(server.disk(1).parent().expect("a directory")).expect("a directory");
    let kept = |disk: usize| aside.path().join(disk.to_string());
    let take = |disk: usize| std::fs::rename(server.disk(disk), kept(disk)).expect("a disk is taken away");
    take(2);
    server.wait_for_status("a disk is missing", |status| has(status, "degraded"));
    assert!(is_there(&client, &bucket, "a").await);
    assert!(server.shown_status().contains(&format!("bring back or replace {}", server.disk(2).display())));
    take(3);
    take(5);
    server.wait_for_status("more are missing than may be", |status| {
        has(status, "unreadable") && status.matches(r#""state":"down""#).count() == 3
    });
    assert!(!is_there(&client, &bucket, "a").await);
    let paths = [2, 3, 5].map(|disk| server.disk(disk).display().to_string()).join(", ");
    let (told, page) = (server.shown_status(), get(&server, "/readyz"));
    let wanted = format!("bring back at least 1 of {paths}");
    assert!(told.contains("UNREADABLE: ") && told.contains(&wanted), "{told}");
    assert!(told.contains("3 missing of 4+2: more than may be, what was stored before can NOT all be read"), "{told}");
    // What comes now is stored and read: requests should come here.
    assert!(page.0.contains("200") && page.1.starts_with("ok, but ") && page.1.contains(&wanted), "{page:?}");
    put(&client, &bucket, "b").await;
    assert!(is_there(&client, &bucket, "b").await);
    // They failed while they were served, so they wait for a command, which takes their directories.
    for disk in [2, 3, 5] {
        std::fs::rename(kept(disk), server.disk(disk)).expect("it is back");
    }
    server.admin(&["readmit", server.disk(5).to_str().expect("UTF-8")]);
    server.wait_for_status("all can be read", |status| has(status, "degraded"));
    assert!(is_there(&client, &bucket, "a").await && get(&server, "/readyz").1 == "ok\n");
    for name in ["d2", "d3"] {
        server.admin(&["readmit", name]);
    }
    server.wait_for_status("it is whole", |status| has(status, "ready") && status.contains(r#""degraded_parts":0"#));
    for disk in [1, 6] {
        delete(&server.disk(disk));
    }
    assert!(is_there(&client, &bucket, "a").await && is_there(&client, &bucket, "b").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn directories_that_were_not_named_at_one_start_come_back_by_themselves() {
    let mut server = Server::start(6);
    let bucket = server.bucket().await;
    put(&server.client(), &bucket, "a").await;
    server.stop();
    server.restart_over(&[1, 4]);
    server.wait_for_status("what cannot be read is told", |status| {
        has(status, "unreadable") && status.contains("bring back at least 2 of")
    });
    assert!(!is_there(&server.client(), &bucket, "a").await);
    put(&server.client(), &bucket, "b").await;
    server.stop();
    server.restart();
    server.wait_for_status("all are in service, and hold what was written meanwhile", |status| {
        has(status, "ready")
            && status.matches(r#""state":"up""#).count() == 6
            && status.contains(r#""degraded_parts":0"#)
    });
    assert!(is_there(&server.client(), &bucket, "a").await && is_there(&server.client(), &bucket, "b").await);
    // They may be lost like all others.
    delete(&server.disk(1));
    delete(&server.disk(4));
    assert!(is_there(&server.client(), &bucket, "a").await && is_there(&server.client(), &bucket, "b").await);
}

/// One that failed is no absent one, also where it is not named afterwards.
#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_failed_stays_down_until_it_is_readmitted() {
    let mut server = Server::start(3);
    let aside = server.disk(1).with_file_name("aside");
    std::fs::rename(server.disk(3), &aside).expect("a disk is taken away");
    server.wait_for_status("the loss is noted", |status| status.contains(r#""state":"down""#));
    server.stop();
    server.restart_over(&[1, 2]);
    server.stop();
    std::fs::rename(&aside, server.disk(3)).expect("it is back");
    server.restart();
    let status = server.admin(&["status"]);
    assert!(has(&status, "degraded") && status.contains("it failed before"), "{status}");
    server.admin(&["readmit", "d3"]);
    server.wait_for_status("it is in service", |status| has(status, "ready"));
}
