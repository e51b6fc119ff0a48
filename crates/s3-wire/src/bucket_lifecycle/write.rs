//! Rules as XML.

use bytes::Bytes;
use types::Timestamp;

use super::{Expiration, Filter, FilterForm, LifecycleConfiguration, LifecycleRule, TransitionTime};
use crate::time::push_iso8601;
use crate::xml::XmlWriter;

/// Stands in what is stored, and in no answer.
pub(super) const MINIMUM_SIZE: &str = "TransitionDefaultMinimumObjectSize";

const ROOT: &str = "LifecycleConfiguration";

impl LifecycleConfiguration {
    /// The document as it is answered.
    pub fn document(&self) -> Bytes {
        self.write(false)
    }

    /// The document as it is stored: with what goes by a header in answers.
    pub fn stored(&self) -> Bytes {
        self.write(true)
    }

    fn write(&self, is_stored: bool) -> Bytes {
        let mut xml = XmlWriter::document();
        xml.open_root(ROOT);
        for rule in &self.rules {
            rule.write(&mut xml);
        }
        if is_stored {
            xml.plain(MINIMUM_SIZE, self.minimum_size.as_str());
        }
        xml.close(ROOT);
        xml.finish()
    }
}

impl LifecycleRule {
    fn write(&self, xml: &mut XmlWriter) {
        xml.open("Rule");
        xml.text("ID", &self.id);
        self.filter.write(xml);
        xml.plain("Status", if self.enabled { "Enabled" } else { "Disabled" });
        if let Some(expiration) = self.expiration {
            xml.open("Expiration");
            match expiration {
                Expiration::Days(days) => xml.plain("Days", days),
                Expiration::Date(date) => write_date(xml, date),
                Expiration::ExpiredMarkers(removed) => xml.flag("ExpiredObjectDeleteMarker", removed),
            }
            xml.close("Expiration");
        }
        for transition in &self.transitions {
            xml.open("Transition");
            match transition.at {
                TransitionTime::Days(days) => xml.plain("Days", days),
                TransitionTime::Date(date) => write_date(xml, date),
            }
            xml.text("StorageClass", transition.class.as_str());
            xml.close("Transition");
        }
        for transition in &self.noncurrent_transitions {
            xml.open("NoncurrentVersionTransition");
            write_noncurrent(xml, transition.days, transition.newer);
            xml.text("StorageClass", transition.class.as_str());
            xml.close("NoncurrentVersionTransition");
        }
        if let Some(expiration) = self.noncurrent_expiration {
            xml.open("NoncurrentVersionExpiration");
            write_noncurrent(xml, expiration.days, expiration.newer);
            xml.close("NoncurrentVersionExpiration");
        }
        if let Some(days) = self.abort_uploads_after_days {
            xml.open("AbortIncompleteMultipartUpload");
            xml.plain("DaysAfterInitiation", days);
            xml.close("AbortIncompleteMultipartUpload");
        }
        xml.close("Rule");
    }
}

impl Filter {
    fn write(&self, xml: &mut XmlWriter) {
        if self.form == FilterForm::Legacy {
            xml.text("Prefix", self.prefix.as_deref().unwrap_or_default());
            return;
        }
        xml.open("Filter");
        let is_and = self.form == FilterForm::And;
        if is_and {
            xml.open("And");
        }
        if let Some(prefix) = &self.prefix {
            xml.text("Prefix", prefix);
        }
        for (key, value) in &self.tags {
            xml.open("Tag");
            xml.text("Key", key);
            xml.text("Value", value);
            xml.close("Tag");
        }
        if let Some(bytes) = self.larger_than {
            xml.plain("ObjectSizeGreaterThan", bytes);
        }
        if let Some(bytes) = self.smaller_than {
            xml.plain("ObjectSizeLessThan", bytes);
        }
        if is_and {
            xml.close("And");
        }
        xml.close("Filter");
    }
}

fn write_date(xml: &mut XmlWriter, date: Timestamp) {
    xml.open("Date");
    push_iso8601(xml.buffer(), date);
    xml.close("Date");
}

fn write_noncurrent(xml: &mut XmlWriter, days: u32, newer: Option<u32>) {
    xml.plain("NoncurrentDays", days);
    if let Some(newer) = newer {
        xml.plain("NewerNoncurrentVersions", newer);
    }
}
