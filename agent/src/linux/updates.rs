//! What the distribution says of updates in files: whether the system has to be restarted, and how many security updates
//! are pending. Nothing is run and nothing is asked over the network.

use std::{
    fs::{self, File},
    io::Read,
    path::Path,
};

/// They exist while a restart is needed.
const NEEDED: [&str; 3] = ["run/reboot-required", "var/run/reboot-required", "run/reboot-needed"];
/// If one of these exists, the distribution creates one of the files above.
const TELLS: [&str; 5] = [
    "usr/share/update-notifier/notify-reboot-required",
    "usr/share/unattended-upgrades",
    "usr/bin/unattended-upgrade",
    "etc/kernel/postinst.d/unattended-upgrades",
    "etc/zypp/zypp.conf",
];
/// The number of updates, in English.
const AVAILABLE: &str = "var/lib/update-notifier/updates-available";
/// The most that is read of it. It has a few lines.
const MAX_BYTES: u64 = 16 << 10;

/// Whether the system has to be restarted; `None` if the distribution does not tell.
pub(crate) fn restart_needed(root: &Path) -> Option<bool> {
    let exists = |path: &str| fs::symlink_metadata(root.join(path)).is_ok();
    if NEEDED.into_iter().any(exists) {
        return Some(true);
    }
    TELLS.into_iter().any(exists).then_some(false)
}

/// The number of pending security updates; `None` if the distribution does not tell.
pub(crate) fn security_updates(root: &Path) -> Option<u32> {
    let mut text = Vec::new();
    File::open(root.join(AVAILABLE)).ok()?.take(MAX_BYTES).read_to_end(&mut text).ok()?;
    security(&String::from_utf8_lossy(&text))
}

/// `3 of these updates are standard security updates.`, `1 update is a security update.` A text that counts updates but
/// no security updates says that there are none. Updates for subscribers do not count, because they cannot be installed.
fn security(text: &str) -> Option<u32> {
    let count = |line: &str| line.split_whitespace().next()?.parse::<u32>().ok();
    let counted = |line: &&str| count(line).is_some() && line.contains("update") && !line.contains("additional");
    let mut is_told = false;
    for line in text.lines().map(str::trim).filter(counted) {
        if line.contains("security update") {
            return count(line);
        }
        is_told = true;
    }
    is_told.then_some(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_security_updates_is_told_or_unknown() {
        for (text, expected) in [
            ("\n12 updates can be applied immediately.\n3 of these updates are standard security updates.\n", Some(3)),
            ("1 update can be applied immediately.\n1 of these updates is a standard security update.\n", Some(1)),
            ("5 packages can be updated.\n2 updates are security updates.\n", Some(2)),
            ("1 update is a security update.\n", Some(1)),
            (
                "\n7 updates can be applied immediately.\nTo see these additional updates run: apt list --upgradable\n",
                Some(0),
            ),
            (
                "0 updates can be applied immediately.\n\n4 additional security updates can be applied with ESM Apps.\n",
                Some(0),
            ),
            ("Expanded Security Maintenance for Applications is not enabled.\n", None),
            ("", None),
        ] {
            assert_eq!(security(text), expected, "{text}");
        }
    }

    #[test]
    fn a_restart_is_needed_not_needed_or_unknown() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        assert_eq!((restart_needed(root), security_updates(root)), (None, None));
        fs::create_dir_all(root.join("usr/share/unattended-upgrades")).unwrap();
        assert_eq!(restart_needed(root), Some(false));
        fs::create_dir_all(root.join("run")).unwrap();
        fs::write(root.join("run/reboot-required"), "*** System restart required ***\n").unwrap();
        assert_eq!(restart_needed(root), Some(true));
    }
}
