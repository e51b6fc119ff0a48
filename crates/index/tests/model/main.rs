//! Random logs, against a reference that is a few maps.
//!
//! Aim: what a log answers and leaves behind is what S3 says, and the same however the log is cut into transactions.
//! Method: generated steps become commands (versions and parts are picked from what the reference has), each is applied
//! to both; then all listings, versions, counters and garbage are compared. The same log is applied again in other
//! batches, with the database opened anew between them, and the digests are compared.

mod compare;
mod crash;
mod lifecycle;
mod reference;
mod writer;

use index::{IndexDatabase, IndexSettings};
use proptest::collection::vec;
use proptest::prelude::*;

use compare::{compare, compare_listing, listings};
use writer::{Writer, step};

proptest! {
    #![proptest_config(ProptestConfig { cases: 192, ..ProptestConfig::default() })]

    #[test]
    fn the_index_answers_as_the_reference_and_keeps_what_it_keeps(
        steps in vec((0u64..40, step()), 1..60),
        listings in listings(),
    ) {
        let mut writer = Writer::new();
        for (time, step) in &steps {
            writer.step(*time, step);
        }
        let mut database = IndexDatabase::in_memory().unwrap();
        for (entry, expected) in writer.log.iter().zip(&writer.answers) {
            let answers = database.apply(std::slice::from_ref(entry)).unwrap();
            prop_assert_eq!(&answers[0][0], expected, "{:?}", &entry.commands[0]);
        }
        compare(&writer.reference, &mut database);
        for (range, pick) in &listings {
            compare_listing(&writer.reference, &mut database, range, pick);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn a_log_leaves_the_same_rows_however_it_is_cut(
        steps in vec((0u64..40, step()), 20..80),
        cuts in vec(1usize..9, 1..40),
        reopen_every in 1usize..6,
    ) {
        let mut writer = Writer::new();
        for (time, step) in &steps {
            writer.step(*time, step);
        }
        let mut whole = IndexDatabase::in_memory().unwrap();
        let answers = whole.apply(&writer.log).unwrap();
        prop_assert_eq!(answers.concat(), writer.answers);

        let directory = tempfile::tempdir().unwrap();
        let disk = std::sync::Arc::new(platform::RealDisk::create(directory.path().join("disk")).unwrap());
        let open = || {
            let location = sqlite_vfs::DatabaseLocation { disk: disk.clone(), path: "index".into() };
            IndexDatabase::open(location, IndexSettings::default()).unwrap()
        };
        let mut database = open();
        let mut rest = &writer.log[..];
        for (at, cut) in cuts.iter().cycle().enumerate() {
            if rest.is_empty() {
                break;
            }
            let (batch, after) = rest.split_at((*cut).min(rest.len()));
            database.apply(batch).unwrap();
            rest = after;
            if at % reopen_every == 0 {
                drop(database);
                database = open();
            }
        }
        prop_assert_eq!(database.digest().unwrap(), whole.digest().unwrap());
    }
}
