//! Do the rows agree with each other? For tests, and for an operator who doubts.
//!
//! It reads everything, heads of versions and rows of uploads into memory: not for an index of millions while serving.

use std::collections::BTreeMap;

use rusqlite::Connection;
use types::{AccountId, BucketId, Part, PartNumber, RangeInterval};

use crate::command::IdentityKind;
use crate::query::Usage;
use crate::rows::{self, BodyKind, DegradedKept, PartRow, UploadRow};
use crate::tables::{RowKind, Stored, Tables, blob, from_sql};
use crate::{IndexDatabaseError, keys};

/// More findings than these tell nothing new.
const FINDINGS_MAX: usize = 100;

/// What is wrong with the rows; nothing, if they agree. The connection is in a transaction.
pub(crate) fn of(connection: &Connection) -> Result<Vec<String>, IndexDatabaseError> {
    let mut check = Check { tables: Tables::of(connection), findings: Vec::new(), counted: BTreeMap::new() };
    check.current()?;
    check.versions()?;
    check.bodies()?;
    check.nulls()?;
    check.uploads()?;
    check.parts()?;
    check.degraded()?;
    check.usage()?;
    check.documents()?;
    check.identities()?;
    check.lifecycles()?;
    Ok(check.findings)
}

struct Check<'c> {
    tables: Tables<'c>,
    findings: Vec<String>,
    counted: BTreeMap<BucketId, Usage>,
}

impl Check<'_> {
    fn expect(&mut self, holds: bool, key: &[u8], says: &str) {
        if !holds && self.findings.len() < FINDINGS_MAX {
            let name = keys::split_place(key).map(|(bucket, key, _)| format!("bucket {bucket}, key {key:?}"));
            self.findings.push(format!("{}: {says}", name.unwrap_or_else(|_| format!("{key:?}"))));
        }
    }

    fn current(&mut self) -> Result<(), IndexDatabaseError> {
        let rows = self.tables.all("SELECT head, body, place FROM current", [], stored_and_key)?;
        for (stored, place) in rows {
            let (bucket, ..) = keys::split_place(&place)?;
            self.counted.entry(bucket).or_default().objects += 1;
            let newest = !stored.head.marker && stored.head.superseded.is_none();
            self.expect(newest, &place, "a current version is a marker, or superseded");
            self.version(&place, &stored)?;
        }
        Ok(())
    }

    fn versions(&mut self) -> Result<(), IndexDatabaseError> {
        let rows = self.tables.all("SELECT head, body, key FROM versions", [], stored_and_key)?;
        for (stored, key) in rows {
            let place = &key[..key.len().saturating_sub(8)];
            self.expect(
                keys::version_key(place, stored.head.id.stamp) == key,
                &key,
                "a version stands at another stamp",
            );
            self.expect(
                stored.head.marker == stored.body.is_none(),
                &key,
                "a version has no body, or a marker has one",
            );
            if stored.head.superseded.is_none() {
                let newest = self.tables.newest_version(place)?;
                let alone = self.tables.current(place)?.is_none() && newest.as_ref() == Some(&stored);
                self.expect(stored.head.marker && alone, &key, "a version that is not the newest is not superseded");
            }
            self.version(&key, &stored)?;
        }
        Ok(())
    }

    /// One version, wherever it stands.
    fn version(&mut self, key: &[u8], stored: &Stored) -> Result<(), IndexDatabaseError> {
        let (bucket, object_key, _) = keys::split_place(key)?;
        let usage = self.counted.entry(bucket).or_default();
        let Some(id) = stored.body else {
            usage.markers += 1;
            return Ok(());
        };
        usage.versions += 1;
        usage.bytes += stored.head.plain_bytes;
        let body = self.tables.body(id)?;
        let place = keys::place(bucket, &object_key);
        match body.kind {
            BodyKind::Single(part) => {
                let kept = DegradedKept { version: Some(stored.head.id), upload: None, number: part.number };
                self.part_flag(&place, &kept, &part)?;
                self.expect(part.plain_bytes == stored.head.plain_bytes, key, "a version and its part differ in size");
            }
            BodyKind::Multipart { upload, parts } => {
                let row = self.tables.upload(&place, upload)?;
                let completed = row.and_then(|row| row.completed).map(|completed| completed.id);
                self.expect(completed == Some(stored.head.id), key, "a version's upload does not remember it");
                let standing = self.tables.parts(&place, upload, 0, usize::MAX)?;
                let as_named = standing.iter().map(|part: &Part| (part.number, part.plain_bytes));
                self.expect(as_named.eq(parts.iter().map(|part| (part.number, part.plain_bytes))), key, "parts differ");
            }
        }
        Ok(())
    }

    fn bodies(&mut self) -> Result<(), IndexDatabaseError> {
        let named = "SELECT body FROM current UNION ALL SELECT body FROM versions WHERE body IS NOT NULL";
        let sql = format!(
            "SELECT (SELECT count(*) FROM bodies), (SELECT count(*) FROM ({named})),
                    (SELECT count(DISTINCT body) FROM ({named}))"
        );
        let counts = self.tables.first(&sql, [], |row| {
            Ok::<_, IndexDatabaseError>([from_sql(row, 0)?, from_sql(row, 1)?, from_sql(row, 2)?])
        })?;
        let [bodies, named, distinct] = counts.unwrap_or_default();
        self.expect(bodies == named && named == distinct, b"bodies", "a body is named by no version, or by two");
        Ok(())
    }

    fn nulls(&mut self) -> Result<(), IndexDatabaseError> {
        let rows = self.tables.all("SELECT place, stamp FROM nulls", [], |row| {
            Ok::<_, IndexDatabaseError>((blob(row, 0)?.to_vec(), types::CommitStamp(from_sql(row, 1)?)))
        })?;
        for (place, stamp) in &rows {
            let points = self.tables.version(place, *stamp)?.is_some_and(|stored| stored.head.null);
            self.expect(points, place, "the null version is not where it is said to be");
            let current = self.tables.current(place)?.is_some_and(|stored| stored.head.null);
            self.expect(!current, place, "two null versions");
        }
        let nulls = self.tables.all("SELECT head, body, key FROM versions", [], stored_and_key)?;
        let nulls = nulls.iter().filter(|(stored, _)| stored.head.null).count();
        self.expect(nulls == rows.len(), b"nulls", "a null version cannot be found");
        Ok(())
    }

    fn uploads(&mut self) -> Result<(), IndexDatabaseError> {
        let rows = self.tables.all("SELECT key, row FROM uploads", [], |row| {
            Ok::<(Vec<u8>, UploadRow), IndexDatabaseError>((blob(row, 0)?.to_vec(), rows::decode(blob(row, 1)?)?))
        })?;
        let mut listed = 0;
        for (key, row) in rows {
            if let Some(completed) = row.completed {
                let (bucket, object_key, _) = keys::split_place(&key)?;
                let place = keys::place(bucket, &object_key);
                let which = crate::command::WhichVersion::Id(completed.id);
                let version = self.tables.find_version(&place, which, self.tables.current(&place)?)?;
                self.expect(version.is_some(), &key, "a completed upload outlives its version");
            } else {
                listed += 1;
                let (bucket, ..) = keys::split_place(&key)?;
                self.counted.entry(bucket).or_default().uploads += 1;
            }
        }
        let by_time = self.tables.first("SELECT count(*) FROM uploads_by_time", [], |row| from_sql(row, 0))?;
        self.expect(by_time == Some(listed), b"uploads_by_time", "an upload is not listed, or listed twice");
        Ok(())
    }

    fn parts(&mut self) -> Result<(), IndexDatabaseError> {
        let rows = self.tables.all("SELECT key, row FROM parts", [], |row| {
            Ok::<(Vec<u8>, PartRow<'static>), IndexDatabaseError>((
                blob(row, 0)?.to_vec(),
                rows::decode(blob(row, 1)?)?,
            ))
        })?;
        for (key, part) in rows {
            let (bucket, object_key, tail) = keys::split_place(&key)?;
            let place = keys::place(bucket, &object_key);
            let upload = tail.first_chunk().map(|bytes| types::UploadId::from_bytes(*bytes)).ok_or(keys::KeyError)?;
            let kept = DegradedKept { version: None, upload: Some(upload), number: part.number };
            self.part_flag(&place, &kept, &part)?;
            match self.tables.upload(&place, upload)? {
                None => self.expect(false, &key, "a part outlives its upload"),
                Some(row) if row.completed.is_none() && part.number != PartNumber::MANIFEST => {
                    self.counted.entry(bucket).or_default().upload_bytes += part.plain_bytes;
                }
                Some(_) => {}
            }
        }
        Ok(())
    }

    /// A part's flag and its row of `degraded` agree.
    fn part_flag(&mut self, place: &[u8], kept: &DegradedKept, part: &PartRow<'_>) -> Result<(), IndexDatabaseError> {
        let key = keys::degraded_key(place, kept);
        let sql = "SELECT 1 FROM degraded WHERE key = ?1";
        let queued = self.tables.first(sql, [&key], |_row| Ok::<_, IndexDatabaseError>(()))?.is_some();
        self.expect(queued == part.degraded, &key, "a part's flag and the queue of degraded parts disagree");
        Ok(())
    }

    fn degraded(&mut self) -> Result<(), IndexDatabaseError> {
        for row in self.tables.degraded(&RangeInterval::WHOLE, None, usize::MAX)? {
            let place = keys::place(row.bucket, &row.key);
            let flagged = match (row.version, row.upload) {
                (_, Some(upload)) => self.tables.part(&place, upload, row.number)?.is_some_and(|part| part.degraded),
                (Some(version), None) => {
                    let which = crate::command::WhichVersion::Id(version);
                    let stored = self.tables.find_version(&place, which, self.tables.current(&place)?)?;
                    let body = stored.and_then(|stored| stored.body).map(|id| self.tables.body(id)).transpose()?;
                    matches!(body.map(|body| body.kind), Some(BodyKind::Single(part)) if part.degraded)
                }
                (None, None) => false,
            };
            self.expect(flagged, &row.row, "a degraded part is not there");
        }
        Ok(())
    }

    fn documents(&mut self) -> Result<(), IndexDatabaseError> {
        let sql = "SELECT DISTINCT bucket FROM documents";
        for bucket in self.tables.all(sql, [], |row| from_sql(row, 0).map(BucketId))? {
            let stands = self.tables.bucket_record(bucket)?.is_some();
            self.expect(stands, b"documents", &format!("bucket {bucket} is gone and its documents are not"));
            let changed = self.tables.documents_changed(bucket)?;
            self.expect(changed.0 > 0, b"documents", &format!("documents of bucket {bucket} were never changed"));
            self.tables.documents(bucket)?;
        }
        Ok(())
    }

    /// Notes of keys can be read, and followed buckets have a row in their range.
    fn lifecycles(&mut self) -> Result<(), IndexDatabaseError> {
        for range in self.tables.range_ids()? {
            self.tables.due(range, None, usize::MAX)?;
            for (bucket, followed) in self.tables.all_followed(range, BucketId(0))? {
                let stands = self.tables.bucket_row(range, bucket)?.is_some();
                self.expect(stands, b"lifecycles", &format!("bucket {bucket} is gone and is followed"));
                self.expect(followed.times.round_us > 0, b"lifecycles", "moments are rounded to nothing");
            }
        }
        Ok(())
    }

    /// Keys and memberships stand with both sides, and counters of policies are right.
    fn identities(&mut self) -> Result<(), IndexDatabaseError> {
        let sql = "SELECT DISTINCT account FROM identities WHERE account > 0";
        let accounts = self.tables.all(sql, [], |row| from_sql(row, 0).map(AccountId))?;
        let mut keys = 0;
        for row in self.tables.accounts(None, usize::MAX)? {
            keys += row.access_keys.len() as u64;
            for id in &row.access_keys {
                let holder = self.tables.access_key(id)?.map(|key| (key.account, key.user));
                self.expect(holder == Some((row.owner.account, None)), id.0.as_bytes(), "a root's key is not its own");
            }
        }
        for account in accounts {
            keys += self.identities_of(account)?;
        }
        let counted = self.tables.identity_count(AccountId(0), RowKind::AccessKey)?;
        self.expect(counted == keys, b"identities", &format!("{counted} keys stand, and holders name {keys}"));
        Ok(())
    }

    /// How many keys the account's users have.
    fn identities_of(&mut self, account: AccountId) -> Result<u64, IndexDatabaseError> {
        let (mut keys, mut memberships) = (0, 0);
        let mut uses: BTreeMap<Box<str>, (u32, u32)> = BTreeMap::new();
        for kind in IdentityKind::ALL {
            for row in self.tables.identities(account, kind, "", usize::MAX)? {
                keys += row.access_keys.len() as u64;
                memberships += row.groups.len() as u64;
                row.attached.iter().for_each(|arn| uses.entry(arn.clone()).or_default().0 += 1);
                row.boundary.iter().for_each(|arn| uses.entry(arn.clone()).or_default().1 += 1);
                for id in &row.access_keys {
                    let holder = self.tables.access_key(id)?.and_then(|key| key.user);
                    self.expect(holder.as_ref() == Some(&row.name), id.0.as_bytes(), "a user's key is not their own");
                }
                for group in &row.groups {
                    let is_member = self.tables.members(account, group, "", usize::MAX)?.contains(&row.name);
                    self.expect(is_member, group.as_bytes(), "a user's group does not have them");
                }
            }
        }
        let members = self.tables.identity_count(account, RowKind::Member)?;
        self.expect(members == memberships, b"identities", "a group has users who are not in it");
        for row in self.tables.policies(account, "", usize::MAX)? {
            let counted = uses.get(&*row.arn(account)).copied().unwrap_or_default();
            let kept = (row.attachments, row.boundaries);
            self.expect(counted == kept, row.name.as_bytes(), "a policy's uses are miscounted");
        }
        Ok(keys)
    }

    fn usage(&mut self) -> Result<(), IndexDatabaseError> {
        let kept = self.tables.all("SELECT DISTINCT bucket FROM usage", [], |row| from_sql(row, 0).map(BucketId))?;
        for bucket in kept {
            self.counted.entry(bucket).or_default();
        }
        for (bucket, counted) in std::mem::take(&mut self.counted) {
            let ranges = self.tables.range_ids()?.into_iter();
            let of_ranges = ranges.map(|range| self.tables.usage(range, bucket)).collect::<Result<Vec<_>, _>>()?;
            let kept = of_ranges.into_iter().fold(Usage::default(), Usage::plus);
            let says = format!("bucket {bucket} counts {kept:?} but has {counted:?}");
            self.expect(kept == counted, b"usage", &says);
        }
        Ok(())
    }
}

fn stored_and_key(row: &rusqlite::Row<'_>) -> Result<(Stored, Vec<u8>), IndexDatabaseError> {
    Ok((Stored::read(row, 0)?, blob(row, 2)?.to_vec()))
}
