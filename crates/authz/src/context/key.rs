//! The names of condition keys (IAM User Guide, "AWS global condition context keys"; Service Authorization Reference,
//! "Condition keys for Amazon S3"). Case is of no matter in them; the tag in `s3:ExistingObjectTag/TAG` keeps its case.

use std::fmt;

macro_rules! keys {
    (plain { $($plain:ident $plain_name:literal)* } tagged { $($tagged:ident $tagged_name:literal)* }) => {
        /// A condition key that Cairn knows, without the tag that some have behind a slash.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum KeyName {
            $(#[doc = concat!("`", $plain_name, "`")] $plain,)*
            $(#[doc = concat!("`", $tagged_name, "TAG`")] $tagged,)*
            /// One that Cairn doesn't know by name, such as the claims of an identity provider (`id.example.com:aud`).
            Other,
        }

        impl KeyName {
            /// All that are known.
            pub const KNOWN: &[Self] = &[$(Self::$plain,)* $(Self::$tagged,)*];

            /// Its name; one that is followed by a tag ends with a slash.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$plain => $plain_name,)*
                    $(Self::$tagged => $tagged_name,)*
                    Self::Other => "",
                }
            }
        }
    };
}

keys! {
    plain {
        CalledVia "aws:CalledVia"
        CalledViaFirst "aws:CalledViaFirst"
        CalledViaLast "aws:CalledViaLast"
        CurrentTime "aws:CurrentTime"
        EpochTime "aws:EpochTime"
        FederatedProvider "aws:FederatedProvider"
        MultiFactorAuthAge "aws:MultiFactorAuthAge"
        MultiFactorAuthPresent "aws:MultiFactorAuthPresent"
        PrincipalAccount "aws:PrincipalAccount"
        PrincipalArn "aws:PrincipalArn"
        PrincipalIsAwsService "aws:PrincipalIsAWSService"
        PrincipalOrgId "aws:PrincipalOrgID"
        PrincipalOrgPaths "aws:PrincipalOrgPaths"
        PrincipalServiceName "aws:PrincipalServiceName"
        PrincipalServiceNamesList "aws:PrincipalServiceNamesList"
        PrincipalType "aws:PrincipalType"
        Referer "aws:Referer"
        RequestedRegion "aws:RequestedRegion"
        ResourceAccount "aws:ResourceAccount"
        ResourceOrgId "aws:ResourceOrgID"
        SecureTransport "aws:SecureTransport"
        SourceAccount "aws:SourceAccount"
        SourceArn "aws:SourceArn"
        SourceIdentity "aws:SourceIdentity"
        SourceIp "aws:SourceIp"
        SourceOwner "aws:SourceOwner"
        SourceOrgId "aws:SourceOrgID"
        SourceVpc "aws:SourceVpc"
        SourceVpce "aws:SourceVpce"
        TagKeys "aws:TagKeys"
        TokenIssueTime "aws:TokenIssueTime"
        UserAgent "aws:UserAgent"
        ViaAwsService "aws:ViaAWSService"
        VpcSourceIp "aws:VpcSourceIp"
        UserId "aws:userid"
        UserName "aws:username"
        AccessPointNetworkOrigin "s3:AccessPointNetworkOrigin"
        DataAccessPointAccount "s3:DataAccessPointAccount"
        DataAccessPointArn "s3:DataAccessPointArn"
        InventoryAccessibleOptionalFields "s3:InventoryAccessibleOptionalFields"
        LocationConstraint "s3:LocationConstraint"
        ObjectCreationOperation "s3:ObjectCreationOperation"
        RequestObjectTagKeys "s3:RequestObjectTagKeys"
        S3ResourceAccount "s3:ResourceAccount"
        TlsVersion "s3:TlsVersion"
        VersionId "s3:VersionId"
        AuthType "s3:authType"
        Delimiter "s3:delimiter"
        IfMatch "s3:if-match"
        IfNoneMatch "s3:if-none-match"
        IsReplicationPauseRequest "s3:isReplicationPauseRequest"
        MaxKeys "s3:max-keys"
        ObjectLockLegalHold "s3:object-lock-legal-hold"
        ObjectLockMode "s3:object-lock-mode"
        ObjectLockRemainingRetentionDays "s3:object-lock-remaining-retention-days"
        ObjectLockRetainUntilDate "s3:object-lock-retain-until-date"
        Prefix "s3:prefix"
        SignatureAge "s3:signatureAge"
        SignatureVersion "s3:signatureversion"
        Acl "s3:x-amz-acl"
        ContentSha256 "s3:x-amz-content-sha256"
        CopySource "s3:x-amz-copy-source"
        GrantFullControl "s3:x-amz-grant-full-control"
        GrantRead "s3:x-amz-grant-read"
        GrantReadAcp "s3:x-amz-grant-read-acp"
        GrantWrite "s3:x-amz-grant-write"
        GrantWriteAcp "s3:x-amz-grant-write-acp"
        MetadataDirective "s3:x-amz-metadata-directive"
        ObjectOwnership "s3:x-amz-object-ownership"
        ServerSideEncryption "s3:x-amz-server-side-encryption"
        ServerSideEncryptionAwsKmsKeyId "s3:x-amz-server-side-encryption-aws-kms-key-id"
        ServerSideEncryptionCustomerAlgorithm "s3:x-amz-server-side-encryption-customer-algorithm"
        StorageClass "s3:x-amz-storage-class"
        WebsiteRedirectLocation "s3:x-amz-website-redirect-location"
        PermissionsBoundary "iam:PermissionsBoundary"
        PolicyArn "iam:PolicyARN"
        PassedToService "iam:PassedToService"
        AwsServiceName "iam:AWSServiceName"
        ExternalId "sts:ExternalId"
        RoleSessionName "sts:RoleSessionName"
        TransitiveTagKeys "sts:TransitiveTagKeys"
        DurationSeconds "sts:DurationSeconds"
    }
    tagged {
        PrincipalTag "aws:PrincipalTag/"
        RequestTag "aws:RequestTag/"
        ResourceTag "aws:ResourceTag/"
        ExistingObjectTag "s3:ExistingObjectTag/"
        RequestObjectTag "s3:RequestObjectTag/"
        BucketTag "s3:BucketTag/"
    }
}

/// A condition key as a policy asks for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Key<'a> {
    /// Which one.
    pub name: KeyName,
    /// The tag behind the slash of a tagged one, the whole name of an unknown one in lower case, else empty.
    pub rest: &'a str,
}

impl fmt::Display for Key<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.name.as_str(), self.rest)
    }
}

/// A [`Key`] that a compiled policy keeps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OwnedKey {
    pub(crate) name: KeyName,
    rest: Box<str>,
}

impl OwnedKey {
    /// Reads `text`, whose case is of no matter but in tags.
    pub(crate) fn parse(text: &str) -> Self {
        for &name in KeyName::KNOWN {
            let known = name.as_str();
            if known.ends_with('/') {
                let head = text.get(..known.len());
                if head.is_some_and(|head| head.eq_ignore_ascii_case(known)) && text.len() > known.len() {
                    return Self { name, rest: text[known.len()..].into() };
                }
            } else if known.eq_ignore_ascii_case(text) {
                return Self { name, rest: "".into() };
            }
        }
        Self { name: KeyName::Other, rest: text.to_ascii_lowercase().into() }
    }

    pub(crate) fn as_key(&self) -> Key<'_> {
        Key { name: self.name, rest: &self.rest }
    }
}

/// A set of keys.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct KeySet(u128);

impl KeySet {
    pub(crate) fn insert(&mut self, name: KeyName) {
        self.0 |= 1 << name as u32;
    }

    pub(crate) const fn contains(self, name: KeyName) -> bool {
        self.0 & (1 << name as u32) != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_keys_have_room_in_a_set() {
        let mut set = KeySet::default();
        for &name in KeyName::KNOWN {
            assert!(!set.contains(name), "{}", name.as_str());
            set.insert(name);
        }
        set.insert(KeyName::Other);
        assert!(set.contains(KeyName::Other));
    }

    #[test]
    fn case_is_of_no_matter_but_in_tags() {
        assert_eq!(OwnedKey::parse("AWS:sourceip").as_key(), Key { name: KeyName::SourceIp, rest: "" });
        let tag = OwnedKey::parse("s3:existingobjecttag/Team");
        assert_eq!(tag.as_key(), Key { name: KeyName::ExistingObjectTag, rest: "Team" });
        assert_eq!(OwnedKey::parse("s3:ExistingObjectTag/").name, KeyName::Other);
        let unknown = OwnedKey::parse("ec2:Thing");
        assert_eq!(unknown.as_key(), Key { name: KeyName::Other, rest: "ec2:thing" });
        assert_eq!(unknown.as_key().to_string(), "ec2:thing");
        assert_eq!(tag.as_key().to_string(), "s3:ExistingObjectTag/Team");
    }
}
