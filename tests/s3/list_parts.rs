//! ListParts: what an upload has so far, in pages.

use super::code_of;
use super::complete_multipart_upload::{begin, part};
use crate::server::Server;

#[tokio::test]
async fn parts_are_listed_in_pages() {
    let server = Server::shared();
    let (client, bucket) = (server.client(), server.bucket().await);
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
