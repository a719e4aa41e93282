//! What a container is told of itself by version 2 of cgroups, where `/proc` shows the whole machine. The limits of memory
//! also apply outside of containers: see [`super::memory`].

use std::{ffi::OsStr, fs, os::unix::ffi::OsStrExt, path::PathBuf};

use fleetsweep_agent::report::{Pressure, Resource};

use super::{counters, mounts::Line};

/// The container in which this process runs, by the directory of its cgroup.
#[derive(Debug)]
pub(crate) struct Container(PathBuf);

impl Container {
    /// The container; `None` outside of one. Its cgroup is the root that it sees. The root of all cgroups, which the machine
    /// itself sees, has no `cgroup.events`.
    pub(crate) fn of(mountinfo: &[u8]) -> Option<Self> {
        let top = Line::all(mountinfo).find(|line| line.kind == b"cgroup2" && line.root == b"/")?.point;
        let top = PathBuf::from(OsStr::from_bytes(&top));
        top.join("cgroup.events").exists().then_some(Self(top))
    }

    /// How many of its processes were killed because its memory ran out.
    pub(crate) fn oom_kills(&self) -> Option<u64> {
        counters::number(&self.read("memory.events")?, "oom_kill")
    }

    /// How much its tasks wait for a resource.
    pub(crate) fn pressure(&self, resource: Resource) -> Option<Pressure> {
        counters::pressure(resource, &self.read(&format!("{}.pressure", resource.word()))?).ok()
    }

    fn read(&self, file: &str) -> Option<String> {
        fs::read_to_string(self.0.join(file)).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_container_is_told_of_itself() {
        let folder = tempfile::tempdir().unwrap();
        let line =
            |root: &str, kind: &str| format!("30 24 0:26 {root} {} rw - {kind} {kind} rw\n", folder.path().display());
        let mounts = line("/", "cgroup2");
        assert!(Container::of(mounts.as_bytes()).is_none(), "the machine itself");
        let write = |file: &str, text: &str| fs::write(folder.path().join(file), text).unwrap();
        write("cgroup.events", "populated 1\nfrozen 0\n");
        for other in [line("/", "tmpfs"), line("/kubepods/pod7", "cgroup2"), String::new()] {
            assert!(Container::of(other.as_bytes()).is_none(), "{other}");
        }
        let container = Container::of(format!("{}{mounts}", line("/a", "cgroup2")).as_bytes()).unwrap();
        // Nothing of the machine is taken for what the container does not tell.
        assert_eq!(container.oom_kills(), None);
        assert!(container.pressure(Resource::Io).is_none());
        write("memory.events", "low 0\nhigh 7\nmax 5\noom 3\noom_kill 2\noom_group_kill 1\n");
        write(
            "io.pressure",
            "some avg10=1.50 avg60=0.00 avg300=0.00 total=77\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=7\n",
        );
        assert_eq!(container.oom_kills(), Some(2));
        let pressure = container.pressure(Resource::Io).unwrap();
        assert_eq!((pressure.resource, pressure.some_us, pressure.window_some_percent), (Resource::Io, 77, Some(1.5)));
    }
}
