//! What names may be (IAM API Reference, the patterns of `userNameType` and others).

use types::{AccountId, CanonicalId};

use crate::IamError;

/// A user's, group's, role's or policy's name.
pub(crate) fn check_name(name: &str, letters_max: usize) -> Result<(), IamError> {
    let may_be = |letter: u8| letter.is_ascii_alphanumeric() || b"_+=,.@-".contains(&letter);
    if (1..=letters_max).contains(&name.len()) && name.bytes().all(may_be) {
        return Ok(());
    }
    Err(IamError::Invalid(format!("a name has 1 to {letters_max} letters, digits and _+=,.@-")))
}

/// A path.
pub(crate) fn check_path(path: &str) -> Result<(), IamError> {
    let is_printable = path.bytes().all(|byte| (0x21..=0x7e).contains(&byte));
    if path.starts_with('/') && path.ends_with('/') && path.len() <= 512 && is_printable {
        return Ok(());
    }
    Err(IamError::Invalid("a path begins and ends with a slash and has up to 512 printable characters".to_owned()))
}

/// An access key that is given.
pub(crate) fn check_access_key(id: &str) -> Result<(), IamError> {
    // What stands in `Credential=` up to the first slash; a comma would end it.
    let may_be = |letter: u8| letter.is_ascii_alphanumeric() || b"_+=.@-".contains(&letter);
    if (3..=128).contains(&id.len()) && id.bytes().all(may_be) {
        return Ok(());
    }
    Err(IamError::Invalid("an access key has 3 to 128 letters, digits and _+=.@-".to_owned()))
}

/// A secret that is given.
pub(crate) fn check_secret(secret: &str) -> Result<(), IamError> {
    if (8..=128).contains(&secret.len()) && secret.bytes().all(|byte| (0x20..=0x7e).contains(&byte)) {
        return Ok(());
    }
    Err(IamError::Invalid("a secret has 8 to 128 printable characters".to_owned()))
}

/// An account's number.
pub(crate) fn check_account(account: AccountId) -> Result<(), IamError> {
    if (1..1_000_000_000_000).contains(&account.0) {
        return Ok(());
    }
    Err(IamError::Invalid("an account has up to twelve digits".to_owned()))
}

/// A canonical id that is given.
pub(crate) fn check_canonical_id(id: &CanonicalId) -> Result<(), IamError> {
    let may_be = |letter: u8| letter.is_ascii_alphanumeric() || b"_.-".contains(&letter);
    if (1..=128).contains(&id.0.len()) && id.0.bytes().all(may_be) {
        return Ok(());
    }
    Err(IamError::Invalid("a canonical id has 1 to 128 letters, digits and _.-; AWS's have 64 hex digits".to_owned()))
}

/// A text for people.
pub(crate) fn check_text(what: &str, text: &str) -> Result<(), IamError> {
    if text.len() <= 256 && !text.chars().any(char::is_control) {
        return Ok(());
    }
    Err(IamError::Invalid(format!("{what} has up to 256 bytes and no control characters")))
}
