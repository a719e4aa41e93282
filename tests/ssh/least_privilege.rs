//! `agent="installed"`: the page about it executed as it stands, what such an account can and cannot do, and its failures.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use support::{Sshd, SshdOptions, kept};
use tempfile::TempDir;

use crate::sweeping::{PATIENT, at, client, program, sshd_with, sweep};

const PAGE: &str = include_str!("../../docs/least-privilege.md");

/// The commands of the page, without the one that adds the account.
struct SetUp {
    commands: Vec<String>,
    directory: TempDir,
}

/// Runs a command line as an administrator would.
fn shell(line: &str, directory: &Path) -> Output {
    Command::new("/bin/sh").args(["-ec", line]).current_dir(directory).output().unwrap()
}

fn must(line: &str, directory: &Path) -> String {
    let output = shell(line, directory);
    assert!(output.status.success(), "{line}\n{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

impl SetUp {
    /// The commands as they stand on the page, with the paths and the account of this test in place of the real ones. The
    /// package is unpacked into the directory instead of being installed on this machine.
    fn of(sshd: &Sshd) -> Self {
        let directory = tempfile::tempdir().unwrap();
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let block = PAGE.split("```console\n").nth(1).unwrap().split("```").next().unwrap();
        assert_eq!(block.lines().count(), 6, "{block}");
        let home = sshd.user().home().display().to_string();
        let here = directory.path().display().to_string();
        let commands = block.lines().map(|line| {
            line.replace("dpkg --install", &format!("dpkg-deb --extract $PACKAGE {here} #"))
                .replace("/var/lib/fleetsweep", &home)
                .replace("/usr/lib/fleetsweep", &format!("{here}/usr/lib/fleetsweep"))
                .replace("systemd-journal fleetsweep", &format!("systemd-journal {}", sshd.username()))
        });
        Self { commands: commands.collect(), directory }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Builds the package with the commands of the page and runs the six commands. Returns the package.
    fn run(&self, sshd: &Sshd) -> PathBuf {
        let block = PAGE.split("```sh\n").nth(1).unwrap().split("```").next().unwrap();
        let fleetsweep = env!("CARGO_BIN_EXE_fleetsweep");
        let source = env!("CARGO_MANIFEST_DIR");
        for line in block.lines() {
            let line = line
                .replace("x86_64-unknown-linux-gnu", &format!("{}-unknown-linux-gnu", std::env::consts::ARCH))
                .replacen("fleetsweep agents", &format!("{fleetsweep} agents"), 1);
            must(&line.replacen("agent/build-deb", &format!("{source}/agent/build-deb"), 1), self.directory.path());
        }
        let files = fs::read_dir(self.directory.path()).unwrap().map(|entry| entry.unwrap().path());
        let package = files.into_iter().find(|path| path.extension().is_some_and(|kind| kind == "deb")).unwrap();
        for line in &self.commands {
            // The account exists already, and belongs to the test.
            if !line.starts_with("useradd") {
                must(&line.replace("$PACKAGE", &package.display().to_string()), self.directory.path());
            }
        }
        let keys = fs::read_to_string(sshd.user().home().join(".ssh/authorized_keys")).unwrap();
        assert!(keys.starts_with("restrict,command=\""), "{keys}");
        package
    }

    fn login(&self, sshd: &Sshd) -> String {
        let key = self.path("fleetsweep");
        format!(r#"username="{}" key="{}" agent="installed""#, sshd.username(), key.display())
    }

    /// The end of a command that the key asks for with OpenSSH.
    fn ssh(&self, sshd: &Sshd, options: &str, command: &str) -> Output {
        let (ip, port) = at(sshd, 0);
        let line = format!(
            "ssh -F none -i fleetsweep -o IdentitiesOnly=yes -o BatchMode=yes -o StrictHostKeyChecking=no \
             -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR -p {port} {options} {}@{ip} {command} </dev/null",
            sshd.username(),
        );
        shell(&line, self.directory.path())
    }
}

async fn sshd(addresses: u16) -> Sshd {
    // As on a machine of its own: the keys are in the home directory.
    let config = vec!["AuthorizedKeysFile .ssh/authorized_keys".to_owned()];
    sshd_with("/bin/sh", SshdOptions { addresses, config, ..SshdOptions::default() }).await
}

pub(crate) async fn the_six_commands_make_an_account_that_reports_and_can_do_nothing_else() {
    let sshd = sshd(1).await;
    let set_up = SetUp::of(&sshd);
    let package = set_up.run(&sshd);
    let login = format!("{} agent-path=\"{}\"", set_up.login(&sshd), set_up.path("usr/lib/fleetsweep").display());
    let program = program(PATIENT, &[client("one", at(&sshd, 0), &login)]);
    for _ in 0..2 {
        let swept = sweep(&program).await;
        swept.is_complete();
        assert!(swept.client("one").memory_percent.is_some() && swept.client("one").cpu_percent.is_some());
    }
    assert!(kept(&sshd.username()).is_empty(), "something was uploaded");
    let cleaned = program.run(["clean"]).await;
    assert!(cleaned.stdout.contains("the installed agent stays"), "{cleaned:?}");

    // Everything else is refused.
    let refusal = "fleetsweep-agent: this login may only ask for a report of fleetsweep, and for nothing else\n";
    for (options, command, code, expected) in [
        ("", "id", 64, refusal),
        ("", "", 64, "fleetsweep-agent: one argument is needed: a request or --version\n"),
        ("-tt", "", 255, "PTY allocation request failed on channel 0\n"),
        // sshd discards the standard error of a subsystem.
        ("-s", "sftp", 64, ""),
        ("", "'/usr/lib/fleetsweep/agent; id'", 64, refusal),
        (
            "",
            "'/usr/lib/fleetsweep/agent 1.x; id'",
            64,
            "fleetsweep-agent: the request's collection is not well formed\n",
        ),
        ("", "/usr/lib/fleetsweep/agent --version", 64, refusal),
    ] {
        let output = set_up.ssh(&sshd, options, command);
        let said = String::from_utf8_lossy(&output.stderr).replace('\r', "");
        assert_eq!((output.status.code(), said.as_ref()), (Some(code), expected), "{options:?} {command}");
        assert!(output.stdout.is_empty(), "{output:?}");
    }
    let forwarded = set_up.ssh(&sshd, "-o ExitOnForwardFailure=yes -W 127.0.0.1:22", "");
    assert!(!forwarded.status.success(), "{forwarded:?}");

    // The package has the agent and nothing that runs at its installation.
    let told = must(&format!("dpkg-deb --contents {0}; dpkg-deb --info {0}", package.display()), Path::new("/"));
    for part in [
        "-rwxr-xr-x root/root",
        "./usr/lib/fleetsweep/agent",
        "./usr/share/doc/fleetsweep-agent/copyright",
        concat!("Version: ", env!("CARGO_PKG_VERSION")),
    ] {
        assert!(told.contains(part), "{part}\n{told}");
    }
    assert!(!told.contains("inst") || told.matches("inst").count() == told.matches("install").count(), "{told}");
    let again = set_up.path("again");
    let agent = set_up.path(&format!("agents/{}-unknown-linux-gnu", std::env::consts::ARCH));
    let build = concat!(env!("CARGO_MANIFEST_DIR"), "/agent/build-deb");
    let second = must(&format!("{build} --into {} {}", again.display(), agent.display()), Path::new("/"));
    assert_eq!(fs::read(second.trim()).unwrap(), fs::read(&package).unwrap(), "two packages differ");
}

pub(crate) async fn what_is_wrong_with_an_installed_agent_is_said() {
    let sshd = sshd(6).await;
    let set_up = SetUp::of(&sshd);
    set_up.run(&sshd);
    let agents = tempfile::tempdir().unwrap();
    fs::set_permissions(agents.path(), fs::Permissions::from_mode(0o755)).unwrap();
    // The account of the test has a shell and no forced command, so that each client can have another agent.
    let keys = fs::read_to_string(set_up.path("fleetsweep.pub")).unwrap();
    fs::write(sshd.user().home().join(".ssh/authorized_keys"), keys).unwrap();
    let installed = |name: &str, mode: u32, text: &str| {
        let directory = agents.path().join(name);
        fs::create_dir(&directory).unwrap();
        fs::write(directory.join("agent"), text).unwrap();
        fs::set_permissions(directory.join("agent"), fs::Permissions::from_mode(mode)).unwrap();
    };
    let newer =
        "echo 'fleetsweep-agent: the request speaks version 1, this agent version 2 (fleetsweep-agent 0.9.0)' >&2";
    installed("newer", 0o755, &format!("#!/bin/sh\n{newer}\nexit 70\n"));
    installed("not-executable", 0o644, "#!/bin/sh\n");
    installed("silent", 0o755, "#!/bin/sh\n");
    installed("other", 0o755, "#!/bin/sh\necho 'I am another program' >&2\nexit 3\n");
    installed("killed", 0o755, "#!/bin/sh\nkill -KILL $$\n");
    let cases = ["newer", "not-executable", "silent", "other", "killed", "missing"];
    let clients: Vec<String> = cases
        .iter()
        .enumerate()
        .map(|(number, name)| {
            let path = agents.path().join(name);
            client(name, at(&sshd, number), &format!("{} agent-path=\"{}\"", set_up.login(&sshd), path.display()))
        })
        .collect();
    let program = program(PATIENT, &clients);
    let swept = sweep(&program).await;
    let told: String = cases
        .iter()
        .map(|name| {
            let (stage, words) = swept.failure(name);
            let words = words.replace(&agents.path().display().to_string(), "AGENTS");
            format!("{name}: {stage}\n    {words}\n")
        })
        .collect();
    insta::assert_snapshot!(told);
}
