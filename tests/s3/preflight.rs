//! PreflightBucket and PreflightObject (OPTIONS), and what a bucket's rules put on all its answers.

use super::raw::{Answer, by_url, request};
use super::{fresh, put};
use crate::server::Server;

const RULES: &str = "<CORSConfiguration><CORSRule><AllowedOrigin>https://*.example.com</AllowedOrigin>\
    <AllowedOrigin>http://exact</AllowedOrigin><AllowedMethod>GET</AllowedMethod><AllowedMethod>PUT</AllowedMethod>\
    <AllowedHeader>X-Amz-*</AllowedHeader><AllowedHeader>content-type</AllowedHeader>\
    <ExposeHeader>ETag</ExposeHeader><MaxAgeSeconds>3000</MaxAgeSeconds></CORSRule>\
    <CORSRule><AllowedOrigin>*</AllowedOrigin><AllowedMethod>GET</AllowedMethod></CORSRule></CORSConfiguration>";
const METHOD: &str = "Access-Control-Request-Method";
const HEADERS: &str = "Access-Control-Request-Headers";
const VARIES_BY: &str = "Origin, Access-Control-Request-Headers, Access-Control-Request-Method";

/// Nobody signs a preflight.
fn options(target: &str, headers: &[(&str, &str)]) -> Answer {
    by_url(Server::shared(), "OPTIONS", &format!("{}{target}", Server::shared().endpoint()), headers, b"")
}

fn set_rules(bucket: &str) {
    let set = request(Server::shared(), "PUT", &format!("/{bucket}?cors"), &[], RULES.as_bytes());
    assert_eq!(set.status, 200, "{}", set.text());
}

#[tokio::test]
async fn a_preflight_is_asked_in_full_and_without_rules_refused() {
    let (_, bucket) = fresh().await;
    let (origin, method) = (("Origin", "http://app.example"), (METHOD, "PUT"));
    for (target, resource) in [(format!("/{bucket}"), "BUCKET"), (format!("/{bucket}/k"), "OBJECT")] {
        let refused = options(&target, &[origin, method]);
        assert_eq!(refused.error(), (403, "AccessForbidden"));
        assert_eq!(refused.element("Message"), Some("CORSResponse: CORS is not enabled for this bucket."));
        assert_eq!((refused.element("Method"), refused.element("ResourceType")), (Some("PUT"), Some(resource)));
        for headers in [&[method][..], &[origin], &[origin, (METHOD, "FOO")], &[]] {
            assert_eq!(options(&target, headers).error(), (400, "BadRequest"), "{headers:?}");
        }
    }
    let nowhere = options("/no-such-bucket-here/k", &[origin, method]);
    assert_eq!(nowhere.error(), (403, "AccessForbidden"));
    assert_eq!(nowhere.element("Message"), Some("CORSResponse: Bucket not found"));
}

#[tokio::test]
async fn a_preflight_is_answered_by_the_first_rule_that_fits() {
    let (_, bucket) = fresh().await;
    set_rules(&bucket);
    for target in [format!("/{bucket}"), format!("/{bucket}/any/key"), format!("/{bucket}/k?tagging")] {
        let asked = [("Origin", "https://app.example.com"), (METHOD, "PUT"), (HEADERS, "Content-Type,x-amz-meta-a")];
        let allowed = options(&target, &asked);
        assert_eq!(allowed.status, 200, "{target}");
        for (name, value) in [
            ("access-control-allow-origin", "https://app.example.com"),
            ("access-control-allow-methods", "GET, PUT"),
            ("access-control-allow-headers", "content-type, x-amz-meta-a"),
            ("access-control-expose-headers", "ETag"),
            ("access-control-max-age", "3000"),
            ("access-control-allow-credentials", "true"),
            ("vary", VARIES_BY),
        ] {
            assert_eq!(allowed.header(name), Some(value), "{target} {name}");
        }
    }
    let anybody = options(&format!("/{bucket}/k"), &[("Origin", "http://other"), (METHOD, "GET")]);
    assert_eq!((anybody.status, anybody.header("access-control-allow-origin")), (200, Some("*")));
    assert_eq!(anybody.header("access-control-allow-credentials"), None);
    for asked in [
        &[("Origin", "http://other"), (METHOD, "PUT")][..],
        &[("Origin", "http://exact"), (METHOD, "DELETE")],
        &[("Origin", "http://exact"), (METHOD, "PUT"), (HEADERS, "x-other")],
        &[("Origin", "http://other"), (METHOD, "GET"), (HEADERS, "content-type")],
    ] {
        let refused = options(&format!("/{bucket}/k"), asked);
        assert_eq!(refused.error(), (403, "AccessForbidden"), "{asked:?}");
        assert!(refused.element("Message").is_some_and(|m| m.starts_with("CORSResponse: This CORS request is not")));
        assert_eq!(refused.header("access-control-allow-origin"), None);
    }
}

#[tokio::test]
async fn answers_and_errors_say_what_the_rules_say_to_their_origin() {
    let (client, bucket) = fresh().await;
    put(&client, &bucket, "k", b"bytes").await;
    set_rules(&bucket);
    let (exact, other) = (("Origin", "http://exact"), ("Origin", "http://other"));
    let send = |method: &str, target: &str, headers: &[(&str, &str)]| {
        request(Server::shared(), method, &format!("/{bucket}{target}"), headers, b"")
    };
    let of = |answer: &Answer| {
        let shown = |name: &str| answer.header(name).map(str::to_owned);
        (answer.status, shown("access-control-allow-origin"), shown("access-control-expose-headers"))
    };
    let told =
        |status, origin: &str, exposed: Option<&str>| (status, Some(origin.to_owned()), exposed.map(str::to_owned));
    let exposed = Some("ETag");
    assert_eq!(of(&send("GET", "/k", &[exact])), told(200, "http://exact", exposed));
    assert_eq!(of(&send("GET", "/k", &[other])), told(200, "*", None));
    assert_eq!(of(&send("PUT", "/new", &[exact])), told(200, "http://exact", exposed));
    assert_eq!(of(&send("GET", "?list-type=2", &[exact])), told(200, "http://exact", exposed));
    assert_eq!(of(&send("GET", "/missing", &[exact])), told(404, "http://exact", exposed));
    assert_eq!(of(&send("GET", "/k?partNumber=x", &[exact])), told(400, "http://exact", exposed));
    let anonymous =
        by_url(Server::shared(), "GET", &format!("{}/{bucket}/k", Server::shared().endpoint()), &[exact], b"");
    assert_eq!(of(&anonymous), told(403, "http://exact", exposed));
    // No rule has the method: nothing is told, but that another origin would be told something else.
    for (method, target, status) in [("HEAD", "/k", 200), ("DELETE", "/new", 204)] {
        let answer = send(method, target, &[exact]);
        assert_eq!(of(&answer), (status, None, None), "{method}");
        assert_eq!(answer.header("vary"), Some(VARIES_BY));
    }
    let without = send("GET", "/k", &[]);
    assert_eq!((of(&without), without.header("vary")), ((200, None, None), None));
    // Rules that are removed are gone with the answer.
    assert_eq!(send("DELETE", "?cors", &[]).status, 204);
    assert_eq!(of(&send("GET", "/k", &[exact])), (200, None, None));
    assert_eq!(options(&format!("/{bucket}/k"), &[exact, (METHOD, "GET")]).error(), (403, "AccessForbidden"));
}
