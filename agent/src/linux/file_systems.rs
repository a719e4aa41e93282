//! Queries the size of one mounted file system. The list is made in `mounts`, and the time limit is in the shared
//! `file_systems`.

use fleetsweep_agent::report::{FileSystem, Inodes};

use super::mounts::Mount;
use crate::file_systems::Answer;

/// The result of `statvfs`, calculated like in `df`.
pub(crate) fn ask(mount: Mount) -> Answer {
    let says = rustix::fs::statvfs(&mount.point).map_err(|error| error.to_string())?;
    let bytes = |blocks: u64| blocks.saturating_mul(says.f_frsize);
    let inodes = (says.f_files > 0 && says.f_ffree <= says.f_files)
        .then_some(Inodes { total: says.f_files, free: says.f_ffree });
    // An image or archive that a program shows, as if it were writable.
    let is_image = mount.kind.starts_with("fuse.")
        && says.f_bfree == 0
        && says.f_bavail == 0
        && inodes.is_some_and(|inodes| inodes.free == 0);
    Ok((says.f_blocks > 0 && !is_image).then(|| FileSystem {
        mount: mount.point.to_string_lossy().into_owned(),
        kind: mount.kind,
        total_bytes: bytes(says.f_blocks),
        used_bytes: bytes(says.f_blocks.saturating_sub(says.f_bfree)),
        available_bytes: bytes(says.f_bavail.min(says.f_blocks)),
        inodes,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_root_answers_and_a_missing_directory_does_not() {
        let ask = |point: &str| ask(Mount { point: point.into(), kind: "ext4".into() });
        let root = ask("/").unwrap().unwrap();
        assert_eq!((&*root.mount, &*root.kind), ("/", "ext4"));
        assert!(root.total_bytes > 0 && root.used_bytes <= root.total_bytes);
        assert!(root.available_bytes <= root.total_bytes);
        assert_eq!(ask("/no/such/directory"), Err("No such file or directory (os error 2)".into()));
        assert_eq!(ask("/proc"), Ok(None));
    }
}
