//! Answers on their way to the client.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt};
use http::Response;
use http_body::{Body, Frame, SizeHint};
use objects::{ObjectBody, ObjectsError};

use crate::activity::RequestUnderWay;
use crate::record::RequestRecord;

/// What an operation answers, before the request path adds ids and the record.
pub(crate) type Answer = Response<Content>;

/// The bytes of an answer.
pub(crate) enum Content {
    /// All in memory.
    Whole(Bytes),
    /// An object's bytes.
    Object {
        /// The bytes.
        body: ObjectBody,
        /// How many there are.
        bytes: u64,
    },
    /// A document that is not known yet; white space keeps the client patient meanwhile.
    Awaited(AwaitedDocument),
}

/// A document that is written once a long operation has ended.
pub(crate) struct AwaitedDocument {
    /// What stands before the white space.
    opening: Option<Bytes>,
    /// What stands after it.
    rest: BoxFuture<'static, Bytes>,
    ticks: tokio::time::Interval,
    is_over: bool,
}

impl AwaitedDocument {
    /// `opening` at once, then a space every `period`, then what `rest` brings.
    pub(crate) fn new(opening: Bytes, rest: BoxFuture<'static, Bytes>, period: Duration) -> Self {
        let ticks = tokio::time::interval_at(tokio::time::Instant::now() + period, period);
        Self { opening: Some(opening), rest, ticks, is_over: false }
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        if self.is_over {
            return Poll::Ready(None);
        }
        if let Some(opening) = self.opening.take() {
            return Poll::Ready(Some(opening));
        }
        if let Poll::Ready(rest) = self.rest.poll_unpin(cx) {
            self.is_over = true;
            return Poll::Ready(Some(rest));
        }
        self.ticks.poll_tick(cx).map(|_| Some(Bytes::from_static(b" ")))
    }
}

/// An answer without content.
pub(crate) fn empty() -> Content {
    Content::Whole(Bytes::new())
}

/// An answer whose bytes are in memory.
pub(crate) fn whole(response: Response<Bytes>) -> Answer {
    response.map(Content::Whole)
}

/// The body of an answer as hyper takes it. It keeps the request's record until the last byte is handed over.
pub(crate) struct AnswerBody {
    content: Content,
    record: RequestRecord,
    _under_way: RequestUnderWay,
}

impl AnswerBody {
    pub(crate) fn new(content: Content, record: RequestRecord, under_way: RequestUnderWay) -> Self {
        let mut body = Self { content, record, _under_way: under_way };
        body.record.is_complete = body.is_end_stream();
        body
    }

    fn poll_content(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, ObjectsError>>> {
        let next = match &mut self.content {
            Content::Whole(bytes) if bytes.is_empty() => None,
            Content::Whole(bytes) => Some(std::mem::take(bytes)),
            Content::Object { bytes: 0, .. } => None,
            Content::Object { body, bytes } => match ready!(body.poll_next_unpin(cx)) {
                Some(Ok(piece)) => {
                    *bytes = bytes.saturating_sub(piece.len() as u64);
                    Some(piece)
                }
                Some(Err(error)) => {
                    // The head is sent: all that is left is to break off, so that the client sees a short body.
                    tracing::error!(error = %error, left_bytes = *bytes, "answer broken off");
                    return Poll::Ready(Some(Err(error)));
                }
                None => None,
            },
            Content::Awaited(document) => ready!(document.poll_next(cx)),
        };
        Poll::Ready(next.map(|bytes| {
            self.note(&bytes);
            Ok(Frame::data(bytes))
        }))
    }

    fn note(&mut self, bytes: &Bytes) {
        self.record.sent_bytes += bytes.len() as u64;
        self.record.is_complete = self.is_end_stream();
    }
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = ObjectsError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, ObjectsError>>> {
        self.record.id().name().sync_scope(|| self.poll_content(cx))
    }

    fn is_end_stream(&self) -> bool {
        match &self.content {
            Content::Whole(bytes) => bytes.is_empty(),
            Content::Object { bytes, .. } => *bytes == 0,
            Content::Awaited(document) => document.is_over,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            Content::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Content::Object { bytes, .. } => SizeHint::with_exact(*bytes),
            Content::Awaited(_) => SizeHint::default(),
        }
    }
}

impl std::fmt::Debug for Content {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Whole(bytes) => write!(f, "Whole({} bytes)", bytes.len()),
            Self::Object { bytes, .. } => write!(f, "Object({bytes} bytes)"),
            Self::Awaited(_) => f.write_str("Awaited"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn white_space_comes_until_the_document_is_there() {
        let rest = async {
            tokio::time::sleep(Duration::from_secs(25)).await;
            Bytes::from_static(b"<a/>")
        };
        let mut document = AwaitedDocument::new(Bytes::from_static(b"<?xml?>"), rest.boxed(), Duration::from_secs(10));
        let mut all = Vec::new();
        while let Some(bytes) = std::future::poll_fn(|cx| document.poll_next(cx)).await {
            all.extend_from_slice(&bytes);
        }
        assert_eq!(all, b"<?xml?>  <a/>");
    }
}
