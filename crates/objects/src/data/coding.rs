//! Coding shards that lie in pieces: parity from data, and missing shards from those that are left.

use bytes::Bytes;
use erasure::{Coder, ErasureError};
use platform::{Buffer, BufferPool};
use std::sync::Arc;

use super::memory::reserved_bytes;
use super::stripe::{PIECE_BYTES_MAX, next_piece_len};

/// The parity shards of data shards of one length; `memory` stays reserved as long as they live. For a worker: a MiB
/// takes 70 us and more.
pub(super) fn encode<M: Send + Sync + 'static>(
    coder: &Coder,
    data: &[Vec<Bytes>],
    pool: &BufferPool,
    memory: &Arc<M>,
) -> Vec<Vec<Bytes>> {
    if coder.k() == 1 {
        // The only data shard again.
        return vec![data[0].clone(); coder.m()];
    }
    in_columns(data, coder.m(), pool, memory, |from, to| coder.encode(from, to))
}

/// The `wanted` shards out of at least k `present` ones, all of one length. For a worker.
///
/// # Errors
/// [`ErasureError::TooFewShards`].
pub(super) fn rebuild<M: Send + Sync + 'static>(
    coder: &Coder,
    present: &[(usize, Vec<Bytes>)],
    wanted: &[usize],
    pool: &BufferPool,
    memory: &Arc<M>,
) -> Result<Vec<Vec<Bytes>>, ErasureError> {
    let (numbers, columns): (Vec<usize>, Vec<Vec<Bytes>>) = present.iter().cloned().unzip();
    let mut outcome = Ok(());
    let rebuilt = in_columns(&columns, wanted.len(), pool, memory, |from, to| {
        let present: Vec<(usize, &[u8])> = numbers.iter().copied().zip(from.iter().copied()).collect();
        let mut wanted: Vec<(usize, &mut [u8])> =
            wanted.iter().copied().zip(to.iter_mut().map(|column| &mut **column)).collect();
        outcome = std::mem::replace(&mut outcome, Ok(())).and(coder.reconstruct(&present, &mut wanted));
    });
    outcome.map(|()| rebuilt)
}

/// Walks shards of one length side by side, from piece to piece, and collects what `make` makes of each column.
fn in_columns<M: Send + Sync + 'static>(
    shards: &[Vec<Bytes>],
    outputs: usize,
    pool: &BufferPool,
    memory: &Arc<M>,
    mut make: impl FnMut(&[&[u8]], &mut [&mut [u8]]),
) -> Vec<Vec<Bytes>> {
    let mut rest: usize = shards[0].iter().map(Bytes::len).sum();
    let mut made = vec![Vec::new(); outputs];
    let mut columns: Vec<Column<'_>> = shards.iter().map(|pieces| Column { pieces, at: 0 }).collect();
    while rest > 0 {
        let bytes = next_piece_len(rest, PIECE_BYTES_MAX);
        let mut buffers: Vec<Buffer> = (0..outputs).map(|_| pool.take(bytes)).collect();
        let mut at = 0;
        while at < bytes {
            // Up to where the next piece of any shard begins.
            let step = columns.iter().map(Column::left).min().expect("a shard").min(bytes - at);
            let from: Vec<&[u8]> = columns.iter_mut().map(|column| column.advance(step)).collect();
            let mut to: Vec<&mut [u8]> = buffers.iter_mut().map(|buffer| &mut buffer[at..at + step]).collect();
            make(&from, &mut to);
            at += step;
        }
        for (shard, buffer) in made.iter_mut().zip(buffers) {
            shard.push(reserved_bytes(buffer, Arc::clone(memory)));
        }
        rest -= bytes;
    }
    made
}

/// A shard's pieces, read from front to back.
struct Column<'a> {
    pieces: &'a [Bytes],
    at: usize,
}

impl<'a> Column<'a> {
    fn left(&self) -> usize {
        self.pieces[0].len() - self.at
    }

    fn advance(&mut self, bytes: usize) -> &'a [u8] {
        let piece = &self.pieces[0];
        let slice = &piece[self.at..self.at + bytes];
        self.at += bytes;
        if self.at == piece.len() {
            self.pieces = &self.pieces[1..];
            self.at = 0;
        }
        slice
    }
}
