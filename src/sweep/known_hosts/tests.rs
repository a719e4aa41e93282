//! The complete file, compared with files that OpenSSH has written, and read by OpenSSH.

use std::{
    fs::{self, File},
    os::unix::fs::PermissionsExt as _,
    process::Command,
    time::{Duration, SystemTime},
};

use super::{file::TIMES_ARE_COARSE, *};
use crate::sweep::algorithms::AlgorithmSet;

const ED25519: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAyP2O1ykmBJqiDn/OmCW9+JOC4FDpAQYD+Yb2TaJTDX";
const OTHER: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIG8A80yffUT6hdgXQ6GGuB6AuNEzEEGSEbc4/iGgTLew";
const ECDSA: &str = "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBO7z8rhWr4gOFvssLv/gIZZoKdHdiY/eTpI/tfcyHMocNT5rbLsMu1wXU8VWdULtYLkx7pCKCVlQah4T2eEZIos=";
const ED25519_FINGERPRINT: &str = "SHA256:ssN2q5WqGWCpHox1NZraRKptRxrjjpSaPJRsUwFohzw";

const PLAIN: &str = include_str!("fixtures/plain");
const HASHED: &str = include_str!("fixtures/hashed");

fn key(text: &str) -> PublicKey {
    PublicKey::from_openssh(text).unwrap()
}

/// A file in its own directory, and its parsed form.
fn file(text: &str) -> (tempfile::TempDir, KnownHosts) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("known_hosts");
    fs::write(&path, text).unwrap();
    let hosts = KnownHosts::load(&path).unwrap();
    (directory, hosts)
}

/// A verdict in a few words.
fn judged(text: &str, address: &str, port: u16, offered: &str) -> String {
    let (_directory, hosts) = file(text);
    match hosts.judge(address, port, &key(offered)) {
        HostKeyVerdict::Pinned => "pinned".to_owned(),
        HostKeyVerdict::Unknown { authority_line: None } => "unknown".to_owned(),
        HostKeyVerdict::Unknown { authority_line: Some(line) } => format!("unknown, authority in {line}"),
        HostKeyVerdict::Changed { pinned } => {
            format!("changed from {:?}", pinned.iter().map(|key| key.line).collect::<Vec<_>>())
        }
        HostKeyVerdict::Revoked { line } => format!("revoked in {line}"),
        HostKeyVerdict::BadCertificate { reason } => panic!("{reason}"),
    }
}

#[test]
fn keys_are_judged_as_openssh_judges_them() {
    let both = format!("db {ED25519}\ndb {ECDSA}\n");
    let revoked = format!("db {ED25519}\n@revoked * {ED25519}\n");
    let authority = format!("@cert-authority *.example.com {OTHER}\n");
    for (text, address, port, offered, expected) in [
        (PLAIN, "10.0.4.1", 22, ED25519, "pinned"),
        (PLAIN, "10.0.4.1", 22, OTHER, "changed from [1]"),
        (PLAIN, "10.0.4.1", 22, ECDSA, "changed from [1]"),
        (PLAIN, "10.0.4.1", 2222, ECDSA, "pinned"),
        (PLAIN, "10.0.4.1", 2222, OTHER, "changed from [2]"),
        (PLAIN, "10.0.4.9", 22, ED25519, "unknown"),
        (PLAIN, "FE80::1", 22, ED25519, "pinned"),
        // On another port, only the exact key of the plain host is accepted.
        (PLAIN, "10.0.4.1", 2200, ED25519, "pinned"),
        (PLAIN, "10.0.4.1", 2200, OTHER, "unknown"),
        (HASHED, "10.0.4.1", 22, ED25519, "pinned"),
        (HASHED, "10.0.4.1", 22, OTHER, "changed from [1]"),
        (HASHED, "10.0.4.1", 2222, ECDSA, "pinned"),
        (HASHED, "fe80::1", 22, OTHER, "changed from [5]"),
        (HASHED, "10.0.4.3", 22, ED25519, "unknown"),
        (&both, "db", 22, ED25519, "pinned"),
        (&both, "db", 22, ECDSA, "pinned"),
        (&both, "db", 22, OTHER, "changed from [1, 2]"),
        (&revoked, "db", 22, ED25519, "revoked in 2"),
        (&revoked, "web", 2222, ED25519, "revoked in 2"),
        (&revoked, "db", 22, OTHER, "changed from [1]"),
        (&revoked, "web", 22, OTHER, "unknown"),
        (&authority, "db.example.com", 22, ED25519, "unknown, authority in 1"),
        (&authority, "db.example.com", 22, OTHER, "unknown, authority in 1"),
    ] {
        assert_eq!(judged(text, address, port, offered), expected, "{address}:{port} with {offered} in\n{text}");
    }
}

#[test]
fn a_changed_key_names_the_pinned_one_as_ssh_keygen_does() {
    let (_directory, hosts) = file(PLAIN);
    let HostKeyVerdict::Changed { pinned } = hosts.judge("10.0.4.1", 22, &key(OTHER)) else {
        panic!("not changed");
    };
    assert_eq!(pinned[0].fingerprint.to_string(), ED25519_FINGERPRINT);
    assert_eq!(pinned[0].algorithm, Algorithm::Ed25519);
}

#[test]
fn bad_lines_cost_nothing_but_themselves() {
    let (_directory, hosts) = file(&format!("\u{feff}# mine\r\nnonsense\r\n\r\n@odd db {OTHER}\r\ndb {ED25519}\r\n"));
    assert_eq!(hosts.judge("db", 22, &key(ED25519)), HostKeyVerdict::Pinned);
    assert_eq!(hosts.bad_lines().iter().map(|bad| bad.line).collect::<Vec<_>>(), [2, 4]);
}

#[test]
fn a_comment_in_another_encoding_does_not_cost_the_key() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("known_hosts");
    fs::write(&path, [format!("db {ED25519} ").as_bytes(), b"m\xfcller\n"].concat()).unwrap();
    assert_eq!(KnownHosts::load(&path).unwrap().judge("db", 22, &key(ED25519)), HostKeyVerdict::Pinned);
}

#[test]
fn pinned_algorithms_are_asked_for_first() {
    let names = |hosts: &KnownHosts, address, port| -> Vec<String> {
        hosts
            .preferred_algorithms(address, port, AlgorithmSet::Sound.host_keys())
            .iter()
            .map(ToString::to_string)
            .collect()
    };
    let (_directory, hosts) = file(PLAIN);
    assert_eq!(names(&hosts, "10.0.4.1", 2222)[..2], ["ecdsa-sha2-nistp256", "ssh-ed25519"]);
    assert_eq!(names(&hosts, "10.0.4.2", 22)[..3], ["rsa-sha2-512", "rsa-sha2-256", "ssh-ed25519"]);
    assert_eq!(names(&hosts, "10.0.4.2", 2200)[..2], ["rsa-sha2-512", "rsa-sha2-256"]);
    let unknown = names(&hosts, "10.0.4.9", 22);
    assert_eq!(unknown[0], "ssh-ed25519");
    assert_eq!(unknown.len(), AlgorithmSet::Sound.host_keys().len());
    assert!(!unknown.contains(&"ssh-rsa".to_owned()));
}

#[test]
fn a_pinned_key_is_appended_once_and_known_at_once() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a").join("b").join("known_hosts");
    let hosts = KnownHosts::load(&path).unwrap();
    for (address, port) in
        [("10.0.4.1", 22), ("10.0.4.1", 22), ("DB.example.com", 2222), ("fe80::1", 22), ("fe80::1", 2222)]
    {
        hosts.pin(address, port, &key(&format!("{ED25519} a comment"))).unwrap();
        assert_eq!(hosts.judge(address, port, &key(ED25519)), HostKeyVerdict::Pinned);
    }
    // The last one is pinned by the line of the plain host.
    assert_eq!(
        fs::read_to_string(&path).unwrap(),
        format!("10.0.4.1 {ED25519}\n[db.example.com]:2222 {ED25519}\nfe80::1 {ED25519}\n")
    );
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&path), 0o600);
    assert_eq!(mode(path.parent().unwrap()), 0o700);
}

#[test]
fn a_missing_line_break_at_the_end_is_mended() {
    let (_directory, hosts) = file(&format!("db {ED25519}"));
    hosts.pin("web", 22, &key(OTHER)).unwrap();
    assert_eq!(fs::read_to_string(hosts.path()).unwrap(), format!("db {ED25519}\nweb {OTHER}\n"));
}

#[test]
fn a_key_that_the_file_contradicts_is_not_added() {
    let (_directory, hosts) = file(&format!("db {ED25519}\n@revoked * {ECDSA}\n"));
    let before = fs::read_to_string(hosts.path()).unwrap();
    for (address, offered) in [("db", OTHER), ("web", ECDSA)] {
        assert!(matches!(hosts.pin(address, 22, &key(offered)), Err(KnownHostsError::Contradicted { .. })));
    }
    for address in ["", "a b", "a,b", "*", "!a", "|1|", "#a", "@revoked", "a\nb"] {
        assert!(matches!(hosts.pin(address, 22, &key(OTHER)), Err(KnownHostsError::NoHostName { .. })), "{address}");
    }
    assert_eq!(fs::read_to_string(hosts.path()).unwrap(), before);
}

#[test]
fn what_others_write_is_seen() {
    let (_directory, hosts) = file("");
    assert!(!hosts.refresh().unwrap());
    fs::write(hosts.path(), format!("db {ED25519}\n")).unwrap();
    assert!(hosts.refresh().unwrap());
    assert_eq!(hosts.judge("db", 22, &key(ED25519)), HostKeyVerdict::Pinned);
    fs::write(hosts.path(), format!("# {}\ndb {OTHER}\n", "longer")).unwrap();
    assert!(matches!(hosts.pin("db", 22, &key(ED25519)), Err(KnownHostsError::Contradicted { .. })));
    fs::remove_file(hosts.path()).unwrap();
    hosts.pin("db", 22, &key(ED25519)).unwrap();
    assert_eq!(fs::read_to_string(hosts.path()).unwrap(), format!("db {ED25519}\n"));
}

#[test]
fn a_change_that_keeps_length_and_time_is_seen() {
    let (directory, hosts) = file(&format!("db {ED25519}\n"));
    let path = hosts.path().to_owned();
    let text = |host: &str| format!("{host} {ED25519}\n");
    let long_ago = SystemTime::now() - Duration::from_secs(3600);
    let write = |path: &Path, host: &str| {
        fs::write(path, text(host)).unwrap();
        File::options().write(true).open(path).unwrap().set_modified(long_ago).unwrap();
    };
    let is_pinned = || {
        hosts.refresh().unwrap();
        hosts.judge("web", 22, &key(ED25519)) == HostKeyVerdict::Pinned
    };
    // Once right after the file was read, within the resolution of file times, and once much later.
    for rest in [Duration::ZERO, TIMES_ARE_COARSE + Duration::from_millis(200)] {
        for (host, expected) in [("db ", false), ("web", true)] {
            write(&path, host);
            assert_eq!(is_pinned(), expected, "{host}");
            std::thread::sleep(rest);
            assert_eq!(is_pinned(), expected, "{host}");
        }
        let other = directory.path().join("other");
        write(&other, "db ");
        fs::rename(&other, &path).unwrap();
        assert!(!is_pinned());
    }
}

#[test]
fn a_file_that_comes_and_goes_is_seen() {
    let (_directory, hosts) = file(&format!("db {ED25519}\n"));
    fs::remove_file(hosts.path()).unwrap();
    assert!(hosts.refresh().unwrap());
    assert_eq!(hosts.judge("db", 22, &key(ED25519)), HostKeyVerdict::Unknown { authority_line: None });
    assert!(!hosts.refresh().unwrap());
    fs::write(hosts.path(), format!("@revoked * {ED25519}\n")).unwrap();
    assert!(hosts.refresh().unwrap());
    assert_eq!(hosts.judge("db", 22, &key(ED25519)), HostKeyVerdict::Revoked { line: 1 });
}

#[test]
fn a_file_that_may_not_be_read_any_more_is_an_error() {
    let (_directory, hosts) = file(&format!("db {ED25519}\n"));
    fs::remove_file(hosts.path()).unwrap();
    fs::create_dir(hosts.path()).unwrap();
    assert!(matches!(hosts.refresh(), Err(KnownHostsError::Unreadable { .. })));
}

#[test]
fn many_at_once_write_whole_lines() {
    let (_directory, hosts) = file(HASHED);
    std::thread::scope(|scope| {
        for worker in 0..8 {
            let hosts = &hosts;
            scope.spawn(move || {
                for number in 0..25 {
                    hosts.pin(&format!("h{worker}-{number}"), 22, &key(OTHER)).unwrap();
                }
            });
        }
    });
    let again = KnownHosts::load(hosts.path()).unwrap();
    assert_eq!(again.bad_lines(), []);
    assert_eq!(again.state().entries.len(), 205);
    assert_eq!(hosts.state().lines, 205);
    assert_eq!(again.judge("h7-24", 22, &key(OTHER)), HostKeyVerdict::Pinned);
}

#[test]
fn a_file_without_end_is_not_read_without_end() {
    let error = read(Path::new("/dev/zero")).err().expect("an error");
    let source = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
    assert!(source.contains("larger than 64 MiB"), "{error}: {source}");
}

#[test]
fn an_unusable_file_is_named_with_its_hint() {
    let directory = tempfile::tempdir().unwrap();
    let error = KnownHosts::load(directory.path()).err().unwrap();
    let text = error.to_string();
    assert!(
        text.contains(&directory.path().display().to_string()) && text.contains("`known-hosts` on <ssh>"),
        "{text}"
    );
}

/// OpenSSH finds keys that we pin, in plain and in hashed files. Without `ssh-keygen`, the fixtures above replace this.
#[test]
fn ssh_keygen_finds_what_was_pinned() {
    if Command::new("ssh-keygen").arg("-?").output().is_err() {
        eprintln!("skipped: no ssh-keygen on this machine");
        return;
    }
    for before in [PLAIN, HASHED] {
        let (_directory, hosts) = file(before);
        for (address, port, name) in
            [("10.9.9.9", 22, "10.9.9.9"), ("10.9.9.9", 2222, "[10.9.9.9]:2222"), ("fe80::9", 22, "fe80::9")]
        {
            hosts.pin(address, port, &key(if port == SSH_PORT { OTHER } else { ECDSA })).unwrap();
            let output = Command::new("ssh-keygen").arg("-F").arg(name).arg("-f").arg(hosts.path()).output().unwrap();
            let said = String::from_utf8_lossy(&output.stdout).into_owned();
            assert!(said.contains(&format!("# Host {name} found: line")), "{name}: {said}");
        }
        let text = fs::read_to_string(hosts.path()).unwrap();
        assert_eq!(text.contains("10.9.9.9"), before == PLAIN, "{text}");
    }
}
