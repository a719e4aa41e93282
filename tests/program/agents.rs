//! `agents`: lists and writes the agents that can be uploaded to clients.

use std::{fs, os::unix::fs::PermissionsExt as _, process::Command};

use support::{Fleetsweep, Trial};

pub(crate) fn trials() -> Vec<Trial> {
    support::trial_list! {
        needs() => agents_are_listed_and_written_with_their_hashes;
    }
}

/// The rows of the table without its heading: platform, version, bytes, SHA-256.
fn rows(stdout: &str) -> Vec<Vec<&str>> {
    stdout.lines().skip(1).map(|line| line.split_whitespace().collect()).collect()
}

async fn agents_are_listed_and_written_with_their_hashes() {
    // Without a configuration, which is not needed.
    let program = Fleetsweep::new(env!("CARGO_BIN_EXE_fleetsweep"));
    let listed = program.run(["agents"]).await;
    assert_eq!((listed.code, listed.stderr.as_str()), (Some(0), ""));
    let [row, ..] = &rows(&listed.stdout)[..] else { panic!("{listed:?}") };
    let [platform, version, _, sha256] = row[..] else { panic!("{row:?}") };
    assert!(platform.contains("-linux-") || platform.contains("-windows-"), "{platform}");
    assert_eq!((version, sha256.len()), (env!("CARGO_PKG_VERSION"), 64));

    let directory = program.path("new/agents");
    let written = program.run(["agents", "--output", directory.to_str().unwrap()]).await;
    assert_eq!(written, listed);
    let mut sha256sum = Command::new("sha256sum");
    let checked = sha256sum.args(["--check", "--strict", "SHA256SUMS"]).current_dir(&directory).output().unwrap();
    assert!(checked.status.success(), "{checked:?}");
    let sums = fs::read_to_string(directory.join("SHA256SUMS")).unwrap();
    for row in rows(&listed.stdout) {
        let [platform, _, bytes, sha256] = row[..] else { panic!("{row:?}") };
        let line = sums.lines().find(|line| line.starts_with(sha256)).unwrap();
        let file = directory.join(line.split_whitespace().nth(1).unwrap());
        assert!(file.file_name().unwrap().to_str().unwrap().starts_with(platform), "{line}");
        let metadata = fs::metadata(file).unwrap();
        assert_eq!((metadata.len().to_string().as_str(), metadata.permissions().mode() & 0o777), (bytes, 0o755));
    }

    let in_the_way = program.path("file");
    fs::write(&in_the_way, "").unwrap();
    let refused = program.run(["agents", "--output", in_the_way.to_str().unwrap()]).await;
    assert_eq!(refused.code, Some(2), "{refused:?}");
    assert!(refused.stderr.contains("cannot write") && refused.stderr.contains("choose a directory"), "{refused:?}");
}
