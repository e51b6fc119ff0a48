//! Rules against a slow model, which asks of each rule and each day anew whether a version is expired.

use proptest::prelude::*;

use super::*;
use crate::bucket_lifecycle::{NoncurrentExpiration, NoncurrentTransition, Transition};

const DAY_US: u64 = WHOLE_DAY_US;

fn class(name: &str) -> StorageClass {
    StorageClass::new(name).unwrap()
}

fn of(rules: Vec<LifecycleRule>) -> LifecycleConfiguration {
    LifecycleConfiguration { rules, minimum_size: MinimumSize::default() }
}

fn rule(id: &str) -> LifecycleRule {
    LifecycleRule { id: id.to_owned(), enabled: true, ..LifecycleRule::default() }
}

fn version<'a>(standard: &'a StorageClass) -> VersionFacts<'a> {
    VersionFacts {
        key: b"logs/a",
        made: Timestamp(10 * DAY_US + 1),
        superseded: None,
        newer_noncurrent: 0,
        marker: false,
        alone: true,
        plain_bytes: 100,
        tags: &[],
        class: standard,
    }
}

#[test]
fn days_begin_at_the_midnight_that_follows() {
    let day = Day::default();
    for made in [10 * DAY_US, 10 * DAY_US + 1, 11 * DAY_US - 1] {
        assert_eq!(day.after(Timestamp(made), 3), Timestamp(14 * DAY_US), "{made}");
    }
    let short = Day::of_us(10_000_000);
    assert_eq!(short.after(Timestamp(5), 2), Timestamp(20_000_006));
    assert_eq!(day.after(Timestamp(u64::MAX), u32::MAX), Timestamp(u64::MAX));
}

#[test]
fn the_header_names_the_rule_that_is_due_first() {
    let rules = of(vec![
        LifecycleRule { expiration: Some(Expiration::Days(5)), ..rule("late") },
        LifecycleRule { expiration: Some(Expiration::Days(3)), ..rule("first & best") },
        LifecycleRule { expiration: Some(Expiration::Days(1)), enabled: false, ..rule("off") },
    ]);
    let standard = class("STANDARD");
    let expiry = rules.expiry(&version(&standard), Day::default()).unwrap();
    assert_eq!(expiry.at, Timestamp(14 * DAY_US));
    assert_eq!(expiry.header(), "expiry-date=\"Thu, 15 Jan 1970 00:00:00 GMT\", rule-id=\"first%20%26%20best\"");
    let superseded = VersionFacts { superseded: Some(Timestamp(1)), ..version(&standard) };
    assert_eq!(rules.expiry(&superseded, Day::default()), None);
}

#[test]
fn filters_ask_for_all_that_they_name() {
    let tags = vec![("a".to_owned(), "1".to_owned()), ("b".to_owned(), "2".to_owned())];
    let filter = Filter {
        prefix: Some("logs/".to_owned()),
        tags: tags[..1].to_vec(),
        larger_than: Some(9),
        smaller_than: Some(11),
        ..Filter::default()
    };
    assert!(filter.matches(b"logs/a", &tags, 10));
    assert!(!filter.matches(b"log", &tags, 10));
    assert!(!filter.matches(b"logs/a", &tags[1..], 10));
    assert!(!filter.matches(b"logs/a", &tags, 9) && !filter.matches(b"logs/a", &tags, 11));
    let other = vec![("a".to_owned(), "2".to_owned())];
    assert!(!filter.matches(b"logs/a", &other, 10));
}

#[test]
fn a_marker_goes_only_when_it_is_all_that_is_left() {
    let standard = class("STANDARD");
    let marker = VersionFacts { marker: true, plain_bytes: 0, ..version(&standard) };
    let markers = of(vec![LifecycleRule { expiration: Some(Expiration::ExpiredMarkers(true)), ..rule("m") }]);
    let now = Timestamp(10 * DAY_US + 2);
    let due = Some(Due::Expire { since: marker.made });
    assert_eq!(markers.judge(&marker, now, Day::default()).due, due);
    let stands_on_others = VersionFacts { alone: false, ..marker };
    assert_eq!(markers.judge(&stands_on_others, now, Day::default()), Judgement::default());
    assert_eq!(markers.judge(&version(&standard), now, Day::default()), Judgement::default());
    let by_days = of(vec![LifecycleRule { expiration: Some(Expiration::Days(1)), ..rule("d") }]);
    assert_eq!(by_days.judge(&marker, now, Day::default()).next, Some(Timestamp(12 * DAY_US)));
    let sized = Filter { smaller_than: Some(10), ..Filter::default() };
    let sized = of(vec![LifecycleRule { expiration: Some(Expiration::Days(1)), filter: sized, ..rule("s") }]);
    assert_eq!(sized.judge(&marker, Timestamp(99 * DAY_US), Day::default()), Judgement::default());
}

#[test]
fn what_was_put_into_a_class_by_choice_stays_there() {
    let moves = |days: u32, to: &str| Transition { at: TransitionTime::Days(days), class: class(to) };
    let rules = of(vec![LifecycleRule { transitions: vec![moves(1, "COOL"), moves(5, "COLD")], ..rule("t") }]);
    let at = |name: &str, days: u64| {
        let class = class(name);
        let facts = version(&class);
        rules.judge(&facts, Timestamp(days * DAY_US), Day::default())
    };
    let moved = |since: u64, to: &str| Some(Due::Move { since: Timestamp(since * DAY_US), class: class(to) });
    assert_eq!(at("STANDARD", 11), Judgement { due: None, next: Some(Timestamp(12 * DAY_US)) });
    assert_eq!(at("STANDARD", 12), Judgement { due: moved(12, "COOL"), next: Some(Timestamp(16 * DAY_US)) });
    assert_eq!(at("COOL", 12), Judgement { due: None, next: Some(Timestamp(16 * DAY_US)) });
    assert_eq!(at("COOL", 16).due, moved(16, "COLD"));
    assert_eq!(at("STANDARD", 16).due, moved(16, "COLD"));
    assert_eq!(at("COLD", 16), Judgement::default());
    assert_eq!(at("ICE", 16), Judgement::default());
}

#[test]
fn small_objects_stay_where_all_classes_have_a_least_size() {
    let to = Transition { at: TransitionTime::Days(0), class: class("COLD") };
    let mut rules = of(vec![LifecycleRule { transitions: vec![to], ..rule("t") }]);
    let standard = class("STANDARD");
    let now = Timestamp(99 * DAY_US);
    assert!(rules.judge(&version(&standard), now, Day::default()).due.is_some());
    rules.minimum_size = MinimumSize::AllStorageClasses128K;
    assert_eq!(rules.judge(&version(&standard), now, Day::default()), Judgement::default());
    let large = VersionFacts { plain_bytes: MINIMUM_BYTES, ..version(&standard) };
    assert!(rules.judge(&large, now, Day::default()).due.is_some());
    rules.rules[0].filter.larger_than = Some(5);
    assert!(rules.judge(&version(&standard), now, Day::default()).due.is_some());
}

/// The slow model: is the version expired at the end of this day?
fn is_expired(rules: &LifecycleConfiguration, version: &VersionFacts<'_>, today: u64) -> bool {
    let passed = |from: Timestamp, days: u32| today >= from.0 / DAY_US + 1 + u64::from(days);
    rules.rules.iter().any(|rule| {
        let named = &rule.filter;
        let bare = named.tags.is_empty() && named.larger_than.is_none() && named.smaller_than.is_none();
        let mut fits = rule.enabled && (bare || !version.marker);
        if let Some(prefix) = &named.prefix {
            fits &= version.key.len() >= prefix.len() && &version.key[..prefix.len()] == prefix.as_bytes();
        }
        for tag in &named.tags {
            fits &= version.tags.iter().any(|other| other == tag);
        }
        fits &= named.larger_than.is_none_or(|least| version.plain_bytes > least);
        fits &= named.smaller_than.is_none_or(|most| version.plain_bytes < most);
        if !fits {
            return false;
        }
        if let Some(superseded) = version.superseded {
            return rule.noncurrent_expiration.is_some_and(|action| {
                version.newer_noncurrent >= action.newer.unwrap_or(0) && passed(superseded, action.days)
            });
        }
        let is_bound = version.marker && !version.alone;
        match rule.expiration {
            Some(Expiration::Days(days)) => !is_bound && passed(version.made, days),
            Some(Expiration::Date(date)) => !is_bound && today >= date.0 / DAY_US,
            Some(Expiration::ExpiredMarkers(removed)) => removed && version.marker && version.alone,
            None => false,
        }
    })
}

fn any_filter() -> impl Strategy<Value = Filter> {
    let prefix = prop::option::of(prop_oneof![Just(""), Just("a"), Just("ab"), Just("b")]);
    let tags = prop::collection::vec(Just(("k".to_owned(), "v".to_owned())), 0..2);
    (prefix, tags, prop::option::of(0_u64..3), prop::option::of(1_u64..4)).prop_map(
        |(prefix, tags, larger_than, smaller_than)| Filter {
            prefix: prefix.map(str::to_owned),
            tags,
            larger_than,
            smaller_than,
            ..Filter::default()
        },
    )
}

fn any_rule() -> impl Strategy<Value = LifecycleRule> {
    let expiration = prop::option::of(prop_oneof![
        (1_u32..6).prop_map(Expiration::Days),
        (0_u64..9).prop_map(|day| Expiration::Date(Timestamp(day * DAY_US))),
        any::<bool>().prop_map(Expiration::ExpiredMarkers),
    ]);
    let noncurrent = prop::option::of((1_u32..6, prop::option::of(1_u32..3)));
    let noncurrent = noncurrent.prop_map(|some| some.map(|(days, newer)| NoncurrentExpiration { days, newer }));
    let to = |days: u32| Transition { at: TransitionTime::Days(days), class: class("COLD") };
    let transitions = prop::collection::vec((0_u32..6).prop_map(to), 0..2);
    let noncurrent_to = |days: u32| NoncurrentTransition { days, newer: None, class: class("COLD") };
    let others = prop::collection::vec((0_u32..6).prop_map(noncurrent_to), 0..2);
    (any_filter(), any::<bool>(), expiration, noncurrent, transitions, others).prop_map(
        |(filter, enabled, expiration, noncurrent_expiration, transitions, noncurrent_transitions)| LifecycleRule {
            id: "r".to_owned(),
            enabled,
            filter,
            expiration,
            transitions,
            noncurrent_expiration,
            noncurrent_transitions,
            abort_uploads_after_days: None,
        },
    )
}

proptest! {
    /// Walks day by day: whoever looks only at the moments that `next` names misses nothing, and does nothing early.
    #[test]
    fn rules_agree_with_a_slow_model_and_name_the_moments_to_look(
        rules in prop::collection::vec(any_rule(), 1..4),
        key in prop_oneof![Just("a"), Just("ab"), Just("b"), Just("c")],
        made in 0_u64..3 * DAY_US,
        life in prop::option::of(0_u64..3 * DAY_US),
        newer in 0_u32..3,
        marker: bool,
        alone: bool,
        plain_bytes in 0_u64..4,
        tagged: bool,
    ) {
        let rules = of(rules);
        let standard = class("STANDARD");
        let tags = if tagged { vec![("k".to_owned(), "v".to_owned())] } else { Vec::new() };
        let facts = VersionFacts {
            key: key.as_bytes(),
            made: Timestamp(made),
            superseded: life.map(|life| Timestamp(made + life)),
            newer_noncurrent: newer,
            marker,
            alone: alone && life.is_none(),
            plain_bytes,
            tags: &tags,
            class: &standard,
        };
        let born = made / DAY_US + 1;
        let mut look = Some(Timestamp(0));
        for today in born..born + 14 {
            let now = Timestamp(today * DAY_US);
            let judged = rules.judge(&facts, now, Day::default());
            let expired = is_expired(&rules, &facts, today);
            prop_assert_eq!(matches!(judged.due, Some(Due::Expire { .. })), expired);
            if judged.due.is_some() {
                prop_assert!(look.is_some_and(|look| look <= now), "nobody would have looked at {:?}", now);
                break;
            }
            if look.is_some_and(|look| look <= now) {
                look = judged.next;
                prop_assert!(look.is_none_or(|look| look > now));
            }
        }
    }

    /// What changes now needs no look before [`LifecycleConfiguration::soonest_days`] and the next date say so.
    #[test]
    fn nothing_is_due_before_the_soonest_moment(rules in prop::collection::vec(any_rule(), 1..4), made in 0_u64..3 * DAY_US) {
        let rules = of(rules);
        let standard = class("STANDARD");
        let (day, began) = (Day::default(), Timestamp(made));
        let facts = VersionFacts { key: b"ab", made: began, plain_bytes: 2, ..version(&standard) };
        let by_days = rules.soonest_days(began).map(|days| day.after(began, days));
        let soonest = by_days.into_iter().chain(rules.next_date(began)).min();
        for other in [facts, VersionFacts { superseded: Some(began), ..facts }] {
            let before = soonest.map_or(Timestamp(u64::MAX / 2), |at| Timestamp(at.0 - 1));
            let judged = rules.judge(&other, before, day);
            // What is due the moment that it is made waits for midnight.
            prop_assert!(judged.due.is_none() || soonest == Some(day.after(began, 0)), "{:?}", judged);
        }
    }
}
