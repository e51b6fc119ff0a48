//! PutObjectLegalHold and GetObjectLegalHold.

use aws_sdk_s3::types::ObjectLockLegalHoldStatus;

use super::object_lock::{hold, locked};
use super::raw::request;
use super::{code_of, fresh, put};
use crate::server::Server;

#[tokio::test]
async fn a_legal_hold_holds_one_version_until_it_is_lifted() {
    let (client, bucket) = locked().await;
    let (_, older) = put(&client, &bucket, "k", b"older").await;
    let (_, newest) = put(&client, &bucket, "k", b"newest").await;
    let (older, newest) = (older.expect("an id"), newest.expect("an id"));
    let before = client.head_object().bucket(&bucket).key("k").version_id(&older).send().await.expect("HEAD");
    let set = |status| {
        let set = client.put_object_legal_hold().bucket(&bucket).key("k").version_id(&older);
        set.legal_hold(hold(status)).send()
    };
    let read = |version: &str| client.get_object_legal_hold().bucket(&bucket).key("k").version_id(version).send();
    assert_eq!(code_of(read(&older).await), "NoSuchObjectLockConfiguration");
    let delete = |version: &str| {
        let delete = client.delete_object().bucket(&bucket).key("k").version_id(version);
        delete.bypass_governance_retention(true).send()
    };
    set(ObjectLockLegalHoldStatus::On).await.expect("set");
    assert_eq!(read(&older).await.expect("a hold").legal_hold, Some(hold(ObjectLockLegalHoldStatus::On)));
    assert_eq!(code_of(read(&newest).await), "NoSuchObjectLockConfiguration");
    assert_eq!(code_of(delete(&older).await), "AccessDenied");
    delete(&newest).await.expect("another version is held by nothing");
    let after = client.head_object().bucket(&bucket).key("k").send().await.expect("HEAD");
    assert_eq!(after.version_id(), Some(older.as_str()), "the newest that is left");
    assert_eq!((after.last_modified(), after.e_tag()), (before.last_modified(), before.e_tag()));
    set(ObjectLockLegalHoldStatus::Off).await.expect("lifted");
    assert_eq!(read(&older).await.expect("a hold").legal_hold, Some(hold(ObjectLockLegalHoldStatus::Off)));
    delete(&older).await.expect("held by nothing");
}

#[tokio::test]
async fn what_takes_no_legal_hold_says_why() {
    let (client, bucket) = locked().await;
    put(&client, &bucket, "k", b"x").await;
    let target = |key: &str| format!("/{bucket}/{key}?legal-hold");
    let send = |target: &str, document: &str| request(Server::shared(), "PUT", target, &[], document.as_bytes());
    for document in ["", "<LegalHold/>", "<LegalHold><Status>abc</Status></LegalHold>", "<Other/>"] {
        assert_eq!(send(&target("k"), document).error(), (400, "MalformedXML"), "{document}");
    }
    let on = "<LegalHold><Status>ON</Status></LegalHold>";
    assert_eq!(send(&target("none"), on).error(), (404, "NoSuchKey"));
    assert_eq!(send(&format!("{}&versionId=null", target("k")), on).error(), (404, "NoSuchVersion"));
    client.delete_object().bucket(&bucket).key("k").send().await.expect("a marker");
    assert_eq!(send(&target("k"), on).error(), (405, "MethodNotAllowed"));
    assert_eq!(request(Server::shared(), "GET", &target("k"), &[], b"").error(), (404, "NoSuchKey"));

    let (client, open) = fresh().await;
    put(&client, &open, "k", b"x").await;
    let words = "Bucket is missing Object Lock Configuration";
    for (method, body) in [("GET", ""), ("PUT", on)] {
        let refused = request(Server::shared(), method, &format!("/{open}/k?legal-hold"), &[], body.as_bytes());
        assert_eq!((refused.error(), refused.element("Message")), ((400, "InvalidRequest"), Some(words)), "{method}");
    }
}
