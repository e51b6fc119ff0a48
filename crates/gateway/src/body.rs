//! A request's body on its way in: hyper's frames, taken out of aws-chunked where they are, chunk signatures checked.
//!
//! Bytes are handed on before the signature of their chunk is known; the end is not, so nothing that was signed wrong is
//! ever committed. hyper sends `100 Continue` when the first frame is asked for, so a request that is refused before
//! that is answered without its body. Digests of the whole body are compared behind [`BodySource`], where they are
//! computed.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http_body::Body;
use hyper::body::Incoming;
use objects::data::{BodyError, BodySource};
use platform::Workers;
use s3_wire::body::{BodyChecksum, ObjectBody};
use s3_wire::chunked::{ChunkDecoder, ChunkEvent, Trailer};
use s3_wire::{ErrorCode, S3Error};
use sigv4::ChunkSigner;
use types::{Checksum, ChecksumAlgorithm};

use crate::activity::Activity;
use crate::chunk_check::ChunkCheck;
use crate::read_share::{ReadShare, UploadUnderWay};

/// The frames of one request's body, as hyper gives them.
#[derive(Debug)]
pub(crate) struct Frames {
    incoming: Incoming,
    activity: Arc<Activity>,
    /// Whether the client waits for `100 Continue`, which the first poll sends.
    expects_continue: bool,
    share: Arc<ReadShare>,
    /// From the first poll to the end.
    under_way: Option<UploadUnderWay>,
    was_polled: bool,
    is_waiting: bool,
    is_over: bool,
    /// Whether it ended before its end.
    is_broken: bool,
    received_bytes: u64,
}

impl Frames {
    pub(crate) fn new(
        incoming: Incoming,
        activity: Arc<Activity>,
        share: Arc<ReadShare>,
        expects_continue: bool,
    ) -> Self {
        let is_over = incoming.is_end_stream();
        Self {
            incoming,
            activity,
            expects_continue,
            share,
            under_way: None,
            was_polled: false,
            is_waiting: false,
            is_over,
            is_broken: false,
            received_bytes: 0,
        }
    }

    /// Bytes that arrived so far.
    pub(crate) fn received_bytes(&self) -> u64 {
        self.received_bytes
    }

    /// The next bytes.
    ///
    /// # Errors
    /// `IncompleteBody` when the client went away or sent broken HTTP chunks, `RequestTimeout` when the watchdog gave
    /// it up.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, S3Error> {
        if self.is_over {
            return Ok(None);
        }
        if !std::mem::replace(&mut self.was_polled, true) {
            self.under_way = Some(self.share.begin());
        }
        let next = poll_fn(|cx| self.poll_next(cx)).await;
        self.is_over = !matches!(next, Ok(Some(_)));
        self.is_broken = next.is_err();
        if self.is_over {
            self.under_way = None;
        }
        next
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, S3Error>> {
        loop {
            let Poll::Ready(frame) = Pin::new(&mut self.incoming).poll_frame(cx) else {
                self.is_waiting = true;
                return self.activity.poll_body_given_up(cx).map(|()| Err(ErrorCode::RequestTimeout.into()));
            };
            if std::mem::take(&mut self.is_waiting) {
                self.activity.note_body_arrived();
            }
            return Poll::Ready(match frame {
                None => Ok(None),
                Some(Err(error)) => {
                    tracing::debug!(%error, "request body ended early");
                    Err(ErrorCode::IncompleteBody.into())
                }
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(bytes) => {
                        self.received_bytes += bytes.len() as u64;
                        Ok(Some(bytes))
                    }
                    // S3's trailers come inside of aws-chunked; those of HTTP itself say nothing.
                    Err(_) => continue,
                },
            });
        }
    }

    /// Reads what is left if that is little and comes within `patience`, so that the connection can go on. Returns
    /// whether it can.
    pub(crate) async fn settle(&mut self, bytes_max: u64, patience: Duration) -> bool {
        if self.is_over {
            return !self.is_broken;
        }
        let announced = self.incoming.size_hint().upper();
        if (self.expects_continue && !self.was_polled) || announced.is_none_or(|bytes| bytes > bytes_max) {
            return false;
        }
        let rest = async { while let Ok(Some(_)) = self.next().await {} };
        tokio::time::timeout(patience, rest).await.is_ok() && !self.is_broken
    }
}

/// An object's bytes as `objects` takes them.
#[derive(Debug)]
pub(crate) struct RequestBody<'a> {
    frames: &'a mut Frames,
    chunked: Option<Chunked>,
}

/// The state of an aws-chunked body.
#[derive(Debug)]
struct Chunked {
    decoder: ChunkDecoder,
    /// What is left of the frame that arrived last.
    frame: Bytes,
    check: Option<ChunkCheck>,
    trailer: Option<Trailer>,
    announced: Option<ChecksumAlgorithm>,
}

impl<'a> RequestBody<'a> {
    /// The body in `frames` as its head announced it; `signer` checks its chunks where they are signed.
    ///
    /// # Errors
    /// `AccessDenied` for signed chunks of an unsigned request.
    pub(crate) fn new(
        frames: &'a mut Frames,
        announced: &ObjectBody,
        signer: Option<ChunkSigner>,
        workers: &Workers,
    ) -> Result<Self, S3Error> {
        let Some(form) = announced.chunked else { return Ok(Self { frames, chunked: None }) };
        let check = match (form.is_signed(), signer) {
            (false, _) => None,
            (true, Some(signer)) => Some(ChunkCheck::new(signer, workers.clone())),
            (true, None) => return Err(ErrorCode::AccessDenied.into()),
        };
        let plain_bytes = announced.plain_bytes.ok_or(ErrorCode::MissingContentLength)?;
        let in_trailer = match announced.integrity.checksum {
            BodyChecksum::Trailer(algorithm) => Some(algorithm),
            BodyChecksum::None | BodyChecksum::Value(_) => None,
        };
        let decoder = ChunkDecoder::new(form, plain_bytes);
        let chunked = Chunked { decoder, frame: Bytes::new(), check, trailer: None, announced: in_trailer };
        Ok(Self { frames, chunked: Some(chunked) })
    }

    pub(crate) async fn next_bytes(&mut self) -> Result<Option<Bytes>, S3Error> {
        let Some(chunked) = &mut self.chunked else { return self.frames.next().await };
        loop {
            if let Some(bytes) = chunked.next_of_frame()? {
                return Ok(Some(bytes));
            }
            if let Some(check) = &mut chunked.check {
                check.submit().await?;
            }
            match self.frames.next().await? {
                Some(frame) => chunked.frame = frame,
                None => {
                    chunked.decoder.finish()?;
                    if let Some(check) = &mut chunked.check {
                        check.finish().await?;
                    }
                    return Ok(None);
                }
            }
        }
    }

    pub(crate) fn trailing_checksums(&mut self) -> Result<Vec<Checksum>, S3Error> {
        let Some(Chunked { trailer, announced, .. }) = &mut self.chunked else { return Ok(Vec::new()) };
        match (*announced, trailer.take()) {
            (Some(algorithm), Some(trailer)) => Ok(vec![trailer.checksum(algorithm)?]),
            // A checksum that nobody would check, or nobody knows what.
            (None, Some(trailer)) if !trailer.headers().is_empty() => Err(ErrorCode::MalformedTrailerError.into()),
            (Some(_), None) => Err(ErrorCode::MalformedTrailerError.into()),
            (None, _) => Ok(Vec::new()),
        }
    }
}

impl Chunked {
    /// The next plain bytes in the frame; `None` when it is used up.
    fn next_of_frame(&mut self) -> Result<Option<Bytes>, S3Error> {
        while let Some(event) = self.decoder.decode(&mut self.frame)? {
            if let Some(check) = &mut self.check {
                check.note(&event)?;
            }
            match event {
                ChunkEvent::Data(bytes) => return Ok(Some(bytes)),
                ChunkEvent::Trailer(trailer) => self.trailer = Some(trailer),
                ChunkEvent::Start { .. } | ChunkEvent::End | ChunkEvent::Done => {}
            }
        }
        Ok(None)
    }
}

#[async_trait]
impl BodySource for RequestBody<'_> {
    async fn next(&mut self) -> Result<Option<Bytes>, BodyError> {
        self.next_bytes().await.map_err(body_error)
    }

    async fn finish(&mut self) -> Result<Vec<Checksum>, BodyError> {
        self.trailing_checksums().map_err(body_error)
    }
}

pub(crate) fn body_error(error: S3Error) -> BodyError {
    BodyError(Box::new(error))
}

/// The words of whoever ended a body.
pub(crate) fn refusal(error: BodyError) -> S3Error {
    match error.0.downcast::<S3Error>() {
        Ok(error) => *error,
        Err(_) => ErrorCode::IncompleteBody.into(),
    }
}
