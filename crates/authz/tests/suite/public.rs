//! "The meaning of public" (S3 User Guide, "Blocking public access to your Amazon S3 storage"), by its own examples.

use authz::{Action, BucketFacts, Policies, Principal, PublicAccessBlock};

use crate::world::{HOLDER, Question, STRANGER, bob, bucket_policy, identity_policy, inline, owner};

const PUT: &str = r#""Effect": "Allow", "Resource": "*", "Action": "s3:PutObject""#;

fn is_public(statement: &str) -> bool {
    bucket_policy(&[&format!("{PUT}, {statement}")]).is_public()
}

#[test]
fn the_public_examples_of_the_user_guide_are_public() {
    assert!(is_public(r#""Principal": {"Federated": "graph.facebook.com"}"#));
    assert!(is_public(r#""Principal": "*""#));
    assert!(is_public(r#""Principal": "*", "Condition": {"StringLike": {"aws:SourceVpc": "vpc-*"}}"#));
}

#[test]
fn the_example_with_a_fixed_value_is_not() {
    assert!(!is_public(r#""Principal": "*", "Condition": {"StringEquals": {"aws:SourceVpc": "vpc-91237329"}}"#));
}

#[test]
fn fixed_principals_are_not_public() {
    for principal in [
        r#"{"AWS": "111122223333"}"#,
        r#"{"AWS": ["arn:aws:iam::111122223333:user/bob", "arn:aws:iam::111122223333:role/reader"]}"#,
        r#"{"Service": "logging.s3.amazonaws.com"}"#,
        r#"{"CanonicalUser": "79a59df900b949e55d96a1e698fbacedfd6e09d98eacf8f8d5218e7cd47ef2be"}"#,
    ] {
        assert!(!is_public(&format!(r#""Principal": {principal}"#)), "{principal}");
    }
    assert!(is_public(r#""Principal": {"AWS": "*"}"#));
    assert!(is_public(r#""Principal": {"AWS": ["111122223333", "*"]}"#));
}

#[test]
fn conditions_bound_a_policy_only_by_fixed_values_that_must_be_there() {
    for (condition, public) in [
        (r#"{"StringEquals": {"aws:SourceVpce": "vpce-1"}}"#, false),
        (r#"{"StringLike": {"aws:SourceVpce": "vpce-1"}}"#, false),
        (r#"{"StringEquals": {"aws:SourceVpce": ["vpce-1", "vpce-2"]}}"#, false),
        (r#"{"StringLike": {"aws:SourceVpce": ["vpce-1", "vpce-*"]}}"#, true),
        (r#"{"StringEqualsIfExists": {"aws:SourceVpce": "vpce-1"}}"#, true),
        (r#"{"ForAllValues:StringEquals": {"aws:SourceVpce": "vpce-1"}}"#, true),
        (r#"{"ForAnyValue:StringEquals": {"aws:PrincipalOrgPaths": "o-1/r-1/ou-1/"}}"#, false),
        (r#"{"StringNotEquals": {"aws:SourceVpce": "vpce-1"}}"#, true),
        (r#"{"StringEquals": {"aws:SourceVpce": "${aws:userid}"}}"#, true),
        (r#"{"StringEquals": {"aws:PrincipalOrgID": "o-1"}}"#, false),
        (r#"{"StringEquals": {"aws:SourceAccount": "111122223333"}}"#, false),
        (r#"{"StringEquals": {"aws:userid": "AIDABOB"}}"#, false),
        (r#"{"StringLike": {"aws:userid": "AROAREADER:*"}}"#, true),
        // Who did not sign has an id as well.
        (r#"{"StringEquals": {"aws:userid": "anonymous"}}"#, true),
        (r#"{"StringEqualsIgnoreCase": {"aws:userid": ["AIDABOB", "Anonymous"]}}"#, true),
        (r#"{"StringEquals": {"aws:Referer": "http://example.com/"}}"#, true),
        (r#"{"StringEquals": {"aws:UserAgent": "x", "aws:SourceVpc": "vpc-1"}}"#, false),
        (r#"{"Bool": {"aws:SecureTransport": "true"}}"#, true),
        (r#"{"ArnEquals": {"aws:SourceArn": "arn:aws:s3:::bucket"}}"#, false),
        (r#"{"ArnLike": {"aws:SourceArn": "arn:aws:s3:::bucket*"}}"#, true),
        (r#"{"ArnLike": {"aws:PrincipalArn": "arn:aws:iam::111122223333:role/*"}}"#, true),
        (r#"{"StringLike": {"s3:DataAccessPointArn": "arn:aws:s3:us-west-2:123456789012:accesspoint/*"}}"#, false),
        (r#"{"ArnLike": {"s3:DataAccessPointArn": "arn:aws:s3:us-west-2:123456789012:accesspoint/*"}}"#, false),
        (r#"{"ArnLike": {"s3:DataAccessPointArn": "arn:aws:s3:us-west-2:*:accesspoint/*"}}"#, true),
    ] {
        assert_eq!(is_public(&format!(r#""Principal": "*", "Condition": {condition}"#)), public, "{condition}");
    }
}

#[test]
fn networks_bound_a_policy_unless_they_are_wide() {
    for (blocks, public) in [
        (r#""203.0.113.0/24""#, false),
        (r#"["203.0.113.0/24", "2001:db8::/32"]"#, false),
        (r#""0.0.0.0/1""#, true),
        (r#""12.0.0.0/7""#, true),
        (r#""10.0.0.0/8""#, false),
        (r#"["203.0.113.0/24", "0.0.0.0/0"]"#, true),
        (r#""2001::/16""#, true),
    ] {
        let condition =
            |operator| format!(r#""Principal": "*", "Condition": {{"{operator}": {{"aws:SourceIp": {blocks}}}}}"#);
        assert_eq!(is_public(&condition("IpAddress")), public, "{blocks}");
        assert!(is_public(&condition("NotIpAddress")) && is_public(&condition("IpAddressIfExists")), "{blocks}");
    }
}

#[test]
fn denials_make_no_policy_public_and_none_private() {
    let deny = r#""Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": "*""#;
    assert!(!bucket_policy(&[deny]).is_public());
    assert!(bucket_policy(&[deny, &format!(r#"{PUT}, "Principal": "*""#)]).is_public());
}

/// "How Amazon S3 evaluates a bucket policy that contains both public and non-public access grants": of a service, a
/// second account and the public, the service alone is left while the policy is public and restricted.
#[test]
fn a_public_statement_closes_the_whole_policy_to_others_where_public_buckets_are_restricted() {
    let service = format!(r#"{PUT}, "Principal": {{"Service": "cloudtrail.amazonaws.com"}}"#);
    let second = format!(r#"{PUT}, "Principal": {{"AWS": "{STRANGER}"}}"#);
    let public = format!(r#"{PUT}, "Principal": "*""#);
    let (with, without) = (bucket_policy(&[&service, &second, &public]), bucket_policy(&[&service, &second]));
    let (holder, stranger) = (owner(HOLDER), owner(STRANGER));
    let own = identity_policy(&[r#""Effect": "Allow", "Action": "s3:*", "Resource": "*""#]);
    let attached = [inline(&own)];
    let restricted = PublicAccessBlock { restrict_public_buckets: true, ..PublicAccessBlock::default() };
    let ask = |policy, block, principal, identity| {
        let bucket = BucketFacts { policy: Some(policy), block, ..BucketFacts::of(&holder) };
        let policies = Policies { bucket: Some(bucket), identity, ..Policies::default() };
        Question::of_key(principal, Action::PutObject, "log").allowed(&policies)
    };
    let everybody = [
        (Principal::Service("cloudtrail.amazonaws.com"), true),
        (bob(&holder), true),
        (Principal::Account(&stranger), false),
        (bob(&stranger), false),
        (Principal::Anonymous, false),
    ];
    for (principal, left) in everybody {
        assert!(ask(&with, PublicAccessBlock::default(), principal, &attached), "{principal:?}");
        assert_eq!(ask(&with, restricted, principal, &attached), left, "{principal:?}");
        assert_eq!(ask(&without, restricted, principal, &attached), principal != Principal::Anonymous, "{principal:?}");
    }
    // Within the account the policy itself still counts.
    assert!(ask(&with, restricted, bob(&holder), &[]));
}
