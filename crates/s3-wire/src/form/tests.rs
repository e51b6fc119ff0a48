use proptest::prelude::*;

use super::*;

const TYPE: &str = "multipart/form-data; boundary=xYz";

fn decoded(body: &[u8], frame_bytes: usize) -> Result<Vec<FormEvent>, ErrorCode> {
    let mut decoder = FormDecoder::of_content_type(TYPE).unwrap();
    let mut events: Vec<FormEvent> = Vec::new();
    for frame in body.chunks(frame_bytes.max(1)) {
        let mut frame = Bytes::copy_from_slice(frame);
        while let Some(event) = decoder.decode(&mut frame).map_err(|error| error.code())? {
            match (events.last_mut(), event) {
                (Some(FormEvent::Data(before)), FormEvent::Data(more)) => {
                    *before = [&before[..], &more].concat().into();
                }
                (_, event) => events.push(event),
            }
        }
        assert!(frame.is_empty(), "what is left would be lost");
    }
    decoder.finish().map_err(|error| error.code())?;
    Ok(events)
}

fn field(name: &str, value: &[u8]) -> FormEvent {
    FormEvent::Field { name: name.to_owned(), value: value.to_vec() }
}

fn form(fields: &[(&str, &[u8])], file: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    for (name, value) in fields {
        body.extend_from_slice(format!("--xYz\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n").as_bytes());
        body.extend_from_slice(value);
        body.extend_from_slice(b"\r\n");
    }
    let head = "--xYz\r\ncontent-disposition: form-data; name=\"file\"; filename=\"C:\\dir\\a.txt\"\r\nContent-Type: x/y\r\n\r\n";
    body.extend_from_slice(head.as_bytes());
    body.extend_from_slice(file);
    body.extend_from_slice(b"\r\n--xYz--\r\n");
    body
}

#[test]
fn fields_and_the_file_come_out_however_they_are_cut() {
    let file = b"line\r\n--xY\r\n--x-\r\r\n--xY\n and so on".repeat(20);
    let body = form(&[("Key", b"dir/${filename}"), ("x-amz-meta-a", b"\xff \r\n-- value"), ("empty", b"")], &file);
    let expected = vec![
        field("key", b"dir/${filename}"),
        field("x-amz-meta-a", b"\xff \r\n-- value"),
        field("empty", b""),
        FormEvent::File { name: b"a.txt".to_vec() },
        FormEvent::Data(file.into()),
        FormEvent::End,
    ];
    for frame_bytes in [1, 2, 3, 5, 7, 64, 1000, body.len()] {
        assert_eq!(decoded(&body, frame_bytes).as_ref(), Ok(&expected), "{frame_bytes}");
    }
}

#[test]
fn an_empty_file_and_none_are_told_apart() {
    let empty = decoded(&form(&[], b""), 9).unwrap();
    assert_eq!(empty, [FormEvent::File { name: b"a.txt".to_vec() }, FormEvent::End]);
    assert_eq!(decoded(b"--xYz--\r\n", 4).unwrap(), [FormEvent::End]);
    let body = b"--xYz\r\nContent-Disposition: form-data; name=\"key\"\r\n\r\nk\r\n--xYz--";
    assert_eq!(decoded(body, 4).unwrap(), [field("key", b"k"), FormEvent::End]);
}

#[test]
fn what_precedes_the_form_and_follows_the_file_is_passed_over() {
    let mut body = b"a preamble\r\n".to_vec();
    body.extend_from_slice(&form(&[("key", b"k")], b"file"));
    body.truncate(body.len() - 4);
    body.extend_from_slice(b"\r\nContent-Disposition: form-data; name=\"late\"\r\n\r\nno\r\n--xYz--");
    let names = decoded(&body, 6).unwrap();
    assert_eq!(names.len(), 4, "{names:?}");
}

#[test]
fn broken_forms_are_refused() {
    use ErrorCode::{MalformedPOSTRequest, MaxPostPreDataLengthExceeded};
    for (body, code) in [
        (&b""[..], MalformedPOSTRequest),
        (b"--xYz", MalformedPOSTRequest),
        (b"--xYzz\r\n", MalformedPOSTRequest),
        (b"--xYz\r\n\r\nno head\r\n--xYz--", MalformedPOSTRequest),
        (b"--xYz\r\nContent-Disposition: form-data\r\n\r\nno name\r\n--xYz--", MalformedPOSTRequest),
        (b"--xYz\r\nContent-Disposition: inline; name=\"a\"\r\n\r\nv\r\n--xYz--", MalformedPOSTRequest),
        (b"--xYz\r\nContent-Disposition: form-data; name=\"file\"\r\n\r\ncut off", MalformedPOSTRequest),
        (&form(&[("key", &[b'k'; FIELDS_BYTES_MAX])], b"file"), MaxPostPreDataLengthExceeded),
        (&b"x".repeat(2 * FIELDS_BYTES_MAX), MaxPostPreDataLengthExceeded),
        (&[&b"--xYz\r\nX: "[..], &b"y".repeat(5000)].concat(), MalformedPOSTRequest),
    ] {
        for frame_bytes in [3, 100_000] {
            assert_eq!(
                decoded(body, frame_bytes),
                Err(code),
                "{}",
                String::from_utf8_lossy(&body[..body.len().min(90)])
            );
        }
    }
    // A long file is no long form.
    assert!(decoded(&form(&[("key", b"k")], &[b'f'; 4 * FIELDS_BYTES_MAX]), 100_000).is_ok());
}

#[test]
fn content_types_of_forms_name_a_boundary() {
    let delimiter = |text: &str| FormDecoder::of_content_type(text).map(|decoder| decoder.delimiter);
    assert_eq!(delimiter("Multipart/Form-Data; charset=x; Boundary=\"a b\""), Some(b"\r\n--a b".to_vec()));
    for text in
        ["", "multipart/form-data", "multipart/form-data; boundary=", "multipart/mixed; boundary=a", "text/plain"]
    {
        assert_eq!(delimiter(text), None, "{text}");
    }
    assert_eq!(delimiter(&format!("multipart/form-data; boundary={}", "b".repeat(71))), None);
}

proptest! {
    #[test]
    fn any_file_comes_out_as_it_is(file in proptest::collection::vec(prop_oneof![Just(b'\r'), Just(b'\n'), Just(b'-'), Just(b'x'), Just(b'Y'), any::<u8>()], 0..400), frame_bytes in 1..50_usize) {
        prop_assume!(memmem::find(&file, b"\r\n--xYz").is_none());
        let events = decoded(&form(&[("key", b"k")], &file), frame_bytes).unwrap();
        let bytes: Vec<u8> = events.iter().flat_map(|event| match event {
            FormEvent::Data(bytes) => bytes.to_vec(),
            _ => Vec::new(),
        }).collect();
        prop_assert_eq!(bytes, file);
    }

    #[test]
    fn nothing_panics(body in proptest::collection::vec(any::<u8>(), 0..600), frame_bytes in 1..50_usize) {
        let _ = decoded(&body, frame_bytes);
        let _ = decoded(&[b"--xYz\r\n", &body[..]].concat(), frame_bytes);
    }
}
