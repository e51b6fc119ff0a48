//! The bytes that stand for Raft's values in the log and in the database. Each begins with a version byte; the golden
//! files in the tests say when one is due.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use openraft::EntryPayload;
use openraft::vote::leader_id_std::LeaderId;
use serde::{Deserialize, Serialize};
use types::{NodeId, VoterId};

use crate::raft_types::{Entry, LogId, Member, Membership, Proposed, StoredMembership, Vote, Voter, log_id, term_of};

/// The version that is written.
const VERSION: u8 = 1;
/// Stands in place of a version, so that a release that knows nothing of it refuses the range.
const INSTALLING: u8 = 0x81;
/// Bytes of an entry's payload before what it carries: version, term, index, kind.
pub(crate) const ENTRY_HEAD_BYTES: usize = 18;

const BLANK: u8 = 0;
const NORMAL: u8 = 1;
const MEMBERSHIP: u8 = 2;

/// Bytes that are not what they should be although their CRC is right: written by a newer release, or a bug.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("malformed {what}: {reason}")]
pub struct MalformedError {
    /// What was expected.
    pub what: &'static str,
    /// What is wrong with it.
    pub reason: String,
}

pub(crate) fn malformed(what: &'static str, reason: impl ToString) -> MalformedError {
    MalformedError { what, reason: reason.to_string() }
}

/// A group's vote, and how far it is purged and known to be committed.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct GroupState {
    pub(crate) vote: Option<Vote>,
    pub(crate) purged: Option<LogId>,
    pub(crate) committed: Option<LogId>,
}

/// An entry as the log keeps it: its head, and the bytes that follow it.
pub(crate) fn encode_entry(entry: &Entry) -> ([u8; ENTRY_HEAD_BYTES], Bytes) {
    let (kind, body) = match &entry.payload {
        EntryPayload::Blank => (BLANK, Bytes::new()),
        EntryPayload::Normal(proposed) => (NORMAL, proposed.bytes().clone()),
        EntryPayload::Membership(membership) => (MEMBERSHIP, encode(&MembershipForm::of(membership))),
    };
    let mut head = [0; ENTRY_HEAD_BYTES];
    head[0] = VERSION;
    head[1..9].copy_from_slice(&term_of(&entry.log_id).to_le_bytes());
    head[9..17].copy_from_slice(&entry.log_id.index.to_le_bytes());
    head[17] = kind;
    (head, body)
}

/// The id of an entry, without reading what it carries.
pub(crate) fn decode_entry_id(payload: &[u8]) -> Result<LogId, MalformedError> {
    if payload.len() < ENTRY_HEAD_BYTES {
        return Err(malformed("entry", "too short"));
    }
    check_version("entry", payload[0])?;
    let number = |at: usize| u64::from_le_bytes(payload[at..at + 8].try_into().expect("8 bytes of a longer slice"));
    Ok(log_id(number(1), number(9)))
}

/// Reads what [`encode_entry`] wrote.
pub(crate) fn decode_entry(payload: &Bytes) -> Result<Entry, MalformedError> {
    let log_id = decode_entry_id(payload)?;
    let body = payload.slice(ENTRY_HEAD_BYTES..);
    let payload = match payload[ENTRY_HEAD_BYTES - 1] {
        BLANK => EntryPayload::Blank,
        NORMAL => EntryPayload::Normal(Proposed::from_bytes(body)),
        MEMBERSHIP => EntryPayload::Membership(decode::<MembershipForm>("membership", &body)?.into_membership()?),
        other => return Err(malformed("entry", format!("unknown kind {other}"))),
    };
    Ok(Entry { log_id, payload })
}

/// A state record's payload.
pub(crate) fn encode_state(state: &GroupState) -> Bytes {
    encode(&StateForm {
        vote: state.vote.as_ref().map(VoteForm::of),
        purged: state.purged.as_ref().map(LogIdForm::of),
        committed: state.committed.as_ref().map(LogIdForm::of),
    })
}

/// Reads what [`encode_state`] wrote.
pub(crate) fn decode_state(payload: &[u8]) -> Result<GroupState, MalformedError> {
    let form: StateForm = decode("group state", payload)?;
    Ok(GroupState {
        vote: form.vote.map(VoteForm::into_vote),
        purged: form.purged.map(LogIdForm::into_log_id),
        committed: form.committed.map(LogIdForm::into_log_id),
    })
}

/// A truncate record's payload: the first index that is gone.
pub(crate) fn encode_truncate(first_removed: u64) -> Bytes {
    encode(&first_removed)
}

/// Reads what [`encode_truncate`] wrote.
pub(crate) fn decode_truncate(payload: &[u8]) -> Result<u64, MalformedError> {
    decode("truncation", payload)
}

/// An entry's name in the database (`index::RangeEntry::applied`).
pub(crate) fn encode_applied(id: &LogId) -> Bytes {
    encode(&LogIdForm::of(id))
}

/// Reads what [`encode_applied`] wrote.
pub(crate) fn decode_applied(bytes: &[u8]) -> Result<LogId, MalformedError> {
    decode::<LogIdForm>("applied id", bytes).map(LogIdForm::into_log_id)
}

/// What stands in place of an entry's name while a range's rows are being installed: the entry that they are of.
pub(crate) fn encode_installing(id: &LogId) -> Bytes {
    postcard::to_extend(&LogIdForm::of(id), vec![INSTALLING]).expect("a log id is two numbers").into()
}

/// Reads what [`encode_installing`] wrote; `None` for the name of an entry that was applied.
pub(crate) fn decode_installing(bytes: &[u8]) -> Option<Result<LogId, MalformedError>> {
    let body = bytes.strip_prefix(&[INSTALLING])?;
    let read = postcard::take_from_bytes::<LogIdForm>(body).map_err(|error| malformed("installing id", error));
    Some(read.and_then(|(id, rest)| match rest {
        [] => Ok(id.into_log_id()),
        _ => Err(malformed("installing id", "bytes follow it")),
    }))
}

/// A membership and its entry, as the database keeps it (`index::RangeEntry::membership`).
pub(crate) fn encode_membership(stored: &StoredMembership) -> Bytes {
    encode(&StoredMembershipForm {
        log_id: stored.log_id().as_ref().map(LogIdForm::of),
        membership: MembershipForm::of(stored.membership()),
    })
}

/// Reads what [`encode_membership`] wrote.
pub(crate) fn decode_membership(bytes: &[u8]) -> Result<StoredMembership, MalformedError> {
    let form: StoredMembershipForm = decode("stored membership", bytes)?;
    Ok(StoredMembership::new(form.log_id.map(LogIdForm::into_log_id), form.membership.into_membership()?))
}

#[derive(Serialize, Deserialize)]
pub(crate) struct LogIdForm {
    term: u64,
    index: u64,
}

impl LogIdForm {
    pub(crate) fn of(id: &LogId) -> Self {
        Self { term: term_of(id), index: id.index }
    }

    pub(crate) fn into_log_id(self) -> LogId {
        log_id(self.term, self.index)
    }
}

#[derive(Serialize, Deserialize)]
pub(crate) struct VoteForm {
    term: u64,
    voter: [u8; 16],
    committed: bool,
}

impl VoteForm {
    pub(crate) fn of(vote: &Vote) -> Self {
        Self { term: vote.leader_id.term, voter: vote.leader_id.voted_for.0.to_bytes(), committed: vote.committed }
    }

    pub(crate) fn into_vote(self) -> Vote {
        let voted_for = Voter(VoterId::from_bytes(self.voter));
        Vote { leader_id: LeaderId { term: self.term, voted_for }, committed: self.committed }
    }
}

#[derive(Serialize, Deserialize)]
struct StateForm {
    vote: Option<VoteForm>,
    purged: Option<LogIdForm>,
    committed: Option<LogIdForm>,
}

#[derive(Serialize, Deserialize)]
struct MembershipForm {
    /// One set of voters, or two while the group changes from the first to the second.
    configs: Vec<Vec<[u8; 16]>>,
    /// Every voter and learner, and its node.
    members: Vec<([u8; 16], [u8; 16])>,
}

#[derive(Serialize, Deserialize)]
struct StoredMembershipForm {
    log_id: Option<LogIdForm>,
    membership: MembershipForm,
}

impl MembershipForm {
    fn of(membership: &Membership) -> Self {
        let ids = |set: &BTreeSet<Voter>| set.iter().map(|voter| voter.0.to_bytes()).collect();
        Self {
            configs: membership.get_joint_config().iter().map(ids).collect(),
            members: membership.nodes().map(|(id, member)| (id.0.to_bytes(), member.node.to_bytes())).collect(),
        }
    }

    fn into_membership(self) -> Result<Membership, MalformedError> {
        let voter = |bytes: [u8; 16]| Voter(VoterId::from_bytes(bytes));
        let configs: Vec<BTreeSet<Voter>> =
            self.configs.into_iter().map(|set| set.into_iter().map(voter).collect()).collect();
        let members: BTreeMap<Voter, Member> =
            self.members.into_iter().map(|(id, node)| (voter(id), Member { node: NodeId::from_bytes(node) })).collect();
        if configs.is_empty() {
            return Ok(Membership::default());
        }
        Membership::new(configs, members).map_err(|error| malformed("membership", error))
    }
}

fn check_version(what: &'static str, version: u8) -> Result<(), MalformedError> {
    if version == VERSION { Ok(()) } else { Err(malformed(what, format!("version {version} is not known"))) }
}

pub(crate) fn encode<T: Serialize>(value: &T) -> Bytes {
    postcard::to_extend(value, vec![VERSION]).expect("these forms hold nothing that postcard refuses").into()
}

pub(crate) fn decode<T: for<'de> Deserialize<'de>>(what: &'static str, bytes: &[u8]) -> Result<T, MalformedError> {
    let Some((&version, body)) = bytes.split_first() else { return Err(malformed(what, "empty")) };
    check_version(what, version)?;
    let (value, rest) = postcard::take_from_bytes(body).map_err(|error| malformed(what, error))?;
    if rest.is_empty() { Ok(value) } else { Err(malformed(what, "bytes follow it")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn membership() -> Membership {
        let voters: Vec<BTreeSet<Voter>> =
            vec![BTreeSet::from([Voter::from(1), Voter::from(2)]), BTreeSet::from([Voter::from(2)])];
        let member = |node: u8| Member { node: NodeId::from_bytes([node; 16]) };
        let members =
            BTreeMap::from([(Voter::from(1), member(10)), (Voter::from(2), member(20)), (Voter::from(3), member(30))]);
        Membership::new(voters, members).expect("every voter is a member")
    }

    fn entries() -> Vec<Entry> {
        let proposed = Proposed::from_bytes(Bytes::from_static(b"\x01commands"));
        [EntryPayload::Blank, EntryPayload::Normal(proposed), EntryPayload::Membership(membership())]
            .into_iter()
            .zip(1..)
            .map(|(payload, index)| Entry { log_id: log_id(3, index), payload })
            .collect()
    }

    fn written(entry: &Entry) -> Bytes {
        let (head, body) = encode_entry(entry);
        [&head[..], &body].concat().into()
    }

    fn state() -> GroupState {
        let vote = Vote::new_committed(7, Voter::from(1));
        GroupState { vote: Some(vote), purged: Some(log_id(2, 300)), committed: Some(log_id(7, 90_000)) }
    }

    #[test]
    fn everything_reads_back() {
        for entry in entries() {
            assert_eq!(decode_entry(&written(&entry)), Ok(entry.clone()));
            assert_eq!(decode_entry_id(&written(&entry)), Ok(entry.log_id));
        }
        assert_eq!(decode_state(&encode_state(&state())), Ok(state()));
        assert_eq!(decode_state(&encode_state(&GroupState::default())), Ok(GroupState::default()));
        assert_eq!(decode_truncate(&encode_truncate(12)), Ok(12));
        assert_eq!(decode_applied(&encode_applied(&log_id(5, 6))), Ok(log_id(5, 6)));
        assert_eq!(decode_installing(&encode_installing(&log_id(5, 6))), Some(Ok(log_id(5, 6))));
        assert_eq!(decode_installing(&encode_applied(&log_id(5, 6))), None);
        assert!(decode_applied(&encode_installing(&log_id(5, 6))).is_err());
        let stored = StoredMembership::new(Some(log_id(1, 1)), membership());
        assert_eq!(decode_membership(&encode_membership(&stored)), Ok(stored));
        let none = StoredMembership::default();
        assert_eq!(decode_membership(&encode_membership(&none)), Ok(none));
    }

    #[test]
    fn an_unknown_version_is_an_error_and_not_a_guess() {
        let mut entry = written(&entries()[0]).to_vec();
        entry[0] = 2;
        assert!(decode_entry(&entry.into()).is_err());
        let mut bytes = encode_state(&state()).to_vec();
        bytes[0] = 2;
        assert!(decode_state(&bytes).is_err());
        assert!(decode_applied(&[]).is_err());
        let mut longer = encode_truncate(1).to_vec();
        longer.push(0);
        assert!(decode_truncate(&longer).is_err());
    }

    /// Golden bytes: a release must read what an older one wrote.
    #[test]
    fn formats_stay_as_they_were_first_written() {
        let stored = StoredMembership::new(Some(log_id(1, 1)), membership());
        let mut all: Vec<Bytes> = entries().iter().map(written).collect();
        all.extend([
            encode_state(&state()),
            encode_truncate(300),
            encode_applied(&log_id(3, 4)),
            encode_membership(&stored),
        ]);
        crate::testing::assert_golden("raft_values.bin", &all.concat());
        crate::testing::assert_golden("installing.bin", &encode_installing(&log_id(3, 4)));
    }
}
