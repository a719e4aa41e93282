//! What stays on a client between sweeps: the agent in a private directory, and nothing else.

use std::{
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink},
    path::{Path, PathBuf},
    process::Command,
};

use base64ct::{Base64, Encoding as _};
use fleetsweep::demo::Behaviour;
use support::{SshdOptions, kept, wait_until};

use crate::{
    failures::with_agent,
    sweeping::{DemoClient, PATIENT, SOON, at, client, key_login, program, sshd_with, sweep},
};

/// The only file in a directory.
fn only_file(directory: &Path) -> PathBuf {
    let files: Vec<PathBuf> = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    let [file] = files.as_slice() else { panic!("{files:?}") };
    file.clone()
}

/// The agent that is kept for an account in `/tmp`. There must be nothing else.
fn kept_agent(username: &str) -> PathBuf {
    let directory = PathBuf::from(format!("/tmp/.fleetsweep-{username}"));
    assert_eq!(kept(username), [directory.as_path()]);
    only_file(&directory)
}

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().permissions().mode() & 0o7777
}

/// A value that changes if a file is replaced or changed.
fn identity(path: &Path) -> (u64, i64, i64) {
    let metadata = fs::metadata(path).unwrap();
    (metadata.ino(), metadata.mtime(), metadata.mtime_nsec())
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

pub(crate) async fn a_kept_agent_is_executed_again_and_not_sent_again() {
    let demo = DemoClient::start(Behaviour::Healthy).await;
    let program = program(PATIENT, &[demo.named("one")]);
    sweep(&program).await.is_complete();
    let agent = kept_agent(&demo.username);
    assert_eq!((mode(agent.parent().unwrap()), mode(&agent)), (0o700, 0o700));
    let (before, said) = (identity(&agent), demo.server.written());
    assert!(contains(&said, b" need\n") && !contains(&said, b" have "));
    sweep(&program).await.is_complete();
    assert_eq!((kept_agent(&demo.username), identity(&agent)), (agent.clone(), before));
    let said = demo.server.written().split_off(said.len());
    assert!(contains(&said, b" have 1\n") && !contains(&said, b" need\n"));
}

pub(crate) async fn a_kept_agent_that_is_damaged_is_replaced_before_it_is_executed() {
    let demo = DemoClient::start(Behaviour::Healthy).await;
    let program = program(PATIENT, &[demo.named("one")]);
    sweep(&program).await.is_complete();
    let agent = kept_agent(&demo.username);
    let whole = fs::read(&agent).unwrap();
    let marker = program.path("executed");
    let script = format!("#!/bin/sh\ntouch {}\n", marker.display()).into_bytes();
    let padded = || -> Vec<u8> { script.iter().copied().chain(std::iter::repeat(b'\n')).take(whole.len()).collect() };
    let flipped: Vec<u8> = {
        let middle = whole.len() / 2;
        whole.iter().enumerate().map(|(at, byte)| if at == middle { byte ^ 1 } else { *byte }).collect()
    };
    let damages: [(&str, &dyn Fn()); 7] = [
        ("a bit is flipped", &|| fs::write(&agent, &flipped).unwrap()),
        ("it is cut short", &|| fs::write(&agent, whole.get(..whole.len() - 1).unwrap()).unwrap()),
        ("it is empty", &|| fs::write(&agent, "").unwrap()),
        ("it is longer", &|| fs::write(&agent, [whole.as_slice(), b"\n"].concat()).unwrap()),
        ("it is a script of the same length", &|| fs::write(&agent, padded()).unwrap()),
        ("it may not be executed", &|| fs::set_permissions(&agent, fs::Permissions::from_mode(0o600)).unwrap()),
        ("it is a link to a script", &|| {
            let elsewhere = program.path("script");
            fs::write(&elsewhere, &script).unwrap();
            fs::set_permissions(&elsewhere, fs::Permissions::from_mode(0o755)).unwrap();
            fs::remove_file(&agent).unwrap();
            symlink(elsewhere, &agent).unwrap();
        }),
    ];
    for (damage, inflict) in damages {
        inflict();
        sweep(&program).await.is_complete();
        assert!(!marker.exists(), "{damage}: it was executed");
        assert!(fs::symlink_metadata(&agent).unwrap().is_file(), "{damage}");
        assert!(fs::read(&agent).unwrap() == whole, "{damage}: it was not replaced");
        assert_eq!((kept_agent(&demo.username), mode(&agent)), (agent.clone(), 0o700), "{damage}");
    }
}

pub(crate) async fn whatever_lies_in_the_directory_of_the_agent_the_new_one_stays_and_the_old_ones_go() {
    let demo = DemoClient::start(Behaviour::Healthy).await;
    let program = program(PATIENT, &[demo.named("one")]);
    sweep(&program).await.is_complete();
    let agent = kept_agent(&demo.username);
    let directory = agent.parent().unwrap();
    let whole = fs::read(&agent).unwrap();
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("precious"), "").unwrap();
    let names = [
        "*", "?", "[a-z]*", "a b", " ", "a\nb", "-rf", "--", "*.part x", "$HOME", "`id`", "'", "\"", "\\", "!", "~",
        "#",
    ];
    for number in 0..2 {
        for name in names {
            fs::write(directory.join(name), "").unwrap();
        }
        fs::create_dir_all(directory.join("folder/*/deep")).unwrap();
        fs::write(directory.join("folder/*/deep/file"), "").unwrap();
        symlink(outside.path(), directory.join("link")).unwrap();
        symlink(outside.path(), directory.join("folder/link")).unwrap();
        symlink("/nonexistent", directory.join("link to nowhere")).unwrap();
        // The agent must be uploaded again. The second time, there is a directory in its place.
        fs::remove_file(&agent).unwrap();
        if number == 1 {
            fs::create_dir_all(agent.join("*")).unwrap();
        }
        sweep(&program).await.is_complete();
        assert_eq!(kept_agent(&demo.username), agent);
        assert!(fs::read(&agent).unwrap() == whole);
        assert!(outside.path().join("precious").exists());
    }
    // The same names next to it, where `clean` looks for the remains of interrupted collections.
    for name in names.iter().filter(|name| !name.contains('/')) {
        let beside = directory.with_file_name(format!(".fleetsweep-{}.{name}", demo.username));
        fs::create_dir(&beside).unwrap();
        fs::set_permissions(&beside, fs::Permissions::from_mode(0o700)).unwrap();
        symlink(outside.path(), beside.join("link")).unwrap();
    }
    let cleaned = program.run(["clean"]).await;
    assert_eq!(cleaned.code, Some(0), "{cleaned:?}");
    assert_eq!(kept(&demo.username), [""; 0].map(PathBuf::from));
    assert!(outside.path().join("precious").exists());
}

pub(crate) async fn a_directory_of_somebody_else_is_not_entered() {
    type Prepare = fn(&Path, &Path);
    let open: Prepare = |directory, _| {
        fs::create_dir(directory).unwrap();
        fs::set_permissions(directory, fs::Permissions::from_mode(0o755)).unwrap();
    };
    let mut cases: Vec<(&str, Prepare)> = vec![
        ("others may read it", open),
        ("it is a link to a private directory", |directory, elsewhere| symlink(elsewhere, directory).unwrap()),
        ("it is a link to nowhere", |directory, elsewhere| symlink(elsewhere.join("nowhere"), directory).unwrap()),
        ("it is a file", |directory, _| fs::write(directory, "").unwrap()),
    ];
    if support::Tool::Root.missing().is_none() {
        cases.push(("it belongs to another account", |directory, _| {
            fs::create_dir(directory).unwrap();
            fs::set_permissions(directory, fs::Permissions::from_mode(0o700)).unwrap();
            chown(directory, Some(65_534), Some(65_534)).unwrap();
        }));
    }
    for (what, prepare) in cases {
        let demo = DemoClient::start(Behaviour::Healthy).await;
        let elsewhere = tempfile::tempdir().unwrap();
        fs::set_permissions(elsewhere.path(), fs::Permissions::from_mode(0o700)).unwrap();
        let [first, second] = ["/tmp", "/var/tmp"].map(|p| PathBuf::from(format!("{p}/.fleetsweep-{}", demo.username)));
        prepare(&first, elsewhere.path());
        sweep(&program(PATIENT, &[demo.named("one")])).await.is_complete();
        assert_eq!(fs::read_dir(elsewhere.path()).unwrap().count(), 0, "{what}");
        if first.is_dir() {
            assert_eq!(fs::read_dir(&first).unwrap().count(), 0, "{what}");
        }
        only_file(&second);
        assert_eq!(mode(&second), 0o700, "{what}");
    }
}

pub(crate) async fn an_agent_that_is_not_kept_leaves_nothing_behind_however_it_ends() {
    let sshd = sshd_with("/bin/sh", SshdOptions::default()).await;
    let one = [client("one", at(&sshd, 0), &key_login(&sshd))];
    let nothing_is_left = async |when: &str| {
        wait_until(&format!("nothing to be left: {when}"), SOON, async || {
            kept(&sshd.username()).is_empty() && !sshd.user().home().join(".cache").exists()
        })
        .await;
    };
    let removing = |timeout| format!(r#"<collector timeout="{timeout}" retries="0" agent="remove"/>"#);
    sweep(&program(&removing("120s"), &one)).await.is_complete();
    nothing_is_left("after a collection").await;
    for (how, timeout, script) in [
        ("the agent fails", "120s", "exit 3"),
        ("the agent is killed", "120s", "kill -KILL $$"),
        ("the agent prints nonsense", "120s", "echo nonsense"),
        // Like the agent itself, it ends when the collector closes the channel.
        ("the collector gives up", "9s", "exec cat >/dev/null"),
    ] {
        let swept = sweep(&with_agent(program(&removing(timeout), &one), script)).await;
        assert_eq!(swept.failure("one").0, "execute", "{how}: {swept:?}");
        nothing_is_left(how).await;
    }
}

pub(crate) async fn a_kept_agent_goes_with_clean() {
    let sshd = sshd_with("/bin/sh", SshdOptions::default()).await;
    let program = program(PATIENT, &[client("one", at(&sshd, 0), &key_login(&sshd))]);
    sweep(&program).await.is_complete();
    let directory = kept_agent(&sshd.username()).parent().unwrap().to_owned();
    // The remains of an interrupted collection that should have left nothing.
    let left = PathBuf::from(format!("/var/tmp/.fleetsweep-{}.0123456789abcdef", sshd.username()));
    fs::create_dir(&left).unwrap();
    fs::set_permissions(&left, fs::Permissions::from_mode(0o700)).unwrap();
    let (user, group) = sshd.user().ids();
    chown(&left, Some(user), Some(group)).unwrap();
    for expected in [format!("removed {}, {}", directory.display(), left.display()), "nothing was there".to_owned()] {
        let cleaned = program.run(["clean"]).await;
        assert_eq!(cleaned.code, Some(0), "{cleaned:?}");
        assert!(cleaned.stdout.trim_end().ends_with(&expected), "{cleaned:?}");
        assert_eq!(kept(&sshd.username()), [""; 0].map(PathBuf::from));
    }
}

/// Another collector or `clean` may remove an agent between the check of the file and its execution.
pub(crate) async fn an_agent_that_vanishes_before_it_is_executed_is_sent_again() {
    let programs = tempfile::tempdir().unwrap();
    let sshd = sshd_with(
        "/bin/sh",
        SshdOptions {
            config: vec![format!("SetEnv PATH={}:/usr/bin:/bin", programs.path().display())],
            ..SshdOptions::default()
        },
    )
    .await;
    let program = program(PATIENT, &[client("one", at(&sshd, 0), &key_login(&sshd))]);
    sweep(&program).await.is_complete();
    let agent = kept_agent(&sshd.username());
    // The script's check of the agent removes it, once.
    let (agent, trigger) = (agent.display(), programs.path().join("trigger"));
    let cksum = format!("#!/bin/sh\n/usr/bin/cksum\nrm {} 2>/dev/null && rm {agent}\n", trigger.display());
    let path = programs.path().join("cksum");
    fs::write(&path, cksum).unwrap();
    for (path, mode) in [(path.as_path(), 0o755), (programs.path(), 0o777)] {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }
    fs::write(&trigger, "").unwrap();
    sweep(&program).await.is_complete();
    assert!(!trigger.exists(), "the agent was not removed");
    assert!(kept_agent(&sshd.username()).exists());
}

pub(crate) async fn several_sweeps_at_once_share_one_client() {
    const SWEEPS: usize = 4;
    let sshd = sshd_with("/bin/sh", SshdOptions { addresses: 3, ..SshdOptions::default() }).await;
    let clients: Vec<String> =
        (0..3).map(|number| client(&number.to_string(), at(&sshd, number), &key_login(&sshd))).collect();
    let programs: Vec<_> = (0..SWEEPS).map(|_| program(PATIENT, &clients)).collect();
    for _ in 0..2 {
        let running: Vec<_> = programs.iter().map(sweep).collect();
        for swept in futures_util::future::join_all(running).await {
            swept.is_complete();
        }
        let agent = kept_agent(&sshd.username());
        fs::remove_file(agent).unwrap();
    }
}

pub(crate) async fn no_plain_statistic_crosses_the_channel() {
    let demo = DemoClient::start(Behaviour::Healthy).await;
    let program = program(PATIENT, &[demo.named("one")]);
    let swept = sweep(&program).await;
    swept.is_complete();
    let written = demo.server.written();
    // The content of the armoured message is encrypted, too.
    let armoured: Vec<u8> = written
        .split(|byte| *byte == b'\n')
        .filter_map(|line| Base64::decode_vec(str::from_utf8(line).ok()?).ok())
        .flatten()
        .collect();
    assert!(armoured.len() > 1000, "{} bytes", armoured.len());
    let told = |argument: &str| {
        let output = Command::new("uname").arg(argument).output().unwrap().stdout;
        String::from_utf8(output).unwrap().trim().to_owned()
    };
    let memory = fs::read_to_string("/proc/meminfo").unwrap();
    let kilobytes: u64 = memory.split_whitespace().nth(1).unwrap().parse().unwrap();
    let plain = ["<report", "<cpu", "memory", "swap", &told("-r"), &told("-v"), &(kilobytes * 1024).to_string()];
    // A short name could occur by chance.
    let host_name = Some(told("-n")).filter(|name| name.len() > 4);
    for text in plain.iter().map(ToString::to_string).chain(host_name) {
        assert!(!contains(&written, text.as_bytes()) && !contains(&armoured, text.as_bytes()), "{text}");
    }
}
