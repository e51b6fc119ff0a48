//! From runs to bodies: which runs make up a part, which parts an upload.
//!
//! A part's first run says what the part is; those that go on with it say where. A stripe that was written twice, because
//! its first group failed, is taken where the next run begins. Two runs that could go on with a part make it ambiguous,
//! and so incomplete: nothing is guessed.

use std::collections::BTreeMap;

use objects::records::{NamedRecord, ObjectRecord, PartRecord};
use serde::{Deserialize, Serialize};
use types::{BucketId, BucketName, Extent, HomeKey, PartNumber, Timestamp, UploadId};

use super::scan::FoundRun;

/// A body whose stripes are all there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct WholeBody {
    pub(crate) began: Timestamp,
    pub(crate) bytes: u64,
    pub(crate) extents: Vec<Extent>,
}

/// What the runs of one key amount to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Assembled {
    /// A plain PUT, or a copy.
    Object { home: HomeKey, body: WholeBody, record: ObjectRecord },
    /// A Complete: the manifest's body, and the parts of its upload.
    Completed { home: HomeKey, upload: UploadId, manifest: WholeBody, parts: Vec<(PartNumber, WholeBody)> },
    /// A part of an upload that no manifest is of.
    LoosePart { home: HomeKey, upload: UploadId, number: PartNumber, body: WholeBody },
}

/// A body that is not all there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Incomplete {
    pub(crate) home: HomeKey,
    pub(crate) bytes: Option<u64>,
    pub(crate) reason: &'static str,
}

/// What came of one key's runs.
#[derive(Debug, Default)]
pub(crate) struct KeyBodies {
    pub(crate) assembled: Vec<Assembled>,
    pub(crate) incomplete: Vec<Incomplete>,
    /// What headers call the buckets.
    pub(crate) names: BTreeMap<BucketId, BucketName>,
}

/// A part's first run, read.
struct First<'a> {
    run: &'a FoundRun,
    record: PartRecord,
}

impl First<'_> {
    fn declared(&self) -> Option<u64> {
        match &self.record {
            PartRecord::Object(object) => object.declared_bytes,
            PartRecord::UploadPart { declared_bytes, .. } => *declared_bytes,
            PartRecord::Manifest { declared_bytes, .. } => Some(*declared_bytes),
        }
    }

    fn began(&self) -> Timestamp {
        match &self.record {
            PartRecord::Object(object) => object.began,
            PartRecord::UploadPart { began, .. } | PartRecord::Manifest { began, .. } => *began,
        }
    }

    /// What tells one body from another: a body that was written twice, elsewhere, has it twice.
    fn identity(&self) -> (u16, u8, Option<UploadId>, Timestamp) {
        let (kind, upload) = match &self.record {
            PartRecord::Object(_) => (0, None),
            PartRecord::UploadPart { upload, .. } => (1, Some(*upload)),
            PartRecord::Manifest { upload, .. } => (2, Some(*upload)),
        };
        (self.run.part, kind, upload, self.began())
    }
}

/// Puts together what the runs of one key are.
pub(crate) fn assemble(runs: &[FoundRun]) -> KeyBodies {
    let mut bodies = KeyBodies::default();
    let mut by_identity: BTreeMap<_, Vec<First<'_>>> = BTreeMap::new();
    for run in runs.iter().filter(|run| run.offset == 0) {
        let Some(record) = &run.record else { continue };
        match NamedRecord::decode(record) {
            Ok(NamedRecord { bucket, record }) => {
                if let Some(name) = bucket {
                    bodies.names.insert(run.home.bucket, name);
                }
                let first = First { run, record };
                by_identity.entry(first.identity()).or_default().push(first);
            }
            Err(_) => bodies.incomplete.push(incomplete(run, None, "its record is of no known format")),
        }
    }
    let mut completed: Vec<(UploadId, WholeBody)> = Vec::new();
    let mut parts: BTreeMap<UploadId, Vec<(PartNumber, WholeBody)>> = BTreeMap::new();
    for firsts in by_identity.into_values() {
        let declared = firsts.iter().find_map(First::declared);
        let whole = firsts.iter().map(|first| whole_of(first, runs).map(|body| (first, body)));
        let outcome = whole.reduce(Result::or).expect("an identity is of some run");
        match outcome {
            Ok((First { record: PartRecord::Object(record), run }, body)) => {
                let home = run.home.clone();
                bodies.assembled.push(Assembled::Object { home, body, record: record.clone() });
            }
            Ok((First { record: PartRecord::UploadPart { upload, .. }, run }, body)) => {
                let Some(number) = PartNumber::new(u32::from(run.part)) else { continue };
                parts.entry(*upload).or_default().push((number, body));
            }
            Ok((First { record: PartRecord::Manifest { upload, .. }, .. }, body)) => completed.push((*upload, body)),
            Err(reason) => bodies.incomplete.push(incomplete(firsts[0].run, declared, reason)),
        }
    }
    let Some(home) = runs.first().map(|run| run.home.clone()) else { return bodies };
    for (upload, manifest) in completed {
        let parts = parts.get(&upload).cloned().unwrap_or_default();
        bodies.assembled.push(Assembled::Completed { home: home.clone(), upload, manifest, parts });
    }
    let has_manifest = |upload: &UploadId| {
        bodies.assembled.iter().any(|body| matches!(body, Assembled::Completed { upload: of, .. } if of == upload))
    };
    let loose: Vec<_> = parts.into_iter().filter(|(upload, _)| !has_manifest(upload)).collect();
    for (upload, parts) in loose {
        let part = |(number, body)| Assembled::LoosePart { home: home.clone(), upload, number, body };
        bodies.assembled.extend(parts.into_iter().map(part));
    }
    bodies
}

fn incomplete(run: &FoundRun, bytes: Option<u64>, reason: &'static str) -> Incomplete {
    Incomplete { home: run.home.clone(), bytes, reason }
}

/// Follows a part from its first run to its declared end.
fn whole_of(first: &First<'_>, runs: &[FoundRun]) -> Result<WholeBody, &'static str> {
    let bytes = first.declared().ok_or("its length was not declared, so that its end can't be told")?;
    let mut extents = vec![first.run.run.clone()];
    let mut end = first.run.run.plain_bytes();
    while end < bytes {
        let last_start = end - extents.last().expect("begun with one").plain_bytes();
        let goes_on = |run: &&FoundRun| {
            run.part == first.run.part
                && run.run.id.ticket == first.run.run.id.ticket
                && run.record.is_none()
                && run.offset > last_start
                && run.offset <= end
                && run.offset + run.run.plain_bytes() > end
        };
        let mut following = runs.iter().filter(goes_on);
        let next = following.next().ok_or("stripes of it are missing")?;
        if following.next().is_some() {
            return Err("several runs could go on with it");
        }
        let last = extents.last_mut().expect("begun with one");
        // The stripes behind the place where the next run begins were written again.
        let kept = next.offset - last_start;
        let stripe = u64::from(last.stripe_bytes);
        if kept < last.plain_bytes() {
            if !kept.is_multiple_of(stripe) {
                return Err("its runs do not fit each other");
            }
            last.stripes = u32::try_from(kept / stripe).map_err(|_| "its runs do not fit each other")?;
            last.last_stripe_bytes = last.stripe_bytes;
        }
        end = next.offset + next.run.plain_bytes();
        extents.push(next.run.clone());
    }
    if end > bytes {
        return Err("it is longer than was declared");
    }
    let slice = |run: types::Run| Extent::Slice { offset: 0, length: run.plain_bytes(), run };
    Ok(WholeBody { began: first.began(), bytes, extents: extents.into_iter().map(slice).collect() })
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use index::contract::samples;
    use types::{ObjectKey, RunId, TicketId, Versioning};

    use super::*;

    const STRIPE: u32 = 1000;

    fn run(tail: u64, offset: u64, stripes: u32, last: u32, record: Option<PartRecord>) -> FoundRun {
        let mut run = samples::run(5, tail, last);
        run.id = RunId { ticket: TicketId(5), tail };
        (run.stripe_bytes, run.stripes) = (STRIPE, stripes);
        let encode = |record| NamedRecord { bucket: Some(BucketName::new("bucket").unwrap()), record }.encode();
        FoundRun {
            run,
            home: HomeKey { bucket: BucketId(3), key: ObjectKey::new("key").unwrap() },
            part: 1,
            offset,
            record: record.map(encode),
        }
    }

    fn object(began: u64, bytes: u64) -> Option<PartRecord> {
        Some(PartRecord::Object(ObjectRecord {
            began: Timestamp(began),
            versioning: Versioning::Enabled,
            attributes: types::ObjectAttributes::default(),
            owner: samples::owner(),
            declared_bytes: Some(bytes),
            checksum: None,
        }))
    }

    fn lengths(bodies: &KeyBodies) -> Vec<Vec<u64>> {
        let of = |assembled: &Assembled| match assembled {
            Assembled::Object { body, .. } => body.extents.iter().map(Extent::length).collect(),
            other => panic!("an object, not {other:?}"),
        };
        bodies.assembled.iter().map(of).collect()
    }

    #[test]
    fn a_body_of_several_runs_is_followed_to_its_declared_end() {
        let runs = [run(1, 0, 3, 1000, object(1, 4500)), run(2, 3000, 2, 500, None)];
        let bodies = assemble(&runs);
        assert_eq!(lengths(&bodies), [[3000, 1500]]);
        assert_eq!(bodies.names[&BucketId(3)].as_str(), "bucket");
    }

    #[test]
    fn a_stripe_that_was_written_twice_is_taken_once() {
        let runs = [run(1, 0, 3, 1000, object(1, 3500)), run(2, 2000, 2, 500, None)];
        assert_eq!(lengths(&assemble(&runs)), [[2000, 1500]]);
    }

    #[test]
    fn what_is_missing_or_ambiguous_is_incomplete_and_not_guessed() {
        let missing = [run(1, 0, 3, 1000, object(1, 4500))];
        let ambiguous = [run(1, 0, 3, 1000, object(1, 4500)), run(2, 3000, 2, 500, None), run(3, 3000, 2, 500, None)];
        let longer = [run(1, 0, 3, 1000, object(1, 2500))];
        for runs in [&missing[..], &ambiguous, &longer] {
            let bodies = assemble(runs);
            assert_eq!((bodies.assembled.len(), bodies.incomplete.len()), (0, 1), "{:?}", bodies.assembled);
        }
    }

    /// A body that was written again elsewhere, by re-striping or after a failure, has the same record twice.
    #[test]
    fn a_body_that_lies_there_twice_is_one() {
        let runs =
            [run(1, 0, 1, 900, object(1, 2000)), run(2, 0, 2, 1000, object(1, 2000)), run(3, 0, 1, 7, object(2, 7))];
        assert_eq!(lengths(&assemble(&runs)), [[2000], [7]]);
    }

    #[test]
    fn parts_belong_to_their_uploads_manifest_or_are_loose() {
        let part = |upload| PartRecord::UploadPart { upload, began: Timestamp(2), declared_bytes: Some(10) };
        let [one, other] = [1, 2].map(|seed| UploadId::from_bytes([seed; 16]));
        let manifest = PartRecord::Manifest { upload: one, began: Timestamp(3), declared_bytes: 20 };
        let mut runs =
            [run(1, 0, 1, 10, Some(part(one))), run(2, 0, 1, 10, Some(part(other))), run(3, 0, 1, 20, Some(manifest))];
        runs[2].part = 0;
        let bodies = assemble(&runs);
        assert!(
            matches!(&bodies.assembled[0], Assembled::Completed { upload, parts, .. } if *upload == one && parts.len() == 1)
        );
        assert!(matches!(&bodies.assembled[1], Assembled::LoosePart { upload, .. } if *upload == other));
        assert_eq!(bodies.assembled.len(), 2);
    }

    #[test]
    fn records_of_no_known_format_are_told() {
        let mut runs = [run(1, 0, 1, 10, object(1, 10))];
        runs[0].record = Some(Bytes::from_static(b"\x09"));
        assert_eq!(assemble(&runs).incomplete.len(), 1);
    }
}
