//! Everything that a client can see of a server, as plain data that can be kept and compared.

use std::collections::BTreeMap;

use aws_sdk_s3::Client;
use aws_sdk_s3::operation::get_object::GetObjectOutput;
use aws_sdk_s3::primitives::DateTime;
use aws_sdk_s3::types::{ChecksumMode, ObjectAttributes};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

/// Fails with the first thing that differs.
pub fn assert_same(before: &Value, now: &Value) {
    let (before, now) = (before.as_object().expect("buckets"), now.as_object().expect("buckets"));
    for (bucket, seen) in before {
        let found = now.get(bucket).unwrap_or_else(|| panic!("bucket {bucket} is gone"));
        for (what, seen) in seen.as_object().expect("of a bucket") {
            assert_eq!(found.get(what), Some(seen), "{what} of bucket {bucket}");
        }
    }
    assert_eq!(before, now);
}

/// What is seen of all buckets, by name.
pub async fn see(client: &Client) -> Value {
    let mut buckets = Map::new();
    for bucket in client.list_buckets().send().await.expect("buckets").buckets() {
        let name = bucket.name().expect("a bucket has a name");
        let mut seen = see_bucket(client, name).await;
        seen.insert("created".to_owned(), time(bucket.creation_date()));
        buckets.insert(name.to_owned(), seen.into());
    }
    buckets.into()
}

async fn see_bucket(client: &Client, bucket: &str) -> Map<String, Value> {
    let mut seen = Map::new();
    let versioning = client.get_bucket_versioning().bucket(bucket).send().await.expect("versioning");
    seen.insert("versioning".to_owned(), json!(versioning.status().map(|status| status.as_str())));
    seen.extend(see_documents(client, bucket).await);
    let listed = client.list_objects_v2().bucket(bucket).send().await.expect("listed");
    let objects = listed.contents().iter().map(|object| {
        json!([object.key(), object.size(), object.e_tag(), object.storage_class().map(|class| class.as_str())])
    });
    seen.insert("listed".to_owned(), objects.collect());
    let versions = client.list_object_versions().bucket(bucket).send().await.expect("versions");
    for marker in versions.delete_markers() {
        let name = format!("marker {:?} {}", marker.key().expect("a key"), marker.version_id().expect("an id"));
        seen.insert(name, json!([marker.is_latest(), time(marker.last_modified())]));
    }
    for version in versions.versions() {
        let (key, id) = (version.key().expect("a key"), version.version_id().expect("an id"));
        let of_version = json!({
            "latest": version.is_latest(),
            "listed": [version.size(), version.e_tag(), time(version.last_modified())],
            "read": read(client, bucket, key, id).await,
            "attributes": attributes(client, bucket, key, id).await,
        });
        seen.insert(format!("version {key:?} {id}"), of_version);
    }
    let uploads = client.list_multipart_uploads().bucket(bucket).send().await.expect("uploads");
    for upload in uploads.uploads() {
        let (key, id) = (upload.key().expect("a key"), upload.upload_id().expect("an id"));
        let parts = client.list_parts().bucket(bucket).key(key).upload_id(id).send().await.expect("parts");
        let parts = parts
            .parts()
            .iter()
            .map(|part| json!([part.part_number(), part.size(), part.e_tag(), time(part.last_modified())]));
        seen.insert(format!("upload {key:?} {id}"), json!([time(upload.initiated()), parts.collect::<Value>()]));
    }
    seen
}

/// What S3 keeps with a bucket; nothing is said of what isn't there, as builds from before there were documents said
/// nothing of any.
async fn see_documents(client: &Client, bucket: &str) -> Map<String, Value> {
    let mut seen = Map::new();
    if let Ok(cors) = client.get_bucket_cors().bucket(bucket).send().await {
        let rules = cors.cors_rules().iter().map(|rule| json!([rule.allowed_origins(), rule.allowed_methods()]));
        seen.insert("cors".to_owned(), rules.collect());
    }
    if let Ok(tagging) = client.get_bucket_tagging().bucket(bucket).send().await {
        let tags = tagging.tag_set().iter().map(|tag| json!([tag.key(), tag.value()]));
        seen.insert("tagging".to_owned(), tags.collect());
    }
    for key in ["described", "inline", "parts"] {
        // Older builds' clients did not look at tags: those that were set later are told by their key.
        let tagged = client.get_object_tagging().bucket(bucket).key(key).send().await;
        if let Some(tag) = tagged.iter().flat_map(|tagged| tagged.tag_set()).find(|tag| tag.key() == "golden") {
            seen.insert(format!("tag of {key}"), json!(tag.value()));
        }
    }
    seen
}

/// Headers and body of a version.
async fn read(client: &Client, bucket: &str, key: &str, id: &str) -> Value {
    let get = client.get_object().bucket(bucket).key(key).version_id(id).checksum_mode(ChecksumMode::Enabled);
    let got = get.send().await.unwrap_or_else(|error| panic!("GET {key} {id}: {error:?}"));
    let mut seen = headers(&got);
    let body =
        got.body.collect().await.unwrap_or_else(|error| panic!("the body of {key} {id}: {error:?}")).into_bytes();
    seen["bytes"] = json!(body.len());
    seen["sha256"] = json!(hex::encode(Sha256::digest(&body)));
    seen
}

fn headers(got: &GetObjectOutput) -> Value {
    let metadata: BTreeMap<&String, &String> = got.metadata().into_iter().flatten().collect();
    json!({
        "last_modified": time(got.last_modified()),
        "etag": got.e_tag(),
        "version_id": got.version_id(),
        "content_type": got.content_type(),
        "content_encoding": got.content_encoding(),
        "content_disposition": got.content_disposition(),
        "content_language": got.content_language(),
        "cache_control": got.cache_control(),
        "metadata": metadata,
        "tags": got.tag_count(),
        "parts": got.parts_count(),
        "crc32": got.checksum_crc32(),
        "crc32c": got.checksum_crc32_c(),
        "crc64nvme": got.checksum_crc64_nvme(),
        "sha1": got.checksum_sha1(),
        "sha256_sent": got.checksum_sha256(),
        "checksum_type": got.checksum_type().map(|of| of.as_str()),
    })
}

async fn attributes(client: &Client, bucket: &str, key: &str, id: &str) -> Value {
    let wanted = [
        ObjectAttributes::Etag,
        ObjectAttributes::ObjectSize,
        ObjectAttributes::StorageClass,
        ObjectAttributes::ObjectParts,
    ];
    let asked = client.get_object_attributes().bucket(bucket).key(key).version_id(id);
    let got = asked.set_object_attributes(Some(wanted.into())).send().await.expect("attributes");
    let parts = got.object_parts().map(|parts| {
        let listed = parts.parts().iter().map(|part| json!([part.part_number(), part.size(), part.checksum_sha256()]));
        json!([parts.total_parts_count(), listed.collect::<Value>()])
    });
    json!([got.e_tag(), got.object_size(), got.storage_class().map(|class| class.as_str()), parts])
}

fn time(time: Option<&DateTime>) -> Value {
    json!(time.map(DateTime::to_string))
}
