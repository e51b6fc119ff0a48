//! Signature Version 2: AWS's own examples (developer guide, "Signing and authenticating REST requests"), and what is
//! refused.

#![allow(clippy::unwrap_used, reason = "a test says by panicking what went wrong")]

use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};
use sigv4::{AuthCode, AuthError, Claim, RequestParts, Rules, Version2Form};
use types::{SecretKey, Timestamp};

const KEY: &str = "AKIAIOSFODNN7EXAMPLE";
/// Tue, 27 Mar 2007 19:36:42 +0000
const AT: u64 = 1_175_024_202;
const RULES: Rules<'static> = Rules { service: "s3", region: None, version2: true };

struct Sent<'a> {
    method: Method,
    uri: &'a str,
    /// The bucket that the host names.
    bucket: Option<&'a str>,
    headers: &'a [(&'a str, &'a str)],
    now: u64,
}

impl Sent<'_> {
    fn check_by(&self, rules: &Rules<'_>) -> Result<(), AuthError> {
        let mut headers = HeaderMap::new();
        for (name, value) in self.headers {
            headers.append(HeaderName::from_bytes(name.as_bytes()).unwrap(), HeaderValue::from_str(value).unwrap());
        }
        let uri: Uri = self.uri.parse().unwrap();
        let parts = RequestParts { method: &self.method, uri: &uri, headers: &headers };
        let Claim::Version2(claim) = Claim::read(parts, rules, Timestamp::from_seconds(self.now))? else {
            panic!("signed by version 2")
        };
        assert_eq!(claim.access_key_id(), KEY);
        claim.verify(&secret(), self.bucket)
    }

    fn check(&self) -> Result<(), AuthCode> {
        self.check_by(&RULES).map_err(|error| error.code)
    }
}

fn secret() -> SecretKey {
    SecretKey("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY".into())
}

fn presigned(url: &str) -> Sent<'_> {
    Sent { bucket: Some("johnsmith"), ..get(url, &[]) }
}

fn photo<'a>(headers: &'a [(&'a str, &'a str)]) -> Sent<'a> {
    get("/photos/puppy.jpg", headers)
}

fn get<'a>(uri: &'a str, headers: &'a [(&'a str, &'a str)]) -> Sent<'a> {
    Sent { method: Method::GET, uri, bucket: Some("awsexamplebucket1"), headers, now: AT }
}

#[test]
fn awss_examples_verify() {
    let photo = [
        ("date", "Tue, 27 Mar 2007 19:36:42 +0000"),
        ("authorization", "AWS AKIAIOSFODNN7EXAMPLE:qgk2+6Sv9/oM7G3qLEjTH1a1l1g="),
    ];
    assert_eq!(get("/photos/puppy.jpg", &photo).check(), Ok(()));
    let put = [
        ("content-type", "image/jpeg"),
        ("content-length", "94328"),
        ("date", "Tue, 27 Mar 2007 21:15:45 +0000"),
        ("authorization", "AWS AKIAIOSFODNN7EXAMPLE:iqRzw+ileNPu1fhspnRs8nOjjIA="),
    ];
    assert_eq!(Sent { method: Method::PUT, now: AT + 5943, ..get("/photos/puppy.jpg", &put) }.check(), Ok(()));
    let list = [
        ("user-agent", "Mozilla/5.0"),
        ("date", "Tue, 27 Mar 2007 19:42:41 +0000"),
        ("authorization", "AWS AKIAIOSFODNN7EXAMPLE:m0WP8eCtspQl5Ahe6L1SozdX9YA="),
    ];
    assert_eq!(get("/?prefix=photos&max-keys=50&marker=puppy", &list).check(), Ok(()));
    let acl = [
        ("date", "Tue, 27 Mar 2007 19:44:46 +0000"),
        ("authorization", "AWS AKIAIOSFODNN7EXAMPLE:82ZHiFIjc+WbcwFKGUVEQspPn+0="),
    ];
    assert_eq!(get("/?acl", &acl).check(), Ok(()));
    let everything = [
        ("user-agent", "curl/7.15.5"),
        ("date", "Tue, 27 Mar 2007 21:06:08 +0000"),
        ("x-amz-acl", "public-read"),
        ("content-type", "application/x-download"),
        ("content-md5", "4gJE4saaMU4BqNR0kLY+lw=="),
        ("x-amz-meta-reviewedby", "joe@example.com"),
        ("x-amz-meta-reviewedby", "jane@example.com"),
        ("x-amz-meta-filechecksum", "0x02661779"),
        ("x-amz-meta-checksumalgorithm", "crc32"),
        ("content-disposition", "attachment; filename=database.dat"),
        ("authorization", "AWS AKIAIOSFODNN7EXAMPLE:jtBQa0Aq+DkULFI8qrpwIjGEx0E="),
    ];
    let upload = Sent {
        method: Method::PUT,
        bucket: Some("static.example.com"),
        now: AT + 5400,
        ..get("/db-backup.dat.gz", &everything)
    };
    assert_eq!(upload.check(), Ok(()));
    let service = [
        ("date", "Wed, 28 Mar 2007 01:29:59 +0000"),
        ("authorization", "AWS AKIAIOSFODNN7EXAMPLE:qGdzdERIC03wnaRNKh6OqZehG9s="),
    ];
    assert_eq!(Sent { bucket: None, now: AT + 21_200, ..get("/", &service) }.check(), Ok(()));
    let url = "/photos/puppy.jpg?AWSAccessKeyId=AKIAIOSFODNN7EXAMPLE&\
               Signature=NpgCjnDzrM%2BWFzoENXmpNDUsSn8%3D&Expires=1175139620";
    assert_eq!(presigned(url).check(), Ok(()));
}

#[test]
fn what_is_not_as_it_was_signed_is_refused() {
    use AuthCode::{AccessDenied, InvalidArgument, InvalidRequest, RequestTimeTooSkewed, SignatureDoesNotMatch};
    let date = ("date", "Tue, 27 Mar 2007 19:36:42 +0000");
    let authorization = ("authorization", "AWS AKIAIOSFODNN7EXAMPLE:qgk2+6Sv9/oM7G3qLEjTH1a1l1g=");
    let good = [date, authorization];
    assert_eq!(photo(&good).check(), Ok(()));
    // Another bucket, path, method, sub-resource or header.
    assert_eq!(Sent { bucket: None, ..photo(&good) }.check(), Err(SignatureDoesNotMatch));
    assert_eq!(get("/photos/kitten.jpg", &good).check(), Err(SignatureDoesNotMatch));
    assert_eq!(Sent { method: Method::DELETE, ..photo(&good) }.check(), Err(SignatureDoesNotMatch));
    assert_eq!(get("/photos/puppy.jpg?tagging", &good).check(), Err(SignatureDoesNotMatch));
    assert_eq!(photo(&[date, authorization, ("x-amz-meta-a", "b")]).check(), Err(SignatureDoesNotMatch));
    assert_eq!(photo(&[date, authorization, ("x-amz-security-token", "t")]).check(), Err(AuthCode::InvalidToken));
    // The time.
    assert_eq!(Sent { now: AT + 901, ..photo(&good) }.check(), Err(RequestTimeTooSkewed));
    assert_eq!(Sent { now: AT - 901, ..photo(&good) }.check(), Err(RequestTimeTooSkewed));
    assert_eq!(photo(&[authorization]).check(), Err(AccessDenied));
    assert_eq!(photo(&[("date", "today"), authorization]).check(), Err(AccessDenied));
    assert_eq!(photo(&[date, ("x-amz-date", ""), authorization]).check(), Err(AccessDenied));
    // The header.
    assert_eq!(photo(&[date, ("authorization", "AWS AKIAIOSFODNN7EXAMPLE")]).check(), Err(InvalidArgument));
    // What only version 4 can do.
    let chunks = ("x-amz-content-sha256", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD");
    assert_eq!(photo(&[date, authorization, chunks]).check(), Err(InvalidRequest));
    // Where it doesn't count.
    let rules = Rules { version2: false, ..RULES };
    assert_eq!(photo(&good).check_by(&rules).unwrap_err().code, InvalidRequest);
}

#[test]
fn presigned_urls_end_and_cover_the_headers_that_they_name() {
    use AuthCode::{AccessDenied, InvalidArgument, InvalidRequest, SignatureDoesNotMatch};
    let url = "/photos/puppy.jpg?AWSAccessKeyId=AKIAIOSFODNN7EXAMPLE&\
               Signature=NpgCjnDzrM%2BWFzoENXmpNDUsSn8%3D&Expires=1175139620";
    assert_eq!(Sent { now: 1_175_139_620, ..presigned(url) }.check(), Ok(()));
    assert_eq!(Sent { now: 1_175_139_621, ..presigned(url) }.check(), Err(AccessDenied));
    assert_eq!(presigned(&url.replace("&Expires=1175139620", "")).check(), Err(AccessDenied));
    assert_eq!(presigned(&url.replace("=1175139620", "=soon")).check(), Err(AccessDenied));
    assert_eq!(presigned(&format!("{url}&Expires=1")).check(), Err(AccessDenied));
    assert_eq!(presigned(&format!("{url}&x-amz-meta-a=b")).check(), Err(SignatureDoesNotMatch));
    assert_eq!(presigned(&format!("{url}&X-Amz-Meta-A=b")).check(), Err(SignatureDoesNotMatch));
    assert_eq!(presigned(&format!("{url}&response-expires=b")).check(), Err(SignatureDoesNotMatch));
    // No URL can be turned to a sub-resource, old or new.
    for name in ["acl", "attributes", "ownershipControls", "policyStatus", "publicAccessBlock", "retention", "tagging"]
    {
        assert_eq!(presigned(&format!("{url}&{name}")).check(), Err(SignatureDoesNotMatch), "{name}");
    }
    assert_eq!(
        presigned(&format!("{url}&X-Amz-Algorithm=AWS4-HMAC-SHA256")).check_by(&RULES).unwrap_err().code,
        AuthCode::AuthorizationQueryParametersError
    );
    assert_eq!(Sent { headers: &[("authorization", "AWS a:b")], ..presigned(url) }.check(), Err(InvalidArgument));
    let rules = Rules { version2: false, ..RULES };
    assert_eq!(presigned(url).check_by(&rules).unwrap_err().code, InvalidRequest);
}

#[test]
fn a_form_is_signed_by_its_policy() {
    // HMAC-SHA1 of the policy in base64, by Python's hmac.
    let form = Version2Form { access_key_id: KEY, signature: "4QWH4O9CWtowYUW+X4P2gZ/6fNc=", policy: b"e30=" };
    assert_eq!(form.verify(&secret()), Ok(()));
    let refused = |form: Version2Form<'_>| form.verify(&secret()).unwrap_err().code;
    assert_eq!(refused(Version2Form { policy: b"e31=", ..form }), AuthCode::SignatureDoesNotMatch);
    assert_eq!(refused(Version2Form { signature: "", ..form }), AuthCode::SignatureDoesNotMatch);
}
