//! Short leases on files, so that agents in one checkout write one after the other: between the check that a file is
//! what was read and the write itself, no other pup writes it.

use crate::base::digest;
use crate::base::lock::FileLock;
use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

/// How long somebody else's lease is waited for; a write takes milliseconds.
const PATIENCE: Duration = Duration::from_secs(10);

/// Held until they are dropped.
#[derive(Debug)]
pub struct Leases {
    _locks: Vec<FileLock>,
}

/// Takes the leases on all of `paths`, whose locks are in `folder`, in an order that is the same for everybody. `None` when somebody keeps one for
/// too long. Where locks cannot be made, nobody is kept out: the digests still tell of a change.
pub fn take<'a>(folder: &Path, paths: impl Iterator<Item = &'a Path>) -> Option<Leases> {
    // A few locks for all files: two that share one only wait for each other.
    let names: BTreeSet<String> = paths.map(|p| digest::short(p.as_os_str().as_encoded_bytes(), 2)).collect();
    let mut locks = Vec::new();
    for name in names {
        match FileLock::take(&folder.join(name), PATIENCE) {
            Ok(Some(lock)) => locks.push(lock),
            Ok(None) => return None,
            Err(e) => tracing::debug!(%e, "no lease"),
        }
    }
    Some(Leases { _locks: locks })
}
