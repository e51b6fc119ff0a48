//! PutBucketCors, GetBucketCors, DeleteBucketCors. What the rules mean for requests is in `preflight.rs`.

use aws_sdk_s3::types::{CorsConfiguration, CorsRule};

use super::raw::request;
use super::{code_of, fresh};
use crate::server::Server;

fn rule(method: &str, origin: &str) -> CorsRule {
    CorsRule::builder().allowed_methods(method).allowed_origins(origin).build().expect("a rule")
}

fn rules(rules: Vec<CorsRule>) -> CorsConfiguration {
    CorsConfiguration::builder().set_cors_rules(Some(rules)).build().expect("rules")
}

#[tokio::test]
async fn rules_are_set_replaced_and_removed() {
    let (client, bucket) = fresh().await;
    let put = |all| client.put_bucket_cors().bucket(&bucket).cors_configuration(rules(all)).send();
    let get = || client.get_bucket_cors().bucket(&bucket).send();
    assert_eq!(code_of(get().await), "NoSuchCORSConfiguration");
    let full = CorsRule::builder().id("all & everything").allowed_methods("GET").allowed_methods("PUT");
    let full = full.allowed_origins("https://*.example.com").allowed_origins("http://exact").allowed_headers("x-*");
    let full = full.expose_headers("ETag").max_age_seconds(600).build().expect("a rule");
    put(vec![full.clone(), rule("HEAD", "*")]).await.expect("set");
    assert_eq!(get().await.expect("rules").cors_rules(), [full, rule("HEAD", "*")]);
    put(vec![rule("DELETE", "*")]).await.expect("replaced");
    assert_eq!(get().await.expect("rules").cors_rules(), [rule("DELETE", "*")]);
    client.delete_bucket_cors().bucket(&bucket).send().await.expect("removed");
    assert_eq!(code_of(get().await), "NoSuchCORSConfiguration");
    client.delete_bucket_cors().bucket(&bucket).send().await.expect("what isn't there is removed");
}

#[tokio::test]
async fn rules_that_cannot_be_are_refused() {
    let (client, bucket) = fresh().await;
    let put = |all| client.put_bucket_cors().bucket(&bucket).cors_configuration(rules(all)).send();
    put(vec![rule("GET", "*"); 100]).await.expect("a hundred rules");
    assert_eq!(code_of(put(vec![rule("GET", "*"); 101]).await), "MalformedXML");
    assert_eq!(code_of(put(Vec::new()).await), "MalformedXML");
    assert_eq!(code_of(put(vec![rule("PATCH", "*")]).await), "InvalidRequest");
    assert_eq!(code_of(put(vec![rule("GET", "*.*")]).await), "InvalidRequest");
    let target = format!("/{bucket}?cors");
    let send = |body: &str| request(Server::shared(), "PUT", &target, &[], body.as_bytes());
    let refused = send(
        "<CORSConfiguration><CORSRule><AllowedOrigin>*</AllowedOrigin><AllowedMethod>OPTIONS</AllowedMethod>\
         </CORSRule></CORSConfiguration>",
    );
    assert_eq!(refused.error(), (400, "InvalidRequest"));
    let words = "Found unsupported HTTP method in CORS config. Unsupported method is OPTIONS";
    assert_eq!(refused.element("Message"), Some(words));
    assert_eq!(send("<CORSConfiguration><CORSRule/></CORSConfiguration>").error(), (400, "MalformedXML"));
    assert_eq!(send("<CORSConfiguration>").error(), (400, "MalformedXML"));
    assert_eq!(send("").error(), (400, "MissingRequestBodyError"));
    let long = format!("<CORSConfiguration>{}</CORSConfiguration>", " ".repeat(64 << 10));
    assert_eq!(send(&long).error(), (400, "MaxMessageLengthExceeded"));
    let standing = client.get_bucket_cors().bucket(&bucket).send().await.expect("rules");
    assert_eq!(standing.cors_rules().len(), 100, "what is refused changes nothing");
    for outcome in [
        code_of(client.get_bucket_cors().bucket("no-such-bucket-here").send().await),
        code_of(client.delete_bucket_cors().bucket("no-such-bucket-here").send().await),
        code_of(
            client
                .put_bucket_cors()
                .bucket("no-such-bucket-here")
                .cors_configuration(rules(vec![rule("GET", "*")]))
                .send()
                .await,
        ),
    ] {
        assert_eq!(outcome, "NoSuchBucket");
    }
}
