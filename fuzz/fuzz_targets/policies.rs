//! Policies: any bytes are read or refused as every kind, what is read is kept as it came, and any of it is decided.
//!
//! The first byte says which requests are asked; the rest is the document.
#![no_main]

use authz::{
    Action, Attached, BucketFacts, EmptyContext, Policies, Policy, PolicyKind, Principal, Request, Resource, Source,
    User, decide, decide_absence, explain,
};
use libfuzzer_sys::fuzz_target;
use types::{AccountId, BucketName, CanonicalId, ObjectKey, Owner};

const KINDS: [PolicyKind; 6] = [
    PolicyKind::Managed,
    PolicyKind::UserInline,
    PolicyKind::GroupInline,
    PolicyKind::RoleInline,
    PolicyKind::Trust,
    PolicyKind::Session,
];

fuzz_target!(|data: &[u8]| {
    let Some((&choice, text)) = data.split_first() else { return };
    let bucket = BucketName::new("bucket").expect("a name");
    let key = ObjectKey::new("a/b").expect("a key");
    let owner = Owner {
        account: AccountId(111_111_111_111),
        canonical_id: CanonicalId("ab".into()),
        display_name: "owner".into(),
    };
    let bob = User { account: &owner, path: "/", name: "bob", id: "AIDABOB" };
    let action = Action::ALL[usize::from(choice) % Action::ALL.len()];
    let principals = [Principal::Anonymous, Principal::Account(&owner), Principal::User(bob)];
    let resources = [Resource::Bucket(&bucket), Resource::Object { bucket: &bucket, key: &key }];
    if let Ok(policy) = Policy::bucket(text, &bucket) {
        assert_eq!(policy.text().as_bytes(), text);
        let facts = BucketFacts { policy: Some(&policy), ..BucketFacts::of(&owner) };
        let policies = Policies { bucket: Some(facts), ..Policies::default() };
        for principal in principals {
            for resource in resources {
                ask(&Request { principal, action, resource, context: &EmptyContext }, &policies);
            }
        }
        // A policy that is not public lets nobody in who did not sign, where nothing is known of where they come from.
        if !policy.is_public() {
            let request =
                Request { principal: Principal::Anonymous, action, resource: resources[1], context: &EmptyContext };
            assert!(!decide(&request, &policies).allowed);
        }
    }
    for kind in KINDS {
        let Ok(policy) = Policy::identity(text, kind) else { continue };
        assert_eq!(policy.text().as_bytes(), text);
        let attached = [Attached { source: Source::UserInline("fuzzed"), policy: &policy }];
        let policies = Policies { identity: &attached, bucket: Some(BucketFacts::of(&owner)), ..Policies::default() };
        let [_, _, user] = principals;
        ask(&Request { principal: user, action, resource: resources[1], context: &EmptyContext }, &policies);
    }
});

/// The decision, and that what explains it agrees.
fn ask(request: &Request<'_>, policies: &Policies<'_>) {
    let decision = decide(request, policies);
    let _ = (decision.to_string(), decision.denied_message(request), decide_absence(request, policies));
    let shown = explain(request, policies);
    if let authz::Reason::Denied(found) = decision.reason {
        let considered = shown.iter().find(|considered| considered.statement == found).expect("it was looked at");
        assert_eq!(considered.outcome, authz::StatementOutcome::Applied);
    }
}
