//! Rules out of XML, and what no rule can say.

use time::{Date, Month, PrimitiveDateTime, Time};
use types::{StorageClass, Timestamp};

use super::write::MINIMUM_SIZE;
use super::{
    Expiration, Filter, FilterForm, LIFECYCLE_RULES_MAX, LifecycleConfiguration, LifecycleRule, MinimumSize,
    NoncurrentExpiration, NoncurrentTransition, Transition, TransitionTime,
};
use crate::error::{ErrorCode, S3Error};
use crate::operation::XML_BYTES_MAX;
use crate::xml::{Element, malformed};

const ID_CHARACTERS_MAX: usize = 255;
const PREFIX_BYTES_MAX: usize = 1024;
/// How many noncurrent versions a rule may leave.
const NEWER_MAX: u32 = 100;
const DAY_SECONDS: u64 = 86_400;

/// How filters may be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Filters {
    /// Several predicates stand within `And`.
    Strict,
    /// Or beside each other.
    Lenient,
}

fn invalid(message: impl Into<std::borrow::Cow<'static, str>>) -> S3Error {
    S3Error::new(ErrorCode::InvalidArgument).with_message(message)
}

impl LifecycleConfiguration {
    /// Reads the document. Rules without an id have an empty one: [`LifecycleConfiguration::name_rules`].
    ///
    /// # Errors
    /// `MalformedXML`, also for no rule, too many of them, and for what a rule has twice or lacks; `InvalidArgument` and
    /// `InvalidRequest` for what no rule can say.
    pub fn parse(body: &[u8], minimum_size: MinimumSize) -> Result<Self, S3Error> {
        Self::parse_as(body, minimum_size, Filters::Strict)
    }

    /// The same, where filters may name several predicates without `And`, as Ceph RGW takes them: all must hold.
    ///
    /// # Errors
    /// As [`LifecycleConfiguration::parse`].
    pub fn parse_leniently(body: &[u8], minimum_size: MinimumSize) -> Result<Self, S3Error> {
        Self::parse_as(body, minimum_size, Filters::Lenient)
    }

    fn parse_as(body: &[u8], minimum_size: MinimumSize, filters: Filters) -> Result<Self, S3Error> {
        let root = Element::parse(body, XML_BYTES_MAX)?;
        if root.children().iter().any(|child| child.name() != "Rule") {
            return Err(malformed());
        }
        Ok(Self { minimum_size, ..Self::read(&root, filters)? })
    }

    pub(super) fn read(root: &Element<'_>, filters: Filters) -> Result<Self, S3Error> {
        if root.name() != "LifecycleConfiguration" {
            return Err(malformed());
        }
        let minimum_size = match root.child_text(MINIMUM_SIZE)? {
            Some(text) => MinimumSize::ALL.into_iter().find(|known| known.as_str() == text).ok_or_else(malformed)?,
            None => MinimumSize::default(),
        };
        let elements: Vec<_> = root.children().iter().filter(|child| child.name() == "Rule").collect();
        if elements.is_empty() || elements.len() > LIFECYCLE_RULES_MAX {
            return Err(malformed());
        }
        let rules = elements.into_iter().map(|rule| LifecycleRule::parse(rule, filters));
        let rules = rules.collect::<Result<Vec<_>, _>>()?;
        let mut ids: Vec<&str> = rules.iter().map(|rule| rule.id.as_str()).filter(|id| !id.is_empty()).collect();
        ids.sort_unstable();
        if ids.windows(2).any(|pair| pair[0] == pair[1]) {
            return Err(invalid("Rule ID must be unique. Found same ID for more than one rule"));
        }
        Ok(Self { rules, minimum_size })
    }
}

impl LifecycleRule {
    fn parse(element: &Element<'_>, filters: Filters) -> Result<Self, S3Error> {
        const NAMES: [&str; 9] = [
            "ID",
            "Prefix",
            "Filter",
            "Status",
            "Expiration",
            "Transition",
            "NoncurrentVersionExpiration",
            "NoncurrentVersionTransition",
            "AbortIncompleteMultipartUpload",
        ];
        if element.children().iter().any(|child| !NAMES.contains(&child.name())) {
            return Err(malformed());
        }
        let of_name = |name: &'static str| element.children().iter().filter(move |child| child.name() == name);
        let id = element.child_text("ID")?.unwrap_or_default().to_owned();
        if id.chars().count() > ID_CHARACTERS_MAX {
            return Err(invalid("ID length should not exceed allowed limit of 255"));
        }
        let enabled = match element.child_text("Status")? {
            Some("Enabled") => true,
            Some("Disabled") => false,
            _ => return Err(malformed()),
        };
        let rule = Self {
            id,
            enabled,
            filter: Filter::of_rule(element, filters)?,
            expiration: element.child("Expiration")?.map(Expiration::parse).transpose()?,
            transitions: of_name("Transition").map(Transition::parse).collect::<Result<_, _>>()?,
            noncurrent_expiration: element
                .child("NoncurrentVersionExpiration")?
                .map(NoncurrentExpiration::parse)
                .transpose()?,
            noncurrent_transitions: of_name("NoncurrentVersionTransition")
                .map(NoncurrentTransition::parse)
                .collect::<Result<_, _>>()?,
            abort_uploads_after_days: element.child("AbortIncompleteMultipartUpload")?.map(abort_days).transpose()?,
        };
        rule.check()?;
        Ok(rule)
    }

    fn check(&self) -> Result<(), S3Error> {
        let Self { filter, expiration, transitions, noncurrent_expiration, noncurrent_transitions, .. } = self;
        let has_action = expiration.is_some()
            || !transitions.is_empty()
            || noncurrent_expiration.is_some()
            || !noncurrent_transitions.is_empty()
            || self.abort_uploads_after_days.is_some();
        if !has_action {
            return Err(S3Error::invalid_request("At least one action needs to be specified in a rule"));
        }
        let has_size = filter.larger_than.is_some() || filter.smaller_than.is_some();
        if self.abort_uploads_after_days.is_some() && !filter.tags.is_empty() {
            return Err(S3Error::invalid_request("AbortIncompleteMultipartUpload cannot be specified with Tags."));
        }
        if self.abort_uploads_after_days.is_some() && has_size {
            let message = "AbortIncompleteMultipartUpload cannot be specified with Object Size.";
            return Err(S3Error::invalid_request(message));
        }
        if matches!(expiration, Some(Expiration::ExpiredMarkers(_))) && !filter.tags.is_empty() {
            return Err(S3Error::invalid_request("ExpiredObjectDeleteMarker cannot be specified with Tags."));
        }
        if matches!(expiration, Some(Expiration::ExpiredMarkers(_))) && has_size {
            return Err(S3Error::invalid_request("ExpiredObjectDeleteMarker cannot be specified with Object Size."));
        }
        self.check_transitions()?;
        self.check_noncurrent()
    }

    fn check_transitions(&self) -> Result<(), S3Error> {
        let prefix = self.filter.prefix.as_deref().unwrap_or_default();
        for (at, transition) in self.transitions.iter().enumerate() {
            if self.transitions[..at].iter().any(|other| other.class == transition.class) {
                return Err(S3Error::invalid_request(format!(
                    "'StorageClass' must be different for 'Transition' actions in same 'Rule' with prefix '{prefix}'"
                )));
            }
        }
        let dated = self.transitions.iter().map(|transition| matches!(transition.at, TransitionTime::Date(_)));
        let expires_dated = match self.expiration {
            Some(Expiration::Days(_)) => Some(false),
            Some(Expiration::Date(_)) => Some(true),
            Some(Expiration::ExpiredMarkers(_)) | None => None,
        };
        let mut forms = dated.chain(expires_dated);
        let first = forms.next();
        if forms.any(|form| Some(form) != first) {
            return Err(S3Error::invalid_request(format!(
                "Found mixed 'Date' and 'Days' based Expiration and Transition actions in lifecycle rule for prefix \
                 '{prefix}'"
            )));
        }
        let is_before = |at: TransitionTime| match (self.expiration, at) {
            (Some(Expiration::Days(expires)), TransitionTime::Days(moves)) => moves < expires,
            (Some(Expiration::Date(expires)), TransitionTime::Date(moves)) => moves < expires,
            _ => true,
        };
        if self.transitions.iter().any(|transition| !is_before(transition.at)) {
            let unit = if expires_dated == Some(true) { "Date" } else { "Days" };
            let later = if expires_dated == Some(true) { "later" } else { "greater" };
            return Err(invalid(format!(
                "'{unit}' in the Expiration action for filter '(prefix={prefix})' must be {later} than '{unit}' in the \
                 Transition action"
            )));
        }
        Ok(())
    }

    fn check_noncurrent(&self) -> Result<(), S3Error> {
        let prefix = self.filter.prefix.as_deref().unwrap_or_default();
        for (at, transition) in self.noncurrent_transitions.iter().enumerate() {
            if self.noncurrent_transitions[..at].iter().any(|other| other.class == transition.class) {
                return Err(S3Error::invalid_request(format!(
                    "'StorageClass' must be different for 'NoncurrentVersionTransition' actions in same 'Rule' with \
                     prefix '{prefix}'"
                )));
            }
        }
        let expires = self.noncurrent_expiration.map(|expiration| expiration.days);
        let is_late = |days: u32| expires.is_some_and(|expires| days >= expires);
        if self.noncurrent_transitions.iter().any(|transition| is_late(transition.days)) {
            return Err(invalid(format!(
                "'NoncurrentDays' in the NoncurrentVersionExpiration action for filter '(prefix={prefix})' must be \
                 greater than 'NoncurrentDays' in the NoncurrentVersionTransition action"
            )));
        }
        Ok(())
    }
}

impl Filter {
    fn of_rule(rule: &Element<'_>, filters: Filters) -> Result<Self, S3Error> {
        match (rule.child("Prefix")?, rule.child("Filter")?) {
            (Some(prefix), None) => {
                let prefix = Some(prefix_of(prefix)?);
                Ok(Self { form: FilterForm::Legacy, prefix, ..Self::default() })
            }
            (None, Some(filter)) => Self::parse(filter, filters),
            (Some(_), Some(_)) | (None, None) => Err(malformed()),
        }
    }

    fn parse(element: &Element<'_>, filters: Filters) -> Result<Self, S3Error> {
        match element.children() {
            [] => Ok(Self::default()),
            [and] if and.name() == "And" => {
                let filter = Self { form: FilterForm::And, ..Self::of_predicates(and)? };
                if and.children().is_empty() { Err(malformed()) } else { Ok(filter) }
            }
            [_] => Self::of_predicates(element),
            _ if filters == Filters::Lenient => Self::of_all(element),
            _ => Err(malformed()),
        }
    }

    /// All predicates, within `And` and beside it. Of two prefixes one must begin with the other.
    fn of_all(element: &Element<'_>) -> Result<Self, S3Error> {
        let mut all = Self { form: FilterForm::And, ..Self::default() };
        let within = element.children().iter().filter(|child| child.name() == "And").flat_map(Element::children);
        for child in element.children().iter().filter(|child| child.name() != "And").chain(within) {
            match (child.name(), all.prefix.take()) {
                ("Prefix", None) => all.prefix = Some(prefix_of(child)?),
                ("Prefix", Some(known)) => {
                    let other = prefix_of(child)?;
                    let (longer, shorter) = if other.len() > known.len() { (other, known) } else { (known, other) };
                    all.prefix = Some(longer).filter(|longer| longer.starts_with(&shorter));
                    if all.prefix.is_none() {
                        return Err(malformed());
                    }
                }
                (_, known) => {
                    all.prefix = known;
                    all.add(child)?;
                }
            }
        }
        all.check()
    }

    fn of_predicates(element: &Element<'_>) -> Result<Self, S3Error> {
        let mut filter = Self::default();
        for child in element.children() {
            match child.name() {
                "Prefix" if filter.prefix.is_none() => filter.prefix = Some(prefix_of(child)?),
                _ => filter.add(child)?,
            }
        }
        filter.check()
    }

    /// Takes in a predicate that is no prefix.
    fn add(&mut self, child: &Element<'_>) -> Result<(), S3Error> {
        match child.name() {
            "Tag" => self.add_tag(child)?,
            "ObjectSizeGreaterThan" if self.larger_than.is_none() => self.larger_than = Some(bytes_of(child)?),
            "ObjectSizeLessThan" if self.smaller_than.is_none() => self.smaller_than = Some(bytes_of(child)?),
            _ => return Err(malformed()),
        }
        Ok(())
    }

    fn check(self) -> Result<Self, S3Error> {
        let filter = self;
        if let (Some(larger), Some(smaller)) = (filter.larger_than, filter.smaller_than)
            && smaller <= larger
        {
            let message = "'ObjectSizeLessThan' has to be a value greater than 'ObjectSizeGreaterThan'";
            return Err(S3Error::invalid_request(message));
        }
        if filter.smaller_than == Some(0) {
            return Err(invalid("'ObjectSizeLessThan' must be a positive integer"));
        }
        Ok(filter)
    }

    fn add_tag(&mut self, tag: &Element<'_>) -> Result<(), S3Error> {
        let text = |name: &str| {
            let child = tag.child(name)?.filter(|child| child.children().is_empty());
            Ok::<_, S3Error>(child.ok_or_else(malformed)?.text().to_owned())
        };
        if tag.children().len() != 2 {
            return Err(malformed());
        }
        let (key, value) = (text("Key")?, text("Value")?);
        let is_bad = |text: &str, characters_max: usize| text.chars().count() > characters_max;
        if key.is_empty() || is_bad(&key, 128) || is_bad(&value, 256) {
            return Err(ErrorCode::InvalidTag.into());
        }
        if self.tags.iter().any(|(other, _)| *other == key) {
            return Err(S3Error::invalid_request("Duplicate Tag Keys are not allowed."));
        }
        self.tags.push((key, value));
        Ok(())
    }
}

fn prefix_of(element: &Element<'_>) -> Result<String, S3Error> {
    match element.text() {
        _ if !element.children().is_empty() => Err(malformed()),
        text if text.len() > PREFIX_BYTES_MAX => Err(S3Error::invalid_request("The maximum size of a prefix is 1024.")),
        text => Ok(text.to_owned()),
    }
}

fn bytes_of(element: &Element<'_>) -> Result<u64, S3Error> {
    if element.children().is_empty() { digits(element.text()) } else { Err(malformed()) }
}

/// A whole number without a sign.
fn digits<T: std::str::FromStr>(text: &str) -> Result<T, S3Error> {
    let text = text.trim();
    let are_digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| are_digits).ok_or_else(malformed)
}

/// A number of days: `MalformedXML` for what is none, `InvalidArgument` for one below `least`.
fn days(text: &str, least: u32, name: &str, action: &str) -> Result<u32, S3Error> {
    let days: i64 = text.trim().parse().map_err(|_| malformed())?;
    match u32::try_from(days) {
        Ok(days) if days > i32::MAX.cast_unsigned() => Err(malformed()),
        Ok(days) if days >= least => Ok(days),
        Err(_) if days > 0 => Err(malformed()),
        _ => {
            let kind = if least == 0 { "nonnegative" } else { "a positive" };
            Err(invalid(format!("'{name}' for {action} action must be {kind} integer")))
        }
    }
}

fn only(element: &Element<'_>, names: &[&str]) -> Result<(), S3Error> {
    if element.children().iter().all(|child| names.contains(&child.name())) { Ok(()) } else { Err(malformed()) }
}

/// A midnight in UTC: `2015-01-01`, or `2015-01-01T00:00:00Z` with or without fractions or another offset.
fn midnight(text: &str) -> Result<Timestamp, S3Error> {
    let at = parse_date(text).ok_or_else(malformed)?;
    let seconds = u64::try_from(at).map_err(|_| malformed())?;
    if seconds % DAY_SECONDS == 0 {
        Ok(Timestamp::from_seconds(seconds))
    } else {
        Err(invalid("'Date' must be at midnight GMT"))
    }
}

/// Seconds since 1970 of an ISO 8601 date, with or without a time of day.
fn parse_date(text: &str) -> Option<i64> {
    let (date, rest) = text.split_at_checked(10)?;
    let mut numbers = date.split('-').map(|part| part.bytes().all(|byte| byte.is_ascii_digit()).then_some(part));
    let (year, month, day) = (numbers.next()??, numbers.next()??, numbers.next()??);
    if year.len() != 4 || numbers.next().is_some() {
        return None;
    }
    let month = Month::try_from(month.parse::<u8>().ok()?).ok()?;
    let date = Date::from_calendar_date(year.parse().ok()?, month, day.parse().ok()?).ok()?;
    if rest.is_empty() {
        return Some(PrimitiveDateTime::new(date, Time::MIDNIGHT).assume_utc().unix_timestamp());
    }
    let clock = rest.strip_prefix('T')?;
    let (time, zone) = clock.split_at_checked(8)?;
    let mut parts = time.split(':').map(|part| part.parse::<u8>().ok().filter(|_| part.len() == 2));
    let time = Time::from_hms(parts.next()??, parts.next()??, parts.next()??).ok()?;
    // Fractions of a second are no midnight, unless they are zeros.
    let zone = match zone.strip_prefix('.') {
        Some(fraction) => {
            let rest = fraction.trim_start_matches(|c: char| c.is_ascii_digit());
            let digits = &fraction[..fraction.len() - rest.len()];
            if digits.is_empty() || digits.bytes().any(|digit| digit != b'0') {
                return Some(1);
            }
            rest
        }
        None => zone,
    };
    let offset = match zone {
        "Z" => 0,
        _ => {
            let sign = if zone.starts_with('+') {
                1
            } else if zone.starts_with('-') {
                -1
            } else {
                return None;
            };
            let (hours, minutes) = zone.get(1..)?.split_once(':')?;
            sign * (hours.parse::<u8>().map(i64::from).ok()? * 3600 + minutes.parse::<u8>().map(i64::from).ok()? * 60)
        }
    };
    Some(PrimitiveDateTime::new(date, time).assume_utc().unix_timestamp() - offset)
}

impl Expiration {
    fn parse(element: &Element<'_>) -> Result<Self, S3Error> {
        only(element, &["Days", "Date", "ExpiredObjectDeleteMarker"])?;
        let [number, date, marker] = [
            element.child_text("Days")?,
            element.child_text("Date")?,
            element.child_text("ExpiredObjectDeleteMarker")?,
        ];
        match (number, date, marker) {
            (Some(text), None, None) => Ok(Self::Days(days(text, 1, "Days", "Expiration")?)),
            (None, Some(text), None) => Ok(Self::Date(midnight(text)?)),
            (None, None, Some("true")) => Ok(Self::ExpiredMarkers(true)),
            (None, None, Some("false")) => Ok(Self::ExpiredMarkers(false)),
            _ => Err(malformed()),
        }
    }
}

impl Transition {
    fn parse(element: &Element<'_>) -> Result<Self, S3Error> {
        only(element, &["Days", "Date", "StorageClass"])?;
        let at = match (element.child_text("Days")?, element.child_text("Date")?) {
            (Some(text), None) => TransitionTime::Days(days(text, 0, "Days", "Transition")?),
            (None, Some(text)) => TransitionTime::Date(midnight(text)?),
            _ => return Err(malformed()),
        };
        Ok(Self { at, class: class_of(element)? })
    }
}

/// A rule's target: nothing goes back to STANDARD by a rule.
fn class_of(element: &Element<'_>) -> Result<StorageClass, S3Error> {
    let text = element.child_text("StorageClass")?.ok_or_else(malformed)?;
    let class = StorageClass::new(text).map_err(|_| malformed())?;
    if class == StorageClass::default() { Err(malformed()) } else { Ok(class) }
}

fn newer_of(element: &Element<'_>, action: &str) -> Result<Option<u32>, S3Error> {
    let Some(text) = element.child_text("NewerNoncurrentVersions")? else { return Ok(None) };
    let newer = days(text, 1, "NewerNoncurrentVersions", action)?;
    if newer > NEWER_MAX {
        return Err(invalid(format!("'NewerNoncurrentVersions' for {action} action must be at most {NEWER_MAX}")));
    }
    Ok(Some(newer))
}

impl NoncurrentExpiration {
    fn parse(element: &Element<'_>) -> Result<Self, S3Error> {
        const ACTION: &str = "NoncurrentVersionExpiration";
        only(element, &["NoncurrentDays", "NewerNoncurrentVersions"])?;
        let text = element.child_text("NoncurrentDays")?.ok_or_else(malformed)?;
        Ok(Self { days: days(text, 1, "NoncurrentDays", ACTION)?, newer: newer_of(element, ACTION)? })
    }
}

impl NoncurrentTransition {
    fn parse(element: &Element<'_>) -> Result<Self, S3Error> {
        const ACTION: &str = "NoncurrentVersionTransition";
        only(element, &["NoncurrentDays", "NewerNoncurrentVersions", "StorageClass"])?;
        let text = element.child_text("NoncurrentDays")?.ok_or_else(malformed)?;
        let class = class_of(element)?;
        Ok(Self { days: days(text, 0, "NoncurrentDays", ACTION)?, newer: newer_of(element, ACTION)?, class })
    }
}

fn abort_days(element: &Element<'_>) -> Result<u32, S3Error> {
    only(element, &["DaysAfterInitiation"])?;
    let text = element.child_text("DaysAfterInitiation")?.ok_or_else(malformed)?;
    days(text, 1, "DaysAfterInitiation", "AbortIncompleteMultipartUpload")
}
