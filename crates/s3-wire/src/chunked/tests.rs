use proptest::prelude::{prop, prop_assert_eq, proptest};
use types::ChecksumAlgorithm;

use super::*;

const SIGNATURE: &str = "ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648";

/// Feeds `body` cut into frames of the given lengths (the last one is repeated), and joins data events, so that equal
/// streams give equal answers whatever their cut.
fn decode(form: ChunkedForm, plain_bytes: u64, body: &[u8], cuts: &[usize]) -> Result<Vec<ChunkEvent>, ErrorCode> {
    let mut decoder = ChunkDecoder::new(form, plain_bytes);
    let mut events: Vec<ChunkEvent> = Vec::new();
    let mut rest = Bytes::copy_from_slice(body);
    let mut cuts = cuts.iter().copied().chain(std::iter::repeat(cuts.last().copied().unwrap_or(body.len().max(1))));
    while !rest.is_empty() {
        let length = cuts.next().expect("cuts repeat").clamp(1, rest.len());
        let mut frame = rest.split_to(length);
        while let Some(event) = decoder.decode(&mut frame).map_err(|error| error.code())? {
            match (events.last_mut(), event) {
                (Some(ChunkEvent::Data(joined)), ChunkEvent::Data(data)) => {
                    *joined = [&joined[..], &data[..]].concat().into();
                }
                (_, event) => events.push(event),
            }
        }
        assert!(frame.is_empty());
    }
    decoder.finish().map_err(|error| error.code())?;
    Ok(events)
}

fn payload(events: &[ChunkEvent]) -> Vec<u8> {
    let data =
        events.iter().filter_map(|event| if let ChunkEvent::Data(data) = event { Some(&data[..]) } else { None });
    data.collect::<Vec<_>>().concat()
}

/// A signed body of chunks of these sizes, and its plain bytes.
fn signed_body(sizes: &[usize], ending: &str) -> (Vec<u8>, Vec<u8>) {
    let (mut body, mut plain) = (Vec::new(), Vec::new());
    for size in sizes.iter().chain([&0]) {
        body.extend_from_slice(format!("{size:x};chunk-signature={SIGNATURE}\r\n").as_bytes());
        let data: Vec<u8> = (0..*size).map(|at| (at % 251) as u8).collect();
        body.extend_from_slice(&data);
        if *size > 0 {
            body.extend_from_slice(b"\r\n");
        }
        plain.extend_from_slice(&data);
    }
    body.extend_from_slice(ending.as_bytes());
    (body, plain)
}

#[test]
fn signed_chunks_are_taken_apart() {
    let (body, plain) = signed_body(&[65536, 1024], "\r\n");
    let events = decode(ChunkedForm::Signed, 66560, &body, &[]).unwrap();
    assert_eq!(payload(&events), plain);
    let signature = Some(SIGNATURE.as_bytes().try_into().unwrap());
    assert_eq!(events[0], ChunkEvent::Start { size: 65536, signature });
    assert_eq!(events[2..4], [ChunkEvent::End, ChunkEvent::Start { size: 1024, signature }]);
    assert_eq!(
        events[5..],
        [ChunkEvent::End, ChunkEvent::Start { size: 0, signature }, ChunkEvent::End, ChunkEvent::Done]
    );
}

#[test]
fn payload_is_never_copied() {
    let frame = Bytes::from_static(b"5\r\nhello\r\n0\r\n\r\n");
    let start = frame.as_ptr();
    let mut rest = frame.clone();
    let mut decoder = ChunkDecoder::new(ChunkedForm::UnsignedTrailer, 5);
    decoder.decode(&mut rest).unwrap();
    let Some(ChunkEvent::Data(data)) = decoder.decode(&mut rest).unwrap() else { panic!("data follows the header") };
    assert_eq!(data.as_ptr() as usize - start as usize, 3);
}

#[test]
fn trailers_are_read_in_the_forms_that_clients_send() {
    let checksum = "x-amz-checksum-crc32c:sOO8/Q==";
    let signature = format!("x-amz-trailer-signature:{SIGNATURE}");
    for ending in [
        format!("{checksum}\r\n{signature}\r\n\r\n"),
        format!("{checksum}\n\r\n{signature}\n\r\n\r\n"),
        format!("{checksum}\n\r\n{signature}\r\n\r\n"),
        format!("X-Amz-Checksum-CRC32C : sOO8/Q== \r\n{signature}\r\n\r\n"),
    ] {
        let (body, _) = signed_body(&[10], &ending);
        let events = decode(ChunkedForm::SignedTrailer, 10, &body, &[]).unwrap();
        let Some(ChunkEvent::Trailer(trailer)) = events.last() else { panic!("no trailer in {events:?}") };
        assert_eq!(trailer.canonical(), b"x-amz-checksum-crc32c:sOO8/Q==\n", "{ending:?}");
        assert_eq!(trailer.signature().map(|signature| &signature[..]), Some(SIGNATURE.as_bytes()));
        assert_eq!(trailer.checksum(ChecksumAlgorithm::Crc32c).unwrap().value(), [0xb0, 0xe3, 0xbc, 0xfd]);
        assert!(trailer.checksum(ChecksumAlgorithm::Crc32).is_err());
    }
    for ending in [format!("{checksum}\r\n\r\n"), format!("{checksum}\n\r\n\r\n"), format!("{checksum}\n\n")] {
        let body = format!("5\r\nhello\r\n0\r\n{ending}");
        let events = decode(ChunkedForm::UnsignedTrailer, 5, body.as_bytes(), &[]).unwrap();
        let Some(ChunkEvent::Trailer(trailer)) = events.last() else { panic!("no trailer in {events:?}") };
        assert!(trailer.checksum(ChecksumAlgorithm::Crc32c).is_ok());
    }
}

#[test]
fn broken_bodies_are_refused() {
    use ErrorCode::{IncompleteBody, InvalidChunkSizeError, MalformedTrailerError};
    let unsigned = |plain_bytes, body: &str| decode(ChunkedForm::UnsignedTrailer, plain_bytes, body.as_bytes(), &[]);
    for (plain_bytes, body) in [
        (5, "5\r\nhello\r\n"),
        (5, "5\r\nhel"),
        (5, "5\r\nhelloX\r\n0\r\n\r\n"),
        (5, "5\r\nhello\r\n0\r\n"),
        (6, "5\r\nhello\r\n0\r\n\r\n"),
        (4, "5\r\nhello\r\n0\r\n\r\n"),
        (5, "g\r\nhello\r\n0\r\n\r\n"),
        (5, "-5\r\nhello\r\n0\r\n\r\n"),
        (5, "\r\nhello\r\n0\r\n\r\n"),
        (5, "10000000000000005\r\nhello\r\n0\r\n\r\n"),
        (5, "5\r\nhello\r\n0\r\n\r\nmore"),
        (0, ""),
    ] {
        assert_eq!(unsigned(plain_bytes, body), Err(IncompleteBody), "{body:?}");
    }
    assert_eq!(unsigned(10, "5\r\nhello\r\n5\r\nworld\r\n0\r\n\r\n"), Err(InvalidChunkSizeError));
    assert_eq!(unsigned(5, "5\r\nhello\r\n0\r\nno header\r\n\r\n"), Err(MalformedTrailerError));
    assert_eq!(unsigned(5, &format!("5\r\nhello\r\n0\r\na:{}\r\n\r\n", "b".repeat(2000))), Err(MalformedTrailerError));
    let long = format!("5;{}\r\nhello\r\n0\r\n\r\n", "x".repeat(300));
    assert_eq!(unsigned(5, &long), Err(IncompleteBody));
    let signed = |body: &str| decode(ChunkedForm::Signed, 5, body.as_bytes(), &[]);
    assert_eq!(signed("5\r\nhello\r\n0\r\n\r\n"), Err(IncompleteBody));
    assert_eq!(signed("5;chunk-signature=abc\r\nhello\r\n"), Err(IncompleteBody));
    let (body, _) = signed_body(&[10], "x-amz-checksum-crc32c:sOO8/Q==\r\n\r\n");
    assert_eq!(decode(ChunkedForm::SignedTrailer, 10, &body, &[]), Err(IncompleteBody));
}

proptest! {
    #[test]
    fn the_cut_of_the_frames_changes_nothing(
        sizes in prop::collection::vec(8192_usize..20_000, 0..3),
        last in 0_usize..9000,
        cuts in prop::collection::vec(1_usize..9000, 1..40),
    ) {
        let sizes: Vec<usize> = sizes.into_iter().chain((last > 0).then_some(last)).collect();
        let ending = format!("x-amz-checksum-crc32c:sOO8/Q==\r\nx-amz-trailer-signature:{SIGNATURE}\r\n\r\n");
        let (body, plain) = signed_body(&sizes, &ending);
        let whole = decode(ChunkedForm::SignedTrailer, plain.len() as u64, &body, &[]);
        prop_assert_eq!(&decode(ChunkedForm::SignedTrailer, plain.len() as u64, &body, &cuts), &whole);
        prop_assert_eq!(&decode(ChunkedForm::SignedTrailer, plain.len() as u64, &body, &[1]), &whole);
        prop_assert_eq!(payload(&whole.unwrap()), plain);
    }

    #[test]
    fn the_cut_changes_nothing_of_broken_bodies(
        body in "([0-9a-f]{1,3}(;chunk-signature=[0-9a-f]{64})?\r?\n?|[a-z:]{0,5}|\r\n){0,12}",
        plain_bytes in 0_u64..20,
        cuts in prop::collection::vec(1_usize..9, 1..20),
    ) {
        for form in [ChunkedForm::Signed, ChunkedForm::SignedTrailer, ChunkedForm::UnsignedTrailer] {
            let whole = decode(form, plain_bytes, body.as_bytes(), &[]);
            prop_assert_eq!(&decode(form, plain_bytes, body.as_bytes(), &cuts), &whole);
        }
    }

    #[test]
    fn any_bytes_are_taken_apart_or_refused(body: Vec<u8>, plain_bytes in 0_u64..100) {
        for form in [ChunkedForm::Signed, ChunkedForm::SignedTrailer, ChunkedForm::UnsignedTrailer] {
            let _ = decode(form, plain_bytes, &body, &[3]);
        }
    }
}
