//! Commands of a bounded size: what is to be done with many versions is done in several.

use index::command::{ExpireAction, ExpireKey, ExpireKind};

/// What one command may do at most. `apply` does it all in one transaction, while which nothing else is applied.
const WEIGHT_MAX: usize = 200;
/// How long one command may be, in bytes: far below what the log and its followers take at once.
const BYTES_MAX: usize = 512 << 10;
/// An upload goes with all its parts.
const UPLOAD_WEIGHT: usize = 20;

/// Cuts what is to be done with keys into commands, in order. The last piece of a key has its note, so that what was
/// broken off is looked at again. There is at least one piece.
pub(super) fn pieces(keys: Vec<ExpireKey>) -> Vec<Vec<ExpireKey>> {
    let mut all = vec![Vec::new()];
    let (mut weight, mut bytes) = (0, 0);
    for ExpireKey { key, noted, actions, next } in keys {
        let mut rest = Vec::new();
        for action in actions {
            let (more_weight, more_bytes) = (weight_of(&action), bytes_of(&action));
            if weight + more_weight > WEIGHT_MAX || bytes + more_bytes > BYTES_MAX {
                let done = std::mem::take(&mut rest);
                let piece = all.last_mut().expect("there is one");
                if !done.is_empty() {
                    piece.push(ExpireKey { key: key.clone(), noted: None, actions: done, next: None });
                }
                if !piece.is_empty() {
                    all.push(Vec::new());
                }
                (weight, bytes) = (0, 0);
            }
            weight += more_weight;
            bytes += more_bytes;
            rest.push(action);
        }
        all.last_mut().expect("there is one").push(ExpireKey { key, noted, actions: rest, next });
    }
    all
}

fn weight_of(action: &ExpireAction) -> usize {
    match action.kind {
        ExpireKind::Upload { .. } => UPLOAD_WEIGHT,
        _ => 1,
    }
}

/// About.
fn bytes_of(action: &ExpireAction) -> usize {
    const REST: usize = 128;
    let tags = match &action.kind {
        ExpireKind::Newest { tags, .. } | ExpireKind::Noncurrent { tags, .. } | ExpireKind::Class { tags, .. } => {
            &**tags
        }
        ExpireKind::Marker { .. } | ExpireKind::Upload { .. } => &[],
    };
    REST + tags.iter().map(|(name, value)| name.len() + value.len() + 4).sum::<usize>()
}

#[cfg(test)]
mod tests {
    use types::{CommitStamp, ObjectKey, Timestamp, UploadId, VersionId};

    use super::*;

    fn version(number: u64, tag_bytes: usize) -> ExpireAction {
        let version = VersionId { stamp: CommitStamp(number), random: 0 };
        let tags = if tag_bytes == 0 { Vec::new() } else { vec![("t".to_owned(), "v".repeat(tag_bytes))] };
        let kind = ExpireKind::Noncurrent { version, superseded: CommitStamp(number), tags, newer: 0 };
        ExpireAction { kind, since: Timestamp(0) }
    }

    fn key(name: &str, actions: Vec<ExpireAction>) -> ExpireKey {
        let key = ObjectKey::new(name.to_owned()).expect("a key");
        ExpireKey { key, noted: Some(Timestamp(1)), actions, next: Some(Timestamp(2)) }
    }

    fn check(keys: Vec<ExpireKey>) -> Vec<Vec<ExpireKey>> {
        let cut = pieces(keys.clone());
        for piece in &cut {
            let actions = || piece.iter().flat_map(|key| &key.actions);
            assert!(actions().map(weight_of).sum::<usize>() <= WEIGHT_MAX);
            assert!(actions().map(bytes_of).sum::<usize>() <= BYTES_MAX);
        }
        // All is done, in order, and each key's note goes with its last action.
        let done = |keys: &[ExpireKey]| -> Vec<_> {
            keys.iter().flat_map(|key| key.actions.iter().map(|it| (key.key.clone(), it.clone()))).collect()
        };
        let flat: Vec<_> = cut.iter().flatten().cloned().collect();
        assert_eq!(done(&flat), done(&keys));
        for key in &keys {
            let of_key: Vec<_> = flat.iter().filter(|piece| piece.key == key.key).collect();
            let (last, before) = of_key.split_last().expect("each key is there");
            assert_eq!((last.noted, last.next), (key.noted, key.next));
            assert!(before.iter().all(|piece| piece.noted.is_none() && piece.next.is_none()));
        }
        cut
    }

    #[test]
    fn no_command_does_too_much_and_nothing_is_left_out() {
        assert_eq!(check(Vec::new()).len(), 1, "a pass may go on over nothing");
        assert_eq!(check(vec![key("a", Vec::new()), key("b", vec![version(1, 0)])]).len(), 1);
        let many = |count, tag_bytes| (0..count).map(|number| version(number, tag_bytes)).collect::<Vec<_>>();
        assert_eq!(check(vec![key("a", many(200, 0))]).len(), 1);
        assert_eq!(check(vec![key("a", many(201, 0))]).len(), 2);
        assert_eq!(check((0..64).map(|number| key(&number.to_string(), many(1000, 0))).collect()).len(), 320);
        assert!(check((0..8).map(|number| key(&number.to_string(), many(150, 4000))).collect()).len() >= 8);
        let uploads = (0..25).map(|_| ExpireAction {
            kind: ExpireKind::Upload { upload: UploadId::from_bytes([7; 16]) },
            since: Timestamp(0),
        });
        assert_eq!(check(vec![key("a", uploads.collect())]).len(), 3);
    }
}
