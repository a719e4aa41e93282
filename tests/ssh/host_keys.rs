//! Which servers the program trusts: `known_hosts`, what `trust` adds to it, and that a server without a trusted key
//! gets no credentials.

use std::{fs, process::Command};

use support::{Fleetsweep, Outcome, Sshd, SshdOptions};

use crate::sweeping::{PATIENT, at, client, key_login, known_host, password_login, program, sshd_with, sweep};

const STRICT: &str = r#"<collector timeout="120s" retries="0"/><ssh known-hosts="known_hosts" host-keys="strict"/>"#;

/// The output of `ssh-keygen` or `ssh-keyscan`.
fn tool(name: &str, arguments: &[&str]) -> String {
    let output = Command::new(name).args(arguments).output().unwrap();
    assert!(output.status.success(), "{name} {arguments:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// The fingerprint of a host key, as `ssh-keygen` shows it.
fn fingerprint(sshd: &Sshd, kind: &str, scratch: &Fleetsweep) -> String {
    let file = scratch.path("key.pub");
    fs::write(&file, sshd.host_key(kind)).unwrap();
    tool("ssh-keygen", &["-l", "-f", file.to_str().unwrap()]).split_whitespace().nth(1).unwrap().to_owned()
}

pub(crate) async fn a_changed_host_key_is_refused_before_a_credential_is_sent() {
    let config = vec!["LogLevel DEBUG1".to_owned()];
    let sshd = sshd_with("/bin/sh", SshdOptions { config, ..SshdOptions::default() }).await;
    let asked = || sshd.log().contains("userauth-request");
    let login = password_login(&sshd.username(), sshd.user().password());
    let program = program(PATIENT, &[client("one", at(&sshd, 0), &login)]);
    let known_hosts = program.path(".ssh/known_hosts");
    fs::create_dir(program.path(".ssh")).unwrap();
    let another = fs::read_to_string(sshd.key().with_extension("pub")).unwrap();
    let pinned = known_host(at(&sshd, 0), &another);
    fs::write(&known_hosts, &pinned).unwrap();
    let swept = sweep(&program).await;
    let (stage, error) = swept.failure("one");
    assert_eq!(stage, "connect");
    let shown = fingerprint(&sshd, "ed25519", &program);
    assert!(
        error.starts_with(&format!("HOST KEY CHANGED: the client shows ssh-ed25519 {shown}: line 1 of ")),
        "{error}"
    );
    assert!(!asked(), "{}", sshd.log());
    assert_eq!(fs::read_to_string(&known_hosts).unwrap(), pinned);
    // The log would contain a login.
    fs::remove_file(&known_hosts).unwrap();
    sweep(&program).await.is_complete();
    assert!(asked(), "{}", sshd.log());
}

fn says(outcome: &Outcome, code: i32, words: &str) {
    assert_eq!(outcome.code, Some(code), "{outcome:?}");
    assert!(outcome.stdout.contains(words), "{words}: {outcome:?}");
}

pub(crate) async fn trust_pins_once_and_over_another_key_only_by_name() {
    let mut sshd = sshd_with("/bin/sh", SshdOptions { addresses: 2, ..SshdOptions::default() }).await;
    let [first, second] = [0, 1].map(|number| client(&number.to_string(), at(&sshd, number), &key_login(&sshd)));
    let program = program(STRICT, std::slice::from_ref(&first));
    let file = program.path("known_hosts");
    let path = file.to_str().unwrap().to_owned();
    assert_eq!(sweep(&program).await.failure("0").0, "connect");
    let shown = fingerprint(&sshd, "ed25519", &program);
    says(&program.run(["trust"]).await, 0, &format!("pinned now      ssh-ed25519 {shown}"));
    let text = fs::read_to_string(&file).unwrap();
    assert_eq!(text.trim(), known_host(at(&sshd, 0), &sshd.host_key("ed25519")).trim());
    says(&program.run(["trust"]).await, 0, &format!("pinned already  ssh-ed25519 {shown}"));
    assert_eq!(fs::read_to_string(&file).unwrap(), text);
    sweep(&program).await.is_complete();

    // A hashed file stays hashed, and OpenSSH's tools find the new entries.
    tool("ssh-keygen", &["-q", "-H", "-f", &path]);
    program.write_config(&format!("<config>{STRICT}{first}{second}</config>"));
    let trusted = program.run(["trust"]).await;
    says(&trusted, 0, "pinned already");
    says(&trusted, 0, "pinned now");
    let text = fs::read_to_string(&file).unwrap();
    assert!(text.lines().count() == 2 && text.lines().all(|line| line.starts_with("|1|")), "{text}");
    let (ip, port) = at(&sshd, 1);
    assert!(tool("ssh-keygen", &["-F", &format!("[{ip}]:{port}"), "-f", &path]).contains("found: line 2"));
    sweep(&program).await.is_complete();

    sshd.restart_with_new_host_keys().await;
    let trusted = program.run(["trust"]).await;
    says(&trusted, 1, "HOST KEY CHANGED");
    says(&trusted, 1, &fingerprint(&sshd, "ed25519", &program));
    assert_eq!(fs::read_to_string(&file).unwrap(), text);
    // A pattern does not name a client, and a name replaces the key of this client alone.
    says(&program.run(["trust", "[0]"]).await, 1, "HOST KEY CHANGED");
    assert_eq!(fs::read_to_string(&file).unwrap(), text);
    let new = fingerprint(&sshd, "ed25519", &program);
    let anew = format!("pinned anew     ssh-ed25519 {new}; in place of ssh-ed25519 {shown}");
    says(&program.run(["trust", "0"]).await, 0, &anew);
    assert_eq!(fs::read_to_string(program.path("known_hosts.old")).unwrap(), text);
    let trusted = program.run(["trust"]).await;
    says(&trusted, 1, "HOST KEY CHANGED");
    says(&trusted, 1, &format!("pinned already  ssh-ed25519 {new}"));
    says(&program.run(["--client", "1", "trust"]).await, 0, &anew);
    sweep(&program).await.is_complete();
    let [one, two] = [0, 1].map(|number| {
        let (ip, port) = at(&sshd, number);
        format!("[{ip}]:{port}")
    });
    let replaced = format!("ssh-ed25519 {new}; before: ssh-ed25519 {shown}");
    let entry =
        |action: &str, target: &str, detail: &str| [action, target, detail].map(|text| Some(text.to_owned())).to_vec();
    let pinned = format!("ssh-ed25519 {shown}");
    assert_eq!(
        support::rows(
            &program.path("fleetsweep.db"),
            "SELECT action, target, detail FROM v1_audit ORDER BY at_ms, target"
        )
        .await,
        [
            entry("pin", &one, &pinned),
            entry("pin", &two, &pinned),
            entry("re-pin", &one, &replaced),
            entry("re-pin", &two, &replaced),
        ]
    );

    // Results that cannot be printed were once not in the audit.
    program.write_config(&format!("<config>{STRICT}{first}</config>"));
    fs::remove_file(&file).unwrap();
    let full = fs::File::options().write(true).open("/dev/full").unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_fleetsweep"));
    command.arg("trust").current_dir(program.path("")).env("HOME", program.path("")).stdout(full);
    let unprinted = command.output().unwrap();
    assert!(!unprinted.status.success(), "{unprinted:?}");
    let pins = "SELECT action FROM v1_audit WHERE action = 'pin'";
    assert_eq!(fs::read_to_string(&file).unwrap().lines().count(), 1, "{unprinted:?}");
    assert_eq!(support::rows(&program.path("fleetsweep.db"), pins).await.len(), 3);
}

pub(crate) async fn host_keys_of_the_ssh_tools_are_accepted_as_they_are() {
    let options = SshdOptions { host_keys: vec!["ed25519", "ecdsa", "rsa"], ..SshdOptions::default() };
    let sshd = sshd_with("/bin/sh", options).await;
    let program = program(STRICT, &[client("one", at(&sshd, 0), &key_login(&sshd))]);
    let file = program.path("known_hosts");
    let (ip, port) = at(&sshd, 0);
    for (kind, hashed) in [("ed25519", false), ("ecdsa", false), ("rsa", false), ("ecdsa", true), ("ecdsa,rsa", true)] {
        let mut arguments = vec!["-p".to_owned(), port.to_string(), "-t".to_owned(), kind.to_owned(), ip.to_string()];
        if hashed {
            arguments.insert(0, "-H".to_owned());
        }
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let scanned = tool("ssh-keyscan", &arguments);
        assert_eq!(scanned.contains("|1|"), hashed, "{scanned}");
        fs::write(&file, &scanned).unwrap();
        sweep(&program).await.is_complete();
        assert_eq!(fs::read_to_string(&file).unwrap(), scanned, "{kind}");
    }
}
