//! A mounted file system, and which ones count as disks.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::fleet::{Bytes, Percent, trend::Trend};

/// Types of file systems that keep their files in memory.
const IN_MEMORY: [&str; 3] = ["devtmpfs", "ramfs", "tmpfs"];

/// Mount points at which the system and the programs for containers mount memory for their own use.
const SYSTEM_DIRECTORIES: [&str; 8] =
    ["/dev", "/proc", "/run", "/sys", "/var/lib/containers", "/var/lib/docker", "/var/lib/kubelet", "/var/run"];

/// A mounted file system.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileSystem {
    /// The mount point.
    pub mount: String,
    /// Its type.
    pub kind: String,
    /// Its size.
    pub total: Bytes,
    /// The used space, as in the output of `df`.
    pub used: Bytes,
    /// Free for ordinary users.
    pub available: Bytes,
    /// How many files and directories there can be, and how many more; `None` if their number has no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inodes: Option<Inodes>,
    /// How its used space has changed; `None` if that is not known. The collector adds it from the history.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trend: Option<Trend>,
}

/// The inodes of a file system.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inodes {
    /// How many there can be.
    pub total: u64,
    /// How many are free; never above `total`.
    pub free: u64,
}

impl FileSystem {
    /// The used percentage as `df` counts it: used / (used + available).
    #[must_use]
    pub fn percent(&self) -> Option<Percent> {
        Percent::of(self.used, Bytes(self.used.0.checked_add(self.available.0)?))
    }

    /// The used percentage of inodes, as `df -i` counts it.
    #[must_use]
    pub fn inodes_percent(&self) -> Option<Percent> {
        let Inodes { total, free } = self.inodes?;
        Percent::of(Bytes(total.checked_sub(free)?), Bytes(total))
    }
}

/// Whether a file system counts as a disk. Memory that the system mounts for itself does not: `/dev`, `/dev/shm`, `/run`,
/// `/sys/fs/cgroup`, nor that of containers, which comes and goes with them. A `/tmp` in memory does, because programs fail
/// when it is full.
pub(super) fn is_disk(kind: &str, mount: &str) -> bool {
    let is_in_memory = IN_MEMORY.contains(&kind);
    !is_in_memory || !SYSTEM_DIRECTORIES.iter().any(|directory| Path::new(mount).starts_with(directory))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_that_the_system_mounts_for_itself_is_no_disk() {
        for (kind, mount, expected) in [
            ("ext4", "/", true),
            ("tmpfs", "/tmp", true),
            ("tmpfs", "/srv/run", true),
            ("tmpfs", "/devices", true),
            ("vfat", "/run/media/ops/stick", true),
            ("NTFS", "C:\\", true),
            ("devtmpfs", "/dev", false),
            ("tmpfs", "/dev", false),
            ("tmpfs", "/dev/shm", false),
            ("tmpfs", "/sys/fs/cgroup", false),
            ("tmpfs", "/run", false),
            ("tmpfs", "/run/user/1000", false),
            ("tmpfs", "/var/run", false),
            ("tmpfs", "/proc/acpi", false),
            ("tmpfs", "/var/lib/kubelet/pods/7/volumes/token", false),
            ("tmpfs", "/var/lib/docker/containers/7/mounts/shm", false),
            ("tmpfs", "/var/lib/containers/storage/overlay-containers/7/userdata/shm", false),
            ("xfs", "/var/lib/docker", true),
        ] {
            assert_eq!(is_disk(kind, mount), expected, "{kind} {mount}");
        }
    }
}
