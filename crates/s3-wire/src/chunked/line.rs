//! Lines that may be cut anywhere by the frames that they come in.

use bytes::{Buf, Bytes};

/// Gathers one line at a time.
#[derive(Debug, Default)]
pub(super) struct LineBuffer {
    /// The beginning of a line whose end hasn't arrived.
    begun: Vec<u8>,
}

impl LineBuffer {
    /// Takes a line, without its `\n` or `\r\n`, out of `frame`. `Some(None)`: its end hasn't arrived, and the frame is
    /// used up.
    ///
    /// `None` when it is longer than `bytes_max`, its end included.
    pub(super) fn take(&mut self, frame: &mut Bytes, bytes_max: usize) -> Option<Option<Vec<u8>>> {
        let room = bytes_max.saturating_sub(self.begun.len());
        let Some(at) = frame.iter().take(room).position(|&byte| byte == b'\n') else {
            if frame.len() >= room {
                return None;
            }
            self.begun.extend_from_slice(frame);
            frame.advance(frame.len());
            return Some(None);
        };
        let mut line = std::mem::take(&mut self.begun);
        line.extend_from_slice(&frame[..at]);
        frame.advance(at + 1);
        if line.last() == Some(&b'\r') {
            line.pop();
        }
        Some(Some(line))
    }

    /// Takes a line's memory back for the next one.
    pub(super) fn recycle(&mut self, mut line: Vec<u8>) {
        if self.begun.is_empty() {
            line.clear();
            self.begun = line;
        }
    }
}
