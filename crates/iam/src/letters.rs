//! Texts that nobody can guess.

use platform::Entropy;

/// No two that look alike.
const LETTERS: &[u8; 32] = b"ABCDEFGHJKLMNPQRSTUVWXYZ23456789";

/// Letters of an access key: AWS's length, so that clients that check it are content.
pub const ACCESS_KEY_LETTERS: usize = 20;
/// Letters of a secret: 5 bits each.
pub const SECRET_KEY_LETTERS: usize = 40;

/// So many letters and digits, 5 bits each.
pub fn letters(entropy: &dyn Entropy, count: usize) -> String {
    let mut bytes = vec![0; count];
    entropy.fill(&mut bytes);
    bytes.into_iter().map(|byte| char::from(LETTERS[usize::from(byte) % LETTERS.len()])).collect()
}

/// An id with the letters in front that tell what it is of (IAM User Guide, "IAM identifiers").
pub(crate) fn unique_id(entropy: &dyn Entropy, prefix: &str) -> String {
    format!("{prefix}{}", letters(entropy, ACCESS_KEY_LETTERS + 1 - prefix.len()))
}
