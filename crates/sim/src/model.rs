//! What a subject of a history holds, and what operations do to it: the promise that histories are compared with.

use crate::history::{Listing, ListingId, MARKER, Operation, Outcome, Subject, ValueId, listing_id};

/// What a subject holds.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum State {
    /// A bucket that isn't there.
    NoBucket,
    /// No object.
    Empty,
    /// An object of these bytes.
    Holds(ValueId),
    /// Versions of a key.
    Versions(Versions),
}

/// All versions of a key, the oldest first, in a bucket whose versioning is enabled, or suspended.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Versions {
    enabled: bool,
    stack: Vec<Version>,
}

/// A version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Version {
    name: ValueId,
    is_marker: bool,
    /// Whether it is the `null` version.
    is_null: bool,
}

impl State {
    /// What there is in the beginning: the bucket of a key is always there, other buckets are not, and those with versions
    /// have them enabled.
    pub(crate) fn first(subject: &Subject) -> Self {
        match subject {
            Subject::Key(_) => Self::Empty,
            Subject::Bucket(_) => Self::NoBucket,
            Subject::Versions(_) => Self::Versions(Versions { enabled: true, stack: Vec::new() }),
        }
    }

    /// What becomes of it if the operation happens now and is answered so; `None`: it cannot be.
    pub(crate) fn step(&self, operation: Operation, outcome: Outcome) -> Option<Self> {
        match self {
            _ if outcome == Outcome::NoEffect => Some(self.clone()),
            Self::Versions(versions) => versions.step(operation, outcome).map(Self::Versions),
            state => state.of_one(operation, outcome),
        }
    }

    /// What an operation of unknown outcome does if it happens now; `None`: nothing, so it need not be tried.
    pub(crate) fn effect(&self, operation: Operation) -> Option<Self> {
        self.step(operation, Outcome::Done).filter(|after| after != self)
    }

    fn of_one(&self, operation: Operation, outcome: Outcome) -> Option<Self> {
        use Operation::{CompleteAgain, CreateBucket, Delete, DeleteBucket, DeleteOver, Get, Put, PutNew, PutOver};
        let there = *self != Self::NoBucket;
        let is_full = matches!(self, Self::Holds(_));
        let holds = |value| *self == Self::Holds(value);
        let stays = |may: bool| may.then(|| self.clone());
        match (operation, outcome) {
            (Put(value), Outcome::Done) => there.then_some(Self::Holds(value)),
            (PutNew(value), Outcome::Done) => (*self == Self::Empty).then_some(Self::Holds(value)),
            (PutNew(_), Outcome::PreconditionFailed) => stays(is_full),
            (PutOver(old, value), Outcome::Done) => holds(old).then_some(Self::Holds(value)),
            (DeleteOver(old), Outcome::Done) => holds(old).then_some(Self::Empty),
            (PutOver(old, _) | DeleteOver(old), Outcome::PreconditionFailed) => stays(is_full && !holds(old)),
            (PutOver(..) | DeleteOver(_) | Get, Outcome::Absent) => stays(*self == Self::Empty),
            (Get, Outcome::Found(value)) | (CompleteAgain(value), Outcome::Done) => stays(holds(value)),
            (CompleteAgain(value), Outcome::Absent) => stays(there && !holds(value)),
            (Delete, Outcome::Done) => there.then_some(Self::Empty),
            (CreateBucket, Outcome::Done) => (!there).then_some(Self::Empty),
            (CreateBucket, Outcome::BucketExists) => stays(there),
            (DeleteBucket, Outcome::Done) => (*self == Self::Empty).then_some(Self::NoBucket),
            (DeleteBucket, Outcome::BucketNotEmpty) => stays(is_full),
            (_, Outcome::NoBucket) => stays(!there),
            _ => None,
        }
    }
}

impl Versions {
    fn step(&self, operation: Operation, outcome: Outcome) -> Option<Self> {
        use Operation::{Get, GetVersion, ListVersions, Mark, Put, PutNew, PutOver, Remove, SetVersioning};
        let shown = self.stack.last().filter(|version| !version.is_marker).map(|version| version.name);
        let stays = |may: bool| may.then(|| self.clone());
        match (operation, outcome) {
            (Put(value), Outcome::Done) => Some(self.with(value, false)),
            (PutNew(value), Outcome::Done) => shown.is_none().then(|| self.with(value, false)),
            (PutNew(_), Outcome::PreconditionFailed) => stays(shown.is_some()),
            (PutOver(old, value), Outcome::Done) => (shown == Some(old)).then(|| self.with(value, false)),
            (PutOver(old, _), Outcome::PreconditionFailed) => stays(shown.is_some_and(|shown| shown != old)),
            (PutOver(..) | Get, Outcome::Absent) => stays(shown.is_none()),
            (Get, Outcome::Found(value)) => stays(shown == Some(value)),
            (Mark(marker), Outcome::Done) => Some(self.with(marker, true)),
            (GetVersion(value), Outcome::Found(found)) => stays(found == value && self.has(value)),
            (GetVersion(value), Outcome::Absent) => stays(!self.has(value)),
            (Remove(name), Outcome::Done) => {
                let stack = self.stack.iter().filter(|version| version.name != name).copied().collect();
                Some(Self { stack, ..self.clone() })
            }
            (ListVersions, Outcome::Versions(listing)) => stays(self.listing() == listing),
            (SetVersioning(enabled), Outcome::Done) => Some(Self { enabled, ..self.clone() }),
            _ => None,
        }
    }

    /// One more version; while versioning is suspended it takes the `null` version's place.
    fn with(&self, name: ValueId, is_marker: bool) -> Self {
        let is_null = !self.enabled;
        let replaced = |version: &&Version| !(is_null && version.is_null);
        let mut stack: Vec<Version> = self.stack.iter().filter(replaced).copied().collect();
        stack.push(Version { name, is_marker, is_null });
        Self { stack, ..self.clone() }
    }

    fn has(&self, name: ValueId) -> bool {
        self.stack.iter().any(|version| version.name == name)
    }

    fn listing(&self) -> ListingId {
        let name = |version: &Version| if version.is_marker { MARKER } else { version.name };
        listing_id(&self.stack.iter().rev().map(name).collect::<Listing>())
    }
}
