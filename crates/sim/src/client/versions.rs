//! Keys with versions: written, marked as deleted, read and removed by version ids, listed, with versioning enabled and
//! suspended.

use bytes::Bytes;
use objects::{ListEntry, ListObjectVersionsRequest, ShownVersion, VersioningStatus, WhichVersion, WriteConditions};
use platform::Entropy;
use types::VersionId;

use super::calls::{bucket_of, delete, get, if_match, if_none_match, outcome_of, put};
use super::{Client, KEYS_MAX, PATIENCE};
use crate::history::{Listing, MARKER, Operation, Outcome, Subject, ValueId, listing_id};

/// A version whose id clients were told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct KnownVersion {
    pub(crate) subject: Subject,
    pub(crate) name: ValueId,
    pub(crate) id: VersionId,
    pub(crate) is_marker: bool,
}

impl Client {
    /// Does something to a key with versions.
    pub(super) async fn act_on_versions(&mut self, subject: Subject) {
        match self.dice.number() % 17 {
            0..=3 => self.put_version(subject, Operation::Put).await,
            4 => self.put_version(subject, Operation::PutNew).await,
            5 | 6 => match self.seen.get(&subject).copied() {
                Some(seen) => self.put_version(subject, move |value| Operation::PutOver(seen, value)).await,
                None => drop(self.get(subject).await),
            },
            7 | 8 => self.mark(subject).await,
            9 | 10 => drop(self.get(subject).await),
            11 | 12 => {
                if let Some(known) = self.any_version(&subject).filter(|known| !known.is_marker) {
                    self.get_version(known).await;
                }
            }
            13 => self.remove_version(&subject).await,
            14 | 15 => drop(self.list_versions(subject).await),
            _ => self.set_versioning(subject).await,
        }
    }

    async fn put_version(&mut self, subject: Subject, operation: impl Fn(ValueId) -> Operation) {
        let (value, body) = self.shared.values.make();
        let operation = operation(value);
        let conditions = match operation {
            Operation::PutNew(_) => if_none_match(),
            Operation::PutOver(seen, _) => if_match(self.shared.values.tag(seen)),
            _ => WriteConditions::default(),
        };
        let known = self.shared.known_versions.clone();
        let (gateway, of) = (self.gateway(), subject.clone());
        let putting = async move {
            let written = put(gateway, &of, conditions, body).await;
            if let Ok(written) = &written
                && let ShownVersion::Id(id) = written.version
            {
                known.lock().push(KnownVersion { subject: of, name: value, id, is_marker: false });
            }
            outcome_of(written.map(|_| Outcome::Done))
        };
        if self.record(&subject, operation, putting).await == Outcome::Done {
            self.seen.insert(subject, value);
        }
    }

    async fn mark(&mut self, subject: Subject) {
        let marker = self.shared.values.make_marker();
        let known = self.shared.known_versions.clone();
        let (gateway, of) = (self.gateway(), subject.clone());
        let marking = async move {
            let deleted = delete(gateway, &of, None, WriteConditions::default()).await;
            if let Ok(deleted) = &deleted
                && let ShownVersion::Id(id) = deleted.version
            {
                known.lock().push(KnownVersion { subject: of, name: marker, id, is_marker: deleted.marker });
            }
            outcome_of(deleted.map(|_| Outcome::Done))
        };
        self.record(&subject, Operation::Mark(marker), marking).await;
    }

    fn any_version(&self, subject: &Subject) -> Option<KnownVersion> {
        let known = self.shared.known_versions.lock();
        let of: Vec<&KnownVersion> = known.iter().filter(|known| known.subject == *subject).collect();
        of.get(self.dice.number() as usize % of.len().max(1)).map(|known| (*known).clone())
    }

    /// Reads a version by its id; the answer.
    pub(crate) async fn get_version(&mut self, known: KnownVersion) -> Outcome {
        let KnownVersion { subject, name, id, .. } = known;
        let reading = get(self.gateway(), &subject, WhichVersion::Id(id), self.judge());
        self.record(&subject, Operation::GetVersion(name), reading).await
    }

    async fn remove_version(&self, subject: &Subject) {
        let Some(KnownVersion { name, id, .. }) = self.any_version(subject) else { return };
        let removing = delete(self.gateway(), subject, Some(WhichVersion::Id(id)), WriteConditions::default());
        let removing = async move { outcome_of(removing.await.map(|_| Outcome::Done)) };
        self.record(subject, Operation::Remove(name), removing).await;
    }

    /// Lists all versions; the answer.
    pub(crate) async fn list_versions(&mut self, subject: Subject) -> Outcome {
        let begun = self.shared.history.begin(self.number, vec![subject.clone()], Operation::ListVersions, true);
        let request = ListObjectVersionsRequest {
            bucket: bucket_of(&subject),
            prefix: Bytes::new(),
            delimiter: Bytes::new(),
            key_marker: Bytes::new(),
            version_marker: None,
            max_keys: KEYS_MAX,
        };
        let gateway = self.gateway();
        let Ok(Ok(page)) = tokio::time::timeout(PATIENCE, gateway.list_object_versions(request)).await else {
            return Outcome::Unknown;
        };
        let mut listing = Listing::new();
        for entry in page.entries {
            let ListEntry::Entry(version) = entry else { continue };
            match self.shared.values.with_tag(&version.etag) {
                _ if version.marker => listing.push(MARKER),
                Some(value) => listing.push(value),
                None => {
                    self.shared.torn.lock().push(format!("a version of {subject:?} is listed with a tag of no PUT"))
                }
            }
        }
        let name = listing_id(&listing);
        self.shared.listings.lock().insert(name, listing);
        let outcome = Outcome::Versions(name);
        self.shared.history.answer(begun, [outcome]);
        outcome
    }

    async fn set_versioning(&self, subject: Subject) {
        let enabled = self.dice.number().is_multiple_of(2);
        let status = if enabled { VersioningStatus::Enabled } else { VersioningStatus::Suspended };
        let (gateway, bucket) = (self.gateway(), bucket_of(&subject));
        let setting =
            async move { outcome_of(gateway.put_bucket_versioning(&bucket, status).await.map(|()| Outcome::Done)) };
        self.record(&subject, Operation::SetVersioning(enabled), setting).await;
    }
}
