//! `init` without a server that it could contact: what it refuses before it contacts anybody, and what it asks on a
//! terminal. The rest is tested with real servers in `tests/ssh`.

use std::{fs, os::unix::fs::PermissionsExt as _};

use fleetsweep::demo::Behaviour;
use support::{Terminal, TerminalOptions, Trial};

use crate::site::{Fleet, SOON, program};

pub(crate) fn trials() -> Vec<Trial> {
    support::trial_list! {
        needs() => init_refuses_what_it_cannot_use_before_it_contacts_anybody;
        needs() => init_leaves_to_openssh_files_what_they_say;
        needs(Tmux) => init_asks_for_what_is_missing_and_puts_a_password_into_its_own_file;
    }
}

async fn init_refuses_what_it_cannot_use_before_it_contacts_anybody() {
    let program = program();
    fs::write(program.path("vault"), "$ANSIBLE_VAULT;1.1;AES256\n61").unwrap();
    fs::write(program.path("empty.csv"), "host\n").unwrap();
    fs::write(program.path("values.csv"), "web,127.0.0.1,root,hunter2\n").unwrap();
    fs::write(program.path("hosts"), "w ansible_host=127.0.0.1 ansible_password= hunter2\n").unwrap();
    fs::create_dir(program.path(".ssh")).unwrap();
    let openssh = program.path(".ssh/config");
    fs::write(&openssh, "Host w\n").unwrap();
    fs::set_permissions(&openssh, fs::Permissions::from_mode(0o666)).unwrap();
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
    check(&["--inventory", "/"], 2, "/ is a directory: name what `ansible-inventory -i FILE --list --yaml").await;
    check(&["--csv", "values.csv"], 2, "no column `host` or `name`; it has 4 columns").await;
    check(&["--inventory", "hosts"], 2, "hosts:1: value 3 after the host is no key=value").await;
    let openssh = openssh.display().to_string();
    check(&["--ssh-config", &openssh], 2, "the file is not used, because others may write it").await;
    check(&["w", "--user", "u:hunter2"], 2, "'--user': an account contains no `:`").await;
    check(&["u@a", "--key", "nowhere"], 2, "cannot read the key file").await;
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
    assert_eq!(fs::read_dir(program.path("")).unwrap().count(), 5);

    // Without a configuration, the way to one is said.
    let outcome = program.run(["--once"]).await;
    assert!(outcome.code == Some(2) && outcome.stderr.contains("write one with `fleetsweep init`"), "{outcome:#?}");
}

async fn init_leaves_to_openssh_files_what_they_say() {
    let program = program();
    let port = support::free_port();
    fs::create_dir(program.path(".ssh")).unwrap();
    let openssh = format!("Host w1 w1.alias\n  User hidden-user\n  HostName 127.0.0.1\n  Port {port}\n");
    fs::write(program.path(".ssh/config"), openssh).unwrap();
    let outcome = program.run(["init", "w1", "w1.alias", "w1", "--yes", "--output", "my conf.xml"]).await;
    // Nobody listens there, which is no reason to write nothing.
    assert_eq!(outcome.code, Some(1), "{outcome:#?}");
    for part in [
        &*format!("w1        127.0.0.1:{port}  FAILED at connect: connection refused"),
        "my conf.xml is written: 2 clients; 2 hosts failed.",
        "fleetsweep --config 'my conf.xml' check",
    ] {
        assert!(outcome.stdout.contains(part), "{part}: {outcome:#?}");
    }
    assert!(!outcome.stdout.contains("Logins of 0"), "{outcome:#?}");
    for part in [
        &*format!("w1 and w1.alias are the same machine, 127.0.0.1:{port}"),
        "left out, because they were named before: w1:22",
    ] {
        assert!(outcome.stderr.contains(part), "{part}: {outcome:#?}");
    }
    let text = fs::read_to_string(program.path("my conf.xml")).unwrap();
    assert!(text.contains("<client ip=\"w1\"/>") && !text.contains("username"), "{text}");

    // An account that is given wins. What an inventory says besides is named, and its key is taken over if it can be used.
    fs::create_dir(program.path("group_vars")).unwrap();
    let inventory =
        "w1 ansible_ssh_common_args='-o ProxyJump=gate'\n[all:vars]\nansible_ssh_private_key_file=nowhere\n";
    fs::write(program.path("hosts"), inventory).unwrap();
    let outcome = program.run(["init", "--inventory", "hosts", "--user", "given", "--yes"]).await;
    assert_eq!(outcome.code, Some(1), "{outcome:#?}");
    let left = "ansible_ssh_common_args (1 host), ansible_ssh_private_key_file (1 host): use --key";
    for part in [left, "not read: group_vars/ beside the inventory; `ansible-inventory -i FILE"] {
        assert!(outcome.stderr.contains(part), "{part}: {outcome:#?}");
    }
    let text = fs::read_to_string(program.path("config.xml")).unwrap();
    assert!(text.contains("username=\"given\"") && !text.contains("nowhere"), "{text}");
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
    // What cannot be used is asked for again.
    answer("Private key file, `password`, or Enter", "no-key").await;
    terminal.sees("cannot read the key file").await;
    terminal.type_text("password").await;
    terminal.keys(&["Enter"]).await;
    answer("New file for it, which only you can read [fleetsweep-password]:", "no/where").await;
    terminal.sees("no/where: choose a directory").await;
    terminal.keys(&["Enter"]).await;
    terminal.sees("Password (not shown):").await;
    terminal.keys(&["Enter"]).await;
    terminal.sees("the secret from standard input is empty").await;
    terminal.type_text("open sesame").await;
    terminal.keys(&["Enter"]).await;
    answer("Mail address for alerts (Enter: nobody is mailed):", "nobody").await;
    terminal.sees("this is not a valid mail address").await;
    terminal.type_text("ops@example.com").await;
    terminal.keys(&["Enter"]).await;
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
    terminal.sees("interrupted: no configuration was written").await;
    assert!(!program.path("other.xml").exists());
    // A password that was typed for nothing does not stay.
    let again = format!("{} init demo@{address} --output other.xml", env!("CARGO_BIN_EXE_fleetsweep"));
    terminal.run(&format!("clear; {again}")).await;
    answer("Private key file, `password`, or Enter", "password").await;
    answer("New file for it, which only you can read [fleetsweep-password]:", "").await;
    terminal.sees("fleetsweep-password exists already").await;
    terminal.type_text("second").await;
    terminal.keys(&["Enter"]).await;
    answer("Password (not shown):", "open sesame").await;
    terminal.sees("Mail address for alerts (Enter: nobody is mailed):").await;
    assert!(program.path("second").exists());
    terminal.keys(&["C-c"]).await;
    terminal.sees("interrupted: no configuration was written").await;
    assert!(!program.path("other.xml").exists() && !program.path("second").exists());
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
