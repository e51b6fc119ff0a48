//! An index in memory, and a clock that each command moves on.

use std::sync::Arc;

use index::command::{BucketAt, BucketConfig, BucketRow, Command, CommandBody};
use index::contract::samples;
use index::query::GarbageRow;
use index::{
    Answer, FIRST_DATA_RANGE, IndexDatabase, IndexDatabaseError, IndexSettings, Query, QueryAnswer, RangeEntry,
    Refusal, SYSTEM_RANGE,
};
use types::{BucketId, CommitStamp, RangeId, RunId, Timestamp, Version, Versioning};

/// The range that a command goes to where none was split.
fn range_of(command: &Command) -> RangeId {
    if command.body.is_of_system_range() { SYSTEM_RANGE } else { FIRST_DATA_RANGE }
}

pub(crate) struct World {
    pub(crate) database: IndexDatabase,
    pub(crate) time: Timestamp,
}

impl World {
    pub(crate) fn new() -> Self {
        Self { database: IndexDatabase::in_memory().expect("opened"), time: Timestamp::from_seconds(1_000_000) }
    }

    /// A world with bucket 1.
    pub(crate) fn with_bucket(versioning: Versioning) -> (Self, BucketAt) {
        let mut world = Self::new();
        let config = BucketConfig { versioning, ..BucketConfig::default() };
        let row = world.apply(CommandBody::CreateBucketRow { id: BucketId(1), config });
        assert!(matches!(row, Answer::BucketRow(_)), "{row:?}");
        (world, samples::at(1, 1))
    }

    pub(crate) fn apply(&mut self, body: CommandBody) -> Answer {
        self.command(samples::plain(body))
    }

    /// Applies a command by itself, a millisecond after the last one.
    pub(crate) fn command(&mut self, command: Command) -> Answer {
        self.command_to(range_of(&command), command)
    }

    /// As [`World::command`], in this range.
    pub(crate) fn command_to(&mut self, range: RangeId, command: Command) -> Answer {
        let answer = self.try_command_to(range, command).expect("applied");
        assert_eq!(self.database.verify().expect("rows can be read"), Vec::<String>::new());
        answer
    }

    /// As [`World::apply`], of a command that may end the database.
    pub(crate) fn try_apply(&mut self, body: CommandBody) -> Result<Answer, IndexDatabaseError> {
        let command = samples::plain(body);
        self.try_command_to(range_of(&command), command)
    }

    fn try_command_to(&mut self, range: RangeId, command: Command) -> Result<Answer, IndexDatabaseError> {
        self.time.0 += 1000;
        let applied = self.time.0.to_be_bytes().to_vec().into();
        let entry = RangeEntry { range, applied, membership: None, time: self.time, commands: vec![command] };
        Ok(self.database.apply(&[entry])?[0][0].clone())
    }

    pub(crate) fn ask(&mut self, query: Query) -> QueryAnswer {
        self.database.query(&query).expect("answered")
    }

    pub(crate) fn version(&mut self, text: &str, which: index::command::WhichVersion) -> Option<Version> {
        match self.ask(samples::ask_version(1, text, which)) {
            QueryAnswer::Version { version, .. } => version.map(|version| *version),
            other => panic!("a version was asked for, not {other:?}"),
        }
    }

    pub(crate) fn bucket_row(&mut self, bucket: u64) -> Option<BucketRow> {
        match self.ask(Query::BucketRow(BucketId(bucket))) {
            QueryAnswer::BucketRow(row) => row,
            other => panic!("a row was asked for, not {other:?}"),
        }
    }

    pub(crate) fn set_versioning(&mut self, at: BucketAt, versioning: Versioning) -> BucketAt {
        let config = BucketConfig { versioning, ..BucketConfig::default() };
        match self.apply(CommandBody::ChangeBucketRow { bucket: at, config }) {
            Answer::BucketRow(row) => BucketAt { id: row.id, epoch: row.epoch },
            other => panic!("a row is answered, not {other:?}"),
        }
    }

    pub(crate) fn garbage(&mut self) -> Vec<GarbageRow> {
        let query = Query::Garbage { freed_before: CommitStamp(u64::MAX), after: None, limit: usize::MAX };
        match self.ask(query) {
            QueryAnswer::Garbage(rows) => rows,
            other => panic!("garbage was asked for, not {other:?}"),
        }
    }

    pub(crate) fn garbage_runs(&mut self) -> Vec<RunId> {
        self.garbage().into_iter().map(|row| row.run.id).collect()
    }
}

/// A database on a disk in a directory.
pub(crate) fn opened(directory: &tempfile::TempDir) -> IndexDatabase {
    let disk = Arc::new(platform::RealDisk::create(directory.path().join("disk")).expect("made"));
    let location = sqlite_vfs::DatabaseLocation { disk, path: "index".into() };
    IndexDatabase::open(location, IndexSettings::default()).expect("opened")
}

pub(crate) fn refused(refusal: Refusal) -> Answer {
    Answer::Refused(refusal)
}
