//! ACLs in decisions (S3 User Guide, "ACL overview"; "Controlling ownership of objects").

use authz::{
    Acl, Action, BucketFacts, CannedAcl, Grant, ObjectFacts, ObjectOwnership, Permission, Policies, Principal,
    PublicAccessBlock,
};

use crate::world::{HOLDER, Question, STRANGER, bob, identity_policy, inline, owner, with_acl};

const LIST: Action = Action::ListBucket;

#[test]
fn canned_acls_of_a_bucket_open_it_to_whom_they_say() {
    let (holder, stranger) = (owner(HOLDER), owner(STRANGER));
    for (canned, anonymous_lists, signed_lists, anonymous_puts) in [
        (CannedAcl::Private, false, false, false),
        (CannedAcl::PublicRead, true, true, false),
        (CannedAcl::PublicReadWrite, true, true, true),
        (CannedAcl::AuthenticatedRead, false, true, false),
    ] {
        let acl = canned.on_bucket(&holder);
        let policies = with_acl(&holder, &acl);
        let lists = |principal| Question::of_bucket(principal, LIST).allowed(&policies);
        assert_eq!(lists(Principal::Anonymous), anonymous_lists, "{canned:?}");
        assert_eq!(lists(Principal::Account(&stranger)), signed_lists, "{canned:?}");
        for action in [Action::PutObject, Action::DeleteObject] {
            let puts = Question::of_key(Principal::Anonymous, action, "key").allowed(&policies);
            assert_eq!(puts, anonymous_puts, "{canned:?}");
        }
        // What is in the bucket is not opened with it, nor its ACL.
        assert!(!Question::of_key(Principal::Anonymous, Action::GetObject, "key").allowed(&policies));
        assert!(!Question::of_bucket(Principal::Anonymous, Action::GetBucketAcl).allowed(&policies));
        assert!(!Question::of_key(Principal::Anonymous, Action::DeleteObjectVersion, "key").allowed(&policies));
    }
}

#[test]
fn each_permission_gives_an_account_its_own_actions() {
    let (holder, stranger) = (owner(HOLDER), owner(STRANGER));
    let bucket_actions = [
        (LIST, Permission::Read),
        (Action::GetBucketAcl, Permission::ReadAcp),
        (Action::PutBucketAcl, Permission::WriteAcp),
    ];
    let object_actions = [
        (Action::GetObject, Permission::Read),
        (Action::GetObjectAcl, Permission::ReadAcp),
        (Action::PutObjectAcl, Permission::WriteAcp),
    ];
    for permission in Permission::ALL {
        let acl = Acl::new(vec![Grant { grantee: (&stranger).into(), permission }]).expect("few");
        let on_bucket = with_acl(&holder, &acl);
        let (root, user) = (Principal::Account(&stranger), bob(&stranger));
        let gives = |needed| permission == needed || permission == Permission::FullControl;
        for (action, needed) in bucket_actions {
            let question = Question::of_bucket(root, action);
            assert_eq!(question.allowed(&on_bucket), gives(needed), "{permission:?} {}", action.name());
            assert!(!Question::of_bucket(user, action).allowed(&on_bucket));
        }
        let puts = Question::of_key(root, Action::PutObject, "key").allowed(&on_bucket);
        assert_eq!(puts, gives(Permission::Write));
        let none = Acl::private(&holder);
        let on_object =
            Policies { object: Some(ObjectFacts { owner: &holder, acl: Some(&acl) }), ..with_acl(&holder, &none) };
        for (action, needed) in object_actions {
            let question = Question::of_key(root, action, "key");
            assert_eq!(question.allowed(&on_object), gives(needed), "{permission:?} {}", action.name());
        }
        assert!(!Question::of_key(root, Action::PutObject, "key").allowed(&on_object));
    }
}

/// A grant is to an account, which hands it on to its users by policies of its own.
#[test]
fn a_user_needs_their_own_account_as_well() {
    let (holder, stranger) = (owner(HOLDER), owner(STRANGER));
    let acl = Acl::new(vec![Grant { grantee: (&stranger).into(), permission: Permission::Read }]).expect("few");
    let own = identity_policy(&[r#""Effect": "Allow", "Action": "s3:ListBucket", "Resource": "*""#]);
    let attached = [inline(&own)];
    let question = Question::of_bucket(bob(&stranger), LIST);
    assert!(!question.allowed(&with_acl(&holder, &acl)));
    assert!(question.allowed(&Policies { identity: &attached, ..with_acl(&holder, &acl) }));
    // Within the account what is granted to everybody is enough, and what is granted to the account is not.
    let public = CannedAcl::PublicRead.on_bucket(&holder);
    let question = Question::of_bucket(bob(&holder), LIST);
    assert!(question.allowed(&with_acl(&holder, &public)));
    assert!(!question.allowed(&with_acl(&holder, &Acl::private(&holder))));
}

#[test]
fn ignored_and_disabled_acls_grant_nothing_and_say_so() {
    let (holder, stranger) = (owner(HOLDER), owner(STRANGER));
    let mut grants: Vec<Grant> = CannedAcl::PublicRead.on_bucket(&holder).grants().to_vec();
    grants.push(Grant { grantee: (&stranger).into(), permission: Permission::Read });
    let acl = Acl::new(grants).expect("few");
    let policies = |block, ownership| Policies {
        bucket: Some(BucketFacts { acl: Some(&acl), block, ownership, ..BucketFacts::of(&holder) }),
        ..Policies::default()
    };
    let ignores = PublicAccessBlock { ignore_public_acls: true, ..PublicAccessBlock::default() };
    let (none, writer) = (PublicAccessBlock::default(), ObjectOwnership::ObjectWriter);
    let anonymous = Question::of_bucket(Principal::Anonymous, LIST);
    let account = Question::of_bucket(Principal::Account(&stranger), LIST);
    assert_eq!(anonymous.shown(&policies(none, writer)), "allowed: READ of the bucket's ACL allows it");
    assert_eq!(
        anonymous.shown(&policies(ignores, writer)),
        "denied: a public grant would allow it, and IgnorePublicAcls is on"
    );
    // What is granted to one account is not public.
    assert!(account.allowed(&policies(ignores, writer)));
    for question in [&anonymous, &account] {
        assert_eq!(
            question.shown(&policies(none, ObjectOwnership::BucketOwnerEnforced)),
            "denied: a grant would allow it, and ACLs are disabled (BucketOwnerEnforced)"
        );
    }
    // BlockPublicAcls is about setting them.
    let blocks = PublicAccessBlock { block_public_acls: true, ..PublicAccessBlock::default() };
    assert!(anonymous.allowed(&policies(blocks, writer)));
}

/// Where the bucket says that grants are for owners too, as S3 had it before IAM.
#[test]
fn an_owner_without_grants_keeps_the_acl_and_what_is_not_of_acls() {
    let holder = owner(HOLDER);
    let empty = Acl::new(Vec::new()).expect("none");
    let policies = |owner_needs_grant, acl| {
        let ownership = ObjectOwnership::ObjectWriter;
        let bucket = BucketFacts { acl: Some(acl), ownership, owner_needs_grant, ..BucketFacts::of(&holder) };
        let object = Some(ObjectFacts { owner: &holder, acl: None });
        Policies { bucket: Some(bucket), object, ..Policies::default() }
    };
    let root = Principal::Account(&holder);
    let lists = Question::of_bucket(root, LIST);
    let puts = Question::of_key(root, Action::PutObject, "key");
    assert!(lists.allowed(&policies(false, &empty)) && puts.allowed(&policies(false, &empty)));
    assert_eq!(lists.shown(&policies(true, &empty)), "denied: neither ACL nor policy grants it to the owner");
    assert!(!puts.allowed(&policies(true, &empty)));
    let private = Acl::private(&holder);
    assert!(lists.allowed(&policies(true, &private)) && puts.allowed(&policies(true, &private)));
    for action in [Action::GetBucketAcl, Action::PutBucketAcl, Action::DeleteBucket, Action::GetBucketLocation] {
        assert!(Question::of_bucket(root, action).allowed(&policies(true, &empty)), "{}", action.name());
    }
    assert!(Question::of_key(root, Action::GetObject, "key").allowed(&policies(true, &empty)));
}

#[test]
fn who_began_an_upload_may_list_its_parts_and_abort_it() {
    let (holder, stranger) = (owner(HOLDER), owner(STRANGER));
    let policies =
        Policies { bucket: Some(BucketFacts::of(&holder)), upload_initiator: Some(&stranger), ..Policies::default() };
    for action in [Action::ListMultipartUploadParts, Action::AbortMultipartUpload] {
        assert!(Question::of_key(Principal::Account(&stranger), action, "key").allowed(&policies));
        assert!(!Question::of_key(Principal::Account(&owner(7)), action, "key").allowed(&policies));
        assert!(!Question::of_key(Principal::Anonymous, action, "key").allowed(&policies));
    }
    assert!(!Question::of_key(Principal::Account(&stranger), Action::PutObject, "key").allowed(&policies));
}

#[test]
fn logs_are_delivered_where_their_group_is_granted() {
    let holder = owner(HOLDER);
    let logs = Principal::Service("logging.s3.amazonaws.com");
    let question = Question::of_key(logs, Action::PutObject, "log");
    assert!(question.allowed(&with_acl(&holder, &CannedAcl::LogDeliveryWrite.on_bucket(&holder))));
    assert!(!question.allowed(&with_acl(&holder, &CannedAcl::Private.on_bucket(&holder))));
}
