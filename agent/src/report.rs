//! The report of the agent: the state of one machine, as XML. The collector does not trust it and makes a validated
//! reading of it.
//!
//! The XML is one `report` element with children of fixed names; every value is an attribute. A reader ignores unknown
//! elements and attributes, so that later agents can add some. Times are in whole milliseconds.

mod counters;
mod limits;
mod read;
mod write;

use std::time::Duration;

pub use counters::{CoreSpan, CoreTime, Counters, Disk, Pressure, Resource};
pub use limits::{
    MAX_CORES, MAX_DATA_FIELDS, MAX_DISKS, MAX_EVENTS, MAX_FILE_SYSTEMS, MAX_INTERFACES, MAX_MESSAGE_BYTES,
    MAX_PROCESSES, MAX_TEXT_BYTES, MAX_UNITS, MAX_VICTIMS, MAX_WARNINGS,
};
pub use read::ReportError;

/// The report about a machine. Values that could not be read are absent, with a [`Warning`] that gives the reason.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Report {
    /// The agent's own version.
    pub agent_version: String,
    /// How long the agent worked.
    pub agent_duration: Duration,
    /// The client's clock, milliseconds since the Unix epoch. It is recorded but not trusted.
    pub clock_unix_ms: Option<i64>,
    /// The parts that could not be read, with the reasons.
    pub warnings: Vec<Warning>,
    /// Name, operating system, architecture.
    pub host: Host,
    /// CPU use over the sampling window.
    pub cpu: Option<Cpu>,
    /// Memory; `None` if it was not measured.
    pub memory: Option<Memory>,
    /// Swap; absent if there is none.
    pub swap: Option<Swap>,
    /// Memory that is promised to processes; only on Windows, which promises no more than there is.
    pub commit: Option<Commit>,
    /// Time since boot.
    pub uptime: Option<Duration>,
    /// When it was booted, by its own clock, milliseconds since the Unix epoch.
    pub boot_unix_ms: Option<i64>,
    /// Load averages; absent on Windows.
    pub load: Option<Load>,
    /// Mounted file systems, each once.
    pub file_systems: Vec<FileSystem>,
    /// Where file systems are mounted that did not answer.
    pub silent_mounts: Vec<String>,
    /// How many file systems are in neither list, because there are too many.
    pub omitted_file_systems: u32,
    /// Network interfaces with their counters since boot, physical ones first.
    pub interfaces: Vec<Interface>,
    /// The other counters since boot; absent if the start of the machine cannot be identified.
    pub counters: Option<Counters>,
    /// The five processes with the highest CPU usage, highest first.
    pub top_cpu: Vec<Process>,
    /// The five processes with the highest memory usage, highest first.
    pub top_memory: Vec<Process>,
    /// The last processes that were killed because memory ran out, as `name (id)`, oldest first. The log of the kernel names
    /// them, but not forever, and not to everybody.
    pub oom_victims: Vec<String>,
    /// The failed units of systemd, or the stopped automatic services of Windows, if they were requested.
    pub failed_units: Option<Vec<String>>,
    /// How many processes have each of the requested names; absent if not all processes can be seen.
    pub process_counts: Option<Vec<(String, u32)>>,
    /// Whether the system has to be restarted for its updates; absent if it does not tell.
    pub restart_needed: Option<bool>,
    /// The number of security updates that are not installed; absent if the distribution does not tell.
    pub security_updates: Option<u32>,
    /// The highest temperature that a sensor shows, thousandths of a degree Celsius; absent without sensors.
    pub temperature_millicelsius: Option<i32>,
    /// Security events, if they were requested.
    pub events: Option<EventLog>,
}

/// Something the agent could not read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// What is missing from the report, e.g. `file system /mnt/backup`.
    pub what: String,
    /// Why it could not be read.
    pub why: String,
}

/// The machine's name and system.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Host {
    /// Its host name.
    pub name: Option<String>,
    /// `linux` or `windows`.
    pub os_family: Option<String>,
    /// Name and version of the operating system, e.g. `Debian GNU/Linux 12`.
    pub os_version: Option<String>,
    /// Kernel release; on Windows its build.
    pub kernel: Option<String>,
    /// Architecture, e.g. `x86_64`.
    pub architecture: Option<String>,
}

/// CPU use over the sampling window.
#[derive(Debug, Clone, PartialEq)]
pub struct Cpu {
    /// Of all cores, percent 0 to 100.
    pub total_percent: f64,
    /// Of each core, percent 0 to 100.
    pub core_percent: Vec<f64>,
    /// The actual length of the sampling window.
    pub window: Duration,
}

/// Memory, bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Memory {
    /// Usable by the system (`MemTotal` on Linux).
    pub total_bytes: u64,
    /// `total - available`, as in the output of `free`.
    pub used_bytes: u64,
    /// Available without swapping (`MemAvailable` on Linux).
    pub available_bytes: u64,
}

/// Swap, bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Swap {
    /// The size of all swap areas or page files.
    pub total_bytes: u64,
    /// In use.
    pub used_bytes: u64,
}

/// Memory that is promised to processes (commit charge), bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Commit {
    /// The most that can be promised: memory and page files.
    pub limit_bytes: u64,
    /// What is promised.
    pub used_bytes: u64,
}

/// Load averages.
#[derive(Debug, Clone, PartialEq)]
pub struct Load {
    /// Over one minute.
    pub one: f64,
    /// Over five minutes.
    pub five: f64,
    /// Over fifteen minutes.
    pub fifteen: f64,
}

/// A mounted file system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileSystem {
    /// Where it is mounted, e.g. `/` or `C:\`.
    pub mount: String,
    /// Its type, e.g. `ext4`.
    pub kind: String,
    /// Its size, bytes.
    pub total_bytes: u64,
    /// In use, bytes (`f_blocks - f_bfree` on Linux).
    pub used_bytes: u64,
    /// Free for ordinary users, bytes (`f_bavail` on Linux). `df` calculates the usage as used / (used + available).
    pub available_bytes: u64,
    /// Its files and directories; absent if it has no limit of their number.
    pub inodes: Option<Inodes>,
}

/// The inodes of a file system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Inodes {
    /// How many there can be.
    pub total: u64,
    /// How many are free.
    pub free: u64,
}

/// A network interface.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Interface {
    /// Its name.
    pub name: String,
    /// The number that the kernel gave it, which it keeps when it gets another name; absent if it is not known.
    pub index: Option<u32>,
    /// Received since boot, bytes.
    pub received_bytes: u64,
    /// Sent since boot, bytes.
    pub sent_bytes: u64,
    /// Received since boot, packets.
    pub received_packets: Option<u64>,
    /// Sent since boot, packets.
    pub sent_packets: Option<u64>,
    /// Errors while receiving since boot.
    pub received_errors: Option<u64>,
    /// Errors while sending since boot.
    pub sent_errors: Option<u64>,
    /// The speed of its link, Mbit/s; absent if it has none or the driver does not tell.
    pub speed_mbit: Option<u32>,
    /// Whether it only connects the machine with itself.
    pub is_loopback: bool,
    /// Received during the sampling window, bytes per second; absent if it was not measured.
    pub window_received_bytes_per_second: Option<u64>,
    /// Sent during the sampling window, bytes per second; absent if it was not measured.
    pub window_sent_bytes_per_second: Option<u64>,
}

/// A process.
#[derive(Debug, Clone, PartialEq)]
pub struct Process {
    /// Its id.
    pub pid: u32,
    /// Its short name; never its command line, which can contain secrets.
    pub name: String,
    /// Percent of one core over the sampling window; may exceed 100.
    pub cpu_percent: f64,
    /// Resident memory, bytes.
    pub memory_bytes: u64,
}

/// The result of reading the security event log.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct EventLog {
    /// The log, for example `journal`, `/var/log/auth.log`, `Security`.
    pub source: String,
    /// Whether it could be read.
    pub access: EventAccess,
    /// Where the next collection continues; absent if nothing could be read.
    pub bookmark: Option<String>,
    /// Whether there are more events, with which the next collection continues.
    pub truncated: bool,
    /// The events, oldest first.
    pub events: Vec<SecurityEvent>,
}

/// Whether the event log could be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum EventAccess {
    /// It was read.
    #[default]
    Read,
    /// The account has no permission.
    Denied,
    /// There is none, or it cannot be read for another reason, which a [`Warning`] gives.
    Unavailable,
    /// It was read, and was cleared since the bookmark.
    Cleared,
}

/// One security event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecurityEvent {
    /// The number or cursor of the record in its log.
    pub record_id: String,
    /// The log that it comes from, if it is not the one of the [`EventLog`].
    pub channel: Option<String>,
    /// The type of the event, for example `4625`; absent if the log has no types.
    pub event_id: Option<u32>,
    /// Its level as text, for example `information`, `warning`, `audit failure`.
    pub level: String,
    /// Its time by the client's clock, milliseconds since the Unix epoch.
    pub occurred_unix_ms: i64,
    /// The program or provider that wrote it.
    pub source: String,
    /// The account concerned.
    pub user: Option<String>,
    /// A description of the event.
    pub message: String,
    /// Raw data fields, name and value.
    pub data: Vec<(String, String)>,
}
