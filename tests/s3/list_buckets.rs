//! ListBuckets: all of the caller's, by name, in pages.

use crate::server::Server;

#[tokio::test]
async fn buckets_are_listed_by_name_in_pages() {
    let server = Server::start(1);
    let client = server.client();
    for name in ["beta", "alpha", "gamma", "gamma-2"] {
        client.create_bucket().bucket(name).send().await.expect("created");
    }
    let mut pages = client.list_buckets().into_paginator().page_size(3).send();
    let mut names = Vec::new();
    let mut count = 0;
    while let Some(page) = pages.next().await {
        let page = page.expect("a page");
        assert!(page.buckets().len() <= 3 && page.owner().is_some());
        names.extend(page.buckets().iter().filter_map(|bucket| bucket.name().map(str::to_owned)));
        count += 1;
    }
    assert_eq!((names, count), (["alpha", "beta", "gamma", "gamma-2"].map(str::to_owned).to_vec(), 2));
    let some = client.list_buckets().prefix("gamma").send().await.expect("listed");
    assert_eq!(some.buckets().len(), 2);
}
