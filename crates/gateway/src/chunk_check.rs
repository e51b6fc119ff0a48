//! Signatures of aws-chunked bodies: the hashes on workers, while the next frame arrives.
//!
//! All that a frame brought of chunks is one job. One job is under way at a time, since each signature covers the one
//! before it; what is little is hashed at once, because a hop to another thread would cost more.

use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use platform::Workers;
use s3_wire::chunked::{ChunkEvent, ChunkSignature};
use s3_wire::{ErrorCode, S3Error};
use sha2::{Digest, Sha256};
use sigv4::{ChunkSigner, SignatureMismatch};

/// Up to so many bytes are hashed where they are: some 10 us.
const INLINE_BYTES_MAX: usize = 16 << 10;

/// Checks the chunks of one body.
pub(crate) struct ChunkCheck {
    workers: Workers,
    chain: Link,
    signature: Option<ChunkSignature>,
    steps: Vec<Step>,
    bytes: usize,
}

/// Where the chain of signatures is.
enum Link {
    Here(Chain),
    UnderWay(BoxFuture<'static, Result<Chain, SignatureMismatch>>),
    /// A signature was wrong.
    Broken,
}

/// The chain up to a point in the body.
struct Chain {
    signer: ChunkSigner,
    /// Of the chunk under way.
    hash: Sha256,
}

/// What is to be done to the chain.
enum Step {
    Data(Bytes),
    End(ChunkSignature),
    Trailer(Vec<u8>, ChunkSignature),
}

impl ChunkCheck {
    pub(crate) fn new(signer: ChunkSigner, workers: Workers) -> Self {
        let chain = Link::Here(Chain { signer, hash: Sha256::new() });
        Self { workers, chain, signature: None, steps: Vec::new(), bytes: 0 }
    }

    /// Takes notice of what the decoder found.
    ///
    /// # Errors
    /// `MalformedTrailerError` for a trailer without a signature.
    pub(crate) fn note(&mut self, event: &ChunkEvent) -> Result<(), S3Error> {
        match event {
            ChunkEvent::Start { signature, .. } => self.signature = *signature,
            ChunkEvent::Data(bytes) => {
                self.bytes += bytes.len();
                self.steps.push(Step::Data(bytes.clone()));
            }
            ChunkEvent::End => {
                let signature = self.signature.take().ok_or(ErrorCode::IncompleteBody)?;
                self.steps.push(Step::End(signature));
            }
            ChunkEvent::Trailer(trailer) => {
                let signature = trailer.signature().ok_or(ErrorCode::MalformedTrailerError)?;
                self.steps.push(Step::Trailer(trailer.canonical(), *signature));
            }
            ChunkEvent::Done => {}
        }
        Ok(())
    }

    /// Begins to check what was noted since the last call; waits for what that call began.
    ///
    /// # Errors
    /// `SignatureDoesNotMatch` for a chunk of an earlier call, or one that was checked at once.
    pub(crate) async fn submit(&mut self) -> Result<(), S3Error> {
        if self.steps.is_empty() {
            return Ok(());
        }
        let chain = self.wait().await?;
        let steps = std::mem::take(&mut self.steps);
        if std::mem::take(&mut self.bytes) <= INLINE_BYTES_MAX {
            self.chain = Link::Here(chain.after(steps).map_err(|_| mismatch())?);
            return Ok(());
        }
        let (answer, waiting) = tokio::sync::oneshot::channel();
        self.workers.spawn(move || {
            // Nobody waits where the request was given up.
            let _ = answer.send(chain.after(steps));
        });
        self.chain = Link::UnderWay(waiting.map(|done| done.unwrap_or(Err(SignatureMismatch))).boxed());
        Ok(())
    }

    /// Waits until all that was noted is checked.
    ///
    /// # Errors
    /// `SignatureDoesNotMatch`.
    pub(crate) async fn finish(&mut self) -> Result<(), S3Error> {
        self.submit().await?;
        let chain = self.wait().await?;
        self.chain = Link::Here(chain);
        Ok(())
    }

    async fn wait(&mut self) -> Result<Chain, S3Error> {
        match &mut self.chain {
            Link::Here(_) => {}
            Link::UnderWay(job) => {
                // The job stays in its place while it is awaited: this future may be dropped and asked for again.
                let done = job.await;
                self.chain = done.map_or(Link::Broken, Link::Here);
            }
            Link::Broken => return Err(mismatch()),
        }
        match std::mem::replace(&mut self.chain, Link::Broken) {
            Link::Here(chain) => Ok(chain),
            Link::UnderWay(_) | Link::Broken => Err(mismatch()),
        }
    }
}

impl Chain {
    fn after(mut self, steps: Vec<Step>) -> Result<Self, SignatureMismatch> {
        for step in steps {
            match step {
                Step::Data(bytes) => self.hash.update(&bytes),
                Step::End(signature) => {
                    let sha256 = self.hash.finalize_reset().into();
                    self.signer.verify_chunk(&sha256, &signature)?;
                }
                Step::Trailer(lines, signature) => {
                    self.signer.verify_trailer(&Sha256::digest(lines).into(), &signature)?;
                }
            }
        }
        Ok(self)
    }
}

fn mismatch() -> S3Error {
    ErrorCode::SignatureDoesNotMatch.into()
}

impl std::fmt::Debug for ChunkCheck {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ChunkCheck").field("waiting_bytes", &self.bytes).finish_non_exhaustive()
    }
}
