//! Conditions, by the examples and tables of the IAM User Guide ("Condition operators", "Multivalued context keys").
//!
//! Each is put into a statement that allows everybody to list the bucket, so that what is allowed is what holds.

use std::net::IpAddr;

use authz::{Action, Principal, Value, Values};
use types::Timestamp;

use crate::world::{Facts, HOLDER, Question, bucket_policy, identity_policy, inline, owner, with_policy};

/// Whether a condition holds, in an Allow.
fn holds(condition: &str, facts: &Facts) -> bool {
    let policy = bucket_policy(&[&format!(
        r#""Effect": "Allow", "Principal": "*", "Action": "s3:*", "Resource": "*", "Condition": {condition}"#
    )]);
    let holder = owner(HOLDER);
    let question = Question::of_bucket(Principal::Anonymous, Action::ListBucket).with(facts.clone());
    question.allowed(&with_policy(&holder, &policy))
}

/// Whether it holds in a Deny of what is allowed otherwise.
fn denies(condition: &str, facts: &Facts) -> bool {
    let policy = bucket_policy(&[
        r#""Effect": "Allow", "Principal": "*", "Action": "s3:*", "Resource": "*""#,
        &format!(r#""Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": "*", "Condition": {condition}"#),
    ]);
    let holder = owner(HOLDER);
    let question = Question::of_bucket(Principal::Anonymous, Action::ListBucket).with(facts.clone());
    !question.allowed(&with_policy(&holder, &policy))
}

fn check(condition: &str, facts: &Facts, expected: bool) {
    assert_eq!(holds(condition, facts), expected, "{condition} of {facts:?}");
    assert_eq!(denies(condition, facts), expected, "Deny {condition} of {facts:?}");
}

#[test]
fn strings_are_compared_as_their_operator_says() {
    let facts = Facts::of(&[("aws:UserAgent", "Mozilla/5.0")]);
    for (operator, value, expected) in [
        ("StringEquals", "Mozilla/5.0", true),
        ("StringEquals", "mozilla/5.0", false),
        ("StringEquals", "Mozilla/*", false),
        ("StringNotEquals", "Mozilla/5.0", false),
        ("StringNotEquals", "mozilla/5.0", true),
        ("StringEqualsIgnoreCase", "MOZILLA/5.0", true),
        ("StringNotEqualsIgnoreCase", "MOZILLA/5.0", false),
        ("StringNotEqualsIgnoreCase", "curl", true),
        ("StringLike", "Mozilla/?.*", true),
        ("StringLike", "mozilla/*", false),
        ("StringNotLike", "Mozilla/*", false),
        ("StringNotLike", "curl/*", true),
    ] {
        check(&format!(r#"{{"{operator}": {{"aws:useragent": "{value}"}}}}"#), &facts, expected);
    }
}

#[test]
fn of_several_values_any_may_match_and_none_under_a_negation() {
    let facts = Facts::of(&[("aws:UserAgent", "b")]);
    for (condition, expected) in [
        (r#"{"StringEquals": {"aws:UserAgent": ["a", "b"]}}"#, true),
        (r#"{"StringEquals": {"aws:UserAgent": ["a", "c"]}}"#, false),
        (r#"{"StringNotEquals": {"aws:UserAgent": ["a", "b"]}}"#, false),
        (r#"{"StringNotEquals": {"aws:UserAgent": ["a", "c"]}}"#, true),
        (r#"{"StringEquals": {"aws:UserAgent": []}}"#, false),
        // All keys and operators of a block must hold.
        (r#"{"StringEquals": {"aws:UserAgent": "b", "aws:Referer": "x"}}"#, false),
        (r#"{"StringEquals": {"aws:UserAgent": "b"}, "StringLike": {"aws:UserAgent": "c*"}}"#, false),
        (r#"{"StringEquals": {"aws:UserAgent": "b"}, "StringLike": {"aws:UserAgent": "?"}}"#, true),
    ] {
        check(condition, &facts, expected);
    }
}

#[test]
fn a_key_that_is_not_there_fails_holds_under_a_negation_and_holds_if_it_may_lack() {
    let facts = Facts::default();
    for (operator, value, plain) in [
        ("StringEquals", "a", false),
        ("StringNotEquals", "a", true),
        ("StringLike", "*", false),
        ("StringNotLike", "*", true),
        ("NumericLessThan", "1", false),
        ("NumericNotEquals", "1", true),
        ("DateGreaterThan", "2020-01-01", false),
        ("DateNotEquals", "2020-01-01", true),
        ("Bool", "false", false),
        ("BinaryEquals", "QUJD", false),
        ("IpAddress", "0.0.0.0/0", false),
        ("NotIpAddress", "0.0.0.0/0", true),
        ("ArnLike", "*", false),
        ("ArnNotLike", "arn:aws:iam::*:root", true),
    ] {
        let with = |operator: &str| format!(r#"{{"{operator}": {{"aws:Referer": "{value}"}}}}"#);
        check(&with(operator), &facts, plain);
        check(&with(&format!("{operator}IfExists")), &facts, true);
        check(&with(&format!("ForAllValues:{operator}")), &facts, true);
        check(&with(&format!("ForAnyValue:{operator}")), &facts, false);
        check(&with(&format!("ForAnyValue:{operator}IfExists")), &facts, true);
    }
}

#[test]
fn a_value_that_is_none_of_its_kind_differs() {
    let facts = Facts::of(&[("aws:Referer", "x")]);
    for (operator, value, expected) in [
        ("NumericEquals", "1", false),
        ("NumericNotEquals", "1", true),
        ("DateLessThan", "2020-01-01", false),
        ("Bool", "false", false),
        ("IpAddress", "0.0.0.0/0", false),
        ("NotIpAddress", "10.0.0.0/8", true),
        ("ArnEquals", "arn:aws:s3:::*", false),
    ] {
        check(&format!(r#"{{"{operator}": {{"aws:Referer": "{value}"}}}}"#), &facts, expected);
        check(&format!(r#"{{"{operator}IfExists": {{"aws:Referer": "{value}"}}}}"#), &facts, expected);
    }
}

#[test]
fn numbers_are_compared_by_their_value() {
    let facts = Facts::default().with_value("s3:max-keys", Value::Number(10));
    for (operator, value, expected) in [
        ("NumericEquals", "\"10.0\"", true),
        ("NumericEquals", "[9, 10]", true),
        ("NumericNotEquals", "10", false),
        ("NumericLessThan", "10", false),
        ("NumericLessThanEquals", "10", true),
        ("NumericGreaterThan", "\"9.5\"", true),
        ("NumericGreaterThanEquals", "11", false),
    ] {
        check(&format!(r#"{{"{operator}": {{"s3:max-keys": {value}}}}}"#), &facts, expected);
    }
    let text = Facts::of(&[("s3:signatureAge", "600000")]);
    check(r#"{"NumericGreaterThan": {"aws:MultiFactorAuthAge": "5"}}"#, &text, false);
    check(r#"{"NumericGreaterThan": {"s3:signatureAge": "599999"}}"#, &text, true);
}

#[test]
fn moments_are_compared_in_any_of_their_forms() {
    let now = Value::Time(Timestamp::from_seconds(1_369_353_600));
    let facts =
        Facts::default().with_value("aws:CurrentTime", now).with_value("aws:EpochTime", Value::Number(1_369_353_600));
    for (operator, value, expected) in [
        ("DateEquals", "2013-05-24T00:00:00Z", true),
        ("DateNotEquals", "2013-05-24T02:00:00+02:00", false),
        ("DateLessThan", "2013-05-25", true),
        ("DateLessThan", "1369353600", false),
        ("DateLessThanEquals", "1369353600", true),
        ("DateGreaterThan", "2013-05", true),
        ("DateGreaterThanEquals", "2013-05-24T00:00:01Z", false),
    ] {
        for key in ["aws:CurrentTime", "aws:EpochTime"] {
            check(&format!(r#"{{"{operator}": {{"{key}": "{value}"}}}}"#), &facts, expected);
        }
    }
    check(r#"{"StringLike": {"aws:CurrentTime": "2013-05-24T*"}}"#, &facts, true);
}

#[test]
fn truths_bytes_and_absence_are_compared() {
    let facts = Facts::default()
        .with_value("aws:SecureTransport", Value::Bool(false))
        .with("aws:Referer", "ABC".into())
        .with("aws:TagKeys", Values::Many(Vec::new()));
    for (condition, expected) in [
        (r#"{"Bool": {"aws:SecureTransport": "false"}}"#, true),
        (r#"{"Bool": {"aws:SecureTransport": "True"}}"#, false),
        (r#"{"Bool": {"aws:SecureTransport": [true, false]}}"#, true),
        (r#"{"StringEquals": {"aws:SecureTransport": "false"}}"#, true),
        (r#"{"BinaryEquals": {"aws:Referer": "QUJD"}}"#, true),
        (r#"{"BinaryEquals": {"aws:Referer": "QUJE"}}"#, false),
        (r#"{"Null": {"aws:Referer": "true"}}"#, false),
        (r#"{"Null": {"aws:Referer": "false"}}"#, true),
        (r#"{"Null": {"aws:UserAgent": "true"}}"#, true),
        (r#"{"Null": {"aws:UserAgent": false}}"#, false),
        (r#"{"Null": {"aws:TagKeys": "true"}}"#, true),
    ] {
        check(condition, &facts, expected);
    }
}

#[test]
fn addresses_are_in_blocks_of_their_own_kind() {
    let four: IpAddr = "203.0.113.17".parse().expect("an address");
    let six: IpAddr = "2001:db8:1234:5678::17".parse().expect("an address");
    let four = Facts::default().with_value("aws:SourceIp", Value::Address(four));
    let six = Facts::default().with_value("aws:SourceIp", Value::Address(six));
    let blocks = r#"["203.0.113.0/24", "2001:DB8:1234:5678::/64"]"#;
    for facts in [&four, &six] {
        check(&format!(r#"{{"IpAddress": {{"aws:SourceIp": {blocks}}}}}"#), facts, true);
        check(&format!(r#"{{"NotIpAddress": {{"aws:SourceIp": {blocks}}}}}"#), facts, false);
        check(r#"{"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}"#, facts, false);
        check(r#"{"NotIpAddress": {"aws:SourceIp": "10.0.0.0/8"}}"#, facts, true);
    }
    check(r#"{"StringEquals": {"aws:SourceIp": "203.0.113.17"}}"#, &four, true);
}

#[test]
fn arns_are_compared_part_by_part() {
    let facts = Facts::of(&[("aws:SourceArn", "arn:aws:s3:::bucket/a:b")]);
    for (operator, value, expected) in [
        ("ArnEquals", "arn:aws:s3:::bucket/a:b", true),
        ("ArnEquals", "arn:aws:s3:*:*:bucket/*", true),
        ("ArnLike", "arn:aws:s3:::bucket/?:?", true),
        ("ArnLike", "arn:*:bucket/a:b", false),
        ("ArnLike", "arn:aws:s3*bucket/a:b", false),
        ("ArnLike", "*", true),
        ("ArnLike", "arn:aws:s3", false),
        ("ArnLike", "arn:aws:s3:*", false),
        ("ArnNotLike", "arn:aws:s3:::bucket/*", false),
        ("ArnNotEquals", "arn:aws:s3:::other", true),
    ] {
        check(&format!(r#"{{"{operator}": {{"aws:SourceArn": "{value}"}}}}"#), &facts, expected);
    }
}

/// The table of the guide's section on keys with several values: a request that names two tags, against three.
#[test]
fn sets_of_values_are_compared_with_all_or_any() {
    let keys = |keys: &[&'static str]| {
        Facts::default().with("aws:TagKeys", Values::Many(keys.iter().map(|&key| key.into()).collect()))
    };
    let condition =
        |operator: &str| format!(r#"{{"{operator}": {{"aws:TagKeys": ["PostDateTime", "Message", "Tags"]}}}}"#);
    for (found, all, any) in [
        (&["PostDateTime", "Message"][..], true, true),
        (&["PostDateTime", "UserName"], false, true),
        (&["UserName"], false, false),
        (&[], true, false),
    ] {
        check(&condition("ForAllValues:StringEquals"), &keys(found), all);
        check(&condition("ForAnyValue:StringEquals"), &keys(found), any);
    }
    for (found, all, any) in [
        (&["UserName", "ID"][..], true, true),
        (&["PostDateTime", "UserName"], false, true),
        (&["PostDateTime"], false, false),
    ] {
        check(&condition("ForAllValues:StringNotEquals"), &keys(found), all);
        check(&condition("ForAnyValue:StringNotEquals"), &keys(found), any);
    }
    // A lone empty text is nothing to compare.
    check(&condition("ForAllValues:StringEquals"), &keys(&[""]), true);
    check(&condition("ForAnyValue:StringNotEquals"), &keys(&[""]), false);
}

/// A variable without a value matches nothing, opens no Allow by a negation, and loosens no Deny.
#[test]
fn a_variable_without_a_value_never_lets_more_in() {
    let facts = Facts::of(&[("aws:Referer", "x")]);
    let positive = r#"{"StringEquals": {"aws:Referer": "${aws:PrincipalTag/team}"}}"#;
    let negated = r#"{"StringNotEquals": {"aws:Referer": "${aws:PrincipalTag/team}"}}"#;
    assert!(!holds(positive, &facts) && !denies(positive, &facts));
    assert!(!holds(negated, &facts) && denies(negated, &facts));
    check(r#"{"StringNotEquals": {"aws:Referer": ["x", "${aws:PrincipalTag/team}"]}}"#, &facts, false);
    check(r#"{"StringNotEquals": {"aws:Referer": "${aws:PrincipalTag/team, 'y'}"}}"#, &facts, true);
    let team = facts.with("aws:PrincipalTag/team", "x".into());
    check(positive, &team, true);
    check(negated, &team, false);
}

/// What follows from who asks is answered without the caller.
#[test]
fn who_asks_is_known_to_conditions() {
    let holder = owner(HOLDER);
    let (bob, reader) = (crate::world::bob(&holder), crate::world::reader(&holder));
    let service = Principal::Service("logging.s3.amazonaws.com");
    for (principal, key, value) in [
        (bob, "aws:username", "bob"),
        (bob, "aws:userid", "AIDABOB"),
        (bob, "aws:PrincipalType", "User"),
        (bob, "aws:PrincipalArn", "arn:aws:iam::111111111111:user/bob"),
        (bob, "aws:PrincipalAccount", "111111111111"),
        (bob, "s3:ResourceAccount", "111111111111"),
        (reader, "aws:userid", "AROAREADER:job"),
        (reader, "aws:PrincipalArn", "arn:aws:iam::111111111111:role/reader"),
        (reader, "aws:PrincipalType", "AssumedRole"),
        (Principal::Anonymous, "aws:PrincipalType", "Anonymous"),
        (Principal::Anonymous, "aws:PrincipalIsAWSService", "false"),
        (service, "aws:PrincipalIsAWSService", "true"),
        (service, "aws:PrincipalServiceName", "logging.s3.amazonaws.com"),
    ] {
        let ask = |operator: &str| {
            let policy = bucket_policy(&[&format!(
                r#""Effect": "Allow", "Principal": "*", "Action": "s3:ListBucket", "Resource": "*",
                   "Condition": {{"{operator}": {{"{key}": "{value}"}}}}"#
            )]);
            // The caller says something else of all that, and is not believed.
            let facts = Facts::of(&[(key, "forged")]);
            Question::of_bucket(principal, Action::ListBucket).with(facts).allowed(&with_policy(&holder, &policy))
        };
        assert!(ask("StringEquals") && !ask("StringNotEquals"), "{key} of {principal:?}");
    }
    let absent = r#""Effect": "Allow", "Principal": "*", "Action": "s3:ListBucket", "Resource": "*",
        "Condition": {"Null": {"aws:username": "true"}}"#;
    let policy = bucket_policy(&[absent]);
    assert!(Question::of_bucket(Principal::Anonymous, Action::ListBucket).allowed(&with_policy(&holder, &policy)));
    assert!(!Question::of_bucket(bob, Action::ListBucket).allowed(&with_policy(&holder, &policy)));
}

/// "Variables and tags": everyone their own home.
#[test]
fn a_policy_of_a_group_gives_each_user_their_own_home() {
    let policy = identity_policy(&[
        r#""Effect": "Allow", "Action": "s3:ListBucket", "Resource": "arn:aws:s3:::examplebucket",
           "Condition": {"StringLike": {"s3:prefix": ["${aws:username}/*"]}}"#,
        r#""Effect": "Allow", "Action": ["s3:GetObject", "s3:PutObject"],
           "Resource": "arn:aws:s3:::examplebucket/${aws:username}/*""#,
    ]);
    let holder = owner(HOLDER);
    let attached = [inline(&policy)];
    let policies = authz::Policies {
        identity: &attached,
        bucket: Some(authz::BucketFacts::of(&holder)),
        ..authz::Policies::default()
    };
    let (bob, reader) = (crate::world::bob(&holder), crate::world::reader(&holder));
    let list = |principal, prefix| {
        Question::of_bucket(principal, Action::ListBucket).with(Facts::of(&[("s3:prefix", prefix)])).allowed(&policies)
    };
    let get = |principal, key| Question::of_key(principal, Action::GetObject, key).allowed(&policies);
    assert!(list(bob, "bob/x") && !list(bob, "alice/x") && !list(bob, ""));
    assert!(get(bob, "bob/x") && !get(bob, "alice/x") && !get(bob, "bobby/x"));
    // A session has no user name.
    assert!(!get(reader, "bob/x") && !get(reader, "/x"));
}
