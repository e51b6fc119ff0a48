//! Nodes that are killed, stopped and cut off while they are written to.

use std::time::Duration;

use tokio::sync::watch;

use super::load::Load;
use super::network::Network;
use super::{Dice, setting};
use crate::processes::{Cluster, Launch, Member};

const NODES: usize = 5;
const GATEWAYS: usize = 2;
const WRITERS: u64 = 5;

/// What happens to the cluster. Hosts are the nodes, then the gateways.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Fault {
    /// A node is killed, and started again after a while.
    Kill(usize),
    /// A node is stopped, and goes on later as if nothing had been.
    Stop(usize),
    /// A gateway is stopped, and goes on later.
    StopGateway(usize),
    /// Some hosts and the others don't hear each other.
    Cut(Vec<usize>),
    /// Some hosts are not heard by the others, and hear them.
    Mute(Vec<usize>),
}

impl Fault {
    fn by(dice: &mut Dice) -> Self {
        let node = dice.index(NODES);
        let hosts = |dice: &mut Dice| {
            let few = [node, (node + 1 + dice.index(NODES - 1)) % NODES];
            let mut hosts = few[..1 + dice.index(2)].to_vec();
            if dice.index(2) == 0 {
                hosts.push(NODES + dice.index(GATEWAYS));
            }
            hosts
        };
        match dice.index(6) {
            0 => Self::Kill(node),
            1 => Self::Stop(node),
            2 => Self::StopGateway(dice.index(GATEWAYS)),
            3 | 4 => Self::Cut(hosts(dice)),
            _ => Self::Mute(hosts(dice)),
        }
    }
}

/// A cluster on a network of its own: five nodes of two disks, two gateways.
pub struct Fleet {
    pub network: Network,
    pub cluster: Cluster,
    pub gateways: Vec<Member>,
}

impl Fleet {
    /// Inside the network of the test that is named; see [`Network::enter`].
    pub fn of(test: &str) -> Option<Self> {
        let network = Network::enter(test, NODES + GATEWAYS)?;
        let addresses: Vec<String> = (0..NODES).map(|at| format!("{}:9002", network.address(at))).collect();
        let launch = |at: usize, disks: &[std::path::PathBuf]| {
            on_host(&network, at, Launch::node(disks, &addresses, &addresses[at]))
        };
        let cluster = Cluster::of_launches(addresses.clone(), launch, 2);
        let gateway = |at: usize| on_host(&network, at, cluster.gateway_launch()).start().ready();
        let gateways = (NODES..NODES + GATEWAYS).map(gateway).collect();
        Some(Self { network, cluster, gateways })
    }

    fn endpoints(&self) -> Vec<String> {
        self.gateways.iter().map(|gateway| gateway.endpoint.clone()).collect()
    }

    async fn suffer(&mut self, fault: &Fault, length: Duration) {
        let others =
            |hosts: &[usize]| -> Vec<usize> { (0..NODES + GATEWAYS).filter(|host| !hosts.contains(host)).collect() };
        match fault {
            Fault::Kill(node) => {
                self.cluster.nodes[*node].kill();
                tokio::time::sleep(length).await;
                self.cluster.nodes[*node].restart();
            }
            Fault::Stop(node) => stop(&self.cluster.nodes[*node], length).await,
            Fault::StopGateway(gateway) => stop(&self.gateways[*gateway], length).await,
            Fault::Cut(hosts) => {
                self.network.cut(hosts, &others(hosts));
                self.network.cut(&others(hosts), hosts);
                tokio::time::sleep(length).await;
                self.network.heal();
            }
            Fault::Mute(hosts) => {
                self.network.cut(hosts, &others(hosts));
                tokio::time::sleep(length).await;
                self.network.heal();
            }
        }
    }
}

fn on_host(network: &Network, host: usize, launch: Launch) -> Launch {
    Launch { launcher: network.launcher(host), host: network.address(host), ..launch }
}

async fn stop(member: &Member, length: Duration) {
    member.signal("STOP");
    tokio::time::sleep(length).await;
    member.signal("CONT");
}

/// Each round one fault of a few seconds; after it writes go on. In the end every key is read through both gateways.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_acknowledged_is_lost_while_nodes_are_killed_stopped_and_cut_off() {
    let name = "faults::machines::nothing_acknowledged_is_lost_while_nodes_are_killed_stopped_and_cut_off";
    let Some(mut fleet) = Fleet::of(name) else { return };
    let (_endpoints, told) = watch::channel(fleet.endpoints());
    let client = fleet.gateways[0].client();
    client.create_bucket().bucket("under-fault").send().await.expect("created");
    let load = Load::start("under-fault", told, WRITERS);
    load.until_it_goes_on("the start").await;
    let seed = setting("CAIRN_FAULT_SEED", 1);
    let mut dice = Dice::new(seed);
    for round in 1..=setting("CAIRN_FAULT_ROUNDS", 6) {
        let fault = Fault::by(&mut dice);
        let length = Duration::from_millis(dice.below(1000..6000));
        println!("seed {seed}, round {round}: {fault:?} for {length:?}");
        fleet.suffer(&fault, length).await;
        load.until_it_goes_on(&format!("round {round}, {fault:?}")).await;
    }
    let ledger = load.end().await;
    ledger.assert_all(&fleet.endpoints()).await;
}
