//! What the kernel's memory file does not say: the cache of ZFS, and the limits of memory cgroups. The parsers are pure;
//! [`limits`] reads the files.

use std::{
    ffi::OsStr,
    fs,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
};

use fleetsweep_agent::report::Memory;

use super::{counters::number, mounts::Line};

/// Whether a container sees a memory file of its own, which lxcfs mounts over that of the kernel. The cache of ZFS is that of
/// the host then.
pub(crate) fn is_of_container(mountinfo: &[u8]) -> bool {
    Line::all(mountinfo).any(|line| line.point == b"/proc/meminfo")
}

/// The memory of a cgroup.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limit {
    /// The most that it may use.
    max_bytes: u64,
    /// What it uses, without what the kernel gives up when memory is short: the page cache and other caches.
    used_bytes: u64,
}

/// Adds the cache of ZFS to the available memory, except for its minimum. `arcstats` is
/// `/proc/spl/kstat/zfs/arcstats`: lines of `NAME TYPE VALUE`.
pub(crate) fn with_zfs_cache(memory: Memory, arcstats: &str) -> Memory {
    let value = |name: &str| {
        let mut lines = arcstats.lines().map(str::split_whitespace);
        lines.find_map(|mut words| (words.next()? == name).then(|| words.nth(1)?.parse::<u64>().ok())?)
    };
    let (Some(size), Some(least)) = (value("size"), value("c_min")) else { return memory };
    with_available(memory, memory.available_bytes.saturating_add(size.saturating_sub(least)))
}

/// The memory within cgroups. The smallest limit is the total if it is below that of the machine, and no more is
/// available than each of them and the machine have left.
pub(crate) fn within(memory: Memory, limits: &[Limit]) -> Memory {
    let below = || limits.iter().filter(|limit| limit.max_bytes < memory.total_bytes);
    let Some(total_bytes) = below().map(|limit| limit.max_bytes).min() else { return memory };
    let left = below().map(|limit| limit.max_bytes.saturating_sub(limit.used_bytes)).min();
    with_available(Memory { total_bytes, ..memory }, left.unwrap_or(u64::MAX).min(memory.available_bytes))
}

fn with_available(memory: Memory, available_bytes: u64) -> Memory {
    let available_bytes = available_bytes.min(memory.total_bytes);
    Memory { available_bytes, used_bytes: memory.total_bytes - available_bytes, ..memory }
}

/// The two versions of memory cgroups.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Version {
    One,
    Two,
}

/// The files of a cgroup.
struct Files {
    /// Its limits. The lowest counts: above `memory.high`, its processes are slowed down until they hardly advance.
    limits: &'static [&'static str],
    /// What it uses.
    used: &'static str,
    /// The line of `memory.stat` with the lowest limit of those above it, which may not be visible.
    limit_above: Option<&'static str>,
    /// The lines of `memory.stat` with what the kernel gives up when memory is short.
    reclaimable: &'static [&'static str],
}

impl Version {
    fn files(self) -> Files {
        match self {
            Self::One => Files {
                limits: &["memory.limit_in_bytes"],
                used: "memory.usage_in_bytes",
                limit_above: Some("hierarchical_memory_limit"),
                reclaimable: &["total_inactive_file", "total_active_file"],
            },
            Self::Two => Files {
                limits: &["memory.max", "memory.high"],
                used: "memory.current",
                limit_above: None,
                reclaimable: &["inactive_file", "active_file", "slab_reclaimable"],
            },
        }
    }
}

/// The memory limits of the cgroup of this process and of those above it. A cgroup without a limit, or one that cannot
/// be read, has none. `cgroups` is `/proc/self/cgroup`, and `mountinfo` shows where they are mounted.
pub(crate) fn limits(cgroups: &str, mountinfo: &[u8], total_bytes: u64) -> Vec<Limit> {
    directories(cgroups, mountinfo)
        .into_iter()
        .filter_map(|(version, directory)| limit(version, &directory, total_bytes))
        .collect()
}

/// The cgroups of this process, from the innermost to the outermost that can be seen.
fn directories(cgroups: &str, mountinfo: &[u8]) -> Vec<(Version, PathBuf)> {
    let mut found = Vec::new();
    for line in Line::all(mountinfo) {
        let version = match line.kind {
            b"cgroup2" => Version::Two,
            b"cgroup" if line.has_option(b"memory") => Version::One,
            _ => continue,
        };
        let Some(path) = own_path(cgroups, version) else { continue };
        let root = String::from_utf8_lossy(line.root);
        // Without a namespace of its own, a container sees its path from outside, and only its own part is mounted.
        let below = path.strip_prefix(&*root).filter(|rest| rest.is_empty() || root == "/" || rest.starts_with('/'));
        let below = below.unwrap_or_default().trim_matches('/');
        let top = Path::new(OsStr::from_bytes(&line.point)).to_owned();
        // A cgroup outside of the namespace begins like this: what is mounted is none above it.
        if path.starts_with("/..") || root.starts_with("/..") {
            continue;
        }
        let innermost = if below.is_empty() { top.clone() } else { top.join(below) };
        let up = innermost.ancestors().take_while(|directory| directory.starts_with(&top));
        found.extend(up.map(|directory| (version, directory.to_owned())));
    }
    found
}

/// The path of this process: `0::/PATH` in version two, `4:cpu,memory:/PATH` in version one.
fn own_path(cgroups: &str, version: Version) -> Option<&str> {
    cgroups.lines().find_map(|line| {
        let mut fields = line.splitn(3, ':');
        let (number, controllers, path) = (fields.next()?, fields.next()?, fields.next()?);
        let is_it = match version {
            Version::One => controllers.split(',').any(|controller| controller == "memory"),
            Version::Two => number == "0" && controllers.is_empty(),
        };
        is_it.then_some(path)
    })
}

fn limit(version: Version, directory: &Path, total_bytes: u64) -> Option<Limit> {
    let files = version.files();
    let in_file = |file: &str| fs::read_to_string(directory.join(file)).ok()?.trim().parse::<u64>().ok();
    let stat = fs::read_to_string(directory.join("memory.stat")).unwrap_or_default();
    let in_stat = |name: &str| number(&stat, name);
    let limits = files.limits.iter().filter_map(|file| in_file(file));
    // Without a limit: `max`, or a huge number.
    let max_bytes =
        limits.chain(files.limit_above.and_then(in_stat)).min().filter(|max| (1..total_bytes).contains(max))?;
    let reclaimable = files.reclaimable.iter().filter_map(|name| in_stat(name)).fold(0, u64::saturating_add);
    Some(Limit { max_bytes, used_bytes: in_file(files.used)?.saturating_sub(reclaimable) })
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIB: u64 = 1 << 30;

    fn memory(total: u64, available: u64) -> Memory {
        Memory { total_bytes: total, used_bytes: total - available, available_bytes: available }
    }

    #[test]
    fn the_cache_of_zfs_is_available_down_to_its_minimum() {
        let stats = |size: u64, least: u64| {
            format!(
                "13 1 0x01 123 33456 1 2\nname type data\nhits 4 77\nsize 4 {size}\nc_min                           4    {least}\n"
            )
        };
        for (stats, expected) in [
            (stats(6 * GIB, GIB), memory(16 * GIB, 9 * GIB)),
            (stats(GIB / 2, GIB), memory(16 * GIB, 4 * GIB)),
            (stats(u64::MAX, GIB), memory(16 * GIB, 16 * GIB)),
            ("size 4 many\nc_min 4 1\n".to_owned(), memory(16 * GIB, 4 * GIB)),
            ("size 4\n".to_owned(), memory(16 * GIB, 4 * GIB)),
            (String::new(), memory(16 * GIB, 4 * GIB)),
        ] {
            assert_eq!(with_zfs_cache(memory(16 * GIB, 4 * GIB), &stats), expected, "{stats}");
        }
    }

    /// A container on a host with ZFS used 0 % for ever.
    #[test]
    fn the_cache_of_zfs_is_the_hosts_where_lxcfs_shows_a_memory_file() {
        let proc = "23 27 0:21 / /proc rw - proc proc rw\n";
        for (more, expected) in [
            ("", false),
            ("90 23 0:50 /proc/meminfo /proc/meminfo rw - fuse.lxcfs lxcfs rw\n", true),
            ("91 23 0:50 /proc/uptime /proc/uptime rw - fuse.lxcfs lxcfs rw\n", false),
        ] {
            assert_eq!(is_of_container(format!("{proc}{more}").as_bytes()), expected, "{more}");
        }
    }

    #[test]
    fn the_limit_of_a_cgroup_is_the_total_if_it_is_lower() {
        let limit = |max_bytes, used_bytes| Limit { max_bytes, used_bytes };
        let machine = memory(16 * GIB, 10 * GIB);
        for (limits, expected) in [
            (vec![], machine),
            (vec![limit(64 * GIB, 3 * GIB)], machine),
            (vec![limit(2 * GIB, GIB)], memory(2 * GIB, GIB)),
            (vec![limit(2 * GIB, 3 * GIB)], memory(2 * GIB, 0)),
            // The one above is nearly full, because of its other children.
            (vec![limit(2 * GIB, GIB), limit(4 * GIB, 4 * GIB - GIB / 4)], memory(2 * GIB, GIB / 4)),
            (vec![limit(4 * GIB, GIB), limit(2 * GIB, GIB)], memory(2 * GIB, GIB)),
            // The machine has less left than the cgroup.
            (vec![limit(15 * GIB, 0)], memory(15 * GIB, 10 * GIB)),
        ] {
            assert_eq!(within(machine, &limits), expected, "{limits:?}");
        }
    }

    #[test]
    fn the_cgroups_of_a_process_are_found_where_they_are_mounted() {
        let two = "30 24 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw,nsdelegate\n";
        let one = "31 24 0:27 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n\
                   32 24 0:28 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu,cpuacct\n";
        let of_container = "31 24 0:27 /docker/7 /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n";
        for (cgroups, mounts, expected) in [
            (
                "0::/user.slice/user-7.slice\n",
                two,
                vec!["/sys/fs/cgroup/user.slice/user-7.slice", "/sys/fs/cgroup/user.slice", "/sys/fs/cgroup"],
            ),
            ("0::/\n", two, vec!["/sys/fs/cgroup"]),
            ("0::/../other\n", two, vec![]),
            ("", two, vec![]),
            (
                "5:cpu,cpuacct:/x\n4:memory:/a:b\n0::/c\n",
                one,
                vec!["/sys/fs/cgroup/memory/a:b", "/sys/fs/cgroup/memory"],
            ),
            ("4:memory:/docker/7\n", of_container, vec!["/sys/fs/cgroup/memory"]),
            ("4:memory:/docker/7/in\n", of_container, vec!["/sys/fs/cgroup/memory/in", "/sys/fs/cgroup/memory"]),
            ("4:memory:/docker/77\n", of_container, vec!["/sys/fs/cgroup/memory"]),
        ] {
            let found: Vec<_> = directories(cgroups, mounts.as_bytes()).into_iter().map(|(_, path)| path).collect();
            assert_eq!(found, expected.iter().map(PathBuf::from).collect::<Vec<_>>(), "{cgroups}");
        }
    }

    #[test]
    fn the_files_of_both_versions_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        for (file, text) in [
            ("memory.max", "1000\n"),
            ("memory.current", "700\n"),
            (
                "memory.stat",
                "anon 1\ninactive_file 100\nactive_file 70\nslab_reclaimable 30\nslab_unreclaimable 9\n\
                 inactive_anon 5\ntotal_inactive_file 200\ntotal_active_file 100\n",
            ),
            ("memory.limit_in_bytes", "2000\n"),
            ("memory.usage_in_bytes", "800\n"),
        ] {
            fs::write(path.join(file), text).unwrap();
        }
        assert_eq!(limit(Version::Two, path, 5000), Some(Limit { max_bytes: 1000, used_bytes: 500 }));
        assert_eq!(limit(Version::One, path, 5000), Some(Limit { max_bytes: 2000, used_bytes: 500 }));
        assert_eq!(limit(Version::Two, path, 1000), None);
        fs::write(path.join("memory.max"), "max\n").unwrap();
        assert_eq!(limit(Version::Two, path, 5000), None);
        fs::write(path.join("memory.stat"), "hierarchical_memory_limit 1500\n").unwrap();
        for (max, high, one, expected) in [
            ("max", "800", "2000", (Some(800), Some(1500))),
            ("600", "800", "1000", (Some(600), Some(1000))),
            ("max", "max", "9223372036854771712", (None, Some(1500))),
        ] {
            for (file, text) in [("memory.max", max), ("memory.high", high), ("memory.limit_in_bytes", one)] {
                fs::write(path.join(file), format!("{text}\n")).unwrap();
            }
            let max_bytes = |version| limit(version, path, 5000).map(|limit| limit.max_bytes);
            assert_eq!((max_bytes(Version::Two), max_bytes(Version::One)), expected, "{max} {high} {one}");
        }
        assert_eq!(limit(Version::Two, &path.join("none"), 5000), None);
    }
}
