//! POST forms and their policies: any bytes are taken apart or refused, and how the frames are cut changes nothing.
//!
//! The first byte chooses how long the frames are. The boundary is `b`.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use s3_wire::ErrorCode;
use s3_wire::form::{FormDecoder, FormEvent};
use s3_wire::post_policy::PostPolicy;

fuzz_target!(|data: &[u8]| {
    let [cut, body @ ..] = data else { return };
    let whole = decode(body, body.len());
    let cut = decode(body, usize::from(*cut));
    assert_eq!(whole, cut, "the cut of the frames shows");
    for event in whole.into_iter().flatten() {
        if let FormEvent::Field { value, .. } = event {
            let _ = PostPolicy::parse(&value);
        }
    }
    let _ = FormDecoder::of_content_type(&String::from_utf8_lossy(body));
});

fn decode(body: &[u8], cut: usize) -> Result<Vec<FormEvent>, ErrorCode> {
    let mut decoder = FormDecoder::of_content_type("multipart/form-data; boundary=b").expect("a form's");
    let mut events: Vec<FormEvent> = Vec::new();
    for frame in body.chunks(cut.max(1)) {
        let mut frame = Bytes::copy_from_slice(frame);
        while let Some(event) = decoder.decode(&mut frame).map_err(|error| error.code())? {
            match (events.last_mut(), event) {
                (Some(FormEvent::Data(joined)), FormEvent::Data(data)) => {
                    *joined = [&joined[..], &data[..]].concat().into();
                }
                (_, event) => events.push(event),
            }
        }
    }
    decoder.finish().map_err(|error| error.code())?;
    Ok(events)
}
