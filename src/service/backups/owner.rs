//! Whose the files of a store are.
//!
//! What root unpacks is root's, and the server, which runs as another user, could not open it.

use std::{
    fs, io,
    os::unix::fs::{MetadataExt, lchown},
    path::Path,
};

/// Gives a file or a folder, with what is in it, to the owner of the folder of its store. Whoever may not give files
/// away has made them as the user that it runs as, and they stay so.
pub fn give_to_owner(store: &Path, path: &Path) {
    if let Err(e) = give(store, path) {
        log::warn!("{} does not belong to the owner of {}: {e}", path.display(), store.display());
    }
}

fn give(store: &Path, path: &Path) -> io::Result<()> {
    let (owner, own) = (fs::metadata(store)?, fs::symlink_metadata(path)?);
    if own.uid() != owner.uid() {
        lchown(path, Some(owner.uid()), Some(owner.gid()))?;
    }
    if own.is_dir() {
        for entry in fs::read_dir(path)? {
            give(store, &entry?.path())?;
        }
    }
    Ok(())
}
