//! Conditions on reads and copy sources (RFC 9110, section 13; S3 API reference, GetObject and CopyObject).
//!
//! They are values that the caller fills in and that are checked against the version found. Conditions on writes are
//! `index::command::WriteConditions`: they are decided at commit, not here.

use types::{ETag, Timestamp};

use crate::ETagCondition;
use crate::error::Condition;

/// What a read demands of the version it finds. Times are compared in whole seconds.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ReadConditions {
    /// `If-Match`: one of these tags. It beats `if_unmodified_since`.
    pub if_match: Option<ETagCondition>,
    /// `If-None-Match`: none of these tags. It beats `if_modified_since`.
    pub if_none_match: Option<ETagCondition>,
    /// `If-Modified-Since`.
    pub if_modified_since: Option<Timestamp>,
    /// `If-Unmodified-Since`.
    pub if_unmodified_since: Option<Timestamp>,
}

/// What conditions say of a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// They hold.
    Holds,
    /// The client has it already: 304 for a read, 412 for a copy source.
    NotModified(Condition),
    /// 412.
    Failed(Condition),
}

impl ReadConditions {
    pub(crate) fn check(&self, etag: &ETag, modified: Timestamp) -> Verdict {
        if let Some(named) = &self.if_match {
            if !names(named, etag) {
                return Verdict::Failed(Condition::IfMatch);
            }
        } else if self.if_unmodified_since.is_some_and(|since| modified.seconds() > since.seconds()) {
            return Verdict::Failed(Condition::IfUnmodifiedSince);
        }
        if let Some(named) = &self.if_none_match {
            if names(named, etag) {
                return Verdict::NotModified(Condition::IfNoneMatch);
            }
        } else if self.if_modified_since.is_some_and(|since| modified.seconds() <= since.seconds()) {
            return Verdict::NotModified(Condition::IfModifiedSince);
        }
        Verdict::Holds
    }
}

fn names(condition: &ETagCondition, etag: &ETag) -> bool {
    match condition {
        ETagCondition::Any => true,
        ETagCondition::OneOf(tags) => tags.contains(etag),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TAG: ETag = ETag::of_body([1; 16]);
    const OTHER: ETag = ETag::of_body([2; 16]);
    const AT: Timestamp = Timestamp(5_500_000);

    fn one(tag: ETag) -> Option<ETagCondition> {
        Some(ETagCondition::OneOf(vec![tag]))
    }

    #[test]
    fn if_match_beats_if_unmodified_since() {
        let earlier = Some(Timestamp::from_seconds(1));
        let conditions = ReadConditions { if_match: one(TAG), if_unmodified_since: earlier, ..Default::default() };
        assert_eq!(conditions.check(&TAG, AT), Verdict::Holds);
        assert_eq!(conditions.check(&OTHER, AT), Verdict::Failed(Condition::IfMatch));
        let conditions = ReadConditions { if_unmodified_since: earlier, ..Default::default() };
        assert_eq!(conditions.check(&TAG, AT), Verdict::Failed(Condition::IfUnmodifiedSince));
    }

    #[test]
    fn if_none_match_beats_if_modified_since() {
        let later = Some(Timestamp::from_seconds(9));
        let conditions = ReadConditions { if_none_match: one(OTHER), if_modified_since: later, ..Default::default() };
        assert_eq!(conditions.check(&TAG, AT), Verdict::Holds);
        assert_eq!(conditions.check(&OTHER, AT), Verdict::NotModified(Condition::IfNoneMatch));
        let conditions = ReadConditions { if_modified_since: later, ..Default::default() };
        assert_eq!(conditions.check(&TAG, AT), Verdict::NotModified(Condition::IfModifiedSince));
        let any = ReadConditions { if_none_match: Some(ETagCondition::Any), ..Default::default() };
        assert_eq!(any.check(&TAG, AT), Verdict::NotModified(Condition::IfNoneMatch));
    }

    #[test]
    fn times_are_compared_in_whole_seconds() {
        let same_second = Some(Timestamp::from_seconds(5));
        let modified = ReadConditions { if_modified_since: same_second, ..Default::default() };
        assert_eq!(modified.check(&TAG, AT), Verdict::NotModified(Condition::IfModifiedSince));
        let unmodified = ReadConditions { if_unmodified_since: same_second, ..Default::default() };
        assert_eq!(unmodified.check(&TAG, AT), Verdict::Holds);
    }
}
