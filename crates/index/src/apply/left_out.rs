//! Rules that `tests/net`, which proves that the tests would notice, builds without; nothing else can by accident.

/// Tickets are not compared with the floor.
pub(super) const TICKET_CHECK: bool =
    is_left_out(cfg!(feature = "leave-out-ticket-check"), "leave-out-ticket-check is for tests/net alone");
/// Writes are not compared with their bucket's row.
pub(super) const BUCKET_EPOCH: bool =
    is_left_out(cfg!(feature = "leave-out-bucket-epoch"), "leave-out-bucket-epoch is for tests/net alone");
/// A repeated command is applied again.
pub(super) const REQUEST_IDS: bool =
    is_left_out(cfg!(feature = "leave-out-request-ids"), "leave-out-request-ids is for tests/net alone");

const fn is_left_out(asked: bool, otherwise: &str) -> bool {
    assert!(!asked || option_env!("CAIRN_PROVES_ITS_NET").is_some(), "{}", otherwise);
    asked
}
