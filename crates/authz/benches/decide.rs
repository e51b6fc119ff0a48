//! What a decision costs with a bucket policy of 20 statements, and what reading that policy costs.

use std::fmt::Write;
use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};

use authz::{
    Action, Attached, BucketFacts, Key, KeyName, Policies, Policy, PolicyKind, Principal, Request, RequestContext,
    Resource, Source, User, Value, Values, decide,
};
use criterion::{Criterion, criterion_group, criterion_main};
use types::{AccountId, BucketName, CanonicalId, ObjectKey, Owner};

struct Context;

impl RequestContext for Context {
    fn values(&self, key: Key<'_>) -> Values<'_> {
        match key.name {
            KeyName::SourceIp => Values::One(Value::Address(IpAddr::V4(Ipv4Addr::new(203, 0, 113, 9)))),
            KeyName::SecureTransport => Values::One(Value::Bool(true)),
            _ => Values::Absent,
        }
    }
}

/// Twenty statements, all about the action and most about other principals, keys or networks; the last allows.
fn twenty_statements() -> String {
    let mut statements = String::new();
    for number in 0..19 {
        let (principal, resource, network) = match number % 3 {
            0 => (r#"{"AWS": "arn:aws:iam::000000000009:user/carol"}"#.to_owned(), "*".to_owned(), "10.0.0.0/8"),
            1 => (r#""*""#.to_owned(), format!("team-{number}/*.parquet"), "203.0.113.0/24"),
            _ => (r#"{"AWS": "000000000008"}"#.to_owned(), "home/${aws:username}/*".to_owned(), "10.0.0.0/8"),
        };
        write!(
            statements,
            r#"{{"Sid": "S{number}", "Effect": "{effect}", "Principal": {principal}, "Action": ["s3:Get*", "s3:PutObject"],
                "Resource": "arn:aws:s3:::examplebucket/{resource}",
                "Condition": {{"IpAddress": {{"aws:SourceIp": ["{network}", "192.168.0.0/16"]}},
                               "Bool": {{"aws:SecureTransport": "true"}}}}}},"#,
            effect = if number % 2 == 0 { "Deny" } else { "Allow" },
        )
        .expect("a string takes it");
    }
    format!(
        r#"{{"Version": "2012-10-17", "Statement": [{statements}
            {{"Effect": "Allow", "Principal": {{"AWS": "000000000008"}}, "Action": "s3:GetObject",
              "Resource": "arn:aws:s3:::examplebucket/home/*"}}]}}"#
    )
}

fn owner(account: u64) -> Owner {
    Owner {
        account: AccountId(account),
        canonical_id: CanonicalId(format!("{account:064}").into()),
        display_name: "someone".into(),
    }
}

fn decisions(criterion: &mut Criterion) {
    let bucket = BucketName::new("examplebucket").expect("a name");
    let key = ObjectKey::new("home/bob/photos/2026/november/30/one.jpg").expect("a key");
    let text = twenty_statements();
    let policy = Policy::bucket(text.as_bytes(), &bucket).expect("the policy is in order");
    let own = br#"{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}}"#;
    let own = Policy::identity(own, PolicyKind::UserInline).expect("the policy is in order");
    let (holder, stranger) = (owner(7), owner(8));
    let identity = [Attached { source: Source::UserInline("all"), policy: &own }];
    let policies = Policies {
        identity: &identity,
        bucket: Some(BucketFacts { policy: Some(&policy), ..BucketFacts::of(&holder) }),
        ..Policies::default()
    };
    let bob = User { account: &stranger, path: "/", name: "bob", id: "AIDABOB" };
    let resource = Resource::Object { bucket: &bucket, key: &key };
    let request = Request { principal: Principal::User(bob), action: Action::GetObject, resource, context: &Context };
    assert!(decide(&request, &policies).allowed, "{}", decide(&request, &policies));
    criterion.bench_function("decide of 20 statements", |bencher| {
        bencher.iter(|| decide(black_box(&request), black_box(&policies)).allowed);
    });
    let root = Request { principal: Principal::Account(&holder), ..request };
    let plain = Policies { bucket: Some(BucketFacts::of(&holder)), ..Policies::default() };
    criterion.bench_function("decide for an owner without policies", |bencher| {
        bencher.iter(|| decide(black_box(&root), black_box(&plain)).allowed);
    });
    criterion.bench_function("read a policy of 20 statements", |bencher| {
        bencher.iter(|| Policy::bucket(black_box(text.as_bytes()), &bucket).expect("the policy is in order"));
    });
}

criterion_group!(benches, decisions);
criterion_main!(benches);
