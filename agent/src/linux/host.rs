//! The name and the system of the machine.

use std::{env::consts, ffi::CStr, fs, time::Duration};

use fleetsweep_agent::report::Host;

use super::hanging::Hanging;
use crate::notes::Warnings;

/// Where a distribution describes itself, the first that exists.
const RELEASE_FILES: [&str; 2] = ["/etc/os-release", "/usr/lib/os-release"];

/// The host. `patience` is for the files of the distribution.
pub(super) fn host(hanging: &Hanging, patience: Duration, warnings: &mut Warnings) -> Host {
    let names = rustix::system::uname();
    let text = |name: &CStr| Some(name.to_string_lossy().into_owned()).filter(|name| !name.is_empty());
    let read = || RELEASE_FILES.iter().find_map(|path| fs::read(path).ok()).unwrap_or_default();
    let os_version = hanging.ask("os-release", patience, read).and_then(|release| {
        os_version(&String::from_utf8_lossy(&release)).ok_or_else(|| "there is no os-release file with it".to_owned())
    });
    Host {
        name: text(names.nodename()),
        os_family: Some(consts::OS.to_owned()),
        os_version: warnings.keep("name of the operating system", os_version),
        kernel: text(names.release()),
        architecture: text(names.machine()),
    }
}

/// The name, and the version if the distribution has one. Rolling ones do not.
fn os_version(release: &str) -> Option<String> {
    let value = |key: &str| {
        let value = release.lines().find_map(|line| line.trim().strip_prefix(key)?.strip_prefix('='))?;
        Some(value.trim_matches(['"', '\'', ' '])).filter(|value| !value.is_empty())
    };
    let name = value("NAME")?;
    Some(value("VERSION_ID").map_or_else(|| name.to_owned(), |version| format!("{name} {version}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_system_is_named_with_its_version_if_it_has_one() {
        for (release, expected) in [
            (
                "PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nNAME=\"Debian GNU/Linux\"\nVERSION_ID=\"12\"\n",
                Some("Debian GNU/Linux 12"),
            ),
            ("NAME=Fedora\nVERSION_ID=41\n", Some("Fedora 41")),
            ("NAME='Arch Linux'\nVERSION_ID=\"\"\n", Some("Arch Linux")),
            ("VERSION_ID=1\n", None),
            ("", None),
        ] {
            assert_eq!(os_version(release).as_deref(), expected, "{release}");
        }
    }
}
