//! Queries the size of one mounted file system. The list is made in `mounts`, and the time limit is in the shared
//! `file_systems`.

use std::path::Path;

use fleetsweep_agent::report::{FileSystem, Inodes};

use super::{
    hanging,
    mounts::{Device, Mount},
};
use crate::file_systems::Answer;

/// The result of `statvfs`, calculated like in `df`.
pub(crate) fn ask(mount: Mount) -> Answer {
    hanging::name_thread(&hanging::of_file_system(mount.device));
    let says = rustix::fs::statvfs(&mount.point).map_err(|error| error.to_string())?;
    // Some file systems of networks say that they are as large as a number can be.
    let bytes = |blocks: u64| blocks.saturating_mul(says.f_frsize).min(i64::MAX.cast_unsigned());
    let inodes = (says.f_files > 0 && says.f_ffree <= says.f_files)
        .then_some(Inodes { total: says.f_files, free: says.f_ffree });
    let is_image = is_image(&mount.kind, says.f_bfree, says.f_bavail, inodes);
    Ok((says.f_blocks > 0 && !is_image).then(|| FileSystem {
        mount: mount.point.to_string_lossy().into_owned(),
        kind: mount.kind,
        total_bytes: bytes(says.f_blocks),
        used_bytes: bytes(says.f_blocks.saturating_sub(says.f_bfree)),
        available_bytes: bytes(says.f_bavail.min(says.f_blocks)),
        inodes,
    }))
}

/// The device of the file system at a path.
pub(crate) fn device_of(path: &Path) -> rustix::io::Result<Device> {
    let device = rustix::fs::stat(path)?.st_dev;
    Ok(Device { major: rustix::fs::major(device), minor: rustix::fs::minor(device) })
}

/// Whether it is an image or archive that a program shows, as if it were writable. Some say that it has no inodes, others
/// that none are free.
fn is_image(kind: &str, free_blocks: u64, available_blocks: u64, inodes: Option<Inodes>) -> bool {
    (kind == "fuse" || kind.starts_with("fuse."))
        && free_blocks == 0
        && available_blocks == 0
        && inodes.is_none_or(|inodes| inodes.free == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_that_programs_show_are_full_by_nature_whatever_they_say_of_inodes() {
        let inodes = |total, free| Some(Inodes { total, free });
        for (kind, free, available, inodes, expected) in [
            ("fuse.editor", 0, 0, inodes(9, 0), true),
            ("fuse", 0, 0, inodes(9, 0), true),
            ("fuse.editor", 0, 0, None, true),
            ("fuse", 0, 0, None, true),
            // A disk that is full still has inodes, or blocks that are reserved.
            ("fuse.ntfs", 0, 0, inodes(9, 1), false),
            ("fuseblk", 0, 0, None, false),
            ("fuse.sshfs", 5, 0, None, false),
            ("ext4", 0, 0, inodes(9, 0), false),
        ] {
            assert_eq!(is_image(kind, free, available, inodes), expected, "{kind} {free} {inodes:?}");
        }
    }

    #[test]
    fn the_root_answers_and_a_missing_directory_does_not() {
        let ask = |point: &str| ask(Mount { point: point.into(), kind: "ext4".into(), device: Device::default() });
        let root = ask("/").unwrap().unwrap();
        assert_eq!((&*root.mount, &*root.kind), ("/", "ext4"));
        assert!(root.total_bytes > 0 && root.used_bytes <= root.total_bytes);
        assert!(root.available_bytes <= root.total_bytes);
        assert_eq!(ask("/no/such/directory"), Err("No such file or directory (os error 2)".into()));
        assert_eq!(ask("/proc"), Ok(None));
    }
}
