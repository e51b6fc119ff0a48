//! Documents of somebody who means harm: any bytes are read or refused, and in bounded time.
//!
//! Documents of the greatest length, each built so that one part of reading or deciding has as much to do as it can, must
//! pass within a second in a debug build, which takes some twenty times as long as the one that serves.

use std::time::{Duration, Instant};

use authz::{Action, Policy, PolicyKind, Principal};
use proptest::prelude::*;

use crate::world::{HOLDER, Question, bucket_name, owner, with_policy};

const KINDS: [PolicyKind; 6] = [
    PolicyKind::Managed,
    PolicyKind::UserInline,
    PolicyKind::GroupInline,
    PolicyKind::RoleInline,
    PolicyKind::Trust,
    PolicyKind::Session,
];

fn read_as_every_kind(text: &[u8]) {
    let _ = Policy::bucket(text, &bucket_name());
    for kind in KINDS {
        let _ = Policy::identity(text, kind);
    }
}

/// Pieces that documents are made of, so that many that are put together by chance are nearly in order.
fn piece() -> impl Strategy<Value = String> {
    let words = [
        "{",
        "}",
        "[",
        "]",
        ":",
        ",",
        "\"Version\"",
        "\"2012-10-17\"",
        "\"Statement\"",
        "\"Effect\"",
        "\"Allow\"",
        "\"Deny\"",
        "\"Principal\"",
        "\"NotPrincipal\"",
        "\"*\"",
        "\"AWS\"",
        "\"Action\"",
        "\"s3:GetObject\"",
        "\"NotAction\"",
        "\"Resource\"",
        "\"arn:aws:s3:::examplebucket/*\"",
        "\"Condition\"",
        "\"StringLike\"",
        "\"aws:SourceIp\"",
        "\"${aws:username, 'a'}\"",
        "\"${\"",
        "7",
        "true",
        "null",
        "\"Sid\"",
        "\"\\u0000\"",
        "\"é\"",
        "-1e9",
    ];
    prop_oneof![
        8 => proptest::sample::select(words.to_vec()).prop_map(str::to_owned),
        1 => ".{0,8}".prop_map(|text| text),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]
    #[test]
    fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        read_as_every_kind(&bytes);
    }

    #[test]
    fn any_pieces_are_read_or_refused(pieces in proptest::collection::vec(piece(), 0..40)) {
        read_as_every_kind(pieces.concat().as_bytes());
    }

    #[test]
    fn any_element_is_read_or_refused_and_decided(
        principal in piece(), action in piece(), resource in piece(), operator in piece(), key in piece(), value in piece()
    ) {
        let text = format!(
            r#"{{"Version": "2012-10-17", "Statement": {{"Effect": "Allow", "Principal": {principal}, "Action": {action},
               "Resource": {resource}, "Condition": {{{operator}: {{{key}: {value}}}}}}}}}"#
        );
        if let Ok(policy) = Policy::bucket(text.as_bytes(), &bucket_name()) {
            let holder = owner(HOLDER);
            let question = Question::of_key(Principal::Anonymous, Action::GetObject, "some/key");
            question.allowed(&with_policy(&holder, &policy));
        }
    }
}

#[test]
fn the_longest_documents_are_read_and_decided_without_much_ado() {
    let list = |item: &str, room: usize| -> String {
        let items: Vec<&str> = std::iter::repeat_n(item, room / (item.len() + 1)).collect();
        format!("[{}]", items.join(","))
    };
    let statement = |action: &str, resource: &str, condition: &str| {
        format!(
            r#"{{"Version": "2012-10-17", "Statement": {{"Effect": "Deny", "Principal": "*", "Action": {action},
               "Resource": {resource}, "Condition": {condition}}}}}"#
        )
    };
    let room = 20_000;
    let stars = format!("\"arn:aws:s3:::examplebucket/{}b\"", "*a".repeat(250));
    let one = "\"s3:GetObject\"";
    let like = |values: &str| format!(r#"{{"StringLike": {{"aws:Referer": {values}}}}}"#);
    let many_keys: Vec<String> = (0..1_500).map(|number| format!("\"{number:x}\":1")).collect();
    let holder = owner(HOLDER);
    let key = "a".repeat(1_024);
    for text in [
        statement(&list("\"s3:*\"", room), "\"*\"", "{}"),
        statement(&list("\"s3:*e*t*\"", room), "\"*\"", "{}"),
        statement(one, &list(&stars, room), "{}"),
        statement(one, "\"*\"", &like(&list("\"*a*a*a*a*b\"", room))),
        statement(one, "\"*\"", &like(&list("\"${aws:username}\"", room))),
        format!(r#"{{"Statement": {{{}}}}}"#, many_keys.join(",")),
        "[".repeat(20_480),
        format!("{{\"Statement\":{}", "[".repeat(20_000)),
        "{\"Statement\":".repeat(1_500),
    ] {
        let begun = now();
        read_as_every_kind(text.as_bytes());
        if let Ok(policy) = Policy::bucket(text.as_bytes(), &bucket_name()) {
            let facts =
                crate::world::Facts::default().with("aws:Referer", authz::Value::from("a".repeat(2_000)).into());
            let question = Question::of_key(Principal::Anonymous, Action::GetObject, &key).with(facts);
            question.allowed(&with_policy(&holder, &policy));
        }
        let taken = begun.elapsed();
        assert!(taken < Duration::from_secs(1), "{taken:?} for {}", text.get(..200).unwrap_or(&text));
    }
}

#[expect(clippy::disallowed_methods, reason = "the time that it really takes is what is bounded")]
fn now() -> Instant {
    Instant::now()
}

/// A Deny whose patterns cost more than a decision may still denies, and an Allow allows nothing any more.
#[test]
fn what_costs_too_much_to_compare_is_denied() {
    let costly = format!("\"arn:aws:s3:::examplebucket/*{}b\"", "a".repeat(500));
    let costly = format!("[{}]", vec![costly; 36].join(","));
    let everything = r#""Principal": "*", "Action": "s3:*""#;
    let allow = format!(r#""Effect": "Allow", {everything}, "Resource": "*""#);
    let deny = format!(r#""Effect": "Deny", {everything}, "Resource": {costly}"#);
    let allow_costly = format!(r#""Effect": "Allow", {everything}, "Resource": {costly}"#);
    let holder = owner(HOLDER);
    let ask_as = |principal, statements: &[&str], key: &str| {
        let policy = crate::world::bucket_policy(statements);
        Question::of_key(principal, Action::GetObject, key).allowed(&with_policy(&holder, &policy))
    };
    let ask = |statements: &[&str], key: &str| ask_as(Principal::Anonymous, statements, key);
    let (long, short) = ("a".repeat(1_024), "a");
    assert!(!ask(&[&allow, &deny], &long) && ask(&[&allow, &deny], short));
    assert!(!ask(&[&allow_costly], &long) && ask(&[&allow], &long));
    // Whom no statement need allow is denied too.
    let root = Principal::Account(&holder);
    assert!(!ask_as(root, &[&deny], &long) && ask_as(root, &[&deny], short));
    let allow_last = format!(r#""Effect": "Allow", {everything}, "Resource": "arn:aws:s3:::examplebucket/a*""#);
    assert!(!ask(&[&allow_costly, &allow_last], &long));
}

/// Variables whose values are long are not put together without a bound.
#[test]
fn a_pattern_of_many_variables_is_given_up() {
    let pattern = "${aws:Referer}".repeat(1_300);
    let policy = crate::world::bucket_policy(&[&format!(
        r#""Effect": "Allow", "Principal": "*", "Action": "s3:*", "Resource": "*",
           "Condition": {{"StringNotLike": {{"aws:UserAgent": "{pattern}"}}}}"#
    )]);
    let holder = owner(HOLDER);
    let ask = |bytes: usize| {
        let facts = crate::world::Facts::of(&[("aws:UserAgent", "x")])
            .with("aws:Referer", authz::Value::from("a".repeat(bytes)).into());
        Question::of_key(Principal::Anonymous, Action::GetObject, "key")
            .with(facts)
            .allowed(&with_policy(&holder, &policy))
    };
    assert!(ask(100) && !ask(8_000));
}
