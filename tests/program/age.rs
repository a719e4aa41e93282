//! Secrets that are encrypted with age: `secret` writes them, sweeps and `check` read them, and the program `age` reads and
//! writes the same files.

use std::{
    fs,
    io::Write as _,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    time::Duration,
};

use support::{Terminal, TerminalOptions, Trial};

use crate::site::{SOON, program};

pub(crate) fn trials() -> Vec<Trial> {
    support::trial_list! {
        needs() =>
            a_secret_is_encrypted_and_nothing_is_overwritten,
            a_secret_that_cannot_be_used_is_refused_before_anything_is_written,
            a_check_shows_where_encrypted_secrets_come_from_and_what_is_wrong_with_them;
        needs(Age) => age_reads_what_is_written_here_and_writes_what_is_read_here;
        needs(Tmux) => a_typed_secret_is_not_shown;
    }
}

const SECRET: &str = "hunter2";

/// A directory that is also the home.
struct Home(tempfile::TempDir);

impl Home {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// The identity of a user. Tests may run as root, who has one for the system, so its home is not searched.
    fn identity(&self) -> PathBuf {
        self.path("age-identity")
    }

    /// A configuration that names the identity, and a password of `fleetsweep secret`.
    fn configure(&self, password: &str) {
        let identity = self.identity().display().to_string();
        let text = format!(
            "<config>\n<collector age-identity=\"{identity}\"/>\n<client ip='127.0.0.1' username='u' password=\"{password}\"/>\n</config>"
        );
        fs::write(self.path("config.xml"), text).unwrap();
        fs::set_permissions(self.path("config.xml"), fs::Permissions::from_mode(0o600)).unwrap();
    }

    /// Runs a program with text on its standard input.
    fn run(&self, program: &str, arguments: &[&str], input: &[u8]) -> Output {
        let mut child = Command::new(program)
            .args(arguments)
            .current_dir(self.0.path())
            .env("HOME", self.0.path())
            .env_remove("XDG_CONFIG_HOME")
            .env_remove("CREDENTIALS_DIRECTORY")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // A program that ends without reading closes its end.
        let _written = child.stdin.take().unwrap().write_all(input);
        child.wait_with_output().unwrap()
    }

    /// The exit code, standard output and standard error of `fleetsweep`.
    fn fleetsweep(&self, arguments: &[&str], input: &str) -> (Option<i32>, String, String) {
        let Output { status, stdout, stderr } = self.run(env!("CARGO_BIN_EXE_fleetsweep"), arguments, input.as_bytes());
        (status.code(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
    }

    /// The value that `secret` prints.
    fn encrypted(&self, arguments: &[&str], input: &str) -> String {
        let (code, value, error) = self.fleetsweep(&[&["secret"], arguments].concat(), input);
        assert_eq!(code, Some(0), "{error}");
        assert!(value.starts_with("age:") && value.ends_with('\n') && !value.contains(SECRET), "{value}");
        value.trim_end().to_owned()
    }
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

async fn a_secret_is_encrypted_and_nothing_is_overwritten() {
    let home = Home::new();
    home.configure("env:UNUSED");
    // The first secret makes the identity.
    let (code, value, told) = home.fleetsweep(&["secret"], "hunter2\n");
    assert_eq!(code, Some(0), "{told}");
    let identity = home.identity();
    assert!(told.contains(&identity.display().to_string()) && told.contains("Back it up"), "{told}");
    assert_eq!(mode(&identity), 0o600);
    let written = fs::read_to_string(&identity).unwrap();
    let public = written.lines().find_map(|line| line.strip_prefix("# public key: ")).unwrap();
    assert!(told.contains(public), "{told}");
    home.configure(value.trim_end());
    let (code, summary, error) = home.fleetsweep(&["check"], "");
    assert_eq!((code, error.as_str()), (Some(0), ""), "{summary}");

    // The others use it, and say nothing more.
    let file = home.path("new.age");
    let value = home.encrypted(&["--output", "new.age"], SECRET);
    assert_eq!(value, format!("age:{}", file.canonicalize().unwrap().display()));
    assert_eq!(mode(&file), 0o600);
    let before = fs::read(&file).unwrap();
    assert!(before.starts_with(b"-----BEGIN AGE ENCRYPTED FILE-----\n"));
    home.configure(&value);
    let (code, _, error) = home.fleetsweep(&["check"], "");
    assert_eq!((code, error.as_str()), (Some(0), ""));
    std::os::unix::fs::symlink("nowhere", home.path("link")).unwrap();
    for taken in ["new.age", "link", "."] {
        let (code, value, error) = home.fleetsweep(&["secret", "--output", taken], SECRET);
        assert_eq!((code, value.as_str()), (Some(2), ""), "{error}");
        assert!(error.contains("exists already: choose another name"), "{error}");
    }
    assert_eq!((fs::read(&file).unwrap(), fs::read_to_string(&identity).unwrap()), (before, written.clone()));

    // For another machine, neither a configuration nor an identity is needed.
    let elsewhere = Home::new();
    let value = elsewhere.encrypted(&["--recipient", public, "--output", "other.age"], SECRET);
    fs::copy(value.strip_prefix("age:").unwrap(), home.path("other.age")).unwrap();
    assert_eq!(fs::read_dir(elsewhere.0.path()).unwrap().count(), 1);
    home.configure("age:other.age");
    assert_eq!(home.fleetsweep(&["check"], "").0, Some(0));
}

async fn a_secret_that_cannot_be_used_is_refused_before_anything_is_written() {
    let home = Home::new();
    // What else is wrong in it does not matter yet.
    home.configure("age:");
    for (input, expected) in [
        ("", "is empty"),
        ("\n", "is empty"),
        ("hunter2\nhunter2\n", "more than one line"),
        (&"hunter2".repeat(1000), "longer than 4096 bytes"),
    ] {
        let (code, value, error) = home.fleetsweep(&["secret", "--output", "x.age"], input);
        assert_eq!((code, value.as_str()), (Some(2), ""), "{error}");
        assert!(error.contains(expected) && !error.contains(SECRET), "{error}");
    }
    let (code, _, error) = home.fleetsweep(&["--config", "missing.xml", "secret"], SECRET);
    assert!(code == Some(2) && error.contains("there is no configuration file missing.xml"), "{error}");
    assert!(!home.identity().exists() && !home.path("x.age").exists());
    fs::write(home.identity(), "AGE-SECRET-KEY-1HUNTER2\n").unwrap();
    let (code, value, error) = home.fleetsweep(&["secret"], SECRET);
    assert_eq!((code, value.as_str()), (Some(2), ""), "{error}");
    assert!(error.contains("line 1 is not an identity") && !error.to_lowercase().contains(SECRET), "{error}");
}

async fn a_check_shows_where_encrypted_secrets_come_from_and_what_is_wrong_with_them() {
    let home = Home::new();
    home.configure("env:UNUSED");
    let inline = home.encrypted(&[], SECRET);
    home.encrypted(&["--output", "pw.age"], SECRET);
    let config = |inline: &str| {
        let text = format!(
            "<config>\n<collector age-identity=\"age-identity\"/>\n<smtp username=\"u\" password=\"{inline}\"/>\n\
             <client ip=\"a\" username=\"u\" password=\"age:./pw.age\"/>\n</config>"
        );
        fs::write(home.path("config.xml"), text).unwrap();
    };
    config(&inline);
    let (code, summary, error) = home.fleetsweep(&["check"], "");
    assert_eq!((code, error.as_str()), (Some(0), ""));
    assert!(summary.contains("password age:./pw.age") && summary.contains("password age:…"), "{summary}");
    assert!(summary.contains("2  encrypted with age (age:), with the identity in age-identity"), "{summary}");
    assert!(!summary.contains(SECRET) && !summary.contains("YWdl"), "{summary}");

    let lines = |error: &str| {
        let places = error.lines().filter(|line| line.starts_with("config.xml:"));
        places.map(|line| line.replace(&format!("{}/", home.0.path().display()), "DIR/")).collect::<Vec<_>>().join("\n")
    };
    // Its rights go too far, and then it was replaced.
    fs::set_permissions(home.identity(), fs::Permissions::from_mode(0o644)).unwrap();
    fs::set_permissions(home.path("pw.age"), fs::Permissions::from_mode(0o666)).unwrap();
    let (code, _, error) = home.fleetsweep(&["check"], "");
    assert_eq!(code, Some(0), "{error}");
    assert!(error.contains("`age-identity`: the age identity age-identity can be read by other users"), "{error}");
    assert!(error.contains("`password`: the secret file ./pw.age can be changed by other users"), "{error}");
    fs::set_permissions(home.path("pw.age"), fs::Permissions::from_mode(0o644)).unwrap();
    fs::rename(home.identity(), home.path("old")).unwrap();
    home.encrypted(&[], SECRET);
    let (code, _, error) = home.fleetsweep(&["check"], "");
    assert_eq!(code, Some(2));
    insta::assert_snapshot!(lines(&error), @"
    config.xml:3:30: `password`: the secret after `age:` cannot be decrypted with the identity in age-identity: add the identity that it was written for to this file, or write the secret again with `fleetsweep secret`
    config.xml:4:39: `password`: the secret file ./pw.age cannot be decrypted with the identity in age-identity: add the identity that it was written for to this file, or write the secret again with `fleetsweep secret`
    ");
    // Both, the new one first.
    let both = fs::read_to_string(home.identity()).unwrap() + &fs::read_to_string(home.path("old")).unwrap();
    fs::write(home.identity(), both).unwrap();
    assert_eq!(home.fleetsweep(&["check"], "").0, Some(0));
    fs::remove_file(home.identity()).unwrap();
    let (_, _, error) = home.fleetsweep(&["check"], "");
    insta::assert_snapshot!(lines(&error), @"config.xml:2:26: `age-identity`: the age identity cannot be read: it does not exist: check the path and its permissions; `fleetsweep secret` makes a new one");
    fs::copy(home.path("old"), home.identity()).unwrap();
    config(inline.get(..inline.len() - 9).unwrap());
    let (_, _, error) = home.fleetsweep(&["check"], "");
    insta::assert_snapshot!(lines(&error), @"config.xml:3:30: `password`: the text after `age:` is damaged or cut short (its base64): copy it again from where it was written, or write it again with `fleetsweep secret`");
}

async fn age_reads_what_is_written_here_and_writes_what_is_read_here() {
    let home = Home::new();
    home.configure("env:UNUSED");
    let inline = home.encrypted(&[], SECRET);
    home.encrypted(&["--output", "ours.age"], SECRET);
    let binary = home.run("base64", &["-d"], inline.strip_prefix("age:").unwrap().as_bytes()).stdout;
    fs::write(home.path("ours.bin"), binary).unwrap();
    for file in ["ours.age", "ours.bin"] {
        let read = home.run("age", &["-d", "-i", "age-identity", file], b"");
        assert_eq!(read.stdout, SECRET.as_bytes(), "{read:?}");
    }
    let public = home.run("age-keygen", &["-y", "age-identity"], b"").stdout;
    let public = String::from_utf8(public).unwrap().trim().to_owned();
    let theirs = home.run("age-keygen", &["-o", "theirs"], b"");
    assert!(theirs.status.success(), "{theirs:?}");
    let other = home.run("age-keygen", &["-y", "theirs"], b"").stdout;
    let other = String::from_utf8(other).unwrap().trim().to_owned();
    // Several recipients, text and binary, and a key file that age-keygen has made.
    for arguments in [&["-a", "-r", &public][..], &["-r", &other, "-r", &public], &["-r", &public, "-R", "ssh.pub"]] {
        fs::write(
            home.path("ssh.pub"),
            "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAyP2O1ykmBJqiDn/OmCW9+JOC4FDpAQYD+Yb2TaJTDX\n",
        )
        .unwrap();
        let _absent = fs::remove_file(home.path("theirs.age"));
        let written = home.run("age", &[arguments, &["-o", "theirs.age"]].concat(), b"hunter2\n");
        assert!(written.status.success(), "{written:?}");
        home.configure("age:theirs.age");
        let (code, _, error) = home.fleetsweep(&["check"], "");
        assert_eq!((code, error.as_str()), (Some(0), ""), "{arguments:?}");
    }
    let written = home.run("age", &["-r", &other, "-o", "other.age"], b"hunter2\n");
    assert!(written.status.success(), "{written:?}");
    fs::copy(home.path("theirs"), home.identity()).unwrap();
    home.configure("age:other.age");
    assert_eq!(home.fleetsweep(&["check"], "").0, Some(0));
    // Its identity serves to write, too.
    home.encrypted(&["--output", "again.age"], SECRET);
    assert_eq!(home.run("age", &["-d", "-i", "theirs", "again.age"], b"").stdout, SECRET.as_bytes());
}

async fn a_typed_secret_is_not_shown() {
    let program = program();
    let key = "age1wm2my0qgujwn4qpwk57etrtgjhd6wcpaugyg2qpdycesh7slp4uqpvav3t";
    let terminal = Terminal::start(&program.path(""), TerminalOptions::of_size(100, 30)).await;
    let line = format!("{} secret --recipient {key} --output typed.age", env!("CARGO_BIN_EXE_fleetsweep"));
    // Earlier questions are still on the screen.
    let sees = async |question: &str, times: usize| {
        terminal.shows(question, SOON, |screen| screen.matches(question).count() == times).await
    };
    let ask = async |times: usize, first: &str, again: &str| {
        terminal.run(&line).await;
        sees("Secret (not shown):", times).await;
        terminal.type_text(first).await;
        terminal.keys(&["Enter"]).await;
        sees("Once more:", times).await;
        terminal.type_text(again).await;
        terminal.keys(&["Enter"]).await;
    };
    ask(1, "hunter2", "hunter3").await;
    terminal.sees("the secret was not the same twice").await;
    assert!(!program.path("typed.age").exists());
    ask(2, "hunter2", "hunter2").await;
    let screen = terminal.shows("the value", SOON, |screen| screen.contains("age:/")).await;
    assert!(!screen.contains("hunter"), "{screen}");
    assert!(program.path("typed.age").exists());
    // An interrupt gives the terminal back as it was.
    fs::remove_file(program.path("typed.age")).unwrap();
    terminal.run(&line).await;
    sees("Secret (not shown):", 3).await;
    terminal.keys(&["C-c"]).await;
    terminal.sees("interrupted: nothing was written").await;
    terminal.run("echo shown again").await;
    terminal.shows("what is typed", Duration::from_secs(10), |screen| screen.contains("echo shown again")).await;
}
