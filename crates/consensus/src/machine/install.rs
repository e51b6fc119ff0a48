//! Putting another voter's rows of a range in the place of those that are here, a step at a time.
//!
//! Before the first step the database says that the range is being installed, and from which file; a start that finds
//! this begins anew from that file. The file stays until what follows its rows is in the log and applied.

use std::sync::Arc;

use index::{IndexDatabase, IndexDatabaseError};
use platform::DiskFile;
use tokio::sync::oneshot;
use types::RangeId;

use super::Mark;
use super::rows_file::{RowsReader, RowsRecord, places_in};
use crate::encoding::encode_installing;

/// Asks the applier to install a file of rows.
pub(crate) struct InstallWork {
    pub(crate) range: RangeId,
    pub(crate) rows: ReceivedRows,
    pub(crate) done: oneshot::Sender<Result<(), String>>,
}

/// A whole, durable file of rows of a range.
#[derive(Clone)]
pub(crate) struct ReceivedRows {
    pub(crate) file: Arc<dyn DiskFile>,
    /// How far the range is in its rows.
    pub(crate) mark: Mark,
}

/// Why rows are not installed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum InstallError {
    /// The file can't be read.
    #[error("the file of rows can't be read: {0}")]
    File(#[from] std::io::Error),
    /// The database failed.
    #[error("the database can't take the rows")]
    Database(#[from] IndexDatabaseError),
}

enum Stage {
    Begin,
    Clear,
    Insert { rows: RowsReader, bodies: i64, first: Option<Vec<u8>> },
    Checkpoint,
    Done,
}

/// An installation under way in one database.
pub(crate) struct Installation {
    range: RangeId,
    rows: ReceivedRows,
    stage: Stage,
}

impl Installation {
    pub(crate) fn new(range: RangeId, rows: ReceivedRows) -> Self {
        Self { range, rows, stage: Stage::Begin }
    }

    /// Does the next step; `true` once the rows are all there and durable.
    ///
    /// # Errors
    /// [`InstallError`]; it can't be gone on with.
    pub(crate) fn step(&mut self, database: &mut IndexDatabase) -> Result<bool, InstallError> {
        let range = self.range;
        match &mut self.stage {
            Stage::Begin => {
                let applied = self.rows.mark.applied.expect("rows are of an entry");
                let comes = places_in(&self.rows.file, range)?;
                database.begin_install(range, encode_installing(&applied), comes.as_ref())?;
                self.stage = Stage::Clear;
            }
            Stage::Clear => {
                if database.clear_rows(range)? {
                    let rows = RowsReader::new(self.rows.file.clone())?;
                    self.stage = Stage::Insert { rows, bodies: database.last_body()?, first: None };
                }
            }
            Stage::Insert { rows, bodies, first } => match rows.next()? {
                RowsRecord::Stretch(stretch) => {
                    database.install_rows(&stretch, *bodies)?;
                    first.get_or_insert(stretch);
                }
                RowsRecord::End => {
                    let first = first.as_deref().expect("a file that was checked has a stretch");
                    database.finish_install(range, first)?;
                    self.stage = Stage::Checkpoint;
                }
            },
            // The log before it goes once this is done, so it must be durable; where a reader holds on, again.
            Stage::Checkpoint => {
                if database.checkpoint()?.complete {
                    self.stage = Stage::Done;
                }
            }
            Stage::Done => {}
        }
        Ok(matches!(self.stage, Stage::Done))
    }
}
