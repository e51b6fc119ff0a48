//! The contract of `IndexService`, on the index without a log.

use std::sync::Arc;

use index::LocalIndex;
use index::contract::index_contract;
use platform::ManualClock;
use types::Timestamp;

#[tokio::test]
async fn the_local_index_keeps_the_contract() {
    let clock = Arc::new(ManualClock::new(Timestamp::from_seconds(1_700_000_000)));
    index_contract(&LocalIndex::in_memory(clock).unwrap()).await;
}
