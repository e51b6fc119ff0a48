//! The cluster, its layout, its wanted profile, its credentials and those of gateways.

use types::{
    AccountId, Credential, DiskId, FeatureLevel, GatewayId, Layout, LayoutEpoch, Profile, RangeDescriptor, RangeId,
    RangeMap,
};

use super::{Applying, Stop};
use crate::NewerLevel;
use crate::command::{Answer, FormCluster, GatewayRow, Rebalancing, Refusal};
use crate::rows::ClusterRow;

impl Applying<'_> {
    pub(super) fn form(&mut self, form: &FormCluster) -> Result<Answer, Stop> {
        if self.tables.cluster()?.is_none() {
            let FormCluster { cluster, feature_level, root, layout } = form;
            NewerLevel::check(*feature_level)?;
            self.tables.put_cluster(&ClusterRow { cluster: *cluster, feature_level: *feature_level })?;
            self.tables.put_credential(root)?;
            self.tables.put_layout(layout)?;
            self.memory.feature_level = *feature_level;
        }
        Ok(Answer::Done)
    }

    pub(super) fn put_credential(&mut self, credential: &Credential) -> Result<Answer, Stop> {
        if credential.owner.account == AccountId::ROOT {
            let standing = self.tables.credentials()?.into_iter();
            for former in standing.filter(|former| former.owner.account == AccountId::ROOT) {
                self.tables.delete_credential(&former.access_key_id)?;
            }
        }
        self.tables.put_credential(credential)?;
        Ok(Answer::Done)
    }

    pub(super) fn put_gateway(&mut self, gateway: &GatewayRow) -> Result<Answer, Stop> {
        self.tables.put_gateway(&GatewayRow { added: self.stamp.time(), ..gateway.clone() })?;
        Ok(Answer::Done)
    }

    pub(super) fn remove_gateway(&mut self, gateway: GatewayId) -> Result<Answer, Stop> {
        self.tables.delete_gateway(gateway)?;
        Ok(Answer::Done)
    }

    pub(super) fn set_wanted_profile(&mut self, profile: Profile, unless_set: bool) -> Result<Answer, Stop> {
        if !unless_set || self.tables.wanted_profile()?.is_none() {
            self.tables.put_wanted_profile(profile)?;
        }
        Ok(Answer::Done)
    }

    pub(super) fn note_away(&mut self, away: &[DiskId], back: &[DiskId]) -> Result<Answer, Stop> {
        let mut noted = self.tables.away_disks()?;
        noted.extend(away);
        noted.retain(|disk| !back.contains(disk));
        noted.sort_unstable();
        noted.dedup();
        self.tables.put_away_disks(&noted)?;
        Ok(Answer::Done)
    }

    pub(super) fn set_rebalancing(&mut self, rebalancing: Rebalancing) -> Result<Answer, Stop> {
        self.tables.put_rebalancing(rebalancing)?;
        Ok(Answer::Done)
    }

    pub(super) fn allot_range(&mut self) -> Result<Answer, Stop> {
        let range = self.tables.next_range()?;
        self.tables.put_next_range(RangeId(range.0 + 1))?;
        Ok(Answer::Range(range))
    }

    pub(super) fn note_ranges(&mut self, ranges: &[RangeDescriptor]) -> Result<Answer, Stop> {
        let mut map = RangeMap::of(self.tables.range_map()?);
        if map.learn(ranges.iter().cloned()) {
            self.tables.put_range_map(&map.all().cloned().collect())?;
        }
        Ok(Answer::Done)
    }

    pub(super) fn change_layout(&mut self, expected: LayoutEpoch, layout: &Layout) -> Result<Answer, Stop> {
        let standing = self.tables.layout()?.map(|layout| layout.epoch);
        if standing != Some(expected) || layout.epoch != expected.next() {
            return Err(Refusal::StaleLayout.into());
        }
        self.tables.put_layout(layout)?;
        Ok(Answer::Done)
    }

    /// A cluster that isn't formed has no level to raise; forming it says its level.
    ///
    /// What is decided here must not depend on the build: one that doesn't know the level neither refuses nor goes on.
    pub(super) fn raise_feature_level(&mut self, level: FeatureLevel) -> Result<Answer, Stop> {
        if let Some(row) = self.tables.cluster()?.filter(|row| row.feature_level < level) {
            if level.0 - row.feature_level.0 > 1 {
                return Err(Refusal::FeatureLevel { level: row.feature_level }.into());
            }
            NewerLevel::check(level)?;
            self.tables.put_cluster(&ClusterRow { feature_level: level, ..row })?;
            self.memory.feature_level = level;
        }
        Ok(Answer::Done)
    }

    #[cfg(feature = "next-level")]
    pub(super) fn probe(&mut self) -> Result<Answer, Stop> {
        self.tables.put_probe(self.stamp)?;
        Ok(Answer::Done)
    }
}
