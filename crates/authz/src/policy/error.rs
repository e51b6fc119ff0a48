//! Why a policy is refused, in AWS's words: S3's for bucket policies, IAM's for the others.

/// Why a policy is refused. `Display` is the message for the client.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    /// S3: it is not an object.
    #[error("Policies must be valid JSON and the first byte must be '{{'")]
    FirstByte,
    /// It is not JSON, or nested too deeply.
    #[error("This policy contains invalid Json")]
    Json,
    /// S3: it is longer than 20 KiB.
    #[error("Policy exceeds the maximum allowed document size.")]
    TooLarge,
    /// IAM: it has more characters than its quota, white space not counted.
    #[error("Cannot exceed quota for {quota}: {characters_max}")]
    Quota {
        /// IAM's name of the quota.
        quota: &'static str,
        /// The most that it may have.
        characters_max: usize,
    },
    /// S3: an element has the wrong type.
    #[error("Invalid policy syntax.")]
    InvalidSyntax,
    /// IAM: an element is unknown, missing, twice there, or of the wrong type.
    #[error("Syntax errors in policy.")]
    Syntax,
    /// S3: an element that there is not.
    #[error("Unknown field {0}")]
    UnknownField(String),
    /// An element twice, or with its negation.
    #[error("Statement/policy already has instance of {0}")]
    AlreadyHas(String),
    /// An element must be there.
    #[error("Missing required field {0}")]
    MissingField(&'static str),
    /// S3: a statement has no `Resource`.
    #[error("Statement is missing required element")]
    MissingElement,
    /// It has no statements.
    #[error("Could not parse the policy: Statement is empty!")]
    EmptyStatement,
    /// The version is neither 2008-10-17 nor 2012-10-17.
    #[error("The policy must contain a valid version string")]
    Version,
    /// IAM: the version is not 2012-10-17.
    #[error("Policy document must be version 2012-10-17 or greater.")]
    OldVersion,
    /// `Effect` is neither `Allow` nor `Deny`.
    #[error("Invalid effect: {0}")]
    Effect(String),
    /// A principal that can't be one.
    #[error("Invalid principal in policy")]
    Principal,
    /// A trust policy's principal is not an object.
    #[error("Principal must be a JSON object.")]
    PrincipalForm,
    /// `NotPrincipal` allows all but a few, which is never meant.
    #[error("Allow with NotPrincipal is not allowed.")]
    AllowNotPrincipal,
    /// A trust policy has a `NotPrincipal`.
    #[error("AssumeRole policy must not contain NotPrincipal field.")]
    TrustNotPrincipal,
    /// An identity's policy names a principal.
    #[error("Policy document should not specify a principal.")]
    PrincipalInIdentity,
    /// S3: an action that S3 does not have.
    #[error("Policy has invalid action")]
    Action,
    /// IAM: a statement has no actions.
    #[error("Policy statement must contain actions.")]
    NoActions,
    /// IAM: an action without a vendor.
    #[error("Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.")]
    NoVendor,
    /// IAM: a vendor that can't be one.
    #[error("Vendor {0} is not valid")]
    Vendor(String),
    /// IAM: an action with two colons.
    #[error("Actions/Condition can contain only one colon.")]
    Colons,
    /// A trust policy has an action of another kind.
    #[error("AssumeRole policy may only specify STS AssumeRole actions.")]
    TrustAction,
    /// S3: a resource that is not in this bucket.
    #[error("Policy has invalid resource")]
    Resource,
    /// IAM: a statement has no resources.
    #[error("Policy statement must contain resources.")]
    NoResources,
    /// IAM: a resource that is not an ARN.
    #[error("Resource {0} must be in ARN format or \"*\".")]
    ResourceForm(String),
    /// IAM: an ARN of another partition.
    #[error("Partition \"{partition}\" is not valid for resource \"{resource}\".")]
    Partition {
        /// The partition.
        partition: String,
        /// The resource, filled up to six parts.
        resource: String,
    },
    /// IAM: an ARN with a part too few.
    #[error("The policy failed legacy parsing")]
    LegacyParsing,
    /// IAM: an ARN whose service is missing or has wildcards.
    #[error("Resource vendor must be fully qualified and cannot contain regexes.")]
    ResourceVendor,
    /// IAM: an ARN of IAM's that names nothing that IAM has.
    #[error(
        "IAM resource path must either be \"*\" or start with user/, federated-user/, role/, group/, \
         instance-profile/, mfa/, server-certificate/, policy/, sms-mfa/, saml-provider/, oidc-provider/, report/, \
         access-report/."
    )]
    IamResource,
    /// A trust policy names resources.
    #[error("Has prohibited field Resource")]
    TrustResource,
    /// S3: no resource of the statement is of the kind that its action is done to.
    #[error("Action does not apply to any resource(s) in statement")]
    ActionDoesNotApply,
    /// S3: there is no such operator.
    #[error("Invalid Condition type : {0}")]
    ConditionType(String),
    /// S3: there is no such key.
    #[error("Policy has an invalid condition key")]
    ConditionKey,
    /// S3: the key says nothing of what the statement is about.
    #[error("Conditions do not apply to combination of actions and resources in statement")]
    ConditionDoesNotApply,
    /// S3: an address condition with something else.
    #[error("Invalid IP address in Conditions")]
    ConditionAddress,
    /// S3: a condition with a value that its operator can't compare with.
    #[error("Invalid value in Conditions")]
    ConditionValue,
    /// Two statements have the same `Sid`.
    #[error("Statement IDs (SID) in a single policy must be unique.")]
    SidTwice,
    /// The same, of a trust policy.
    #[error("The Statement Ids in the policy are not unique")]
    TrustSidTwice,
    /// IAM: a `Sid` with other characters than letters and digits.
    #[error(
        "Statement IDs (SID) must be alpha-numeric. Check that your input satisfies the regular expression [0-9A-Za-z]*"
    )]
    Sid,
}

impl PolicyError {
    /// Whether IAM says `LimitExceeded` of it, and not `MalformedPolicyDocument`. S3 says `MalformedPolicy` of all.
    pub const fn is_quota(&self) -> bool {
        matches!(self, Self::Quota { .. })
    }
}
