//! What lifecycle rules say of a version or an upload: what is to be done with it by a moment, and when next.
//!
//! Days are counted from the midnight that follows the version's making, or its successor's (S3 User Guide, "Lifecycle
//! rules: Based on an object's age"). Of several rules the one that is due first expires a version; what expires is not
//! moved any more.

#[cfg(test)]
mod tests;

use http::HeaderValue;
use types::{StorageClass, Timestamp};

use crate::bucket_lifecycle::{Expiration, Filter, LifecycleConfiguration, LifecycleRule, MinimumSize, TransitionTime};
use crate::percent::encode;
use crate::time::http_date;

/// Below this an object is not moved, where all classes are said to have AWS's least size.
const MINIMUM_BYTES: u64 = 128 << 10;

const WHOLE_DAY_US: u64 = 86_400_000_000;

/// How long a day is: 24 hours, but where suites wait for days. A shorter day has no midnight: it begins whenever
/// something is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Day {
    us: u64,
}

impl Default for Day {
    fn default() -> Self {
        Self { us: WHOLE_DAY_US }
    }
}

impl Day {
    /// A day of so many microseconds; at least one.
    pub const fn of_us(us: u64) -> Self {
        Self { us: if us == 0 { 1 } else { us } }
    }

    /// Its length in microseconds.
    pub const fn us(self) -> u64 {
        self.us
    }

    /// What the moments at which something is due are multiples of.
    pub const fn round_us(self) -> u64 {
        if self.us == WHOLE_DAY_US { WHOLE_DAY_US } else { 1 }
    }

    /// So many days after the midnight that follows `from`.
    pub const fn after(self, from: Timestamp, days: u32) -> Timestamp {
        let round = self.round_us();
        let midnight = (from.0 / round).saturating_add(1).saturating_mul(round);
        Timestamp(midnight.saturating_add(self.us.saturating_mul(days as u64)))
    }
}

/// A version as rules see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VersionFacts<'a> {
    /// Its key.
    pub key: &'a [u8],
    /// When it was made.
    pub made: Timestamp,
    /// When a newer one came; `None` for the newest.
    pub superseded: Option<Timestamp>,
    /// How many versions of the key that are not the newest are newer than this one.
    pub newer_noncurrent: u32,
    /// Whether it is a delete marker.
    pub marker: bool,
    /// Whether the key has no other version.
    pub alone: bool,
    /// Its plain bytes.
    pub plain_bytes: u64,
    /// Its tags.
    pub tags: &'a [(String, String)],
    /// Its storage class.
    pub class: &'a StorageClass,
}

/// What is to be done with a version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Due {
    /// It expires: as by a client's DELETE for the newest, for good for others and for markers.
    Expire {
        /// Since when.
        since: Timestamp,
    },
    /// It goes to another storage class.
    Move {
        /// Since when.
        since: Timestamp,
        /// Which.
        class: StorageClass,
    },
}

/// What rules say of a version at a moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Judgement {
    /// What is to be done now.
    pub due: Option<Due>,
    /// When something else will be to be done, if nothing changes until then.
    pub next: Option<Timestamp>,
}

/// When a version expires, and by which rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expiry<'r> {
    /// When.
    pub at: Timestamp,
    /// The rule's id.
    pub rule: &'r str,
}

impl Filter {
    /// Whether all that it names holds.
    pub fn matches(&self, key: &[u8], tags: &[(String, String)], plain_bytes: u64) -> bool {
        self.prefix.as_ref().is_none_or(|prefix| key.starts_with(prefix.as_bytes()))
            && self.tags.iter().all(|wanted| tags.contains(wanted))
            && self.larger_than.is_none_or(|bytes| plain_bytes > bytes)
            && self.smaller_than.is_none_or(|bytes| plain_bytes < bytes)
    }

    /// The same of what has neither tags nor size: a marker, an upload.
    fn matches_bare(&self, key: &[u8]) -> bool {
        let asks_for_more = !self.tags.is_empty() || self.larger_than.is_some() || self.smaller_than.is_some();
        !asks_for_more && self.matches(key, &[], 0)
    }
}

impl LifecycleRule {
    /// When the rule expires the version, if it does.
    fn expires(&self, version: &VersionFacts<'_>, day: Day) -> Option<Timestamp> {
        let fits = if version.marker {
            self.filter.matches_bare(version.key)
        } else {
            self.filter.matches(version.key, version.tags, version.plain_bytes)
        };
        if !self.enabled || !fits {
            return None;
        }
        if let Some(superseded) = version.superseded {
            let expiration = self.noncurrent_expiration?;
            let stays = version.newer_noncurrent < expiration.newer.unwrap_or(0);
            return (!stays).then(|| day.after(superseded, expiration.days));
        }
        match self.expiration? {
            // Of markers only one that is all that is left goes.
            _ if version.marker && !version.alone => None,
            Expiration::Days(days) => Some(day.after(version.made, days)),
            Expiration::Date(date) => Some(date),
            Expiration::ExpiredMarkers(removed) => (removed && version.marker).then_some(version.made),
        }
    }

    /// The moments at which the rule moves the version, and where to.
    fn moves<'r>(
        &'r self,
        version: &VersionFacts<'_>,
        day: Day,
        minimum: MinimumSize,
    ) -> Vec<(Timestamp, &'r StorageClass)> {
        let has_bounds = self.filter.larger_than.is_some() || self.filter.smaller_than.is_some();
        let too_small =
            minimum == MinimumSize::AllStorageClasses128K && !has_bounds && version.plain_bytes < MINIMUM_BYTES;
        let fits = self.filter.matches(version.key, version.tags, version.plain_bytes);
        if !self.enabled || version.marker || too_small || !fits {
            return Vec::new();
        }
        if let Some(superseded) = version.superseded {
            let stays = |newer: Option<u32>| version.newer_noncurrent < newer.unwrap_or(0);
            let due = self.noncurrent_transitions.iter().filter(|transition| !stays(transition.newer));
            return due.map(|transition| (day.after(superseded, transition.days), &transition.class)).collect();
        }
        let at = |time: TransitionTime| match time {
            TransitionTime::Days(days) => day.after(version.made, days),
            TransitionTime::Date(date) => date,
        };
        self.transitions.iter().map(|transition| (at(transition.at), &transition.class)).collect()
    }
}

impl LifecycleConfiguration {
    /// When the version expires, by the rule that is due first.
    pub fn expiry(&self, version: &VersionFacts<'_>, day: Day) -> Option<Expiry<'_>> {
        let of_rule = |rule: &LifecycleRule| rule.expires(version, day);
        let expiries = self.rules.iter().filter_map(|rule| Some(Expiry { at: of_rule(rule)?, rule: &rule.id }));
        expiries.min_by_key(|expiry| expiry.at)
    }

    /// When an upload that began then is ended, by the rule that is due first.
    pub fn abort(&self, key: &[u8], began: Timestamp, day: Day) -> Option<Expiry<'_>> {
        let rules = self.rules.iter().filter(|rule| rule.enabled && rule.filter.matches_bare(key));
        let aborts = rules
            .filter_map(|rule| Some(Expiry { at: day.after(began, rule.abort_uploads_after_days?), rule: &rule.id }));
        aborts.min_by_key(|abort| abort.at)
    }

    /// What is to be done with a version at a moment, and when next.
    pub fn judge(&self, version: &VersionFacts<'_>, now: Timestamp, day: Day) -> Judgement {
        let expires = self.expiry(version, day).map(|expiry| expiry.at);
        if let Some(since) = expires.filter(|at| *at <= now) {
            return Judgement { due: Some(Due::Expire { since }), next: None };
        }
        let mut moves: Vec<_> =
            self.rules.iter().flat_map(|rule| rule.moves(version, day, self.minimum_size)).collect();
        moves.sort_by_key(|(at, _)| *at);
        let passed = moves.iter().take_while(|(at, _)| *at <= now).count();
        let next = moves.get(passed).map(|(at, _)| *at);
        let due = moves[..passed].last().filter(|(_, class)| *class != version.class).and_then(|(since, class)| {
            // What somebody put into a class of their own choice stays there, until it has been moved by a rule.
            let is_on_the_way = *version.class == StorageClass::default()
                || moves[..passed - 1].iter().any(|(_, earlier)| *earlier == version.class);
            is_on_the_way.then(|| Due::Move { since: *since, class: (*class).clone() })
        });
        Judgement { due, next: [expires, next].into_iter().flatten().min() }
    }

    /// How soon after a change something may be to be done with a key, in days; `None`: whatever is done, never.
    ///
    /// A rule that may be due at once after a change has no days.
    pub fn soonest_days(&self, now: Timestamp) -> Option<u32> {
        let of_date = |date: Timestamp| if date <= now { Some(0) } else { None };
        let of_rule = |rule: &LifecycleRule| {
            let expiration = match rule.expiration {
                Some(Expiration::Days(days)) => Some(days),
                Some(Expiration::Date(date)) => of_date(date),
                Some(Expiration::ExpiredMarkers(true)) => Some(0),
                Some(Expiration::ExpiredMarkers(false)) | None => None,
            };
            // A version that comes pushes another one out at once.
            let counted = |days: u32, newer: Option<u32>| if newer.is_some() { 0 } else { days };
            let noncurrent = rule.noncurrent_expiration.map(|rule| counted(rule.days, rule.newer));
            let moves = rule.transitions.iter().filter_map(|transition| match transition.at {
                TransitionTime::Days(days) => Some(days),
                TransitionTime::Date(date) => of_date(date),
            });
            let noncurrent_moves = rule.noncurrent_transitions.iter().map(|rule| counted(rule.days, rule.newer));
            let all = moves.chain(noncurrent_moves).chain(expiration).chain(noncurrent);
            all.chain(rule.abort_uploads_after_days).min()
        };
        self.rules.iter().filter(|rule| rule.enabled).filter_map(of_rule).min()
    }

    /// The first date still to come.
    pub fn next_date(&self, now: Timestamp) -> Option<Timestamp> {
        let of_rule = |rule: &LifecycleRule| {
            let expires = match rule.expiration {
                Some(Expiration::Date(date)) => Some(date),
                _ => None,
            };
            let moves = rule.transitions.iter().filter_map(|transition| match transition.at {
                TransitionTime::Date(date) => Some(date),
                TransitionTime::Days(_) => None,
            });
            moves.chain(expires).collect::<Vec<_>>()
        };
        let dates = self.rules.iter().filter(|rule| rule.enabled).flat_map(of_rule);
        dates.filter(|date| *date > now).min()
    }
}

impl Expiry<'_> {
    /// The value of `x-amz-expiration`.
    pub fn header(&self) -> HeaderValue {
        let date = http_date(self.at);
        let date = date.to_str().expect("an HTTP date is ASCII");
        let text = format!("expiry-date=\"{date}\", rule-id=\"{}\"", encode(self.rule.as_bytes(), false));
        HeaderValue::from_str(&text).expect("what was escaped is ASCII")
    }

    /// The values of `x-amz-abort-date` and `x-amz-abort-rule-id`.
    pub fn abort_headers(&self) -> [HeaderValue; 2] {
        let rule = HeaderValue::from_str(&encode(self.rule.as_bytes(), false)).expect("what was escaped is ASCII");
        [http_date(self.at), rule]
    }
}
