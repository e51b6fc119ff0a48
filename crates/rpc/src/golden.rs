//! Bytes of every message, as this release and all later ones read them (tests/golden).
//!
//! A line of a golden file is a name and bytes in hex. A message must encode to its line, and the line decode to it. A
//! line that differs says that a format changed: then the old bytes stay in the file under the old version, with a
//! decoder of their own, and new ones are added.

use bytes::Bytes;
use index::command::{
    BucketConfig, BucketDocument, BucketRow, DocumentKind, FollowedLifecycle, IdentityKind, IdentityName,
    LifecycleTimes, Rebalancing, UploadChecksum, WhichVersion,
};
use index::contract::kinds::assert_all_kinds;
use index::contract::samples::{
    access_key, account, ask_version, at, credential, etag, gateway, identity, inline_part, key, numbered, owner,
    part_in, policy, put, run, upload_id, whole_bucket,
};
use index::query::{
    AccessKeyAnswer, AccessKeyView, ClusterView, CompletedUpload, DegradedRow, DueRow, GarbageRow, HeldPolicy,
    IdentityAnswer, IdentityQuery, InlinePolicy, KeyFacts, KeyHolder, KeyUpload, KeyUser, KeyVersion, ListEntry,
    ListPage, ListRange, ListedUpload, ListedVersion, Totals, UploadView, Usage, VersionRow,
};
use index::{Answer, Command, CommandBody, IndexError, Query, QueryAnswer, Refusal};
use shards::contract::{address, header};
use shards::{ArchiveError, ArchiveFile, ArchiveSet, ShardError, StoredArchive, StoredShard};
use types::{
    BucketEpoch, BucketId, BucketName, BucketState, ChecksumAlgorithm, ChecksumType, ClusterId, CommitStamp, DiskId,
    FeatureLevel, GatewayId, Integrity, Layout, LayoutEpoch, Namespace, NodeId, ObjectAttributes, PartNumber,
    RangeDescriptor, RangeId, RangeInterval, SlotEpoch, SlotIndex, SplitEpoch, StorageClass, TicketId, Version,
    VersionId, VersionKind, VoterId,
};

use crate::encoding::{
    ArchiveAnswer, ArchiveRequest, CallRefusal, FrameHead, IndexAnswer, IndexAsked, IndexRequest, PageRecord,
    RaftAnswer, RaftRequest, Service, ShardAnswer, ShardRequest, decode, encode,
};
use crate::handshake::{ClientHello, Lane, Role, ServerHello, Transcript};
use crate::secret::{ClusterSecret, GatewayKey};
use crate::server::RaftError;
use crate::wire::{OutFrame, seal_for_test};

const DISK: DiskId = DiskId::from_bytes([0xd1; 16]);
const NODE: NodeId = NodeId::from_bytes([0xa1; 16]);

type Line = (String, Vec<u8>);

/// Compares lines with a golden file.
fn check(file: &str, golden: &str, lines: Vec<Line>) {
    let text: String = lines.iter().map(|(name, bytes)| format!("{name} {}\n", hex::encode(bytes))).collect();
    assert!(golden == text, "tests/golden/{file} should read:\n{text}");
}

fn line(name: impl Into<String>, bytes: impl Into<Vec<u8>>) -> Line {
    (name.into(), bytes.into())
}

fn hellos() -> (ClientHello, ServerHello) {
    let cluster = Some(ClusterId::from_bytes([0xc1; 16]));
    let role = Role::Node(NodeId::from_bytes([0xa2; 16]));
    let newest = ClientHello::new(cluster, role, Some(NODE), Lane::Bulk, [0x11; 32]);
    let client = ClientHello { version_max: 1, ..newest };
    let server = ServerHello {
        version: 1,
        version_min: 1,
        version_max: 1,
        cluster,
        node: NODE,
        in_flight_max: 64,
        nonce: [0x22; 32],
    };
    (client, server)
}

#[test]
fn hellos_are_those_of_the_golden_file() {
    let (client, server) = hellos();
    let gateway = ClientHello { role: Role::Gateway(GatewayId::from_bytes([0x61; 16])), ..client.clone() };
    let blank = ClientHello { cluster: None, wanted: None, lane: Lane::Raft, ..client.clone() };
    let mut lines = Vec::new();
    let names = ClientHello { version_max: 2, ..client.clone() };
    for (name, hello) in
        [("client_node", client), ("client_gateway", gateway), ("client_blank", blank), ("client_version_2", names)]
    {
        assert_eq!(ClientHello::decode(&hello.encode()).as_ref(), Ok(&hello));
        lines.push(line(name, hello.encode()));
    }
    assert_eq!(ServerHello::decode(&server.encode()).as_ref(), Ok(&server));
    lines.push(line("server", server.encode()));
    check("hellos.txt", include_str!("../tests/golden/hellos.txt"), lines);
}

/// Proofs and frames under known keys: what a release of today says to one of tomorrow.
#[test]
fn a_conversation_is_that_of_the_golden_file() {
    let (client, server) = hellos();
    let secret = ClusterSecret::new("a secret that is long enough for a test").expect("long enough");
    let transcript = Transcript::new(secret.key(), &client.encode(), &server.encode());
    let gateway = GatewayKey::from_bytes([0x5a; 32]).handshake_key();
    let of_gateway = Transcript::new(&gateway, &client.encode(), &server.encode());
    let request = FrameHead::Request { number: 0, timeout_ms: 10_000, service: Service::Shards };
    let there = address(1, 2, 0);
    let append = ShardRequest::Append { disk: DISK, header: Box::new(header(there, Integrity::Xxh3)) };
    let body = vec![Bytes::from_static(b"the bytes "), Bytes::from_static(b"of a shard")];
    let (keys, answers) = (transcript.client_keys(), transcript.server_keys());
    let asked = |head: &FrameHead, payload: &[u8], body: Vec<Bytes>| OutFrame::new(&keys, head, payload, body);
    let frames =
        vec![asked(&request, &encode(&append), body), asked(&FrameHead::Cancel { number: 0 }, &[], Vec::new())];
    let answer = OutFrame::new(&answers, &FrameHead::Answer { number: 0 }, &encode(&ShardAnswer::Done), Vec::new());
    let lines = vec![
        line("client_proof", *transcript.client_proof().as_bytes()),
        line("server_proof", *transcript.server_proof().as_bytes()),
        line("gateway_proof", *of_gateway.client_proof().as_bytes()),
        line("client_frames", seal_for_test(keys_again(&transcript), frames)),
        line("server_frame", seal_for_test(transcript.server_keys(), vec![answer])),
    ];
    check("conversation.txt", include_str!("../tests/golden/conversation.txt"), lines);
}

fn keys_again(transcript: &Transcript) -> crate::wire::SessionKeys {
    transcript.client_keys()
}

#[test]
fn frame_heads_are_those_of_the_golden_file() {
    let refused = |refusal| FrameHead::Refused { number: 300, refusal };
    let heads = [
        ("request", FrameHead::Request { number: 300, timeout_ms: 10_000, service: Service::Index }),
        ("request_shards", FrameHead::Request { number: 1, timeout_ms: 1, service: Service::Shards }),
        ("request_raft", FrameHead::Request { number: 1, timeout_ms: 1, service: Service::Raft }),
        ("request_join", FrameHead::Request { number: 1, timeout_ms: 1, service: Service::Join }),
        ("request_archive", FrameHead::Request { number: 1, timeout_ms: 1, service: Service::Archive }),
        ("answer", FrameHead::Answer { number: 300 }),
        ("cancel", FrameHead::Cancel { number: 300 }),
        ("ping", FrameHead::Ping),
        ("pong", FrameHead::Pong),
        ("closing", FrameHead::Closing),
        ("named", FrameHead::Named { number: 300, timeout_ms: 10_000, service: Service::Index, name: 1 << 63 }),
        ("forbidden", refused(CallRefusal::Forbidden { what: "this".to_owned() })),
        ("busy", refused(CallRefusal::Busy)),
        ("deadline_passed", refused(CallRefusal::DeadlinePassed)),
        ("no_service", refused(CallRefusal::NoService)),
        ("unreadable", refused(CallRefusal::Unreadable { reason: "why".to_owned() })),
    ];
    assert_all_kinds(heads.iter().map(|(_, head)| head));
    assert_all_kinds(heads.iter().filter_map(|(_, head)| match head {
        FrameHead::Refused { refusal, .. } => Some(refusal),
        _ => None,
    }));
    assert_all_kinds(heads.iter().filter_map(|(_, head)| match head {
        FrameHead::Request { service, .. } => Some(service),
        _ => None,
    }));
    let encoded = |(name, head): (&str, FrameHead)| {
        let bytes = head.encode_with(b"payload");
        let taken = bytes.len() - b"payload".len();
        assert_eq!(FrameHead::decode(&bytes), Ok((head, taken)));
        line(name, bytes)
    };
    let lines = heads.map(encoded).to_vec();
    check("frames.txt", include_str!("../tests/golden/frames.txt"), lines);
}

fn shard_errors() -> [ShardError; 9] {
    let there = address(1, 2, 3);
    [
        ShardError::DiskFull { disk: DISK },
        ShardError::DiskDown { disk: DISK, reason: "why".to_owned() },
        ShardError::UnknownDisk { disk: DISK },
        ShardError::Stale { owned: SlotEpoch(3), named: SlotEpoch(2) },
        ShardError::Gone { address: there },
        ShardError::Missing { address: there },
        ShardError::Invalid { reason: "why".to_owned() },
        ShardError::Corrupt { disk: DISK, address: there },
        ShardError::Unreachable { disk: DISK, reason: "why".to_owned() },
    ]
}

#[test]
fn shard_messages_are_those_of_the_golden_file() {
    let there = address(1, 2, 3);
    let requests = [
        ("append", ShardRequest::Append { disk: DISK, header: Box::new(header(address(1, 2, 0), Integrity::Blake3)) }),
        ("read", ShardRequest::Read { disk: DISK, address: there, start: 65_536, end: 1 << 20 }),
        ("header", ShardRequest::Header { disk: DISK, address: there }),
        ("free", ShardRequest::Free { disk: DISK, group: there.group, runs: vec![there.run; 2] }),
        ("list", ShardRequest::List { disk: DISK, after: Some(there), limit: 1000 }),
        ("list_first", ShardRequest::List { disk: DISK, after: None, limit: 1 }),
        ("seal", ShardRequest::Seal { disk: DISK, group: there.group, slot: SlotIndex(5), epoch: SlotEpoch(300) }),
    ];
    assert_all_kinds(requests.iter().map(|(_, request)| request));
    assert_all_kinds(&shard_errors());
    let mut lines = Vec::new();
    for (name, request) in requests {
        let bytes = encode(&request);
        assert_eq!(ShardRequest::decode(&bytes), Ok(request));
        lines.push(line(format!("request_{name}"), bytes));
    }
    let answers = [
        ("done", ShardAnswer::Done),
        ("bytes", ShardAnswer::Bytes),
        ("header", ShardAnswer::Header(Box::new(header(there, Integrity::Xxh3)))),
        ("listed", ShardAnswer::Listed(vec![StoredShard { address: there, bytes: 5000 }])),
    ];
    let failures = (0..).zip(shard_errors()).map(|(at, error)| (format!("failed_{at}"), ShardAnswer::Failed(error)));
    let answers: Vec<_> = answers.map(|(name, answer)| (name.to_owned(), answer)).into_iter().chain(failures).collect();
    assert_all_kinds(answers.iter().map(|(_, answer)| answer));
    for (name, answer) in answers {
        let bytes = encode(&answer);
        assert_eq!(ShardAnswer::decode(&bytes), Ok(answer));
        lines.push(line(format!("answer_{name}"), bytes));
    }
    check("shards.txt", include_str!("../tests/golden/shards.txt"), lines);
}

#[test]
fn archive_messages_are_those_of_the_golden_file() {
    let file = ArchiveFile { range: RangeId(1), generation: 300 };
    let set = ArchiveSet { file, disks: vec![DISK] };
    let reason = || "why".to_owned();
    let requests = [
        ("append", ArchiveRequest::Append { disk: DISK, file, seq: 7 }),
        ("read", ArchiveRequest::Read { disk: DISK, file, position: 4096, bytes_max: 1 << 20 }),
        ("list", ArchiveRequest::List { disk: DISK }),
        ("drop", ArchiveRequest::Drop { disk: DISK, file }),
        ("note", ArchiveRequest::Note { disk: DISK, set: set.clone() }),
        ("sets", ArchiveRequest::Sets { disk: DISK }),
    ];
    assert_all_kinds(requests.iter().map(|(_, request)| request));
    let mut lines = Vec::new();
    for (name, request) in requests {
        let bytes = encode(&request);
        assert_eq!(decode(&bytes), Ok(request));
        lines.push(line(format!("request_{name}"), bytes));
    }
    let records = vec![PageRecord { seq: 0, bytes: Some(5000) }, PageRecord { seq: 1, bytes: None }];
    let answers = [
        ("done", ArchiveAnswer::Done),
        ("page", ArchiveAnswer::Page { records, next: 5040 }),
        ("listed", ArchiveAnswer::Listed(vec![StoredArchive { file, records: 2, bytes: 6000, last: 5000 }])),
        ("sets", ArchiveAnswer::Sets(vec![set])),
        ("disk_full", ArchiveAnswer::Failed(ArchiveError::DiskFull { disk: DISK })),
        ("disk_down", ArchiveAnswer::Failed(ArchiveError::DiskDown { disk: DISK, reason: reason() })),
        ("unknown_disk", ArchiveAnswer::Failed(ArchiveError::UnknownDisk { disk: DISK })),
        ("lost", ArchiveAnswer::Failed(ArchiveError::Lost { disk: DISK, file, reason: reason() })),
        ("invalid", ArchiveAnswer::Failed(ArchiveError::Invalid { reason: reason() })),
        ("unreachable", ArchiveAnswer::Failed(ArchiveError::Unreachable { disk: DISK, reason: reason() })),
    ];
    assert_all_kinds(answers.iter().map(|(_, answer)| answer));
    assert_all_kinds(answers.iter().filter_map(|(_, answer)| match answer {
        ArchiveAnswer::Failed(error) => Some(error),
        _ => None,
    }));
    for (name, answer) in answers {
        let bytes = encode(&answer);
        assert_eq!(decode(&bytes), Ok(answer));
        lines.push(line(format!("answer_{name}"), bytes));
    }
    check("archive.txt", include_str!("../tests/golden/archive.txt"), lines);
}

#[test]
fn raft_envelopes_are_those_of_the_golden_file() {
    let request = RaftRequest { range: RangeId(300), voter: VoterId::from_bytes([9; 16]) };
    let message = Bytes::from_static(b"message");
    let mut lines = vec![line("request", request.encode_with(&message))];
    assert_eq!(RaftRequest::decode(&request.encode_with(&message).into()), Ok((request, message.clone())));
    let failed = RaftAnswer::Failed(RaftError::Failed { reason: "why".to_owned() });
    let answers =
        [("answered", RaftAnswer::Answered), ("not_here", RaftAnswer::Failed(RaftError::NotHere)), ("failed", failed)];
    assert_all_kinds(answers.iter().map(|(_, answer)| answer));
    assert_all_kinds(answers.iter().filter_map(|(_, answer)| match answer {
        RaftAnswer::Failed(error) => Some(error),
        RaftAnswer::Answered => None,
    }));
    for (name, answer) in answers {
        let bytes = answer.encode_with(&message);
        assert_eq!(RaftAnswer::decode(&bytes.clone().into()), Ok((answer, message.clone())));
        lines.push(line(name, bytes));
    }
    check("raft.txt", include_str!("../tests/golden/raft.txt"), lines);
}

fn bucket_row() -> BucketRow {
    BucketRow { id: BucketId(1), epoch: BucketEpoch(300), state: BucketState::Live, config: BucketConfig::default() }
}

fn version_id() -> VersionId {
    VersionId { stamp: CommitStamp(1_700_000_000_000_000), random: 0x1122_3344_5566_7788 }
}

pub(crate) fn queries() -> Vec<(&'static str, Query)> {
    let (bucket, upload) = (BucketId(3), upload_id(0xee));
    let range =
        ListRange { prefix: Bytes::from_static(b"a/"), delimiter: Bytes::from_static(b"/"), ..whole_bucket(3, 9) };
    vec![
        ("cluster", Query::Cluster),
        ("credentials", Query::Credentials),
        ("tickets", Query::Tickets),
        ("bucket_by_name", Query::BucketByName { namespace: Namespace("t".to_owned()), name: name() }),
        (
            "buckets",
            Query::Buckets {
                namespace: Namespace::default(),
                prefix: "my".to_owned(),
                after: Some(name()),
                limit: 1000,
            },
        ),
        ("unfinished_buckets", Query::UnfinishedBuckets),
        ("bucket_count", Query::BucketCount),
        ("bucket_row", Query::BucketRow(bucket)),
        ("usage", Query::Usage(bucket)),
        ("totals", Query::Totals),
        ("version", ask_version(3, "key", WhichVersion::Newest)),
        ("version_head", Query::VersionHead { bucket, key: key("key"), which: WhichVersion::Id(version_id()) }),
        ("parts", Query::Parts { bucket, key: key("key"), upload, after: 5, limit: 1000 }),
        ("manifest", Query::Manifest { bucket, key: key("key"), upload }),
        ("upload", Query::Upload { bucket, key: key("key"), upload }),
        ("objects", Query::Objects(range.clone())),
        ("versions", Query::Versions { range: range.clone(), after_version: Some(WhichVersion::Null) }),
        ("uploads", Query::Uploads { range, after_upload: Some(upload) }),
        ("garbage", Query::Garbage { freed_before: CommitStamp(7), after: Some(vec![1, 2]), limit: 10 }),
        ("degraded", Query::Degraded { after: None, limit: 10 }),
        ("run_lives", Query::RunLives { bucket, key: key("key"), run: run(7, 8, 9).id }),
        ("version_rows", Query::VersionRows { after: Some(vec![3]), limit: 10 }),
        ("gateways", Query::Gateways),
        ("wanted_profile", Query::WantedProfile),
        ("away_disks", Query::AwayDisks),
        ("rebalancing", Query::Rebalancing),
        ("ranges", Query::Ranges),
        ("within", Query::Within { epoch: SplitEpoch(300), query: Box::new(Query::Usage(bucket)) }),
        ("bucket_documents", Query::BucketDocuments { bucket, known: Some(CommitStamp(300)) }),
        ("bucket_documents_first", Query::BucketDocuments { bucket, known: None }),
        ("access_key", Query::AccessKey { id: types::AccessKeyId("KEY".into()), known: Some(CommitStamp(300)) }),
        ("lifecycle_buckets", Query::LifecycleBuckets { known: Some(CommitStamp(300)) }),
        ("followed", Query::Followed),
        ("due", Query::Due { after: Some(vec![1, 2]), limit: 10 }),
        ("places", Query::Places { bucket, after: vec![1], limit: 10 }),
        ("key_facts", Query::KeyFacts { bucket, key: key("key"), after: Some(CommitStamp(300)), limit: 10 }),
    ]
    .into_iter()
    .chain(identity_queries().into_iter().map(|query| ("identities", Query::Identities(Box::new(query)))))
    .collect()
}

fn identity_queries() -> Vec<IdentityQuery> {
    let account = types::AccountId(7);
    let (kind, after, limit) = (IdentityKind::Group, "after".to_owned(), 10);
    let queries = vec![
        IdentityQuery::Accounts { after: Some(account), limit },
        IdentityQuery::List { account, kind, after: after.clone(), limit },
        IdentityQuery::Get(IdentityName { account, kind, name: "team".into() }),
        IdentityQuery::Members { account, group: "team".to_owned(), after: after.clone(), limit },
        IdentityQuery::AccessKeys { account, user: Some("bob".to_owned()) },
        IdentityQuery::Policies { account, after, limit },
        IdentityQuery::Policy { account, name: "read".to_owned() },
    ];
    assert_all_kinds(&queries);
    queries
}

fn identity_answers() -> Vec<IdentityAnswer> {
    let team = identity(IdentityKind::Group, "team");
    let inline = InlinePolicy { name: "own".into(), document: "{}".into() };
    let view = AccessKeyView {
        id: types::AccessKeyId("KEY".into()),
        active: true,
        created: types::Timestamp::from_seconds(1),
    };
    let answers = vec![
        IdentityAnswer::Accounts(vec![account(7)]),
        IdentityAnswer::Identities(vec![team.clone()]),
        IdentityAnswer::Identity(Some(Box::new((team, vec![inline])))),
        IdentityAnswer::Members(vec!["bob".into()]),
        IdentityAnswer::AccessKeys(vec![view]),
        IdentityAnswer::Policies(vec![policy("read", "{}")]),
    ];
    assert_all_kinds(&answers);
    answers
}

fn descriptor() -> RangeDescriptor {
    let interval = RangeInterval { start: b"from".to_vec(), end: Some(b"to".to_vec()) };
    RangeDescriptor { id: RangeId(300), interval, epoch: SplitEpoch(2) }
}

fn name() -> BucketName {
    BucketName::new("my.bucket").expect("a name")
}

fn listed_version() -> ListedVersion {
    ListedVersion {
        key: key("a/key"),
        id: version_id(),
        null: true,
        newest: true,
        marker: false,
        plain_bytes: 5000,
        etag: etag(1),
        storage_class: StorageClass::default(),
        checksum: Some(UploadChecksum {
            algorithm: ChecksumAlgorithm::Crc32c,
            checksum_type: ChecksumType::FullObject,
        }),
        owner: owner(),
    }
}

fn version() -> Version {
    Version {
        id: version_id(),
        null: true,
        superseded: None,
        owner: owner(),
        kind: VersionKind::Single(inline_part(1, b"ab")),
        plain_bytes: 2,
        etag: etag(2),
        checksum: None,
        attributes: ObjectAttributes::default(),
    }
}

fn documents() -> Vec<BucketDocument> {
    vec![BucketDocument { kind: DocumentKind::Cors, document: Bytes::from_static(b"<CORSConfiguration/>") }]
}

fn holder() -> KeyHolder {
    let account = types::AccountId(7);
    let policy =
        HeldPolicy { group: Some("team".into()), name: "own".into(), managed: false, document: Some("{}".into()) };
    let boundary = HeldPolicy { group: None, name: "arn".into(), managed: true, document: None };
    let row = identity(IdentityKind::User, "bob");
    KeyHolder {
        key: access_key("KEY", account, Some("bob")),
        owner: owner(),
        user: Some(KeyUser { row, policies: vec![policy], boundary: Some(boundary) }),
    }
}

fn query_answers() -> Vec<(&'static str, QueryAnswer)> {
    let cluster = ClusterView {
        cluster: ClusterId::from_bytes([0xc1; 16]),
        feature_level: FeatureLevel(1),
        layout: Layout { epoch: LayoutEpoch(1), ..Layout::default() },
    };
    let usage = Usage { objects: 1, versions: 2, markers: 3, bytes: 4, uploads: 5, upload_bytes: 6 };
    let upload = UploadView {
        began: CommitStamp(8),
        attributes: ObjectAttributes::default(),
        owner: owner(),
        checksum: None,
        completed: Some(CompletedUpload { id: version_id(), null: false, etag: etag(3), checksum: None }),
    };
    let listed_upload = ListedUpload {
        key: key("key"),
        upload: upload_id(1),
        began: CommitStamp(9),
        storage_class: StorageClass::default(),
        checksum: None,
        owner: owner(),
    };
    let degraded = DegradedRow {
        row: vec![2],
        bucket: BucketId(3),
        key: key("key"),
        version: Some(version_id()),
        upload: None,
        number: PartNumber::new(1).expect("the first"),
    };
    let versions = vec![ListEntry::Entry(listed_version()), ListEntry::CommonPrefix(Bytes::from_static(b"b/"))];
    let uploads = ListPage { entries: vec![ListEntry::Entry(listed_upload)], truncated: false };
    vec![
        ("cluster", QueryAnswer::Cluster(Some(Box::new(cluster)))),
        ("no_cluster", QueryAnswer::Cluster(None)),
        ("credentials", QueryAnswer::Credentials(vec![credential("ROOTKEY")])),
        ("tickets", QueryAnswer::Tickets { tickets: Vec::new(), floor: TicketId(5) }),
        ("bucket_record", QueryAnswer::BucketRecord(None)),
        ("bucket_records", QueryAnswer::BucketRecords(Vec::new())),
        ("bucket_row", QueryAnswer::BucketRow(Some(bucket_row()))),
        ("bucket_count", QueryAnswer::BucketCount(300)),
        ("usage", QueryAnswer::Usage(usage)),
        ("totals", QueryAnswer::Totals(Totals { usage, degraded_parts: 7 })),
        ("version", QueryAnswer::Version { version: Some(Box::new(version())), row: Some(bucket_row()) }),
        ("parts", QueryAnswer::Parts(vec![part_in(2, &[run(7, 8, 9)])])),
        ("upload", QueryAnswer::Upload(Some(Box::new(upload)))),
        ("objects", QueryAnswer::Objects(ListPage { entries: versions.clone(), truncated: true })),
        ("versions", QueryAnswer::Versions(ListPage { entries: versions, truncated: false })),
        ("uploads", QueryAnswer::Uploads(uploads)),
        ("garbage", QueryAnswer::Garbage(vec![GarbageRow { row: vec![1], freed: CommitStamp(2), run: run(3, 4, 5) }])),
        ("degraded", QueryAnswer::Degraded(vec![degraded])),
        ("run_lives", QueryAnswer::RunLives(true)),
        (
            "version_rows",
            QueryAnswer::VersionRows {
                rows: vec![VersionRow { bucket: BucketId(3), key: key("key"), version: version() }],
                next: Some(vec![9]),
            },
        ),
        ("gateways", QueryAnswer::Gateways(vec![gateway(7)])),
        ("wanted_profile", QueryAnswer::WantedProfile(Some("4+2".parse().expect("a profile")))),
        ("away_disks", QueryAnswer::AwayDisks(vec![types::DiskId::from_bytes([1; 16])])),
        ("rebalancing", QueryAnswer::Rebalancing(Rebalancing::Paused)),
        ("ranges", QueryAnswer::Ranges(vec![descriptor()])),
        ("not_in_range", QueryAnswer::NotInRange(Box::new(descriptor()))),
        ("bucket_documents", QueryAnswer::BucketDocuments { changed: CommitStamp(300), documents: Some(documents()) }),
        ("bucket_documents_known", QueryAnswer::BucketDocuments { changed: CommitStamp(300), documents: None }),
        (
            "access_key",
            QueryAnswer::AccessKey { changed: CommitStamp(300), key: AccessKeyAnswer::Known(Box::new(holder())) },
        ),
        ("access_key_unknown", QueryAnswer::AccessKey { changed: CommitStamp(300), key: AccessKeyAnswer::Unknown }),
        ("access_key_known", QueryAnswer::AccessKey { changed: CommitStamp(300), key: AccessKeyAnswer::AsKnown }),
        (
            "lifecycle_buckets",
            QueryAnswer::LifecycleBuckets {
                changed: CommitStamp(300),
                buckets: Some(vec![(BucketId(3), CommitStamp(300))]),
            },
        ),
        ("lifecycle_buckets_known", QueryAnswer::LifecycleBuckets { changed: CommitStamp(300), buckets: None }),
        ("followed", QueryAnswer::Followed(vec![(BucketId(3), followed())])),
        (
            "due",
            QueryAnswer::Due(vec![DueRow {
                row: vec![1, 2],
                at: types::Timestamp(300),
                bucket: BucketId(3),
                key: key("key"),
            }]),
        ),
        ("places", QueryAnswer::Places(vec![key("key"), key("other")])),
        ("key_facts", QueryAnswer::KeyFacts(Box::new(key_facts()))),
    ]
    .into_iter()
    .chain(identity_answers().into_iter().map(|answer| ("identities", QueryAnswer::Identities(answer))))
    .collect()
}

fn followed() -> FollowedLifecycle {
    let times = LifecycleTimes { fingerprint: [7; 16], after_us: Some(300), round_us: 1, date: None };
    FollowedLifecycle { times, pass: Some(vec![1]) }
}

fn key_facts() -> KeyFacts {
    let version = KeyVersion {
        id: version_id(),
        superseded: Some(CommitStamp(300)),
        marker: false,
        plain_bytes: 300,
        tags: vec![("tag".to_owned(), "value".to_owned())],
        storage_class: types::StorageClass::default(),
        retention: None,
        legal_hold: true,
    };
    let upload = KeyUpload { id: upload_id(1), began: types::Timestamp(300) };
    KeyFacts { versions: vec![version], truncated: true, uploads: vec![upload], row: None }
}

/// The first form, without a range: no longer written, and read as ever. Its file is never written anew.
#[test]
fn index_requests_without_a_range_are_read_as_ever() {
    let known: Vec<_> = queries();
    let mut queries_read = 0;
    for golden in include_str!("../tests/golden/index_without_range.txt").lines() {
        let (name, bytes) = golden.split_once(' ').expect("a name and bytes");
        let IndexRequest { range, asked } = IndexRequest::decode(&hex::decode(bytes).expect("hex")).expect("read");
        assert_eq!(range, None);
        match asked {
            IndexAsked::Query(query) => {
                assert!(known.contains(&(name.strip_prefix("query_").expect("a query"), query)), "{name}");
                queries_read += 1;
            }
            IndexAsked::Propose(command) if name == "propose_put" => {
                assert_eq!(command, put(at(1, 2), "key", 3, b"bytes"));
            }
            IndexAsked::Propose(command) => {
                assert_eq!(name, "propose_raise_floor");
                assert_eq!(command, numbered(5, 6, 4, CommandBody::RaiseFloor { floor: TicketId(7) }));
            }
        }
    }
    assert_eq!(queries_read, 23);
}

#[test]
fn index_messages_are_those_of_the_golden_file() {
    let mut lines = Vec::new();
    let commands: [(&str, Command); 2] = [
        ("put", put(at(1, 2), "key", 3, b"bytes")),
        ("raise_floor", numbered(5, 6, 4, CommandBody::RaiseFloor { floor: TicketId(7) })),
    ];
    let range = RangeId(300);
    for (name, command) in commands {
        let bytes = IndexRequest::encode_command(range, &command);
        let request = IndexRequest { range: Some(range), asked: IndexAsked::Propose(command) };
        assert_eq!(IndexRequest::decode(&bytes), Ok(request));
        lines.push(line(format!("propose_{name}"), bytes));
    }
    let known = queries();
    assert_all_kinds(known.iter().map(|(_, query)| query));
    for (name, query) in known {
        let bytes = IndexRequest::encode_query(range, &query);
        assert_eq!(
            IndexRequest::decode(&bytes),
            Ok(IndexRequest { range: Some(range), asked: IndexAsked::Query(query) })
        );
        lines.push(line(format!("query_{name}"), bytes));
    }
    let reason = || "why".to_owned();
    let failures = [
        ("wrong_range", IndexError::WrongRange { known: vec![descriptor()] }),
        ("unavailable", IndexError::Unavailable { reason: reason() }),
        ("unknown", IndexError::Unknown { reason: reason() }),
        ("damaged", IndexError::Damaged { reason: reason() }),
        ("not_leader", IndexError::NotLeader { leader: Some(NODE) }),
    ];
    let answers = [
        ("done", IndexAnswer::Answer(Answer::Done)),
        ("refused", IndexAnswer::Answer(Answer::Refused(Refusal::StaleBucket { row: Some(bucket_row()) }))),
    ];
    assert_all_kinds(failures.iter().map(|(_, error)| error));
    assert_all_kinds(query_answers().iter().map(|(_, answer)| answer));
    let failures = failures.map(|(name, error)| (name, IndexAnswer::Failed(error)));
    let queried = query_answers().into_iter().map(|(name, answer)| (name, IndexAnswer::Query(answer)));
    for (name, answer) in answers.into_iter().chain(failures).chain(queried) {
        let bytes = encode(&answer);
        assert_eq!(decode(&bytes), Ok(answer));
        lines.push(line(format!("answer_{name}"), bytes));
    }
    check("index.txt", include_str!("../tests/golden/index.txt"), lines);
}
