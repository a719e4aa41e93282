//! The agent for Windows in Wine: its report and how it reads a Security log, which a replacement of the system library
//! serves. This does not replace tests on Windows.

use std::{
    env, fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::OnceLock,
    time::{Duration, Instant},
};

use fleetsweep_agent::{
    SysRng, envelope, exit,
    report::{EventAccess, EventLog, Report, SecurityEvent},
    request::{Bookmark, EventsWanted, FurtherLog, Questions, Request},
};
use jiff::Timestamp;
use support::{Trial, WINDOWS};
use tempfile::TempDir;
use tokio::time::timeout;
use uuid::Uuid;

pub(crate) fn trials() -> Vec<Trial> {
    support::trial_list! {
        needs(Wine, Mingw, WindowsAgent) =>
            the_state_of_a_machine_is_what_it_is,
            events_come_oldest_first_and_the_bookmark_goes_on,
            the_name_of_an_account_is_before_its_identity,
            what_does_not_fit_comes_with_the_next_reports,
            what_is_lost_or_late_is_named,
            a_batch_that_is_too_large_does_not_slow_down_the_rest,
            a_log_of_a_million_records_is_read_where_the_last_report_ended,
            further_logs_are_read_with_positions_of_their_own,
            a_cleared_log_is_noticed_and_read_from_its_start,
            a_log_that_cannot_be_read_does_not_pass_for_a_quiet_one,
            a_deadline_ends_the_agent_whose_answer_nobody_reads,
            a_deadline_ends_the_agent_for_windows;
    }
}

/// The time limit of one run. Wine takes a second or two, and more on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);
const MINUTE_MS: i64 = 60_000;
const DAY: Duration = Duration::from_secs(24 * 3600);

/// Shared by all tests, because setting up Wine takes seconds.
static WINE: OnceLock<Wine> = OnceLock::new();

struct Wine {
    directory: PathBuf,
}

impl Wine {
    fn shared() -> &'static Self {
        WINE.get_or_init(Self::new)
    }

    /// The agent in its own directory with the libraries that Wine lacks.
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap().keep();
        fs::set_permissions(&directory, fs::Permissions::from_mode(0o755)).unwrap();
        fs::copy(support::agent(WINDOWS).unwrap(), directory.join("agent.exe")).unwrap();
        let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/platforms/wine");
        for library in ["bcryptprimitives", "wevtapi"] {
            let output = Command::new("x86_64-w64-mingw32-gcc")
                .args(["-shared", "-O1", "-Wall", "-Wextra", "-Werror", "-o"])
                .arg(directory.join(format!("{library}.dll")))
                .arg(sources.join(format!("{library}.c")))
                .arg("-ladvapi32")
                .output()
                .unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        }
        let wine = Self { directory };
        let output = wine.command(&[]).arg("--version").output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        wine
    }

    fn prefix(&self) -> PathBuf {
        self.directory.join("prefix")
    }

    fn command(&self, environment: &[(&str, &str)]) -> Command {
        let mut command = Command::new("wine");
        command
            .arg(self.directory.join("agent.exe"))
            .env("WINEPREFIX", self.prefix())
            // Wine's server leaves a socket there.
            .env("TMPDIR", &self.directory)
            .env("WINEDEBUG", "-all")
            .env("WINEDLLOVERRIDES", "wevtapi=n;mscoree,mshtml=")
            // SSH servers pass a pipe that is closed immediately or never. The agent must work with both.
            .stdin(Stdio::null());
        command.envs(environment.iter().copied());
        command
    }
}

/// Ends the processes of Wine and removes its directory.
pub(crate) fn end() {
    if let Some(wine) = WINE.get() {
        let ended = end_server(|| {
            let mut server = Command::new("wineserver");
            server.env("WINEPREFIX", wine.prefix());
            server
        });
        assert!(ended, "Wine does not end: see {}", wine.directory.display());
        fs::remove_dir_all(&wine.directory).unwrap();
    }
}

/// Ends a `wineserver` and waits for its end. `wineserver -k` fails if it has already ended, which is not an error here.
pub(crate) fn end_server(server: impl Fn() -> Command) -> bool {
    let told = server().arg("-k").stderr(Stdio::null()).status();
    told.is_ok() && server().arg("-w").status().is_ok_and(|status| status.success())
}

/// The directory of the libraries that Wine lacks, readable by all users.
pub(crate) fn libraries() -> &'static Path {
    &Wine::shared().directory
}

/// The result of a run of the agent.
struct Ended {
    code: Option<i32>,
    stdout: Vec<u8>,
    stderr: String,
}

fn request(window_ms: u64, deadline_ms: u64, events: EventsWanted) -> (Request, p256::SecretKey) {
    let secret = envelope::fresh_secret(&mut SysRng).unwrap();
    let request = Request {
        collection: Uuid::new_v4(),
        server_key: secret.public_key(),
        window: Duration::from_millis(window_ms),
        deadline: Duration::from_millis(deadline_ms),
        events,
        questions: Questions::default(),
    };
    (request, secret)
}

async fn run(argument: &str, environment: &[(&str, &str)]) -> Ended {
    let command = Wine::shared().command(environment);
    let mut command = tokio::process::Command::from(command);
    command.arg(argument).kill_on_drop(true);
    let output = timeout(PATIENCE, command.output()).await.expect("an agent that ends").unwrap();
    // Messages of Wine itself, for example that it cannot read the disk of this machine as a device.
    let stderr = String::from_utf8(output.stderr).unwrap();
    let stderr = stderr.split_inclusive('\n').filter(|line| !line.starts_with("wine: ")).collect();
    Ended { code: output.status.code(), stdout: output.stdout, stderr }
}

async fn collect_within(deadline_ms: u64, events: EventsWanted, environment: &[(&str, &str)]) -> Report {
    let (request, secret) = request(500, deadline_ms, events);
    collect_for(&request, &secret, environment).await
}

async fn collect_for(request: &Request, secret: &p256::SecretKey, environment: &[(&str, &str)]) -> Report {
    let ended = run(&request.to_argument(), environment).await;
    assert_eq!((ended.code, &*ended.stderr), (Some(exit::ANSWERED.into()), ""));
    assert!(!ended.stdout.contains(&b'\r'), "lines end as everywhere");
    Report::from_xml(&envelope::open(&ended.stdout, request, secret).unwrap()).unwrap()
}

/// A Security log in a file.
struct Log {
    directory: TempDir,
}

impl Log {
    fn of(records: impl IntoIterator<Item = String>) -> Self {
        let log = Self { directory: tempfile::tempdir().unwrap() };
        log.write(records);
        log
    }

    fn write(&self, records: impl IntoIterator<Item = String>) {
        let text: String = records.into_iter().map(|record| record + "\n\n").collect();
        fs::write(self.directory.path().join("log"), text).unwrap();
    }

    /// What an agent with a limit of 30 s reads from it, and its warnings.
    async fn read(&self, events: EventsWanted, fault: &str) -> (EventLog, Vec<String>) {
        self.read_within(30_000, events, fault).await
    }

    async fn read_within(&self, deadline_ms: u64, events: EventsWanted, fault: &str) -> (EventLog, Vec<String>) {
        let (log, warnings, _) = self.read_counting(deadline_ms, events, &[("FAKE_SECURITY_FAULT", fault)]).await;
        (log, warnings)
    }

    /// What an agent reads from it and from further logs, and all warnings about logs.
    async fn read_logs(&self, logs: &[FurtherLog], events: EventsWanted) -> (EventLog, Vec<(String, String)>) {
        let path = self.directory.path().join("log");
        let (mut request, secret) = request(500, 30_000, events);
        for log in logs {
            request.questions.ask_for_log(log.clone()).unwrap();
        }
        let report = collect_for(&request, &secret, &[("FAKE_SECURITY_LOG", path.to_str().unwrap())]).await;
        let about = report.warnings.into_iter().filter(|warning| warning.what.contains("log"));
        (report.events.unwrap(), about.map(|warning| (warning.what, warning.why)).collect())
    }

    /// The same, with how often records were requested, and how many were searched.
    async fn read_counting(
        &self,
        deadline_ms: u64,
        events: EventsWanted,
        more: &[(&str, &str)],
    ) -> (EventLog, Vec<String>, [u64; 2]) {
        let (log, closed) = (self.directory.path().join("log"), self.directory.path().join("closed"));
        let mut environment =
            vec![("FAKE_SECURITY_LOG", log.to_str().unwrap()), ("FAKE_SECURITY_CLOSED", closed.to_str().unwrap())];
        environment.extend(more);
        let report = collect_within(deadline_ms, events, &environment).await;
        let refused = more.iter().any(|(_, fault)| fault.starts_with("error"));
        let counts = fs::read_to_string(&closed).ok();
        assert_eq!(counts.is_some(), !refused, "every handle is closed again: {more:?}");
        let mut numbers = counts.iter().flat_map(|text| text.split(' ')).map(|number| number.parse().unwrap());
        let counts = [numbers.next().unwrap_or_default(), numbers.next().unwrap_or_default()];
        drop(numbers);
        let _ = fs::remove_file(closed);
        let warnings = report.warnings.into_iter().filter(|warning| warning.what == "security log");
        (report.events.unwrap(), warnings.map(|warning| warning.why).collect(), counts)
    }
}

fn now_ms() -> i64 {
    Timestamp::now().as_millisecond()
}

fn record(record_id: u64, at_ms: i64, event_id: u32, data: &str) -> String {
    let time = Timestamp::from_millisecond(at_ms).unwrap();
    format!(
        "<Event xmlns='http://schemas.microsoft.com/win/2004/08/events/event'><System>\n\
         <Provider Name='Microsoft-Windows-Security-Auditing'/><EventID>{event_id}</EventID><Level>0</Level>\
         <Keywords>0x8010000000000000</Keywords><TimeCreated SystemTime='{time}'/>\
         <EventRecordID>{record_id}</EventRecordID><Channel>Security</Channel></System>{data}</Event>"
    )
}

/// A failed logon.
fn logon(record_id: u64, at_ms: i64) -> String {
    let data = "<EventData><Data Name='TargetUserName'>jörg &amp; co</Data><Data Name='SubStatus'>0xc0000064</Data>\
                <Data Name='LogonType'>3</Data></EventData>";
    record(record_id, at_ms, 4625, data)
}

/// Failed logons, one per second up to `newest_ms`.
pub(crate) fn logons(first: u64, last: u64, newest_ms: i64) -> impl Iterator<Item = String> {
    (first..=last).map(move |record_id| logon(record_id, newest_ms - i64::try_from(last - record_id).unwrap() * 1000))
}

fn ids(log: &EventLog) -> Vec<u64> {
    log.events.iter().map(|event| event.record_id.parse().unwrap()).collect()
}

fn after(log: &EventLog) -> EventsWanted {
    EventsWanted::After(Bookmark::new(log.bookmark.clone().unwrap()).unwrap())
}

fn proc_number(file: &str, name: &str) -> f64 {
    let text = fs::read_to_string(file).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap()
}

/// A report, and the time before it, once five processes live. Wine starts and ends services by itself, and one that has
/// ended stays in its list for a while, without memory.
async fn settled() -> (Instant, Report) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let begun = Instant::now();
        let report = collect_within(30_000, EventsWanted::No, &[]).await;
        if report.top_memory.iter().filter(|process| process.memory_bytes > 0).count() == 5 {
            return (begun, report);
        }
        assert!(Instant::now() < deadline, "Wine's services did not start: {:?}", report.top_memory);
    }
}

async fn the_state_of_a_machine_is_what_it_is() {
    let (begun, report) = settled().await;
    // Wine has no list of page files.
    let warnings: Vec<_> = report.warnings.iter().map(|warning| (&*warning.what, &*warning.why)).collect();
    assert_eq!(warnings, [("swap", "the kernel answers with status 0xC0000003")]);
    assert_eq!(report.events, None);
    assert_eq!(report.load, None);

    assert_eq!(report.host.os_family.as_deref(), Some("windows"));
    let version = report.host.os_version.unwrap();
    assert!(version.contains("Windows") && version.contains(report.host.kernel.as_deref().unwrap()), "{version}");
    assert_eq!(report.host.architecture.as_deref(), Some("x86_64"));
    let name = fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    assert!(report.host.name.unwrap().eq_ignore_ascii_case(name.trim()));

    let memory = report.memory.unwrap();
    assert_eq!(memory.used_bytes + memory.available_bytes, memory.total_bytes);
    let total = proc_number("/proc/meminfo", "MemTotal:") * 1024.0;
    assert!((memory.total_bytes as f64 - total).abs() < total / 100.0, "{memory:?}");

    let commit = report.commit.unwrap();
    assert!(commit.used_bytes > 0 && commit.used_bytes <= commit.limit_bytes, "{commit:?}");
    // Nothing was asked for.
    assert_eq!((report.failed_units, report.process_counts), (None, None));
    let counters = report.counters.unwrap();
    assert_eq!(counters.page_faults.is_some(), counters.major_page_faults.is_some());

    let uptime = proc_number("/proc/uptime", "");
    let (ours, elapsed) = (report.uptime.unwrap().as_secs_f64(), begun.elapsed().as_secs_f64());
    assert!(ours <= uptime + 2.0 && ours >= uptime - elapsed - 2.0, "{ours} {uptime}");
    let boot_ms = proc_number("/proc/stat", "btime ") * 1000.0;
    assert!((report.boot_unix_ms.unwrap() as f64 - boot_ms).abs() < 5000.0);

    let cpu = report.cpu.unwrap();
    assert_eq!(cpu.core_percent.len(), std::thread::available_parallelism().unwrap().get());
    assert!(cpu.window >= Duration::from_millis(500) && report.agent_duration >= cpu.window);
    assert!(cpu.core_percent.iter().chain([&cpu.total_percent]).all(|percent| (0.0..=100.0).contains(percent)));

    let drive = report.file_systems.iter().find(|system| system.mount == "C:\\").unwrap();
    assert!(drive.total_bytes > 0 && drive.used_bytes <= drive.total_bytes && !drive.kind.is_empty(), "{drive:?}");
    assert_eq!(report.top_memory.len(), 5, "{:?}", report.top_memory);
    assert!(report.top_memory.iter().all(|process| process.name.ends_with(".exe") && process.memory_bytes > 0));
    assert!(report.top_memory.is_sorted_by(|one, other| one.memory_bytes >= other.memory_bytes));
    assert!(report.top_cpu.is_sorted_by(|one, other| one.cpu_percent >= other.cpu_percent));
}

async fn events_come_oldest_first_and_the_bookmark_goes_on() {
    let newest_ms = now_ms();
    let long = format!("<EventData><Data Name='CommandLine'>{}</Data></EventData>", "x".repeat(30_000));
    // The third record is larger than the buffer for the newer ones. Records older than a day are not reported.
    let records =
        [logon(1, newest_ms - 25 * 60 * MINUTE_MS), logon(2, newest_ms - 9), record(3, newest_ms - 8, 4688, &long)];
    let log = Log::of(records.iter().cloned().chain(logons(4, 20, newest_ms)));
    let (first, warnings) = log.read(EventsWanted::Within(DAY), "").await;
    assert_eq!(warnings, [""; 0]);
    assert_eq!((first.access, first.truncated, &*first.source), (EventAccess::Read, false, "Security"));
    assert_eq!(ids(&first), (2..=20).collect::<Vec<_>>());
    let expected = SecurityEvent {
        record_id: "20".to_owned(),
        channel: None,
        event_id: Some(4625),
        level: "audit failure".to_owned(),
        occurred_unix_ms: newest_ms,
        source: "Microsoft-Windows-Security-Auditing".to_owned(),
        user: Some("jörg & co".to_owned()),
        message: "Failed logon of jörg & co: unknown user name; logon type 3 (network)".to_owned(),
        data: [("TargetUserName", "jörg & co"), ("SubStatus", "0xc0000064"), ("LogonType", "3")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into(),
    };
    assert_eq!(first.events.last(), Some(&expected));
    assert!(first.events[1].data[0].1.ends_with("x…") && first.events[1].message.contains("command line: xxx"));

    let (second, warnings) = log.read(after(&first), "").await;
    assert_eq!((ids(&second), second.bookmark.as_ref(), warnings), (vec![], first.bookmark.as_ref(), vec![]));
    log.write(logons(4, 20, newest_ms).chain(logons(21, 23, newest_ms + 5000)));
    let (third, warnings) = log.read(after(&second), "").await;
    assert_eq!((ids(&third), third.truncated, warnings), (vec![21, 22, 23], false, vec![]));

    let foreign = EventsWanted::After(Bookmark::new("time 17".to_owned()).unwrap());
    let (again, warnings) = log.read(foreign, "").await;
    assert_eq!(again.events.len(), 20);
    assert_eq!(warnings, ["the bookmark is not this agent's: a day was read again"]);
}

async fn the_name_of_an_account_is_before_its_identity() {
    let at_ms = now_ms();
    let member = |record_id, identity: &str| {
        let fields = [("MemberName", "-"), ("MemberSid", identity), ("TargetUserName", "Operators")];
        let data: String = fields.iter().map(|(name, value)| format!("<Data Name='{name}'>{value}</Data>")).collect();
        record(record_id, at_ms, 4732, &format!("<EventData>{data}</EventData>")).replace("0x8010", "0x8020")
    };
    // The account of Wine, and one that nobody knows.
    let log = Log::of([member(1, "S-1-5-21-0-0-0-1000"), member(2, "S-1-5-21-9-9-9-1105")]);
    let (read, warnings) = log.read(EventsWanted::Within(DAY), "").await;
    assert_eq!(warnings, [""; 0]);
    let [known, unknown] = read.events.as_slice() else { panic!("{read:?}") };
    let account = known.user.as_deref().unwrap();
    assert!(account.contains('\\') && account.ends_with(" (S-1-5-21-0-0-0-1000)"), "{account}");
    assert_eq!(known.message, format!("Member {account} added to the local security group Operators"));
    assert_eq!(known.data[1].1, "S-1-5-21-0-0-0-1000");
    assert_eq!(unknown.user.as_deref(), Some("S-1-5-21-9-9-9-1105"));
}

async fn what_does_not_fit_comes_with_the_next_reports() {
    let newest_ms = now_ms();
    let log = Log::of(logons(1, 5, newest_ms));
    let (first, _) = log.read(EventsWanted::Within(DAY), "").await;
    let flood = || logons(1, 5, newest_ms).chain(logons(6, 6_000, newest_ms + 6_000_000));
    log.write(flood());
    let (many, warnings) = log.read(after(&first), "").await;
    assert!(ids(&many).into_iter().eq(1001..=6000), "{:?}", ids(&many).first());
    assert_eq!((many.truncated, warnings), (true, vec![]));

    log.write(flood().chain(logons(6_001, 6_003, newest_ms + 6_003_000)));
    let (rest, warnings) = log.read(after(&many), "").await;
    assert!(ids(&rest).into_iter().eq((6..=1000).chain(6_001..=6_003)), "{:?}", ids(&rest).first());
    assert_eq!((rest.truncated, warnings), (false, vec![]));
    let (nothing, warnings) = log.read(after(&rest), "").await;
    assert_eq!((nothing.access, ids(&nothing), nothing.truncated), (EventAccess::Read, vec![], false));
    assert_eq!(warnings, [""; 0]);
}

async fn what_is_lost_or_late_is_named() {
    let newest_ms = now_ms();
    let log = Log::of(logons(1, 5, newest_ms));
    let (first, _) = log.read(EventsWanted::Within(DAY), "").await;
    log.write(logons(10, 20, newest_ms));
    let (overwritten, warnings) = log.read(after(&first), "").await;
    assert!(!overwritten.truncated);
    assert_eq!(warnings, ["records 6 to 9 (4) were overwritten before they were read"]);

    log.write(logons(1, 5, newest_ms).chain(logons(6, 20, newest_ms + 20_000)));
    let (broken, warnings) = log.read(after(&first), "next=1722").await;
    assert_eq!((broken.access, broken.truncated, ids(&broken)), (EventAccess::Read, true, vec![16, 17, 18, 19, 20]));
    assert!(warnings[0].starts_with("records 6 to 15 (10) were not read yet: error 1722"), "{warnings:?}");
    let (rest, warnings) = log.read(after(&broken), "").await;
    assert_eq!((ids(&rest), rest.truncated, warnings), ((6..=15).collect(), false, vec![]));

    let (large, warnings) = log.read(after(&first), "large").await;
    assert_eq!((large.truncated, warnings), (false, vec![]));
    assert_eq!(ids(&large), (6..=20).collect::<Vec<_>>());

    let (spoilt, warnings) = log.read(after(&first), "render").await;
    assert_eq!((spoilt.access, spoilt.truncated), (EventAccess::Read, false));
    assert_eq!(ids(&spoilt), [6, 8, 9, 11, 12, 14, 15, 17, 18, 20]);
    assert!(warnings[0].starts_with("5 records cannot be read, the newest because error 15005"), "{warnings:?}");
}

async fn a_batch_that_is_too_large_does_not_slow_down_the_rest() {
    let newest_ms = now_ms();
    let log = Log::of(logons(1, 2000, newest_ms));
    let read =
        async |fault| log.read_counting(30_000, EventsWanted::Within(DAY), &[("FAKE_SECURITY_FAULT", fault)]).await;
    let (whole, warnings, [usual, _]) = read("").await;
    assert_eq!((ids(&whole), warnings), ((1..=2000).collect(), vec![]));
    let (once, warnings, [requests, searched]) = read("once").await;
    assert_eq!((ids(&once), warnings), ((1..=2000).collect(), vec![]));
    assert!(requests < usual + 20 && searched == 0, "{requests} requests in place of {usual}, {searched} searched");
    // Each batch of several fails.
    let (large, warnings, [requests, searched]) = read("large").await;
    assert_eq!((ids(&large), warnings), ((1..=2000).collect(), vec![]));
    assert!(requests < 2300 && searched == 0, "{requests} requests, {searched} searched");
}

async fn a_log_of_a_million_records_is_read_where_the_last_report_ended() {
    let newest_ms = now_ms() / 1000 * 1000;
    let newest = (newest_ms / 1000).to_string();
    let log = Log::of([logon(1, newest_ms)
        .replace("<EventRecordID>1<", "<EventRecordID>@ID@<")
        .replace(&Timestamp::from_millisecond(newest_ms).unwrap().to_string(), "@TIME@")]);
    let read = async |events, fault: &str| {
        let more =
            [("FAKE_SECURITY_REPEAT", "1000000"), ("FAKE_SECURITY_NEWEST", &newest), ("FAKE_SECURITY_FAULT", fault)];
        log.read_counting(60_000, events, &more).await
    };
    let month = EventsWanted::Within(30 * DAY);
    let (first, warnings, [_, searched]) = read(month, "").await;
    assert!(ids(&first).into_iter().eq(995_001..=1_000_000));
    assert_eq!((first.truncated, warnings, searched), (true, vec![], 0));
    let (second, warnings, [_, searched]) = read(after(&first), "").await;
    assert!(ids(&second).into_iter().eq(990_001..=995_000));
    assert_eq!((second.truncated, warnings, searched), (true, vec![], 0));
    // The rest of a flood that began long ago.
    let old = format!("record 1000000 {newest_ms} gap 5003 after 2 {}", newest_ms - 999_998_000);
    let old = EventsWanted::After(Bookmark::new(old).unwrap());
    for (fault, expected) in [("", 0), ("lost", 994_998), ("astray", 994_998)] {
        let (rest, warnings, [_, searched]) = read(old.clone(), fault).await;
        assert!(ids(&rest).into_iter().eq(3..=5002), "{fault}: {:?} {:?}", ids(&rest).first(), ids(&rest).last());
        assert_eq!((rest.truncated, warnings, searched), (false, vec![], expected), "{fault}");
    }
}

async fn further_logs_are_read_with_positions_of_their_own() {
    let newest_ms = now_ms();
    let of = |channel: &str, provider: &str, record_id, event_id, data: &str| {
        record(record_id, newest_ms, event_id, data)
            .replace(">Security<", &format!(">{channel}<"))
            .replace("Microsoft-Windows-Security-Auditing", provider)
            .replace("0x8010", "0x8080")
    };
    let service = |record_id| {
        let data = "<EventData><Data Name='ServiceName'>updater</Data></EventData>";
        of("System", "Service Control Manager", record_id, 7045, data)
    };
    let sysmon = "Microsoft-Windows-Sysmon/Operational";
    let mut records: Vec<String> = logons(101, 103, newest_ms).collect();
    records.extend([service(7), of("System", "x", 8, 7036, ""), service(9), of(sysmon, "x", 1, 22, "")]);
    let log = Log::of(records.clone());
    let logs = [("System", vec![104, 7045]), (sysmon, vec![]), ("Nowhere", vec![])]
        .map(|(name, ids)| FurtherLog::new(name, ids).unwrap());
    let names = |log: &EventLog| -> Vec<String> {
        let name =
            |event: &SecurityEvent| format!("{} {}", event.channel.as_deref().unwrap_or("Security"), event.record_id);
        let mut names: Vec<String> = log.events.iter().map(name).collect();
        names.sort();
        names
    };
    let (first, warnings) = log.read_logs(&logs, EventsWanted::Within(DAY)).await;
    let expected = [
        "Microsoft-Windows-Sysmon/Operational 1",
        "Security 101",
        "Security 102",
        "Security 103",
        "System 7",
        "System 9",
    ];
    assert_eq!(
        (names(&first), &*first.source, first.access),
        (expected.map(str::to_owned).into(), "Security", EventAccess::Read)
    );
    assert_eq!(warnings, [("log Nowhere".to_owned(), "this machine has no such log".to_owned())]);
    let message = first.events.iter().find(|event| event.record_id == "9").map(|event| &*event.message);
    assert_eq!(message, Some("Service installed: ServiceName=updater"));

    let (second, warnings) = log.read_logs(&logs, after(&first)).await;
    assert_eq!((names(&second), warnings), (vec![], vec![]), "what is missing is named once");
    records.extend([service(10), of(sysmon, "x", 2, 22, "")]);
    log.write(records.clone());
    let (third, _) = log.read_logs(&logs, after(&second)).await;
    assert_eq!(names(&third), ["Microsoft-Windows-Sysmon/Operational 2", "System 10"]);
    // Without further logs, the bookmark is still that of the security log, and a log that is added later has its day.
    records.extend(logons(104, 104, newest_ms));
    log.write(records);
    let (fourth, warnings) = log.read_logs(&[], after(&third)).await;
    assert_eq!((names(&fourth), warnings), (vec!["Security 104".to_owned()], vec![]));
    let (fifth, _) = log.read_logs(&logs[..1], after(&fourth)).await;
    assert_eq!(names(&fifth), ["System 10", "System 7", "System 9"]);
}

async fn a_cleared_log_is_noticed_and_read_from_its_start() {
    let newest_ms = now_ms();
    let log = Log::of(logons(1, 50, newest_ms - 60_000));
    let (before, _) = log.read(EventsWanted::Within(DAY), "").await;
    let data = "<UserData><LogFileCleared xmlns='http://manifests.microsoft.com/win/2004/08/windows/eventlog'>\
                <SubjectUserName>eve</SubjectUserName><SubjectDomainName>CONTOSO</SubjectDomainName>\
                </LogFileCleared></UserData>";
    let clearing = record(1, newest_ms - 30_000, 1102, data).replace("0x8010", "0x4020");
    log.write([clearing].into_iter().chain(logons(2, 4, newest_ms)));
    let (cleared, warnings) = log.read(after(&before), "").await;
    assert_eq!((cleared.access, cleared.truncated, warnings), (EventAccess::Cleared, false, vec![]));
    assert_eq!(ids(&cleared), [1, 2, 3, 4]);
    assert_eq!(cleared.events[0].message, "The security log was cleared by CONTOSO\\eve");
    let (next, _) = log.read(after(&cleared), "").await;
    assert_eq!((next.access, next.events.len()), (EventAccess::Read, 0));
}

async fn a_log_that_cannot_be_read_does_not_pass_for_a_quiet_one() {
    let full = Log::of(logons(1, 3, now_ms()));
    let empty = Log::of([]);
    for (log, fault, access, expected) in [
        (&full, "error=5", EventAccess::Denied, "this account may not read it: make it an Administrator"),
        (&full, "error=15007", EventAccess::Unavailable, "error 15007, "),
        (&full, "error=1722", EventAccess::Unavailable, "error 1722, "),
        (&full, "error=0", EventAccess::Unavailable, "the event log's interface gave nothing and no reason"),
        (&empty, "", EventAccess::Unavailable, "it holds no record at all"),
        (&full, "slow", EventAccess::Unavailable, "the time for it was over"),
    ] {
        let (read, warnings) = log.read_within(4000, EventsWanted::Within(DAY), fault).await;
        assert_eq!((read.access, read.events.len(), read.bookmark), (access, 0, None), "{fault}");
        assert!(warnings.len() == 1 && warnings[0].starts_with(expected), "{fault}: {warnings:?}");
    }
    // Wine's own library only has stubs.
    let own = [("WINEDLLOVERRIDES", "mscoree,mshtml=;wevtapi=b")];
    let report = collect_within(30_000, EventsWanted::Within(DAY), &own).await;
    assert_eq!(report.events.unwrap().access, EventAccess::Unavailable);
    assert_eq!(report.warnings.last().unwrap().why, "the event log's interface gave nothing and no reason");
}

async fn a_deadline_ends_the_agent_whose_answer_nobody_reads() {
    let log = Log::of(logons(1, 5000, now_ms()));
    let path = log.directory.path().join("log");
    let (request, _) = request(200, 8000, EventsWanted::Within(DAY));
    let mut command = Wine::shared().command(&[("FAKE_SECURITY_LOG", path.to_str().unwrap())]);
    let mut agent = command.arg(request.to_argument()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let begun = Instant::now();
    let status = tokio::task::spawn_blocking(move || (agent.wait().unwrap(), agent));
    let (status, _unread) = timeout(PATIENCE, status).await.expect("an agent that ends").unwrap();
    assert_eq!(status.code(), Some(exit::DEADLINE.into()));
    assert!(begun.elapsed() >= Duration::from_secs(7), "{:?}", begun.elapsed());
}

async fn a_deadline_ends_the_agent_for_windows() {
    let (request, _) = request(10_000, 1000, EventsWanted::No);
    let ended = run(&request.to_argument(), &[]).await;
    assert_eq!(ended.code, Some(exit::DEADLINE.into()));
    assert_eq!(ended.stderr, "fleetsweep-agent: the deadline passed\n");
    assert_eq!(ended.stdout, b"");
    let ended = run("nonsense", &[]).await;
    assert_eq!(ended.code, Some(exit::BAD_REQUEST.into()));
    assert_eq!(ended.stderr, "fleetsweep-agent: the request's version is not well formed\n");
}
