//! PostObject: a browser's upload by a form, which says itself who sent it.

use authz::Action;
use http::header::CONTENT_TYPE;
use objects::BodyFacts;
use objects::data::ExpectedDigests;
use s3_wire::body::{BodyChecksum, BodyIntegrity};
use s3_wire::form::{FormDecoder, FormEvent};
use s3_wire::post_object::{PostForm, PostObjectRequest, PostedAnswer, missing_field, no_file, no_form};
use s3_wire::post_policy::{LengthRange, PostPolicy};
use s3_wire::{RequestHead, S3Error};
use sigv4::{FormFields, Version2Form};

use super::object_lock;
use crate::answer::{Answer, whole};
use crate::authenticate::{Authenticated, authenticate_form, authenticate_version2_form};
use crate::call::{Call, shown};
use crate::expiration::Expiring;
use crate::form_body::{FormBody, FormFrames};
use crate::rights::{Asker, LockWish, Wish};
use crate::store_error::to_s3;

/// Stores the file of a form.
pub(crate) async fn post_object(call: &mut Call<'_>) -> Result<Answer, S3Error> {
    let bucket = call.head.bucket()?;
    let content_type = call.head.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let decoder = content_type.and_then(FormDecoder::of_content_type).ok_or_else(no_form)?;
    let mut frames = FormFrames::new(call.frames, decoder);
    let form = fields(&mut frames).await?;
    // Who signed the policy, and whether the form is as it says.
    let (authenticated, policy) = match signature(&form, call.core.settings.signature_v2)? {
        Signature::None => (Authenticated::nobody(), None),
        Signature::Version2(signed) => (authenticate_version2_form(call.core, signed).await?, Some(signed.policy)),
        Signature::Version4(signed) => (authenticate_form(call.core, signed).await?, Some(signed.policy)),
    };
    let length = match policy {
        None => LengthRange::default(),
        Some(policy) => PostPolicy::parse(policy)?.check(&bucket, form.fields(), call.core.services.clock.now())?,
    };
    let request = PostObjectRequest::parse(&call.head, &form)?;
    let headers = form.headers()?;
    let head = RequestHead { headers: &headers, ..call.head };
    let asker = Asker {
        core: call.core,
        connection: call.connection,
        operation: call.operation,
        head: &head,
        sent: call.sent,
        authenticated: &authenticated,
    };
    let tags = &request.attributes.tags;
    let put = Wish::of_object(Action::PutObject, &bucket, &request.key);
    asker.demand(put.giving(tags).locking(LockWish::of(&request.attributes))).await?;
    if !tags.is_empty() {
        asker.demand(Wish::of_object(Action::PutObjectTagging, &bucket, &request.key).giving(tags)).await?;
    }
    object_lock::check_given(&asker, &bucket, &request.key, &request.attributes).await?;
    let owner = call.core.services.objects.bucket(&bucket).await.map_err(to_s3)?.owner;
    let PostObjectRequest { key, attributes, integrity, success, .. } = request;
    let to_put = objects::PutObjectRequest {
        bucket: bucket.clone(),
        key: key.clone(),
        attributes,
        owner,
        conditions: objects::WriteConditions::default(),
        said: facts(integrity),
    };
    let mut body = FormBody::new(frames, length);
    let stored = call.core.services.objects.put_object(to_put, &mut body).await;
    let stored = stored.map_err(|error| call.refusal(error))?;
    let url = call.url();
    let version = shown(stored.version);
    let answer =
        PostedAnswer { bucket: &bucket, key: &key, bucket_url: url.trim_end_matches('/'), etag: &stored.etag, version };
    let mut answer = whole(answer.write(&success));
    let (made, plain_bytes, tags) = (stored.modified, stored.plain_bytes, &stored.tags[..]);
    let object = Expiring { bucket: &bucket, key: &key, made, plain_bytes, tags };
    call.set_expiration(&object, answer.headers_mut()).await;
    Ok(answer)
}

/// Gathers what precedes the file.
async fn fields(frames: &mut FormFrames<'_>) -> Result<PostForm, S3Error> {
    let mut form = PostForm::default();
    loop {
        match frames.next().await? {
            FormEvent::Field { name, value } => form.add(name, value)?,
            FormEvent::File { name } => {
                form.name_file(&name)?;
                return Ok(form);
            }
            FormEvent::Data(_) | FormEvent::End => return Err(no_file()),
        }
    }
}

/// What says who signed a form.
enum Signature<'a> {
    None,
    Version2(Version2Form<'a>),
    Version4(FormFields<'a>),
}

/// Looks for the fields of a signature.
fn signature(form: &PostForm, takes_version2: bool) -> Result<Signature<'_>, S3Error> {
    let policy = form.field("policy");
    let text = |name: &str| form.text(name)?.ok_or_else(|| missing_field(name));
    if form.field("awsaccesskeyid").is_some() || form.field("signature").is_some() {
        if !takes_version2 {
            let words = "The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256.";
            return Err(S3Error::invalid_request(words));
        }
        return Ok(Signature::Version2(Version2Form {
            access_key_id: text("awsaccesskeyid")?,
            signature: text("signature")?,
            policy: policy.ok_or_else(|| missing_field("policy"))?,
        }));
    }
    let names = ["x-amz-algorithm", "x-amz-credential", "x-amz-date", "x-amz-signature"];
    if policy.is_none() && names.iter().all(|name| form.field(name).is_none()) {
        return Ok(Signature::None);
    }
    Ok(Signature::Version4(FormFields {
        algorithm: text("x-amz-algorithm")?,
        credential: text("x-amz-credential")?,
        date: text("x-amz-date")?,
        signature: text("x-amz-signature")?,
        token: form.text("x-amz-security-token")?,
        policy: policy.ok_or_else(|| missing_field("policy"))?,
    }))
}

/// How long the file is nobody said: the form around it has a length, not it.
fn facts(integrity: BodyIntegrity) -> BodyFacts {
    let checksum = integrity.checksum.algorithm();
    let checksums = match integrity.checksum {
        BodyChecksum::Value(checksum) => vec![checksum],
        BodyChecksum::None | BodyChecksum::Trailer(_) => Vec::new(),
    };
    let expected = ExpectedDigests { md5: integrity.content_md5, payload_sha256: None, checksums };
    BodyFacts { declared_bytes: None, expected, checksum }
}
