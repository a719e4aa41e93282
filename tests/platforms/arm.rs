//! A 64-bit ARM client: its agent runs in QEMU, directly and through a real sshd. The kernel is that of this machine.
//! Agents for further platforms answer a request as well, if `agent/build-agents --all` has built them.

use std::{
    fs,
    io::Read as _,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use fleetsweep_agent::{
    SysRng, envelope,
    report::Report,
    request::{EventsWanted, Questions, Request},
};
use serde_json::Value;
use support::{ARM, Fleetsweep, Login, SOON, Sshd, SshdOptions, Trial, agent, kept, path_of, rows, wait_until};
use tempfile::TempDir;
use uuid::Uuid;

pub(crate) fn trials() -> Vec<Trial> {
    support::trial_list! {
        needs(Qemu, ArmAgent) => the_arm_agent_answers_a_request;
        needs(Sshd, Root, Qemu, ArmAgent) =>
            intel_and_arm_are_swept_at_once_and_each_keeps_its_own_agent,
            an_arm_agent_that_is_not_kept_leaves_nothing_behind;
        needs(Sshd, Root) => a_platform_without_an_agent_is_named;
    }
}

/// Runs programs for ARM.
const QEMU: &str = "qemu-aarch64-static";

/// A machine with another output of `uname -sm` than this one.
struct Machine {
    sshd: Sshd,
    _shell: TempDir,
}

impl Machine {
    /// A machine with this output of `uname -sm`. It is simulated by the login shell of the account, with which sshd
    /// runs all commands.
    ///
    /// The kernel of this machine cannot run programs for ARM, so the shell puts QEMU before the agent wherever the
    /// command runs a path with the request as the argument. Everything else is as usual.
    async fn start(uname: &str) -> Self {
        let shell = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| -> PathBuf {
            let path = shell.path().join(name);
            fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
            path
        };
        fs::set_permissions(shell.path(), fs::Permissions::from_mode(0o755)).unwrap();
        write("uname", &format!("echo {uname}"));
        let qemu = path_of(QEMU);
        let shell_program = write(
            "shell",
            &format!(
                "PATH={}:$PATH; export PATH\n\
                 exec /bin/sh -c \"$(printf %s \"$2\" | sed 's|\\([$/a-z]*\\) [$]r;|{} \\1 $r;|g')\"",
                shell.path().display(),
                qemu.display()
            ),
        );
        Self { sshd: sshd(shell_program).await, _shell: shell }
    }
}

async fn sshd(shell: PathBuf) -> Sshd {
    Sshd::start(SshdOptions { login: Login::Throwaway { shell }, ..SshdOptions::default() }).await
}

/// The `<client>` element for it.
fn client(name: &str, sshd: &Sshd, further: &str) -> String {
    let (ip, port, username, key) = (sshd.addresses()[0], sshd.port(), sshd.username(), sshd.key());
    format!(
        r#"<client name="{name}" ip="{ip}" port="{port}" username="{username}" key="{}" {further}/>"#,
        key.display()
    )
}

fn program(clients: &[String]) -> Fleetsweep {
    let settings = r#"<collector timeout="120s" retries="0"/><database url="sqlite:fleet.db"/>"#;
    Fleetsweep::new(env!("CARGO_BIN_EXE_fleetsweep"))
        .with_config(&format!("<config>\n{settings}\n{}\n</config>\n", clients.join("\n")))
}

/// Sweeps once and returns the clients of the document and the exit code.
async fn sweep(program: &Fleetsweep) -> (Vec<Value>, Option<i32>) {
    let outcome = program.run(["--once", "--format", "json"]).await;
    let document: Value = serde_json::from_str(&outcome.stdout).unwrap_or_else(|_| panic!("{outcome:?}"));
    (document["clients"].as_array().unwrap().clone(), outcome.code)
}

async fn all_is_collected(program: &Fleetsweep) {
    let (clients, code) = sweep(program).await;
    assert!(code == Some(0) && clients.iter().all(|client| client["status"] == "ok"), "{clients:#?}");
}

/// The file that is kept for an account, with its inode and change time.
fn kept_agent(sshd: &Sshd) -> (PathBuf, u64, i64) {
    let directory = PathBuf::from(format!("/tmp/.fleetsweep-{}", sshd.username()));
    assert_eq!(kept(&sshd.username()), [directory.as_path()]);
    let files: Vec<PathBuf> = fs::read_dir(&directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    let [file] = files.as_slice() else { panic!("{files:?}") };
    let metadata = fs::metadata(file).unwrap();
    (file.clone(), metadata.ino(), metadata.mtime_nsec())
}

/// The machine type in the ELF header of a file.
fn machine_of(file: &Path) -> u16 {
    let image = fs::read(file).unwrap();
    assert_eq!(image[..4], *b"\x7fELF");
    u16::from_le_bytes([image[18], image[19]])
}

/// The number of x86-64 in an ELF header.
const INTEL_MACHINE: u16 = 62;
const ARM_MACHINE: u16 = 183;

/// Platforms whose agents are only built on demand, with their emulator and their name for the processor.
const FURTHER: [(&str, &str, &str); 3] = [
    ("armv7-unknown-linux-gnueabihf", "qemu-arm-static", "armv7l"),
    ("i686-unknown-linux-gnu", "qemu-i386-static", "i686"),
    ("riscv64gc-unknown-linux-gnu", "qemu-riscv64-static", "riscv64"),
];

async fn the_arm_agent_answers_a_request() {
    let further = FURTHER.into_iter().filter(|(triple, ..)| agent(triple).is_some());
    for (triple, emulator, architecture) in [(ARM, QEMU, "aarch64")].into_iter().chain(further) {
        answers_a_request(triple, emulator, architecture);
    }
}

fn answers_a_request(triple: &str, emulator: &str, architecture: &str) {
    let secret = envelope::fresh_secret(&mut SysRng).unwrap();
    let request = Request {
        collection: Uuid::new_v4(),
        server_key: secret.public_key(),
        window: Duration::from_millis(200),
        deadline: SOON,
        events: EventsWanted::No,
        questions: Questions::default(),
    };
    let mut running = Command::new(path_of(emulator))
        .arg(agent(triple).unwrap())
        .arg(request.to_argument())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    // The agent ends when its input ends.
    let input = running.stdin.take();
    let mut answer = Vec::new();
    running.stdout.take().unwrap().read_to_end(&mut answer).unwrap();
    assert!(running.wait().unwrap().success());
    drop(input);
    let report = Report::from_xml(&envelope::open(&answer, &request, &secret).unwrap()).unwrap();
    assert_eq!(report.host.architecture.as_deref(), Some(architecture), "{triple}");
    assert_eq!(report.host.os_family.as_deref(), Some("linux"));
    let meminfo = fs::read_to_string("/proc/meminfo").unwrap();
    let kilobytes: u64 = meminfo.split_whitespace().nth(1).unwrap().parse().unwrap();
    assert_eq!(report.memory.unwrap().total_bytes, kilobytes * 1024);
    let cores = std::thread::available_parallelism().unwrap().get();
    assert!(report.cpu.unwrap().core_percent.len() >= cores);
    assert!(report.uptime.unwrap() > Duration::ZERO);
    let has_root = report.file_systems.iter().any(|system| system.mount == "/");
    assert!(has_root, "{:?}", report.file_systems);
    assert_eq!(report.warnings, []);
}

async fn intel_and_arm_are_swept_at_once_and_each_keeps_its_own_agent() {
    let (intel, arm) = (sshd("/bin/sh".into()).await, Machine::start("Linux aarch64").await);
    let program = program(&[client("intel", &intel, ""), client("arm", &arm.sshd, "")]);
    all_is_collected(&program).await;
    let stored = "SELECT name, json_extract(reading, '$.architecture'), json_extract(reading, '$.os_family'), \
                  json_extract(reading, '$.cpu') BETWEEN 0 AND 100, json_extract(reading, '$.memory.used') > 0, \
                  json_extract(reading, '$.uptime_seconds') > 0 \
                  FROM clients JOIN readings ON client_id = clients.id AND slot = latest_slot ORDER BY name";
    let stored: Vec<Vec<String>> = rows(&program.path("fleet.db"), stored)
        .await
        .into_iter()
        .map(|row| row.into_iter().flatten().collect())
        .collect();
    assert_eq!(stored, [["arm", "aarch64", "linux", "1", "1", "1"], ["intel", "x86_64", "linux", "1", "1", "1"]]);

    let kept = [kept_agent(&intel), kept_agent(&arm.sshd)];
    assert_eq!([machine_of(&kept[0].0), machine_of(&kept[1].0)], [INTEL_MACHINE, ARM_MACHINE]);
    assert!(fs::read(&kept[1].0).unwrap() == fs::read(agent(ARM).unwrap()).unwrap(), "it is another agent");
    all_is_collected(&program).await;
    assert_eq!([kept_agent(&intel), kept_agent(&arm.sshd)], kept, "an agent was sent again");
}

async fn an_arm_agent_that_is_not_kept_leaves_nothing_behind() {
    let arm = Machine::start("Linux aarch64").await;
    all_is_collected(&program(&[client("arm", &arm.sshd, r#"agent="remove""#)])).await;
    wait_until("nothing to be left", SOON, async || {
        kept(&arm.sshd.username()).is_empty() && !arm.sshd.user().home().join(".cache").exists()
    })
    .await;
}

async fn a_platform_without_an_agent_is_named() {
    let mips = Machine::start("Linux mips").await;
    let (clients, code) = sweep(&program(&[client("router", &mips.sshd, "")])).await;
    assert_eq!(code, Some(1));
    let said = ["status", "stage", "error"].map(|field| clients[0][field].as_str().unwrap());
    assert_eq!(said, ["failed", "upload", "no agent for this platform: the client is `Linux mips`"]);
    assert!(kept(&mips.sshd.username()).is_empty());

    let bsd = Machine::start("FreeBSD amd64").await;
    let (clients, _) = sweep(&program(&[client("bsd", &bsd.sshd, "")])).await;
    let words =
        "no agent for this platform: the client is `FreeBSD amd64`: agents exist for Linux and 64-bit Windows alone";
    assert_eq!(clients[0]["error"], words);
}
