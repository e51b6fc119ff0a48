//! Decisions within one account, by the examples of the IAM User Guide ("Policy evaluation logic", "Permissions
//! boundaries for IAM entities").

use authz::{
    Action, Attached, BucketFacts, EmptyContext, Policies, Policy, Principal, Request, Resource, ResourceKind, Source,
    decide,
};
use types::{AccountId, BucketName, ObjectKey};

use crate::world::{HOLDER, Question, STRANGER, bob, identity_policy, inline, owner};

/// Whether Carlos may, with his policy and that of his bucket, put a file into a bucket.
#[test]
fn a_deny_of_an_identity_beats_the_allow_of_a_bucket() {
    let own = identity_policy(&[
        r#""Sid": "AllowS3ListRead", "Effect": "Allow", "Resource": "arn:aws:s3:::*",
           "Action": ["s3:GetBucketLocation", "s3:GetAccountPublicAccessBlock", "s3:ListAccessPoints", "s3:ListAllMyBuckets"]"#,
        r#""Sid": "AllowS3Self", "Effect": "Allow", "Action": "s3:*",
           "Resource": ["arn:aws:s3:::carlossalazar/*", "arn:aws:s3:::carlossalazar"]"#,
        r#""Sid": "DenyS3Logs", "Effect": "Deny", "Action": "s3:*", "Resource": "arn:aws:s3:::*log*""#,
    ]);
    let holder = owner(HOLDER);
    let carlos = Principal::User(authz::User { account: &holder, path: "/", name: "carlossalazar", id: "AIDACARLOS" });
    let attached = [inline(&own)];
    let put = |bucket: &str, key: &str| {
        let bucket = BucketName::new(bucket).expect("a name");
        let text = format!(
            r#"{{"Version": "2012-10-17", "Statement": [{{"Effect": "Allow", "Action": "s3:*",
               "Principal": {{"AWS": "arn:aws:iam::111111111111:user/carlossalazar"}},
               "Resource": ["arn:aws:s3:::{bucket}/*", "arn:aws:s3:::{bucket}"]}}]}}"#
        );
        let policy = Policy::bucket(text.as_bytes(), &bucket).expect("a policy");
        let key = ObjectKey::new(key.to_owned()).expect("a key");
        let resource = Resource::Object { bucket: &bucket, key: &key };
        let request = Request { principal: carlos, action: Action::PutObject, resource, context: &EmptyContext };
        let facts = BucketFacts { policy: Some(&policy), ..BucketFacts::of(&holder) };
        decide(&request, &Policies { identity: &attached, bucket: Some(facts), ..Policies::default() }).allowed
    };
    assert!(put("carlossalazar", "file"));
    // Both policies allow it, and his own denies it too.
    assert!(!put("carlossalazar-logs", "file"));
    assert!(!put("carlossalazar", "catalogue"));
    // His own allows nothing here, the bucket's does.
    assert!(put("somebodyelses", "file"));
    let request = Request {
        principal: carlos,
        action: Action::ListAllMyBuckets,
        resource: Resource::Service,
        context: &EmptyContext,
    };
    assert!(decide(&request, &Policies { identity: &attached, ..Policies::default() }).allowed);
    assert!(!decide(&request, &Policies::default()).allowed);
}

/// "The difference between explicit and implicit denies".
#[test]
fn what_nothing_allows_is_denied_and_what_is_denied_stays_so() {
    let policy = identity_policy(&[
        r#""Sid": "AllowGetList", "Effect": "Allow", "Action": ["iam:Get*", "iam:List*"], "Resource": "*""#,
        r#""Sid": "DenyReports", "Effect": "Deny", "Action": "iam:*Report", "Resource": "*""#,
    ]);
    let more = identity_policy(&[r#""Effect": "Allow", "Action": "iam:GenerateCredentialReport", "Resource": "*""#]);
    let attached = [inline(&policy), inline(&more)];
    let holder = owner(HOLDER);
    let policies = Policies { identity: &attached, ..Policies::default() };
    let ask = |action| {
        let request = Request { principal: bob(&holder), action, resource: Resource::Service, context: &EmptyContext };
        decide(&request, &policies).to_string()
    };
    assert_eq!(ask(Action::IamListUsers), "allowed: statement 1 (AllowGetList) of the user's policy inline allows it");
    assert_eq!(
        ask(Action::IamUpdateAccountPasswordPolicy),
        "denied: no policy of the user, their groups or the role allows it"
    );
    for report in [Action::IamGenerateCredentialReport, Action::IamGetCredentialReport] {
        assert_eq!(ask(report), "denied: statement 2 (DenyReports) of the user's policy inline denies it");
    }
}

#[test]
fn a_negation_of_actions_or_resources_is_about_the_others() {
    let policy = identity_policy(&[
        r#""Effect": "Allow", "NotAction": ["s3:Delete*", "iam:*"], "Resource": "arn:aws:s3:::examplebucket/*""#,
        r#""Effect": "Deny", "Action": "s3:*", "NotResource": ["arn:aws:s3:::examplebucket/mine/*"]"#,
    ]);
    let holder = owner(HOLDER);
    let attached = [inline(&policy)];
    let policies = Policies { identity: &attached, bucket: Some(BucketFacts::of(&holder)), ..Policies::default() };
    let ask = |action, key| Question::of_key(bob(&holder), action, key).allowed(&policies);
    assert!(ask(Action::GetObject, "mine/a") && ask(Action::PutObject, "mine/a"));
    assert!(!ask(Action::DeleteObject, "mine/a") && !ask(Action::GetObject, "other/a"));
}

#[test]
fn the_root_of_an_account_has_what_is_its_own_and_nothing_of_others() {
    let (holder, stranger) = (owner(HOLDER), owner(STRANGER));
    let policies = Policies { bucket: Some(BucketFacts::of(&holder)), ..Policies::default() };
    for &action in Action::ALL.iter().filter(|&&action| action != Action::CreateBucket) {
        let question = |principal| match action.resource_kind() {
            ResourceKind::Bucket => Some(Question::of_bucket(principal, action)),
            ResourceKind::Object => Some(Question::of_key(principal, action, "key")),
            ResourceKind::Service | ResourceKind::Identity => None,
        };
        let askers = [Principal::Account(&holder), Principal::Account(&stranger), Principal::Anonymous, bob(&holder)];
        let answers: Vec<bool> =
            askers.into_iter().filter_map(question).map(|question| question.allowed(&policies)).collect();
        if !answers.is_empty() {
            assert_eq!(answers, [true, false, false, false], "{}", action.name());
        }
    }
    // To make a bucket one needs an account, and a user a policy.
    let create = |principal| Question::of_bucket(principal, Action::CreateBucket).allowed(&Policies::default());
    assert!(create(Principal::Account(&stranger)) && !create(Principal::Anonymous) && !create(bob(&stranger)));
}

#[test]
fn without_the_bucket_nothing_of_it_is_allowed() {
    let holder = owner(HOLDER);
    let all = identity_policy(&[r#""Effect": "Allow", "Action": "*", "Resource": "*""#]);
    let attached = [inline(&all)];
    let policies = Policies { identity: &attached, ..Policies::default() };
    for principal in [Principal::Account(&holder), bob(&holder), Principal::Anonymous] {
        assert!(!Question::of_key(principal, Action::GetObject, "key").allowed(&policies), "{principal:?}");
        assert!(!Question::of_bucket(principal, Action::ListBucket).allowed(&policies), "{principal:?}");
    }
    // Nor is what is done to objects done to a bucket.
    let policies = Policies { bucket: Some(BucketFacts::of(&holder)), ..policies };
    assert!(!Question::of_bucket(Principal::Account(&holder), Action::GetObject).allowed(&policies));
    assert!(!Question::of_key(Principal::Account(&holder), Action::DeleteBucket, "key").allowed(&policies));
}

/// A boundary bounds what identity policies allow, and allows nothing itself.
#[test]
fn a_boundary_and_a_policy_must_both_allow() {
    let boundary = identity_policy(&[
        r#""Effect": "Allow", "Action": "s3:Get*", "Resource": "*""#,
        r#""Effect": "Deny", "Action": "s3:GetObjectAcl", "Resource": "*""#,
    ]);
    let own = identity_policy(&[
        r#""Effect": "Allow", "Action": ["s3:GetObject", "s3:GetObjectAcl", "s3:PutObject"], "Resource": "*""#,
    ]);
    let holder = owner(HOLDER);
    let attached = [inline(&own)];
    let boundary = Attached { source: Source::Boundary("arn:aws:iam::111111111111:policy/most"), policy: &boundary };
    let policies = Policies {
        identity: &attached,
        boundary: Some(boundary),
        bucket: Some(BucketFacts::of(&holder)),
        ..Policies::default()
    };
    let ask = |action| Question::of_key(bob(&holder), action, "key").shown(&policies);
    assert!(ask(Action::GetObject).starts_with("allowed"));
    assert_eq!(ask(Action::PutObject), "denied: the permissions boundary does not allow it");
    assert!(ask(Action::GetObjectTagging).contains("no policy of the user"));
    assert_eq!(
        ask(Action::GetObjectAcl),
        "denied: statement 2 of the permissions boundary arn:aws:iam::111111111111:policy/most denies it"
    );
}

#[test]
fn cairns_own_actions_are_for_the_operators_account() {
    let all = identity_policy(&[r#""Effect": "Allow", "Action": "*", "Resource": "*""#]);
    let attached = [inline(&all)];
    let (operator, stranger) = (owner(AccountId::ROOT.0), owner(STRANGER));
    let ask = |principal, identity| {
        let policies = Policies { identity, ..Policies::default() };
        [Action::AdminRead, Action::AdminWrite].map(|action| {
            let request = Request { principal, action, resource: Resource::Service, context: &EmptyContext };
            decide(&request, &policies).allowed
        })
    };
    assert_eq!(ask(Principal::Account(&operator), &[]), [true; 2]);
    assert_eq!(ask(bob(&operator), &attached), [true; 2]);
    assert_eq!(ask(bob(&operator), &[]), [false; 2]);
    assert_eq!(ask(Principal::Account(&stranger), &[]), [false; 2]);
    assert_eq!(ask(bob(&stranger), &attached), [false; 2]);
    assert_eq!(ask(Principal::Anonymous, &attached), [false; 2]);
    let reads = identity_policy(&[r#""Effect": "Allow", "Action": "admin:Read", "Resource": "*""#]);
    assert_eq!(ask(bob(&operator), &[inline(&reads)]), [true, false]);
}

#[test]
fn what_needs_no_permission_needs_a_signature() {
    let holder = owner(HOLDER);
    let deny = identity_policy(&[r#""Effect": "Deny", "Action": "*", "Resource": "*""#]);
    let attached = [inline(&deny)];
    let policies = Policies { identity: &attached, ..Policies::default() };
    for action in [Action::StsGetCallerIdentity, Action::StsGetSessionToken] {
        let ask = |principal| {
            let request = Request { principal, action, resource: Resource::Service, context: &EmptyContext };
            decide(&request, &policies).allowed
        };
        assert!(ask(bob(&holder)) && ask(Principal::Account(&holder)));
        assert!(!ask(Principal::Anonymous) && !ask(Principal::WebIdentity("https://id.example.com")));
    }
}

#[test]
fn identities_belong_to_their_account() {
    let (holder, stranger) = (owner(HOLDER), owner(STRANGER));
    let all = identity_policy(&[r#""Effect": "Allow", "Action": "iam:*", "Resource": "*""#]);
    let own = identity_policy(&[
        r#""Effect": "Allow", "Action": "iam:*AccessKey*", "Resource": "arn:aws:iam::111111111111:user/${aws:username}""#,
    ]);
    let ask = |principal, policy, arn| {
        let attached = [inline(policy)];
        let resource = Resource::Identity(arn);
        let request = Request { principal, action: Action::IamCreateAccessKey, resource, context: &EmptyContext };
        decide(&request, &Policies { identity: &attached, ..Policies::default() }).allowed
    };
    let (alice, bobs) = ("arn:aws:iam::111111111111:user/alice", "arn:aws:iam::111111111111:user/bob");
    assert!(ask(bob(&holder), &all, alice) && ask(Principal::Account(&holder), &own, alice));
    assert!(ask(bob(&holder), &own, bobs) && !ask(bob(&holder), &own, alice));
    assert!(!ask(bob(&stranger), &all, alice) && !ask(Principal::Account(&stranger), &all, alice));
    assert!(!ask(Principal::Anonymous, &all, alice) && !ask(bob(&holder), &all, "nonsense"));
}
