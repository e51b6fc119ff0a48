//! A short text on the stack: names that a question is spelt with, without an allocation.

/// Up to `N` bytes in place; what is longer goes to the heap, never cut short.
#[derive(Debug, Clone)]
pub(crate) struct InlineText<const N: usize> {
    inline: [u8; N],
    inline_bytes: usize,
    /// All of the text, once it is longer than `N`.
    spilled: Vec<u8>,
}

impl<const N: usize> InlineText<N> {
    /// The parts, one after the other.
    pub(crate) fn of(parts: &[&[u8]]) -> Self {
        let mut text = Self { inline: [0; N], inline_bytes: 0, spilled: Vec::new() };
        for part in parts {
            text.push(part);
        }
        text
    }

    fn push(&mut self, part: &[u8]) {
        let end = self.inline_bytes + part.len();
        if self.spilled.is_empty() && end <= N {
            self.inline[self.inline_bytes..end].copy_from_slice(part);
            self.inline_bytes = end;
            return;
        }
        if self.spilled.is_empty() {
            self.spilled.extend_from_slice(&self.inline[..self.inline_bytes]);
        }
        self.spilled.extend_from_slice(part);
    }

    /// All of it.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        if self.spilled.is_empty() { &self.inline[..self.inline_bytes] } else { &self.spilled }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_longer_than_the_room_is_kept_whole() {
        assert_eq!(InlineText::<4>::of(&[b"ab", b"cd"]).as_bytes(), b"abcd");
        assert_eq!(InlineText::<4>::of(&[b"ab", b"cde", b"", b"f"]).as_bytes(), b"abcdef");
        assert_eq!(InlineText::<4>::of(&[]).as_bytes(), b"");
    }
}
