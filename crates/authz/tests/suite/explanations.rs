//! Explanations: which statement decided, and what became of the others.

use authz::{Action, Attached, Policies, Principal, Source, explain};

use crate::world::{Facts, HOLDER, Question, STRANGER, bob, bucket_policy, identity_policy, owner, with_policy};

#[test]
fn every_statement_is_shown_with_what_became_of_it() {
    let (holder, stranger) = (owner(HOLDER), owner(STRANGER));
    let own = identity_policy(&[
        r#""Sid": "Writes", "Effect": "Allow", "Action": "s3:Put*", "Resource": "*""#,
        r#""Sid": "Home", "Effect": "Allow", "Action": "s3:Get*", "Resource": "arn:aws:s3:::examplebucket/home/*""#,
        r#""Sid": "Reads", "Effect": "Allow", "Action": "s3:Get*", "Resource": "*""#,
    ]);
    let policy = bucket_policy(&[
        r#""Effect": "Deny", "Principal": {"AWS": "333333333333"}, "Action": "s3:*", "Resource": "*""#,
        r#""Sid": "Net", "Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": "*",
           "Condition": {"NotIpAddressIfExists": {"aws:SourceIp": "10.0.0.0/8"}}"#,
        r#""Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": "*",
           "Condition": {"Bool": {"aws:SecureTransport": "false"}}"#,
        r#""Effect": "Allow", "Principal": {"AWS": "222222222222"}, "Action": "s3:GetObject", "Resource": "*""#,
    ]);
    let source = Source::GroupManaged { group: "staff", arn: "arn:aws:iam::222222222222:policy/staff" };
    let attached = [Attached { source, policy: &own }];
    let policies = Policies { identity: &attached, ..with_policy(&holder, &policy) };
    let facts = Facts::of(&[("aws:SourceIp", "10.1.2.3")]);
    let question = Question::of_key(bob(&stranger), Action::GetObject, "key").with(facts);
    question.ask(&policies, |request, decision| {
        let group = "the managed policy arn:aws:iam::222222222222:policy/staff of the group staff";
        assert_eq!(
            decision.to_string(),
            format!("allowed: statement 4 of the bucket policy and statement 3 (Reads) of {group} allow it")
        );
        let shown: Vec<String> = explain(request, &policies).iter().map(ToString::to_string).collect();
        let expected = [
            format!("statement 1 (Writes) of {group} [Allow]: is about other actions"),
            format!("statement 2 (Home) of {group} [Allow]: is about other resources"),
            format!("statement 3 (Reads) of {group} [Allow]: applies"),
            "statement 1 of the bucket policy [Deny]: is about others".to_owned(),
            "statement 2 (Net) of the bucket policy [Deny]: NotIpAddressIfExists of aws:SourceIp does not hold of 10.1.2.3"
                .to_owned(),
            "statement 3 of the bucket policy [Deny]: Bool of aws:SecureTransport does not hold: the request has none"
                .to_owned(),
            "statement 4 of the bucket policy [Allow]: applies".to_owned(),
        ];
        assert_eq!(shown, expected);
    });
}

#[test]
fn a_denied_client_of_iam_is_told_which_kind_of_policy_it_was() {
    let holder = owner(HOLDER);
    let own = identity_policy(&[r#""Effect": "Deny", "Action": "s3:PutObject", "Resource": "*""#]);
    let attached = [Attached { source: Source::UserInline("own"), policy: &own }];
    let policies =
        Policies { identity: &attached, bucket: Some(authz::BucketFacts::of(&holder)), ..Policies::default() };
    let told = |principal, action| {
        Question::of_key(principal, action, "key").ask(&policies, |request, decision| decision.denied_message(request))
    };
    assert_eq!(
        told(bob(&holder), Action::PutObject),
        "User: arn:aws:iam::111111111111:user/bob is not authorized to perform: s3:PutObject on resource: \
         arn:aws:s3:::examplebucket/key with an explicit deny in an identity-based policy"
    );
    assert_eq!(
        told(bob(&holder), Action::GetObject),
        "User: arn:aws:iam::111111111111:user/bob is not authorized to perform: s3:GetObject on resource: \
         arn:aws:s3:::examplebucket/key because no identity-based policy allows the s3:GetObject action"
    );
    assert!(told(Principal::Anonymous, Action::GetObject).starts_with("User: anonymous is not authorized"));
}
