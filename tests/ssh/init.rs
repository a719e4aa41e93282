//! A first configuration with real servers: what `init` shows, pins, tries, proposes and writes, and what it refuses.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::TcpListener,
    os::unix::fs::PermissionsExt as _,
    thread,
};

use support::{Fleetsweep, Outcome, SshdOptions};

use crate::sweeping::{at, sshd_with, sweep};

/// Checks how a run ended and what it says.
fn ends(outcome: &Outcome, code: i32, stdout: &[&str], stderr: &str) {
    assert_eq!(outcome.code, Some(code), "{outcome:#?}");
    for words in stdout {
        assert!(outcome.stdout.contains(words), "{words}: {outcome:#?}");
    }
    assert!(outcome.stderr.contains(stderr), "{stderr}: {outcome:#?}");
}

pub(crate) async fn init_pins_what_it_showed_and_writes_a_configuration_that_sweeps() {
    let sshd = sshd_with("/bin/sh", SshdOptions { addresses: 3, ..SshdOptions::default() }).await;
    let program = Fleetsweep::new(env!("CARGO_BIN_EXE_fleetsweep"));
    let (user, key) = (sshd.username(), sshd.key().display().to_string());
    let [(one, port), (two, _), (three, _)] = [0, 1, 2].map(|number| at(&sshd, number));
    // The hosts come from everywhere, and one of them twice.
    let inventory = format!("[web]\nweb-1 ansible_host={two} ansible_port={port}\n\n[all:vars]\nansible_user={user}\n");
    fs::write(program.path("hosts"), inventory).unwrap();
    fs::write(program.path("hosts.csv"), format!("Name;IP;Port\ndb & <co>;{three};{port}\n;{two};{port}\n")).unwrap();
    let first = format!("{user}@{one}:{port}");
    let hosts = ["init", &first, "--inventory", "hosts", "--csv", "hosts.csv", "--user", &user, "--key", &key, "--yes"];

    let refused = program.run(hosts).await;
    ends(&refused, 1, &["ssh-ed25519 SHA256:", "  new\n"], "3 host keys are not pinned: compare the fingerprints");
    assert!(!program.path("config.xml").exists() && !program.path(".ssh/known_hosts").exists());

    let accepted = [&hosts[..], &["--accept-host-keys"]].concat();
    let written = program.run(&accepted).await;
    ends(
        &written,
        0,
        &["collected: ", "config.xml is written: 3 clients."],
        &format!("left out, because they were named before: {two}:{port}\n"),
    );
    assert_eq!(fs::metadata(program.path("config.xml")).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::read_to_string(program.path(".ssh/known_hosts")).unwrap().lines().count(), 3);
    let text = fs::read_to_string(program.path("config.xml")).unwrap();
    assert!(text.contains("; the highest measured was ") && text.contains("name=\"db &amp; &lt;co&gt;\""), "{text}");
    assert!(fs::read_to_string(program.path("config.xsd")).unwrap().contains("<xs:schema "));
    let checked = program.run(["check"]).await;
    assert_eq!((checked.code, checked.stderr.as_str()), (Some(0), ""), "{checked:#?}");
    let swept = sweep(&program).await;
    swept.is_complete();
    assert_eq!(swept.clients.len(), 3);

    // Nothing is overwritten, and no host is contacted for nothing.
    let again = program.run(&accepted).await;
    ends(&again, 2, &[], "config.xml exists already, and is never overwritten: name another file with --output");
    assert_eq!(again.stdout, "");
    assert_eq!(fs::read_to_string(program.path("config.xml")).unwrap(), text);
    std::os::unix::fs::symlink("nowhere", program.path("link.xml")).unwrap();
    let linked = program.run([&accepted[..], &["--output", "link.xml"]].concat()).await;
    ends(&linked, 2, &[], "link.xml exists already");

    // Keys that are pinned need no acceptance. A host that is no SSH server, and one that is not there, are said.
    let web = TcpListener::bind("127.0.0.1:0").unwrap();
    let [web_port, free_port] = [web.local_addr().unwrap().port(), support::free_port()];
    thread::spawn(move || {
        for stream in web.incoming() {
            let Ok(mut stream) = stream else { return };
            let _read = stream.read(&mut [0; 100]);
            let _written = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
        }
    });
    let [no_ssh, nobody] = [web_port, free_port].map(|port| format!("{user}@127.0.0.1:{port}"));
    let with_faults =
        program.run(["init", &first, &no_ssh, &nobody, "--key", &key, "-y", "--output", "other.xml"]).await;
    let expected = ["pinned already", "FAILED at connect: not an SSH server", "FAILED at connect: connection refused"];
    ends(&with_faults, 1, &expected, "");
    ends(&with_faults, 1, &["collected: ", "other.xml is written: 3 clients; 2 hosts failed."], "");
    ends(&program.run(["-c", "other.xml", "check"]).await, 0, &["3 clients"], "");

    // A login that is refused is said with the next step.
    let nobody = format!("nobody-{user}@{one}:{port}");
    let refused = program.run(["init", &nobody, "--key", &key, "-y", "--output", "third.xml"]).await;
    ends(
        &refused,
        1,
        &["FAILED at authenticate: authentication refused", "third.xml is written: 1 client; 1 host failed."],
        "",
    );
}

pub(crate) async fn init_takes_hosts_of_ssh_config_without_copying_it() {
    let sshd = sshd_with("/bin/sh", SshdOptions::default()).await;
    let program = Fleetsweep::new(env!("CARGO_BIN_EXE_fleetsweep"));
    let (address, port) = at(&sshd, 0);
    let (user, key) = (sshd.username(), sshd.key().display().to_string());
    let hosts = format!(
        "Host *.x\n  User nobody\nHost alias other/one\n  HostName {address}\n  Port {port}\n  User {user}\n  IdentityFile {key}\n"
    );
    fs::write(program.path("ssh_config"), hosts).unwrap();
    let arguments = ["init", "--ssh-config", "ssh_config", "-y", "--accept-host-keys", "--client", "alias"];
    let written = program.run(arguments).await;
    // The address that it leads to is shown, but not written.
    let [key_line, login_line] = ["ssh-ed25519", "collected: "].map(|text| format!("alias  {address}:{port}  {text}"));
    ends(&written, 0, &[&key_line, &login_line], "left out: ");
    let text = fs::read_to_string(program.path("config.xml")).unwrap();
    assert!(text.contains("<client ip=\"alias\"/>") && !text.contains(&user) && !text.contains(&key), "{text}");
    sweep(&program).await.is_complete();
}
