//! aws-chunked bodies: any bytes are taken apart or refused, and how the frames are cut changes nothing.
//!
//! The first byte chooses the form, the second how long the frames are, the third the announced length.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use s3_wire::ErrorCode;
use s3_wire::chunked::{ChunkDecoder, ChunkEvent, ChunkedForm};

fuzz_target!(|data: &[u8]| {
    let [form, cut, plain_bytes, body @ ..] = data else { return };
    let forms = [ChunkedForm::Signed, ChunkedForm::SignedTrailer, ChunkedForm::UnsignedTrailer];
    let form = forms[usize::from(*form) % forms.len()];
    let plain_bytes = u64::from(*plain_bytes) * 64;
    let whole = decode(form, plain_bytes, body, body.len());
    let cut = decode(form, plain_bytes, body, usize::from(*cut));
    assert_eq!(whole, cut, "the cut of the frames shows");
    if let Ok(events) = whole {
        assert_eq!(payload_bytes(&events), plain_bytes, "a whole body has the announced length");
    }
});

fn decode(form: ChunkedForm, plain_bytes: u64, body: &[u8], cut: usize) -> Result<Vec<ChunkEvent>, ErrorCode> {
    let mut decoder = ChunkDecoder::new(form, plain_bytes);
    let mut events: Vec<ChunkEvent> = Vec::new();
    for frame in body.chunks(cut.max(1)) {
        let mut frame = Bytes::copy_from_slice(frame);
        while let Some(event) = decoder.decode(&mut frame).map_err(|error| error.code())? {
            match (events.last_mut(), event) {
                (Some(ChunkEvent::Data(joined)), ChunkEvent::Data(data)) => {
                    *joined = [&joined[..], &data[..]].concat().into();
                }
                (_, event) => events.push(event),
            }
        }
    }
    decoder.finish().map_err(|error| error.code())?;
    Ok(events)
}

fn payload_bytes(events: &[ChunkEvent]) -> u64 {
    let lengths = events.iter().map(|event| if let ChunkEvent::Data(data) = event { data.len() as u64 } else { 0 });
    lengths.sum()
}
