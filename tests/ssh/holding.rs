//! Logins that are held after a refusal, so that no schedule locks an account: against a real sshd, whose log shows each
//! connection and each credential that was sent.

use std::fs;

use support::{Fleetsweep, Sshd, SshdOptions, change, rows};

use crate::sweeping::{PATIENT, Swept, at, client, key_login, password_login, program, sshd_with, sweep};

/// How many connections a server has seen, and how many passwords and keys it has refused.
fn seen(sshd: &Sshd) -> (usize, usize, usize) {
    let log = sshd.log();
    let count = |words: &str| log.matches(words).count();
    // One connection was that of the test, which waited until the server listened.
    (count("Connection from") - 1, count("Failed password"), count("Failed publickey"))
}

/// The client's login is held: it fails as that, and nothing else was tried.
fn is_held(swept: &Swept, name: &str) -> String {
    let (stage, error) = swept.failure(name);
    assert_eq!(stage, "authenticate");
    assert!(error.starts_with("login not tried: held since 20"), "{error}");
    assert_eq!((swept.client(name).attempts, swept.outcome.code), (0, Some(1)), "{swept:?}");
    error.to_owned()
}

fn is_refused(swept: &Swept, name: &str) {
    let (stage, error) = swept.failure(name);
    assert!(stage == "authenticate" && error.starts_with("authentication refused"), "{stage}: {error}");
}

async fn once_retrying_logins(program: &Fleetsweep) -> Swept {
    Swept::of(program.run(["--once", "--retry-logins", "--format", "json"]).await)
}

pub(crate) async fn a_refused_login_is_held_until_the_operator_asks_or_the_pause_ends() {
    const WRONG: &str = "wrong-and-never-kept";
    let sshd = sshd_with("/bin/sh", SshdOptions { addresses: 2, ..SshdOptions::default() }).await;
    let name = sshd.username();
    let clients =
        [client("one", at(&sshd, 0), &password_login(&name, WRONG)), client("other", at(&sshd, 1), &key_login(&sshd))];
    let program = program(PATIENT, &clients);
    is_refused(&sweep(&program).await, "one");
    assert_eq!(seen(&sshd), (2, 1, 0));
    // Each run is a process of its own, as with cron.
    for run in 2..=4 {
        let swept = sweep(&program).await;
        let error = is_held(&swept, "one");
        assert!(error.ends_with("password was refused: the server takes publickey, password"), "{error}");
        assert_eq!(swept.client("other").status, "ok");
        assert_eq!(seen(&sshd), (1 + run, 1, 0), "only the other one was visited");
    }
    // The table says the same.
    let table = program.run(["--once"]).await.stdout;
    assert!(table.contains("login not tried: held since 20"), "{table}");

    is_refused(&once_retrying_logins(&program).await, "one");
    assert_eq!(seen(&sshd).1, 2);
    is_held(&sweep(&program).await, "one");
    let file = program.path("fleetsweep.db");
    let hold = "SELECT json_extract(login_hold, '$.refusals') FROM clients WHERE login_hold IS NOT NULL";
    assert_eq!(rows(&file, hold).await, [[Some("2".to_owned())]]);

    // The pause of two hours ends.
    change(&file, "UPDATE clients SET login_hold = json_set(login_hold, '$.refused_at', '2026-01-01T00:00:00Z')").await;
    is_refused(&sweep(&program).await, "one");
    assert_eq!(seen(&sshd).1, 3);
    is_held(&sweep(&program).await, "one");
    assert_eq!(rows(&file, hold).await, [[Some("3".to_owned())]]);
    let database = fs::read(&file).unwrap();
    assert!(!database.windows(WRONG.len()).any(|window| window == WRONG.as_bytes()));
}

pub(crate) async fn a_refused_credential_that_changes_is_tried_at_once() {
    let sshd = sshd_with("/bin/sh", SshdOptions { addresses: 3, ..SshdOptions::default() }).await;
    let (name, right) = (sshd.username(), sshd.user().password().to_owned());
    let keys = tempfile::tempdir().unwrap();
    let (key, password) = (keys.path().join("key"), keys.path().join("password"));
    let generate = || {
        let mut command = std::process::Command::new("ssh-keygen");
        assert!(command.args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(&key).output().unwrap().status.success());
    };
    generate();
    fs::write(&password, "wrong").unwrap();
    let clients = |literal: &str| {
        let of_file = format!("file:{}", password.display());
        [
            client("literal", at(&sshd, 0), &password_login(&name, literal)),
            client("file", at(&sshd, 1), &password_login(&name, &of_file)),
            client("key", at(&sshd, 2), &format!(r#"username="{name}" key="{}""#, key.display())),
        ]
    };
    let config = |literal: &str| format!("<config>\n{PATIENT}\n{}\n</config>\n", clients(literal).join("\n"));
    let program = program(PATIENT, &clients("wrong"));
    let swept = sweep(&program).await;
    for name in ["literal", "file", "key"] {
        is_refused(&swept, name);
    }
    assert_eq!(seen(&sshd), (3, 2, 1));
    let swept = sweep(&program).await;
    for name in ["literal", "file", "key"] {
        is_held(&swept, name);
    }
    assert_eq!(seen(&sshd), (3, 2, 1));

    // Another wrong password of one, and nothing new of the others.
    program.write_config(&config("wrong as well"));
    let swept = sweep(&program).await;
    is_refused(&swept, "literal");
    for name in ["file", "key"] {
        is_held(&swept, name);
    }
    assert_eq!(seen(&sshd), (4, 3, 1));

    program.write_config(&config(&right));
    fs::write(&password, &right).unwrap();
    fs::remove_file(&key).unwrap();
    fs::copy(sshd.key(), &key).unwrap();
    sweep(&program).await.is_complete();
    let held = rows(&program.path("fleetsweep.db"), "SELECT count(*) FROM clients WHERE login_hold IS NOT NULL").await;
    assert_eq!(held, [[Some("0".to_owned())]]);

    // A key that is refused is not sent again because the password beside it has changed.
    fs::remove_file(&key).unwrap();
    generate();
    let both = |password: &str| {
        let login = format!(r#"username="{name}" key="{}" password="{password}""#, key.display());
        format!("<config>\n{PATIENT}\n{}\n</config>\n", client("both", at(&sshd, 0), &login))
    };
    let (_, passwords, public_keys) = seen(&sshd);
    for (password, new_passwords, new_keys) in [("nay", 1, 1), ("nay", 1, 1), ("no", 2, 1)] {
        program.write_config(&both(password));
        let swept = sweep(&program).await;
        swept.failure("both");
        let (_, passwords_now, keys_now) = seen(&sshd);
        assert_eq!((passwords_now - passwords, keys_now - public_keys), (new_passwords, new_keys), "{password}");
    }
    program.write_config(&both(&right));
    sweep(&program).await.is_complete();
}

pub(crate) async fn a_login_that_is_held_still_counts_as_unreachable() {
    let sshd = sshd_with("/bin/sh", SshdOptions::default()).await;
    let one = client("one", at(&sshd, 0), &password_login(&sshd.username(), "wrong"));
    let group = format!(r#"<group><alert type="unreachable" limit="2"/>{one}</group>"#);
    let program = program(PATIENT, &[group]);
    for open in [0, 0, 1] {
        sweep(&program).await.failure("one");
        let alerts = rows(&program.path("fleetsweep.db"), "SELECT count(*) FROM v1_alerts").await;
        assert_eq!(alerts, [[Some(open.to_string())]]);
    }
    assert_eq!(seen(&sshd), (1, 1, 0));
}
