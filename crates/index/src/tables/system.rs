//! The system range's rows.

use rusqlite::params;
use serde::Serialize;
use serde::de::DeserializeOwned;
use types::{
    AccessKeyId, BucketId, BucketName, Credential, DiskId, GatewayId, Layout, Namespace, Profile, RangeDescriptor,
    RangeId, TicketId,
};

use super::{Tables, blob, from_sql, to_sql};
use crate::command::{BucketRecord, BucketRecordState, GatewayRow, Rebalancing};
use crate::rows::{self, ClusterRow, CountersRow, TicketKept};
use crate::{FIRST_DATA_RANGE, IndexDatabaseError, keys};

impl Tables<'_> {
    pub(crate) fn cluster(self) -> Result<Option<ClusterRow>, IndexDatabaseError> {
        self.system_row("cluster")
    }

    pub(crate) fn put_cluster(self, row: &ClusterRow) -> Result<(), IndexDatabaseError> {
        self.put_system_row("cluster", row)
    }

    pub(crate) fn layout(self) -> Result<Option<Layout>, IndexDatabaseError> {
        self.system_row("layout")
    }

    pub(crate) fn put_layout(self, layout: &Layout) -> Result<(), IndexDatabaseError> {
        self.put_system_row("layout", layout)
    }

    pub(crate) fn wanted_profile(self) -> Result<Option<Profile>, IndexDatabaseError> {
        self.system_row("profile")
    }

    pub(crate) fn put_wanted_profile(self, profile: Profile) -> Result<(), IndexDatabaseError> {
        self.put_system_row("profile", &profile)
    }

    pub(crate) fn rebalancing(self) -> Result<Rebalancing, IndexDatabaseError> {
        Ok(self.system_row("rebalancing")?.unwrap_or_default())
    }

    pub(crate) fn put_rebalancing(self, rebalancing: Rebalancing) -> Result<(), IndexDatabaseError> {
        self.put_system_row("rebalancing", &rebalancing)
    }

    /// In order of id.
    pub(crate) fn away_disks(self) -> Result<Vec<DiskId>, IndexDatabaseError> {
        Ok(self.system_row("away")?.unwrap_or_default())
    }

    pub(crate) fn put_away_disks(self, disks: &Vec<DiskId>) -> Result<(), IndexDatabaseError> {
        self.put_system_row("away", disks)
    }

    pub(crate) fn counters(self) -> Result<CountersRow, IndexDatabaseError> {
        Ok(self.system_row("counters")?.unwrap_or_default())
    }

    pub(crate) fn put_counters(self, row: &CountersRow) -> Result<(), IndexDatabaseError> {
        self.put_system_row("counters", row)
    }

    /// The id of the next range that is made.
    pub(crate) fn next_range(self) -> Result<RangeId, IndexDatabaseError> {
        Ok(self.system_row("next range")?.unwrap_or(RangeId(FIRST_DATA_RANGE.0 + 1)))
    }

    pub(crate) fn put_next_range(self, next: RangeId) -> Result<(), IndexDatabaseError> {
        self.put_system_row("next range", &next)
    }

    /// In order of id; nothing until a range was split.
    pub(crate) fn range_map(self) -> Result<Vec<RangeDescriptor>, IndexDatabaseError> {
        Ok(self.system_row("ranges")?.unwrap_or_default())
    }

    pub(crate) fn put_range_map(self, ranges: &Vec<RangeDescriptor>) -> Result<(), IndexDatabaseError> {
        self.put_system_row("ranges", ranges)
    }

    #[cfg(feature = "next-level")]
    pub(crate) fn put_probe(self, stamp: types::CommitStamp) -> Result<(), IndexDatabaseError> {
        self.put_system_row("probe", &stamp)
    }

    pub(super) fn system_row<T: DeserializeOwned>(self, name: &str) -> Result<Option<T>, IndexDatabaseError> {
        self.first("SELECT row FROM system WHERE name = ?1", [name], |row| {
            Ok::<_, IndexDatabaseError>(rows::decode(blob(row, 0)?)?)
        })
    }

    pub(super) fn put_system_row<T: Serialize>(self, name: &str, row: &T) -> Result<(), IndexDatabaseError> {
        self.execute("INSERT OR REPLACE INTO system (name, row) VALUES (?1, ?2)", params![name, rows::encode(row)])?;
        Ok(())
    }

    /// In order of id. They lie in `system` because that table was there from the first format on.
    pub(crate) fn gateways(self) -> Result<Vec<GatewayRow>, IndexDatabaseError> {
        // '!' follows the space.
        self.all("SELECT row FROM system WHERE name >= 'gateway ' AND name < 'gateway!' ORDER BY name", [], |row| {
            Ok::<_, IndexDatabaseError>(rows::decode(blob(row, 0)?)?)
        })
    }

    pub(crate) fn put_gateway(self, gateway: &GatewayRow) -> Result<(), IndexDatabaseError> {
        self.put_system_row(&gateway_name(gateway.id), gateway)
    }

    pub(crate) fn delete_gateway(self, id: GatewayId) -> Result<(), IndexDatabaseError> {
        self.execute("DELETE FROM system WHERE name = ?1", [gateway_name(id)])?;
        Ok(())
    }

    pub(crate) fn credentials(self) -> Result<Vec<Credential>, IndexDatabaseError> {
        self.all("SELECT row FROM credentials ORDER BY access_key_id", [], |row| {
            Ok::<_, IndexDatabaseError>(rows::decode(blob(row, 0)?)?)
        })
    }

    pub(crate) fn put_credential(self, credential: &Credential) -> Result<(), IndexDatabaseError> {
        let sql = "INSERT OR REPLACE INTO credentials (access_key_id, row) VALUES (?1, ?2)";
        self.execute(sql, params![&*credential.access_key_id.0, rows::encode(credential)])?;
        Ok(())
    }

    pub(crate) fn delete_credential(self, id: &AccessKeyId) -> Result<(), IndexDatabaseError> {
        self.execute("DELETE FROM credentials WHERE access_key_id = ?1", [&*id.0])?;
        Ok(())
    }

    pub(crate) fn tickets(self) -> Result<Vec<TicketKept>, IndexDatabaseError> {
        self.all("SELECT row FROM tickets ORDER BY id", [], |row| {
            Ok::<_, IndexDatabaseError>(rows::decode(blob(row, 0)?)?)
        })
    }

    pub(crate) fn ticket(self, id: TicketId) -> Result<Option<TicketKept>, IndexDatabaseError> {
        self.first("SELECT row FROM tickets WHERE id = ?1", [to_sql(id.0)], |row| {
            Ok::<_, IndexDatabaseError>(rows::decode(blob(row, 0)?)?)
        })
    }

    pub(crate) fn lowest_ticket(self) -> Result<Option<TicketId>, IndexDatabaseError> {
        self.first("SELECT id FROM tickets ORDER BY id LIMIT 1", [], |row| from_sql(row, 0).map(TicketId))
    }

    pub(crate) fn put_ticket(self, ticket: &TicketKept) -> Result<(), IndexDatabaseError> {
        let sql = "INSERT OR REPLACE INTO tickets (id, row) VALUES (?1, ?2)";
        self.execute(sql, params![to_sql(ticket.row.id.0), rows::encode(ticket)])?;
        Ok(())
    }

    pub(crate) fn delete_ticket(self, id: TicketId) -> Result<(), IndexDatabaseError> {
        self.execute("DELETE FROM tickets WHERE id = ?1", [to_sql(id.0)])?;
        Ok(())
    }

    pub(crate) fn bucket_record(self, id: BucketId) -> Result<Option<BucketRecord>, IndexDatabaseError> {
        self.first("SELECT row FROM buckets WHERE id = ?1", [to_sql(id.0)], |row| {
            Ok::<_, IndexDatabaseError>(rows::decode(blob(row, 0)?)?)
        })
    }

    pub(crate) fn bucket_record_by_name(
        self,
        namespace: &Namespace,
        name: &BucketName,
    ) -> Result<Option<BucketRecord>, IndexDatabaseError> {
        let sql = "SELECT row FROM bucket_names JOIN buckets ON id = bucket WHERE namespace = ?1 AND name = ?2";
        self.first(sql, [&*namespace.0, name.as_str()], |row| Ok::<_, IndexDatabaseError>(rows::decode(blob(row, 0)?)?))
    }

    /// Records in order of name: names after `after` that begin with `prefix`.
    pub(crate) fn bucket_records(
        self,
        namespace: &Namespace,
        prefix: &str,
        after: Option<&BucketName>,
        limit: usize,
    ) -> Result<Vec<BucketRecord>, IndexDatabaseError> {
        let sql = "SELECT row FROM bucket_names JOIN buckets ON id = bucket
                   WHERE namespace = ?1 AND name >= ?2 AND name > ?3 AND (?4 IS NULL OR name < ?4)
                   ORDER BY name LIMIT ?5";
        let after = after.map_or("", BucketName::as_str);
        // Names that begin so are ASCII, so a prefix that is not has none; its end need only be an upper bound.
        let end = keys::after_prefix(prefix.as_bytes()).and_then(|end| String::from_utf8(end).ok());
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let mut records = self.all(sql, params![&*namespace.0, prefix, after, end, limit], |row| {
            Ok::<BucketRecord, IndexDatabaseError>(rows::decode(blob(row, 0)?)?)
        })?;
        records.retain(|record| record.name.as_str().starts_with(prefix));
        Ok(records)
    }

    pub(crate) fn unfinished_bucket_records(self) -> Result<Vec<BucketRecord>, IndexDatabaseError> {
        self.all("SELECT row FROM buckets WHERE finished = 0 ORDER BY id", [], |row| {
            Ok::<_, IndexDatabaseError>(rows::decode(blob(row, 0)?)?)
        })
    }

    pub(crate) fn bucket_count(self) -> Result<u64, IndexDatabaseError> {
        let count = self.first("SELECT COUNT(*) FROM bucket_names", [], |row| from_sql(row, 0))?;
        Ok(count.unwrap_or_default())
    }

    pub(crate) fn all_bucket_records(self) -> Result<Vec<BucketRecord>, IndexDatabaseError> {
        self.all("SELECT row FROM buckets ORDER BY id", [], |row| {
            Ok::<_, IndexDatabaseError>(rows::decode(blob(row, 0)?)?)
        })
    }

    pub(crate) fn put_bucket_record(self, record: &BucketRecord) -> Result<(), IndexDatabaseError> {
        let finished = record.state == BucketRecordState::Live;
        let sql = "INSERT OR REPLACE INTO buckets (id, finished, row) VALUES (?1, ?2, ?3)";
        self.execute(sql, params![to_sql(record.id.0), finished, rows::encode(record)])?;
        let sql = "INSERT OR REPLACE INTO bucket_names (namespace, name, bucket) VALUES (?1, ?2, ?3)";
        self.execute(sql, params![&*record.namespace.0, record.name.as_str(), to_sql(record.id.0)])?;
        Ok(())
    }

    pub(crate) fn delete_bucket_record(self, record: &BucketRecord) -> Result<(), IndexDatabaseError> {
        self.execute("DELETE FROM buckets WHERE id = ?1", [to_sql(record.id.0)])?;
        let sql = "DELETE FROM bucket_names WHERE namespace = ?1 AND name = ?2";
        self.execute(sql, [&*record.namespace.0, record.name.as_str()])?;
        Ok(())
    }
}

fn gateway_name(id: GatewayId) -> String {
    format!("gateway {id}")
}
