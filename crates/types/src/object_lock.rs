//! Object lock: what keeps a version from being deleted, and what a bucket's new versions are given.
//!
//! Whether a bucket has it, and a version's legal hold, were once a `bool` each. Both are enums whose first two values
//! are stored as that `bool` was; the third came with feature level 3.

use serde::{Deserialize, Serialize};

use crate::Timestamp;

/// Until when a version is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retention {
    /// Who may lift it.
    pub mode: RetentionMode,
    /// Until when.
    pub until: Timestamp,
}

/// Object lock's modes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum RetentionMode {
    /// Who has the right may bypass it.
    Governance,
    /// Nobody may shorten it.
    Compliance,
}

impl RetentionMode {
    /// As S3 names it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Governance => "GOVERNANCE",
            Self::Compliance => "COMPLIANCE",
        }
    }

    /// The mode of this name.
    pub fn named(name: &str) -> Option<Self> {
        [Self::Governance, Self::Compliance].into_iter().find(|mode| mode.name() == name)
    }
}

/// A version's legal hold: it has no end, and anybody with the right may lift it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum LegalHold {
    /// Never said.
    #[default]
    Unset,
    /// The version is held.
    On,
    /// Said to be off.
    Off,
}

impl LegalHold {
    /// Whether the version is held.
    pub const fn is_on(self) -> bool {
        matches!(self, Self::On)
    }

    /// As S3 names it; `None` where it was never said.
    pub const fn name(self) -> Option<&'static str> {
        match self {
            Self::Unset => None,
            Self::On => Some("ON"),
            Self::Off => Some("OFF"),
        }
    }

    /// The one of this name.
    pub fn named(name: &str) -> Option<Self> {
        [Self::On, Self::Off].into_iter().find(|hold| hold.name() == Some(name))
    }
}

/// Whether a bucket has object lock, which never goes off again, and what new versions are given.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ObjectLock {
    /// Nothing is held.
    #[default]
    Off,
    /// Versions may be held.
    On,
    /// And those that come without a retention of their own are given one.
    Default(DefaultRetention),
}

impl ObjectLock {
    /// Whether versions may be held.
    pub const fn is_on(self) -> bool {
        !matches!(self, Self::Off)
    }

    /// What a version gets that came at `at` without a retention: until a whole second, for that is what clients are
    /// shown and may set again without shortening anything.
    pub fn retention_at(self, at: Timestamp) -> Option<Retention> {
        match self {
            Self::Off | Self::On => None,
            Self::Default(DefaultRetention { mode, period }) => {
                let until = Timestamp(at.0.saturating_add(period.microseconds())).rounded_up();
                Some(Retention { mode, until })
            }
        }
    }
}

/// The retention of versions that come without one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct DefaultRetention {
    /// Who may lift it.
    pub mode: RetentionMode,
    /// How long, from the version's commit on.
    pub period: RetentionPeriod,
}

/// How long a default retention is, in the unit that it was given in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum RetentionPeriod {
    /// Days of 24 hours.
    Days(u32),
    /// Years of 365 days, as S3 counts them.
    Years(u32),
}

impl RetentionPeriod {
    /// The longest in days: a hundred years.
    pub const DAYS_MAX: u32 = 36_500;
    /// The longest in years.
    pub const YEARS_MAX: u32 = 100;

    /// In days.
    pub const fn days(self) -> u64 {
        match self {
            Self::Days(days) => days as u64,
            Self::Years(years) => years as u64 * 365,
        }
    }

    const fn microseconds(self) -> u64 {
        self.days().saturating_mul(24 * 60 * 60 * 1_000_000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_default_retention_counts_days_and_years_of_365() {
        let of = |mode, period| ObjectLock::Default(DefaultRetention { mode, period });
        let at = Timestamp::from_seconds(1_000);
        let day = of(RetentionMode::Governance, RetentionPeriod::Days(1)).retention_at(at).expect("given");
        assert_eq!(day, Retention { mode: RetentionMode::Governance, until: Timestamp::from_seconds(1_000 + 86_400) });
        let years = of(RetentionMode::Compliance, RetentionPeriod::Years(2)).retention_at(at).expect("given");
        assert_eq!(years.until, Timestamp::from_seconds(1_000 + 730 * 86_400));
        assert_eq!(years.mode, RetentionMode::Compliance);
        for none in [ObjectLock::Off, ObjectLock::On] {
            assert_eq!(none.retention_at(at), None);
        }
        let longest = of(RetentionMode::Compliance, RetentionPeriod::Days(u32::MAX));
        assert!(
            longest.retention_at(Timestamp(u64::MAX - 1)).expect("given").until.0 > u64::MAX - 1_000_000,
            "no wrap"
        );
        let within = of(RetentionMode::Governance, RetentionPeriod::Days(1)).retention_at(Timestamp(1)).expect("given");
        assert_eq!(within.until, Timestamp::from_seconds(86_401), "to the second, and never shorter");
    }
}
