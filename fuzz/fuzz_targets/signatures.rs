//! Authentication: any target and headers are read or refused, and none of them is true, since nobody knows the secret.
//!
//! The first line is the target, the others are headers.
#![no_main]

use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};
use libfuzzer_sys::fuzz_target;
use sigv4::{Claim, RequestParts, Rules, SigningKeys};
use types::{SecretKey, Timestamp};

fuzz_target!(|data: &[u8]| {
    let mut lines = data.split(|&byte| byte == b'\n');
    let Some(Ok(uri)) = lines.next().map(Uri::try_from) else { return };
    let mut headers = HeaderMap::new();
    for line in lines {
        let Some(at) = line.iter().position(|&byte| byte == b':') else { continue };
        let (name, value) = (HeaderName::from_bytes(&line[..at]), HeaderValue::from_bytes(&line[at + 1..]));
        if let (Ok(name), Ok(value)) = (name, value) {
            headers.append(name, value);
        }
    }
    let request = RequestParts { method: &Method::PUT, uri: &uri, headers: &headers };
    let now = Timestamp::from_seconds(1_369_353_600);
    if let Ok(Claim::Signed(claim)) = Claim::read(request, &Rules { service: "s3", region: None, version2: false }, now) {
        let secret = SecretKey("b1946ac92492d2347c6235b4d2611184".into());
        let refused = claim.verify(&secret, &SigningKeys::new()).expect_err("nobody signed with this secret");
        assert!(!refused.fields.is_empty());
    }
});
