//! Appending stripes and copies: only whole ones count.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use erasure::{CODE, Coder};
use shards::{ShardAddress, ShardBody, ShardHeader};
use tokio::time::timeout;
use types::{Extent, HomeKey, PartNumber, PlacementGroup, Profile, Run, RunForm, RunId, TicketId};

use super::Core;
use super::appends::{AppendError, append_all};
use super::body::{WriteError, WriteRequest};
use super::coding::encode;
use super::groups::{choose_copies, choose_stripes};
use super::stripe::Plain;

/// How often a stripe is tried before its write fails. Each failure takes a disk out of the choice for a while, so that
/// more than a group's disks would have to fail one after the other.
const ATTEMPTS_MAX: usize = 12;
/// How long a stripe that was refused under an old layout waits for a newer one.
const LAYOUT_PATIENCE: Duration = Duration::from_secs(2);

/// The runs of one body. Dropped before [`RunWriter::finish`], it hands them to the discard sink.
pub(super) struct RunWriter {
    core: Arc<Core>,
    home: HomeKey,
    part: PartNumber,
    ticket: TicketId,
    wanted: Profile,
    part_metadata: Bytes,
    /// Runs with at least one whole stripe, in the order of the body; the last may be open.
    runs: Vec<Run>,
    /// Where the last run goes on, if it may.
    open: Option<OpenRun>,
    /// Runs without a whole stripe.
    abandoned: Vec<Run>,
    stored_bytes: u64,
    degraded: bool,
}

struct OpenRun {
    group: PlacementGroup,
}

impl RunWriter {
    pub(super) fn new(core: Arc<Core>, request: &WriteRequest) -> Self {
        Self {
            core,
            home: request.home.clone(),
            part: request.part,
            ticket: request.ticket,
            wanted: request.profile,
            part_metadata: request.part_metadata.clone(),
            runs: Vec::new(),
            open: None,
            abandoned: Vec::new(),
            stored_bytes: 0,
            degraded: false,
        }
    }

    /// The profile of the run that goes on, if one does.
    pub(super) fn open_profile(&self) -> Option<Profile> {
        self.open.as_ref().and_then(|_| self.runs.last()).map(|run| run.profile)
    }

    /// Appends one stripe; what does not fit a narrower profile's stripe becomes several. `stripe_bytes` is the plain
    /// length of this stripe and of its followers, but for the run's last; the run ends where they differ.
    pub(super) async fn append(&mut self, plain: Plain, stripe_bytes: usize) -> Result<(), WriteError> {
        let mut attempts = 0;
        let mut rest = vec![plain];
        while let Some(plain) = rest.pop() {
            let (run, group) = self.next_place(stripe_bytes).await?;
            let fits = run.profile.stripe_bytes().min(run.stripe_bytes as usize);
            if plain.bytes() > fits {
                rest.extend(plain.split(fits).into_iter().rev());
                continue;
            }
            let shards = self.shards_of(&plain, run.profile).await;
            let stripe = if self.open.is_some() { run.stripes } else { 0 };
            let headers = self.headers(&run, &group, stripe, plain.bytes());
            match append_all(&self.core, &group, run.profile.m(), headers, shards).await {
                Ok(()) => self.count_stripe(run, group, plain.bytes()),
                Err(error) => {
                    attempts += 1;
                    self.give_up(run);
                    self.prepare_retry(error, attempts).await?;
                    rest.push(plain);
                }
            }
        }
        Ok(())
    }

    /// Appends a small body as 1+m whole copies.
    pub(super) async fn append_copies(&mut self, bytes: Bytes) -> Result<(), WriteError> {
        let mut attempts = 0;
        loop {
            let chosen = choose_copies(&self.core, self.wanted).await?;
            let group_width = u8::try_from(chosen.group.slots.len()).expect("at most 24 slots");
            let form = RunForm::Copies { first_slot: chosen.first_slot, group_width };
            let run = self.new_run(&chosen.group, chosen.profile, form, bytes.len());
            let headers = self.headers(&run, &chosen.group, 0, bytes.len());
            let copies = vec![vec![bytes.clone()]; run.profile.width()];
            match append_all(&self.core, &chosen.group, run.profile.m(), headers, copies).await {
                Ok(()) => {
                    self.degraded |= chosen.degraded;
                    self.stored_bytes += bytes.len() as u64;
                    self.runs.push(run);
                    return Ok(());
                }
                Err(error) => {
                    attempts += 1;
                    self.abandoned.push(run);
                    self.prepare_retry(error, attempts).await?;
                }
            }
        }
    }

    /// The body is whole: its extents, and whether some run is narrower than wanted. What stripes left behind on their
    /// way is handed to the discard sink.
    pub(super) fn finish(mut self) -> (Vec<Extent>, bool) {
        let runs = std::mem::take(&mut self.runs);
        let slice = |run: Run| Extent::Slice { offset: 0, length: run.plain_bytes(), run };
        (runs.into_iter().map(slice).collect(), self.degraded)
    }

    /// The run and group that the next stripe goes to: the open run's, unless its stripes are of another length, its
    /// last one is short, or a disk of it is avoided by now; else a new run's, of no stripe yet.
    async fn next_place(&mut self, stripe_bytes: usize) -> Result<(Run, PlacementGroup), WriteError> {
        if let (Some(open), Some(run)) = (&self.open, self.runs.last()) {
            let same = run.stripe_bytes as usize == stripe_bytes.min(run.profile.stripe_bytes());
            let whole = run.last_stripe_bytes == run.stripe_bytes;
            let failed = open.group.slots.iter().any(|slot| self.core.disks.is_failed(slot.target().0));
            if same && whole && !failed && run.stripes < u32::MAX {
                return Ok((run.clone(), open.group.clone()));
            }
        }
        self.open = None;
        let chosen = choose_stripes(&self.core, self.wanted).await?;
        let stripe_bytes = stripe_bytes.min(chosen.profile.stripe_bytes());
        let run = self.new_run(&chosen.group, chosen.profile, RunForm::Striped, stripe_bytes);
        Ok((run, chosen.group))
    }

    /// A run of one stripe, as it stands once that is appended.
    fn new_run(&self, group: &PlacementGroup, profile: Profile, form: RunForm, stripe_bytes: usize) -> Run {
        let stripe_bytes = u32::try_from(stripe_bytes).expect("at most 16 shards of 4 MiB");
        Run {
            id: RunId { ticket: self.ticket, tail: self.core.run_tail() },
            home: None,
            group: group.id,
            profile,
            code: CODE,
            form,
            stripe_bytes,
            stripes: 1,
            last_stripe_bytes: stripe_bytes,
        }
    }

    fn count_stripe(&mut self, mut run: Run, group: PlacementGroup, bytes: usize) {
        let bytes = u32::try_from(bytes).expect("not above the run's stripes");
        self.degraded |= run.profile != self.wanted;
        self.stored_bytes += u64::from(bytes);
        run.last_stripe_bytes = bytes;
        if self.open.is_some() {
            run.stripes += 1;
            *self.runs.last_mut().expect("an open run is the last") = run;
        } else {
            self.runs.push(run);
            self.open = Some(OpenRun { group });
        }
    }

    /// A stripe failed: the run ends before it.
    fn give_up(&mut self, run: Run) {
        // Shards of the failed stripe lie under the run's id: they are freed with the run.
        if self.open.take().is_none() {
            self.abandoned.push(run);
        }
    }

    /// Whether another attempt makes sense; waits a moment for a newer layout where this one was refused as old.
    async fn prepare_retry(&self, error: AppendError, attempts: usize) -> Result<(), WriteError> {
        if attempts == ATTEMPTS_MAX || matches!(error, AppendError::Refused(_)) {
            return Err(error.into_write_error(self.wanted));
        }
        if let AppendError::Stale(disk) = error {
            let epoch = self.core.layout().epoch;
            // Without an answer, the next attempt finds out whether it was this layout's fault.
            let _ = timeout(LAYOUT_PATIENCE, self.core.seams.planner.refresh()).await;
            if self.core.layout().epoch == epoch {
                // It wasn't: the disk was opened a moment ago and takes nothing before it was told its slots.
                self.core.disks.note_unreachable(disk, self.core.settings.avoid_unreachable);
            }
        }
        Ok(())
    }

    async fn shards_of(&self, plain: &Plain, profile: Profile) -> Vec<ShardBody> {
        let mut data = plain.cut(profile.k());
        if profile.m() == 0 {
            return data;
        }
        let coder = Coder::new(profile);
        let pool = self.core.seams.buffers.clone();
        let memory = Arc::clone(plain.memory());
        if profile.k() == 1 {
            let parity = encode(&coder, &data, &pool, &memory);
            data.extend(parity);
            return data;
        }
        let coded = self.core.seams.workers.run(move || {
            let parity = encode(&coder, &data, &pool, &memory);
            data.extend(parity);
            data
        });
        coded.await
    }

    fn headers(&self, run: &Run, group: &PlacementGroup, stripe: u32, plain_bytes: usize) -> Vec<ShardHeader> {
        let first = self.stored_bytes == 0;
        let shards = 0..u8::try_from(run.profile.width()).expect("at most 24 shards");
        let header = |shard: u8| {
            let slot = run.slot_of(shard);
            ShardHeader {
                address: ShardAddress { group: group.id, run: run.id, stripe, shard },
                slot,
                slot_epoch: group.slots[usize::from(slot.0)].target().1,
                profile: run.profile,
                code: run.code,
                form: run.form,
                home: self.home.clone(),
                part: self.part.get(),
                part_offset: self.stored_bytes,
                stripe_bytes: run.stripe_bytes,
                plain_bytes: u32::try_from(plain_bytes).expect("not above the run's stripes"),
                part_metadata: (first && !self.part_metadata.is_empty()).then(|| self.part_metadata.clone()),
            }
        };
        shards.map(header).collect()
    }
}

impl Drop for RunWriter {
    fn drop(&mut self) {
        let mut left = std::mem::take(&mut self.abandoned);
        left.append(&mut self.runs);
        if !left.is_empty() {
            self.core.seams.discards.discard(left, &self.home);
        }
    }
}
