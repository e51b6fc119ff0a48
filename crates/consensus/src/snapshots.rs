//! Rows of a range on their way: read into a file here and sent in pieces, or received in pieces and checked.
//!
//! One read transaction gives them all and is over before the first piece is sent: it keeps checkpoints from ending.

use std::collections::BTreeMap;
use std::io::IoSlice;
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use platform::threads::run_blocking;
use platform::{DiskFile, Entropy, OpenOptions};
use sqlite_vfs::DatabaseLocation;
use telemetry::with_causes;
use tokio::sync::{mpsc, oneshot};
use types::{DiskId, RangeId};

use crate::machine::{
    DatabaseDesk, DatabasePlaces, KeeperRequest, KnownRanges, ReceivedRows, check_rows, places_in, write_rows,
};
use crate::messages::{SnapshotEnd, SnapshotPiece};

/// Bytes of a piece.
const PIECE_BYTES: usize = 512 << 10;

/// Where the rows of this node's ranges come from.
#[derive(Clone)]
pub(crate) struct SnapshotSource {
    pub(crate) keeper: mpsc::UnboundedSender<KeeperRequest>,
    pub(crate) places: Arc<DatabasePlaces>,
    pub(crate) desk: Arc<DatabaseDesk>,
    pub(crate) entropy: Arc<dyn Entropy>,
}

impl SnapshotSource {
    /// Writes the rows of a range, as they are now, into a file beside the database.
    ///
    /// # Errors
    /// What is in the way: the database may be being replaced, or its disk full.
    pub(crate) async fn rows(&self, range: RangeId) -> Result<OutgoingRows, String> {
        let (answer, answered) = oneshot::channel();
        let ended = || "the index has ended".to_owned();
        self.keeper.send(KeeperRequest::Reader(answer)).map_err(|_| ended())?;
        let mut reader = answered.await.map_err(|_| ended())??;
        let disk = (*self.desk.disk.lock()).ok_or("there is no database")?;
        let id = self.entropy.id();
        let at = self.places.rows_under_way(disk, u128::from_be_bytes(id)).ok_or("the database's disk is gone")?;
        run_blocking(move || {
            let file = at.disk.open(&at.path, OpenOptions::CREATE).map_err(|error| error.to_string())?;
            let rows = OutgoingRows { id, place: RowsPlace(at), file, bytes: 0 };
            let bytes = write_rows(&mut reader, range, &*rows.file)?;
            Ok(OutgoingRows { bytes, ..rows })
        })
        .await
    }
}

/// A file that is removed with this value.
struct RowsPlace(DatabaseLocation);

impl Drop for RowsPlace {
    fn drop(&mut self) {
        if let Err(error) = self.0.disk.remove(&self.0.path) {
            tracing::warn!(path = %self.0.path.display(), %error, "a file of rows was not removed");
        }
    }
}

/// A file of rows that is being sent.
pub(crate) struct OutgoingRows {
    id: [u8; 16],
    /// Removes it in the end.
    #[allow(dead_code, reason = "held for its end")]
    place: RowsPlace,
    file: Arc<dyn DiskFile>,
    bytes: u64,
}

impl OutgoingRows {
    /// Names the file among those that are sent.
    pub(crate) fn id(&self) -> [u8; 16] {
        self.id
    }

    /// The piece at `offset`; `None` at the end.
    ///
    /// # Errors
    /// It can't be read.
    pub(crate) async fn piece(&self, offset: u64) -> Result<Option<SnapshotPiece>, String> {
        let left = usize::try_from(self.bytes - offset).unwrap_or(usize::MAX).min(PIECE_BYTES);
        if left == 0 {
            return Ok(None);
        }
        let file = self.file.clone();
        let bytes = run_blocking(move || {
            let mut bytes = vec![0; left];
            file.read_at(&mut bytes, offset).map(|read| {
                bytes.truncate(read);
                bytes
            })
        });
        let bytes = bytes.await.map_err(|error| error.to_string())?;
        if bytes.is_empty() {
            return Err("the file of rows is too short".to_owned());
        }
        Ok(Some(SnapshotPiece { id: self.id, offset, bytes: bytes.into() }))
    }
}

/// Takes in the pieces of rows that come from other voters; one file a range at a time, the one begun last.
pub(crate) struct SnapshotReceiver {
    places: Arc<DatabasePlaces>,
    desk: Arc<DatabaseDesk>,
    known: Arc<KnownRanges>,
    incoming: Mutex<BTreeMap<RangeId, Incoming>>,
}

struct Incoming {
    id: [u8; 16],
    disk: DiskId,
    at: DatabaseLocation,
    file: Arc<dyn DiskFile>,
    hasher: blake3::Hasher,
    bytes: u64,
}

impl Incoming {
    fn take_in(&mut self, bytes: &Bytes) -> std::io::Result<()> {
        self.file.write_all_at(&[IoSlice::new(bytes)], self.bytes)?;
        self.hasher.update(bytes);
        self.bytes += bytes.len() as u64;
        Ok(())
    }
}

impl SnapshotReceiver {
    pub(crate) fn new(places: Arc<DatabasePlaces>, desk: Arc<DatabaseDesk>, known: Arc<KnownRanges>) -> Self {
        Self { places, desk, known, incoming: Mutex::default() }
    }

    /// Writes a piece.
    ///
    /// # Errors
    /// It does not follow what was written, or the disk takes nothing: the file is to be sent anew.
    pub(crate) async fn take_in(&self, range: RangeId, piece: SnapshotPiece) -> Result<(), String> {
        let SnapshotPiece { id, offset, bytes } = piece;
        // Out of the map while it is written: whoever comes meanwhile finds nothing to go on with.
        let known = self.incoming.lock().remove(&range);
        let mut incoming = match known {
            Some(known) if known.id == id && known.bytes == offset => known,
            other => {
                if let Some(given_up) = other {
                    run_blocking(move || remove(&given_up)).await;
                }
                if offset != 0 {
                    return Err("a piece is missing before this one".to_owned());
                }
                self.begin(id).await?
            }
        };
        let (incoming, written) = run_blocking(move || {
            let written = incoming.take_in(&bytes);
            (incoming, written)
        })
        .await;
        if let Err(error) = written {
            run_blocking(move || remove(&incoming)).await;
            return Err(error.to_string());
        }
        let displaced = self.incoming.lock().insert(range, incoming);
        if let Some(displaced) = displaced {
            run_blocking(move || remove(&displaced)).await;
        }
        Ok(())
    }

    async fn begin(&self, id: [u8; 16]) -> Result<Incoming, String> {
        let disk = (*self.desk.disk.lock()).ok_or("there is no database")?;
        let at = self.places.rows_under_way(disk, u128::from_be_bytes(id)).ok_or("the database's disk is gone")?;
        run_blocking(move || {
            let file = at.disk.open(&at.path, OpenOptions::CREATE).map_err(|error| error.to_string())?;
            file.set_len(0).map_err(|error| error.to_string())?;
            Ok(Incoming { id, disk, at, file, hasher: blake3::Hasher::new(), bytes: 0 })
        })
        .await
    }

    /// Checks what was received, and makes it durable under the name by which a start finds it.
    ///
    /// # Errors
    /// It is not what was sent: it is to be sent anew.
    pub(crate) async fn finish(&self, range: RangeId, end: &SnapshotEnd) -> Result<ReceivedRows, String> {
        let incoming = self.incoming.lock().remove(&range).ok_or("nothing was received")?;
        let is_whole =
            incoming.id == end.id && incoming.bytes == end.bytes && *incoming.hasher.finalize().as_bytes() == end.hash;
        let (places, desk, known) = (self.places.clone(), self.desk.clone(), self.known.clone());
        run_blocking(move || {
            if !is_whole {
                remove(&incoming);
                return Err("what was received is not what was sent".to_owned());
            }
            let kept = keep(&incoming, range, &places, &desk, &known);
            kept.inspect_err(|_| remove(&incoming))
        })
        .await
    }
}

fn keep(
    incoming: &Incoming,
    range: RangeId,
    places: &DatabasePlaces,
    desk: &DatabaseDesk,
    known: &KnownRanges,
) -> Result<ReceivedRows, String> {
    let mark = check_rows(&incoming.file, range).map_err(|error| with_causes(&error))?;
    let comes = places_in(&incoming.file, range).map_err(|error| with_causes(&error))?;
    if let Some(with) = comes.and_then(|comes| known.overlapping(&comes)) {
        return Err(format!(
            "range {with} has some of its places here: one of the two is behind the split between them"
        ));
    }
    let index = mark.applied.map_or(0, |applied| applied.index);
    incoming.file.sync_data().map_err(|error| error.to_string())?;
    let to = places.rows_at(incoming.disk, range, index).ok_or("the disk is gone")?;
    to.disk.rename(&incoming.at.path, &to.path).map_err(|error| error.to_string())?;
    to.disk.sync_directory(to.path.parent().unwrap_or(&to.path)).map_err(|error| error.to_string())?;
    desk.has_rows.store(true, std::sync::atomic::Ordering::SeqCst);
    Ok(ReceivedRows { file: incoming.file.clone(), mark })
}

fn remove(incoming: &Incoming) {
    // Left over otherwise until the next start.
    let _ = incoming.at.disk.remove(&incoming.at.path);
}
