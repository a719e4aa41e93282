//! Mounts that end with a test. `/` need not be a mount point: in a chroot, it is a directory like any other.

use std::{fs, process::Command};

/// `unshare` with a mount namespace of its own; its further arguments are added by the caller.
///
/// # Panics
/// If the kernel does not tell what is mounted.
pub fn own_mounts() -> Command {
    let mounts = fs::read_to_string("/proc/self/mounts").expect("/proc/self/mounts");
    let is_mount_point = mounts.lines().any(|line| line.split(' ').nth(1) == Some("/"));
    // The kernel refuses to change the propagation of what is not a mount point.
    let propagation = if is_mount_point { "private" } else { "unchanged" };
    let mut command = Command::new("unshare");
    command.args(["--mount", "--propagation", propagation]);
    command
}
