//! Conditions over sets, against a reference that is slow and obviously right: it spells each rule of the IAM User Guide
//! out on lists of texts.

use authz::{Action, Principal, Values};
use proptest::prelude::*;

use crate::world::{Facts, HOLDER, Question, bucket_policy, owner, with_policy};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Quantifier {
    None,
    ForAll,
    ForAny,
}

/// Whether the condition holds of what the request has (`None`: it does not have the key).
fn reference(
    quantifier: Quantifier,
    negated: bool,
    if_exists: bool,
    wanted: &[String],
    found: Option<&[String]>,
) -> bool {
    let nothing = match (quantifier, found) {
        (_, None | Some([])) => true,
        (Quantifier::None, Some(_)) => false,
        (_, Some(values)) => values == [String::new()],
    };
    if nothing {
        return match quantifier {
            Quantifier::ForAll => true,
            Quantifier::ForAny => if_exists,
            Quantifier::None => if_exists || negated,
        };
    }
    let found = found.expect("there is something");
    let mut pairs = Vec::new();
    for value in found {
        let mut is_wanted = false;
        for pattern in wanted {
            is_wanted |= like(pattern.as_bytes(), value.as_bytes());
        }
        pairs.push(is_wanted);
    }
    match (quantifier, negated) {
        (Quantifier::ForAll, false) => !pairs.contains(&false),
        (Quantifier::ForAll, true) => !pairs.contains(&true),
        (Quantifier::ForAny, false) => pairs.contains(&true),
        (Quantifier::ForAny, true) => pairs.contains(&false),
        (Quantifier::None, false) => pairs.contains(&true),
        (Quantifier::None, true) => !pairs.contains(&true),
    }
}

fn like(pattern: &[u8], text: &[u8]) -> bool {
    match (pattern.split_first(), text.split_first()) {
        (None, _) => text.is_empty(),
        (Some((b'*', rest)), _) => (0..=text.len()).any(|skipped| like(rest, &text[skipped..])),
        (Some((b'?', rest)), Some((_, later))) => like(rest, later),
        (Some((byte, rest)), Some((read, later))) => byte == read && like(rest, later),
        (Some(_), None) => false,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3_000))]
    #[test]
    fn sets_are_compared_as_the_slow_reference(
        quantifier in proptest::sample::select(vec![Quantifier::None, Quantifier::ForAll, Quantifier::ForAny]),
        negated: bool,
        if_exists: bool,
        wanted in proptest::collection::vec("[ab*?]{0,3}", 0..4),
        found in proptest::option::of(proptest::collection::vec("[ab]{0,2}", 0..4)),
        deny: bool,
    ) {
        let operator = format!(
            "{}{}{}",
            match quantifier {
                Quantifier::None => "",
                Quantifier::ForAll => "ForAllValues:",
                Quantifier::ForAny => "ForAnyValue:",
            },
            if negated { "StringNotLike" } else { "StringLike" },
            if if_exists { "IfExists" } else { "" },
        );
        let condition = format!(r#""Condition": {{"{operator}": {{"aws:TagKeys": {wanted:?}}}}}"#);
        let everybody = r#""Principal": "*", "Action": "s3:*", "Resource": "*""#;
        let policy = if deny {
            bucket_policy(&[
                &format!(r#""Effect": "Allow", {everybody}"#),
                &format!(r#""Effect": "Deny", {everybody}, {condition}"#),
            ])
        } else {
            bucket_policy(&[&format!(r#""Effect": "Allow", {everybody}, {condition}"#)])
        };
        let facts = match &found {
            None => Facts::default(),
            Some(values) => {
                let values = values.iter().map(|value| authz::Value::from(value.clone())).collect();
                Facts::default().with("aws:TagKeys", Values::Many(values))
            }
        };
        let holder = owner(HOLDER);
        let question = Question::of_bucket(Principal::Anonymous, Action::ListBucket).with(facts);
        let holds = question.allowed(&with_policy(&holder, &policy)) != deny;
        prop_assert_eq!(holds, reference(quantifier, negated, if_exists, &wanted, found.as_deref()));
    }
}
