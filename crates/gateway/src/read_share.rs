//! How much of its body an upload may have in buffers outside of the memory budget: a fair share of a fixed sum.
//!
//! What the kernel has for us is read in pieces; big pieces cost less CPU, but each upload holds a few of them until
//! they are hashed and copied into its stripe. With few uploads pieces are as long as the parser's buffer, with many they
//! get shorter, so that all of them together stay within the sum.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// The shortest piece, in bytes.
const PIECE_BYTES_MIN: usize = 16 << 10;

/// Pieces that an upload holds at once: one that is being read, one that is being hashed, one that waits.
const PIECES_HELD: usize = 3;

/// Divides the sum among the uploads under way.
#[derive(Debug)]
pub(crate) struct ReadShare {
    bytes: usize,
    piece_bytes_max: usize,
    uploads: AtomicUsize,
}

/// An upload under way.
#[derive(Debug)]
pub(crate) struct UploadUnderWay(Arc<ReadShare>);

impl ReadShare {
    pub(crate) fn new(bytes: usize, piece_bytes_max: usize) -> Self {
        Self { bytes, piece_bytes_max, uploads: AtomicUsize::new(0) }
    }

    /// Counts an upload until the guard is dropped.
    pub(crate) fn begin(self: &Arc<Self>) -> UploadUnderWay {
        self.uploads.fetch_add(1, Relaxed);
        UploadUnderWay(Arc::clone(self))
    }

    /// The longest piece that may be read now, in bytes.
    pub(crate) fn piece_bytes(&self) -> usize {
        let uploads = self.uploads.load(Relaxed).max(1);
        (self.bytes / (uploads * PIECES_HELD)).clamp(PIECE_BYTES_MIN.min(self.piece_bytes_max), self.piece_bytes_max)
    }
}

impl Drop for UploadUnderWay {
    fn drop(&mut self) {
        self.0.uploads.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_uploads_share_what_few_have_alone() {
        let share = Arc::new(ReadShare::new(24 << 20, 256 << 10));
        assert_eq!(share.piece_bytes(), 256 << 10);
        let many: Vec<_> = (0..200).map(|_| share.begin()).collect();
        assert!(share.piece_bytes() * PIECES_HELD * many.len() <= 24 << 20);
        let more: Vec<_> = (0..5000).map(|_| share.begin()).collect();
        assert_eq!(share.piece_bytes(), PIECE_BYTES_MIN);
        drop((many, more));
        assert_eq!(share.piece_bytes(), 256 << 10);
    }
}
