//! Logins at an sshd with a PAM stack of its own: the ways in that work, and the refusals with what PAM says.

use support::{Sshd, SshdOptions, rows};

use crate::sweeping::{Swept, at, client, key_login, password_login, program, sshd_with, sweep};

/// A stack that checks the password and the account, with these lines before.
fn stack(lines: &str) -> String {
    format!(
        "{lines}\nauth required pam_unix.so\naccount required pam_unix.so\npassword required pam_unix.so\n\
         session required pam_permit.so\n"
    )
}

/// An sshd with this stack.
async fn sshd(stack: String, config: &[&str]) -> Sshd {
    let config = ["UsePAM yes"].iter().chain(config).map(|line| (*line).to_owned()).collect();
    let files = vec![("/etc/pam.d/sshd", stack)];
    sshd_with("/bin/sh", SshdOptions { addresses: 2, config, files, ..SshdOptions::default() }).await
}

/// Asks for everything by keyboard-interactive, and allows one failure.
const ASKING: [&str; 4] = [
    "KbdInteractiveAuthentication yes",
    "PasswordAuthentication no",
    "AuthenticationMethods keyboard-interactive",
    "MaxAuthTries 1",
];

/// A client of an sshd, with its key or its password.
fn by_key(name: &str, sshd: &Sshd) -> String {
    client(name, at(sshd, 0), &key_login(sshd))
}

fn by_password(name: &str, sshd: &Sshd) -> String {
    client(name, at(sshd, 0), &password_login(&sshd.username(), sshd.user().password()))
}

/// The failures of these clients as a text, with the paths and names of this run replaced.
fn failures(swept: &Swept, clients: &[(&str, &Sshd)]) -> String {
    let mut text = String::new();
    for (name, sshd) in clients {
        let (stage, words) = swept.failure(name);
        let words = words.replace(&sshd.key().display().to_string(), "KEY").replace(&sshd.username(), "USER");
        assert!(!words.contains(sshd.user().password()), "{words}");
        text += &format!("{name}: {stage} after {} attempt: {words}\n", swept.client(name).attempts);
    }
    text
}

pub(crate) async fn logins_that_pam_delays_and_asks_for_are_collected_and_those_that_it_refuses_are_quoted() {
    let directory = tempfile::tempdir().unwrap();
    let nologin = directory.path().join("nologin");
    std::fs::write(&nologin, "The system is down for maintenance\x1b[5m until noon.\n").unwrap();
    let closed = format!("account requisite pam_nologin.so file={}", nologin.display());
    let (asking, delayed, down, down_by_password, expired, old, old_asking) = tokio::join!(
        sshd(stack(""), &ASKING),
        // Longer than a third of the timeout.
        sshd(stack("auth required pam_exec.so quiet /bin/sleep 3"), &["PasswordAuthentication yes"]),
        sshd(stack(&closed), &[]),
        sshd(stack(&closed), &["Banner /etc/hostname"]),
        sshd(stack(""), &[]),
        sshd(stack(""), &[]),
        sshd(stack(""), &ASKING),
    );
    expired.user().chage(["-E", "1"]);
    old.user().chage(["-d", "0"]);
    old_asking.user().chage(["-d", "0"]);
    let (host, port) = at(&asking, 0);
    let login = password_login(&asking.username(), asking.user().password());
    let bastion = format!(r#"<bastion name="gate" host="{host}" port="{port}" {login}/>"#);
    let program = program(
        &format!(r#"<collector timeout="8s" retries="2"/>{bastion}"#),
        &[
            by_password("asking", &asking),
            client("behind a bastion", at(&asking, 1), &format!(r#"{login} via="gate""#)),
            by_password("delayed", &delayed),
            by_key("nologin", &down),
            by_password("nologin by password", &down_by_password),
            by_key("expired account", &expired),
            by_key("expired password", &old),
            by_password("expired password, asking", &old_asking),
        ],
    );
    let swept = sweep(&program).await;
    for name in ["asking", "behind a bastion", "delayed"] {
        assert_eq!(swept.client(name).status, "ok", "{:?}", swept.client(name));
    }
    insta::assert_snapshot!(failures(
        &swept,
        &[
            ("nologin", &down),
            ("nologin by password", &down_by_password),
            ("expired account", &expired),
            ("expired password", &old),
            ("expired password, asking", &old_asking),
        ]
    ));
    // None of them is tried twice, and a password that has expired is not changed.
    for sshd in [&down, &down_by_password, &expired, &old_asking] {
        assert_eq!(sshd.log().matches("Connection from").count(), 2, "{}", sshd.log());
    }
    let held = rows(&program.path("fleetsweep.db"), "SELECT count(*) FROM clients WHERE login_hold IS NOT NULL").await;
    assert_eq!(held, [[Some("4".to_owned())]]);
}

pub(crate) async fn a_code_that_is_asked_for_is_named_and_gets_no_password() {
    let directory = tempfile::tempdir().unwrap();
    let secret = directory.path().join("secret");
    std::fs::write(&secret, "JBSWY3DPEHPK3PXP\n\" TOTP_AUTH\n").unwrap();
    let code = format!("auth required pam_google_authenticator.so secret={} user=root", secret.display());
    let both =
        format!("auth required pam_unix.so\n{code}\naccount required pam_permit.so\nsession required pam_permit.so\n");
    let only = format!("{code}\naccount required pam_permit.so\nsession required pam_permit.so\n");
    let (both, only) = tokio::join!(sshd(both, &ASKING), sshd(only, &ASKING));
    let program = program(
        r#"<collector timeout="30s" retries="2"/>"#,
        &[by_password("password and code", &both), by_password("code", &only)],
    );
    let swept = sweep(&program).await;
    insta::assert_snapshot!(failures(&swept, &[("password and code", &both), ("code", &only)]));
    // A password that is given as a code is a failure of that module.
    assert!(!only.log().contains("Invalid verification code"), "{}", only.log());
    assert!(swept.duration < std::time::Duration::from_secs(20), "{:?}", swept.duration);
}
