//! Windows clients through a real sshd. SFTP is that of OpenSSH, and the login shell runs commands in Wine's `cmd.exe`
//! or imitates PowerShell. The agent itself is tested in [`crate::wine`].

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::PathBuf,
    process::Command,
    time::{Duration, SystemTime},
};

use fleetsweep::demo::Sink;
use jiff::Timestamp;
use serde_json::Value;
use support::{Fleetsweep, Login, Mail, SOON, Sshd, SshdOptions, Trial, rows, wait_until};
use tempfile::TempDir;

use crate::wine::{end_server, logons};

/// The identification of the SSH server of Windows, here after that of this machine.
const NAMED: &str = "VersionAddendum OpenSSH_for_Windows_9.5";

/// The directory for the agent, relative to the profile.
const TEMPORARY: &str = "AppData/Local/Temp";
const OURS: &str = "AppData/Local/Temp/fleetsweep";

/// The shell of a machine, in place of `cmd.exe`. It only answers the command that determines the platform.
const ANSWERS: &str = r#"printf '%s\r\n' "$(printf %s "${2#echo }" | sed 's/%PROCESSOR_ARCHITECTURE%/@MACHINE@/')""#;

/// A machine that runs commands in Wine, which is set up by the first command. A file contains the events of its log.
const WINE: &str = r#"
cd ~
export WINEPREFIX=~/wine WINEDEBUG=-all WINEDLLOVERRIDES='wevtapi=n;mscoree,mshtml=' FAKE_SECURITY_LOG=security.log
[ -e wine ] || { wineboot --init && cp @LIBRARIES@/*.dll wine/drive_c/windows/system32/; } >&2"#;

/// The default shell of Windows.
///
/// Wine puts backslashes before quotes in arguments, unlike Microsoft's server, so these commands go through a file.
const CMD: &str = r#"
case $2 in
@*) printf '@echo off\r\n%s\r\n' "$2" >command.cmd; exec wine cmd /c command.cmd;;
*) exec wine cmd /c "$2";;
esac"#;

/// A shell that imitates what PowerShell does with the collector's commands: it expands a variable and passes on the
/// exit code.
const POWERSHELL: &str = r#"
case $2 in
echo*) command=${2#echo }; printf '%s\r\n' "${command/'$env:PROCESSOR_ARCHITECTURE'/AMD64}";;
"try{& '"*"};exit \$LASTEXITCODE") line=${2#"try{& "}; line=${line%%"}catch{"*}; exec wine cmd /c "${line//\'/}";;
*) echo "${2%% *} : The term is not recognized" >&2; exit 1;;
esac"#;

/// A machine with this login shell, and a mail server.
struct Machine {
    sshd: Sshd,
    sink: Sink,
    program: Fleetsweep,
    _shell: TempDir,
}

impl Drop for Machine {
    /// Ends the processes of Wine, because otherwise the user could not be removed.
    fn drop(&mut self) {
        let (user, prefix) = (self.sshd.user(), self.home("wine"));
        if prefix.exists() {
            let (uid, gid) = user.ids();
            let ended = end_server(|| {
                let mut server = Command::new("setpriv");
                server.args([&format!("--reuid={uid}"), &format!("--regid={gid}"), "--clear-groups", "wineserver"]);
                server.env("WINEPREFIX", &prefix).env("HOME", user.home());
                server
            });
            assert!(std::thread::panicking() || ended, "Wine does not end");
        }
    }
}

impl Machine {
    /// A machine with this script as the login shell. sshd calls it with `-c` and the command.
    async fn with_shell(script: &str, config: &[&str]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let shell = directory.path().join("shell");
        fs::write(&shell, format!("#!/bin/bash\n{script}\n")).unwrap();
        fs::set_permissions(&shell, fs::Permissions::from_mode(0o755)).unwrap();
        let config = config.iter().map(ToString::to_string).collect();
        let sshd =
            Sshd::start(SshdOptions { login: Login::Throwaway { shell }, config, ..SshdOptions::default() }).await;
        sshd.user().write(format!("{TEMPORARY}/of another program"), "");
        let sink = Sink::start().await.unwrap();
        let program = Fleetsweep::new(env!("CARGO_BIN_EXE_fleetsweep"));
        let machine = Self { sshd, sink, program, _shell: directory };
        machine.configure("");
        machine
    }

    /// A machine on which Wine runs the agent.
    async fn with_wine(shell: &str, config: &[&str]) -> Self {
        let libraries = crate::wine::libraries();
        let machine =
            Self::with_shell(&(WINE.replace("@LIBRARIES@", libraries.to_str().unwrap()) + "\n" + shell), config).await;
        machine.logs([]);
        machine
    }

    /// Replaces its security log with these records.
    fn logs(&self, records: impl IntoIterator<Item = String>) {
        let text: String = records.into_iter().map(|record| record + "\n\n").collect();
        self.sshd.user().write("security.log", &text);
    }

    /// Writes the configuration with additional attributes of its client.
    fn configure(&self, attributes: &str) {
        self.configure_beside("", attributes);
    }

    /// Writes the configuration with additional clients.
    fn configure_beside(&self, others: &str, attributes: &str) {
        let (ip, port, username) = (self.sshd.addresses()[0], self.sshd.port(), self.sshd.username());
        let (key, smtp) = (self.sshd.key(), self.sink.address());
        self.program.write_config(&format!(
            r#"<config>
            <collector interval="1s" timeout="120s" retries="0"/>
            <database url="sqlite:fleet.db"/>
            <smtp host="{}" port="{}" from="fleetsweep@example.com"/>
            <client name="win" ip="{ip}" port="{port}" username="{username}" key="{}" mail="ops@example.com" {attributes}/>
            {others}
            </config>"#,
            smtp.ip(),
            smtp.port(),
            key.display()
        ));
    }

    /// Sweeps once and returns the client in the document.
    async fn sweep(&self) -> Value {
        let outcome = self.program.run(["--once", "--format", "json"]).await;
        let document: Value =
            serde_json::from_str(&outcome.stdout).unwrap_or_else(|error| panic!("{error}\n{outcome:#?}"));
        document["clients"][0].clone()
    }

    /// Sweeps once successfully.
    async fn collects(&self) -> Value {
        let client = self.sweep().await;
        assert_eq!(client["status"], "ok", "{client:#}\n{}", self.sshd.log());
        client
    }

    /// Sweeps once with a failure and returns its stage and message.
    async fn fails(&self) -> (String, String) {
        let client = self.sweep().await;
        let text = |name: &str| client[name].as_str().unwrap_or_default().to_owned();
        assert_eq!(text("status"), "failed", "{client:#}");
        (text("stage"), text("error"))
    }

    fn home(&self, path: &str) -> PathBuf {
        self.sshd.user().home().join(path)
    }

    /// The entries of a directory in its home directory.
    fn list(&self, path: &str) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(self.home(path))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    /// The values of the row that a query returns.
    async fn stored(&self, query: &str) -> Vec<Vec<Option<String>>> {
        rows(&self.program.path("fleet.db"), query).await
    }

    fn mails(&self) -> Vec<Mail> {
        self.sink.mails().iter().map(|mail| Mail::parse(&mail.content)).collect()
    }
}

pub(crate) fn trials() -> Vec<Trial> {
    support::trial_list! {
        needs(WindowsAgent) => the_file_of_the_agent_has_version_information;
        needs(Sshd, Root, Wine, Mingw, WindowsAgent) =>
            windows_is_swept_beside_linux_and_its_events_are_mailed_without_being_asked_for,
            powershell_is_served_too_and_what_a_broken_visit_left_goes;
        needs(Sshd, Root, WindowsAgent) =>
            what_a_windows_machine_refuses_is_said_with_its_mend,
            a_profile_that_takes_no_file_is_an_error_that_names_the_directory;
        needs(Sshd, Root) => a_machine_that_becomes_another_one_is_recognised_anew;
    }
}

/// A shell that answers the command for the platform and knows no other command.
fn says(machine: &str, more: &str) -> String {
    let answers = ANSWERS.replace("@MACHINE@", machine);
    format!("case $2 in\necho*) {answers};;\n{more}*) echo \"'${{2%% *}}' is not recognized\" >&2; exit 1;;\nesac")
}

async fn windows_is_swept_beside_linux_and_its_events_are_mailed_without_being_asked_for() {
    let machine = Machine::with_wine(CMD, &[NAMED]).await;
    let linux = Sshd::start(SshdOptions::default()).await;
    machine.configure_beside(
        &format!(
            r#"<client name="linux" ip="{}" port="{}" username="{}" key="{}" mail="ops@example.com"/>"#,
            linux.addresses()[0],
            linux.port(),
            linux.username(),
            linux.key().display()
        ),
        "",
    );
    let newest_ms = Timestamp::now().as_millisecond();
    machine.logs(logons(1, 3, newest_ms));
    let sweep = async || {
        let outcome = machine.program.run(["--once"]).await;
        assert_eq!(outcome.code, Some(0), "{outcome:#?}");
        assert_eq!(machine.list(TEMPORARY), ["of another program"]);
    };
    sweep().await;
    let reading = "SELECT name, json_extract(reading, '$.os_family'), json_extract(reading, '$.architecture'), \
                   json_extract(reading, '$.cpu') BETWEEN 0 AND 100, json_extract(reading, '$.memory.used') > 0, \
                   json_extract(reading, '$.uptime_seconds') > 0 \
                   FROM clients JOIN readings ON client_id = clients.id AND slot = latest_slot ORDER BY name";
    let read: Vec<Vec<String>> =
        machine.stored(reading).await.into_iter().map(|row| row.into_iter().flatten().collect()).collect();
    let numbers = ["1", "1", "1"].as_slice();
    assert_eq!(
        read,
        [[&["linux", "linux", "x86_64"], numbers].concat(), [&["win", "windows", "x86_64"], numbers].concat()]
    );

    // Events with the same time are reported by the next collection, once.
    sweep().await;
    machine.logs(logons(1, 3, newest_ms).chain(logons(4, 4, newest_ms + 4)));
    sweep().await;
    // More than one report can hold, so the agent is started again for older events.
    let many = logons(5, 5_104, newest_ms + 5_100_000);
    machine.logs(logons(1, 3, newest_ms).chain(logons(4, 4, newest_ms + 4)).chain(many));
    sweep().await;
    agent_path_is_used(&machine).await;
    let mails = machine.mails();
    let subjects: Vec<&str> = mails.iter().map(|mail| mail.subject.as_str()).collect();
    assert_eq!(
        subjects,
        [
            "[fleetsweep] win: 3 failed logins, 3 security events",
            "[fleetsweep] win: nothing new in the security log",
            "[fleetsweep] win: 1 failed login, 1 security event",
            "[fleetsweep] win: 5100 failed logins, 5100 security events",
        ]
    );
    assert!(mails[0].text.contains("3×"), "{}", mails[0].text);
    let words = "  Security-Auditing: 4625 Failed logon of jörg & co: unknown user name; logon type 3 (network)";
    assert!(mails[0].text.contains(words), "{}", mails[0].text);
    assert_eq!(mails.iter().map(|mail| mail.attachments.len()).collect::<Vec<_>>(), [1, 0, 1, 1]);
    let list = &mails[0].attachments[0].1;
    assert!(list.lines().count() == 4 && list.contains("SubStatus=0xc0000064"), "{list}");
    let stored =
        "SELECT channel, record_id, CAST(event_id AS TEXT), level FROM v1_events ORDER BY CAST(record_id AS INTEGER)";
    let event = |id: u32| ["Security", &id.to_string(), "4625", "audit failure"].map(|text| Some(text.to_owned()));
    let stored = machine.stored(stored).await;
    assert!(stored.iter().eq((1..=5_104).map(event).collect::<Vec<_>>().iter()), "{} events", stored.len());
}

/// The drive Z of Wine as a name in the root directory. It is removed when this is dropped, also by a test that fails.
struct Drive;

impl Drive {
    const PATH: &str = "/Z:";

    fn link() -> Self {
        // One may be left by a test that was killed.
        if let Err(error) = std::os::unix::fs::symlink("/", Self::PATH) {
            assert_eq!(error.kind(), std::io::ErrorKind::AlreadyExists);
        }
        Self
    }
}

impl Drop for Drive {
    fn drop(&mut self) {
        fs::remove_file(Self::PATH).unwrap();
    }
}

/// A directory with characters that mean something to `cmd.exe`. In Wine, drive Z is the root directory. OpenSSH for
/// Windows serves the drive as a directory by SFTP.
async fn agent_path_is_used(machine: &Machine) {
    let _drive = Drive::link();
    let name = "a b & (c) ^d $e !f";
    let path = format!("Z:{}\\{name}", machine.home("").display().to_string().trim_end_matches('/').replace('/', "\\"));
    let attribute = format!("agent-path=\"{}\" events=\"no\"", path.replace('&', "&amp;"));
    machine.configure(&attribute);
    machine.collects().await;
    assert_eq!(machine.list(name), [""; 0], "the agent was not put there, or was not removed");
    let kept = format!("{name}/fleetsweep-{}/0123456789abcdef.exe", machine.sshd.username());
    machine.sshd.user().write(kept, "");
    let cleaned = machine.program.run(["clean"]).await;
    assert!(cleaned.code == Some(0) && machine.list(name).is_empty(), "{cleaned:#?}");
    machine.configure("");
}

async fn powershell_is_served_too_and_what_a_broken_visit_left_goes() {
    // Its server does not identify itself as Windows.
    let machine = Machine::with_wine(POWERSHELL, &[]).await;
    machine.configure(r#"events="no""#);
    machine.logs(logons(1, 3, Timestamp::now().as_millisecond()));
    let left = |name: &str, age: Duration| {
        let path = format!("{OURS}/{name}");
        machine.sshd.user().write(&path, "");
        let written = SystemTime::now() - age;
        fs::File::options().write(true).open(machine.home(&path)).unwrap().set_modified(written).unwrap();
    };
    let hour = Duration::from_secs(3600);
    left("0123456789abcdef.exe", hour);
    left("fedcba9876543210.exe", Duration::ZERO);
    left("notes.txt", hour);
    machine.collects().await;
    assert_eq!(machine.list(OURS), ["fedcba9876543210.exe", "notes.txt"]);
    for table in ["v1_events", "v1_mails"] {
        assert_eq!(
            machine.stored(&format!("SELECT CAST(COUNT(*) AS TEXT) FROM {table}")).await,
            [[Some("0".to_owned())]]
        );
    }
    for expected in ["removed AppData/Local/Temp/fleetsweep", "nothing was there"] {
        let outcome = machine.program.run(["clean"]).await;
        assert!(outcome.code == Some(0) && outcome.stdout.contains(expected), "{outcome:#?}");
    }
    assert_eq!(machine.list(TEMPORARY), ["of another program"]);
}

async fn what_a_windows_machine_refuses_is_said_with_its_mend() {
    let named = &[NAMED][..];
    let no_sftp = &[NAMED, "Subsystem none /bin/false"][..];
    let bash = r#"exec /bin/bash -c "$2""#;
    for (script, config, stage, expected) in [
        (says("x86", ""), named, "upload", "no agent for this platform: the client is `Windows x86`"),
        // The same machine under another name: it does not understand the first command, but answers the second.
        (says("x86", ""), &[][..], "upload", "no agent for this platform: the client is `Windows x86`"),
        (
            bash.to_owned(),
            named,
            "upload",
            "no agent for this platform: the client is `Windows` with another default shell than cmd.exe and \
             PowerShell: set DefaultShell to one of them",
        ),
        (says("AMD64", ""), no_sftp, "upload", "command refused: the server offers no SFTP"),
        (
            says("AMD64", "AppData*) echo 'This program is blocked by group policy.' >&2; exit 1;;\n"),
            named,
            "execute",
            "agent blocked: the shell cannot start it: exit status 1: This program is blocked by group policy.",
        ),
        (says("AMD64", "AppData*) exit 236;;\n"), named, "execute", "agent failed: exit status 236"),
        (
            says("AMD64", "AppData*) exit 225;;\n"),
            named,
            "execute",
            "agent blocked: a virus scanner refuses it: exit status 225",
        ),
        (
            says("AMD64", "AppData*) rm -r AppData/Local/Temp/fleetsweep; exit 1;;\n"),
            named,
            "execute",
            "agent blocked: its file was removed before it was executed: exit status 1",
        ),
        (says("AMD64", "AppData*) exit 0;;\n"), named, "execute", "no answer from the agent"),
    ] {
        let machine = Machine::with_shell(&script, config).await;
        assert_eq!(machine.fails().await, (stage.to_owned(), expected.to_owned()), "{script}");
        assert_eq!(machine.list(TEMPORARY), ["of another program"], "{script}");
    }
}

async fn a_profile_that_takes_no_file_is_an_error_that_names_the_directory() {
    let machine = Machine::with_shell(&says("AMD64", ""), &[NAMED]).await;
    fs::rename(machine.home("AppData"), machine.home("moved")).unwrap();
    let words = "no directory to run from: AppData/Local/Temp: No such file";
    assert_eq!(machine.fails().await, ("upload".to_owned(), words.to_owned()));
    fs::create_dir_all(machine.home(TEMPORARY)).unwrap();
    // The directory belongs to root.
    let words = "no directory to run from: AppData/Local/Temp: Permission denied";
    assert_eq!(machine.fails().await, ("upload".to_owned(), words.to_owned()));
}

async fn a_machine_that_becomes_another_one_is_recognised_anew() {
    // A file determines the platform.
    let script = format!("if [ -e ~/is-windows ]; then\n{}\nelse exec /bin/sh \"$@\"\nfi", says("x86", ""));
    let machine = Machine::with_shell(&script, &[]).await;
    machine.collects().await;
    let _service = machine.program.spawn(["--headless"]);
    // The number of collections with this status.
    let ended = async |status: &str| {
        let query = format!("SELECT CAST(COUNT(*) AS TEXT) FROM v1_collections WHERE status = '{status}'");
        machine.stored(&query).await
    };
    let ends_once_more = async |status: &str| {
        let before = ended(status).await;
        wait_until("another collection", SOON, async || ended(status).await != before).await;
    };
    ends_once_more("ok").await;
    machine.sshd.user().write("is-windows", "");
    ends_once_more("failed").await;
    let errors = machine.stored("SELECT DISTINCT error FROM v1_collections WHERE status = 'failed'").await;
    assert_eq!(errors, [[Some("no agent for this platform: the client is `Windows x86`".to_owned())]]);
    fs::remove_file(machine.home("is-windows")).unwrap();
    ends_once_more("ok").await;
}

/// What the file properties show, and what security software asks for. Text is UTF-16, each name and each value ends with
/// a zero, and a value begins at a multiple of four bytes.
async fn the_file_of_the_agent_has_version_information() {
    let image = fs::read(support::agent(support::WINDOWS).unwrap()).unwrap();
    let utf16 = |text: &str| -> Vec<u8> { text.encode_utf16().chain([0]).flat_map(u16::to_le_bytes).collect() };
    let find = |bytes: &[u8]| image.windows(bytes.len()).position(|window| window == bytes);
    let value = |name: &str| {
        let name = utf16(name);
        let start = find(&name).unwrap() + name.len();
        let units = image[start..].chunks_exact(2).map(|unit| u16::from_le_bytes([unit[0], unit[1]]));
        let text: Vec<u16> = units.skip_while(|unit| *unit == 0).take_while(|unit| *unit != 0).collect();
        String::from_utf16(&text).unwrap()
    };
    let version = env!("CARGO_PKG_VERSION");
    for (name, expected) in [
        ("CompanyName", "fleetsweep"),
        ("FileDescription", "fleetsweep agent: reports the state of this machine to its collector over SSH"),
        ("FileVersion", version),
        ("InternalName", "fleetsweep-agent"),
        ("LegalCopyright", "MIT licence"),
        ("OriginalFilename", "fleetsweep-agent.exe"),
        ("ProductName", "fleetsweep"),
        ("ProductVersion", version),
    ] {
        assert_eq!(value(name), expected, "{name}");
    }
    // The numbers: a signature, the version of the structure, and the version of the file in four parts of 16 bits.
    let numbers = find(&0xFEEF_04BD_u32.to_le_bytes()).unwrap() + 8;
    let part = |at: usize| u16::from_le_bytes([image[numbers + at], image[numbers + at + 1]]).to_string();
    let [major, minor, patch] = [2, 0, 6].map(part);
    assert_eq!(format!("{major}.{minor}.{patch}"), version);
    assert!(image.len() < 1_400_000, "{} bytes", image.len());
}
