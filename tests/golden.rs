//! Data directories of earlier builds: each is kept as a small file, with what clients saw of it then, and every later
//! build opens it, shows the same, and goes on from there.
//!
//! `golden/NAME.tar.xz` has the directories as a build left them that was killed under way: rows in databases, entries
//! of logs that are to be replayed, shards of every form, an archive. `golden/NAME.json` is what its clients saw. Neither
//! is ever written anew; a build whose formats differ gets files of its own. They are made by the test of this build's
//! own directories (`tests/golden/packed.rs` has the names):
//!
//! ```text
//! CAIRN_GOLDEN_KEEP=tests/golden CAIRN_GOLDEN_NAME=level-3 cargo test -p cairn --test suite golden::directories_of_this_build
//! ```
//!
//! With `CAIRN_GOLDEN_BINARY`, it is that binary that writes them: so `tests/upgrade foundation` tries builds of long ago.

mod filled;
mod packed;
mod seen;

use std::path::{Path, PathBuf};

use serde_json::Value;
use tokio::sync::Mutex;

use crate::processes::{Launch, Member, Starting, free_addresses};
use packed::{Packed, pack};
use seen::{assert_same, see};

/// One server over so many directories: 2+1, whose index has two mirrors of its log.
const DISKS: usize = 3;
/// Nodes of one disk each.
const NODES: usize = 3;

/// These tests take turns: others that run beside them go by the clock.
static TURN: Mutex<()> = Mutex::const_new(());

/// Shards so small that an object of some 100 KiB has several stripes, and large enough for segments of either kind; an
/// archive that is never far behind.
const SETTINGS: [&str; 4] = ["--shard-size", "128KiB", "--archive-period", "200ms"];

fn server(directory: &Path, binary: Option<&Path>) -> Launch {
    let disks = (1..=DISKS).map(|disk| directory.join(format!("d{disk}")).display().to_string());
    let settings = SETTINGS.map(str::to_owned);
    let launch = Launch::of(["server".to_owned()].into_iter().chain(disks).chain(settings).collect(), None);
    Launch { binary: binary.map_or(launch.binary.clone(), Path::to_owned), ..launch }
}

fn nodes(directory: &Path) -> Vec<Launch> {
    let addresses = free_addresses(NODES);
    let node = |(at, address): (usize, &String)| {
        let disk = directory.join(format!("n{at}/d1")).display().to_string();
        let join = addresses.join(",");
        let words = ["server", &disk, "--join", &join, "--rpc-listen", address];
        Launch::of(words.into_iter().chain(SETTINGS).map(str::to_owned).collect(), None)
    };
    addresses.iter().enumerate().map(node).collect()
}

fn start(launches: Vec<Launch>) -> Vec<Member> {
    let starting: Vec<Starting> = launches.into_iter().map(Launch::start).collect();
    starting.into_iter().map(Starting::ready).collect()
}

/// Holds what these processes serve against what was seen before, has them go on, and finds the same after a restart.
async fn opens_and_goes_on(mut members: Vec<Member>, before: &Value) {
    for member in &members {
        assert_same(before, &see(&member.client()).await);
    }
    filled::go_on(&members[0].client()).await;
    let later = see(&members[members.len() - 1].client()).await;
    assert!(later != *before, "it has gone on");
    members.iter_mut().for_each(Member::kill);
    let members = start(members.iter().map(|member| member.launch.clone()).collect());
    assert_same(&later, &see(&members[0].client()).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn directories_of_earlier_builds_open_and_go_on() {
    let _turn = TURN.lock().await;
    let servers = packed::all("server");
    assert!(servers.iter().any(|packed| packed.name == "foundation-server"), "the foundation's is kept");
    for Packed { name, directory, seen } in servers {
        println!("{name}");
        opens_and_goes_on(start(vec![server(directory.path(), None)]), &seen).await;
    }
}

/// What is rebuilt out of parity was written by the earlier build too.
#[tokio::test(flavor = "multi_thread")]
async fn directories_of_earlier_builds_bear_the_loss_of_a_disk() {
    let _turn = TURN.lock().await;
    for Packed { name, directory, seen } in packed::all("server") {
        println!("{name}");
        for disk in 1..=DISKS {
            let copy = tempfile::TempDir::new().expect("a temporary directory");
            packed::copy(directory.path(), copy.path());
            std::fs::remove_dir_all(copy.path().join(format!("d{disk}"))).expect("the disk is lost");
            let members = start(vec![server(copy.path(), None)]);
            assert_same(&seen, &see(&members[0].client()).await);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn archives_of_earlier_builds_bring_a_lost_index_back() {
    let _turn = TURN.lock().await;
    for Packed { name, directory, seen } in packed::all("server") {
        println!("{name}");
        let indexes = (1..=DISKS).map(|disk| directory.path().join(format!("d{disk}/index")));
        let lost = indexes.filter(|index| std::fs::remove_dir_all(index).is_ok()).count();
        assert_eq!(lost, 2, "one mirror more than may be lost");
        let member = start(vec![server(directory.path(), None)]).remove(0);
        let report = member.admin(&["index", "rebuild"]);
        assert!(report["unproven"]["count"] == 0 && report["without_archive"] == serde_json::json!([]), "{report}");
        assert_same(&seen, &see(&member.client()).await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn clusters_of_earlier_builds_open_and_go_on() {
    let _turn = TURN.lock().await;
    let clusters = packed::all("cluster");
    assert!(!clusters.is_empty(), "one is kept");
    for Packed { name, directory, seen } in clusters {
        println!("{name}");
        opens_and_goes_on(start(nodes(directory.path())), &seen).await;
    }
}

/// Fills a server's directories: some of it is in databases and has left the log, some is still in the log.
async fn fill_server(directory: &Path, binary: Option<&Path>) -> Value {
    let mut member = start(vec![server(directory, binary)]).remove(0);
    filled::begin(&member.client()).await;
    // Other builds may not know how.
    let splits = |member: &Member, at| {
        if binary.is_none() {
            filled::split(member, at)
        }
    };
    splits(&member, "versioned/inline");
    member.terminate();
    member = start(vec![member.launch.clone()]).remove(0);
    splits(&member, "plain/inline");
    filled::fill(&member.client()).await;
    if binary.is_none() {
        filled::fill_documents(&member).await;
    }
    let seen = see(&member.client()).await;
    filled::archived(&member);
    member.kill();
    seen
}

async fn fill_cluster(directory: &Path) -> Value {
    let mut members = start(nodes(directory));
    filled::begin(&members[0].client()).await;
    filled::split(&members[0], "versioned/inline");
    filled::fill(&members[1].client()).await;
    filled::fill_documents(&members[1]).await;
    let seen = see(&members[2].client()).await;
    members.iter_mut().for_each(Member::kill);
    seen
}

/// What makes the kept files keeps working, and what it makes is opened by this build.
#[tokio::test(flavor = "multi_thread")]
async fn directories_of_this_build_are_packed_and_open_again() {
    let _turn = TURN.lock().await;
    let setting = |name: &str| std::env::var(name).ok();
    let scratch = tempfile::TempDir::new().expect("a temporary directory");
    let kept = setting("CAIRN_GOLDEN_KEEP").map_or_else(|| scratch.path().to_owned(), PathBuf::from);
    let name = setting("CAIRN_GOLDEN_NAME").unwrap_or_else(|| "today".to_owned());
    let binary = setting("CAIRN_GOLDEN_BINARY").map(PathBuf::from);
    let filled = tempfile::TempDir::new().expect("a temporary directory");
    let (server_name, cluster_name) = (format!("{name}-server"), format!("{name}-cluster"));
    let seen = fill_server(filled.path(), binary.as_deref()).await;
    pack(filled.path(), &kept, &server_name, &seen);
    let Packed { directory, seen, .. } = Packed::open(&kept, &server_name);
    opens_and_goes_on(start(vec![server(directory.path(), None)]), &seen).await;
    if binary.is_some() {
        // One that has no clusters yet.
        return;
    }
    let filled = tempfile::TempDir::new().expect("a temporary directory");
    let seen = fill_cluster(filled.path()).await;
    pack(filled.path(), &kept, &cluster_name, &seen);
    let Packed { directory, seen, .. } = Packed::open(&kept, &cluster_name);
    opens_and_goes_on(start(nodes(directory.path())), &seen).await;
}
