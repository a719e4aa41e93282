//! Selects the mounts for a report from `/proc/self/mountinfo`. Pure. The file systems themselves are not accessed
//! here, because a dead one would not answer.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
    ffi::OsString,
    os::unix::ffi::OsStringExt,
    path::PathBuf,
};

/// A mounted file system that is worth reporting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mount {
    /// The directory on which it is mounted.
    pub(crate) point: PathBuf,
    /// Its type, e.g. `ext4`.
    pub(crate) kind: String,
}

/// Views into the kernel, without a size that could be exhausted. Others without a size are omitted when they are
/// measured.
const PSEUDO: &[&str] = &[
    "autofs",
    "binfmt_misc",
    "bpf",
    "cgroup",
    "cgroup2",
    "configfs",
    "debugfs",
    "devpts",
    "efivarfs",
    "fuse.gvfsd-fuse",
    "fuse.lxcfs",
    "fuse.portal",
    "fusectl",
    "hugetlbfs",
    "mqueue",
    "nsfs",
    "proc",
    "pstore",
    "ramfs",
    "rpc_pipefs",
    "securityfs",
    "selinuxfs",
    "sysfs",
    "tracefs",
];

/// Images that are always full.
const IMAGES: &[&str] = &["cramfs", "erofs", "iso9660", "squashfs"];

/// A line of the table.
struct Line {
    id: u32,
    parent: u32,
    /// `major:minor`, the same for all mounts of a file system.
    device: String,
    /// The mounted directory of the file system; `/` for all of it.
    root: String,
    point: PathBuf,
    kind: String,
}

/// The mounts for a report in the order of the table, each file system once. Only those that are accessible, without
/// pseudo file systems, images and the layers of containers. If a file system has several mounts (bind mounts,
/// subvolumes), the one that shows most of it is used, then the one with the shortest path.
pub(crate) fn worth_reporting(mountinfo: &str) -> Vec<Mount> {
    let lines: Vec<Line> = mountinfo.lines().filter_map(Line::parse).collect();
    let mut chosen = BTreeMap::new();
    for (order, line) in lines.iter().enumerate() {
        // An overlay has the size of the file system below it. Only as the root of a container is it the complete file
        // system.
        let layer = line.kind == "overlay" && line.point.as_os_str() != "/";
        if layer || PSEUDO.contains(&&*line.kind) || IMAGES.contains(&&*line.kind) || line.is_covered(&lines) {
            continue;
        }
        let rank = (line.root.len(), line.point.as_os_str().len(), Reverse(order));
        let best = chosen.entry(&line.device).or_insert((rank, order));
        if rank < best.0 {
            *best = (rank, order);
        }
    }
    let chosen: BTreeSet<usize> = chosen.into_values().map(|(_, order)| order).collect();
    lines
        .into_iter()
        .enumerate()
        .filter(|(order, _)| chosen.contains(order))
        .map(|(_, line)| Mount { point: line.point, kind: line.kind })
        .collect()
}

impl Line {
    /// `36 35 98:0 /root /point options [optional]... - kind source options`
    fn parse(line: &str) -> Option<Self> {
        let (mount, system) = line.split_once(" - ")?;
        let mut mount = mount.split(' ');
        Some(Self {
            id: mount.next()?.parse().ok()?,
            parent: mount.next()?.parse().ok()?,
            device: mount.next()?.to_owned(),
            root: mount.next()?.to_owned(),
            point: unescape(mount.next()?),
            kind: system.split(' ').next()?.to_owned(),
        })
    }

    /// Whether a later mount on the same point or above hides this one.
    fn is_covered(&self, lines: &[Self]) -> bool {
        let mut ancestors = BTreeSet::from([self.id]);
        let mut parent = self.parent;
        while ancestors.insert(parent) {
            match lines.iter().find(|line| line.id == parent) {
                Some(line) => parent = line.parent,
                None => break,
            }
        }
        lines.iter().any(|other| self.point.starts_with(&other.point) && !ancestors.contains(&other.id))
    }
}

/// The kernel writes blanks, line ends and backslashes as three octal digits.
fn unescape(text: &str) -> PathBuf {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let escaped = match (first, after.split_first_chunk::<3>()) {
            (b'\\', Some((digits, after))) => str::from_utf8(digits)
                .ok()
                .and_then(|digits| u8::from_str_radix(digits, 8).ok())
                .map(|byte| (byte, after)),
            _ => None,
        };
        let (byte, after) = escaped.unwrap_or((first, after));
        bytes.push(byte);
        rest = after;
    }
    OsString::from_vec(bytes).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(table: &str, expected: &[(&str, &str)]) {
        let mounts = worth_reporting(table);
        let mounts: Vec<_> = mounts.iter().map(|mount| (mount.point.to_str().unwrap(), &*mount.kind)).collect();
        assert_eq!(mounts, expected);
    }

    #[test]
    fn an_ordinary_machine_shows_its_real_file_systems() {
        check(
            "22 27 0:20 / /sys rw,nosuid - sysfs sysfs rw\n\
             23 27 0:21 / /proc rw - proc proc rw\n\
             24 27 0:5 / /dev rw - devtmpfs udev rw,size=4k\n\
             27 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw\n\
             28 24 0:25 / /dev/shm rw shared:4 - tmpfs tmpfs rw\n\
             40 27 7:0 / /snap/core/1 ro - squashfs /dev/loop0 ro\n\
             41 27 254:16 / /srv/my\\040data\\134x rw - xfs /dev/vdb rw\n\
             42 27 0:99 / /var/lib/docker/overlay2/x/merged rw - overlay overlay rw\n\
             a line of another kind\n",
            &[("/dev", "devtmpfs"), ("/", "ext4"), ("/dev/shm", "tmpfs"), ("/srv/my data\\x", "xfs")],
        );
    }

    #[test]
    fn a_file_system_mounted_twice_counts_once_where_most_of_it_shows() {
        check(
            "27 1 254:0 /sub / rw - btrfs /dev/vda rw\n\
             28 27 254:0 /sub/srv /srv rw - btrfs /dev/vda rw\n\
             29 27 254:0 / /mnt/all rw - btrfs /dev/vda rw\n\
             30 27 254:1 / /data/long rw - ext4 /dev/vdb rw\n\
             31 27 254:1 / /data2 rw - ext4 /dev/vdb rw\n",
            &[("/mnt/all", "btrfs"), ("/data2", "ext4")],
        );
    }

    #[test]
    fn a_mount_that_another_hides_is_left_out() {
        check(
            "27 1 254:0 / / rw - ext4 /dev/vda rw\n\
             30 27 254:1 / /mnt/a rw - ext4 /dev/vdb rw\n\
             31 27 254:2 / /mnt rw - ext4 /dev/vdc rw\n\
             32 31 254:3 / /mnt/b rw - ext4 /dev/vdd rw\n\
             33 32 254:4 / /mnt/b rw - ext4 /dev/vde rw\n\
             34 27 254:5 / /mntx rw - ext4 /dev/vdf rw\n",
            &[("/", "ext4"), ("/mnt", "ext4"), ("/mnt/b", "ext4"), ("/mntx", "ext4")],
        );
    }

    #[test]
    fn the_root_of_a_container_is_the_whole() {
        check("600 500 0:52 / / rw - overlay overlay rw\n", &[("/", "overlay")]);
    }

    #[test]
    fn a_table_that_turns_in_circles_ends() {
        check(
            "1 2 8:1 / /a rw - ext4 a rw\n2 1 8:2 / /b rw - ext4 b rw\n3 3 8:3 / /c rw - ext4 c rw\n",
            &[("/a", "ext4"), ("/b", "ext4"), ("/c", "ext4")],
        );
        check("", &[]);
        check("1 2 8:1 / /a\\04 rw - ext4 a rw", &[("/a\\04", "ext4")]);
    }
}
