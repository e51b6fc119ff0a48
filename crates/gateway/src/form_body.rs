//! A form's fields and file out of the frames of a request's body.

use async_trait::async_trait;
use bytes::Bytes;
use objects::data::{BodyError, BodySource};
use s3_wire::form::{FormDecoder, FormEvent};
use s3_wire::post_policy::LengthRange;
use s3_wire::{ErrorCode, S3Error};
use types::Checksum;

use crate::body::{Frames, body_error};

/// A form on its way in.
pub(crate) struct FormFrames<'a> {
    frames: &'a mut Frames,
    /// What is left of the frame that arrived last.
    frame: Bytes,
    decoder: FormDecoder,
}

impl<'a> FormFrames<'a> {
    pub(crate) fn new(frames: &'a mut Frames, decoder: FormDecoder) -> Self {
        Self { frames, frame: Bytes::new(), decoder }
    }

    /// What comes next; at the end always [`FormEvent::End`].
    ///
    /// # Errors
    /// `MalformedPOSTRequest`, `MaxPostPreDataLengthExceeded`, and those of [`Frames::next`].
    pub(crate) async fn next(&mut self) -> Result<FormEvent, S3Error> {
        loop {
            if let Some(event) = self.decoder.decode(&mut self.frame)? {
                return Ok(event);
            }
            match self.frames.next().await? {
                Some(frame) => self.frame = frame,
                None => {
                    self.decoder.finish()?;
                    return Ok(FormEvent::End);
                }
            }
        }
    }
}

/// A form's file as `objects` takes it, within the length that its policy allows.
pub(crate) struct FormBody<'a> {
    frames: FormFrames<'a>,
    length: LengthRange,
    received_bytes: u64,
}

impl<'a> FormBody<'a> {
    /// The fields have been taken out.
    pub(crate) fn new(frames: FormFrames<'a>, length: LengthRange) -> Self {
        Self { frames, length, received_bytes: 0 }
    }

    async fn next_bytes(&mut self) -> Result<Option<Bytes>, S3Error> {
        let FormEvent::Data(bytes) = self.frames.next().await? else {
            return if self.received_bytes < self.length.min {
                Err(self.refusal(ErrorCode::EntityTooSmall))
            } else {
                Ok(None)
            };
        };
        self.received_bytes += bytes.len() as u64;
        if self.received_bytes > self.length.max {
            return Err(self.refusal(ErrorCode::EntityTooLarge));
        }
        Ok(Some(bytes))
    }

    fn refusal(&self, code: ErrorCode) -> S3Error {
        let (name, bound) = match code {
            ErrorCode::EntityTooSmall => ("MinSizeAllowed", self.length.min),
            _ => ("MaxSizeAllowed", self.length.max),
        };
        S3Error::new(code).with("ProposedSize", self.received_bytes.to_string()).with(name, bound.to_string())
    }
}

#[async_trait]
impl BodySource for FormBody<'_> {
    async fn next(&mut self) -> Result<Option<Bytes>, BodyError> {
        self.next_bytes().await.map_err(body_error)
    }

    async fn finish(&mut self) -> Result<Vec<Checksum>, BodyError> {
        Ok(Vec::new())
    }
}
