//! The root credential: given, found, or made once.
//!
//! What was given goes before what the system range holds, that before a copy on a disk; it is made only where all
//! disks are blank. A copy lies on every disk, readable by the process's user alone, so that `cairn admin` finds it and
//! a rebuilt index keeps it.

use std::io::{self, IoSlice};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use admin::client::{CREDENTIAL_FILE, StoredCredential};
use index::{IndexError, IndexService, Query, QueryAnswer};
use platform::{Disk, Entropy, OpenOptions};
use tokio::sync::watch;
use tokio::time::MissedTickBehavior;
use types::{AccessKeyId, AccountId, CanonicalId, Credential, Owner, SecretKey};

/// The letters of generated keys: no two that look alike.
const LETTERS: &[u8; 32] = b"ABCDEFGHJKLMNPQRSTUVWXYZ23456789";
/// Letters of a generated access key: AWS's length, so that clients that check it are content.
const ACCESS_KEY_LETTERS: usize = 20;
/// Letters of a generated secret: 5 bits each.
const SECRET_KEY_LETTERS: usize = 40;
/// The longest copy that is read.
const COPY_BYTES_MAX: usize = 4096;
/// How often it is looked whether the root credential is another one.
const FOLLOW_PERIOD: Duration = Duration::from_secs(5);

/// The credential of the root account with these keys.
pub(crate) fn root_credential(access_key_id: AccessKeyId, secret_key: SecretKey) -> Credential {
    Credential { access_key_id, secret_key, owner: root_owner() }
}

/// Makes a root credential that nobody can guess.
pub(crate) fn generate(entropy: &dyn Entropy) -> Credential {
    let access_key_id = AccessKeyId(letters(entropy, ACCESS_KEY_LETTERS).into());
    root_credential(access_key_id, SecretKey(letters(entropy, SECRET_KEY_LETTERS).into()))
}

/// The root account as S3 shows it. Its canonical id is a constant: clusters don't share accounts.
fn root_owner() -> Owner {
    Owner {
        account: AccountId::ROOT,
        canonical_id: CanonicalId("6361697261726f6f74000000000000000000000000000000000000000000000a".into()),
        display_name: "root".into(),
    }
}

fn letters(entropy: &dyn Entropy, count: usize) -> String {
    let mut bytes = vec![0; count];
    entropy.fill(&mut bytes);
    bytes.into_iter().map(|byte| char::from(LETTERS[usize::from(byte) % LETTERS.len()])).collect()
}

/// Reads a disk's copy; `None` where it has none that can be read.
pub(crate) fn read_copy(disk: &dyn Disk) -> Option<Credential> {
    let file = disk.open(Path::new(CREDENTIAL_FILE), OpenOptions::EXISTING).ok()?;
    let mut text = vec![0; COPY_BYTES_MAX];
    let read = file.read_at(&mut text, 0).ok()?;
    let stored: StoredCredential = serde_json::from_slice(&text[..read]).ok()?;
    Some(root_credential(AccessKeyId(stored.access_key.into()), SecretKey(stored.secret_key.into())))
}

/// Writes a disk's copy, synced, unless it has this one already.
///
/// # Errors
/// The disk's.
pub(crate) fn write_copy(disk: &dyn Disk, credential: &Credential) -> io::Result<()> {
    if read_copy(disk).as_ref() == Some(credential) {
        return Ok(());
    }
    let stored = StoredCredential {
        access_key: credential.access_key_id.0.to_string(),
        secret_key: credential.secret_key.0.to_string(),
    };
    let text = serde_json::to_vec_pretty(&stored).expect("two strings are JSON");
    let new = format!("{CREDENTIAL_FILE}.new");
    let file = disk.open(Path::new(&new), OpenOptions::CREATE)?;
    file.set_len(0)?;
    file.write_all_at(&[IoSlice::new(&text)], 0)?;
    file.sync_data()?;
    disk.rename(Path::new(&new), Path::new(CREDENTIAL_FILE))?;
    disk.sync_directory(Path::new(""))
}

/// The root credential that the index holds; `None` before the cluster was formed.
///
/// # Errors
/// [`IndexError`].
pub(crate) async fn held_root(index: &dyn IndexService) -> Result<Option<Credential>, IndexError> {
    match index.query(Query::Credentials).await? {
        QueryAnswer::Credentials(held) => {
            Ok(held.into_iter().find(|credential| credential.owner.account == AccountId::ROOT))
        }
        _ => Err(IndexError::Damaged { reason: "a query for credentials was answered with something else".to_owned() }),
    }
}

/// Goes by the root credential that the index holds, as another process may set one, until `stopped` changes.
pub(crate) async fn follow_root(
    index: Arc<dyn IndexService>,
    credentials: watch::Sender<Arc<[Credential]>>,
    mut stopped: watch::Receiver<bool>,
) {
    let mut ticks = tokio::time::interval(FOLLOW_PERIOD);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            _ = stopped.changed() => return,
        }
        match held_root(&*index).await {
            Ok(Some(root)) => {
                credentials.send_if_modified(|known| {
                    let changed = known[..] != [root.clone()];
                    if changed {
                        tracing::info!(access_key = %root.access_key_id, "another root credential counts from now on");
                        *known = Arc::new([root]);
                    }
                    changed
                });
            }
            Ok(None) => {}
            Err(error) => tracing::debug!(%error, "the root credential could not be read"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use platform::{RealDisk, SystemEntropy};

    #[test]
    fn a_copy_reads_back_and_is_private() {
        use std::os::unix::fs::PermissionsExt;
        let directory = tempfile::tempdir().unwrap();
        let disk = RealDisk::open(directory.path()).unwrap();
        assert_eq!(read_copy(&disk), None);
        let credential = generate(&SystemEntropy);
        write_copy(&disk, &credential).unwrap();
        assert_eq!(read_copy(&disk), Some(credential));
        let mode = std::fs::metadata(directory.path().join(CREDENTIAL_FILE)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn generated_keys_have_the_lengths_of_awss() {
        let credential = generate(&SystemEntropy);
        assert_eq!(credential.access_key_id.0.len(), 20);
        assert_eq!(credential.secret_key.0.len(), 40);
    }
}
