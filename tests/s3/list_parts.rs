//! ListParts: what an upload has so far, in pages.

use aws_sdk_s3::types::{ChecksumAlgorithm, ChecksumType};

use super::complete_multipart_upload::{begin, part};
use super::raw::request;
use super::{code_of, fresh};
use crate::server::Server;

#[tokio::test]
async fn parts_are_listed_in_pages() {
    let (client, bucket) = fresh().await;
    let upload = begin(&client, &bucket, "k").await;
    for number in [3, 1, 9] {
        part(&client, &bucket, "k", &upload, number, vec![0; 100]).await;
    }
    let list = || client.list_parts().bucket(&bucket).key("k").upload_id(&upload);
    let first = list().max_parts(2).send().await.expect("a page");
    let numbers: Vec<_> = first.parts().iter().filter_map(|part| part.part_number()).collect();
    assert_eq!((numbers, first.is_truncated()), (vec![1, 3], Some(true)));
    let marker = first.next_part_number_marker.expect("more follow");
    let rest = list().part_number_marker(marker).send().await.expect("a page");
    assert_eq!((rest.parts()[0].part_number(), rest.parts()[0].size()), (Some(9), Some(100)));
    let unknown = client.list_parts().bucket(&bucket).key("k").upload_id("0123456789abcdef0123456789abcdef");
    assert_eq!(code_of(unknown.send().await), "NoSuchUpload");
}

#[tokio::test]
async fn parts_are_told_with_tag_size_time_and_checksum() {
    let (client, bucket) = fresh().await;
    let create = client.create_multipart_upload().bucket(&bucket).key("k").checksum_algorithm(ChecksumAlgorithm::Crc32);
    let upload = create.send().await.expect("begun").upload_id.expect("an id");
    let send = client.upload_part().bucket(&bucket).key("k").upload_id(&upload).part_number(2);
    let sent = send.checksum_crc32("NhCmhg==").body(b"hello".to_vec().into()).send().await.expect("a part");
    let listed = client.list_parts().bucket(&bucket).key("k").upload_id(&upload).send().await.expect("parts");
    let told = &listed.parts()[0];
    assert_eq!((told.part_number(), told.size(), told.e_tag()), (Some(2), Some(5), sent.e_tag()));
    assert!(told.last_modified().is_some());
    assert_eq!(told.checksum_crc32(), Some("NhCmhg=="));
    assert_eq!(listed.checksum_algorithm(), Some(&ChecksumAlgorithm::Crc32));
    assert_eq!(listed.checksum_type(), Some(&ChecksumType::Composite));
    let owner = listed.owner().and_then(|owner| owner.id());
    assert!(owner.is_some() && listed.initiator().and_then(|initiator| initiator.id()) == owner);
    assert_eq!(listed.storage_class().map(|class| class.as_str()), Some("STANDARD"));
}

#[tokio::test]
async fn limits_are_checked_and_the_upload_must_be_the_keys() {
    let (client, bucket) = fresh().await;
    let upload = begin(&client, &bucket, "k").await;
    part(&client, &bucket, "k", &upload, 1, vec![0; 100]).await;
    for query in ["max-parts=-1", "max-parts=x", "part-number-marker=x", "part-number-marker=-1"] {
        let target = format!("/{bucket}/k?uploadId={upload}&{query}");
        assert_eq!(request(Server::shared(), "GET", &target, &[], b"").error(), (400, "InvalidArgument"), "{query}");
    }
    let list = || client.list_parts().bucket(&bucket).upload_id(&upload);
    let none = list().key("k").max_parts(0).send().await.expect("no parts");
    assert_eq!((none.parts().len(), none.is_truncated()), (0, Some(false)));
    assert_eq!(list().key("k").max_parts(5000).send().await.expect("parts").max_parts(), Some(1000));
    let behind = list().key("k").part_number_marker("10000").send().await.expect("no parts");
    assert_eq!((behind.parts().len(), behind.is_truncated()), (0, Some(false)));
    assert_eq!(code_of(list().key("other").send().await), "NoSuchUpload");
    assert_eq!(code_of(list().key("k").bucket("no-such-bucket-here").send().await), "NoSuchBucket");
}
