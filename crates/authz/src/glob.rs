//! Patterns of policies: `*` is any bytes, `?` is one byte, compiled once and matched without an allocation.

/// One place of a pattern: a byte, or one of the two wildcards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Token {
    /// This byte.
    Byte(u8),
    /// Any one byte.
    One,
    /// Any bytes, or none.
    Many,
}

/// A compiled pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Glob {
    /// What stands before the first wildcard, so that most texts are told apart by one comparison.
    prefix: Box<[u8]>,
    rest: Box<[Token]>,
}

impl Glob {
    /// The pattern of `tokens`.
    pub(crate) fn new(tokens: &[Token]) -> Self {
        let prefix: Box<[u8]> = tokens
            .iter()
            .map_while(|token| match token {
                Token::Byte(byte) => Some(*byte),
                Token::One | Token::Many => None,
            })
            .collect();
        let rest = tokens[prefix.len()..].into();
        Self { prefix, rest }
    }

    /// The pattern that `text` is, every `*` and `?` a wildcard.
    pub(crate) fn of_text(text: &[u8]) -> Self {
        let tokens: Vec<Token> = text.iter().map(|&byte| wildcard(byte)).collect();
        Self::new(&tokens)
    }

    /// Whether all of `text` is matched. At worst length of the pattern times length of the text steps.
    pub(crate) fn matches(&self, text: &[u8]) -> bool {
        let mut steps = u64::MAX;
        self.matches_within(text, &mut steps).expect("nobody reaches that many steps")
    }

    /// The same in at most that many steps, which are counted down; `None` if they don't suffice.
    pub(crate) fn matches_within(&self, text: &[u8], steps: &mut u64) -> Option<bool> {
        match text.strip_prefix(&*self.prefix) {
            Some(text) => matches_within(&self.rest, text, steps),
            None => Some(false),
        }
    }

    /// Whether there is no wildcard in it.
    pub(crate) fn is_fixed(&self) -> bool {
        self.rest.is_empty()
    }

    /// The text of a pattern without wildcards, and else what stands before the first.
    pub(crate) fn prefix(&self) -> &[u8] {
        &self.prefix
    }

    /// Whether it matches some text that is `start` and at least one byte more.
    pub(crate) fn matches_beyond(&self, start: &[u8]) -> bool {
        let tokens: Vec<Token> =
            self.prefix.iter().map(|&byte| Token::Byte(byte)).chain(self.rest.iter().copied()).collect();
        matches_beyond(&tokens, start)
    }
}

/// What `byte` is in a pattern.
pub(crate) const fn wildcard(byte: u8) -> Token {
    match byte {
        b'*' => Token::Many,
        b'?' => Token::One,
        byte => Token::Byte(byte),
    }
}

/// Whether `pattern` matches all of `text`: runs on greedily, and goes back to the last `*` alone. Each byte that is looked
/// at is a step; `None` if there are not enough.
pub(crate) fn matches_within(pattern: &[Token], text: &[u8], steps: &mut u64) -> Option<bool> {
    let (mut at, mut read) = (0, 0);
    // Behind the last `*`, and where in the text it was tried last.
    let mut back: Option<(usize, usize)> = None;
    while read < text.len() {
        *steps = steps.checked_sub(1)?;
        match pattern.get(at) {
            Some(Token::Many) => {
                at += 1;
                if at == pattern.len() {
                    return Some(true);
                }
                back = Some((at, read));
            }
            Some(Token::One) => (at, read) = (at + 1, read + 1),
            Some(Token::Byte(byte)) if *byte == text[read] => (at, read) = (at + 1, read + 1),
            _ => {
                let Some((behind, tried)) = back else { return Some(false) };
                (at, read) = (behind, tried + 1);
                back = Some((behind, read));
            }
        }
    }
    Some(pattern[at..].iter().all(|token| *token == Token::Many))
}

/// Whether `pattern` matches some text that begins with `start` and is longer.
fn matches_beyond(pattern: &[Token], start: &[u8]) -> bool {
    // All places of the pattern at which one can be after the bytes so far.
    let mut places = vec![false; pattern.len() + 1];
    places[0] = true;
    pass_stars(pattern, &mut places);
    for &byte in start {
        let mut next = vec![false; pattern.len() + 1];
        for at in (0..pattern.len()).filter(|&at| places[at]) {
            match pattern[at] {
                Token::Many => next[at] = true,
                Token::One => next[at + 1] = true,
                Token::Byte(wanted) if wanted == byte => next[at + 1] = true,
                Token::Byte(_) => {}
            }
        }
        pass_stars(pattern, &mut next);
        places = next;
        if places.iter().all(|&reached| !reached) {
            return false;
        }
    }
    // Whatever is left of the pattern has a text of at least one byte.
    places[..pattern.len()].iter().any(|&reached| reached)
}

fn pass_stars(pattern: &[Token], places: &mut [bool]) {
    for at in 0..pattern.len() {
        if places[at] && pattern[at] == Token::Many {
            places[at + 1] = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Obviously right, and slow: a `*` takes none or one byte more.
    fn reference(pattern: &[u8], text: &[u8]) -> bool {
        match (pattern.split_first(), text.split_first()) {
            (None, _) => text.is_empty(),
            (Some((b'*', rest)), None) => reference(rest, text),
            (Some((b'*', rest)), Some((_, later))) => reference(rest, text) || reference(pattern, later),
            (Some((b'?', rest)), Some((_, later))) => reference(rest, later),
            (Some((byte, rest)), Some((read, later))) => byte == read && reference(rest, later),
            (Some(_), None) => false,
        }
    }

    #[test]
    fn wildcards_match_bytes_and_slashes_alike() {
        for (pattern, text, expected) in [
            ("*", "", true),
            ("", "", true),
            ("", "a", false),
            ("a*c", "abbc", true),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("home/*/x", "home/a/b/x", true),
            ("*.jpg", "a.jpg.txt", false),
            ("*.jpg", "a.jpg.jpg", true),
        ] {
            assert_eq!(Glob::of_text(pattern.as_bytes()).matches(text.as_bytes()), expected, "{pattern} {text}");
        }
        assert!(Glob::of_text(b"a?").matches(&[b'a', 0xff]));
        // One character of two bytes is two places.
        assert!(!Glob::of_text(b"?").matches("é".as_bytes()));
    }

    #[test]
    fn steps_are_counted_and_end() {
        let glob = Glob::of_text(format!("*{}b", "a".repeat(100)).as_bytes());
        let text = "a".repeat(1_000);
        let mut steps = 1_000_000;
        assert_eq!(glob.matches_within(text.as_bytes(), &mut steps), Some(false));
        let needed = 1_000_000 - steps;
        assert!((90_000..=101_000 * 2).contains(&needed), "{needed}");
        assert_eq!(glob.matches_within(text.as_bytes(), &mut { needed }), Some(false));
        assert_eq!(glob.matches_within(text.as_bytes(), &mut { needed - 1 }), None);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]
        #[test]
        fn globs_match_as_the_slow_reference(pattern in "[ab*?]{0,10}", text in "[ab*?]{0,12}") {
            let glob = Glob::of_text(pattern.as_bytes());
            prop_assert_eq!(glob.matches(text.as_bytes()), reference(pattern.as_bytes(), text.as_bytes()));
        }

        #[test]
        fn a_glob_reaches_beyond_a_start_if_some_longer_text_is_matched(
            pattern in "[ab*?]{0,6}", start in "[ab]{0,4}"
        ) {
            // Texts that are longer than the pattern say nothing new.
            let mut longer: Vec<String> = vec![start.clone()];
            let mut some = false;
            for _ in 0..7 {
                longer = longer.iter().flat_map(|text| [format!("{text}a"), format!("{text}b")]).collect();
                some |= longer.iter().any(|text| reference(pattern.as_bytes(), text.as_bytes()));
            }
            prop_assert_eq!(Glob::of_text(pattern.as_bytes()).matches_beyond(start.as_bytes()), some);
        }
    }
}
