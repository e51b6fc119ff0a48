//! A command or query within a range holds another one, and that one no further: whoever could nest them at will could
//! have a node use up its stack by reading them.

use std::cell::Cell;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

thread_local! {
    static IS_INSIDE: Cell<bool> = const { Cell::new(false) };
}

/// Reads what is held, where that is inside nothing itself.
///
/// # Errors
/// It is; what `T` fails with.
pub(crate) fn only_level<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Box<T>, D::Error> {
    if IS_INSIDE.replace(true) {
        return Err(D::Error::custom("what is within a range holds no other that is"));
    }
    let read = T::deserialize(deserializer);
    IS_INSIDE.set(false);
    read.map(Box::new)
}

#[cfg(test)]
mod tests {
    use types::{BucketId, SplitEpoch, TicketId};

    use crate::{CommandBody, Query};

    #[test]
    fn what_is_within_a_range_holds_one_command_or_query_alone() {
        let within = |body| CommandBody::Within { epoch: SplitEpoch(1), body: Box::new(body) };
        let asked = |query| Query::Within { epoch: SplitEpoch(1), query: Box::new(query) };
        let bytes = |body: &CommandBody| postcard::to_allocvec(body).expect("encoded");
        let mut body = within(CommandBody::RaiseFloor { floor: TicketId(3) });
        let mut query = asked(Query::Usage(BucketId(1)));
        for _ in 0..2 {
            // What fails leaves no trace for the next one.
            assert_eq!(postcard::from_bytes::<CommandBody>(&bytes(&body)).expect("one level is read"), body);
            let (deep_body, deep_query) = (within(body.clone()), asked(query.clone()));
            assert!(postcard::from_bytes::<CommandBody>(&bytes(&deep_body)).is_err());
            let encoded = postcard::to_allocvec(&deep_query).expect("encoded");
            assert!(postcard::from_bytes::<Query>(&encoded).is_err());
        }
        for _ in 0..1_000 {
            (body, query) = (within(body), asked(query));
        }
        assert!(postcard::from_bytes::<CommandBody>(&bytes(&body)).is_err());
        assert!(postcard::from_bytes::<Query>(&postcard::to_allocvec(&query).expect("encoded")).is_err());
    }
}
