//! No output contains a secret, even with an invalid configuration, and `check` finds missing secrets and files that
//! others can read.

use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt as _,
    path::Path,
};

use fleetsweep::demo::Behaviour;
use support::{Fleetsweep, NotifySocket, Signal, Trial, wait_until};

use crate::site::{Fleet, SOON, UNDER, collected_by, program};

pub(crate) fn trials() -> Vec<Trial> {
    support::trial_list! {
        needs() =>
            no_output_holds_a_secret_of_a_broken_configuration,
            a_refused_reload_logs_no_secret,
            a_check_finds_every_secret_that_is_missing,
            a_check_warns_of_rights_that_go_too_far,
            a_check_is_silent_where_everything_is_in_order,
            a_credential_that_systemd_does_not_pass_is_missing,
            a_check_looks_at_the_folder_of_agents;
    }
}

/// A text that must not be in any output.
const SECRET: &str = "hunter2";

/// Invalid files with secrets in unusual places.
fn broken() -> Vec<String> {
    let client = "<client ip='10.0.0.1' port='x' username='ops'/>";
    let inside = [
        "<database url=\"postgres://u:pa\"hunter2@h/d\"/>",
        "<database url='postgres://u:pa'hunter2@h/d'/>",
        "<database url='postgres://u:pa<hunter2@h/d'/>",
        "<database url='postgres:u:hunter2@h'/>",
        "<database url='postgres://u:p&#x61;hunter2@h/'/>",
        "<database url='postgres://u:1/hunter2@h/d'/>",
        "<database url='mysql://u@h?password=hunter2'/>",
        "<client ip=\"ops:hunter2@10.0.0.1\" username='u'/>",
        "<client ip='ssh://ops:hunter2@h' username='u'/>",
        "<smtp host=\"u:hunter2@h\"/>",
        "<client password: hunter2 />",
        "password: hunter2",
        "<client ip='a' username='u' password=\"env: hunter2\"/>",
        "<![CDATA[hunter2]]>",
        "<client ip='a' username='u'>hunter2</client>",
        "<!-- hunter2 -- --><x/>",
        "<client ip='a' username='u' password=“hunter2”/>",
        "<client ip='a' username='u' password=hunter2/>",
        "<client ip='a' username='u' password='hunter2/>\n<client ip='b' username='u'/>",
        "<client ip='a' username='u' passwordhunter2'/>",
        "<hunter2/>",
        "<group key='hunter2' mail='hunter2' redact='(hunter2'/>",
    ];
    let mut files: Vec<String> =
        inside.iter().map(|inside| format!("<config>\n{client} {inside}\n<alerts repeat='x'/></config>")).collect();
    files.push(format!("<!DOCTYPE config [<!ENTITY pw \"hunter2\">]>\n<config>{client}</config>"));
    files
}

async fn no_output_holds_a_secret_of_a_broken_configuration() {
    let program = program();
    for text in broken() {
        program.write_config(&text);
        for arguments in [&["check", "-vvv"][..], &["--once"], &["trust"]] {
            let outcome = program.run(arguments).await;
            assert_eq!(outcome.code, Some(2), "{text}\n{outcome:#?}");
            assert!(outcome.stderr.contains("config.xml:"), "{text}\n{outcome:#?}");
            assert!(!(outcome.stdout + &outcome.stderr).contains(SECRET), "{text}\n{}", outcome.stderr);
        }
    }
}

async fn a_refused_reload_logs_no_secret() {
    let fleet = Fleet::of(&[Behaviour::Healthy]).await;
    fleet.program.write_config(&fleet.config(UNDER).text());
    let manager = NotifySocket::bind(fleet.program.path("notify"));
    let running = fleet.program.spawn(["--headless"]);
    let says = async |state: &str| {
        let lines = manager.next(SOON).await;
        assert!(lines.iter().any(|line| line == state), "{lines:?} instead of {state}");
    };
    says("READY=1").await;
    for text in broken() {
        fleet.program.write_config(&text);
        running.signal(Signal::HUP);
        says("RELOADING=1").await;
        says("READY=1").await;
    }
    wait_until("a sweep with the configuration of before", SOON, async || collected_by(&fleet.program).await > 0).await;
    running.signal(Signal::TERM);
    let outcome = running.ended(SOON).await;
    assert!(outcome.stderr.contains("config.xml:"), "{}", outcome.stderr);
    assert!(!(outcome.stdout + &outcome.stderr).contains(SECRET), "{}", outcome.stderr);
}

fn write(path: impl AsRef<Path>, text: &str, mode: u32) {
    fs::write(&path, text).unwrap();
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

fn set_mode(path: impl AsRef<Path>, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

/// The lines of standard error that begin with a place in the configuration, without its directory.
async fn errors_of(program: &Fleetsweep) -> Vec<String> {
    let outcome = program.run(["check"]).await;
    assert_eq!((outcome.code, outcome.stdout.as_str()), (Some(2), ""), "{outcome:#?}");
    let directory = format!("{}/", program.path("").display()).replace("//", "/");
    let lines = outcome.stderr.lines().filter(|line| line.starts_with("config.xml:"));
    lines.map(|line| line.replace(&directory, "DIR/")).collect()
}

async fn a_check_finds_every_secret_that_is_missing() {
    let program = program()
        .with_environment("SET", "x")
        .with_environment("EMPTY", "")
        .with_environment("LONG", &"x".repeat(5000));
    let path = |name: &str| program.path(name).display().to_string();
    write(program.path("empty"), "\nsecond line\n", 0o600);
    write(program.path("binary"), "", 0o600);
    fs::write(program.path("binary"), b"\xff\xfe\n").unwrap();
    write(program.path("long"), &"x".repeat(5000), 0o600);
    write(program.path("key"), "-----BEGIN OPENSSH PRIVATE KEY-----\n", 0o600);
    write(program.path("key.pub"), "ssh-ed25519 AAAA\n", 0o600);
    fs::create_dir(program.path("folder")).unwrap();
    assert!(std::process::Command::new("mkfifo").arg(program.path("pipe")).status().unwrap().success());
    let here = |name: &str| path(name);
    program.write_config(&format!(
        r#"<config>
<database url="sqlite:fleet.db" retention="soon"/>
<smtp username="u" password="env:NOT_SET"/>
<client ip="a" username="u" password="env:EMPTY"/>
<client ip="b" username="u" password="env:LONG"/>
<client ip="c" username="u" password="file:{}"/>
<client ip="d" username="u" password="file:{}"/>
<client ip="e" username="u" password="file:{}"/>
<client ip="f" username="u" password="file:{}"/>
<client ip="g" username="u" password="file:{}"/>
<client ip="h" username="u" key="{}" passphrase="env:NOT_SET"/>
<client ip="i" username="u" key="{}"/>
<client ip="j" username="u" key="{}"/>
<client ip="k" username="u" key="hunter2" password="file:hunter2"/>
<client ip="l" username="u" password="env:SET"/>
<client ip="m" username="u" password="cmd:echo hunter2; touch ran"/>
<client ip="n" username="u" password="file:{}"/>
</config>"#,
        here("missing"),
        here("empty"),
        here("binary"),
        here("long"),
        here("folder"),
        here("no-key"),
        here("key.pub"),
        here("folder"),
        here("pipe"),
    ));
    insta::assert_snapshot!(errors_of(&program).await.join("\n"), @"
    config.xml:2:44: `retention`: `soon` is not a duration: write a duration like `30s`, `5m`, `4h` or `90d`
    config.xml:3:30: `password`: the environment variable NOT_SET is not set (also used in another place): set it for the fleetsweep process, or change `env:` in the configuration
    config.xml:4:39: `password`: the secret from env:EMPTY is empty: its first line must contain the secret
    config.xml:5:39: `password`: the secret from env:LONG is longer than 4096 bytes: check that this is the right source
    config.xml:6:39: `password`: the secret file DIR/missing cannot be read: it does not exist: check the path and its permissions
    config.xml:7:39: `password`: the secret from file:DIR/empty is empty: its first line must contain the secret
    config.xml:8:39: `password`: the secret from file:DIR/binary is not UTF-8 text: check that this is the right source
    config.xml:9:39: `password`: the secret from file:DIR/long is longer than 4096 bytes: check that this is the right source
    config.xml:10:39: `password`: the secret file DIR/folder cannot be read: it is a directory: check the path and its permissions
    config.xml:11:34: `key`: the key file DIR/no-key cannot be read: it does not exist: write the path of a private key that this account may read
    config.xml:12:34: `key`: the key file DIR/key.pub contains a damaged public key: copy it again from where it was made
    config.xml:13:34: `key`: the key file DIR/folder is a directory: write the path of a private key that this account may read
    config.xml:14:34: `key`: the key file cannot be read: it does not exist: write the path of a private key that this account may read
    config.xml:14:53: `password`: the secret file cannot be read: it does not exist: check the path and its permissions
    config.xml:17:39: `password`: the secret file DIR/pipe is not a regular file: name a regular file, or use `cmd:COMMAND`
    ");
    assert!(!program.path("ran").exists(), "the command was run");
}

async fn a_check_warns_of_rights_that_go_too_far() {
    let program = program().with_environment("HOME", "/nonexistent");
    write(program.path("secret"), "x\n", 0o644);
    write(program.path("key"), "-----BEGIN OPENSSH PRIVATE KEY-----\n", 0o640);
    write(program.path("hosts"), "", 0o666);
    fs::write(program.path("ca"), support::TestCertificate::of_names(&["localhost"]).authority_pem).unwrap();
    set_mode(program.path("ca"), 0o664);
    write(program.path("fleet.db"), "", 0o644);
    fs::create_dir(program.path("open")).unwrap();
    set_mode(program.path("open"), 0o777);
    write(program.path("open/secret"), "x\n", 0o600);
    let path = |name: &str| program.path(name).display().to_string();
    program.write_config(&format!(
        r#"<config>
<database url="sqlite:fleet.db"/>
<ssh known-hosts="{}"/>
<client ip="a" username="u" password="file:{}"/>
<client ip="b" username="u" key="{}"/>
<client ip="c" username="u" password="file:{}"/>
<client ip="d" username="u" password="file:{}"/>
<smtp security="tls" ca="{}"/>
</config>"#,
        path("hosts"),
        path("secret"),
        path("key"),
        path("open/secret"),
        path("secret"),
        path("ca"),
    ));
    set_mode(program.path("config.xml"), 0o666);
    let outcome = program.run(["check"]).await;
    assert_eq!(outcome.code, Some(0), "{outcome:#?}");
    let directory = format!("{}/", program.path("").display()).replace("//", "/");
    let warnings: Vec<String> = outcome
        .stderr
        .lines()
        .filter_map(|line| line.split_once("config.xml:").map(|(_, line)| line.replace(&directory, "DIR/")))
        .collect();
    insta::assert_snapshot!(warnings.join("\n"), @"
     warning: the configuration can be changed by other users of this machine (mode 666): run `chmod go-w config.xml`
    2:16: warning: `url`: the database fleet.db can be read by other users of this machine (mode 644): run `chmod o-r fleet.db`
    3:19: warning: `known-hosts`: the host key file DIR/hosts can be changed by other users of this machine (mode 666): run `chmod go-w DIR/hosts`
    4:39: warning: `password`: the secret file DIR/secret can be read by other users of this machine (mode 644) (also used in another place): run `chmod 600 DIR/secret`
    5:34: warning: `key`: the key file DIR/key can be read by its group (mode 640): run `chmod 600 DIR/key`
    6:39: warning: `password`: the directory DIR/open can be changed by other users of this machine (mode 777): run `chmod o-w DIR/open`
    8:26: warning: `ca`: the certificate file DIR/ca can be changed by its group (mode 664): run `chmod g-w DIR/ca`
    ");
}

async fn a_check_is_silent_where_everything_is_in_order() {
    let program = program().with_environment("SET", "x");
    write(program.path("secret"), "x\n", 0o600);
    write(program.path("key"), "-----BEGIN OPENSSH PRIVATE KEY-----\n", 0o400);
    std::os::unix::fs::symlink("secret", program.path("link")).unwrap();
    program.write_config(
        r#"<config>
<database url="sqlite:fleet.db"/>
<smtp username="u" password="env:SET"/>
<ssh known-hosts="./known_hosts"/>
<client ip="a" username="u" password="file:./secret"/>
<client ip="b" username="u" key="key"/>
<client ip="c" username="u" password="file:link"/>
<client ip="d" username="u" password="cmd:touch ran"/>
</config>"#,
    );
    set_mode(program.path("config.xml"), 0o644);
    let outcome = program.run(["check"]).await;
    assert_eq!((outcome.code, outcome.stderr.as_str()), (Some(0), ""));
    let secrets: Vec<&str> = outcome.stdout.lines().skip_while(|line| *line != "Secrets").skip(1).take(3).collect();
    assert_eq!(
        secrets,
        [
            "          1  from environment variables (env:)",
            "          2  from files (file:)",
            "          1  from commands (cmd:), which `check` does not run, in line 8",
        ]
    );
    assert!(!program.path("ran").exists(), "the command was run");
    // The rights of a secret file may not be reported, but those of a configuration with a password are.
    program.write_config("<config><client ip='a' username='u' password='hunter2'/></config>");
    let outcome = program.run(["check"]).await;
    assert_eq!(outcome.code, Some(0), "{outcome:#?}");
    assert!(outcome.stderr.contains("config.xml:1:") && outcome.stderr.contains("chmod 600"), "{}", outcome.stderr);
}

async fn a_credential_that_systemd_does_not_pass_is_missing() {
    let folder = tempfile::tempdir().unwrap();
    let config = r#"<config><client ip="a" username="u" password="cred:fleet"/></config>"#;
    let without = program().with_config(config);
    let with =
        program().with_config(config).with_environment("CREDENTIALS_DIRECTORY", &folder.path().display().to_string());
    let hint = "pass it to the unit with LoadCredential=";
    for (program, expected) in [
        (&without, "systemd has passed no credentials to this process (CREDENTIALS_DIRECTORY is not set)"),
        (&with, "the credential of `cred:` cannot be read: "),
    ] {
        let outcome = program.run(["check"]).await;
        assert_eq!(outcome.code, Some(2), "{outcome:#?}");
        assert!(outcome.stderr.contains(expected) && outcome.stderr.contains(hint), "{}", outcome.stderr);
    }
    write(folder.path().join("fleet"), "hunter2\n", 0o400);
    let outcome = with.run(["check"]).await;
    assert_eq!((outcome.code, outcome.stderr.as_str()), (Some(0), ""));
    assert!(outcome.stdout.contains("1  from credentials of systemd (cred:)"), "{}", outcome.stdout);
}

async fn a_check_looks_at_the_folder_of_agents() {
    let folder = tempfile::tempdir().unwrap();
    let agent = folder.path().join("riscv64gc-unknown-linux-musl");
    write(&agent, "an agent", 0o755);
    let program = program()
        .with_config("<config><client ip='a' username='u'/></config>")
        .with_environment("FLEETSWEEP_AGENTS", &folder.path().display().to_string());
    assert_eq!(program.run(["check"]).await.stderr, "");
    set_mode(&agent, 0o777);
    set_mode(folder.path(), 0o777);
    let outcome = program.run(["check"]).await;
    assert_eq!(outcome.code, Some(0), "{outcome:#?}");
    let told = outcome.stderr.replace(&folder.path().display().to_string(), "FOLDER");
    for words in
        ["the directory FOLDER can be changed by other users", "the agent FOLDER/riscv64gc-unknown-linux-musl can"]
    {
        assert!(told.contains(words), "{told}");
    }
    write(&agent, "", 0o755);
    set_mode(folder.path(), 0o700);
    let outcome = program.run(["check"]).await;
    assert_eq!((outcome.code, outcome.stdout.as_str()), (Some(2), ""), "{outcome:#?}");
    assert!(outcome.stderr.contains("0 bytes are no agent"), "{}", outcome.stderr);
}
