//! What a bucket's documents add to the answers of all its operations: what pages of other origins may see of them
//! (CORS), and whether the requester is charged. Only requests that ask for it look at documents.

use std::sync::Arc;
use std::time::Duration;

use http::header::ORIGIN;
use http::request::Parts;
use http::{HeaderName, HeaderValue, Method};
use objects::{BucketDocuments, DocumentKind};
use s3_wire::bucket_cors::CorsConfiguration;
use s3_wire::bucket_request_payment::Payer;
use s3_wire::{Target, cors};

use crate::answer::Answer;
use crate::gateway::GatewayCore;

const REQUEST_PAYER: &str = "x-amz-request-payer";
const REQUEST_CHARGED: HeaderName = HeaderName::from_static("x-amz-request-charged");
const REQUESTER: &str = "requester";

/// An answer does not wait longer for what is only added to it.
const PATIENCE: Duration = Duration::from_secs(2);

/// Puts on an answer, or an error, what the bucket's documents say. By now the operation has learnt the bucket's row, if
/// it came by it, so documents that were changed before it are seen.
pub(crate) async fn add(core: &GatewayCore, target: Option<&Target>, head: &Parts, answer: &mut Answer) {
    // A preflight is answered by the rules themselves.
    let has_origin = head.headers.contains_key(ORIGIN) && head.method != Method::OPTIONS;
    let pays = head.headers.get(REQUEST_PAYER).is_some_and(|payer| payer == REQUESTER);
    if !has_origin && !pays {
        return;
    }
    let Some(bucket) = target.and_then(|target| target.bucket().ok()) else { return };
    let asked = tokio::time::timeout(PATIENCE, core.services.objects.bucket_documents(&bucket));
    // Without them the answer stands as it is.
    let Ok(Ok(documents)) = asked.await else { return };
    if has_origin && let Some(rules) = cors_rules(&documents).as_ref() {
        cors::set_headers(answer.headers_mut(), rules, &head.headers, head.method.as_str());
    }
    if pays && answer.status().is_success() && payer(&documents) == Payer::Requester {
        answer.headers_mut().insert(REQUEST_CHARGED, HeaderValue::from_static(REQUESTER));
    }
}

/// The bucket's rules for other origins; `None` where it has none, or none that this release reads.
pub(crate) fn cors_rules(documents: &BucketDocuments) -> Arc<Option<CorsConfiguration>> {
    let parsed = documents.parsed(DocumentKind::Cors, |document| {
        let read = CorsConfiguration::parse(document);
        read.inspect_err(|error| tracing::error!(code = error.code().as_str(), "stored CORS rules are unreadable")).ok()
    });
    parsed.unwrap_or_default()
}

fn payer(documents: &BucketDocuments) -> Payer {
    let parsed = documents.parsed(DocumentKind::RequestPayment, |document| Payer::parse(document).unwrap_or_default());
    parsed.map_or(Payer::default(), |payer| *payer)
}
