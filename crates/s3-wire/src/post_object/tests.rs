use http::Method;

use super::*;
use crate::{BaseDomains, Query, Target};

fn form(fields: &[(&str, &str)]) -> PostForm {
    let mut form = PostForm::default();
    for (name, value) in fields {
        form.add((*name).to_owned(), value.as_bytes().to_vec()).unwrap();
    }
    form
}

fn parsed(form: &PostForm) -> Result<PostObjectRequest, S3Error> {
    let target = Target::parse(None, "/bucket", &BaseDomains::new([])).unwrap();
    let (query, headers) = (Query::default(), HeaderMap::new());
    PostObjectRequest::parse(
        &RequestHead { method: &Method::POST, target: &target, query: &query, headers: &headers },
        form,
    )
}

#[test]
fn fields_stand_for_headers() {
    let request = parsed(&form(&[
        ("key", "a/b"),
        ("content-type", "image/png"),
        ("x-amz-meta-color", "blue"),
        ("acl", "private"),
        ("policy", "p"),
        ("x-amz-signature", "s"),
        ("x-ignore-me", "1"),
        ("content-md5", "1B2M2Y8AsgTpgAmY7PhCfg=="),
        ("success_action_status", "201"),
    ]))
    .unwrap();
    assert_eq!((request.bucket.as_str(), request.key.as_bytes()), ("bucket", &b"a/b"[..]));
    assert_eq!(request.attributes.headers, [("content-type".to_owned(), Bytes::from("image/png"))]);
    assert_eq!(request.attributes.metadata, [("color".to_owned(), Bytes::from("blue"))]);
    assert!(request.integrity.content_md5.is_some());
    assert_eq!(request.success, Success::Status(StatusCode::CREATED));
}

#[test]
fn what_a_form_cannot_ask_for_is_refused() {
    let refused = |fields: &[(&str, &str)]| parsed(&form(fields)).unwrap_err();
    let words =
        "Bucket POST must contain a field named 'key'.  If it is specified, please check the order of the fields.";
    assert_eq!(refused(&[]).message(), words);
    assert_eq!(refused(&[("key", "")]).code(), ErrorCode::InvalidArgument);
    assert_eq!(refused(&[("key", &"k".repeat(1025))]).code(), ErrorCode::KeyTooLongError);
    assert_eq!(refused(&[("key", "k"), ("acl", "public-read")]).code(), ErrorCode::NotImplemented);
    assert_eq!(refused(&[("key", "k"), ("x-amz-server-side-encryption", "AES256")]).code(), ErrorCode::NotImplemented);
    assert_eq!(refused(&[("key", "k"), ("x-amz-meta-a", "line\nbreak")]).code(), ErrorCode::InvalidArgument);
    assert!(form(&[("key", "k")]).add("key".to_owned(), b"other".to_vec()).is_err());
}

#[test]
fn the_files_name_takes_the_variables_place_once() {
    let mut form = form(&[("key", "u/${filename}-${filename}"), ("policy", "${filename}"), ("x-amz-meta-a", "plain")]);
    form.name_file(b"${filename}.txt").unwrap();
    assert_eq!(form.field("key"), Some(&b"u/${filename}.txt-${filename}.txt"[..]));
    let long = form.clone().name_file(&[b'f'; FIELDS_BYTES_MAX]).unwrap_err();
    assert_eq!(long.code(), ErrorCode::MaxPostPreDataLengthExceeded);
    assert_eq!((form.field("policy"), form.field("x-amz-meta-a")), (Some(&b"${filename}"[..]), Some(&b"plain"[..])));
}

#[test]
fn browsers_are_answered_as_the_form_asks() {
    let (bucket, key) = (BucketName::new("bucket").unwrap(), ObjectKey::new("a b/c").unwrap());
    let etag = ETag { md5: [0xab; 16], parts: None };
    let answer = PostedAnswer { bucket: &bucket, key: &key, bucket_url: "http://h/bucket", etag: &etag, version: None };
    let write = |fields: &[(&str, &str)]| {
        let mut all = vec![("key", "a b/c")];
        all.extend_from_slice(fields);
        answer.write(&parsed(&form(&all)).unwrap().success)
    };
    let (of_etag, hex) = (format!("%22{etag}%22"), etag.to_string());
    let plain = write(&[("success_action_status", "404")]);
    assert_eq!(
        (plain.status(), plain.headers()["location"].to_str().unwrap()),
        (StatusCode::NO_CONTENT, "http://h/bucket/a%20b/c")
    );
    assert_eq!(plain.headers()["etag"], format!("\"{hex}\""));
    assert_eq!(write(&[("success_action_status", "200")]).status(), StatusCode::OK);
    let created = write(&[("success_action_status", "201"), ("success_action_redirect", "nowhere")]);
    let document = String::from_utf8(created.body().to_vec()).unwrap();
    assert_eq!(created.status(), StatusCode::CREATED);
    assert!(
        document.contains(
            "<PostResponse><Location>http://h/bucket/a%20b/c</Location><Bucket>bucket</Bucket><Key>a b/c</Key>"
        ),
        "{document}"
    );
    let location = |url: &str| {
        let answer = write(&[("success_action_redirect", url), ("success_action_status", "201")]);
        assert_eq!(answer.status(), StatusCode::SEE_OTHER);
        answer.headers()["location"].to_str().unwrap().to_owned()
    };
    assert_eq!(location("https://x/done"), format!("https://x/done?bucket=bucket&key=a%20b%2Fc&etag={of_etag}"));
    assert_eq!(
        location("https://x/done?a=b"),
        format!("https://x/done?a=b&bucket=bucket&key=a%20b%2Fc&etag={of_etag}")
    );
}
