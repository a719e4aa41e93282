//! The failed units of systemd, by `systemctl`. It is only run if units are asked for.

use std::{path::Path, process::Command, time::Instant};

use super::program::{Output, Stopped, run};

/// Exists if systemd runs the machine.
const RUNNING: &str = "/run/systemd/system";
/// The most output that is read.
const MAX_OUTPUT_BYTES: usize = 256 << 10;

/// The names of the failed units; `None` if systemd does not run this machine.
///
/// # Errors
/// Why they cannot be listed.
pub(crate) fn failed(deadline: Instant) -> Result<Option<Vec<String>>, String> {
    if !Path::new(RUNNING).is_dir() {
        return Ok(None);
    }
    list(Path::new("systemctl"), deadline).map(Some)
}

fn list(systemctl: &Path, deadline: Instant) -> Result<Vec<String>, String> {
    let mut command = Command::new(systemctl);
    command
        .args(["list-units", "--state=failed", "--all", "--full", "--no-legend", "--plain", "--no-pager"])
        .env("LC_ALL", "C")
        .env("SYSTEMD_COLORS", "0");
    let output = run(&mut command, deadline, MAX_OUTPUT_BYTES).map_err(|error| format!("systemctl: {error}"))?;
    match output {
        Output { stopped: Stopped::TimedOut, .. } => Err("systemctl took too long".to_owned()),
        Output { stopped: Stopped::Full, .. } => Err("systemctl lists more than can be read".to_owned()),
        Output { ended: Some(status), bytes, .. } if status.success() => Ok(names(&String::from_utf8_lossy(&bytes))),
        Output { ended: Some(status), .. } => Err(format!("systemctl ended with {status}")),
        Output { ended: None, .. } => Err("systemctl cannot be waited for".to_owned()),
    }
}

/// The first word of each line: `NAME LOAD ACTIVE SUB DESCRIPTION`. Some versions write a bullet before it.
fn names(list: &str) -> Vec<String> {
    let name = |line: &str| {
        let mut words = line.split_whitespace();
        words.find(|word| word.chars().any(char::is_alphanumeric)).map(str::to_owned)
    };
    list.lines().filter_map(name).collect()
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt, time::Duration};

    use super::*;

    #[test]
    fn the_name_is_the_first_word_of_a_line() {
        let list = "nginx.service                  loaded failed failed A web server: \u{201c}x\u{201d}\n\
                    \u{25cf} dev-disk-by\\x2dlabel.swap not-found failed failed dev.swap\n\n\
                    getty@tty1.service loaded failed failed Getty on tty1\n";
        assert_eq!(names(list), ["nginx.service", "dev-disk-by\\x2dlabel.swap", "getty@tty1.service"]);
        assert_eq!(names(""), [""; 0]);
    }

    #[test]
    fn a_systemctl_that_fails_hangs_or_never_ends_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("systemctl");
        let listed = |body: &str| {
            fs::write(&path, format!("#!/bin/sh\n{body}")).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).unwrap();
            list(&path, Instant::now() + Duration::from_secs(2))
        };
        for (body, expected) in [
            ("[ $1 = list-units ] && echo a.service loaded failed", Ok(vec!["a.service".to_owned()])),
            ("exit 0", Ok(vec![])),
            ("exit 1", Err("systemctl ended with exit status: 1".to_owned())),
            ("echo a.service; exec sleep 1000", Err("systemctl took too long".to_owned())),
            ("exec yes a.service", Err("systemctl lists more than can be read".to_owned())),
        ] {
            assert_eq!(listed(body), expected, "{body}");
        }
        assert!(list(&folder.path().join("none"), Instant::now()).is_err());
    }
}
