//! Rules that a build of `tests/net` can be told to leave out, so that the tests are seen to notice.

use std::sync::LazyLock;

/// Only `tests/net` builds so; nothing else can by accident.
const CAN_LEAVE_OUT: bool = {
    let asked = cfg!(feature = "leave-out-by-name");
    assert!(!asked || option_env!("CAIRN_PROVES_ITS_NET").is_some(), "leave-out-by-name is for tests/net alone");
    asked
};

/// The rule that this process is to do without.
static NAMED: LazyLock<Option<String>> = LazyLock::new(|| std::env::var("CAIRN_LEAVES_OUT").ok());

/// Whether this process does without the rule of this name: never, in any build but that of `tests/net`.
#[inline]
pub fn leaves_out(rule: &str) -> bool {
    CAN_LEAVE_OUT && NAMED.as_deref() == Some(rule)
}
