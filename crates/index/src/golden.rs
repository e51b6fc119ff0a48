//! Bytes of every format, as this release and all later ones read them (tests/golden).
//!
//! A line of a golden file is a name and bytes in hex. A value must encode to its line, and the line decode to it. A
//! line that differs says that a format changed: then the old bytes stay in the file under the old version, with a
//! decoder of their own, and new ones are added.

use bytes::Bytes;
use types::{
    BucketEpoch, BucketId, BucketState, Checksum, ChecksumAlgorithm, ChecksumType, CommitStamp, DefaultRetention, Disk,
    DiskId, DiskState, FeatureLevel, Heir, HomeKey, Layout, LayoutEpoch, LegalHold, NodeId, ObjectLock, PartNumber,
    PlacementGroup, PlacementGroupId, RangeDescriptor, RangeId, RangeInterval, Retention, RetentionMode,
    RetentionPeriod, Run, RunForm, RunId, Slot, SlotEpoch, SlotIndex, SplitEpoch, StorageClass, TicketId, Timestamp,
    Transform, UploadId, Version, VersionId, Versioning,
};

use crate::command::{
    BucketConfig, BucketRecord, BucketRecordState, BucketRow, Command, CommandBody, CompletePart, CompleteUpload,
    DocumentKind, ETagCondition, Expire, ExpireAction, ExpireKey, ExpireKind, Expired, FollowLifecycle,
    FollowedLifecycle, IdentityChange, IdentityKind, IdentityName, IdentityRefusal, IdentityThing, LifecyclePass,
    LifecycleTimes, LockChange, Rebalancing, ReplacePart, SetBucketDocument, SetObjectLock, SetObjectTags, SplitRange,
    TicketRow, UploadChecksum, UploadManifest, WhichVersion, WriteConditions,
};
use crate::contract::kinds::assert_all_kinds;
use crate::contract::samples::{
    access_key, account, at, create_upload, credential, delete_object, etag, form_cluster, gateway, identity,
    inline_part, key, new_version, numbered, owner, part_in, plain, policy, put_object, put_part, run, upload_id,
};
use crate::query::{InlinePolicy, Usage};
use crate::rows::{
    self, BodyKind, BodyRow, ClusterRow, CompletedRow, CountersRow, DegradedKept, DescriptorRow, HeadRow, PartRow,
    TicketKept, UploadRow,
};
use crate::{Answer, Proposal, Refusal, keys};

/// Compares lines with a golden file.
fn check(file: &str, golden: &str, lines: Vec<(String, Vec<u8>)>) {
    let text: String = lines.iter().map(|(name, bytes)| format!("{name} {}\n", hex::encode(bytes))).collect();
    assert!(golden == text, "tests/golden/{file} should read:\n{text}");
}

/// The line of a row, which must read back.
fn row<T>(name: &str, value: &T) -> (String, Vec<u8>)
where
    T: serde::Serialize + serde::de::DeserializeOwned + PartialEq + std::fmt::Debug,
{
    let bytes = rows::encode(value);
    assert_eq!(rows::decode::<T>(&bytes).as_ref(), Ok(value));
    (name.to_owned(), bytes)
}

fn checksum(algorithm: ChecksumAlgorithm) -> Checksum {
    Checksum::new(algorithm, ChecksumType::Composite, vec![0x5c; algorithm.digest_len()]).expect("of its length")
}

fn copies() -> Run {
    Run {
        home: Some(HomeKey { bucket: BucketId(4), key: key("home") }),
        form: RunForm::Copies { first_slot: SlotIndex(5), group_width: 6 },
        ..run(7, 0x0102_0304_0506_0708, 60_000)
    }
}

fn layout() -> Layout {
    let (node, disk) = (NodeId::from_bytes([0xa1; 16]), DiskId::from_bytes([0xb2; 16]));
    Layout {
        epoch: LayoutEpoch(3),
        nodes: vec![types::Node {
            id: node,
            address: "127.0.0.1:9002".to_owned(),
            rack: Some("r1".to_owned()),
            zone: None,
        }],
        disks: vec![Disk {
            id: disk,
            node,
            path: "/data/1".to_owned(),
            capacity_bytes: 1 << 40,
            state: DiskState::Down,
            mount_point: true,
        }],
        groups: vec![PlacementGroup {
            id: PlacementGroupId(1),
            profile: "1+0".parse().expect("a profile"),
            slots: vec![Slot::owned(disk, SlotEpoch(2))],
        }],
    }
}

/// The oldest format that can say it is another one.
fn layout_that_moves() -> Layout {
    let mut layout = layout();
    layout.disks[0].state = DiskState::Draining;
    layout.groups[0].slots[0].heir = Some(Heir { disk: DiskId::from_bytes([0xb3; 16]), epoch: SlotEpoch(3) });
    layout
}

fn bucket_row() -> BucketRow {
    BucketRow {
        id: BucketId(1),
        epoch: BucketEpoch(300),
        state: BucketState::Fenced,
        config: BucketConfig { versioning: Versioning::Suspended, object_lock: ObjectLock::On },
    }
}

fn record(state: BucketRecordState) -> BucketRecord {
    BucketRecord {
        id: BucketId(9),
        namespace: types::Namespace("tenant".to_owned()),
        name: types::BucketName::new("my.bucket").expect("a name"),
        owner: owner(),
        region: "eu-central-1".to_owned(),
        created: Timestamp::from_seconds(1_700_000_000),
        state,
    }
}

fn version_id() -> VersionId {
    VersionId { stamp: CommitStamp(1_700_000_000_000_000), random: 0x1122_3344_5566_7788 }
}

#[test]
fn keys_are_those_of_the_golden_file() {
    let place = keys::place(BucketId(0x0102), &key(b"a\0b\xff"));
    let run = RunId { ticket: TicketId(3), tail: 4 };
    let (range, stamp, upload) = (RangeId(1), CommitStamp(0x0a0b_0c0d), upload_id(0xee));
    let part = PartNumber::new(10_000).expect("the highest");
    let degraded = |version, upload| DegradedKept { version, upload, number: part };
    let lines = [
        ("place", place.clone()),
        ("place_prefix", keys::place_prefix(BucketId(0x0102), b"a\0")),
        ("version", keys::version_key(&place, stamp)),
        ("upload", keys::upload_key(&place, upload)),
        ("upload_by_time", keys::upload_time_key(&place, stamp, upload)),
        ("part", keys::part_key(&place, upload, part)),
        ("manifest", keys::part_key(&place, upload, PartNumber::MANIFEST)),
        ("garbage", keys::garbage_key(range, stamp, run)),
        ("discarded", keys::discarded_key(range, run)),
        ("due", keys::due_key(range, Timestamp(0x0a0b_0c0d), &place)),
        ("degraded_of_version", keys::degraded_key(&place, &degraded(Some(version_id()), None))),
        ("degraded_of_upload", keys::degraded_key(&place, &degraded(None, Some(upload)))),
    ];
    let lines = lines.map(|(name, bytes)| (name.to_owned(), bytes)).to_vec();
    check("keys.txt", include_str!("../tests/golden/keys.txt"), lines);
}

fn heads() -> Vec<(String, Vec<u8>)> {
    let head = HeadRow {
        id: version_id(),
        null: false,
        marker: false,
        plain_bytes: 4096,
        etag: types::ETag { parts: Some(3), ..etag(1) },
        storage_class: StorageClass::new("COLD").expect("a class"),
        checksum: Some(UploadChecksum { algorithm: ChecksumAlgorithm::Sha256, checksum_type: ChecksumType::Composite }),
        owner: owner(),
        superseded: Some(CommitStamp(5)),
    };
    let marker = HeadRow {
        null: true,
        marker: true,
        storage_class: StorageClass::default(),
        checksum: None,
        superseded: None,
        owner: types::Owner { canonical_id: types::CanonicalId("free text".into()), ..owner() },
        ..head.clone()
    };
    let line = |name: &str, head: &HeadRow| {
        let bytes = head.encode();
        assert_eq!(HeadRow::decode(&bytes).as_ref(), Ok(head));
        (name.to_owned(), bytes)
    };
    vec![line("head", &head), line("head_of_marker", &marker)]
}

fn bodies() -> Vec<(String, Vec<u8>)> {
    let mut part = part_in(1, &[run(7, 8, 65_536), copies()]);
    part.extents.insert(1, types::Extent::Inline(Bytes::from_static(b"inline")));
    part.checksums = ChecksumAlgorithm::ALL.map(checksum).to_vec();
    part.transforms =
        vec![Transform { id: 1, parameters: Bytes::from_static(b"parameters"), key_reference: Some("key".to_owned()) }];
    let attributes = types::ObjectAttributes {
        headers: vec![("content-type".to_owned(), Bytes::from_static(b"text/plain"))],
        metadata: vec![("name".to_owned(), Bytes::from_static(b"\xff"))],
        tags: vec![("tag".to_owned(), "value".to_owned())],
        storage_class: StorageClass::default(),
        retention: Some(Retention { mode: RetentionMode::Compliance, until: Timestamp(77) }),
        legal_hold: LegalHold::On,
    };
    let row_of = PartRow::of(&part, CommitStamp(12), true);
    let stored: PartRow<'static> = rows::decode(&rows::encode(&row_of)).expect("just encoded");
    let mut moved = part.clone();
    moved.modified = CommitStamp(12);
    assert_eq!(stored.clone().into_part(Some(b"inline")), Ok(moved), "a row and its inline bytes are the part");
    let single = BodyRow {
        checksum: Some(std::borrow::Cow::Owned(checksum(ChecksumAlgorithm::Crc32c))),
        attributes: std::borrow::Cow::Owned(attributes),
        kind: BodyKind::Single(stored.clone()),
    };
    let summary = types::PartSummary { number: PartNumber::new(2).expect("a number"), plain_bytes: 5 << 20 };
    let multipart = BodyRow {
        checksum: None,
        attributes: std::borrow::Cow::Owned(types::ObjectAttributes::default()),
        kind: BodyKind::Multipart { upload: upload_id(1), parts: vec![summary] },
    };
    vec![row("part", &stored), row("body_of_single", &single), row("body_of_multipart", &multipart)]
}

#[test]
fn rows_are_those_of_the_golden_file() {
    let upload = UploadRow {
        began: CommitStamp(3),
        attributes: new_version(1, 0, etag(1)).attributes,
        owner: owner(),
        checksum: Some(UploadChecksum {
            algorithm: ChecksumAlgorithm::Crc64Nvme,
            checksum_type: ChecksumType::FullObject,
        }),
        completed: None,
    };
    let completed = CompletedRow { id: version_id(), null: true, etag: etag(2), checksum: None };
    let ticket = TicketRow {
        id: TicketId(5),
        holder: NodeId::from_bytes([2; 16]),
        granted: Timestamp(1),
        renewed: Timestamp(300),
    };
    let degraded = DegradedKept { version: Some(version_id()), upload: None, number: PartNumber::ONE };
    let mut lines = heads();
    lines.extend(bodies());
    lines.extend([
        row("upload", &upload),
        row("upload_completed", &UploadRow { completed: Some(completed), ..upload.clone() }),
        row("degraded", &degraded),
        row("garbage", &copies()),
        row("cluster", &ClusterRow { cluster: form_cluster().cluster, feature_level: FeatureLevel(2) }),
        row("counters", &CountersRow { next_bucket: BucketId(500), next_ticket: TicketId(6) }),
        row("ticket", &TicketKept { row: ticket, nonce: [3; 16] }),
        row("layout", &layout()),
        row("layout_that_moves", &layout_that_moves()),
        row("credential", &credential("KEY")),
        row("bucket_record", &record(BucketRecordState::Deleting { token: [4; 16] })),
        row("bucket_row", &bucket_row()),
        row("bucket_row_default_lock", &{
            let object_lock = default_lock(RetentionPeriod::Days(300));
            BucketRow { config: BucketConfig { versioning: Versioning::Enabled, object_lock }, ..bucket_row() }
        }),
        row("legal_hold_off", &LegalHold::Off),
        row("gateway", &gateway(7)),
        row::<types::Profile>("profile", &"4+2".parse().expect("a profile")),
        row("rebalancing", &Rebalancing::On),
        row("next_range", &RangeId(300)),
        row("ranges", &vec![descriptor(300, None), descriptor(301, Some(b"end"))]),
        row(
            "descriptor",
            &DescriptorRow {
                interval: descriptor(300, Some(b"end")).interval,
                epoch: SplitEpoch(2),
                born: b"entry".to_vec(),
            },
        ),
        ("document".to_owned(), rows::verbatim(b"<CORSConfiguration/>")),
        row("documents_changed", &version_id().stamp),
        row("account", &account(111_122_223_333)),
        row("user", &identity(IdentityKind::User, "bob")),
        row("role", &identity(IdentityKind::Role, "reader")),
        row("access_key", &access_key("AKIAKEY", types::AccountId(111_122_223_333), Some("bob"))),
        row("policy", &policy("read", "{}")),
        row("inline_policy", &InlinePolicy { name: "own".into(), document: "{}".into() }),
        row("followed", &FollowedLifecycle { times: lifecycle_times(), pass: Some(vec![0, 1]) }),
        row("followed_whole", &FollowedLifecycle { times: lifecycle_times(), pass: None }),
        row("away", &vec![DiskId::from_bytes([1; 16]), DiskId::from_bytes([2; 16])]),
    ]);
    check("rows.txt", include_str!("../tests/golden/rows.txt"), lines);
}

fn object_commands() -> Vec<CommandBody> {
    let conditions = WriteConditions {
        if_match: Some(ETagCondition::OneOf(vec![etag(1), etag(2)])),
        if_none_match: Some(ETagCondition::Any),
    };
    let mut put = put_object(at(1, 2), key("k"), 3, inline_part(1, b"bytes"));
    put.conditions = conditions.clone();
    let mut delete = delete_object(at(1, 2), key("k"), 4, Some(WhichVersion::Id(version_id())));
    delete.bypass_governance = true;
    let part = CompletePart { number: PartNumber::ONE, etag: etag(3), modified: CommitStamp(4), plain_bytes: 5 };
    let manifest = UploadManifest {
        part: types::Part { number: PartNumber::MANIFEST, ..part_in(1, &[copies()]) },
        degraded: false,
    };
    let complete = CompleteUpload {
        bucket: at(1, 2),
        key: key("k"),
        upload: upload_id(1),
        conditions,
        parts: vec![part],
        manifest: Some(manifest),
        version: new_version(6, 7, etag(8)),
    };
    let replace = ReplacePart {
        bucket: BucketId(1),
        key: key("k"),
        version: Some(version_id()),
        upload: None,
        number: PartNumber::ONE,
        expected: vec![run(1, 2, 3)],
        part: part_in(1, &[run(1, 3, 3)]),
        degraded: true,
    };
    vec![
        CommandBody::PutObject(Box::new(put)),
        CommandBody::DeleteObject(Box::new(delete)),
        CommandBody::DeleteObject(Box::new(delete_object(at(1, 2), key("k"), 4, Some(WhichVersion::Newest)))),
        CommandBody::DeleteObject(Box::new(delete_object(at(1, 2), key("k"), 4, Some(WhichVersion::Null)))),
        create_upload(at(1, 2), "k", upload_id(1)).body,
        put_part(at(1, 2), "k", upload_id(1), part_in(2, &[copies()])).body,
        CommandBody::CompleteUpload(Box::new(complete)),
        CommandBody::AbortUpload { bucket: at(1, 2), key: key("k"), upload: upload_id(1) },
        CommandBody::ReplacePart(Box::new(replace)),
        CommandBody::RemoveGarbage { rows: vec![vec![1, 2, 3]] },
        CommandBody::DiscardRuns { runs: vec![copies()] },
    ]
}

fn system_commands() -> Vec<CommandBody> {
    let (id, token) = (BucketId(9), [4; 16]);
    vec![
        CommandBody::Form(Box::new(form_cluster())),
        CommandBody::PutCredential(credential("KEY")),
        CommandBody::ChangeLayout { expected: LayoutEpoch(2), layout: layout() },
        CommandBody::RaiseFeatureLevel(FeatureLevel(2)),
        CommandBody::GrantTicket { holder: NodeId::from_bytes([1; 16]), nonce: [2; 16] },
        CommandBody::RenewTicket(TicketId(3)),
        CommandBody::EndTicket(TicketId(3)),
        CommandBody::ExpireTickets { idle_us_max: 600_000_000 },
        CommandBody::ReserveBucket { record: Box::new(record(BucketRecordState::Creating { token })), token },
        CommandBody::PublishBucket { id, token },
        CommandBody::BeginBucketDeletion { id, token },
        CommandBody::FinishBucketDeletion { id, token },
        CommandBody::UndoBucketDeletion { id, token },
        CommandBody::RaiseFloor { floor: TicketId(4) },
        CommandBody::CreateBucketRow { id, config: bucket_row().config },
        CommandBody::ChangeBucketRow { bucket: at(9, 1), config: bucket_row().config },
        CommandBody::FenceBucket { id },
        CommandBody::UnfenceBucket { id },
        CommandBody::DropBucketRow { id },
    ]
}

fn gateway_commands() -> Vec<CommandBody> {
    vec![CommandBody::PutGateway(Box::new(gateway(7))), CommandBody::RemoveGateway(gateway(7).id)]
}

fn cluster_commands() -> Vec<CommandBody> {
    let disk = |number| DiskId::from_bytes([number; 16]);
    vec![
        CommandBody::SetWantedProfile { profile: "4+2".parse().expect("a profile"), unless_set: true },
        CommandBody::NoteAway { away: vec![disk(1), disk(2)], back: vec![disk(3)] },
    ]
}

fn move_commands() -> Vec<CommandBody> {
    vec![
        CommandBody::ChangeLayout { expected: LayoutEpoch(2), layout: layout_that_moves() },
        CommandBody::SetRebalancing(Rebalancing::Paused),
    ]
}

fn descriptor(id: u64, end: Option<&[u8]>) -> RangeDescriptor {
    let interval = RangeInterval { start: keys::place(BucketId(7), &key("m")), end: end.map(<[u8]>::to_vec) };
    RangeDescriptor { id: RangeId(id), interval, epoch: SplitEpoch(2) }
}

fn range_commands() -> Vec<CommandBody> {
    let moved = Usage { objects: 1, versions: 2, markers: 3, bytes: 400, uploads: 5, upload_bytes: 600 };
    let at = HomeKey { bucket: BucketId(7), key: key("m") };
    let floor = CommandBody::RaiseFloor { floor: TicketId(9) };
    vec![
        CommandBody::AllotRange,
        CommandBody::NoteRanges { ranges: vec![descriptor(300, None), descriptor(301, Some(b"end"))] },
        CommandBody::SplitRange(Box::new(SplitRange { expected: SplitEpoch(1), child: RangeId(300), at, moved })),
        CommandBody::Within { epoch: SplitEpoch(300), body: Box::new(floor) },
        CommandBody::AdoptBucketRow { row: bucket_row() },
    ]
}

fn document_commands() -> Vec<CommandBody> {
    let set = |kind, document: Option<&'static [u8]>| {
        let document = document.map(Bytes::from_static);
        CommandBody::SetBucketDocument(Box::new(SetBucketDocument { bucket: BucketId(300), kind, document }))
    };
    let tags = vec![("tag".to_owned(), "value".to_owned())];
    let tag = |version| {
        let set = SetObjectTags { bucket: at(1, 2), key: key("k"), version, tags: tags.clone() };
        CommandBody::SetObjectTags(Box::new(set))
    };
    vec![
        set(DocumentKind::Cors, Some(b"<CORSConfiguration/>")),
        set(DocumentKind::Replication, None),
        tag(WhichVersion::Newest),
        tag(WhichVersion::Id(version_id())),
    ]
}

fn lock_commands() -> Vec<CommandBody> {
    let set = |version, change| {
        let set = SetObjectLock { bucket: at(1, 2), key: key("k"), version, change };
        CommandBody::SetObjectLock(Box::new(set))
    };
    let retention = Some(Retention { mode: RetentionMode::Compliance, until: Timestamp::from_seconds(77) });
    let config = |object_lock| BucketConfig { versioning: Versioning::Enabled, object_lock };
    vec![
        set(WhichVersion::Newest, LockChange::Retention { retention, bypass_governance: false }),
        set(WhichVersion::Id(version_id()), LockChange::Retention { retention: None, bypass_governance: true }),
        set(WhichVersion::Null, LockChange::LegalHold(LegalHold::On)),
        set(WhichVersion::Newest, LockChange::LegalHold(LegalHold::Off)),
        CommandBody::ChangeBucketRow { bucket: at(9, 1), config: config(default_lock(RetentionPeriod::Days(300))) },
        CommandBody::ChangeBucketRow { bucket: at(9, 1), config: config(default_lock(RetentionPeriod::Years(3))) },
    ]
}

fn default_lock(period: RetentionPeriod) -> ObjectLock {
    ObjectLock::Default(DefaultRetention { mode: RetentionMode::Governance, period })
}

fn lifecycle_times() -> LifecycleTimes {
    LifecycleTimes {
        fingerprint: [7; 16],
        after_us: Some(300),
        round_us: 86_400_000_000,
        date: Some(Timestamp::from_seconds(1_700_000_000)),
    }
}

fn lifecycle_commands() -> Vec<CommandBody> {
    let follow = |rules| CommandBody::FollowLifecycle(Box::new(FollowLifecycle { bucket: at(1, 2), rules }));
    let tags = || vec![("tag".to_owned(), "value".to_owned())];
    let class = |name| StorageClass::new(name).expect("a class");
    let (version, superseded) = (version_id(), CommitStamp(300));
    let kinds = vec![
        ExpireKind::Newest { version, tags: tags(), random: 300 },
        ExpireKind::Noncurrent { version, superseded, tags: tags(), newer: 300 },
        ExpireKind::Marker { version },
        ExpireKind::Upload { upload: UploadId::from_bytes([9; 16]) },
        ExpireKind::Class {
            version,
            superseded: Some(superseded),
            tags: tags(),
            newer: 0,
            from: class("STANDARD"),
            to: class("COLD"),
        },
    ];
    assert_all_kinds(&kinds);
    let since = Timestamp::from_seconds(1_700_000_000);
    let actions = kinds.into_iter().map(|kind| ExpireAction { kind, since }).collect();
    let expired = ExpireKey { key: key("k"), noted: Some(since), actions, next: Some(since) };
    let left = ExpireKey { key: key("l"), noted: None, actions: Vec::new(), next: None };
    let pass = Some(LifecyclePass { fingerprint: [7; 16], after: Some(vec![0, 1]) });
    let expire = |keys, pass| CommandBody::Expire(Box::new(Expire { bucket: at(1, 2), keys, pass }));
    vec![
        follow(Some(lifecycle_times())),
        follow(None),
        expire(vec![expired, left], pass),
        expire(Vec::new(), None),
        CommandBody::DropDue { rows: vec![vec![0, 1], vec![2]] },
    ]
}

fn identity_changes() -> Vec<IdentityChange> {
    let account_id = types::AccountId(111_122_223_333);
    let name = |kind, name: &str| IdentityName { account: account_id, kind, name: name.into() };
    let user = name(IdentityKind::User, "bob");
    vec![
        IdentityChange::CreateAccount(Box::new(account(account_id.0))),
        IdentityChange::DeleteAccount(account_id),
        IdentityChange::Create { account: account_id, row: Box::new(identity(IdentityKind::User, "bob")) },
        IdentityChange::Create { account: account_id, row: Box::new(identity(IdentityKind::Role, "reader")) },
        IdentityChange::Delete { identity: name(IdentityKind::Group, "team"), with_all: true },
        IdentityChange::CreateAccessKey(Box::new(access_key("AKIAKEY", account_id, Some("bob")))),
        IdentityChange::SetAccessKeyActive { id: types::AccessKeyId("AKIAKEY".into()), active: true },
        IdentityChange::DeleteAccessKey(types::AccessKeyId("AKIAKEY".into())),
        IdentityChange::AddToGroup { account: account_id, group: "team".into(), user: "bob".into() },
        IdentityChange::RemoveFromGroup { account: account_id, group: "team".into(), user: "bob".into() },
        IdentityChange::CreatePolicy { account: account_id, row: Box::new(policy("read", "{}")) },
        IdentityChange::CreatePolicyVersion {
            account: account_id,
            policy: "read".into(),
            document: "{}".into(),
            set_default: true,
        },
        IdentityChange::SetDefaultPolicyVersion { account: account_id, policy: "read".into(), number: 2 },
        IdentityChange::DeletePolicyVersion { account: account_id, policy: "read".into(), number: 1 },
        IdentityChange::DeletePolicy { account: account_id, policy: "read".into() },
        IdentityChange::Attach { identity: user.clone(), arn: "arn".into() },
        IdentityChange::Detach { identity: user.clone(), arn: "arn".into() },
        IdentityChange::SetBoundary { identity: user.clone(), arn: Some("arn".into()) },
        IdentityChange::SetInlinePolicy { identity: user.clone(), policy: "own".into(), document: Some("{}".into()) },
        IdentityChange::SetTags { identity: user, tags: vec![("tag".to_owned(), "value".to_owned())] },
    ]
}

#[test]
fn commands_are_those_of_the_golden_file() {
    let bodies = || {
        let first = system_commands().into_iter().chain(object_commands());
        first
            .chain(gateway_commands())
            .chain(cluster_commands())
            .chain(move_commands())
            .chain(range_commands())
            .chain(document_commands())
            .chain(identity_changes().into_iter().map(|change| CommandBody::ChangeIdentity(Box::new(change))))
            .chain(lock_commands())
            .chain(lifecycle_commands())
    };
    assert_all_kinds(&bodies().collect::<Vec<_>>());
    assert_all_kinds(&identity_changes());
    let mut lines = Vec::new();
    for (number, body) in (1..).zip(bodies()) {
        let name = format!("{body:?}").split(|letter: char| !letter.is_alphanumeric()).next().map(str::to_owned);
        let command = numbered(200, number, number - 1, body);
        let bytes = command.encode();
        assert_eq!(Command::decode(&bytes).as_ref(), Ok(&command));
        lines.push((name.expect("a name"), bytes));
    }
    let commands = bodies().take(3).map(plain).collect();
    let proposal = Proposal { time: Timestamp::from_seconds(1_700_000_000), commands };
    assert_eq!(Proposal::decode(&proposal.encode()).as_ref(), Ok(&proposal));
    lines.push(("proposal".to_owned(), proposal.encode()));
    check("commands.txt", include_str!("../tests/golden/commands.txt"), lines);
}

#[test]
fn answers_are_those_of_the_golden_file() {
    let refusals = [
        Refusal::BelowFloor,
        Refusal::StaleBucket { row: Some(bucket_row()) },
        Refusal::StaleBucket { row: None },
        Refusal::StaleLayout,
        Refusal::NoSuchBucket,
        Refusal::BucketExists(Box::new(record(BucketRecordState::Live))),
        Refusal::BucketBusy,
        Refusal::BucketNotEmpty,
        Refusal::PreconditionFailed,
        Refusal::NoSuchKey,
        Refusal::NoSuchVersion,
        Refusal::NoSuchUpload,
        Refusal::PartChanged,
        Refusal::Locked,
        Refusal::WrongRange,
        Refusal::FeatureLevel { level: FeatureLevel(300) },
        Refusal::NotInRange(Box::new(descriptor(300, None))),
        Refusal::IsMarker { id: version_id(), null: true },
        Refusal::DocumentTooLong,
        Refusal::NoObjectLock,
        Refusal::RetainUntilPassed,
        Refusal::Identity(IdentityRefusal::NoSuchEntity(IdentityThing::Account)),
        Refusal::Identity(IdentityRefusal::Invalid(IdentityThing::Boundary)),
    ];
    assert_all_kinds(&refusals);
    let answers = [
        Answer::Done,
        Answer::Ticket(TicketId(300)),
        Answer::Floor(TicketId(2)),
        Answer::BucketReserved(BucketId(9)),
        Answer::BucketRow(bucket_row()),
        Answer::Fenced { empty: true, epoch: BucketEpoch(2) },
        Answer::Put { id: version_id(), null: true },
        Answer::Deleted { marker: true, version: Some((version_id(), false)) },
        Answer::Deleted { marker: false, version: None },
        Answer::UploadCreated { stamp: CommitStamp(6) },
        Answer::Range(RangeId(300)),
        Answer::Split(Box::new([descriptor(1, Some(b"end")), descriptor(300, None)])),
        Answer::Tagged { id: version_id(), null: false },
        Answer::LockSet { id: version_id(), null: false },
        Answer::PolicyVersion(300),
        Answer::Expired(Expired { objects: 1, noncurrent: 2, markers: 3, uploads: 4, moved: 5, left: 300 }),
    ];
    let all: Vec<Answer> = answers.into_iter().chain(refusals.map(Answer::Refused)).collect();
    assert_all_kinds(&all);
    let lines = all.into_iter().map(|answer| {
        let name = format!("{answer:?}").replace("Refused(", "Refused.");
        let name = name.split(|letter: char| !letter.is_alphanumeric() && letter != '.').next().map(str::to_owned);
        row(&name.expect("a name"), &answer)
    });
    check("answers.txt", include_str!("../tests/golden/answers.txt"), lines.collect());
}

#[test]
fn bytes_of_a_newer_release_are_told_apart_from_broken_ones() {
    use crate::DecodeError::{Malformed, UnknownVersion};
    let good = plain(CommandBody::RenewTicket(TicketId(1))).encode();
    let newer = [&[2], &good[1..]].concat();
    assert_eq!(Command::decode(&newer), Err(UnknownVersion { found: 2 }));
    assert_eq!(Command::decode(&[]), Err(UnknownVersion { found: 0 }));
    assert!(matches!(Command::decode(&good[..good.len() - 1]), Err(Malformed { .. })));
    assert!(matches!(Command::decode(&[&good[..], &[0]].concat()), Err(Malformed { .. })));
    assert!(rows::decode::<FeatureLevel>(&[2, 1]).is_err());
    assert!(rows::decode::<FeatureLevel>(&[1, 1, 1]).is_err());
    assert!(rows::decode::<FeatureLevel>(&[]).is_err());
}

#[test]
fn a_marker_needs_no_body_and_an_object_does() {
    let [(_, object), (_, marker)] = &heads()[..] else { panic!("two heads") };
    let marker = rows::version_of(HeadRow::decode(marker).expect("golden"), None);
    assert!(matches!(marker, Ok(Version { kind: types::VersionKind::DeleteMarker, .. })));
    assert!(rows::version_of(HeadRow::decode(object).expect("golden"), None).is_err());
}
