//! Commands: what changes the index.

use serde::{Deserialize, Serialize};
use types::{
    BucketEpoch, BucketId, CommitStamp, ObjectKey, RangeDescriptor, RangeId, RequestId, RequestNumber, SplitEpoch,
    TicketId, UploadId, VersionId,
};

mod bucket;
mod document;
mod identity;
mod lifecycle;
mod object;
mod range;
mod system;
mod upload;

pub use bucket::{BucketConfig, BucketRecord, BucketRecordState, BucketRow};
pub use document::{BucketDocument, DOCUMENT_BYTES_MAX, DocumentKind, SetBucketDocument};
pub use identity::{
    ACCESS_KEYS_MAX, ATTACHED_MAX, AccessKeyRow, AccountRow, BUILT_IN_POLICIES, GROUPS_MAX, IDENTITY_NAME_BYTES_MAX,
    IdentityChange, IdentityKind, IdentityName, IdentityRefusal, IdentityRow, IdentityThing, POLICIES_MAX,
    POLICY_BYTES_MAX, POLICY_VERSIONS_MAX, PolicyRow, PolicyVersionRow, RoleRow, SealedSecret,
};
pub use lifecycle::{
    Expire, ExpireAction, ExpireKey, ExpireKind, Expired, FollowLifecycle, FollowedLifecycle, LifecyclePass,
    LifecycleTimes,
};
pub use object::{
    DeleteObject, ETagCondition, LockChange, NewVersion, PutObject, ReplacePart, SetObjectLock, SetObjectTags,
    WhichVersion, WriteConditions,
};
pub use range::SplitRange;
pub use system::{FormCluster, GatewayRow, Rebalancing, TicketRow};
pub use upload::{CompletePart, CompleteUpload, CreateUpload, PutPart, UploadChecksum, UploadManifest};

/// A command and the name under which it takes effect at most once.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Command {
    /// `None` only for commands that are idempotent by themselves and come before any ticket.
    pub request: Option<RequestId>,
    /// All commands of the ticket up to this number have been answered to their sender: their kept answers may go.
    pub answered: RequestNumber,
    /// What to do.
    pub body: CommandBody,
}

/// The bucket that a command is about, and the epoch of its row that the command was decided under. `apply` refuses
/// another one with [`Refusal::StaleBucket`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct BucketAt {
    /// The bucket.
    pub id: BucketId,
    /// The epoch.
    pub epoch: BucketEpoch,
}

/// What a command does.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum CommandBody {
    // The system range.
    /// Writes the first rows of a cluster; answers [`Answer::Done`], also when they stand already (they then stay).
    Form(Box<FormCluster>),
    /// Adds or replaces a credential. The root account has one: a new one ends the former.
    PutCredential(types::Credential),
    /// Replaces the layout if it stands at `expected`; else [`Refusal::StaleLayout`]. `layout.epoch` is `expected` + 1.
    ChangeLayout {
        /// The epoch that the change was planned from.
        expected: types::LayoutEpoch,
        /// The layout from now on.
        layout: types::Layout,
    },
    /// Raises the feature level by one, to this: [`Answer::Done`], also where it stands there or above already; else
    /// [`Refusal::FeatureLevel`]. A replica whose build doesn't know the level stops before it.
    RaiseFeatureLevel(types::FeatureLevel),
    /// Grants the next ticket: [`Answer::Ticket`]. Repeated with the same nonce, the same ticket.
    GrantTicket {
        /// Who asks, as a label.
        holder: types::NodeId,
        /// Names the wish.
        nonce: [u8; 16],
    },
    /// Keeps a ticket alive; [`Refusal::BelowFloor`] when it is over.
    RenewTicket(TicketId),
    /// Ends a ticket.
    EndTicket(TicketId),
    /// Ends the tickets not granted or renewed within `idle_us_max` microseconds before the command's stamp; answers
    /// [`Answer::Floor`]: the lowest live ticket, or the next to be granted.
    ExpireTickets {
        /// Microseconds.
        idle_us_max: u64,
    },
    /// Takes a bucket name: [`Answer::BucketReserved`], or [`Refusal::BucketExists`] with the record. Repeated with
    /// the same token, the same answer. The bucket is not visible until [`CommandBody::PublishBucket`].
    ReserveBucket {
        /// The record to be; its `id` and `state` are decided by `apply`.
        record: Box<BucketRecord>,
        /// Names the wish.
        token: [u8; 16],
    },
    /// Makes a reserved bucket visible.
    PublishBucket {
        /// The bucket.
        id: BucketId,
        /// Of the reservation.
        token: [u8; 16],
    },
    /// Notes that a bucket is being deleted.
    BeginBucketDeletion {
        /// The bucket.
        id: BucketId,
        /// Names the wish.
        token: [u8; 16],
    },
    /// Removes the record of a bucket being deleted, or never published, under this token; the name is free again.
    FinishBucketDeletion {
        /// The bucket.
        id: BucketId,
        /// Of [`CommandBody::BeginBucketDeletion`] or [`CommandBody::ReserveBucket`].
        token: [u8; 16],
    },
    /// Makes a bucket being deleted visible again.
    UndoBucketDeletion {
        /// The bucket.
        id: BucketId,
        /// Of [`CommandBody::BeginBucketDeletion`].
        token: [u8; 16],
    },

    // Every data range.
    /// Refuses, from now on, commands of tickets below `floor` and runs of such tickets that no row names yet.
    RaiseFloor {
        /// Never lowered.
        floor: TicketId,
    },
    /// Makes a bucket's row at epoch 1; an existing one stays. Answers [`Answer::BucketRow`].
    CreateBucketRow {
        /// The bucket.
        id: BucketId,
        /// What it is made with.
        config: BucketConfig,
    },
    /// Changes a bucket's row: epoch + 1. Answers [`Answer::BucketRow`].
    ChangeBucketRow {
        /// The bucket, at the epoch that the change was planned from.
        bucket: BucketAt,
        /// What it is from now on.
        config: BucketConfig,
    },
    /// Refuses writes to the bucket until it is unfenced; answers [`Answer::Fenced`].
    FenceBucket {
        /// The bucket.
        id: BucketId,
    },
    /// Takes writes again, at epoch + 1.
    UnfenceBucket {
        /// The bucket.
        id: BucketId,
    },
    /// Removes the row of a fenced, empty bucket (an absent one is fine).
    DropBucketRow {
        /// The bucket.
        id: BucketId,
    },
    /// Makes a version visible: [`Answer::Put`].
    PutObject(Box<PutObject>),
    /// Deletes a version or adds a delete marker: [`Answer::Deleted`].
    DeleteObject(Box<DeleteObject>),
    /// Begins an upload.
    CreateUpload(Box<CreateUpload>),
    /// Stores a part, replacing what had its number: [`Answer::Done`].
    PutPart(Box<PutPart>),
    /// Makes an upload a version: [`Answer::Put`].
    CompleteUpload(Box<CompleteUpload>),
    /// Ends an upload; its runs become garbage. [`Refusal::NoSuchUpload`].
    AbortUpload {
        /// The bucket.
        bucket: BucketAt,
        /// The key.
        key: types::ObjectKey,
        /// The upload.
        upload: UploadId,
    },
    /// Puts a part's bytes elsewhere, content unchanged (re-striping): [`Answer::Done`], or [`Refusal::PartChanged`]
    /// when it isn't there as expected any more (the new runs are then the sender's to collect).
    ReplacePart(Box<ReplacePart>),
    /// Removes garbage rows whose shards have been freed on every slot.
    RemoveGarbage {
        /// The rows' keys, as [`crate::query::GarbageRow`] gave them.
        rows: Vec<Vec<u8>>,
    },
    /// Queues runs that no row names for freeing after the grace time: what a writer gave up.
    DiscardRuns {
        /// The runs.
        runs: Vec<types::Run>,
    },

    // The system range again: what is added later stands last, for commands are kept by their number.
    /// Adds a gateway's credential, or replaces the one of its id.
    PutGateway(Box<GatewayRow>),
    /// Revokes a gateway's credential; one that isn't there is fine.
    RemoveGateway(types::GatewayId),
    /// Notes which profile objects get that name no storage class.
    SetWantedProfile {
        /// The profile.
        profile: types::Profile,
        /// What was noted before stays.
        unless_set: bool,
    },
    /// Notes which disks are down because their node is silent, and may be taken up again once it is back; others that
    /// are down have failed.
    NoteAway {
        /// These are.
        away: Vec<types::DiskId>,
        /// These are not, or not any more.
        back: Vec<types::DiskId>,
    },
    /// Notes whether slots are to be moved so that disks hold what is in proportion to their size.
    SetRebalancing(Rebalancing),
    /// Gives out the id of a range that is to be made: [`Answer::Range`]. No id is given twice.
    AllotRange,
    /// Notes which ranges have which places: what is newer than what stands.
    NoteRanges {
        /// The ranges.
        ranges: Vec<RangeDescriptor>,
    },

    // A data range again.
    /// Splits the range in two: [`Answer::Split`]. No row of an object moves.
    SplitRange(Box<SplitRange>),
    /// A command that goes to several ranges, or tells of rows of many keys, as one of them takes it: only at this
    /// epoch, for at another it has other places. Else [`Refusal::NotInRange`].
    Within {
        /// The epoch of the range's interval.
        epoch: SplitEpoch,
        /// The command.
        #[serde(deserialize_with = "crate::nesting::only_level")]
        body: Box<CommandBody>,
    },
    /// Has a bucket's row follow that of the range in which the bucket begins: its settings, and at least its epoch. A
    /// row that is ahead, or isn't there, stays. Answers [`Answer::BucketRow`].
    AdoptBucketRow {
        /// The row of the range in which the bucket begins.
        row: BucketRow,
    },

    // The system range again.
    /// Puts one of a bucket's documents in place of what there is of its kind, or removes that: [`Answer::Done`].
    /// Whoever sets it then raises the epoch of the bucket's rows, so that all who remember the former one learn it.
    SetBucketDocument(Box<SetBucketDocument>),

    // A data range again.
    /// Puts tags in place of those of a version: [`Answer::Tagged`]. Nothing else of the version changes.
    SetObjectTags(Box<SetObjectTags>),

    // The system range again.
    /// Changes accounts, users, groups, roles, access keys or policies: [`Answer::Done`], [`Answer::PolicyVersion`] or
    /// [`Refusal::Identity`].
    ChangeIdentity(Box<IdentityChange>),

    // A data range again.
    /// Sets a version's retention or legal hold: [`Answer::LockSet`]. Nothing else of the version changes.
    SetObjectLock(Box<SetObjectLock>),
    /// Has the range note when keys of a bucket with lifecycle rules are to be looked at: [`Answer::Done`].
    FollowLifecycle(Box<FollowLifecycle>),
    /// Does what lifecycle rules say of keys: [`Answer::Expired`].
    Expire(Box<Expire>),
    /// Removes notes of keys whose bucket has no rules any more, or that another range has.
    DropDue {
        /// The rows' keys, as [`crate::query::DueRow`] gave them.
        rows: Vec<Vec<u8>>,
    },
    /// Writes a row that means nothing: what a build of the next level can do, for its test.
    #[cfg(feature = "next-level")]
    Probe,
}

impl CommandBody {
    /// Whether the command goes to the system range; all others go to the data range of their bucket and key, those
    /// that name no key ([`CommandBody::RaiseFloor`] and the bucket rows) to every data range, and
    /// [`CommandBody::RemoveGarbage`] and [`CommandBody::DiscardRuns`] to the one that the rows are of.
    pub const fn is_of_system_range(&self) -> bool {
        #[cfg(feature = "next-level")]
        if matches!(self, Self::Probe) {
            return true;
        }
        matches!(
            self,
            Self::Form(_)
                | Self::PutCredential(_)
                | Self::ChangeLayout { .. }
                | Self::RaiseFeatureLevel(_)
                | Self::GrantTicket { .. }
                | Self::RenewTicket(_)
                | Self::EndTicket(_)
                | Self::ExpireTickets { .. }
                | Self::ReserveBucket { .. }
                | Self::PublishBucket { .. }
                | Self::BeginBucketDeletion { .. }
                | Self::FinishBucketDeletion { .. }
                | Self::UndoBucketDeletion { .. }
                | Self::PutGateway(_)
                | Self::RemoveGateway(_)
                | Self::SetWantedProfile { .. }
                | Self::NoteAway { .. }
                | Self::SetRebalancing(_)
                | Self::AllotRange
                | Self::NoteRanges { .. }
                | Self::SetBucketDocument(_)
                | Self::ChangeIdentity(_)
        )
    }

    /// The key that the command is about; `None` for one that is about a bucket, about many keys, or about none.
    pub fn key(&self) -> Option<(BucketId, &ObjectKey)> {
        match self {
            Self::PutObject(put) => Some((put.bucket.id, &put.key)),
            Self::DeleteObject(delete) => Some((delete.bucket.id, &delete.key)),
            Self::CreateUpload(create) => Some((create.bucket.id, &create.key)),
            Self::PutPart(put) => Some((put.bucket.id, &put.key)),
            Self::CompleteUpload(complete) => Some((complete.bucket.id, &complete.key)),
            Self::AbortUpload { bucket, key, .. } => Some((bucket.id, key)),
            Self::ReplacePart(replace) => Some((replace.bucket, &replace.key)),
            Self::SetObjectTags(set) => Some((set.bucket.id, &set.key)),
            Self::SetObjectLock(set) => Some((set.bucket.id, &set.key)),
            _ => None,
        }
    }

    /// The command itself, where it is one [`CommandBody::Within`] a range.
    pub fn bare(&self) -> &Self {
        if let Self::Within { body, .. } = self { body.bare() } else { self }
    }
}

/// What `apply` answered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Answer {
    /// Done, nothing to say.
    Done,
    /// Not done, by the rules; nothing changed.
    Refused(Refusal),
    /// The ticket granted.
    Ticket(TicketId),
    /// The floor.
    Floor(TicketId),
    /// The name is taken for this bucket.
    BucketReserved(BucketId),
    /// The row as it is now.
    BucketRow(BucketRow),
    /// The bucket takes no writes now.
    Fenced {
        /// Whether it has no version, no marker and no upload.
        empty: bool,
        /// The row's epoch now.
        epoch: BucketEpoch,
    },
    /// A version is visible.
    Put {
        /// Its id.
        id: VersionId,
        /// Whether it is the `null` version.
        null: bool,
    },
    /// What a delete did.
    Deleted {
        /// The delete marker that it added, or that it removed.
        marker: bool,
        /// The id of the marker added or of the version removed, and whether that is the `null` version; `None` when
        /// there was nothing to do.
        version: Option<(VersionId, bool)>,
    },
    /// An upload began.
    UploadCreated {
        /// When.
        stamp: CommitStamp,
    },
    /// The id given out.
    Range(RangeId),
    /// The two ranges that a range was split into: itself, with what is left to it, and the new one.
    Split(Box<[RangeDescriptor; 2]>),
    /// A version has other tags.
    Tagged {
        /// Its id.
        id: VersionId,
        /// Whether it is the `null` version.
        null: bool,
    },
    /// The number that a version of a managed policy was given.
    PolicyVersion(u32),
    /// What holds a version is set.
    LockSet {
        /// Its id.
        id: VersionId,
        /// Whether it is the `null` version.
        null: bool,
    },
    /// What was done of what lifecycle rules say.
    Expired(Expired),
}

/// Why `apply` did not do it. Each is answered to the client in its own words.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Refusal {
    /// The ticket, or a run's ticket, is below the floor: take a new one and write again.
    BelowFloor,
    /// The bucket's row stands at another epoch, is fenced or is gone: read it again.
    StaleBucket {
        /// The row as it is, if there is one.
        row: Option<BucketRow>,
    },
    /// The layout stands at another epoch.
    StaleLayout,
    /// No bucket of this name or id.
    NoSuchBucket,
    /// The name is taken.
    BucketExists(Box<BucketRecord>),
    /// Another deletion or creation of the bucket is under way, or the token is not its own.
    BucketBusy,
    /// The bucket is not empty.
    BucketNotEmpty,
    /// A precondition does not hold.
    PreconditionFailed,
    /// If-Match named an object that isn't there.
    NoSuchKey,
    /// No such version.
    NoSuchVersion,
    /// No such upload.
    NoSuchUpload,
    /// A part that Complete or a replacement names isn't there as named.
    PartChanged,
    /// The version is held by object lock.
    Locked,
    /// The command is not of this range: a system command in a data range, or the other way round. Nothing that finds
    /// ranges by [`CommandBody::is_of_system_range`] gets it.
    WrongRange,
    /// The command is above the cluster's feature level, or would raise it by more than one.
    FeatureLevel {
        /// The cluster's level.
        level: types::FeatureLevel,
    },
    /// The range does not have the key, or does not stand at the epoch that the command names. Nothing was kept of the
    /// command: it may be sent to another range under the same request id.
    NotInRange(Box<RangeDescriptor>),
    /// The version is a delete marker, of which nothing can be set.
    IsMarker {
        /// Its id.
        id: VersionId,
        /// Whether it is the `null` version.
        null: bool,
    },
    /// A document has more than [`DOCUMENT_BYTES_MAX`].
    DocumentTooLong,
    /// A change of identities.
    Identity(IdentityRefusal),
    /// The bucket has no object lock.
    NoObjectLock,
    /// A retention that is to be set is over already, by the command's stamp.
    RetainUntilPassed,
}
