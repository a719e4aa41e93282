//! Selects the mounts for a report from `/proc/self/mountinfo`. Pure. The file systems themselves are not accessed
//! here, because a dead one would not answer. Which mounts are hidden is in [`tree`], which can be written in
//! [`writable`].

mod line;
mod tree;
mod writable;

use std::{
    collections::{HashMap, HashSet},
    ffi::OsString,
    os::unix::ffi::OsStringExt,
    path::PathBuf,
};

pub(crate) use line::{Device, Line};
use writable::Wanted;

/// A mounted file system that is worth reporting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mount {
    /// The directory on which it is mounted.
    pub(crate) point: PathBuf,
    /// Its type, e.g. `ext4`.
    pub(crate) kind: String,
    pub(crate) device: Device,
}

/// The selected mounts.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Selection {
    /// In the order of the table.
    pub(crate) mounts: Vec<Mount>,
    /// How many are left out, because there are too many.
    pub(crate) omitted: usize,
    /// Whether the table has a root. In a directory to which a process is confined (`chroot`), it only has what is mounted
    /// below it.
    has_root: bool,
}

impl Selection {
    /// Adds the root on this device if the table has none, and its file system is not selected already.
    pub(crate) fn add_confined_root(&mut self, device: Device, max: usize) {
        let is_selected = self.mounts.iter().any(|mount| mount.device == device);
        if !self.has_root && !is_selected && self.mounts.len() < max {
            self.mounts.push(Mount { point: "/".into(), kind: "unknown".to_owned(), device });
        }
    }
}

/// Views into the kernel, without a size that could be exhausted. Others without a size are omitted when they are
/// measured.
const PSEUDO: &[&[u8]] = &[
    b"autofs",
    b"binfmt_misc",
    b"bpf",
    b"cgroup",
    b"cgroup2",
    b"configfs",
    b"debugfs",
    b"devpts",
    b"efivarfs",
    b"fuse.gvfsd-fuse",
    b"fuse.lxcfs",
    b"fuse.portal",
    b"fusectl",
    b"hugetlbfs",
    b"mqueue",
    b"nsfs",
    b"proc",
    b"pstore",
    b"ramfs",
    b"rpc_pipefs",
    b"securityfs",
    b"selinuxfs",
    b"sysfs",
    b"tracefs",
];

/// Layers of containers. They have the size of the file system below. Only as the root of a container is one the
/// complete file system.
const LAYERS: &[&[u8]] = &[b"aufs", b"fuse.fuse-overlayfs", b"overlay"];

/// Selects at most `max` mounts, each file system once. Only those that are accessible and can be written, without
/// pseudo file systems and the layers of containers. If a file system has several mounts (bind mounts, subvolumes), a
/// writable one is used, then the one that shows most of it, then the one with the shortest path, and also each of those at
/// the `named` mount points. If there are more than `max`, the root and disks come first, and memory last.
///
/// `fstab` is the text of `/etc/fstab`, empty if there is none. `upper` is the device of the [`upper_directory`], of whose
/// file system the root is then a further mount. Takes time in proportion to the length of the table, apart from sorting.
pub(crate) fn worth_reporting(
    mountinfo: &[u8],
    fstab: &[u8],
    named: &[String],
    upper: Option<Device>,
    max: usize,
) -> Selection {
    let lines: Vec<Line<'_>> = Line::all(mountinfo).collect();
    let visible = tree::visible(&lines);
    let wanted = Wanted::parse(fstab);
    let has_root = lines.iter().any(|line| line.point == b"/");
    let named: HashSet<&[u8]> = named.iter().map(|point| without_last_slash(point.as_bytes())).collect();
    // The best line of each file system, by the number of its device.
    let mut best: HashMap<Device, usize> = HashMap::new();
    let mut worth = HashSet::new();
    for (order, line) in lines.iter().enumerate() {
        let is_layer = LAYERS.contains(&line.kind) && line.point != b"/";
        if is_layer
            || PSEUDO.contains(&line.kind)
            || visible.get(order) != Some(&true)
            || !writable::can_be_written(line, &wanted)
        {
            continue;
        }
        let rank = |line: &Line<'_>| (line.is_read_only, line.root.len(), line.point.len());
        let device = if line.point == b"/" { upper.unwrap_or(line.device) } else { line.device };
        let chosen = best.entry(device).or_insert(order);
        // Of equal ones the last, because it may hide another.
        if lines.get(*chosen).is_none_or(|known| rank(line) <= rank(known)) {
            *chosen = order;
        }
        if named.contains(&*line.point) {
            worth.insert(order);
        }
    }
    worth.extend(best.into_values());
    let mut chosen = vec![false; lines.len()];
    let mut left = max;
    let mut omitted = 0;
    for importance in Importance::ALL {
        for (order, line) in lines.iter().enumerate() {
            if Importance::of(line) != importance || !worth.contains(&order) {
                continue;
            }
            match (left.checked_sub(1), chosen.get_mut(order)) {
                (Some(fewer), Some(chosen)) => {
                    left = fewer;
                    *chosen = true;
                }
                (None, _) | (_, None) => omitted += 1,
            }
        }
    }
    let mounts = lines.into_iter().zip(chosen).filter(|(_, chosen)| *chosen).map(|(line, _)| Mount {
        kind: String::from_utf8_lossy(line.kind).into_owned(),
        device: line.device,
        point: OsString::from_vec(line.point).into(),
    });
    Selection { mounts: mounts.collect(), omitted, has_root }
}

/// If the root is an overlay: the directory with what was changed in it, on whose file system it has its space. In a container,
/// this is a path of the host, which does not exist or is that of something else.
pub(crate) fn upper_directory(mountinfo: &[u8]) -> Option<PathBuf> {
    let root = Line::all(mountinfo).filter(|line| line.point == b"/").last()?;
    let path = root.options.split(|byte| *byte == b',').find_map(|option| option.strip_prefix(b"upperdir="))?;
    Some(OsString::from_vec(line::unescape(path)).into())
}

fn without_last_slash(point: &[u8]) -> &[u8] {
    let last = point.iter().rposition(|byte| *byte != b'/').unwrap_or_default();
    point.get(..=last).unwrap_or(point)
}

/// Which mounts are kept first if there are too many. Users without rights can only mount others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Importance {
    Root,
    Disk,
    /// Of networks and programs.
    Other,
    Memory,
}

impl Importance {
    const ALL: [Self; 4] = [Self::Root, Self::Disk, Self::Other, Self::Memory];

    fn of(line: &Line<'_>) -> Self {
        const MEMORY: &[&[u8]] = &[b"devtmpfs", b"tmpfs"];
        // Disks that have no block device of their own for each file system.
        const DISKS: &[&[u8]] = &[b"bcachefs", b"btrfs", b"ubifs", b"zfs"];
        if line.point == b"/" {
            Self::Root
        } else if MEMORY.contains(&line.kind) {
            Self::Memory
        } else if line.has_block_device() || DISKS.contains(&line.kind) {
            Self::Disk
        } else {
            Self::Other
        }
    }
}

#[cfg(test)]
mod tests;
