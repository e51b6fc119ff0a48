//! What every implementation of [`IndexService`] must hold. The suite panics with the promise that is broken.

pub mod kinds;
pub mod samples;

use futures::future::join_all;
use types::{BucketId, BucketState, NodeId, TicketId, VersionId};

use crate::command::{
    Answer, BucketAt, BucketConfig, BucketRecord, BucketRecordState, Command, CommandBody, ETagCondition, Refusal,
    WhichVersion, WriteConditions,
};
use crate::query::{ListEntry, Query, QueryAnswer};
use crate::service::IndexService;

use samples::{at, form_cluster, gateway, inline_part, key, numbered, owner, plain, put_object, whole_bucket};

/// Checks a blank index, which is full of the suite's rows afterwards.
///
/// # Panics
/// Where it breaks a promise.
pub async fn index_contract(index: &dyn IndexService) {
    system_commands_are_seen_by_queries(index).await;
    let ticket = tickets_rise(index).await;
    writes_are_seen_by_the_next_query(index).await;
    a_repeated_command_gets_its_first_answer(index, ticket).await;
    one_of_many_conditional_writers_wins(index).await;
    concurrent_writers_all_take_effect(index).await;
    a_newer_version_is_never_older(index).await;
    a_stale_epoch_is_refused_with_the_row(index).await;
    a_floor_ends_the_tickets_below_it(index, ticket).await;
}

async fn answer(index: &dyn IndexService, command: Command) -> Answer {
    index.propose(command).await.expect("the index takes commands")
}

async fn ask(index: &dyn IndexService, query: Query) -> QueryAnswer {
    index.query(query).await.expect("the index answers queries")
}

/// Makes a bucket's row; returns what commands name.
async fn bucket(index: &dyn IndexService, id: u64) -> BucketAt {
    let body = CommandBody::CreateBucketRow { id: BucketId(id), config: BucketConfig::default() };
    let row = answer(index, plain(body)).await;
    assert!(matches!(row, Answer::BucketRow(_)), "making a row answers the row, not {row:?}");
    at(id, 1)
}

fn put(bucket: BucketAt, text: &str, bytes: &[u8], conditions: WriteConditions) -> CommandBody {
    let put = put_object(bucket, key(text), 1, inline_part(1, bytes));
    CommandBody::PutObject(Box::new(crate::command::PutObject { conditions, ..put }))
}

fn only_if_new() -> WriteConditions {
    WriteConditions { if_none_match: Some(ETagCondition::Any), ..WriteConditions::default() }
}

async fn newest(index: &dyn IndexService, bucket: BucketAt, text: &str) -> Option<types::Version> {
    let query = Query::Version { bucket: bucket.id, key: key(text), which: WhichVersion::Newest };
    match ask(index, query).await {
        QueryAnswer::Version { version, .. } => version.map(|version| *version),
        other => panic!("a version was asked for, not {other:?}"),
    }
}

async fn system_commands_are_seen_by_queries(index: &dyn IndexService) {
    let form = form_cluster();
    assert_eq!(answer(index, plain(CommandBody::Form(Box::new(form.clone())))).await, Answer::Done);
    let QueryAnswer::Cluster(Some(view)) = ask(index, Query::Cluster).await else { panic!("the cluster was formed") };
    assert_eq!((view.cluster, view.feature_level), (form.cluster, form.feature_level));
    assert_eq!(ask(index, Query::Credentials).await, QueryAnswer::Credentials(vec![form.root]));

    let known = gateway(7);
    assert_eq!(answer(index, plain(CommandBody::PutGateway(Box::new(known.clone())))).await, Answer::Done);
    let QueryAnswer::Gateways(gateways) = ask(index, Query::Gateways).await else { panic!("gateways were asked for") };
    assert!(matches!(&gateways[..], [found] if (found.id, found.key) == (known.id, known.key)), "{gateways:?}");
    assert_eq!(answer(index, plain(CommandBody::RemoveGateway(known.id))).await, Answer::Done);
    assert_eq!(ask(index, Query::Gateways).await, QueryAnswer::Gateways(Vec::new()));

    let record = BucketRecord {
        id: BucketId(0),
        namespace: types::Namespace::default(),
        name: types::BucketName::new("contract").expect("a name"),
        owner: owner(),
        region: String::new(),
        created: types::Timestamp(1),
        state: BucketRecordState::Live,
    };
    let reserve = CommandBody::ReserveBucket { record: Box::new(record.clone()), token: [1; 16] };
    let Answer::BucketReserved(id) = answer(index, plain(reserve.clone())).await else { panic!("the name is free") };
    assert_eq!(answer(index, plain(reserve)).await, Answer::BucketReserved(id), "by its token the wish is the same");
    assert_eq!(answer(index, plain(CommandBody::PublishBucket { id, token: [1; 16] })).await, Answer::Done);
    let QueryAnswer::BucketRecord(Some(found)) =
        ask(index, Query::BucketByName { namespace: record.namespace.clone(), name: record.name.clone() }).await
    else {
        panic!("the bucket is there")
    };
    assert_eq!(*found, BucketRecord { id, state: BucketRecordState::Live, ..record });
}

async fn tickets_rise(index: &dyn IndexService) -> TicketId {
    let grant = |nonce| CommandBody::GrantTicket { holder: NodeId::from_bytes([7; 16]), nonce: [nonce; 16] };
    let Answer::Ticket(first) = answer(index, plain(grant(1))).await else { panic!("a ticket is granted") };
    let Answer::Ticket(second) = answer(index, plain(grant(2))).await else { panic!("a ticket is granted") };
    assert!(first < second, "ticket numbers rise");
    assert_eq!(answer(index, plain(grant(1))).await, Answer::Ticket(first), "a wish gets one ticket");
    second
}

async fn writes_are_seen_by_the_next_query(index: &dyn IndexService) {
    let bucket = bucket(index, 1_000_001).await;
    for round in 0..20u8 {
        let put = answer(index, plain(put(bucket, "same", &[round], WriteConditions::default()))).await;
        let Answer::Put { id, null: true } = put else { panic!("a put is answered with its version, not {put:?}") };
        let version = newest(index, bucket, "same").await.expect("what was put is there");
        assert_eq!(version.id, id, "a query sees every command answered before it");
        let QueryAnswer::Objects(page) = ask(index, Query::Objects(whole_bucket(bucket.id.0, 10))).await else {
            panic!("objects were asked for")
        };
        assert!(matches!(&page.entries[..], [ListEntry::Entry(listed)] if listed.id == id), "a listing sees it too");
    }
}

async fn a_repeated_command_gets_its_first_answer(index: &dyn IndexService, ticket: TicketId) {
    let bucket = bucket(index, 1_000_002).await;
    let first = numbered(ticket.0, 1, 0, put(bucket, "once", b"1", only_if_new()));
    let won = answer(index, first.clone()).await;
    assert!(matches!(won, Answer::Put { .. }), "the first one wins, not {won:?}");
    assert_eq!(answer(index, first.clone()).await, won, "the same command again is answered the same");
    let second = numbered(ticket.0, 2, 0, put(bucket, "once", b"2", only_if_new()));
    let lost = Answer::Refused(Refusal::PreconditionFailed);
    assert_eq!(answer(index, second.clone()).await, lost, "a refusal is an answer");
    let delete = samples::delete_object(bucket, key("once"), 3, None);
    let delete = numbered(ticket.0, 3, 0, CommandBody::DeleteObject(Box::new(delete)));
    assert!(matches!(answer(index, delete).await, Answer::Deleted { .. }));
    assert_eq!(answer(index, second).await, lost, "it is kept like any other");
    assert_eq!(answer(index, first).await, won, "and takes effect once");
    assert_eq!(newest(index, bucket, "once").await, None);
}

async fn one_of_many_conditional_writers_wins(index: &dyn IndexService) {
    let bucket = bucket(index, 1_000_003).await;
    for round in 0..5 {
        let text = format!("race-{round}");
        let writers = (0..16u8).map(|writer| answer(index, plain(put(bucket, &text, &[writer], only_if_new()))));
        let answers = join_all(writers).await;
        let won: Vec<&Answer> = answers.iter().filter(|answer| matches!(answer, Answer::Put { .. })).collect();
        let lost = answers.iter().filter(|answer| **answer == Answer::Refused(Refusal::PreconditionFailed)).count();
        assert_eq!((won.len(), lost), (1, 15), "exactly one writer finds no object: {answers:?}");
        let version = newest(index, bucket, &text).await.expect("the winner's");
        assert_eq!(*won[0], Answer::Put { id: version.id, null: true }, "and that one's object is there");
    }
}

async fn concurrent_writers_all_take_effect(index: &dyn IndexService) {
    let bucket = bucket(index, 1_000_004).await;
    let texts: Vec<String> = (0..200).map(|number| format!("many/{number:03}")).collect();
    let puts = texts.iter().map(|text| answer(index, plain(put(bucket, text, b"x", WriteConditions::default()))));
    let answers = join_all(puts).await;
    let ids: std::collections::BTreeSet<VersionId> = answers
        .iter()
        .map(|answer| if let Answer::Put { id, .. } = answer { *id } else { panic!("a put, not {answer:?}") })
        .collect();
    assert_eq!(ids.len(), 200, "no two versions of a range have one stamp");
    let QueryAnswer::Objects(page) = ask(index, Query::Objects(whole_bucket(bucket.id.0, 1000))).await else {
        panic!("objects were asked for")
    };
    assert_eq!((page.entries.len(), page.truncated), (200, false));
}

async fn a_newer_version_is_never_older(index: &dyn IndexService) {
    let bucket = bucket(index, 1_000_005).await;
    let mut last = None;
    for round in 0..50u8 {
        let put = answer(index, plain(put(bucket, "rising", &[round], WriteConditions::default()))).await;
        let Answer::Put { id, .. } = put else { panic!("a put, not {put:?}") };
        assert!(last < Some(id.stamp), "stamps rise");
        last = Some(id.stamp);
    }
}

async fn a_stale_epoch_is_refused_with_the_row(index: &dyn IndexService) {
    let bucket = bucket(index, 1_000_006).await;
    let config = BucketConfig { versioning: types::Versioning::Enabled, ..BucketConfig::default() };
    let change = CommandBody::ChangeBucketRow { bucket, config: config.clone() };
    let Answer::BucketRow(row) = answer(index, plain(change)).await else { panic!("a change answers the row") };
    assert_eq!((row.epoch, &row.config, row.state), (bucket.epoch.next(), &config, BucketState::Live));
    let stale = answer(index, plain(put(bucket, "stale", b"x", WriteConditions::default()))).await;
    assert_eq!(stale, Answer::Refused(Refusal::StaleBucket { row: Some(row.clone()) }));
    assert_eq!(ask(index, Query::BucketRow(bucket.id)).await, QueryAnswer::BucketRow(Some(row)));
}

async fn a_floor_ends_the_tickets_below_it(index: &dyn IndexService, ticket: TicketId) {
    let bucket = bucket(index, 1_000_007).await;
    let write = |number| numbered(ticket.0, number, 0, put(bucket, "floor", b"x", WriteConditions::default()));
    assert!(matches!(answer(index, write(101)).await, Answer::Put { .. }), "a live ticket may write");
    let raise = CommandBody::RaiseFloor { floor: ticket.next() };
    assert_eq!(answer(index, plain(raise)).await, Answer::Done);
    let refused = Answer::Refused(Refusal::BelowFloor);
    assert_eq!(answer(index, write(102)).await, refused, "a ticket that is over may not");
    assert_eq!(answer(index, write(101)).await, refused, "what it did is done, and forgotten");
}
