//! What runs lie on the disks, by their shards' headers.
//!
//! All disks list their shards in one order, so merging the lists brings a run's shards together, and no more is held
//! than a page of each.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use shards::{ShardAddress, ShardHeader, ShardService};
use types::{DiskId, HomeKey, PlacementGroupId, Profile, Run, RunForm, RunId, TicketId};

/// Shards that a disk lists at once.
const PAGE: usize = 1000;

/// A run as its headers say it, as far as it is whole from its first stripe on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FoundRun {
    pub(crate) run: Run,
    pub(crate) home: HomeKey,
    pub(crate) part: u16,
    /// Plain bytes of the part before it.
    pub(crate) offset: u64,
    /// Of a part's first run: what the index row needs.
    pub(crate) record: Option<Bytes>,
}

/// The shards of one run.
#[derive(Debug)]
pub(crate) struct RunShards {
    pub(crate) group: PlacementGroupId,
    pub(crate) run: RunId,
    /// For each stripe, which shards there are, and where.
    stripes: BTreeMap<u32, BTreeMap<u8, Vec<DiskId>>>,
}

/// Lists the runs of all disks, one after the other.
pub(crate) struct RunLister<'a> {
    service: &'a dyn ShardService,
    disks: Vec<DiskPages>,
    /// Shards that were listed.
    pub(crate) shards: u64,
}

struct DiskPages {
    disk: DiskId,
    after: Option<ShardAddress>,
    ahead: VecDeque<ShardAddress>,
    ended: bool,
}

impl<'a> RunLister<'a> {
    pub(crate) fn new(service: &'a dyn ShardService, disks: &[DiskId]) -> Self {
        let pages = |disk: &DiskId| DiskPages { disk: *disk, after: None, ahead: VecDeque::new(), ended: false };
        Self { service, disks: disks.iter().map(pages).collect(), shards: 0 }
    }

    /// The next run; `None` at the end.
    pub(crate) async fn next(&mut self) -> Option<RunShards> {
        for disk in &mut self.disks {
            disk.fill(self.service).await;
        }
        let first = self.disks.iter().filter_map(|disk| disk.ahead.front()).min()?;
        let (group, run) = (first.group, first.run);
        let mut found = RunShards { group, run, stripes: BTreeMap::new() };
        for disk in &mut self.disks {
            loop {
                disk.fill(self.service).await;
                match disk.ahead.front() {
                    Some(address) if (address.group, address.run) == (group, run) => {
                        let shards = found.stripes.entry(address.stripe).or_default();
                        shards.entry(address.shard).or_default().push(disk.disk);
                        self.shards += 1;
                        disk.ahead.pop_front();
                    }
                    _ => break,
                }
            }
        }
        Some(found)
    }
}

impl DiskPages {
    async fn fill(&mut self, service: &dyn ShardService) {
        if !self.ahead.is_empty() || self.ended {
            return;
        }
        match service.list(self.disk, self.after, PAGE).await {
            Ok(page) => {
                self.ended = page.is_empty();
                self.after = page.last().map(|shard| shard.address).or(self.after);
                self.ahead.extend(page.into_iter().map(|shard| shard.address));
            }
            Err(error) => {
                tracing::error!(disk = %self.disk, %error, "a disk's shards can't be listed; it is passed over");
                self.ended = true;
            }
        }
    }
}

impl RunShards {
    /// A header of a stripe, from whatever shard has one that can be read.
    pub(crate) async fn header(&self, service: &dyn ShardService, stripe: u32) -> Option<ShardHeader> {
        for (shard, disks) in self.stripes.get(&stripe)? {
            let address = ShardAddress { group: self.group, run: self.run, stripe, shard: *shard };
            for disk in disks {
                match service.header(*disk, address).await {
                    Ok(header) => return Some(header),
                    Err(error) => tracing::warn!(%disk, ?address, %error, "a shard's header can't be read"),
                }
            }
        }
        None
    }

    /// A header of any stripe: whose the run is.
    pub(crate) async fn any_header(&self, service: &dyn ShardService) -> Option<ShardHeader> {
        for stripe in self.stripes.keys() {
            if let Some(header) = self.header(service, *stripe).await {
                return Some(header);
            }
        }
        None
    }

    /// The run, as far as its stripes are whole from the first on; `None` where the first is not.
    pub(crate) async fn whole(&self, service: &dyn ShardService) -> Option<FoundRun> {
        let first = self.header(service, 0).await?;
        let needed = match first.form {
            RunForm::Striped => first.profile.k(),
            RunForm::Copies { .. } => 1,
        };
        let is_whole = |(expected, (stripe, shards)): &(u32, (&u32, &BTreeMap<u8, Vec<DiskId>>))| {
            expected == *stripe && shards.len() >= needed
        };
        let stripes = (0..).zip(&self.stripes).take_while(is_whole).count();
        let stripes = u32::try_from(stripes).expect("stripes are numbered in 32 bits");
        let last = self.header(service, stripes.checked_sub(1)?).await?;
        let run = Run {
            id: self.run,
            home: None,
            group: self.group,
            profile: first.profile,
            code: first.code,
            form: first.form,
            stripe_bytes: first.stripe_bytes,
            stripes,
            last_stripe_bytes: last.plain_bytes,
        };
        let ShardHeader { home, part, part_offset, part_metadata, .. } = first;
        Some(FoundRun { run, home, part, offset: part_offset, record: part_metadata })
    }
}

/// What was learned on the way.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// The highest ticket of any run.
    pub(crate) ticket: TicketId,
    /// The highest bucket of any header that was read.
    pub(crate) bucket: types::BucketId,
    /// Groups that have shards.
    pub(crate) groups: BTreeSet<PlacementGroupId>,
    /// The profiles of groups, as striped runs in them have them.
    pub(crate) profiles: BTreeMap<PlacementGroupId, Profile>,
}
