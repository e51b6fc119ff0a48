//! A browser's form with a file (multipart/form-data, RFC 7578), out of the frames of a body.
//!
//! Fields before the file are gathered, within [`FIELDS_BYTES_MAX`]; the file is passed on as it comes; what follows it
//! is passed over, as S3 does.

use bytes::{Buf, Bytes, BytesMut};
use memchr::memmem;

use crate::error::{ErrorCode, S3Error};

/// The most bytes that may precede the file, boundaries included.
pub const FIELDS_BYTES_MAX: usize = 20 << 10;

/// The longest head of one part, in bytes.
const PART_HEAD_BYTES_MAX: usize = 4 << 10;

/// The longest boundary, in bytes (RFC 2046, section 5.1.1).
const BOUNDARY_BYTES_MAX: usize = 70;

/// What comes out of a form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FormEvent {
    /// A field that precedes the file.
    Field {
        /// Its name, in lower case: S3 tells fields apart without case.
        name: String,
        /// Its value.
        value: Vec<u8>,
    },
    /// The file begins.
    File {
        /// Its name, without the path that some browsers put before it.
        name: Vec<u8>,
    },
    /// Bytes of the file.
    Data(Bytes),
    /// The file is whole, or the form ended without one.
    End,
}

/// Takes a form apart.
#[derive(Debug)]
pub struct FormDecoder {
    /// What stands between parts, the line break before it included.
    delimiter: Vec<u8>,
    /// Bytes that came and are not used yet.
    held: BytesMut,
    /// Bytes that came before the file.
    preceding_bytes: usize,
    state: State,
}

#[derive(Debug)]
enum State {
    /// Before the first delimiter.
    Preamble,
    AfterDelimiter,
    PartHead,
    Field {
        name: String,
    },
    File,
    /// The file is whole, and nobody was told.
    FileOver,
    Over,
}

impl FormDecoder {
    /// For a body of this Content-Type; `None` where that is no form's.
    pub fn of_content_type(content_type: &str) -> Option<Self> {
        let (kind, parameters) = content_type.split_once(';')?;
        if !kind.trim().eq_ignore_ascii_case("multipart/form-data") {
            return None;
        }
        let boundary = parameter(parameters.as_bytes(), "boundary")?;
        if boundary.is_empty() || boundary.len() > BOUNDARY_BYTES_MAX {
            return None;
        }
        let delimiter = [b"\r\n--", &*boundary].concat();
        // The first delimiter needs no line break before it.
        Some(Self { delimiter, held: BytesMut::from("\r\n"), preceding_bytes: 0, state: State::Preamble })
    }

    /// The next event in `frame`, of which what was used is cut off; `None` when it is used up.
    ///
    /// # Errors
    /// `MalformedPOSTRequest`; `MaxPostPreDataLengthExceeded` where more precedes the file than may.
    pub fn decode(&mut self, frame: &mut Bytes) -> Result<Option<FormEvent>, S3Error> {
        loop {
            match &self.state {
                State::Over => {
                    frame.clear();
                    return Ok(None);
                }
                State::FileOver => {
                    self.state = State::Over;
                    return Ok(Some(FormEvent::End));
                }
                State::File => return Ok(self.file_bytes(frame)),
                State::Preamble | State::AfterDelimiter | State::PartHead | State::Field { .. } => {}
            }
            let room = FIELDS_BYTES_MAX - self.preceding_bytes;
            let taken = frame.split_to(frame.len().min(room));
            self.preceding_bytes += taken.len();
            self.held.extend_from_slice(&taken);
            match self.step()? {
                Step::Event(event) => return Ok(Some(event)),
                Step::Went => {}
                Step::NeedsMore if taken.is_empty() && !frame.is_empty() => {
                    return Err(ErrorCode::MaxPostPreDataLengthExceeded.into());
                }
                Step::NeedsMore if frame.is_empty() => return Ok(None),
                Step::NeedsMore => {}
            }
        }
    }

    /// Checks that the form is whole when its body has ended.
    ///
    /// # Errors
    /// `MalformedPOSTRequest`.
    pub fn finish(&self) -> Result<(), S3Error> {
        if matches!(self.state, State::Over | State::FileOver) { Ok(()) } else { Err(malformed()) }
    }

    /// One step before the file, in what is held.
    fn step(&mut self) -> Result<Step, S3Error> {
        match &mut self.state {
            State::Preamble => {
                let Some(at) = memmem::find(&self.held, &self.delimiter) else { return Ok(Step::NeedsMore) };
                self.held.advance(at + self.delimiter.len());
                self.state = State::AfterDelimiter;
                Ok(Step::Went)
            }
            State::AfterDelimiter => self.after_delimiter(),
            State::PartHead => self.part_head(),
            State::Field { name } => {
                let Some(at) = memmem::find(&self.held, &self.delimiter) else { return Ok(Step::NeedsMore) };
                let event = FormEvent::Field { name: std::mem::take(name), value: self.held[..at].to_vec() };
                self.held.advance(at + self.delimiter.len());
                self.state = State::AfterDelimiter;
                Ok(Step::Event(event))
            }
            State::File | State::FileOver | State::Over => unreachable!("decode() sees to these"),
        }
    }

    /// A delimiter is followed by a line break and a part, or by `--` and the end.
    fn after_delimiter(&mut self) -> Result<Step, S3Error> {
        if self.held.starts_with(b"--") {
            self.state = State::Over;
            return Ok(Step::Event(FormEvent::End));
        }
        let padding = self.held.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
        match &self.held[padding..] {
            [b'\r', b'\n', ..] => {
                // The line break stays: a part without a head begins with another one.
                self.held.advance(padding);
                self.state = State::PartHead;
                Ok(Step::Went)
            }
            [] | [b'\r' | b'-'] => Ok(Step::NeedsMore),
            _ => Err(malformed()),
        }
    }

    fn part_head(&mut self) -> Result<Step, S3Error> {
        let Some(end) = memmem::find(&self.held, b"\r\n\r\n") else {
            return if self.held.len() > PART_HEAD_BYTES_MAX { Err(malformed()) } else { Ok(Step::NeedsMore) };
        };
        if end > PART_HEAD_BYTES_MAX {
            return Err(malformed());
        }
        let head = self.held.split_to(end + 4);
        let disposition = disposition(&head).ok_or_else(malformed)?;
        let name = parameter(disposition, "name").ok_or_else(malformed)?;
        let name = String::from_utf8(name).map_err(|_| malformed())?.to_ascii_lowercase();
        if name != "file" {
            self.state = State::Field { name };
            return Ok(Step::Went);
        }
        // The line break before a delimiter is not the file's; an empty file has none but the head's own.
        self.state = State::File;
        let path = parameter(disposition, "filename").unwrap_or_default();
        let name = path.rsplit(|byte| matches!(byte, b'/' | b'\\')).next().unwrap_or_default().to_vec();
        Ok(Step::Event(FormEvent::File { name }))
    }

    /// Bytes of the file: what may be the begin of the delimiter is held back.
    fn file_bytes(&mut self, frame: &mut Bytes) -> Option<FormEvent> {
        loop {
            if self.held.is_empty() {
                if frame.is_empty() {
                    return None;
                }
                let end = memmem::find(frame, &self.delimiter);
                let certain = end.unwrap_or_else(|| frame.len() - begun_bytes(frame, &self.delimiter));
                let data = frame.split_to(certain);
                if end.is_some() {
                    return Some(self.end_file(data));
                }
                self.held.extend_from_slice(frame);
                frame.clear();
                return (!data.is_empty()).then_some(FormEvent::Data(data));
            }
            // As much of the frame as tells whether the delimiter begins in what is held.
            let more = frame.split_to(frame.len().min(self.delimiter.len()));
            self.held.extend_from_slice(&more);
            let end = memmem::find(&self.held, &self.delimiter);
            let certain = end.unwrap_or_else(|| self.held.len() - begun_bytes(&self.held, &self.delimiter));
            let data = self.held.split_to(certain).freeze();
            if end.is_some() {
                return Some(self.end_file(data));
            }
            if !data.is_empty() {
                return Some(FormEvent::Data(data));
            }
            if frame.is_empty() {
                return None;
            }
        }
    }

    fn end_file(&mut self, last: Bytes) -> FormEvent {
        self.held.clear();
        if last.is_empty() {
            self.state = State::Over;
            return FormEvent::End;
        }
        self.state = State::FileOver;
        FormEvent::Data(last)
    }
}

enum Step {
    Event(FormEvent),
    /// Something was used; there may be more in what is held.
    Went,
    NeedsMore,
}

/// How many bytes at the end may be the begin of the delimiter.
fn begun_bytes(bytes: &[u8], delimiter: &[u8]) -> usize {
    let longest = bytes.len().min(delimiter.len() - 1);
    let tail = &bytes[bytes.len() - longest..];
    memchr::memchr_iter(delimiter[0], tail)
        .map(|at| longest - at)
        .find(|&begun| {
            let begin = &bytes[bytes.len() - begun..];
            delimiter.starts_with(begin)
        })
        .unwrap_or(0)
}

/// The value of a part's Content-Disposition, if that is a form's.
fn disposition(head: &[u8]) -> Option<&[u8]> {
    const NAME: &[u8] = b"content-disposition:";
    let line = head
        .split(|&byte| byte == b'\n')
        .find(|line| line.get(..NAME.len()).is_some_and(|name| name.eq_ignore_ascii_case(NAME)))?;
    let value = line[NAME.len()..].trim_ascii();
    let (kind, parameters) = value.split_at(value.iter().position(|&byte| byte == b';')?);
    kind.trim_ascii().eq_ignore_ascii_case(b"form-data").then_some(parameters)
}

/// The value of a parameter, quoted or not. In quotes a backslash stands before a quote alone: browsers send paths.
fn parameter(text: &[u8], wanted: &str) -> Option<Vec<u8>> {
    let mut rest = text;
    loop {
        let start = rest.iter().position(|byte| !matches!(byte, b';' | b' ' | b'\t'))?;
        rest = &rest[start..];
        let equals = rest.iter().position(|&byte| byte == b'=')?;
        let name = rest[..equals].trim_ascii();
        let (value, after) = value(rest[equals + 1..].trim_ascii_start())?;
        if name.eq_ignore_ascii_case(wanted.as_bytes()) {
            return Some(value);
        }
        rest = after;
    }
}

/// A value and what follows it.
fn value(text: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let Some(quoted) = text.strip_prefix(b"\"") else {
        let end = text.iter().position(|&byte| byte == b';').unwrap_or(text.len());
        return Some((text[..end].trim_ascii().to_vec(), &text[end..]));
    };
    let mut value = Vec::new();
    let mut bytes = quoted.iter().enumerate();
    while let Some((at, &byte)) = bytes.next() {
        match byte {
            b'"' => return Some((value, &quoted[at + 1..])),
            b'\\' if quoted.get(at + 1) == Some(&b'"') => {
                bytes.next();
                value.push(b'"');
            }
            _ => value.push(byte),
        }
    }
    None
}

fn malformed() -> S3Error {
    ErrorCode::MalformedPOSTRequest.into()
}

#[cfg(test)]
mod tests;
