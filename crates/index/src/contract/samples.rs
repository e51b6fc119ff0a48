//! Commands and values that suites, tests and benches are made of.

use bytes::Bytes;
use types::{
    AccessKeyId, AccountId, BucketEpoch, BucketId, CanonicalId, Checksum, ChecksumAlgorithm, ChecksumType, ClusterId,
    Code, Credential, ETag, Extent, FeatureLevel, GatewayId, Layout, LayoutEpoch, ObjectAttributes, ObjectKey, Owner,
    Part, PartNumber, PlacementGroupId, RequestId, RequestNumber, Run, RunForm, RunId, SecretKey, TicketId, UploadId,
};

use crate::command::{
    AccessKeyRow, AccountRow, BucketAt, Command, CommandBody, CreateUpload, DeleteObject, FormCluster, GatewayRow,
    IdentityKind, IdentityRow, NewVersion, PolicyRow, PolicyVersionRow, PutObject, PutPart, RoleRow, SealedSecret,
    WhichVersion, WriteConditions,
};
use crate::query::{ListRange, Query};
use crate::{FEATURE_LEVEL, SPLITS_LEVEL};

/// The command of this body, without a request id.
pub fn plain(body: CommandBody) -> Command {
    Command { request: None, answered: RequestNumber(0), body }
}

/// The command of this body as number `number` of a ticket, all below `answered` (inclusive) received.
pub fn numbered(ticket: u64, number: u64, answered: u64, body: CommandBody) -> Command {
    let request = RequestId { ticket: TicketId(ticket), number: RequestNumber(number) };
    Command { request: Some(request), answered: RequestNumber(answered), body }
}

/// A bucket at an epoch.
pub fn at(bucket: u64, epoch: u64) -> BucketAt {
    BucketAt { id: BucketId(bucket), epoch: BucketEpoch(epoch) }
}

/// A key.
///
/// # Panics
/// Where it is none.
pub fn key(text: impl AsRef<[u8]>) -> ObjectKey {
    ObjectKey::new(text.as_ref().to_vec()).expect("a sample's key is valid")
}

/// The owner of all samples.
pub fn owner() -> Owner {
    Owner {
        account: AccountId::ROOT,
        canonical_id: CanonicalId("79a59df900b949e55d96a1e698fbacedfd6e09d98eacf8f8d5218e7cd47ef2be".into()),
        display_name: "root".into(),
    }
}

/// An entity tag, told apart from others by `seed`.
pub fn etag(seed: u64) -> ETag {
    let mut md5 = [0x17; 16];
    md5[..8].copy_from_slice(&seed.to_be_bytes());
    ETag::of_body(md5)
}

/// A run of `bytes` plain bytes (at least 1), written under `ticket`.
///
/// # Panics
/// Over 4 MiB.
pub fn run(ticket: u64, tail: u64, bytes: u32) -> Run {
    Run {
        id: RunId { ticket: TicketId(ticket), tail },
        home: None,
        group: PlacementGroupId(3),
        profile: "4+2".parse().expect("a profile"),
        code: Code(1),
        form: RunForm::Striped,
        stripe_bytes: 4 << 20,
        stripes: 1,
        last_stripe_bytes: bytes,
    }
}

/// A gateway's credential.
pub fn gateway(number: u8) -> GatewayRow {
    let id = GatewayId::from_bytes([number; 16]);
    GatewayRow { id, name: format!("gateway-{number}"), key: [number; 32], added: types::Timestamp(0) }
}

/// A part whose bytes lie in the index.
pub fn inline_part(number: u32, bytes: &[u8]) -> Part {
    let extents = if bytes.is_empty() { Vec::new() } else { vec![Extent::Inline(Bytes::copy_from_slice(bytes))] };
    part(number, bytes.len() as u64, extents)
}

/// A part that lies in these runs, whole.
pub fn part_in(number: u32, runs: &[Run]) -> Part {
    let extent = |run: &Run| Extent::Slice { offset: 0, length: run.plain_bytes(), run: run.clone() };
    part(number, runs.iter().map(Run::plain_bytes).sum(), runs.iter().map(extent).collect())
}

fn part(number: u32, bytes: u64, extents: Vec<Extent>) -> Part {
    Part {
        number: PartNumber::new(number).expect("a sample's part has a number"),
        etag: etag(bytes),
        checksums: Vec::new(),
        crc64_nvme: bytes.wrapping_mul(0x9e37_79b9_7f4a_7c15),
        plain_bytes: bytes,
        stored_bytes: bytes,
        transforms: Vec::new(),
        extents,
        modified: types::CommitStamp(0),
    }
}

/// A version of `bytes` plain bytes with this tag.
pub fn new_version(random: u64, bytes: u64, etag: ETag) -> NewVersion {
    let checksum = Checksum::new(ChecksumAlgorithm::Crc64Nvme, ChecksumType::FullObject, bytes.to_be_bytes().to_vec());
    NewVersion {
        random,
        plain_bytes: bytes,
        etag,
        checksum: checksum.ok(),
        attributes: ObjectAttributes {
            headers: vec![("content-type".to_owned(), Bytes::from_static(b"application/octet-stream"))],
            ..ObjectAttributes::default()
        },
        owner: owner(),
    }
}

/// A put of this part.
pub fn put_object(bucket: BucketAt, key: ObjectKey, random: u64, part: Part) -> PutObject {
    PutObject {
        bucket,
        key,
        conditions: WriteConditions::default(),
        version: new_version(random, part.plain_bytes, part.etag),
        part,
        degraded: false,
    }
}

/// A put of inline bytes, as a command.
pub fn put(bucket: BucketAt, text: &str, random: u64, bytes: &[u8]) -> Command {
    let put = put_object(bucket, key(text), random, inline_part(1, bytes));
    plain(CommandBody::PutObject(Box::new(put)))
}

/// A delete.
pub fn delete_object(bucket: BucketAt, key: ObjectKey, random: u64, version: Option<WhichVersion>) -> DeleteObject {
    DeleteObject {
        bucket,
        key,
        version,
        conditions: WriteConditions::default(),
        random,
        owner: owner(),
        bypass_governance: false,
    }
}

/// A delete, as a command.
pub fn delete(bucket: BucketAt, text: &str, random: u64, version: Option<WhichVersion>) -> Command {
    plain(CommandBody::DeleteObject(Box::new(delete_object(bucket, key(text), random, version))))
}

/// An upload's id.
pub fn upload_id(seed: u8) -> UploadId {
    UploadId::from_bytes([seed; 16])
}

/// The begin of an upload.
pub fn create_upload(bucket: BucketAt, text: &str, upload: UploadId) -> Command {
    let (key, owner) = (key(text), owner());
    let attributes = ObjectAttributes {
        metadata: vec![("colour".to_owned(), Bytes::from_static(b"blue"))],
        ..ObjectAttributes::default()
    };
    let create = CreateUpload { bucket, key, upload, attributes, owner, checksum: None };
    plain(CommandBody::CreateUpload(Box::new(create)))
}

/// A part of an upload.
pub fn put_part(bucket: BucketAt, text: &str, upload: UploadId, part: Part) -> Command {
    let put = PutPart { bucket, key: key(text), upload, part, degraded: false };
    plain(CommandBody::PutPart(Box::new(put)))
}

/// A version, asked for.
pub fn ask_version(bucket: u64, text: &str, which: WhichVersion) -> Query {
    Query::Version { bucket: BucketId(bucket), key: key(text), which }
}

/// All of a bucket's keys, up to `limit`.
pub fn whole_bucket(bucket: u64, limit: usize) -> ListRange {
    ListRange { bucket: BucketId(bucket), prefix: Bytes::new(), delimiter: Bytes::new(), after: Bytes::new(), limit }
}

/// The first rows of a cluster.
pub fn form_cluster() -> FormCluster {
    FormCluster {
        cluster: ClusterId::from_bytes([0xc1; 16]),
        feature_level: FeatureLevel(1),
        root: credential("ROOTKEY"),
        layout: Layout { epoch: LayoutEpoch(1), ..Layout::default() },
    }
}

/// The first rows of a cluster that may split ranges.
pub fn form_for_splits() -> Command {
    plain(CommandBody::Form(Box::new(FormCluster { feature_level: SPLITS_LEVEL, ..form_cluster() })))
}

/// The first rows of a cluster at the newest level.
pub fn form_at_newest_level() -> Command {
    plain(CommandBody::Form(Box::new(FormCluster { feature_level: FEATURE_LEVEL, ..form_cluster() })))
}

/// A credential with this access key.
pub fn credential(access_key_id: &str) -> Credential {
    Credential {
        access_key_id: AccessKeyId(access_key_id.into()),
        secret_key: SecretKey("a secret of no worth".into()),
        owner: owner(),
    }
}

/// An account.
pub fn account(number: u64) -> AccountRow {
    let owner = Owner {
        account: AccountId(number),
        canonical_id: CanonicalId(format!("{number:064x}").into()),
        display_name: format!("account-{number}").into(),
    };
    let email = Some(format!("Account-{number}@example.com").into());
    AccountRow { owner, email, created: types::Timestamp(0), access_keys: Vec::new(), tags: Vec::new() }
}

/// A user, group or role.
pub fn identity(kind: IdentityKind, name: &str) -> IdentityRow {
    let role = (kind == IdentityKind::Role).then(|| RoleRow {
        trust: "{\"trust\":1}".into(),
        description: "a role".into(),
        session_seconds_max: 3600,
    });
    IdentityRow {
        kind,
        name: name.into(),
        path: "/".into(),
        id: format!("AIDA{}", name.to_uppercase()).into(),
        created: types::Timestamp(0),
        tags: vec![("tag".to_owned(), "value".to_owned())],
        attached: Vec::new(),
        boundary: None,
        access_keys: Vec::new(),
        groups: Vec::new(),
        role,
    }
}

/// An access key of a user, or of an account's root.
pub fn access_key(id: &str, account: AccountId, user: Option<&str>) -> AccessKeyRow {
    AccessKeyRow {
        id: AccessKeyId(id.into()),
        secret: SealedSecret { scheme: 0, key: 0, bytes: b"a secret of no worth".to_vec() },
        account,
        user: user.map(Into::into),
        active: true,
        created: types::Timestamp(0),
    }
}

/// A managed policy in its first version.
pub fn policy(name: &str, document: &str) -> PolicyRow {
    let created = types::Timestamp(0);
    PolicyRow {
        name: name.into(),
        path: "/".into(),
        id: format!("ANPA{}", name.to_uppercase()).into(),
        description: "a policy".into(),
        created,
        updated: created,
        tags: Vec::new(),
        default_version: 1,
        next_version: 2,
        versions: vec![PolicyVersionRow { number: 1, document: document.into(), created }],
        attachments: 0,
        boundaries: 0,
    }
}
