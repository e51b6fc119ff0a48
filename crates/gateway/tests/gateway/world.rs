//! What the tests stand on: a gateway on a free port over an index in memory and six disks in memory.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use gateway::{Gateway, GatewayHandle, GatewayServices, GatewaySettings, Readiness};
use iam::{Identities, KnownKeys, NewAccessKey, NewAccount, NewIdentity};
use index::command::{CommandBody, IdentityChange, IdentityKind, IdentityName};
use index::contract::samples::{account, form_at_newest_level};
use index::local::LocalIndex;
use index::{Answer, Command, IndexError, IndexService, Query, QueryAnswer};
use objects::data::{DataPath, DataPathSeams, DataPathSettings, GroupPlanner, PlannerError, RepairQueue};
use objects::{DiscardQueue, Objects, ObjectsServices, ObjectsSettings};
use parking_lot::Mutex;
use platform::{BufferPool, ManualClock, MemoryBudget, SeededEntropy, Workers};
use shards::{ShardAddress, ShardBody, ShardError, ShardHeader, ShardService, StoredShard};
use tokio::sync::watch;
use types::{
    AccessKeyId, AccountId, CanonicalId, Credential, Disk, DiskId, DiskState, Integrity, Layout, LayoutEpoch, Node,
    NodeId, Owner, PlacementGroup, PlacementGroupId, Profile, RunId, SecretKey, Slot, SlotEpoch, SlotIndex,
    StorageClass, Timestamp,
};

use crate::client::Client;

/// The root key of every world.
pub(crate) const ACCESS_KEY: &str = "root/key";
pub(crate) const SECRET_KEY: &str = "a secret of some length";
/// The key of an account without rights.
pub(crate) const POOR_ACCESS_KEY: &str = "poor";
/// What every world's clock shows at first.
pub(crate) const BEGINNING: Timestamp = Timestamp::from_seconds(1_700_000_000);

/// A gateway that serves.
pub(crate) struct World {
    pub(crate) handle: GatewayHandle,
    pub(crate) readiness: watch::Sender<Readiness>,
    pub(crate) clock: ManualClock,
    /// Whether the index answers; while this is false, it waits.
    pub(crate) index_answers: watch::Sender<bool>,
    /// Those of the world's index.
    pub(crate) identities: Identities,
    /// Kept, because the objects' layout is watched.
    _layout: watch::Sender<Arc<Layout>>,
    _credentials: watch::Sender<Arc<[Credential]>>,
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::with(|_| {}).await
    }

    /// With other settings than the defaults.
    pub(crate) async fn with(change: impl FnOnce(&mut GatewaySettings)) -> Self {
        let clock = ManualClock::new(BEGINNING);
        let workers = Workers::new("hash", 2);
        let (layout_sender, layout) = watch::channel(Arc::new(layout()));
        let (discards, given_up) = DiscardQueue::new(100);
        let (repairs, _) = RepairQueue::new(100);
        let data = DataPath::new(
            DataPathSettings::default(),
            DataPathSeams {
                shards: Arc::new(MemoryDisks::default()),
                buffers: BufferPool::new(16 << 20),
                budget: MemoryBudget::new(128 << 20),
                workers: workers.clone(),
                entropy: Arc::new(SeededEntropy::new(1)),
                layout,
                planner: Arc::new(NoPlanner),
                repairs: Arc::new(repairs),
                discards: Arc::new(discards),
            },
        );
        let (index_answers, answers) = watch::channel(true);
        let index = LocalIndex::in_memory(Arc::new(clock.clone())).unwrap();
        index.propose(form_at_newest_level()).await.unwrap();
        let poor = IdentityChange::CreateAccount(Box::new(account(7)));
        let body = CommandBody::ChangeIdentity(Box::new(poor));
        index.propose(Command { request: None, answered: Default::default(), body }).await.unwrap();
        let index: Arc<dyn IndexService> = Arc::new(HeldIndex { index, answers });
        let keys = Arc::new(KnownKeys::new(index.clone(), Arc::new(clock.clone())));
        let identities = Identities::new(index.clone(), Arc::new(SeededEntropy::new(4)));
        let services =
            ObjectsServices { index, data, clock: Arc::new(clock.clone()), entropy: Arc::new(SeededEntropy::new(2)) };
        let settings = ObjectsSettings {
            node: NodeId::from_bytes([1; 16]),
            classes: BTreeMap::from([
                (StorageClass::default(), profile()),
                (StorageClass::new("REDUCED").unwrap(), profile()),
            ]),
            ticket_idle_max: std::time::Duration::from_secs(1800),
        };
        let objects = Objects::start(services, settings, given_up).await.unwrap();

        let credentials: Arc<[Credential]> =
            Arc::new([credential(ACCESS_KEY, AccountId::ROOT), credential(POOR_ACCESS_KEY, AccountId(7))]);
        let (credentials_sender, credentials) = watch::channel(credentials);
        let (readiness_sender, readiness) = watch::channel(Readiness::Ready);
        let mut settings = GatewaySettings::default();
        change(&mut settings);
        let services = GatewayServices {
            objects,
            credentials,
            keys,
            readiness,
            clock: Arc::new(clock.clone()),
            entropy: Arc::new(SeededEntropy::new(3)),
            workers,
        };
        let port = Gateway::take_port(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        let handle = Gateway::serve(port, settings, services).unwrap();
        Self {
            handle,
            readiness: readiness_sender,
            clock,
            index_answers,
            identities,
            _layout: layout_sender,
            _credentials: credentials_sender,
        }
    }

    /// An account whose root has this key, signed with [`SECRET_KEY`].
    pub(crate) async fn account(&self, number: u64, key: &str) -> AccountId {
        let wish = NewAccount { id: Some(AccountId(number)), display_name: key.to_owned(), ..NewAccount::default() };
        let account = self.identities.create_account(wish).await.unwrap().account;
        self.identities.create_access_key(account, None, given(key)).await.unwrap();
        account
    }

    /// A user that has this key, signed with [`SECRET_KEY`].
    pub(crate) async fn user(&self, account: AccountId, name: &str, key: &str) -> IdentityName {
        let wish = NewIdentity { account, kind: IdentityKind::User, name: name.to_owned(), path: None };
        self.identities.create(wish).await.unwrap();
        self.identities.create_access_key(account, Some(name.to_owned()), given(key)).await.unwrap();
        IdentityName { account, kind: IdentityKind::User, name: name.into() }
    }

    /// Lets the time pass for which keys are remembered.
    pub(crate) fn forget_keys(&self) {
        self.clock.advance(iam::KEPT);
    }

    /// With one bucket.
    pub(crate) async fn with_bucket(name: &str) -> (Self, Client) {
        let world = Self::new().await;
        let mut client = world.client();
        assert_eq!(client.put(&format!("/{name}"), b"").await.status, 200);
        (world, client)
    }

    /// A client that holds the root key.
    pub(crate) fn client(&self) -> Client {
        Client::new(self.handle.local_addr(), ACCESS_KEY)
    }

    pub(crate) fn client_of(&self, access_key: &'static str) -> Client {
        Client::new(self.handle.local_addr(), access_key)
    }
}

pub(crate) fn owner(account: AccountId) -> Owner {
    Owner { account, canonical_id: CanonicalId("c0ffee".repeat(10).into()), display_name: "someone".into() }
}

fn credential(key: &str, account: AccountId) -> Credential {
    Credential {
        access_key_id: AccessKeyId(key.into()),
        secret_key: SecretKey(SECRET_KEY.into()),
        owner: owner(account),
    }
}

/// 4+2 with the shortest shards.
fn profile() -> Profile {
    Profile::new(4, 2, 64 << 10, Integrity::Xxh3).unwrap()
}

fn layout() -> Layout {
    let node = NodeId::from_bytes([1; 16]);
    let ids: Vec<_> = (1..=6).map(|number| DiskId::from_bytes([number; 16])).collect();
    let disk = |id: &DiskId| Disk {
        id: *id,
        node,
        path: String::new(),
        capacity_bytes: 1 << 40,
        mount_point: false,
        state: DiskState::Up,
    };
    Layout {
        epoch: LayoutEpoch(1),
        nodes: vec![Node { id: node, address: String::new(), rack: None, zone: None }],
        disks: ids.iter().map(disk).collect(),
        groups: vec![PlacementGroup {
            id: PlacementGroupId(1),
            profile: profile(),
            slots: ids.iter().map(|disk| Slot::owned(*disk, SlotEpoch(1))).collect(),
        }],
    }
}

/// An index that can be made to wait.
struct HeldIndex {
    index: LocalIndex,
    answers: watch::Receiver<bool>,
}

impl HeldIndex {
    async fn wait(&self) {
        let mut answers = self.answers.clone();
        let _ = answers.wait_for(|answers| *answers).await;
    }
}

#[async_trait]
impl IndexService for HeldIndex {
    async fn propose(&self, command: Command) -> Result<Answer, IndexError> {
        self.wait().await;
        self.index.propose(command).await
    }

    async fn query(&self, query: Query) -> Result<QueryAnswer, IndexError> {
        self.wait().await;
        self.index.query(query).await
    }
}

struct NoPlanner;

#[async_trait]
impl GroupPlanner for NoPlanner {
    async fn make_groups(&self, _: Profile, _: &[DiskId]) -> Result<(), PlannerError> {
        Err(PlannerError { reason: "the tests' layout has all groups".to_owned() })
    }

    async fn refresh(&self) -> Result<(), PlannerError> {
        Ok(())
    }
}

/// Disks that keep shards in memory.
#[derive(Default)]
struct MemoryDisks(Mutex<HashMap<(DiskId, ShardAddress), (ShardHeader, Bytes)>>);

#[async_trait]
impl ShardService for MemoryDisks {
    async fn append(&self, disk: DiskId, header: ShardHeader, body: ShardBody) -> Result<(), ShardError> {
        self.0.lock().insert((disk, header.address), (header, body.concat().into()));
        Ok(())
    }

    async fn read(&self, disk: DiskId, address: ShardAddress, range: Range<u64>) -> Result<ShardBody, ShardError> {
        let shards = self.0.lock();
        let (_, body) = shards.get(&(disk, address)).ok_or(ShardError::Missing { address })?;
        Ok(vec![body.slice(range.start as usize..range.end as usize)])
    }

    async fn header(&self, disk: DiskId, address: ShardAddress) -> Result<ShardHeader, ShardError> {
        let shards = self.0.lock();
        shards.get(&(disk, address)).map(|(header, _)| header.clone()).ok_or(ShardError::Missing { address })
    }

    async fn free(&self, _: DiskId, _: PlacementGroupId, runs: Vec<RunId>) -> Result<(), ShardError> {
        self.0.lock().retain(|(_, address), _| !runs.contains(&address.run));
        Ok(())
    }

    async fn seal(&self, _: DiskId, _: PlacementGroupId, _: SlotIndex, _: SlotEpoch) -> Result<(), ShardError> {
        Ok(())
    }

    async fn list(&self, _: DiskId, _: Option<ShardAddress>, _: usize) -> Result<Vec<StoredShard>, ShardError> {
        Ok(Vec::new())
    }
}

fn given(key: &str) -> NewAccessKey {
    NewAccessKey { id: Some(AccessKeyId(key.into())), secret: Some(SecretKey(SECRET_KEY.into())) }
}
