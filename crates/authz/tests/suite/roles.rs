//! Roles: who may take one on (trust policies), and what a session may do.

use authz::{
    Action, Attached, BucketFacts, Policies, Policy, PolicyKind, Principal, Request, Resource, Source, decide,
};

use crate::world::{Facts, HOLDER, Question, STRANGER, bob, identity_policy, owner, policy_of, reader};

const ROLE: &str = "arn:aws:iam::111111111111:role/reader";

fn trust(principal: &str, action: &str, rest: &str) -> Policy {
    let statement = format!(r#""Effect": "Allow", "Principal": {principal}, "Action": "{action}"{rest}"#);
    policy_of(PolicyKind::Trust, &[&statement])
}

fn assumes(
    action: Action,
    principal: Principal<'_>,
    trust: Option<&Policy>,
    own: Option<&Policy>,
    facts: &Facts,
) -> bool {
    let attached: Vec<Attached<'_>> =
        own.into_iter().map(|policy| Attached { source: Source::UserInline("own"), policy }).collect();
    let request = Request { principal, action, resource: Resource::Identity(ROLE), context: facts };
    decide(&request, &Policies { identity: &attached, trust, ..Policies::default() }).allowed
}

#[test]
fn taking_a_role_on_needs_its_trust_and_across_accounts_ones_own_policy_too() {
    let (holder, stranger) = (owner(HOLDER), owner(STRANGER));
    let may = identity_policy(&[&format!(r#""Effect": "Allow", "Action": "sts:AssumeRole", "Resource": "{ROLE}""#)]);
    let none = Facts::default();
    let ask = |principal, trust, own| assumes(Action::StsAssumeRole, principal, trust, own, &none);
    let user = trust(r#"{"AWS": "arn:aws:iam::111111111111:user/bob"}"#, "sts:AssumeRole", "");
    let account = trust(r#"{"AWS": "111111111111"}"#, "sts:AssumeRole", "");
    let other = trust(r#"{"AWS": "222222222222"}"#, "sts:AssumeRole", "");
    // Within the account: by name alone, or by the account and a policy.
    assert!(ask(bob(&holder), Some(&user), None) && !ask(bob(&holder), Some(&account), None));
    assert!(ask(bob(&holder), Some(&account), Some(&may)));
    // A policy alone does not do, not even for a root.
    assert!(!ask(bob(&holder), Some(&other), Some(&may)) && !ask(bob(&holder), None, Some(&may)));
    assert!(!ask(Principal::Account(&holder), Some(&other), None));
    // Across accounts both are needed.
    assert!(ask(bob(&stranger), Some(&other), Some(&may)) && !ask(bob(&stranger), Some(&other), None));
    assert!(!ask(bob(&stranger), Some(&account), Some(&may)));
    // Nobody takes one on without a signature.
    let everybody = trust(r#"{"AWS": "*"}"#, "sts:AssumeRole", "");
    assert!(!ask(Principal::Anonymous, Some(&everybody), Some(&may)));
    assert!(ask(bob(&stranger), Some(&everybody), Some(&may)));
}

#[test]
fn an_external_id_is_asked_for() {
    let stranger = owner(STRANGER);
    let may = identity_policy(&[r#""Effect": "Allow", "Action": "sts:AssumeRole", "Resource": "*""#]);
    let condition = r#", "Condition": {"StringEquals": {"sts:ExternalId": "Unique"}}"#;
    let policy = trust(r#"{"AWS": "222222222222"}"#, "sts:AssumeRole", condition);
    let ask = |facts| assumes(Action::StsAssumeRole, bob(&stranger), Some(&policy), Some(&may), &facts);
    assert!(ask(Facts::of(&[("sts:ExternalId", "Unique")])));
    assert!(!ask(Facts::of(&[("sts:ExternalId", "Other")])) && !ask(Facts::default()));
}

#[test]
fn an_identity_provider_vouches_for_those_whom_the_trust_policy_names() {
    let provider = "arn:aws:iam::111111111111:oidc-provider/id.example.com";
    let condition = r#", "Condition": {"StringEquals": {"id.example.com:aud": "app", "id.example.com:sub": "u1"}}"#;
    let federated = format!(r#"{{"Federated": "{provider}"}}"#);
    let policy = trust(&federated, "sts:AssumeRoleWithWebIdentity", condition);
    let web = Action::StsAssumeRoleWithWebIdentity;
    let facts = Facts::of(&[("id.example.com:aud", "app"), ("id.example.com:sub", "u1")]);
    let other = Facts::of(&[("id.example.com:aud", "app"), ("id.example.com:sub", "u2")]);
    let ask = |action, principal, policy, facts| assumes(action, principal, Some(policy), None, facts);
    assert!(ask(web, Principal::WebIdentity(provider), &policy, &facts));
    assert!(!ask(web, Principal::WebIdentity(provider), &policy, &other));
    assert!(!ask(web, Principal::WebIdentity("https://other.example.com"), &policy, &facts));
    assert!(!ask(Action::StsAssumeRole, Principal::WebIdentity(provider), &policy, &facts));
    assert!(!ask(web, Principal::Anonymous, &policy, &facts));
    // Trust in all of AWS is none in any provider.
    let everybody = trust(r#"{"AWS": "*"}"#, "sts:*", "");
    assert!(!ask(web, Principal::WebIdentity(provider), &everybody, &facts));
}

#[test]
fn a_session_may_what_its_role_and_a_session_policy_both_allow() {
    let holder = owner(HOLDER);
    let role = identity_policy(&[r#""Effect": "Allow", "Action": ["s3:GetObject", "s3:PutObject"], "Resource": "*""#]);
    let reads = policy_of(PolicyKind::Session, &[r#""Effect": "Allow", "Action": "s3:Get*", "Resource": "*""#]);
    let puts = policy_of(PolicyKind::Session, &[r#""Effect": "Allow", "Action": "s3:Put*", "Resource": "*""#]);
    let denies = policy_of(PolicyKind::Session, &[r#""Effect": "Deny", "Action": "s3:Put*", "Resource": "*""#]);
    let identity = [Attached { source: Source::RoleInline("role"), policy: &role }];
    let session = |policy| Attached { source: Source::Session(""), policy };
    let ask = |sessions: Option<&[Attached<'_>]>, action| {
        let policies = Policies {
            identity: &identity,
            session: sessions,
            bucket: Some(BucketFacts::of(&holder)),
            ..Policies::default()
        };
        Question::of_key(reader(&holder), action, "key").shown(&policies)
    };
    assert!(ask(None, Action::GetObject).starts_with("allowed") && ask(None, Action::PutObject).starts_with("allowed"));
    let reads_only = [session(&reads)];
    assert!(ask(Some(&reads_only), Action::GetObject).starts_with("allowed"));
    assert_eq!(ask(Some(&reads_only), Action::PutObject), "denied: no session policy allows it");
    assert!(ask(Some(&reads_only), Action::GetObjectAcl).contains("no policy of the user"));
    // Of several one must allow, and none deny.
    let both = [session(&reads), session(&puts)];
    assert!(ask(Some(&both), Action::PutObject).starts_with("allowed"));
    let denied = [session(&reads), session(&puts), session(&denies)];
    assert_eq!(ask(Some(&denied), Action::PutObject), "denied: statement 1 of the session policy denies it");
    assert!(ask(Some(&[]), Action::GetObject).starts_with("denied"));
}
