//! What voters say to each other, as bytes: a version, a kind, and what the kind has.
//!
//! A message has all of its bytes or is refused; entries are not copied out of it.

use bytes::{BufMut, Bytes, BytesMut};
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, TransferLeaderError, TransferLeaderRequest,
    TransferLeaderResponse, VoteRequest, VoteResponse,
};
use serde::{Deserialize, Serialize};
use types::{RangeDescriptor, VoterId};

use crate::encoding::{LogIdForm, MalformedError, VoteForm, decode_entry, encode_entry, malformed};
use crate::raft_types::{Entry, TypeConfig, Vote, Voter};

/// The version that is written.
const VERSION: u8 = 1;

/// A piece of a file of rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SnapshotPiece {
    /// Names the file among those that are sent.
    pub(crate) id: [u8; 16],
    /// Where in the file the piece lies.
    pub(crate) offset: u64,
    pub(crate) bytes: Bytes,
}

/// All pieces of a file of rows were sent: it is to be installed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SnapshotEnd {
    pub(crate) vote: Vote,
    pub(crate) id: [u8; 16],
    /// Bytes of the file.
    pub(crate) bytes: u64,
    /// BLAKE3 of it.
    pub(crate) hash: [u8; 32],
}

/// What is asked of a voter.
#[derive(Debug, Clone)]
pub(crate) enum Request {
    Append(AppendEntriesRequest<TypeConfig>),
    Vote(VoteRequest<TypeConfig>),
    PreVote(VoteRequest<TypeConfig>),
    Transfer(TransferLeaderRequest<TypeConfig>),
    Piece(SnapshotPiece),
    Install(SnapshotEnd),
    /// Asks the node to begin a range, blank, that it is to be a voter of.
    Host(RangeDescriptor),
}

/// What a voter answers.
#[derive(Debug, Clone)]
pub(crate) enum Reply {
    Append(AppendEntriesResponse<TypeConfig>),
    Vote(VoteResponse<TypeConfig>),
    Transfer(TransferLeaderResponse<TypeConfig>),
    /// The piece was written.
    Piece,
    Install(SnapshotResponse<TypeConfig>),
    /// Whether the range is there now.
    Host(bool),
}

const APPEND: u8 = 1;
const VOTE: u8 = 2;
const PRE_VOTE: u8 = 3;
const TRANSFER: u8 = 4;
const PIECE: u8 = 5;
const INSTALL: u8 = 6;
const HOST: u8 = 7;

#[derive(Serialize, Deserialize)]
struct AppendForm {
    vote: VoteForm,
    previous: Option<LogIdForm>,
    committed: Option<LogIdForm>,
    /// Bytes of each entry; they follow.
    entries: Vec<u32>,
}

#[derive(Serialize, Deserialize)]
struct VoteRequestForm {
    vote: VoteForm,
    last: Option<LogIdForm>,
    is_transfer: bool,
}

#[derive(Serialize, Deserialize)]
struct TransferForm {
    from: VoteForm,
    to: [u8; 16],
    last: Option<LogIdForm>,
}

#[derive(Serialize, Deserialize)]
struct PieceForm {
    id: [u8; 16],
    offset: u64,
}

#[derive(Serialize, Deserialize)]
struct InstallForm {
    vote: VoteForm,
    id: [u8; 16],
    bytes: u64,
    hash: [u8; 32],
}

#[derive(Serialize, Deserialize)]
enum AppendReplyForm {
    Success,
    Partial(Option<LogIdForm>),
    Conflict,
    HigherVote(VoteForm),
}

#[derive(Serialize, Deserialize)]
struct VoteReplyForm {
    vote: VoteForm,
    granted: bool,
    last: Option<LogIdForm>,
}

#[derive(Serialize, Deserialize)]
enum TransferReplyForm {
    Accepted,
    VoteChanged { expected: VoteForm, actual: VoteForm },
    LogNotFlushed { expected: Option<LogIdForm>, actual: Option<LogIdForm> },
}

impl Request {
    /// Version, kind, form, and what follows it.
    pub(crate) fn encode(&self) -> Bytes {
        match self {
            Self::Append(append) => encode_append(append),
            Self::Vote(vote) => encode(VOTE, &VoteRequestForm::of(vote)),
            Self::PreVote(vote) => encode(PRE_VOTE, &VoteRequestForm::of(vote)),
            Self::Transfer(transfer) => {
                let form = TransferForm {
                    from: VoteForm::of(transfer.from_leader()),
                    to: transfer.to_node_id().0.to_bytes(),
                    last: transfer.last_log_id().map(LogIdForm::of),
                };
                encode(TRANSFER, &form)
            }
            Self::Piece(SnapshotPiece { id, offset, bytes }) => {
                let mut message = begin(PIECE, &PieceForm { id: *id, offset: *offset }, bytes.len());
                message.put_slice(bytes);
                message.freeze()
            }
            Self::Install(SnapshotEnd { vote, id, bytes, hash }) => {
                encode(INSTALL, &InstallForm { vote: VoteForm::of(vote), id: *id, bytes: *bytes, hash: *hash })
            }
            Self::Host(descriptor) => encode(HOST, descriptor),
        }
    }

    /// Reads what [`Request::encode`] wrote.
    pub(crate) fn decode(message: &Bytes) -> Result<Self, MalformedError> {
        let what = "Raft request";
        Ok(match kind(what, message)? {
            APPEND => Self::Append(decode_append(message)?),
            VOTE => Self::Vote(whole::<VoteRequestForm>(what, message)?.into_request()),
            PRE_VOTE => Self::PreVote(whole::<VoteRequestForm>(what, message)?.into_request()),
            TRANSFER => {
                let TransferForm { from, to, last } = whole(what, message)?;
                let to = Voter(VoterId::from_bytes(to));
                let last = last.map(LogIdForm::into_log_id);
                Self::Transfer(TransferLeaderRequest::new(from.into_vote(), to, last))
            }
            PIECE => {
                let (PieceForm { id, offset }, bytes) = form(what, message)?;
                Self::Piece(SnapshotPiece { id, offset, bytes })
            }
            INSTALL => {
                let InstallForm { vote, id, bytes, hash } = whole(what, message)?;
                Self::Install(SnapshotEnd { vote: vote.into_vote(), id, bytes, hash })
            }
            HOST => Self::Host(whole(what, message)?),
            other => return Err(malformed(what, format!("unknown kind {other}"))),
        })
    }
}

impl Reply {
    /// Version, kind, form.
    pub(crate) fn encode(&self) -> Bytes {
        match self {
            Self::Append(reply) => encode(
                APPEND,
                &match reply {
                    AppendEntriesResponse::Success => AppendReplyForm::Success,
                    AppendEntriesResponse::PartialSuccess(upto) => {
                        AppendReplyForm::Partial(upto.as_ref().map(LogIdForm::of))
                    }
                    AppendEntriesResponse::Conflict => AppendReplyForm::Conflict,
                    AppendEntriesResponse::HigherVote(vote) => AppendReplyForm::HigherVote(VoteForm::of(vote)),
                },
            ),
            Self::Vote(VoteResponse { vote, vote_granted, last_log_id }) => {
                let last = last_log_id.as_ref().map(LogIdForm::of);
                encode(VOTE, &VoteReplyForm { vote: VoteForm::of(vote), granted: *vote_granted, last })
            }
            Self::Transfer(reply) => encode(
                TRANSFER,
                &match reply {
                    Ok(()) => TransferReplyForm::Accepted,
                    Err(TransferLeaderError::VoteChanged { expected, actual }) => TransferReplyForm::VoteChanged {
                        expected: VoteForm::of(expected),
                        actual: VoteForm::of(actual),
                    },
                    Err(TransferLeaderError::LogNotFlushed { expected, actual }) => TransferReplyForm::LogNotFlushed {
                        expected: expected.as_ref().map(LogIdForm::of),
                        actual: actual.as_ref().map(LogIdForm::of),
                    },
                },
            ),
            Self::Piece => encode(PIECE, &()),
            Self::Install(SnapshotResponse { vote }) => encode(INSTALL, &VoteForm::of(vote)),
            Self::Host(is_there) => encode(HOST, is_there),
        }
    }

    /// Reads what [`Reply::encode`] wrote.
    pub(crate) fn decode(message: &Bytes) -> Result<Self, MalformedError> {
        let what = "Raft reply";
        Ok(match kind(what, message)? {
            APPEND => Self::Append(match whole(what, message)? {
                AppendReplyForm::Success => AppendEntriesResponse::Success,
                AppendReplyForm::Partial(upto) => {
                    AppendEntriesResponse::PartialSuccess(upto.map(LogIdForm::into_log_id))
                }
                AppendReplyForm::Conflict => AppendEntriesResponse::Conflict,
                AppendReplyForm::HigherVote(vote) => AppendEntriesResponse::HigherVote(vote.into_vote()),
            }),
            VOTE => {
                let VoteReplyForm { vote, granted, last } = whole(what, message)?;
                Self::Vote(VoteResponse::new(vote.into_vote(), last.map(LogIdForm::into_log_id), granted))
            }
            TRANSFER => Self::Transfer(match whole(what, message)? {
                TransferReplyForm::Accepted => Ok(()),
                TransferReplyForm::VoteChanged { expected, actual } => {
                    Err(TransferLeaderError::VoteChanged { expected: expected.into_vote(), actual: actual.into_vote() })
                }
                TransferReplyForm::LogNotFlushed { expected, actual } => Err(TransferLeaderError::LogNotFlushed {
                    expected: expected.map(LogIdForm::into_log_id),
                    actual: actual.map(LogIdForm::into_log_id),
                }),
            }),
            PIECE => {
                whole::<()>(what, message)?;
                Self::Piece
            }
            INSTALL => Self::Install(SnapshotResponse::new(whole::<VoteForm>(what, message)?.into_vote())),
            HOST => Self::Host(whole(what, message)?),
            other => return Err(malformed(what, format!("unknown kind {other}"))),
        })
    }
}

impl VoteRequestForm {
    fn of(request: &VoteRequest<TypeConfig>) -> Self {
        Self {
            vote: VoteForm::of(&request.vote),
            last: request.last_log_id.as_ref().map(LogIdForm::of),
            is_transfer: request.leadership_transfer,
        }
    }

    fn into_request(self) -> VoteRequest<TypeConfig> {
        let mut request = VoteRequest::new(self.vote.into_vote(), self.last.map(LogIdForm::into_log_id));
        request.leadership_transfer = self.is_transfer;
        request
    }
}

fn encode_append(append: &AppendEntriesRequest<TypeConfig>) -> Bytes {
    let entries: Vec<_> = append.entries.iter().map(encode_entry).collect();
    let bytes_of = |(head, body): &([u8; crate::encoding::ENTRY_HEAD_BYTES], Bytes)| head.len() + body.len();
    let lengths = entries.iter().map(|entry| u32::try_from(bytes_of(entry)).expect("an entry is shorter than 4 GiB"));
    let form = AppendForm {
        vote: VoteForm::of(&append.vote),
        previous: append.prev_log_id.as_ref().map(LogIdForm::of),
        committed: append.leader_commit.as_ref().map(LogIdForm::of),
        entries: lengths.collect(),
    };
    let mut message = begin(APPEND, &form, entries.iter().map(bytes_of).sum());
    for (head, body) in entries {
        message.put_slice(&head);
        message.put_slice(&body);
    }
    message.freeze()
}

fn decode_append(message: &Bytes) -> Result<AppendEntriesRequest<TypeConfig>, MalformedError> {
    let what = "append request";
    let (AppendForm { vote, previous, committed, entries: lengths }, mut rest) = form(what, message)?;
    let mut entries: Vec<Entry> = Vec::with_capacity(lengths.len().min(rest.len()));
    for bytes in lengths {
        let bytes = bytes as usize;
        if rest.len() < bytes {
            return Err(malformed(what, "it is too short for its entries"));
        }
        entries.push(decode_entry(&rest.split_to(bytes))?);
    }
    if !rest.is_empty() {
        return Err(malformed(what, "bytes follow its entries"));
    }
    Ok(AppendEntriesRequest {
        vote: vote.into_vote(),
        prev_log_id: previous.map(LogIdForm::into_log_id),
        entries,
        leader_commit: committed.map(LogIdForm::into_log_id),
    })
}

fn begin(kind: u8, form: &impl Serialize, follows: usize) -> BytesMut {
    let head = postcard::to_extend(form, vec![VERSION, kind]).expect("these forms hold nothing that postcard refuses");
    let mut message = BytesMut::with_capacity(head.len() + follows);
    message.put_slice(&head);
    message
}

fn encode(kind: u8, form: &impl Serialize) -> Bytes {
    begin(kind, form, 0).freeze()
}

fn kind(what: &'static str, message: &[u8]) -> Result<u8, MalformedError> {
    match message {
        [VERSION, kind, ..] => Ok(*kind),
        [VERSION] | [] => Err(malformed(what, "too short")),
        [other, ..] => Err(malformed(what, format!("version {other} is not known"))),
    }
}

/// The form behind version and kind, and what follows it.
fn form<T: for<'de> Deserialize<'de>>(what: &'static str, message: &Bytes) -> Result<(T, Bytes), MalformedError> {
    let body = message.get(2..).ok_or_else(|| malformed(what, "too short"))?;
    let (form, rest) = postcard::take_from_bytes(body).map_err(|error| malformed(what, error))?;
    Ok((form, message.slice(message.len() - rest.len()..)))
}

fn whole<T: for<'de> Deserialize<'de>>(what: &'static str, message: &Bytes) -> Result<T, MalformedError> {
    let (form, rest) = form(what, message)?;
    if rest.is_empty() { Ok(form) } else { Err(malformed(what, "bytes follow it")) }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use openraft::EntryPayload;
    use proptest::prelude::*;

    use super::*;
    use crate::raft_types::{Proposed, log_id};
    use crate::testing::assert_golden;

    fn vote() -> Vote {
        Vote::new_committed(7, Voter::from(1))
    }

    fn requests() -> Vec<(&'static str, Request)> {
        let proposed = Proposed::from_bytes(Bytes::from_static(b"\x01commands"));
        let entry = |index, payload| Entry { log_id: log_id(3, index), payload };
        let append = AppendEntriesRequest {
            vote: vote(),
            prev_log_id: Some(log_id(2, 300)),
            entries: vec![entry(301, EntryPayload::Blank), entry(302, EntryPayload::Normal(proposed))],
            leader_commit: Some(log_id(2, 299)),
        };
        let heartbeat =
            AppendEntriesRequest { vote: vote(), prev_log_id: None, entries: Vec::new(), leader_commit: None };
        let mut transferred = VoteRequest::new(Vote::new(8, Voter::from(2)), Some(log_id(3, 302)));
        transferred.leadership_transfer = true;
        let transfer = TransferLeaderRequest::new(vote(), Voter::from(2), Some(log_id(3, 302)));
        let piece = SnapshotPiece { id: [4; 16], offset: 1 << 20, bytes: Bytes::from_static(b"rows") };
        vec![
            ("append", Request::Append(append)),
            ("heartbeat", Request::Append(heartbeat)),
            ("vote", Request::Vote(transferred)),
            ("pre_vote", Request::PreVote(VoteRequest::new(Vote::new(9, Voter::from(3)), None))),
            ("transfer", Request::Transfer(transfer)),
            ("piece", Request::Piece(piece)),
            ("install", Request::Install(SnapshotEnd { vote: vote(), id: [4; 16], bytes: 5000, hash: [6; 32] })),
            ("host", Request::Host(descriptor())),
        ]
    }

    fn descriptor() -> RangeDescriptor {
        let interval = types::RangeInterval { start: b"from".to_vec(), end: Some(b"to".to_vec()) };
        RangeDescriptor { id: types::RangeId(300), interval, epoch: types::SplitEpoch(2) }
    }

    fn replies() -> Vec<(&'static str, Reply)> {
        let expected = Some(log_id(3, 302));
        let changed = TransferLeaderError::VoteChanged { expected: vote(), actual: Vote::new(8, Voter::from(2)) };
        vec![
            ("append_success", Reply::Append(AppendEntriesResponse::Success)),
            ("append_partial", Reply::Append(AppendEntriesResponse::PartialSuccess(expected))),
            ("append_conflict", Reply::Append(AppendEntriesResponse::Conflict)),
            ("append_higher_vote", Reply::Append(AppendEntriesResponse::HigherVote(vote()))),
            ("vote", Reply::Vote(VoteResponse::new(vote(), expected, true))),
            ("transfer_accepted", Reply::Transfer(Ok(()))),
            ("transfer_vote_changed", Reply::Transfer(Err(changed))),
            (
                "transfer_not_flushed",
                Reply::Transfer(Err(TransferLeaderError::LogNotFlushed { expected, actual: None })),
            ),
            ("piece", Reply::Piece),
            ("install", Reply::Install(SnapshotResponse::new(vote()))),
            ("host", Reply::Host(true)),
        ]
    }

    #[test]
    fn messages_stay_as_they_were_first_written_and_read_back() {
        for (name, request) in requests() {
            let bytes = request.encode();
            assert_golden(&format!("request_{name}.bin"), &bytes);
            let read = Request::decode(&bytes).expect("its own bytes");
            assert_eq!(format!("{read:?}"), format!("{request:?}"));
        }
        for (name, reply) in replies() {
            let bytes = reply.encode();
            assert_golden(&format!("reply_{name}.bin"), &bytes);
            let read = Reply::decode(&bytes).expect("its own bytes");
            assert_eq!(format!("{read:?}"), format!("{reply:?}"));
        }
    }

    /// One that is added needs its bytes above.
    #[test]
    fn every_kind_of_message_has_golden_bytes() {
        let known = |decode: fn(&Bytes) -> Option<MalformedError>| -> BTreeSet<u8> {
            let is_unknown = |error: &MalformedError| error.to_string().contains("unknown kind");
            let kinds = 0..=u8::MAX;
            kinds.filter(|kind| !decode(&vec![VERSION, *kind].into()).as_ref().is_some_and(is_unknown)).collect()
        };
        let asked: BTreeSet<u8> = requests().iter().map(|(_, request)| request.encode()[1]).collect();
        assert_eq!(asked, known(|bytes| Request::decode(bytes).err()));
        let answered: BTreeSet<u8> = replies().iter().map(|(_, reply)| reply.encode()[1]).collect();
        assert_eq!(answered, known(|bytes| Reply::decode(bytes).err()));
    }

    #[test]
    fn an_unknown_version_is_refused_and_so_are_bytes_too_few_or_many() {
        let mut all: Vec<Bytes> = requests().iter().map(|(_, request)| request.encode()).collect();
        all.extend(replies().iter().map(|(_, reply)| reply.encode()));
        for bytes in all {
            let mut newer = bytes.to_vec();
            newer[0] = 2;
            let newer = Bytes::from(newer);
            assert!(Request::decode(&newer).is_err() && Reply::decode(&newer).is_err());
            assert!(Request::decode(&bytes.slice(..1)).is_err() && Reply::decode(&bytes.slice(..1)).is_err());
        }
        for (name, request) in requests().into_iter().filter(|(name, _)| *name != "piece") {
            let mut longer = request.encode().to_vec();
            longer.push(0);
            assert!(Request::decode(&longer.into()).is_err(), "{name}");
            let bytes = request.encode();
            assert!(Request::decode(&bytes.slice(..bytes.len() - 1)).is_err(), "{name}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(mut bytes in proptest::collection::vec(any::<u8>(), 0..200), kind in 0u8..8) {
            if let [version, second, ..] = &mut bytes[..] {
                *version = VERSION;
                *second = kind;
            }
            let bytes = Bytes::from(bytes);
            let _ = Request::decode(&bytes);
            let _ = Reply::decode(&bytes);
        }
    }
}
