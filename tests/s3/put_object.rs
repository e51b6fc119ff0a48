//! PutObject: what was put is what is got, at every size at which the way of storing changes.

use aws_sdk_s3::primitives::ByteStream;

use crate::body::body;
use crate::server::Server;

#[tokio::test]
async fn objects_of_every_form_read_back() {
    let server = Server::shared();
    let (client, bucket) = (server.client(), server.bucket().await);
    let sizes = [0, 1, 4096, 4097, 65_536, 65_537, 1 << 20, (4 << 20) + 1, 9_000_001];
    for (seed, bytes) in sizes.into_iter().enumerate() {
        let (key, sent) = (format!("{bytes}-bytes"), body(bytes, seed as u64));
        client.put_object().bucket(&bucket).key(&key).body(sent.clone().into()).send().await.expect("PUT");
        let got = client.get_object().bucket(&bucket).key(&key).send().await.expect("GET");
        let got = ByteStream::collect(got.body).await.expect("the body arrives").into_bytes();
        assert!(got == sent, "{key}: {} bytes came back", got.len());
    }
}
