//! `init` without a server that it could contact: what it refuses before it contacts anybody, and what it asks on a
//! terminal. The rest is tested with real servers in `tests/ssh`.

use std::{fs, os::unix::fs::PermissionsExt as _};

use fleetsweep::demo::Behaviour;
use support::{Terminal, TerminalOptions, Trial};

use crate::site::{Fleet, SOON, program};

pub(crate) fn trials() -> Vec<Trial> {
    support::trial_list! {
        needs() => init_refuses_what_it_cannot_use_before_it_contacts_anybody;
        needs(Tmux) => init_asks_for_what_is_missing_and_puts_a_password_into_its_own_file;
    }
}

async fn init_refuses_what_it_cannot_use_before_it_contacts_anybody() {
    let program = program();
    fs::write(program.path("vault"), "$ANSIBLE_VAULT;1.1;AES256\n61").unwrap();
    fs::write(program.path("empty.csv"), "host\n").unwrap();
    let check = async |arguments: &[&str], code: i32, expected: &str| {
        let outcome = program.run([&["init"], arguments].concat()).await;
        assert_eq!(outcome.code, Some(code), "{arguments:?}: {outcome:#?}");
        assert!(outcome.stderr.contains(expected) && outcome.stdout.is_empty(), "{arguments:?}: {outcome:#?}");
        assert!(!outcome.stderr.contains("hunter2"), "{outcome:#?}");
    };
    check(&[], 2, "there are no hosts: name them, as in `fleetsweep init 'ops@10.0.4.[1-40]'`").await;
    check(&["127.0.0.1"], 2, "some hosts have no account: name it with --user, or write user@host").await;
    check(&["ops@we b"], 2, "'ops@we b': the address: ").await;
    check(&["u:hunter2@a"], 2, "'…@a': the user: an account contains no `:`: a password does not belong here").await;
    check(&["ops@a\u{1b}[2J"], 2, "'ops@a\\u{1b}[2J': ").await;
    check(&["a@a", "--inventory", "vault"], 2, "vault:1: the file is encrypted with ansible-vault").await;
    check(&["--csv", "empty.csv"], 2, "empty.csv: there is no host in it").await;
    check(&["--csv", "nowhere.csv"], 2, "nowhere.csv cannot be read: name a file with hosts that you may read").await;
    check(&["--inventory", "/"], 2, "/ cannot be read").await;
    check(&["--ssh-config", "nowhere"], 2, "nowhere cannot be read").await;
    check(&["u@a", "--password", "hunter2"], 2, "'--password': this is not a reference to a secret").await;
    check(&["u@a", "--key", "k", "--passphrase", "hunter2"], 2, "'--passphrase': this is not a reference").await;
    check(&["u@a", "--database", "postgres://u:hunter2@h/d"], 2, "'--database': this URL contains a password").await;
    check(&["u@a", "--mail", "nobody"], 2, "'--mail': this is not a valid mail address").await;
    check(&["u@a", "--mail", "a@b", "--smtp", "h:x"], 2, "'--smtp': ").await;
    check(&["u@a", "--smtp", "h"], 2, "--mail").await;
    check(&["u@a", "--client", "b"], 2, "none matches --client").await;
    check(&["u@a", "u@a.[1-70000]"], 2, "at most 65536 are allowed").await;
    check(&["u@a", "-c", "a.xml"], 2, "name it with '--output'").await;
    check(&["u@a", "--output", "no/where.xml", "--yes"], 2, "no/where.xml: choose a directory").await;
    assert_eq!(fs::read_dir(program.path("")).unwrap().count(), 2);

    // Without a configuration, the way to one is said.
    let outcome = program.run(["--once"]).await;
    assert!(outcome.code == Some(2) && outcome.stderr.contains("write one with `fleetsweep init`"), "{outcome:#?}");
}

async fn init_asks_for_what_is_missing_and_puts_a_password_into_its_own_file() {
    let fleet = Fleet::of(&[Behaviour::Healthy]).await;
    let program = &fleet.program;
    let address = fleet.servers.first().unwrap().address();
    let terminal = Terminal::start(&program.path(""), TerminalOptions::of_size(140, 40)).await;
    let answer = async |question: &str, text: &str| {
        terminal.shows(question, SOON, |screen| screen.lines().any(|line| line.contains(question))).await;
        terminal.type_text(text).await;
        terminal.keys(&["Enter"]).await;
    };
    terminal.run(&format!("{} init", env!("CARGO_BIN_EXE_fleetsweep"))).await;
    answer("Hosts, as in ops@10.0.4.[1-40]", &address.to_string()).await;
    answer("Account on the hosts", "demo").await;
    answer("Private key file, `password`, or Enter", "password").await;
    answer("New file for it, which only you can read [fleetsweep-password]:", "").await;
    answer("Password (not shown):", "open sesame").await;
    answer("Mail address for alerts (Enter: nobody is mailed):", "ops@example.com").await;
    answer("Mail server [127.0.0.1]:", &fleet.sink.address().to_string()).await;
    answer("Sender [fleetsweep@localhost]:", "").await;
    answer("1 host key is new.", "maybe").await;
    terminal.shows("the question again", SOON, |screen| screen.matches("[y/N]:").count() == 2).await;
    assert!(!program.path(".ssh/known_hosts").exists());
    answer("[y/N]:", "y").await;
    answer("Open the dashboard now? [Y/n]:", "n").await;
    let screen = terminal.sees("Next:").await;
    assert!(screen.contains("collected: ") && !screen.contains("sesame"), "{screen}");
    let [config, password] = ["config.xml", "fleetsweep-password"].map(|name| program.path(name));
    let text = fs::read_to_string(&config).unwrap();
    let named = format!("password=\"file:{}\"", password.canonicalize().unwrap().display());
    assert!(text.contains(&named) && text.contains("mail=\"ops@example.com\"") && !text.contains("sesame"), "{text}");
    assert_eq!(fs::read_to_string(&password).unwrap(), "open sesame\n");
    for file in [&config, &password] {
        assert_eq!(fs::metadata(file).unwrap().permissions().mode() & 0o777, 0o600, "{}", file.display());
    }
    let checked = program.run(["check"]).await;
    assert_eq!((checked.code, checked.stderr.as_str()), (Some(0), ""), "{checked:#?}");

    // An interrupt writes nothing, and gives the terminal back.
    terminal.run(&format!("clear; {} init --output other.xml", env!("CARGO_BIN_EXE_fleetsweep"))).await;
    terminal.sees("Hosts, as in").await;
    terminal.keys(&["C-c"]).await;
    terminal.sees("interrupted: nothing was written").await;
    assert!(!program.path("other.xml").exists());
    // The dashboard opens with the new file.
    fs::remove_file(&config).unwrap();
    let again = format!(
        "{} init demo@{address} --password file:fleetsweep-password --output new.xml",
        env!("CARGO_BIN_EXE_fleetsweep")
    );
    terminal.run(&format!("clear; {again}")).await;
    answer("Mail address for alerts (Enter: nobody is mailed):", "").await;
    answer("Open the dashboard now? [Y/n]:", "").await;
    terminal.shows("the dashboard", SOON, |screen| screen.contains("new") && screen.contains("fleet")).await;
    terminal.keys(&["q"]).await;
}
