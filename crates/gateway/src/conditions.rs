//! Conditions and ranges as they are read off the wire, as `objects` takes them.

use objects::{ETagCondition, ReadConditions, Selection, WriteConditions};
use s3_wire::conditions::{self, ETagList};
use s3_wire::range::RangeSpec;

/// The conditions of a read or of a copy's source.
pub(crate) fn of_read(conditions: conditions::ReadConditions) -> ReadConditions {
    ReadConditions {
        if_match: conditions.if_match.map(tags),
        if_none_match: conditions.if_none_match.map(tags),
        if_modified_since: conditions.if_modified_since,
        if_unmodified_since: conditions.if_unmodified_since,
    }
}

/// The conditions of a write, decided at commit.
pub(crate) fn of_write(conditions: conditions::WriteConditions) -> WriteConditions {
    WriteConditions { if_match: conditions.if_match.map(tags), if_none_match: conditions.if_none_match.map(tags) }
}

fn tags(list: ETagList) -> ETagCondition {
    match list {
        ETagList::Any => ETagCondition::Any,
        ETagList::OneOf(tags) => ETagCondition::OneOf(tags),
    }
}

/// The bytes that a `Range` header names.
pub(crate) fn selection(range: RangeSpec) -> Selection {
    Selection::Range(match range {
        RangeSpec::Suffix(length) => objects::ByteRange::Last { length },
        RangeSpec::From { first, last: None } => objects::ByteRange::From { first },
        RangeSpec::From { first, last: Some(last) } => objects::ByteRange::FromTo { first, last },
    })
}
