//! Continuation tokens: opaque to clients, versioned, not secret.
//!
//! A token is base64url of a version byte, a byte for the listing that it belongs to, and where that listing goes on.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::ObjectsError;

const VERSION: u8 = 1;

/// Which listing a token continues.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Listing {
    Buckets = 1,
    Objects = 2,
}

/// The token of a page that ended at `position`.
pub(crate) fn encode(listing: Listing, position: &[u8]) -> String {
    let mut bytes = vec![VERSION, listing as u8];
    bytes.extend_from_slice(position);
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Where the page of `token` ended.
///
/// # Errors
/// [`ObjectsError::InvalidToken`] for tokens of other listings, of newer releases or of clients' own making.
pub(crate) fn decode(listing: Listing, token: &str) -> Result<Vec<u8>, ObjectsError> {
    let bytes = URL_SAFE_NO_PAD.decode(token).map_err(|_| ObjectsError::InvalidToken)?;
    match bytes.split_first_chunk() {
        Some(([VERSION, of], position)) if *of == listing as u8 => Ok(position.to_vec()),
        _ => Err(ObjectsError::InvalidToken),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_read_back_and_belong_to_one_listing() {
        let token = encode(Listing::Objects, b"a/\xff");
        assert_eq!(token, "AQJhL_8", "tokens outlive the release that made them");
        assert_eq!(decode(Listing::Objects, &token).unwrap(), b"a/\xff");
        for wrong in [encode(Listing::Buckets, b"a"), String::new(), "AQ".into(), "%".into(), "AgJh".into()] {
            assert!(matches!(decode(Listing::Objects, &wrong), Err(ObjectsError::InvalidToken)), "{wrong}");
        }
    }
}
