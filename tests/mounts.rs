//! Directories that are file systems of their own, inside a mount namespace that ends with the test, so that they can
//! fill up, turn read-only and go away under a server.
//!
//! Small tmpfs mounts need no privileges where user namespaces are allowed. An ext4 file system that finds itself damaged
//! and turns read-only under open files needs a loop device, and so root.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// What the directories are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileSystem {
    /// In memory, of so many bytes.
    Tmpfs(u64),
    /// On a loop device over a file of so many bytes.
    Ext4(u64),
}

/// A namespace in which directories can be mounted; everything in it is gone when this is dropped and no process that
/// was started in it lives.
pub struct Mounts {
    shell: Child,
    commands: ChildStdin,
    answers: BufReader<ChildStdout>,
    enter: Vec<&'static str>,
    file_system: FileSystem,
}

impl Mounts {
    /// A namespace with `directories` mounted, as parts of a user namespace where that is allowed and enough.
    /// `None`, said loudly, where the machine doesn't allow it.
    pub fn new(file_system: FileSystem, directories: &[PathBuf]) -> Option<Self> {
        let ways: [(&[&str], &[&str]); 2] = [(&["-m"], &["-m"]), (&["-Urm"], &["-U", "--preserve-credentials", "-m"])];
        let made = ways.into_iter().find_map(|(unshare, enter)| {
            let mut mounts = Self::begin(unshare, enter, file_system)?;
            directories.iter().all(|directory| mounts.try_mount(directory)).then_some(mounts)
        });
        if made.is_none() {
            // Past the test harness, which keeps the output of tests that pass to itself.
            let _ = writeln!(
                std::io::stderr(),
                "\n*** SKIPPED: this machine allows no mounts of {file_system:?}, so disks that fill up, turn read-only \
                 or are not mounted are NOT TESTED here ***\n"
            );
        }
        made
    }

    fn begin(unshare: &[&str], enter: &[&'static str], file_system: FileSystem) -> Option<Self> {
        let mut shell = Command::new("unshare")
            .args(unshare)
            .args(["--propagation", "private", "sh"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        let commands = shell.stdin.take().expect("stdin is a pipe");
        let answers = BufReader::new(shell.stdout.take().expect("stdout is a pipe"));
        let mut mounts = Self { shell, commands, answers, enter: enter.to_vec(), file_system };
        mounts.try_run("true").then_some(mounts)
    }

    /// What to start a program with, so that it sees the mounts.
    pub fn launcher(&self) -> Vec<String> {
        let target = ["nsenter".to_owned(), "-t".to_owned(), self.shell.id().to_string()];
        target.into_iter().chain(self.enter.iter().map(|flag| (*flag).to_owned())).collect()
    }

    /// Under which directory this process sees what the namespace has under `/`.
    pub fn root(&self) -> PathBuf {
        format!("/proc/{}/root", self.shell.id()).into()
    }

    /// Mounts an empty file system over a directory, which is made where it isn't there.
    pub fn mount(&mut self, directory: &Path) {
        assert!(self.try_mount(directory), "{} is mounted", directory.display());
    }

    fn try_mount(&mut self, directory: &Path) -> bool {
        let at = directory.display();
        let mount = match self.file_system {
            FileSystem::Tmpfs(bytes) => format!("mount -t tmpfs -o size={bytes},mode=700 tmpfs {at}"),
            FileSystem::Ext4(bytes) => format!(
                "rm -f {at}.img && truncate -s {bytes} {at}.img && mkfs.ext4 -q -F {at}.img \
                 && mount -o loop,errors=remount-ro {at}.img {at} && rmdir {at}/lost+found"
            ),
        };
        self.try_run(&format!("mkdir -p {at} && {mount}"))
    }

    /// Takes a mount away, though files in it are open.
    pub fn unmount(&mut self, directory: &Path) {
        self.run(&format!("umount -l {}", directory.display()));
    }

    /// Has a directory take no more writes. ext4 is told of an error, upon which it refuses writes to open files too. A
    /// tmpfs is mounted over itself: files that are open can be written on, all else is refused.
    pub fn turn_read_only(&mut self, directory: &Path) {
        let at = directory.display();
        match self.file_system {
            FileSystem::Tmpfs(_) => self.run(&format!("mount --bind {at} {at} && mount -o remount,bind,ro {at}")),
            FileSystem::Ext4(_) => self.run(&format!(
                "echo 1 > /sys/fs/ext4/$(basename $(findmnt -no SOURCE {at}))/trigger_fs_error; ! touch {at}/x"
            )),
        }
    }

    /// Has a disk under a file system fail: whatever is not in memory can be neither read nor written any more, and a
    /// sync fails. Only of [`FileSystem::Ext4`], whose device loses all but its first page.
    pub fn fail(&mut self, directory: &Path) {
        assert!(matches!(self.file_system, FileSystem::Ext4(_)), "a tmpfs has no device that could fail");
        let at = directory.display();
        self.run(&format!("truncate -s 4096 {at}.img && losetup -c $(findmnt -no SOURCE {at})"));
    }

    /// Has whoever writes to a file system wait, so long. Only of [`FileSystem::Ext4`].
    ///
    /// A process of its own lets them go on, whatever becomes of this one: who waits there can't be killed.
    pub fn hang(&self, directory: &Path, length: Duration) -> Child {
        let (at, seconds) = (directory.display(), length.as_secs_f64());
        let freeze = format!("fsfreeze -f {at} && sleep {seconds}; fsfreeze -u {at}");
        let launcher = self.launcher();
        let hanging = Command::new(&launcher[0]).args(&launcher[1..]).args(["sh", "-c", &freeze]).spawn();
        hanging.expect("nsenter ran before")
    }

    fn run(&mut self, command: &str) {
        assert!(self.try_run(command), "{command}");
    }

    fn try_run(&mut self, command: &str) -> bool {
        // The shell is gone where it was not allowed to make the namespace.
        if writeln!(self.commands, "{{ {command}; }} >&2 && echo done || echo failed").is_err() {
            return false;
        }
        let mut answer = String::new();
        self.answers.read_line(&mut answer).is_ok() && answer == "done\n"
    }
}

impl Drop for Mounts {
    fn drop(&mut self) {
        let _ = self.shell.kill();
        let _ = self.shell.wait();
    }
}

/// Takes all space on the file systems of some directories, and all that becomes free there, until it is dropped; what it
/// took stays taken until the files are removed.
pub struct Filling {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
    /// One for each directory.
    pub files: Vec<PathBuf>,
}

impl Filling {
    /// Begins; what is free now is taken when this returns.
    pub fn of(directories: &[PathBuf]) -> Self {
        let files: Vec<PathBuf> = directories.iter().map(|directory| directory.join("filler")).collect();
        let open = |path: &PathBuf| {
            let file = std::fs::OpenOptions::new().append(true).create(true).open(path).expect("a file is made");
            // The bulk at once, then to the last page.
            let (bulk, page) = (vec![1; 1 << 20], [1; 4096]);
            move || {
                for bytes in [&bulk[..], &page] {
                    while (&file).write(bytes).is_ok_and(|taken| taken > 0) {}
                }
            }
        };
        let fill: Vec<_> = files.iter().map(open).collect();
        fill.iter().for_each(|fill| fill());
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                fill.iter().for_each(|fill| fill());
                std::thread::park_timeout(Duration::from_millis(5));
            }
        });
        Self { stop, thread: Some(thread), files }
    }
}

impl Drop for Filling {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            let _ = thread.join();
        }
    }
}
