//! The agent as a process. Its numbers are compared with those of this machine.
#![cfg(test)]

use std::{
    collections::BTreeMap,
    fs,
    io::{Read, Write},
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use fleetsweep_agent::{
    SysRng, envelope, exit,
    report::Report,
    request::{EventsWanted, Questions, Request},
};
use uuid::Uuid;

/// The time limit of all waits.
const PATIENCE: Duration = support::SOON;

/// The deadline for an agent that answers.
const DEADLINE_MS: u64 = 100_000;

fn request(window_ms: u64, deadline_ms: u64) -> (Request, p256::SecretKey) {
    let secret = envelope::fresh_secret(&mut SysRng).unwrap();
    let request = Request {
        collection: Uuid::from_u128(7),
        server_key: secret.public_key(),
        window: Duration::from_millis(window_ms),
        deadline: Duration::from_millis(deadline_ms),
        events: EventsWanted::No,
        questions: Questions::default(),
    };
    (request, secret)
}

fn start(argument: &str) -> Child {
    Command::new(env!("CARGO_BIN_EXE_fleetsweep-agent"))
        .arg(argument)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

struct Ended {
    code: Option<i32>,
    stdout: Vec<u8>,
    stderr: String,
    after: Duration,
}

/// Waits for the agent's end with its standard input open.
fn end_of(mut agent: Child) -> Ended {
    let begun = Instant::now();
    let stdin = agent.stdin.take();
    let mut stdout = agent.stdout.take().unwrap();
    let reader = thread::spawn(move || {
        let mut bytes = Vec::new();
        stdout.read_to_end(&mut bytes).map(|_| bytes)
    });
    while agent.try_wait().unwrap().is_none() {
        if begun.elapsed() > PATIENCE {
            agent.kill().unwrap();
            panic!("the agent did not end within {PATIENCE:?}");
        }
        thread::sleep(Duration::from_millis(5));
    }
    drop(stdin);
    let mut stderr = String::new();
    agent.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
    Ended {
        code: agent.wait().unwrap().code(),
        stdout: reader.join().unwrap().unwrap(),
        stderr,
        after: begun.elapsed(),
    }
}

fn collect(window_ms: u64) -> Report {
    let (request, secret) = request(window_ms, DEADLINE_MS);
    let ended = end_of(start(&request.to_argument()));
    assert_eq!((ended.code, &*ended.stderr), (Some(0), ""));
    Report::from_xml(&envelope::open(&ended.stdout, &request, &secret).unwrap()).unwrap()
}

fn words(command: &str, arguments: &[&str]) -> String {
    let output = Command::new(command).args(arguments).env("LC_ALL", "C").output().unwrap();
    assert!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
}

#[test]
fn the_agent_prints_its_envelope_and_nothing_else() {
    let (request, secret) = request(200, DEADLINE_MS);
    let ended = end_of(start(&request.to_argument()));
    assert_eq!((ended.code, &*ended.stderr), (Some(exit::ANSWERED.into()), ""));
    let text = str::from_utf8(&ended.stdout).unwrap();
    let inside = text.trim().strip_prefix(envelope::BEGIN).and_then(|text| text.strip_suffix(envelope::END)).unwrap();
    assert!(inside.lines().all(
        |line| line.len() <= 76 && line.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+/=".contains(&byte))
    ));
    let report = Report::from_xml(&envelope::open(&ended.stdout, &request, &secret).unwrap()).unwrap();
    // Nothing about the machine is in plain text. The kernel release is used as an example.
    let kernel = report.host.kernel.unwrap();
    assert_eq!(kernel, words("uname", &["-r"]));
    assert!(!text.contains(&kernel));
}

#[test]
fn host_memory_times_and_load_agree_with_this_machine() {
    let meminfo = || -> BTreeMap<String, u64> {
        let text = fs::read_to_string("/proc/meminfo").unwrap();
        let line = |line: &str| {
            let (name, rest) = line.split_once(':')?;
            Some((name.to_owned(), rest.split_whitespace().next()?.parse::<u64>().ok()? * 1024))
        };
        text.lines().filter_map(line).collect()
    };
    let free = |row: &str| -> Vec<u64> {
        let text = words("free", &["-b"]);
        let row = text.lines().find_map(|line| line.strip_prefix(row)).unwrap();
        row.split_whitespace().map(|word| word.parse().unwrap()).collect()
    };
    let before = meminfo();
    let report = collect(200);
    let (free_memory, free_swap) = (free("Mem:"), free("Swap:"));
    let after = meminfo();

    assert_eq!(report.host.name.unwrap(), words("uname", &["-n"]));
    assert_eq!(report.host.os_family.unwrap(), "linux");
    assert_eq!(report.host.architecture.unwrap(), words("uname", &["-m"]));
    let os_release = fs::read_to_string("/etc/os-release").unwrap();
    let name = os_release.lines().find_map(|line| line.strip_prefix("NAME=")).unwrap().trim_matches('"');
    assert!(report.host.os_version.unwrap().starts_with(name));
    assert_eq!(report.agent_version, env!("CARGO_PKG_VERSION"));

    let memory = report.memory.unwrap();
    assert_eq!(memory.total_bytes, free_memory[0]);
    assert_eq!(memory.used_bytes + memory.available_bytes, memory.total_bytes);
    // The rest of the machine may change its usage between the measurements, so a tenth of its memory is tolerated.
    let slack = memory.total_bytes / 10;
    let available = [before["MemAvailable"], after["MemAvailable"], free_memory[5]];
    assert!(
        memory.available_bytes.saturating_add(slack) >= *available.iter().min().unwrap(),
        "{memory:?} {available:?}"
    );
    assert!(memory.available_bytes <= *available.iter().max().unwrap() + slack, "{memory:?} {available:?}");
    match report.swap {
        Some(swap) => {
            assert_eq!(swap.total_bytes, free_swap[0]);
            assert!(swap.used_bytes.abs_diff(free_swap[1]) <= swap.total_bytes / 10);
        }
        None => assert_eq!(free_swap[0], 0, "swap is absent where there is none, and only there"),
    }

    let uptime: f64 = fs::read_to_string("/proc/uptime").unwrap().split(' ').next().unwrap().parse().unwrap();
    assert!((uptime - report.uptime.unwrap().as_secs_f64()).abs() < PATIENCE.as_secs_f64());
    let stat = fs::read_to_string("/proc/stat").unwrap();
    let boot: i64 = stat.lines().find_map(|line| line.strip_prefix("btime ")).unwrap().parse().unwrap();
    assert!((boot * 1000 - report.boot_unix_ms.unwrap()).abs() <= 1000);
    let load: Vec<f64> =
        fs::read_to_string("/proc/loadavg").unwrap().split(' ').take(3).map(|l| l.parse().unwrap()).collect();
    assert!((load[2] - report.load.unwrap().fifteen).abs() < 1.0);
}

#[test]
fn what_is_asked_for_is_answered_and_nothing_else() {
    let name = "fleetsweep-agent-asked-for";
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join(name);
    // The kernel cuts the name to 15 bytes.
    std::os::unix::fs::symlink("/bin/sleep", &program).unwrap();
    let mut children = [(); 2].map(|()| Command::new(&program).arg("1000").spawn().unwrap());
    let (mut asking, secret) = request(300, DEADLINE_MS);
    asking.questions.units = true;
    for name in [name, "no-such-process"] {
        asking.questions.ask_for_process(name).unwrap();
    }
    let ended = end_of(start(&asking.to_argument()));
    for child in &mut children {
        child.kill().unwrap();
        child.wait().unwrap();
    }
    assert_eq!((ended.code, &*ended.stderr), (Some(0), ""));
    let report = Report::from_xml(&envelope::open(&ended.stdout, &asking, &secret).unwrap()).unwrap();
    assert_eq!(report.process_counts, Some(vec![(name.to_owned(), 2), ("no-such-process".to_owned(), 0)]));
    let has_systemd = Path::new("/run/systemd/system").is_dir();
    let is_told = report.failed_units.is_some() || report.warnings.iter().any(|warning| warning.what == "failed units");
    assert_eq!(is_told, has_systemd, "{:?}", report.warnings);

    let report = collect(200);
    assert_eq!((report.process_counts, report.failed_units), (None, None));
}

#[test]
fn cores_and_processes_agree_with_what_this_machine_does() {
    // A process that uses a whole core, if other work allows it.
    let mut busy = Command::new("sh").args(["-c", "while :; do :; done"]).spawn().unwrap();
    let report = collect(1000);
    busy.kill().unwrap();
    busy.wait().unwrap();

    let cpu = report.cpu.unwrap();
    assert_eq!(cpu.core_percent.len().to_string(), words("nproc", &["--all"]));
    assert!(cpu.window >= Duration::from_secs(1) && cpu.window < PATIENCE);
    assert!(report.agent_duration >= cpu.window);
    let mean = cpu.core_percent.iter().sum::<f64>() / cpu.core_percent.len() as f64;
    // The kernel's ticks are 10 ms, and the cores are read one after the other.
    assert!((mean - cpu.total_percent).abs() < 5.0, "{cpu:?}");
    assert!(cpu.total_percent > 20.0 / cpu.core_percent.len() as f64, "{cpu:?}");

    let found = report.top_cpu.iter().find(|process| process.pid == busy.id());
    // On a busy machine, five other processes may use as much; each must then have used as much as ours could.
    match found {
        Some(process) => {
            assert_eq!(process.name, "sh");
            assert!(process.cpu_percent > 1.0 && process.cpu_percent < 110.0, "{process:?}");
        }
        None => assert!(report.top_cpu.len() == 5 && report.top_cpu.iter().all(|process| process.cpu_percent > 1.0)),
    }
    assert!(report.top_cpu.is_sorted_by(|a, b| a.cpu_percent >= b.cpu_percent));
    assert!(report.top_memory.is_sorted_by(|a, b| a.memory_bytes >= b.memory_bytes));
    assert_eq!(report.top_memory.len(), 5);
    let ours = report.top_memory.iter().find_map(|process| {
        let status = fs::read_to_string(format!("/proc/{}/status", process.pid)).ok()?;
        let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name).map(str::trim));
        let resident: u64 = field("VmRSS:")?.split(' ').next()?.parse().ok()?;
        Some((process.clone(), field("Name:")?.to_owned(), resident * 1024))
    });
    let (process, name, resident) = ours.expect("one of five large processes lives on");
    assert_eq!(process.name, name);
    assert!(process.memory_bytes.abs_diff(resident) <= resident / 2 + (64 << 20), "{process:?} {resident}");
}

#[test]
fn file_systems_agree_with_df() {
    let df = || -> BTreeMap<String, [u64; 4]> {
        // The exit code is 1 if one mount cannot be read; the others are still printed.
        let printed = |paths: &[&str]| {
            let arguments = ["-B1", "--output=size,used,avail,pcent,target"];
            String::from_utf8(Command::new("df").args(arguments).args(paths).output().unwrap().stdout).unwrap()
        };
        // In a chroot, the root is no mount, and only known if it is asked for.
        let text = printed(&[]) + &printed(&["/"]);
        let line = |line: &str| {
            let mut words = line.split_whitespace();
            let mut number = || words.next()?.trim_end_matches('%').parse().ok();
            let numbers = [number()?, number()?, number()?, number()?];
            Some((words.collect::<Vec<_>>().join(" "), numbers))
        };
        text.lines().filter_map(line).collect()
    };
    let before = df();
    let report = collect(200);
    let after = df();
    let has_root = report.file_systems.iter().any(|system| system.mount == "/");
    assert!(has_root, "{:?}", report.file_systems);
    for system in &report.file_systems {
        let (Some([size, used, available, percent]), Some([_, used_after, available_after, percent_after])) =
            (before.get(&system.mount), after.get(&system.mount))
        else {
            panic!("df does not know {system:?}");
        };
        assert_eq!(system.total_bytes, *size, "{system:?}");
        // Other processes may write meanwhile, so a hundredth of the size is tolerated.
        let slack = size / 100;
        let within = |value: u64, a: &u64, b: &u64| value + slack >= *a.min(b) && value <= a.max(b) + slack;
        assert!(within(system.used_bytes, used, used_after), "{system:?} {used} {used_after}");
        assert!(within(system.available_bytes, available, available_after), "{system:?} {available} {available_after}");
        let ours = 100.0 * system.used_bytes as f64 / (system.used_bytes + system.available_bytes) as f64;
        let (low, high) = (*percent.min(percent_after) as f64 - 2.0, *percent.max(percent_after) as f64 + 1.0);
        assert!(ours >= low && ours <= high, "{system:?} {percent}");
    }
    // Everything in the output of df is in the report, except what is omitted intentionally.
    let left_out = ["overlay", "squashfs", "iso9660", "erofs", "cramfs", "efivarfs", "ramfs"];
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
    // What cannot be written is full by nature.
    let is_read_only = |target: &str| {
        let mut options =
            mounts.lines().filter_map(|line| line.split_once(&format!(" {target} "))?.1.split(' ').nth(1));
        options.next_back().is_some_and(|options| options.split(',').any(|option| option == "ro"))
    };
    let kinds = words("df", &["--output=fstype,target"]);
    let silent: Vec<_> = report.warnings.iter().map(|warning| &*warning.what).collect();
    for line in kinds.lines().skip(1) {
        let (kind, target) = line.split_once(char::is_whitespace).unwrap();
        let target = target.trim();
        let same_size = |mount: &&String| before.get(*mount).map(|n| n[0]) == before.get(target).map(|n| n[0]);
        assert!(
            report.file_systems.iter().map(|system| &system.mount).any(|mount| mount == target || same_size(&mount))
                || is_read_only(target)
                || left_out.contains(&kind)
                || silent.contains(&&*format!("file system {target}")),
            "{kind} at {target} is not in the report"
        );
    }
}

#[test]
fn network_counters_agree_with_the_kernel() {
    let counters = || -> BTreeMap<String, Vec<u64>> {
        let text = fs::read_to_string("/proc/net/dev").unwrap();
        let line = |line: &str| {
            let (name, numbers) = line.split_once(':')?;
            Some((name.trim().to_owned(), numbers.split_whitespace().map(|n| n.parse().unwrap()).collect()))
        };
        text.lines().skip(2).filter_map(line).collect()
    };
    let before = counters();
    let report = collect(200);
    let after = counters();
    assert_eq!(report.interfaces.len(), after.len());
    for interface in report.interfaces {
        let (before, after) = (&before[&interface.name], &after[&interface.name]);
        assert!((before[0]..=after[0]).contains(&interface.received_bytes), "{interface:?}");
        assert!((before[8]..=after[8]).contains(&interface.sent_bytes), "{interface:?}");
    }
}

#[test]
fn the_alarm_ends_an_agent_that_takes_too_long() {
    let (request, _) = request(10_000, 1000);
    let ended = end_of(start(&request.to_argument()));
    assert_eq!(ended.code, Some(exit::DEADLINE.into()));
    assert_eq!(ended.stderr, "fleetsweep-agent: the deadline passed\n");
    assert!(ended.stdout.is_empty());
    assert!(ended.after >= Duration::from_millis(900), "{:?}", ended.after);
}

#[test]
fn the_alarm_ends_an_agent_whose_answer_nobody_reads() {
    let (request, _) = request(200, 2000);
    let mut agent = start(&request.to_argument());
    // The other end of the pipe stays open and full.
    let stdout = agent.stdout.take().unwrap();
    rustix::pipe::fcntl_setpipe_size(&stdout, 4096).unwrap();
    let filler = fs::File::options().write(true).open(format!("/proc/{}/fd/1", agent.id())).unwrap();
    (&filler).write_all(&[b'\n'; 4096]).unwrap();
    let begun = Instant::now();
    while agent.try_wait().unwrap().is_none() {
        assert!(begun.elapsed() < PATIENCE);
        thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(agent.wait().unwrap().code(), Some(exit::DEADLINE.into()));
    drop(stdout);
}

#[test]
fn a_collector_that_hangs_up_ends_the_agent() {
    let (request, _) = request(10_000, 60_000);
    let mut agent = start(&request.to_argument());
    let mut stdin = agent.stdin.take().unwrap();
    // The data is ignored, but its end is not.
    stdin.write_all(b"noise\n").unwrap();
    drop(stdin);
    let ended = end_of(agent);
    assert_eq!(ended.code, Some(exit::HUNG_UP.into()));
    assert_eq!(ended.stderr, "fleetsweep-agent: standard input ended before the answer was given\n");
    assert!(ended.stdout.is_empty());
}

#[test]
fn what_is_no_request_is_refused_in_one_line() {
    let other = concat!(
        "the request speaks version 9, this agent version 1 (fleetsweep-agent ",
        env!("CARGO_PKG_VERSION"),
        ")"
    );
    for (argument, code, expected) in [
        ("", exit::BAD_REQUEST, "the request's version is not well formed"),
        ("9.x", exit::OTHER_VERSION, other),
        ("1.x", exit::BAD_REQUEST, "the request's collection is not well formed"),
    ] {
        let ended = end_of(start(argument));
        assert_eq!(ended.code, Some(code.into()));
        assert_eq!(ended.stderr, format!("fleetsweep-agent: {expected}\n"));
        assert!(ended.stdout.is_empty());
    }
    let ended = end_of(start("--version"));
    assert_eq!(ended.code, Some(0));
    assert_eq!(
        String::from_utf8(ended.stdout).unwrap(),
        concat!("fleetsweep-agent ", env!("CARGO_PKG_VERSION"), " (wire 1)\n")
    );
}
