//! Which kinds an enum has by its encoding, so that golden files are held to have all of them.

use std::collections::BTreeSet;

use serde::Serialize;
use serde::de::DeserializeOwned;

/// No message or command has as many kinds: each has its number in one byte.
const KINDS_MAX: u8 = 127;

/// Checks that values of every kind are there; a kind that was added needs one, and its bytes in the golden file.
///
/// # Panics
/// Where one is missing.
pub fn assert_all_kinds<'a, T: Serialize + DeserializeOwned + 'a>(values: impl IntoIterator<Item = &'a T>) {
    let number = |value: &T| postcard::to_allocvec(value).expect("it can be encoded")[0];
    let found: BTreeSet<u8> = values.into_iter().map(number).collect();
    // A kind that is known fails for want of what it holds, if for anything.
    let is_known = |kind: &u8| {
        let read = postcard::from_bytes::<T>(&[*kind]);
        read.is_ok() || matches!(read, Err(postcard::Error::DeserializeUnexpectedEnd))
    };
    let known: BTreeSet<u8> = (0..KINDS_MAX).take_while(is_known).collect();
    assert_eq!(found, known, "each kind of {} has its line in the golden file", std::any::type_name::<T>());
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Serialize, Deserialize)]
    enum Message {
        Bare,
        Holds(String, Vec<u64>),
        Last { flag: bool },
    }

    #[test]
    fn values_of_all_kinds_are_enough() {
        assert_all_kinds(&[Message::Last { flag: true }, Message::Holds("a".to_owned(), vec![300]), Message::Bare]);
    }

    #[test]
    #[should_panic(expected = "each kind of")]
    fn a_kind_without_a_value_is_missed() {
        assert_all_kinds(&[Message::Bare, Message::Holds(String::new(), Vec::new())]);
    }
}
