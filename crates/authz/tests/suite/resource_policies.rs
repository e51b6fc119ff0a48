//! Bucket policies: who they reach, and what accounts must do on both sides (IAM User Guide, "Cross-account policy
//! evaluation logic", "Resource-based policies and implicit denies in other policy types", "NotPrincipal").

use authz::{
    Absence, Action, Attached, BucketFacts, ObjectFacts, ObjectOwnership, Policies, Policy, Principal, Source,
    decide_absence,
};
use types::AccountId;

use crate::world::{
    Facts, HOLDER, Question, STRANGER, bob, bucket_policy, identity_policy, inline, owner, reader, with_policy,
};

fn get(principal: Principal<'_>, policies: &Policies<'_>) -> bool {
    Question::of_key(principal, Action::GetObject, "key").allowed(policies)
}

fn allow_get(principal: &str) -> Policy {
    bucket_policy(&[&format!(
        r#""Effect": "Allow", "Principal": {principal}, "Action": "s3:GetObject", "Resource": "arn:aws:s3:::examplebucket/*""#
    )])
}

#[test]
fn anonymous_requests_are_allowed_by_what_is_for_everybody_alone() {
    let holder = owner(HOLDER);
    for (principal, allowed) in [
        (r#""*""#, true),
        (r#"{"AWS": "*"}"#, true),
        (r#"{"AWS": "111111111111"}"#, false),
        (r#"{"Federated": "graph.facebook.com"}"#, false),
        (r#"{"Service": "logging.s3.amazonaws.com"}"#, false),
    ] {
        let policy = allow_get(principal);
        let policies = with_policy(&holder, &policy);
        assert_eq!(get(Principal::Anonymous, &policies), allowed, "{principal}");
        assert!(!Question::of_bucket(Principal::Anonymous, Action::ListBucket).allowed(&policies));
    }
}

#[test]
fn across_accounts_both_sides_must_allow() {
    let (holder, stranger) = (owner(HOLDER), owner(STRANGER));
    let own =
        identity_policy(&[r#""Effect": "Allow", "Action": "s3:Get*", "Resource": "arn:aws:s3:::examplebucket/*""#]);
    let denies = identity_policy(&[r#""Effect": "Deny", "Action": "s3:*", "Resource": "*""#]);
    let (allowing, denying) = ([inline(&own)], [inline(&own), inline(&denies)]);
    let canonical = format!(r#"{{"CanonicalUser": "{}"}}"#, stranger.canonical_id.0);
    for (principal, reaches) in [
        (r#"{"AWS": "222222222222"}"#, true),
        (r#"{"AWS": "arn:aws:iam::222222222222:root"}"#, true),
        (r#"{"AWS": "arn:aws:iam::222222222222:user/bob"}"#, true),
        (r#""*""#, true),
        (canonical.as_str(), true),
        (r#"{"AWS": "arn:aws:iam::222222222222:user/alice"}"#, false),
        (r#"{"AWS": "arn:aws:iam::222222222222:role/bob"}"#, false),
        (r#"{"AWS": "arn:aws:iam::111111111111:user/bob"}"#, false),
    ] {
        let policy = allow_get(principal);
        let with = |identity| Policies { identity, ..with_policy(&holder, &policy) };
        assert_eq!(get(bob(&stranger), &with(&allowing)), reaches, "{principal}");
        assert!(!get(bob(&stranger), &with(&[])), "{principal}");
        assert!(!get(bob(&stranger), &with(&denying)), "{principal}");
        // A root needs nothing of its own account, and is not one of its users.
        let names_account = !principal.contains("user/") && !principal.contains("role/");
        assert_eq!(get(Principal::Account(&stranger), &with(&[])), names_account, "{principal}");
    }
    // The own side alone is not enough either.
    let nothing = Policies { identity: &[inline(&own)], bucket: Some(BucketFacts::of(&holder)), ..Policies::default() };
    assert!(!get(bob(&stranger), &nothing));
}

#[test]
fn within_the_account_either_side_allows_but_naming_the_account_hands_on() {
    let holder = owner(HOLDER);
    for (principal, allowed) in [
        (r#"{"AWS": "arn:aws:iam::111111111111:user/bob"}"#, true),
        (r#""*""#, true),
        // The account is left to say which of its users.
        (r#"{"AWS": "111111111111"}"#, false),
        (r#"{"AWS": "arn:aws:iam::111111111111:user/alice"}"#, false),
        // The account that has the bucket, by RGW's short form.
        (r#"{"AWS": "arn:aws:iam:::user/bob"}"#, true),
    ] {
        let policy = allow_get(principal);
        assert_eq!(get(bob(&holder), &with_policy(&holder, &policy)), allowed, "{principal}");
    }
    let short = allow_get(r#"{"AWS": "arn:aws:iam:::user/bob"}"#);
    let stranger = owner(STRANGER);
    let own = identity_policy(&[r#""Effect": "Allow", "Action": "s3:*", "Resource": "*""#]);
    let policies = Policies { identity: &[inline(&own)], ..with_policy(&holder, &short) };
    assert!(!get(bob(&stranger), &policies));
}

/// The guide's table: what names the user or the session itself is not bounded, what names the role is.
#[test]
fn boundaries_and_sessions_bound_what_names_the_role_and_not_what_names_the_session() {
    let holder = owner(HOLDER);
    let nothing = identity_policy(&[r#""Effect": "Allow", "Action": "iam:*", "Resource": "*""#]);
    let all = identity_policy(&[r#""Effect": "Allow", "Action": "*", "Resource": "*""#]);
    let boundary = |policy| Some(Attached { source: Source::Boundary("arn"), policy });
    let session = [Attached { source: Source::Session(""), policy: &nothing }];
    let permissive = [Attached { source: Source::Session(""), policy: &all }];
    for (principal, unbounded) in [
        (r#"{"AWS": "arn:aws:iam::111111111111:role/reader"}"#, false),
        (r#"{"AWS": "arn:aws:sts::111111111111:assumed-role/reader/job"}"#, true),
        (r#""*""#, true),
    ] {
        let policy = allow_get(principal);
        let base = with_policy(&holder, &policy);
        let session_principal = reader(&holder);
        assert!(get(session_principal, &base), "{principal}");
        assert_eq!(
            get(session_principal, &Policies { boundary: boundary(&nothing), ..base }),
            unbounded,
            "{principal}"
        );
        assert_eq!(get(session_principal, &Policies { session: Some(&session), ..base }), unbounded, "{principal}");
        let wide = Policies { boundary: boundary(&all), session: Some(&permissive), ..base };
        assert!(get(session_principal, &wide), "{principal}");
    }
    let user = allow_get(r#"{"AWS": "arn:aws:iam::111111111111:user/bob"}"#);
    assert!(get(bob(&holder), &Policies { boundary: boundary(&nothing), ..with_policy(&holder, &user) }));
    // Across accounts they bound everything.
    let stranger = owner(STRANGER);
    let policy = allow_get(r#"{"AWS": "arn:aws:sts::222222222222:assumed-role/reader/job"}"#);
    let role = [Attached { source: Source::RoleInline("all"), policy: &all }];
    let base = Policies { identity: &role, ..with_policy(&holder, &policy) };
    assert!(get(reader(&stranger), &base));
    assert!(!get(reader(&stranger), &Policies { session: Some(&session), ..base }));
    assert!(!get(reader(&stranger), &Policies { boundary: boundary(&nothing), ..base }));
}

#[test]
fn a_deny_binds_the_owner_who_keeps_the_calls_on_the_policy() {
    let (holder, stranger, operator) = (owner(HOLDER), owner(STRANGER), owner(AccountId::ROOT.0));
    let policy =
        bucket_policy(&[r#""Sid": "Out", "Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": "*""#]);
    let policies = with_policy(&holder, &policy);
    let roots = [Principal::Account(&holder), Principal::Account(&operator)];
    for root in roots {
        assert!(!get(root, &policies));
        assert_eq!(
            Question::of_bucket(root, Action::ListBucket).shown(&policies),
            "denied: statement 1 (Out) of the bucket policy denies it"
        );
        for action in [Action::GetBucketPolicy, Action::PutBucketPolicy, Action::DeleteBucketPolicy] {
            assert!(Question::of_bucket(root, action).allowed(&policies), "{}", action.name());
        }
        assert!(!Question::of_bucket(root, Action::GetBucketPolicyStatus).allowed(&policies));
    }
    let all = identity_policy(&[r#""Effect": "Allow", "Action": "*", "Resource": "*""#]);
    let with_own = Policies { identity: &[inline(&all)], ..policies };
    for principal in [bob(&holder), reader(&holder), Principal::Account(&stranger), Principal::Anonymous] {
        assert!(!Question::of_bucket(principal, Action::PutBucketPolicy).allowed(&with_own), "{principal:?}");
    }
}

/// "NotPrincipal with Deny": all but those who are listed, who need their account on the list as well.
#[test]
fn a_denial_of_all_but_some_lets_those_through_who_are_listed_with_their_account() {
    let (holder, stranger) = (owner(HOLDER), owner(STRANGER));
    let all = identity_policy(&[r#""Effect": "Allow", "Action": "*", "Resource": "*""#]);
    let ask = |listed: &str, principal| {
        let policy = bucket_policy(&[
            r#""Effect": "Allow", "Principal": "*", "Action": "s3:*", "Resource": "*""#,
            &format!(r#""Effect": "Deny", "NotPrincipal": {{"AWS": {listed}}}, "Action": "s3:*", "Resource": "*""#),
        ]);
        get(principal, &Policies { identity: &[inline(&all)], ..with_policy(&holder, &policy) })
    };
    let bobs = r#"["arn:aws:iam::222222222222:user/bob", "arn:aws:iam::222222222222:root"]"#;
    assert!(ask(bobs, bob(&stranger)) && ask(bobs, Principal::Account(&stranger)));
    assert!(!ask(bobs, bob(&holder)) && !ask(bobs, Principal::Account(&holder)));
    assert!(!ask(bobs, Principal::Anonymous) && !ask(bobs, reader(&stranger)));
    assert!(!ask(r#""arn:aws:iam::222222222222:user/bob""#, bob(&stranger)));
    assert!(!ask(r#""222222222222""#, bob(&stranger)));
    let session = r#"["222222222222", "arn:aws:iam::222222222222:role/reader",
        "arn:aws:sts::222222222222:assumed-role/reader/job"]"#;
    assert!(ask(session, reader(&stranger)) && !ask(session, bob(&stranger)));
    assert!(!ask(r#"["222222222222", "arn:aws:iam::222222222222:role/reader"]"#, reader(&stranger)));
    assert!(ask(r#""*""#, Principal::Anonymous));
}

#[test]
fn services_have_what_a_bucket_gives_them_by_name() {
    let holder = owner(HOLDER);
    let logs = Principal::Service("logging.s3.amazonaws.com");
    let named = allow_get(r#"{"Service": "logging.s3.amazonaws.com"}"#);
    let other = allow_get(r#"{"Service": "cloudtrail.amazonaws.com"}"#);
    assert!(get(logs, &with_policy(&holder, &named)));
    assert!(!get(logs, &with_policy(&holder, &other)));
    assert!(!get(bob(&holder), &with_policy(&holder, &named)));
}

/// The S3 User Guide's example of three accounts: the user's, the bucket's and the object's.
#[test]
fn the_owner_of_an_object_allows_and_the_owner_of_the_bucket_may_deny() {
    let (jills, bucket, object) = (owner(111_111_111_112), owner(222_222_222_222), owner(333_333_333_333));
    let own = identity_policy(&[r#""Effect": "Allow", "Action": "s3:GetObject", "Resource": "*""#]);
    let allows = bucket_policy(&[r#""Effect": "Allow", "Principal": "*", "Action": "s3:*", "Resource": "*""#]);
    let denies = bucket_policy(&[
        r#""Effect": "Deny", "Principal": {"AWS": "111111111112"}, "Action": "s3:GetObject", "Resource": "*""#,
    ]);
    let grant = authz::Grant { grantee: (&jills).into(), permission: authz::Permission::Read };
    let granting = authz::Acl::new(vec![grant]).expect("few");
    let jill = bob(&jills);
    let ask = |principal, identity, policy, acl, ownership| {
        let facts = BucketFacts { policy, ownership, ..BucketFacts::of(&bucket) };
        let object = Some(ObjectFacts { owner: &object, acl });
        get(principal, &Policies { identity, bucket: Some(facts), object, ..Policies::default() })
    };
    let (own, writer) = ([inline(&own)], ObjectOwnership::ObjectWriter);
    assert!(ask(jill, &own, None, Some(&granting), writer));
    assert!(!ask(jill, &[], None, Some(&granting), writer));
    assert!(!ask(jill, &own, Some(&denies), Some(&granting), writer));
    // The bucket's owner can't give what is not theirs, and has it not themselves.
    assert!(!ask(jill, &own, Some(&allows), None, writer));
    assert!(!ask(Principal::Account(&bucket), &[], Some(&allows), None, writer));
    assert!(ask(Principal::Account(&object), &[], None, None, writer));
    // Where the bucket's owner has all objects, ACLs don't count and the policy does.
    assert!(!ask(jill, &own, None, Some(&granting), ObjectOwnership::BucketOwnerEnforced));
    assert!(ask(jill, &own, Some(&allows), None, ObjectOwnership::BucketOwnerEnforced));
    assert!(ask(Principal::Account(&bucket), &[], None, None, ObjectOwnership::BucketOwnerEnforced));
    // Deleting is the bucket's owner's in any case.
    let facts = BucketFacts { ownership: writer, ..BucketFacts::of(&bucket) };
    let object = Some(ObjectFacts { owner: &object, acl: None });
    let policies = Policies { bucket: Some(facts), object, ..Policies::default() };
    assert!(Question::of_key(Principal::Account(&bucket), Action::DeleteObject, "key").allowed(&policies));
}

#[test]
fn whoever_may_list_the_key_is_told_that_it_is_missing() {
    let holder = owner(HOLDER);
    let absence = |statements: &[&str], principal, key: &str| {
        let policy = bucket_policy(statements);
        Question::of_key(principal, Action::GetObject, key)
            .with(Facts::of(&[("s3:prefix", "of something else")]))
            .ask(&with_policy(&holder, &policy), |request, _| decide_absence(request, &with_policy(&holder, &policy)))
    };
    let read =
        r#""Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::examplebucket/*""#;
    let list =
        r#""Effect": "Allow", "Principal": "*", "Action": "s3:ListBucket", "Resource": "arn:aws:s3:::examplebucket""#;
    let some = format!(r#"{list}, "Condition": {{"StringLike": {{"s3:prefix": "home/*"}}}}"#);
    assert_eq!(absence(&[read], Principal::Anonymous, "home/a"), Absence::Denied);
    assert_eq!(absence(&[read, list], Principal::Anonymous, "home/a"), Absence::NotFound);
    assert_eq!(absence(&[read, &some], Principal::Anonymous, "home/a"), Absence::NotFound);
    assert_eq!(absence(&[read, &some], Principal::Anonymous, "other/a"), Absence::Denied);
    assert_eq!(absence(&[read], Principal::Account(&holder), "home/a"), Absence::NotFound);
}
