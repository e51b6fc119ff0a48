//! Nodes that watch each other: what is lost is noticed by itself, and so is its return.

use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use crate::processes::{Launch, Member, Starting, assert_all, free_addresses, put_all};

/// How long anything may take that nodes notice by themselves.
const PATIENCE: Duration = Duration::from_secs(90);

/// Nodes that are quick to give each other up. Those that no longer run are `None`.
pub struct Watched {
    pub nodes: Vec<Option<Member>>,
    launches: Vec<Launch>,
    // Dropped after the processes were killed.
    directory: TempDir,
}

impl Watched {
    /// A cluster of so many nodes with so many disks each, that are given up after so long.
    pub fn of(nodes: usize, disks: usize, out: &str) -> Self {
        let directory = TempDir::new().expect("a temporary directory");
        let addresses = free_addresses(nodes);
        let launches: Vec<Launch> = addresses
            .iter()
            .enumerate()
            .map(|(at, own)| launch(&directory, at, disks, &addresses.join(","), own, out))
            .collect();
        let starting: Vec<Starting> = launches.iter().map(|launch| launch.clone().start()).collect();
        let nodes = starting.into_iter().map(|starting| Some(starting.ready())).collect();
        Self { nodes, launches, directory }
    }

    /// Starts one more, that joins.
    pub fn join(&mut self, disks: usize, out: &str) {
        let [own] = &free_addresses(1)[..] else { panic!("one address was asked for") };
        let (at, named) = (self.nodes.len(), self.launches[0].arguments.clone());
        let named = named.iter().skip_while(|word| *word != "--join").nth(1).expect("nodes are named").clone();
        let launch = launch(&self.directory, at, disks, &format!("{named},{own}"), own, out);
        self.launches.push(launch.clone());
        self.nodes.push(Some(launch.start().ready()));
    }

    pub fn kill(&mut self, at: usize) {
        drop(self.nodes[at].take());
    }

    pub fn restart(&mut self, at: usize) {
        self.nodes[at] = Some(self.launches[at].clone().start().ready());
    }

    pub fn running(&self) -> impl Iterator<Item = &Member> {
        self.nodes.iter().flatten()
    }

    /// A node's id, by its address; others see a node that has just joined when they look at the layout again.
    pub fn id(&self, at: usize) -> String {
        let address = address_of(&self.launches[at]);
        let asked = self.running().next().expect("one runs");
        let begun = Instant::now();
        loop {
            let nodes = asked.admin(&["node", "list"]);
            let own = nodes.as_array().expect("a list").iter().find(|node| node["address"] == address);
            if let Some(own) = own {
                return own["id"].as_str().expect("an id").to_owned();
            }
            assert!(begun.elapsed() < PATIENCE, "{address} is listed: {nodes}");
        }
    }

    /// Which one leads a range.
    pub fn leader(&self, range: usize) -> usize {
        let ids: Vec<String> = (0..self.launches.len()).map(|at| self.id(at)).collect();
        let mut found = None;
        self.until("a range is led", |member| {
            let ranges = member.admin(&["range", "list"]);
            found = ranges[range]["leader"].as_str().and_then(|leader| ids.iter().position(|id| id == leader));
            found.is_some()
        });
        found.expect("it was found")
    }

    /// Waits until every node that runs sees it so.
    pub fn until(&self, what: &str, mut is_so: impl FnMut(&Member) -> bool) {
        let begun = Instant::now();
        for member in self.running() {
            while !is_so(member) {
                assert!(begun.elapsed() < PATIENCE, "{what}: {:#}", member.admin(&["status"]));
                std::thread::sleep(Duration::from_millis(100));
            }
        }
    }
}

fn launch(directory: &TempDir, at: usize, disks: usize, named: &str, own: &str, out: &str) -> Launch {
    let mut arguments = vec!["server".to_owned()];
    arguments.extend((1..=disks).map(|disk| directory.path().join(format!("n{at}/d{disk}")).display().to_string()));
    arguments.extend(["--join", named, "--rpc-listen", own].map(str::to_owned));
    let mut launch = Launch::of(arguments, None);
    let settings = [("CAIRN_NODE_DOWN", "3s"), ("CAIRN_NODE_OUT", out), ("CAIRN_TICKET_IDLE", "6s")];
    launch.environment = settings.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
    launch
}

fn address_of(launch: &Launch) -> String {
    launch.arguments.last().expect("the address stands last").clone()
}

/// The states of a node and of its disks, as a node's status shows them.
pub fn states(status: &Value, node: &str) -> (String, Vec<String>) {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let all = |list: &str| status[list].as_array().cloned().unwrap_or_default();
    let own = all("nodes").into_iter().find(|row| row["id"] == node);
    let disks = all("disks").into_iter().filter(|disk| disk["node"] == node);
    (own.map(|row| text(&row["state"])).unwrap_or_default(), disks.map(|disk| text(&disk["state"])).collect())
}

fn is(status: &Value, node: &str, of_node: &str, of_disks: &str) -> bool {
    let (node, disks) = states(status, node);
    node == of_node && disks.iter().all(|state| state == of_disks)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_node_is_down_and_up_again_when_it_is_back() {
    let mut cluster = Watched::of(3, 2, "10m");
    let ids: Vec<String> = (0..3).map(|at| cluster.id(at)).collect();
    cluster.until("all are up, by every node's word", |member| {
        let status = member.admin(&["status"]);
        ids.iter().all(|id| is(&status, id, "up", "up") && states(&status, id).1.len() == 2)
    });
    let client = cluster.nodes[0].as_ref().expect("it runs").client();
    client.create_bucket().bucket("watched").send().await.expect("created");
    let mut objects = put_all(&client, "watched", "before").await;
    // A follower, then a leader: the next one listens anew.
    let leader = cluster.leader(0);
    for lost in [(leader + 1) % 3, leader] {
        cluster.kill(lost);
        cluster.until("the lost node's disks are down", |member| {
            is(&member.admin(&["status"]), &ids[lost], "down", "down")
        });
        let client = cluster.running().next().expect("two run").client();
        assert_all(&client, "watched", &objects).await;
        objects.extend(put_all(&client, "watched", &format!("without {lost}")).await);
        cluster.restart(lost);
        cluster.until("it is back with its disks", |member| {
            let status = member.admin(&["status"]);
            ids.iter().all(|id| is(&status, id, "up", "up"))
        });
        assert_all(&cluster.nodes[lost].as_ref().expect("it runs").client(), "watched", &objects).await;
    }
    for member in cluster.running() {
        let status = member.admin(&["status"]);
        let ranges = status["ranges"].as_array().expect("ranges").clone();
        assert_eq!(ranges.len(), 2, "{status:#}");
        assert!(ranges.iter().all(|range| range["replicas"].as_array().map(Vec::len) == Some(3)), "{status:#}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_given_up_while_two_nodes_are_down() {
    const OUT_SECONDS: f64 = 6.0;
    let mut cluster = Watched::of(5, 1, "6s");
    let ids: Vec<String> = (0..5).map(|at| cluster.id(at)).collect();
    let leader = cluster.leader(0);
    let (one, other) = ((leader + 1) % 5, (leader + 2) % 5);
    cluster.kill(one);
    cluster.kill(other);
    // Long enough for both to be given up, were it not for the other.
    cluster.until("both are down for long", |member| {
        let status = member.admin(&["status"]);
        let nodes = status["nodes"].as_array().expect("nodes").clone();
        [one, other].iter().all(|at| {
            let row = nodes.iter().find(|row| row["id"] == ids[*at]).expect("it is listed");
            let silent = row["silent_seconds"].as_f64();
            assert_ne!(row["state"], "out", "{status:#}");
            is(&status, &ids[*at], "down", "down") && silent.is_some_and(|silent| silent > 3.0 * OUT_SECONDS)
        })
    });
    cluster.restart(one);
    cluster.until("the one that stays away is given up, and it alone", |member| {
        let status = member.admin(&["status"]);
        is(&status, &ids[one], "up", "up") && is(&status, &ids[other], "out", "out")
    });
}

/// A node is lost for good, and one that has joined gets its vote: then another may be lost.
#[tokio::test(flavor = "multi_thread")]
async fn the_vote_of_a_lost_node_goes_to_one_that_has_joined() {
    let mut cluster = Watched::of(3, 1, "6s");
    let client = cluster.nodes[0].as_ref().expect("it runs").client();
    client.create_bucket().bucket("moved").send().await.expect("created");
    let objects = put_all(&client, "moved", "before").await;
    cluster.join(1, "6s");
    let ids: Vec<String> = (0..4).map(|at| cluster.id(at)).collect();
    cluster.until("the new one is up, and votes on nothing", |member| {
        is(&member.admin(&["status"]), &ids[3], "up", "up") && votes(member, &ids[3]) == 0
    });
    let leader = cluster.leader(0);
    let (lost, second) = ((leader + 1) % 3, (leader + 2) % 3);
    cluster.kill(lost);
    cluster.until("its votes have moved", |member| votes(member, &ids[lost]) == 0 && votes(member, &ids[3]) == 2);
    cluster.kill(second);
    // Two of three voters are there.
    let client = cluster.nodes[3].as_ref().expect("it runs").client();
    client.create_bucket().bucket("after").send().await.expect("created");
    let small = objects.iter().filter(|(_, bytes)| bytes.len() < 1_000).cloned().collect::<Vec<_>>();
    assert_all(&client, "moved", &small).await;
    let inline = client.put_object().bucket("after").key("k").body(vec![7; 100].into()).send().await;
    inline.expect("the index takes writes");
}

/// A node that lost its log may have voted: it comes back as another voter, which takes the old one's place.
#[tokio::test(flavor = "multi_thread")]
async fn a_node_whose_index_is_lost_has_its_vote_back_as_a_new_voter() {
    let mut cluster = Watched::of(3, 1, "10m");
    let client = cluster.nodes[0].as_ref().expect("it runs").client();
    client.create_bucket().bucket("renewed").send().await.expect("created");
    let objects = put_all(&client, "renewed", "before").await;
    let leader = cluster.leader(0);
    let (lost, other) = ((leader + 1) % 3, (leader + 2) % 3);
    let id = cluster.id(lost);
    let old = voters(cluster.running().next().expect("one runs"), &id);
    assert_eq!(old.len(), 2, "it votes on both ranges");
    cluster.kill(lost);
    let index = cluster.directory.path().join(format!("n{lost}/d1/index"));
    std::fs::remove_dir_all(index).expect("its index is lost");
    cluster.restart(lost);
    cluster.until("it votes as another", |member| {
        let new = voters(member, &id);
        new.len() == 2 && new.iter().all(|voter| !old.contains(voter))
    });
    // It counts: another may go.
    cluster.kill(other);
    assert_all(&cluster.nodes[lost].as_ref().expect("it runs").client(), "renewed", &objects).await;
}

/// On how many ranges a node votes.
pub fn votes(member: &Member, node: &str) -> usize {
    voters(member, node).len()
}

/// The voters that a node is, one for each range.
fn voters(member: &Member, node: &str) -> Vec<String> {
    let ranges = member.admin(&["range", "list"]);
    let replicas = ranges.as_array().expect("a list").iter().filter_map(|range| range["replicas"].as_array());
    let own = replicas.flatten().filter(|replica| replica["node"] == node && replica["votes"] == true);
    own.map(|replica| replica["voter"].as_str().unwrap_or_default().to_owned()).collect()
}
