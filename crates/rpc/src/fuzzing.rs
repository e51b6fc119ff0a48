//! The parsers of what comes over the wire, for fuzz targets: built with `--cfg fuzzing` alone.

use bytes::Bytes;

use crate::encoding::{
    ArchiveAnswer, ArchiveRequest, FrameHead, IndexAnswer, IndexAsked, IndexRequest, RaftAnswer, RaftRequest,
    ShardAnswer, ShardRequest, decode, encode,
};
use crate::handshake::{ClientHello, ServerHello};

/// Reads bytes as every message that there is.
///
/// # Panics
/// What was read is not read the same once it is written again.
pub fn read_message(bytes: &[u8]) {
    if let Ok(hello) = ClientHello::decode(bytes) {
        assert_eq!(ClientHello::decode(&hello.encode()), Ok(hello));
    }
    if let Ok(hello) = ServerHello::decode(bytes) {
        assert_eq!(ServerHello::decode(&hello.encode()), Ok(hello));
    }
    if let Ok((head, _)) = FrameHead::decode(bytes) {
        assert_eq!(FrameHead::decode(&head.encode_with(b"payload")).map(|(head, _)| head), Ok(head));
    }
    if let Ok(request) = ShardRequest::decode(bytes) {
        assert_eq!(ShardRequest::decode(&encode(&request)), Ok(request));
    }
    if let Ok(answer) = ShardAnswer::decode(bytes) {
        assert_eq!(ShardAnswer::decode(&encode(&answer)), Ok(answer));
    }
    if let Ok(request) = decode::<ArchiveRequest>(bytes) {
        assert_eq!(decode(&encode(&request)), Ok(request));
    }
    if let Ok(answer) = decode::<ArchiveAnswer>(bytes) {
        assert_eq!(decode(&encode(&answer)), Ok(answer));
    }
    if let Ok(request) = IndexRequest::decode(bytes) {
        // The first form is read and no longer written.
        let range = request.range.unwrap_or(index::SYSTEM_RANGE);
        let again = match &request.asked {
            IndexAsked::Propose(command) => IndexRequest::encode_command(range, command),
            IndexAsked::Query(query) => IndexRequest::encode_query(range, query),
        };
        assert_eq!(IndexRequest::decode(&again), Ok(IndexRequest { range: Some(range), ..request }));
    }
    if let Ok(answer) = decode::<IndexAnswer>(bytes) {
        assert_eq!(decode(&encode(&answer)), Ok(answer));
    }
    let bytes = Bytes::copy_from_slice(bytes);
    if let Ok((request, message)) = RaftRequest::decode(&bytes) {
        assert_eq!(RaftRequest::decode(&request.encode_with(&message).into()), Ok((request, message)));
    }
    if let Ok((answer, message)) = RaftAnswer::decode(&bytes) {
        assert_eq!(RaftAnswer::decode(&answer.encode_with(&message).into()), Ok((answer, message)));
    }
}
