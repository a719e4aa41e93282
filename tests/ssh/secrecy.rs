//! Secrets are not shown, even with the most verbose logging.

use std::{
    fs,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use fleetsweep::demo::{Behaviour, PasswordMethod};
use support::{SshdOptions, free_port};

use crate::sweeping::{DemoClient, Swept, at, client, key_login, locked_key, password_login, program, sshd_with};

const PASSPHRASE: &str = "a-passphrase-to-be-found";
const WRONG: &str = "a-wrong-password-to-be-found";

fn holds(bytes: &[u8], secrets: &[String]) -> Option<String> {
    secrets.iter().find(|secret| bytes.windows(secret.len()).any(|window| window == secret.as_bytes())).cloned()
}

/// One of the secrets that is in the arguments or the environment of a process of this machine.
fn shown_by_a_process(secrets: &[String]) -> Option<String> {
    let processes = fs::read_dir("/proc").unwrap().filter_map(Result::ok).map(|entry| entry.path());
    processes
        .flat_map(|process| ["cmdline", "environ"].map(|name| process.join(name)))
        // A process may end while its files are read.
        .filter_map(|file| Some((fs::read(&file).ok()?, file)))
        .find_map(|(bytes, file)| Some(format!("{} in {}", holds(&bytes, secrets)?, file.display())))
}

/// All files in a directory tree.
fn files(directory: &Path) -> Vec<std::path::PathBuf> {
    let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

pub(crate) async fn secrets_are_in_no_output_no_file_and_no_process() {
    let sshd = sshd_with("/bin/sh", SshdOptions { addresses: 5, ..SshdOptions::default() }).await;
    let interactive = DemoClient::asking(PasswordMethod::KeyboardInteractive, Behaviour::Healthy).await;
    let locked = locked_key(&sshd, PASSPHRASE);
    let name = sshd.username();
    let by_key = |passphrase| format!(r#"username="{name}" key="{}" passphrase="{passphrase}""#, locked.display());
    let right = password_login(&name, sshd.user().password());
    let clients = [
        client("password", at(&sshd, 0), &right),
        client("wrong password", at(&sshd, 1), &password_login(&name, WRONG)),
        client("passphrase", at(&sshd, 2), &by_key(PASSPHRASE)),
        client("wrong passphrase", at(&sshd, 3), &by_key(WRONG)),
        client("key", at(&sshd, 4), &key_login(&sshd)),
        client("nothing listens", (at(&sshd, 0).0, free_port()), &right),
        interactive.named("keyboard-interactive"),
    ];
    let secrets = [sshd.user().password(), interactive.password(), PASSPHRASE, WRONG].map(str::to_owned);
    let settings = r#"<collector timeout="120s" retries="1"/>"#;

    let over = Arc::new(AtomicBool::new(false));
    let watch = std::thread::spawn({
        let (over, secrets) = (Arc::clone(&over), secrets.clone());
        move || {
            let mut looks = 0;
            while !over.load(Ordering::Relaxed) {
                if let Some(shown) = shown_by_a_process(&secrets) {
                    return Err(shown);
                }
                looks += 1;
            }
            Ok(looks)
        }
    });
    for everything in ["", "trace"] {
        let mut program = program(settings, &clients);
        if !everything.is_empty() {
            program = program.with_environment("RUST_LOG", everything);
        }
        let swept = Swept::of(program.run(["--once", "--format", "json", "-vvv"]).await);
        let failed: Vec<&str> =
            swept.clients.values().filter(|row| row.status != "ok").map(|row| row.name.as_str()).collect();
        assert_eq!(failed, ["nothing listens", "wrong passphrase", "wrong password"], "{:#?}", swept.clients);
        assert!(swept.outcome.stderr.contains("stage entered"), "{}", swept.outcome.stderr);
        for text in [&swept.outcome.stdout, &swept.outcome.stderr] {
            assert_eq!(holds(text.as_bytes(), &secrets), None, "RUST_LOG={everything}");
        }
        for command in ["check", "clean", "trust"] {
            let outcome = program.run([command, "-vvv"]).await;
            assert_eq!(holds((outcome.stdout + &outcome.stderr).as_bytes(), &secrets), None, "{command}");
        }
        let configuration = program.path("config.xml");
        for file in files(configuration.parent().unwrap()).iter().filter(|file| **file != configuration) {
            assert_eq!(holds(&fs::read(file).unwrap(), &secrets), None, "{}", file.display());
        }
    }
    over.store(true, Ordering::Relaxed);
    let looks = tokio::time::timeout(support::SOON, tokio::task::spawn_blocking(|| watch.join().unwrap()));
    assert!(looks.await.unwrap().unwrap().unwrap() > 10);
}
