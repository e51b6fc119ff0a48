//! Documents: what is read, and the words in which what is not in order is refused.

use authz::{Action, Effect, KeyName, Policy, PolicyError, PolicyKind, PrincipalPattern, Version};

use crate::world::{bucket_name, bucket_policy, document};

fn bucket_refusal(text: &str) -> String {
    match Policy::bucket(text.as_bytes(), &bucket_name()) {
        Ok(_) => format!("taken: {text}"),
        Err(error) => error.to_string(),
    }
}

fn refusal(kind: PolicyKind, text: &str) -> String {
    match Policy::identity(text.as_bytes(), kind) {
        Ok(_) => format!("taken: {text}"),
        Err(error) => error.to_string(),
    }
}

const GOOD: &str = r#""Effect": "Allow", "Principal": "*", "Action": "s3:GetObject",
    "Resource": "arn:aws:s3:::examplebucket/*""#;

#[test]
fn a_bucket_policy_is_kept_as_it_came() {
    let text = "{ \"Id\" : \"mine\",\n\t\"Statement\":{\"Sid\":\"One two\",\"Effect\":\"Deny\",\"Principal\":\"*\",\
                \"Action\":[\"s3:*\"],\"Resource\":[\"arn:aws:s3:::examplebucket\",\"arn:aws:s3:::examplebucket/*\"]}}  ";
    let policy = Policy::bucket(text.as_bytes(), &bucket_name()).expect("it is in order");
    assert_eq!(policy.text(), text);
    assert_eq!((policy.id(), policy.version(), policy.kind()), (Some("mine"), Version::V2008, PolicyKind::Bucket));
    assert_ne!(Effect::Allow, Effect::Deny);
}

#[test]
fn bucket_policies_out_of_shape_are_refused_in_s3s_words() {
    let syntax = "Invalid policy syntax.";
    for (text, words) in [
        ("", "Policies must be valid JSON and the first byte must be '{'"),
        ("hello", "Policies must be valid JSON and the first byte must be '{'"),
        (" {}", "Policies must be valid JSON and the first byte must be '{'"),
        ("{", "This policy contains invalid Json"),
        ("{} {}", "This policy contains invalid Json"),
        ("{}", "Missing required field Statement"),
        (r#"{"Statement": []}"#, "Could not parse the policy: Statement is empty!"),
        (r#"{"Statement": "x"}"#, syntax),
        (r#"{"Statement": [[]]}"#, syntax),
        (r#"{"Statement": null}"#, syntax),
        (r#"{"Statement": {}, "Statements": 1}"#, "Unknown field Statements"),
        (r#"{"Statement": {"Efect": "Allow"}}"#, "Unknown field Efect"),
        (r#"{"Statement": {}, "Statement": {}}"#, "Statement/policy already has instance of Statement"),
        (r#"{"Version": "2020-01-01", "Statement": {}}"#, "The policy must contain a valid version string"),
        (r#"{"Id": 7, "Statement": {}}"#, syntax),
        (r#"{"Statement": {}}"#, "Missing required field Effect"),
        (r#"{"Statement": {"Effect": "Maybe"}}"#, "Invalid effect: Maybe"),
        (r#"{"Statement": {"Effect": "allow"}}"#, "Invalid effect: allow"),
        (r#"{"Statement": {"Effect": "Allow"}}"#, "Missing required field Principal"),
        (r#"{"Statement": {"Effect": "Allow", "Principal": "*"}}"#, "Missing required field Action"),
        (
            r#"{"Statement": {"Effect": "Allow", "Principal": "*", "Action": "s3:*"}}"#,
            "Statement is missing required element",
        ),
        (r#"{"Statement": {"Effect": "Allow", "Principal": "*", "Action": 7, "Resource": "*"}}"#, syntax),
        (r#"{"Statement": {"Effect": "Allow", "Principal": "*", "Action": "s3:*", "Resource": {}}}"#, syntax),
    ] {
        assert_eq!(bucket_refusal(text), words, "{text}");
    }
    let both = r#"{"Statement": {"Effect": "Deny", "Principal": "*", "NotPrincipal": "*"}}"#;
    assert_eq!(bucket_refusal(both), "Statement/policy already has instance of Principal");
    let twice = document(&[&format!("\"Sid\": \"a\", {GOOD}"), &format!("\"Sid\": \"a\", {GOOD}")]);
    assert_eq!(bucket_refusal(&twice), "Statement IDs (SID) in a single policy must be unique.");
}

#[test]
fn what_a_statement_of_a_bucket_policy_says_is_checked() {
    let action = "Policy has invalid action";
    let resource = "Policy has invalid resource";
    let fit = "Action does not apply to any resource(s) in statement";
    for (actions, resources, words) in [
        (r#""s3:GetObjct""#, "examplebucket/*", action),
        (r#""iam:CreateUser""#, "examplebucket/*", action),
        (r#""GetObject""#, "examplebucket/*", action),
        (r#""s3:Frobnicate*""#, "examplebucket/*", action),
        (r#""s3:GetObject""#, "otherbucket/*", resource),
        (r#""s3:GetObject""#, "examplebucket2/*", resource),
        (r#""s3:GetObject""#, "example", resource),
        (r#""s3:GetObject""#, "examplebucket", fit),
        (r#""s3:ListBucket""#, "examplebucket/*", fit),
        (r#"["s3:GetObject", "s3:ListBucket"]"#, "examplebucket/*", fit),
        (r#""s3:Get*Acceler*""#, "examplebucket/*", fit),
        (r#""s3:ListAllMyBuckets""#, "examplebucket", fit),
    ] {
        let statement = format!(
            r#""Effect": "Allow", "Principal": "*", "Action": {actions}, "Resource": "arn:aws:s3:::{resources}""#
        );
        assert_eq!(bucket_refusal(&document(&[&statement])), words, "{statement}");
    }
    for bad in ["examplebucket", "arn:aws:s3::examplebucket", "arn:aws:iam:::examplebucket", "<invalid>", ""] {
        let statement = format!(r#""Effect": "Allow", "Principal": "*", "Action": "s3:*", "Resource": "{bad}""#);
        assert_eq!(bucket_refusal(&document(&[&statement])), resource, "{statement}");
    }
    for (actions, resources) in [
        ("s3:*", "arn:aws:s3:::examplebucket"),
        ("s3:Get*", "arn:aws:s3:::examplebucket/*"),
        ("*", "*"),
        ("s3:getobject", "arn:aws:s3:::*/*"),
        ("s3:ListBucket", "arn:aws:s3:::*"),
        ("s3:GetObject", "arn:aws:s3:::examplebucket*"),
        ("s3:GetObject", "arn:aws:s3:::examplebucket/home/${aws:username}"),
    ] {
        bucket_policy(&[&format!(
            r#""Effect": "Allow", "Principal": "*", "Action": "{actions}", "Resource": "{resources}""#
        )]);
    }
}

#[test]
fn principals_that_cant_be_are_refused() {
    let refused = "Invalid principal in policy";
    for (principal, words) in [
        (r#""somebody""#, refused),
        (r#""""#, refused),
        ("7", refused),
        ("[\"*\"]", refused),
        (r#"{"AWS": "bob"}"#, refused),
        (r#"{"AWS": "arn:aws:iam::111111111111:user/*"}"#, refused),
        (r#"{"AWS": "arn:aws:iam::111111111111:group/all"}"#, refused),
        (r#"{"AWS": "arn:aws:iam::11111111111:root"}"#, refused),
        (r#"{"AWS": "arn:aws:s3:::examplebucket"}"#, refused),
        (r#"{"AWS": 111111111111}"#, refused),
        (r#"{"Google": "x"}"#, refused),
        (r#"{"Service": "*"}"#, refused),
        (r#"{"CanonicalUser": ""}"#, refused),
        ("{}", "Missing required field Principal cannot be empty!"),
        (r#"{"AWS": []}"#, "Missing required field Principal cannot be empty!"),
        (r#"{"AWS": "*", "AWS": "*"}"#, "Statement/policy already has instance of AWS"),
    ] {
        let statement =
            format!(r#""Effect": "Allow", "Principal": {principal}, "Action": "s3:GetObject", "Resource": "*""#);
        assert_eq!(bucket_refusal(&document(&[&statement])), words, "{statement}");
    }
    let all_but = r#""Effect": "Allow", "NotPrincipal": {"AWS": "111111111111"}, "Action": "s3:*", "Resource": "*""#;
    assert_eq!(bucket_refusal(&document(&[all_but])), "Allow with NotPrincipal is not allowed.");
}

#[test]
fn principals_are_listed_for_who_knows_whether_they_exist() {
    let policy = bucket_policy(&[r#""Effect": "Deny", "NotPrincipal": {
            "AWS": ["111111111111", "arn:aws:iam::222222222222:root", "arn:aws:iam::111111111111:role/a/b", "*"],
            "CanonicalUser": "79a59df900b949e55d96a1e698fbacedfd6e09d98eacf8f8d5218e7cd47ef2be",
            "Federated": "graph.facebook.com", "Service": "logging.s3.amazonaws.com"},
        "Action": "s3:*", "Resource": "*""#]);
    let account = types::AccountId;
    let expected = [
        PrincipalPattern::Account(account(111_111_111_111)),
        PrincipalPattern::Account(account(222_222_222_222)),
        PrincipalPattern::Identity { account: Some(account(111_111_111_111)), name: "role/a/b".into() },
        PrincipalPattern::Everyone,
        PrincipalPattern::CanonicalUser("79a59df900b949e55d96a1e698fbacedfd6e09d98eacf8f8d5218e7cd47ef2be".into()),
        PrincipalPattern::Federated("graph.facebook.com".into()),
        PrincipalPattern::Service("logging.s3.amazonaws.com".into()),
    ];
    assert!(policy.principals().eq(expected.iter()));
}

#[test]
fn conditions_of_bucket_policies_must_say_something_of_their_actions() {
    let combination = "Conditions do not apply to combination of actions and resources in statement";
    let key = "Policy has an invalid condition key";
    for (actions, condition, words) in [
        (r#""s3:GetObject""#, r#"{"StringEquals": {"s3:prefix": "a"}}"#, combination),
        (r#"["s3:ListBucket", "s3:GetBucketLocation"]"#, r#"{"StringEquals": {"s3:prefix": "a"}}"#, combination),
        (r#""s3:GetObjectRetention""#, r#"{"StringEquals": {"s3:ExistingObjectTag/a": "b"}}"#, combination),
        (r#""s3:PutObject""#, r#"{"StringEquals": {"s3:x-acl": "private"}}"#, key),
        (r#""s3:PutObject""#, r#"{"StringEquals": {"iam:PolicyARN": "a"}}"#, key),
        (r#""s3:PutObject""#, r#"{"StringEqualz": {"s3:x-amz-acl": "a"}}"#, "Invalid Condition type : StringEqualz"),
        (r#""s3:PutObject""#, r#"{"IpAddress": {"aws:SourceIp": "1.2.3"}}"#, "Invalid IP address in Conditions"),
        (r#""s3:ListBucket""#, r#"{"NumericLessThan": {"s3:max-keys": "ten"}}"#, "Invalid value in Conditions"),
        (r#""s3:ListBucket""#, r#"{"Bool": {"aws:SecureTransport": "maybe"}}"#, "Invalid value in Conditions"),
        (r#""s3:ListBucket""#, r#"{"DateLessThan": {"aws:CurrentTime": "today"}}"#, "Invalid value in Conditions"),
        (r#""s3:ListBucket""#, "[]", "Invalid policy syntax."),
        (r#""s3:ListBucket""#, r#"{"StringEquals": "a"}"#, "Invalid policy syntax."),
        (r#""s3:ListBucket""#, r#"{"StringEquals": {"s3:prefix": [["a"]]}}"#, "Invalid policy syntax."),
        (
            r#""s3:ListBucket""#,
            r#"{"StringEquals": {"s3:prefix": "a", "S3:Prefix": "b"}}"#,
            "Statement/policy already has instance of s3:prefix",
        ),
    ] {
        let statement = format!(
            r#""Effect": "Allow", "Principal": "*", "Action": {actions}, "Condition": {condition},
               "Resource": ["arn:aws:s3:::examplebucket", "arn:aws:s3:::examplebucket/*"]"#
        );
        assert_eq!(bucket_refusal(&document(&[&statement])), words, "{statement}");
    }
    for (actions, condition) in [
        ("s3:*", r#"{"StringEquals": {"s3:prefix": "a"}}"#),
        ("s3:ListBucket", r#"{"NumericLessThanEquals": {"s3:max-keys": 10}}"#),
        ("s3:GetObject", r#"{"Bool": {"aws:SecureTransport": false}}"#),
        ("s3:GetObject", r#"{"StringLike": {"aws:NobodyKnowsThis": "*"}}"#),
        ("s3:PutObject", r#"{"ForAllValues:StringLikeIfExists": {"S3:RequestObjectTagKeys": ["a", "b"]}}"#),
    ] {
        bucket_policy(&[&format!(
            r#""Effect": "Allow", "Principal": "*", "Action": "{actions}", "Resource": "*", "Condition": {condition}"#
        )]);
    }
}

#[test]
fn policies_of_identities_are_refused_in_iams_words() {
    let syntax = "Syntax errors in policy.";
    let statement = |rest: &str| document(&[rest]);
    let good = r#""Effect": "Allow", "Action": "s3:*", "Resource": "*""#;
    for (text, words) in [
        ("This is not a json document".to_owned(), syntax),
        ("{}".to_owned(), syntax),
        (r#"{"Version": "2013-10-17", "Statement": {}}"#.to_owned(), syntax),
        (format!(r#"{{"Statement": {{{good}}}}}"#), "Policy document must be version 2012-10-17 or greater."),
        (r#"{"Version": "2012-10-17", "Statement": []}"#.to_owned(), syntax),
        (r#"{"Version": "2012-10-17", "Statement": ["afd"]}"#.to_owned(), syntax),
        (statement(&format!(r#"{good}, "Extra": 1"#)), syntax),
        (statement(r#""Effect": "invalid", "Action": "s3:*", "Resource": "*""#), syntax),
        (statement(r#""Action": "s3:*", "Resource": "*""#), syntax),
        (statement(r#""Effect": "Allow", "NotAction": "s3:*", "Action": [], "Resource": "*""#), syntax),
        (statement(r#""Effect": "Allow", "Action": [[]], "Resource": "*""#), syntax),
        (statement(&format!(r#"{good}, "Condition": {{"a": {{"b": "c"}}}}"#)), syntax),
        (statement(&format!(r#"{good}, "Condition": {{"DateGreaterThan": {{"a": "b"}}}}"#)), syntax),
        (statement(r#""Effect": "Allow", "Resource": "*""#), "Policy statement must contain actions."),
        (statement(r#""Effect": "Allow", "Action": [], "Resource": "*""#), "Policy statement must contain actions."),
        (statement(r#""Effect": "Allow", "Action": "invalid""#), "Policy statement must contain resources."),
        (
            statement(r#""Effect": "Allow", "Action": "s3:*", "Resource": []"#),
            "Policy statement must contain resources.",
        ),
        (statement(&format!(r#"{good}, "Principal": "*""#)), "Policy document should not specify a principal."),
        (
            statement(&format!(r#"{good}, "Sid": "a b""#)),
            "Statement IDs (SID) must be alpha-numeric. Check that your input satisfies the regular expression \
             [0-9A-Za-z]*",
        ),
        (
            document(&[&format!(r#"{good}, "Sid": "a""#), &format!(r#"{good}, "Sid": "a""#)]),
            "Statement IDs (SID) in a single policy must be unique.",
        ),
    ] {
        assert_eq!(refusal(PolicyKind::Managed, &text), words, "{text}");
    }
}

#[test]
fn actions_and_resources_of_identities_are_refused_in_iams_words() {
    for (action, words) in [
        ("invalid", "Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc."),
        ("", "Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc."),
        ("a a:ListBucket", "Vendor a a is not valid"),
        (":GetObject", "Vendor  is not valid"),
        ("s3:List:Bucket", "Actions/Condition can contain only one colon."),
    ] {
        let text = document(&[&format!(r#""Effect": "Allow", "Action": "{action}", "Resource": "*""#)]);
        assert_eq!(refusal(PolicyKind::UserInline, &text), words);
    }
    for (resource, words) in [
        ("invalid resource", r#"Resource invalid resource must be in ARN format or "*"."#),
        ("", r#"Resource  must be in ARN format or "*"."#),
        ("a:bsdfdsafsad", r#"Partition "bsdfdsafsad" is not valid for resource "arn:bsdfdsafsad:*:*:*:*"."#),
        ("a:b:cadfsdf", r#"Partition "b" is not valid for resource "arn:b:cadfsdf:*:*:*"."#),
        ("a:b:c:d:e:f:g:h", r#"Partition "b" is not valid for resource "arn:b:c:d:e:f:g:h"."#),
        ("s3::b/*", r#"Partition "" is not valid for resource "arn::b/*:*:*:*"."#),
        ("arn:aws2:s3:::b/*", r#"Partition "aws2" is not valid for resource "arn:aws2:s3:::b/*"."#),
        ("arn:aws:s3::b", "The policy failed legacy parsing"),
        ("arn:aws", "Resource vendor must be fully qualified and cannot contain regexes."),
        (
            "arn:aws:iam:::example_bucket",
            "IAM resource path must either be \"*\" or start with user/, federated-user/, role/, group/, \
             instance-profile/, mfa/, server-certificate/, policy/, sms-mfa/, saml-provider/, oidc-provider/, \
             report/, access-report/.",
        ),
    ] {
        let text = document(&[&format!(r#""Effect": "Allow", "Action": "s3:*", "Resource": "{resource}""#)]);
        assert_eq!(refusal(PolicyKind::RoleInline, &text), words);
    }
    let vendors = r#""Effect": "Allow", "Action": ["ec2:*", "admin:Read", "*"], "Resource": "arn:aws:s3:::*""#;
    assert!(Policy::identity(document(&[vendors]).as_bytes(), PolicyKind::Managed).is_ok());
}

#[test]
fn trust_policies_say_who_and_not_what() {
    for (statement, words) in [
        (r#""Effect": "Allow", "Action": "sts:AssumeRole""#, "Missing required field Principal"),
        (r#""Effect": "Allow", "Principal": "*", "Action": "sts:AssumeRole""#, "Principal must be a JSON object."),
        (
            r#""Effect": "Allow", "Principal": {}, "Action": "sts:AssumeRole""#,
            "Missing required field Principal cannot be empty!",
        ),
        (r#""Effect": "Allow", "Principal": {"AWS": "*"}"#, "Missing required field Action"),
        (
            r#""Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "s3:GetObject""#,
            "AssumeRole policy may only specify STS AssumeRole actions.",
        ),
        (
            r#""Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole", "Resource": "*""#,
            "Has prohibited field Resource",
        ),
        (
            r#""Effect": "Deny", "NotPrincipal": {"AWS": "*"}, "Action": "sts:AssumeRole""#,
            "AssumeRole policy must not contain NotPrincipal field.",
        ),
    ] {
        assert_eq!(refusal(PolicyKind::Trust, &document(&[statement])), words, "{statement}");
    }
    let good = r#""Effect": "Allow", "Principal": {"AWS": "111111111111"}, "Action": "sts:AssumeRole""#;
    assert!(Policy::identity(document(&[good]).as_bytes(), PolicyKind::Trust).is_ok());
}

#[test]
fn sizes_are_those_of_the_quotas_and_white_space_is_not_counted_by_iam() {
    let filled = |characters: usize| {
        let empty = document(&[r#""Effect": "Allow", "Action": "s3:*", "Resource": """#]);
        let counted = empty.chars().filter(|character| !character.is_whitespace()).count();
        let name = format!("arn:aws:s3:::{}", "é".repeat(characters - counted - "arn:aws:s3:::".len()));
        document(&[&format!(r#""Effect": "Allow", "Action": "s3:*", "Resource": "{name}""#)])
    };
    for (kind, characters_max) in [
        (PolicyKind::Managed, 6_144),
        (PolicyKind::UserInline, 2_048),
        (PolicyKind::GroupInline, 5_120),
        (PolicyKind::RoleInline, 10_240),
    ] {
        let most = format!("{}{}", " \n".repeat(20_000), filled(characters_max));
        assert!(Policy::identity(most.as_bytes(), kind).is_ok(), "{kind:?}");
        let error = Policy::identity(filled(characters_max + 1).as_bytes(), kind).expect_err("it is too long");
        assert!(error.is_quota() && error.to_string().ends_with(&characters_max.to_string()), "{error}");
    }
    let bucket = document(&[GOOD]);
    let most = format!("{bucket}{}", " ".repeat(20_480 - bucket.len()));
    assert!(Policy::bucket(most.as_bytes(), &bucket_name()).is_ok());
    let error = Policy::bucket(format!("{most} ").as_bytes(), &bucket_name()).expect_err("it is too long");
    assert_eq!(error, PolicyError::TooLarge);
    let too_long = " ".repeat(200_000);
    assert!(Policy::identity(too_long.as_bytes(), PolicyKind::Managed).expect_err("it is too long").is_quota());
}

#[test]
fn a_policy_says_beforehand_what_it_may_ask_of_which_action() {
    let policy = bucket_policy(&[
        r#""Effect": "Allow", "Principal": "*", "Action": "s3:GetObject*", "Resource": "*",
           "Condition": {"StringEquals": {"s3:ExistingObjectTag/public": "yes"}}"#,
        r#""Effect": "Allow", "Principal": "*", "Action": "s3:PutObject", "Resource": "arn:aws:s3:::*/${aws:Referer}/*""#,
    ]);
    assert!(policy.may_ask(KeyName::ExistingObjectTag, Action::GetObject));
    assert!(!policy.may_ask(KeyName::ExistingObjectTag, Action::PutObject));
    assert!(!policy.may_ask(KeyName::SourceIp, Action::GetObject));
    assert!(policy.may_ask(KeyName::Referer, Action::PutObject));
}
