//! `agent-path`: the directory that the configuration names for the agent, and why it is not used.

use std::{
    fs,
    os::unix::fs::{PermissionsExt, chown, symlink},
    path::Path,
};

use fleetsweep::demo::Behaviour;
use support::{SshdOptions, kept};

use crate::{
    failures::with_agent,
    sweeping::{DemoClient, PATIENT, at, client, key_login, program, sshd_with, sweep},
};

pub(crate) async fn a_directory_of_the_configuration_is_checked_and_its_failures_name_it() {
    // `/media` and `/opt` exist on every Debian. Others do not see these mounts.
    let mounts = vec![("/media", "noexec"), ("/opt", "size=64k")];
    let sshd = sshd_with("/bin/sh", SshdOptions { addresses: 11, mounts, ..SshdOptions::default() }).await;
    let base = tempfile::tempdir().unwrap();
    let (user, group) = sshd.user().ids();
    // A directory with this owner and mode.
    let made = |name: &str, owner: u32, mode: u32| {
        let path = base.path().join(name);
        fs::create_dir(&path).unwrap();
        chown(&path, Some(owner), Some(if owner == user { group } else { 0 })).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        path
    };
    fs::set_permissions(base.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let own = made("own", user, 0o755);
    let sticky = made("sticky", 0, 0o1777);
    symlink(&own, base.path().join("link")).unwrap();
    fs::write(base.path().join("file"), "").unwrap();
    let occupied = made("occupied", user, 0o755);
    fs::write(occupied.join(format!(".fleetsweep-{}", sshd.username())), "").unwrap();
    let cases = [
        ("own", own.clone()),
        ("created", own.join("new")),
        ("sticky", sticky.clone()),
        ("noexec", Path::new("/media").to_owned()),
        ("full", Path::new("/opt").to_owned()),
        ("no parent", base.path().join("missing/new")),
        ("of root", made("root", 0, 0o755)),
        ("of another", made("another", 65_534, 0o755)),
        ("open to all", made("open", user, 0o777)),
        ("a link", base.path().join("link")),
        ("occupied", occupied),
    ];
    let clients: Vec<String> = cases
        .iter()
        .enumerate()
        .map(|(number, (name, path))| {
            let path = format!("{} agent-path=\"{}\"", key_login(&sshd), path.display());
            client(name, at(&sshd, number), &path)
        })
        .collect();
    let program = program(PATIENT, &clients);
    let swept = sweep(&program).await;
    let told: String = cases
        .iter()
        .map(|(name, _)| {
            let row = swept.client(name);
            let (stage, error) = (row.stage.as_deref().unwrap_or_default(), row.error.as_deref().unwrap_or_default());
            let said = error.replace(&base.path().display().to_string(), "BASE").replace(&sshd.username(), "USER");
            format!("{name}: {} {stage}\n    {said}\n", row.status)
        })
        .collect();
    insta::with_settings!({filters => vec![("[0-9a-f]{32}", "NONCE")]}, { insta::assert_snapshot!(told) });
    let kept_in = |path: &Path| fs::read_dir(path.join(format!(".fleetsweep-{}", sshd.username()))).unwrap().count();
    assert_eq!([kept_in(&own), kept_in(&own.join("new")), kept_in(&sticky)], [1, 1, 1]);
    assert!(kept(&sshd.username()).is_empty(), "one of the usual directories was used");
    let cleaned = program.run(["clean"]).await;
    assert!(
        fs::read_dir(&sticky).unwrap().count() == 0 && fs::read_dir(own.join("new")).unwrap().count() == 0,
        "{cleaned:?}"
    );
    assert_eq!(fs::metadata(own.join("new")).unwrap().permissions().mode() & 0o777, 0o700);
}

/// The agents are scripts that end like a shell that is refused to execute them.
pub(crate) async fn an_agent_that_the_client_refuses_to_execute_is_blocked() {
    let demo = DemoClient::start(Behaviour::Healthy).await;
    for (script, expected) in [
        (
            "echo 'sh: 1: agent: Operation not permitted' >&2; exit 126",
            "agent blocked: exit status 126: the agent cannot be executed: sh: 1: agent: Operation not permitted",
        ),
        // A virus scanner takes the file between the upload and the start, each time.
        ("rm $0; exit 127", "agent blocked: exit status 127: the command was not found"),
    ] {
        let swept = sweep(&with_agent(program(PATIENT, &[demo.named("one")]), script)).await;
        assert_eq!(swept.failure("one"), ("execute", expected));
        assert_eq!(swept.client("one").attempts, 1);
    }
}
