//! Tickets, the floor, and answers that are kept.

use index::command::{CommandBody, PutObject};
use index::contract::samples::{at, key, numbered, part_in, plain, put, put_object, run};
use index::{Answer, Query, QueryAnswer, Refusal};
use types::{NodeId, TicketId, Versioning};

use crate::world::{World, refused};

fn grant(world: &mut World, nonce: u8) -> TicketId {
    let grant = CommandBody::GrantTicket { holder: NodeId::from_bytes([1; 16]), nonce: [nonce; 16] };
    match world.apply(grant) {
        Answer::Ticket(id) => id,
        other => panic!("a ticket, not {other:?}"),
    }
}

fn floor(world: &mut World) -> (Vec<TicketId>, TicketId) {
    match world.ask(Query::Tickets) {
        QueryAnswer::Tickets { tickets, floor } => (tickets.iter().map(|ticket| ticket.id).collect(), floor),
        other => panic!("tickets were asked for, not {other:?}"),
    }
}

/// A put of inline bytes as command `number` of ticket 1.
fn write(number: u64, answered: u64, bytes: &[u8]) -> index::Command {
    numbered(1, number, answered, put(at(1, 1), "k", number, bytes).body)
}

#[test]
fn tickets_rise_and_the_floor_is_the_lowest_that_lives() {
    let mut world = World::new();
    assert_eq!(floor(&mut world), (vec![], TicketId(1)), "the next to be granted");
    let (first, second) = (grant(&mut world, 1), grant(&mut world, 2));
    assert_eq!((first, second, grant(&mut world, 1)), (TicketId(1), TicketId(2), TicketId(1)));
    assert_eq!(floor(&mut world), (vec![first, second], first));
    assert_eq!(world.apply(CommandBody::EndTicket(first)), Answer::Done);
    assert_eq!(world.apply(CommandBody::EndTicket(first)), Answer::Done);
    assert_eq!(floor(&mut world), (vec![second], second));
    assert_eq!(world.apply(CommandBody::RenewTicket(first)), refused(Refusal::BelowFloor));
    assert_eq!(grant(&mut world, 1), TicketId(3), "the wish of a ticket that is over is a new one");
    assert_eq!(world.apply(CommandBody::EndTicket(second)), Answer::Done);
    assert_eq!(world.apply(CommandBody::EndTicket(TicketId(3))), Answer::Done);
    assert_eq!(floor(&mut world), (vec![], TicketId(4)));
}

#[test]
fn idle_tickets_expire_by_the_commands_stamp() {
    let mut world = World::new();
    let (idle, renewed) = (grant(&mut world, 1), grant(&mut world, 2));
    world.time.0 += 60_000_000;
    assert_eq!(world.apply(CommandBody::RenewTicket(renewed)), Answer::Done);
    let expire = CommandBody::ExpireTickets { idle_us_max: 61_000_000 };
    assert_eq!(world.apply(expire), Answer::Floor(idle));
    world.time.0 += 2_000_000;
    let expire = CommandBody::ExpireTickets { idle_us_max: 61_000_000 };
    assert_eq!(world.apply(expire), Answer::Floor(renewed));
    let dead = numbered(idle.0, 1, 0, CommandBody::RenewTicket(renewed));
    assert_eq!(world.command(dead), refused(Refusal::BelowFloor), "the system range keeps the floor itself");
}

#[test]
fn a_repeat_is_answered_from_what_was_kept_also_by_an_index_opened_anew() {
    let directory = tempfile::tempdir().unwrap();
    let disk = std::sync::Arc::new(platform::RealDisk::create(directory.path().join("disk")).unwrap());
    let location = || sqlite_vfs::DatabaseLocation { disk: disk.clone(), path: "index".into() };
    let open = || index::IndexDatabase::open(location(), index::IndexSettings::default()).unwrap();
    let mut world = World { database: open(), ..World::new() };
    world.apply(CommandBody::CreateBucketRow { id: types::BucketId(1), config: Default::default() });
    let answers =
        [world.command(write(1, 0, b"1")), world.command(write(2, 1, b"2")), world.command(write(4, 1, b"4"))];

    let mut world = World { database: open(), time: world.time };
    assert_eq!(world.command(write(1, 0, b"1")), refused(Refusal::BelowFloor), "its answer was received");
    assert_eq!(world.command(write(2, 1, b"2")), answers[1]);
    assert_eq!(world.command(write(4, 1, b"4")), answers[2]);
    let late = world.command(write(3, 1, b"3"));
    assert!(matches!(late, Answer::Put { .. }), "a lower number that comes late is new all the same: {late:?}");
}

#[test]
fn a_late_copy_of_a_command_whose_answer_was_received_has_no_effect() {
    let (mut world, _) = World::with_bucket(Versioning::Off);
    world.command(write(1, 0, b"1"));
    let newest = world.command(write(2, 1, b"2"));
    assert_eq!(world.command(write(1, 0, b"1")), refused(Refusal::BelowFloor));
    let version = world.version("k", index::command::WhichVersion::Newest).unwrap();
    assert!(matches!(newest, Answer::Put { id, .. } if id == version.id));
}

#[test]
fn repeats_within_one_entry_are_repeats_too() {
    let (mut world, _) = World::with_bucket(Versioning::Enabled);
    let commands = vec![write(1, 0, b"1"), write(1, 0, b"1"), write(2, 1, b"2"), write(1, 0, b"1"), write(2, 0, b"2")];
    let entry = index::RangeEntry {
        range: index::FIRST_DATA_RANGE,
        applied: vec![1].into(),
        membership: None,
        time: world.time,
        commands,
    };
    let answers = world.database.apply(&[entry]).unwrap().concat();
    assert_eq!(answers[0], answers[1]);
    assert_eq!(answers[3], refused(Refusal::BelowFloor));
    assert_eq!(answers[2], answers[4]);
}

#[test]
fn a_run_of_a_ticket_below_the_floor_is_not_named_any_more() {
    let (mut world, bucket) = World::with_bucket(Versioning::Off);
    let named = |ticket, tail| {
        let put = put_object(bucket, key("k"), tail, part_in(1, &[run(ticket, tail, 100)]));
        plain(CommandBody::PutObject(Box::new(put)))
    };
    assert_eq!(world.apply(CommandBody::RaiseFloor { floor: TicketId(5) }), Answer::Done);
    assert_eq!(world.apply(CommandBody::RaiseFloor { floor: TicketId(3) }), Answer::Done, "it never falls");
    assert_eq!(world.command(named(4, 1)), refused(Refusal::BelowFloor));
    assert!(matches!(world.command(named(5, 2)), Answer::Put { .. }));
    let under = |ticket| numbered(ticket, 1, 0, put(bucket, "j", 1, b"x").body);
    assert_eq!(world.command(under(4)), refused(Refusal::BelowFloor));
    assert!(matches!(world.command(under(5)), Answer::Put { .. }));
}

#[test]
fn a_command_in_the_wrong_range_is_refused_there() {
    let mut world = World::new();
    let entry = |range, body| index::RangeEntry {
        range,
        applied: vec![1].into(),
        membership: None,
        time: types::Timestamp(1),
        commands: vec![plain(body)],
    };
    let put = PutObject { ..put_object(at(1, 1), key("k"), 1, part_in(1, &[run(1, 1, 1)])) };
    let entries = [
        entry(index::SYSTEM_RANGE, CommandBody::PutObject(Box::new(put))),
        entry(index::FIRST_DATA_RANGE, CommandBody::EndTicket(TicketId(1))),
    ];
    let answers = world.database.apply(&entries).unwrap().concat();
    assert_eq!(answers, [refused(Refusal::WrongRange), refused(Refusal::WrongRange)]);
}
