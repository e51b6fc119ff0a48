//! Directories in a file: a compressed tar that leaves holes out, with what clients saw of them beside it.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

/// Mostly some tens of KiB; more has no place in a repository.
const BYTES_MAX: u64 = 256 << 10;

/// Directories as a build left them, unpacked for this test alone.
pub struct Packed {
    pub name: String,
    pub directory: TempDir,
    /// What its clients saw.
    pub seen: Value,
}

impl Packed {
    /// Unpacks `NAME.tar.xz`.
    pub fn open(kept: &Path, name: &str) -> Self {
        let directory = TempDir::new().expect("a temporary directory");
        // Python is what the tests need anyway; not every machine has xz.
        let file = kept.join(format!("{name}.tar.xz"));
        run(Command::new("python3").args(["-m", "tarfile", "-e"]).arg(file).arg(directory.path()));
        let seen = std::fs::read(kept.join(format!("{name}.json"))).expect("what was seen is beside it");
        let seen = serde_json::from_slice(&seen).expect("it is JSON");
        Self { name: name.to_owned(), directory, seen }
    }
}

/// Where they are kept.
fn kept() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden")
}

/// All that are kept of a kind, which is how their names end: `server` or `cluster`.
pub fn all(kind: &str) -> Vec<Packed> {
    let files = std::fs::read_dir(kept()).expect("the kept files are there");
    let names = files.map(|file| file.expect("a file").file_name().into_string().expect("a name"));
    let mut names: Vec<String> = names.filter_map(|name| Some(name.strip_suffix(".tar.xz")?.to_owned())).collect();
    names.retain(|name| name.ends_with(kind));
    names.sort();
    names.iter().map(|name| Packed::open(&kept(), name)).collect()
}

/// Packs directories whose processes have ended. Needs GNU tar and xz, which opening them does not.
pub fn pack(directory: &Path, kept: &Path, name: &str, seen: &Value) {
    let file = kept.join(format!("{name}.tar.xz"));
    let mut tar = Command::new("tar");
    // Named alike whoever packs, and without what tells of the machine.
    tar.args(["--sparse", "--sort=name", "--numeric-owner", "--owner=0", "--group=0", "-I", "xz -9e", "-cf"]);
    run(tar.arg(&file).arg("-C").arg(directory).arg("."));
    let bytes = file.metadata().expect("it was packed").len();
    assert!(bytes <= BYTES_MAX, "{name} has {bytes} bytes");
    let text = serde_json::to_string_pretty(seen).expect("plain data is JSON") + "\n";
    std::fs::write(kept.join(format!("{name}.json")), text).expect("written");
}

/// Copies unpacked directories.
pub fn copy(from: &Path, to: &Path) {
    run(Command::new("cp").args(["-a", "--sparse=always"]).arg(from.join(".")).arg(to));
}

fn run(command: &mut Command) {
    let status = command.status().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(status.success(), "{command:?}: {status}");
}
