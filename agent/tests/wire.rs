//! Tests of the wire format: golden texts, round trips, and hostile bytes.

#![cfg(test)]

use std::time::Duration;

use fleetsweep_agent::{
    SysRng, envelope,
    report::{
        Commit, CoreTime, Counters, Cpu, Disk, EventAccess, EventLog, FileSystem, Host, Inodes, Interface, Load,
        MAX_DATA_FIELDS, MAX_DISKS, Memory, Pressure, Process, Report, ReportError, Resource, SecurityEvent, Swap,
        Warning,
    },
    request::{Bookmark, BookmarkError, EventsWanted, QuestionError, Questions, Request, RequestError},
};
use proptest::{collection::vec, option, prelude::*};
use uuid::Uuid;

const REPORT: &str = include_str!("../golden/report.xml");
const REQUEST: &str = include_str!("../golden/request.txt");

fn request(events: EventsWanted) -> Request {
    Request {
        collection: Uuid::from_bytes([0x66; 16]),
        server_key: p256::SecretKey::from_slice(&[0x11; 32]).unwrap().public_key(),
        window: Duration::from_millis(250),
        deadline: Duration::from_secs(20),
        events,
        questions: Questions::default(),
    }
}

#[test]
fn a_request_asks_for_units_and_processes_within_its_length() {
    let mut asking = request(EventsWanted::No);
    asking.questions.units = true;
    for name in ["nginx", "nginx", "Größe ü.exe"] {
        asking.questions.ask_for_process(name).unwrap();
    }
    assert_eq!(asking.questions.processes(), ["nginx", "Größe ü.exe"]);
    let argument = asking.to_argument();
    assert!(argument.ends_with(".no.also.dQpwbmdpbngKcEdyw7bDn2Ugw7wuZXhl"), "{argument}");
    assert_eq!(Request::parse(&argument), Ok(asking.clone()));
    for (name, expected) in [
        ("", QuestionError::Name),
        ("a\nb", QuestionError::Name),
        ("\u{1b}", QuestionError::Name),
        (&*"x".repeat(Questions::MAX_BYTES), QuestionError::TooLong),
    ] {
        assert_eq!(asking.questions.ask_for_process(name), Err(expected));
    }
    for point in ["/var", "/srv/ü", "/var"] {
        asking.questions.ask_for_mount(point).unwrap();
    }
    assert_eq!(asking.questions.ask_for_mount(""), Err(QuestionError::Name));
    assert_eq!(asking.questions.mounts(), ["/var", "/srv/ü"]);
    // The longest is still accepted, together with the longest bookmark.
    let rest = Questions::MAX_BYTES - "u\npnginx\npGröße ü.exe\np\nm/var\nm/srv/ü".len();
    asking.questions.ask_for_process(&"x".repeat(rest)).unwrap();
    asking.events = EventsWanted::After(Bookmark::new("b".repeat(Bookmark::MAX_BYTES)).unwrap());
    assert_eq!(Request::parse(&asking.to_argument()), Ok(asking));
}

/// The content of `golden/report.xml`.
fn report() -> Report {
    Report {
        agent_version: "0.1.0".into(),
        agent_duration: Duration::from_millis(253),
        clock_unix_ms: Some(1_767_225_600_123),
        warnings: vec![Warning { what: "file system /mnt/backup".into(), why: "no answer within 500 ms".into() }],
        host: Host {
            name: Some("web-1".into()),
            os_family: Some("linux".into()),
            os_version: Some("Debian GNU/Linux 12 (bookworm)".into()),
            kernel: Some("6.1.0-18-amd64".into()),
            architecture: Some("x86_64".into()),
        },
        cpu: Some(Cpu { total_percent: 12.5, core_percent: vec![25.0, 0.0], window: Duration::from_millis(250) }),
        memory: Some(Memory { total_bytes: 8_217_600_000, used_bytes: 2_054_400_000, available_bytes: 6_163_200_000 }),
        swap: Some(Swap { total_bytes: 1 << 30, used_bytes: 4096 }),
        uptime: Some(Duration::from_millis(86_400_500)),
        boot_unix_ms: Some(1_767_139_199_623),
        load: Some(Load { one: 0.52, five: 0.31, fifteen: 0.07 }),
        file_systems: vec![FileSystem {
            mount: "/".into(),
            kind: "ext4".into(),
            total_bytes: 42_000_000_000,
            used_bytes: 21_000_000_000,
            available_bytes: 18_900_000_000,
            inodes: None,
        }],
        interfaces: vec![Interface {
            name: "eth0".into(),
            received_bytes: 123_456_789,
            sent_bytes: 98_765_432,
            ..Interface::default()
        }],
        counters: None,
        top_cpu: vec![Process { pid: 812, name: "<nginx> & \"co\"".into(), cpu_percent: 24.8, memory_bytes: 50 << 20 }],
        top_memory: vec![],
        failed_units: None,
        oom_victims: vec![],
        process_counts: None,
        restart_needed: None,
        security_updates: None,
        temperature_millicelsius: None,
        commit: None,
        silent_mounts: vec![],
        omitted_file_systems: 0,
        events: Some(EventLog {
            source: "journal".into(),
            access: EventAccess::Read,
            bookmark: Some("s=0639;i=4f2".into()),
            truncated: false,
            events: vec![
                SecurityEvent {
                    record_id: "s=0639;i=4f1".into(),
                    channel: None,
                    event_id: None,
                    level: "notice".into(),
                    occurred_unix_ms: 1_767_225_500_000,
                    source: "sshd".into(),
                    user: Some("root".into()),
                    message: "Accepted publickey for root\nfrom 10.0.4.1".into(),
                    data: vec![],
                },
                SecurityEvent {
                    record_id: "s=0639;i=4f2".into(),
                    channel: None,
                    event_id: Some(4625),
                    level: "audit failure".into(),
                    occurred_unix_ms: 1_767_225_510_000,
                    source: "sshd".into(),
                    user: None,
                    message: "größer 🔒".into(),
                    data: vec![("LogonType".into(), "3".into())],
                },
            ],
        }),
    }
}

#[test]
fn the_golden_report_is_what_it_was() {
    assert_eq!(report().to_xml(), REPORT);
    assert_eq!(Report::from_xml(REPORT.as_bytes()), Ok(report()));
}

/// The content of `golden/counters.xml`.
fn report_with_counters() -> Report {
    let full = CoreTime {
        core: 0,
        user_ms: 407_630,
        nice_ms: Some(10),
        system_ms: 62_990,
        idle_ms: 197_170,
        io_wait_ms: Some(1610),
        interrupt_ms: Some(0),
        soft_interrupt_ms: Some(260),
        steal_ms: Some(5070),
    };
    Report {
        agent_version: "0.1.0".into(),
        interfaces: vec![Interface {
            name: "eth0".into(),
            index: None,
            received_bytes: 499_534_491,
            sent_bytes: 620_441,
            received_packets: Some(15_818),
            sent_packets: Some(7225),
            received_errors: Some(1),
            sent_errors: Some(0),
            speed_mbit: Some(1000),
            is_loopback: false,
            window_received_bytes_per_second: Some(1_250_000),
            window_sent_bytes_per_second: Some(0),
        }],
        counters: Some(Counters {
            boot_id: "2606b0f2-1e53-4d68-91db-7283be22a25a".into(),
            monotonic_ms: 676_673,
            cores: vec![full, CoreTime { core: 3, user_ms: 1, system_ms: 2, idle_ms: 3, ..CoreTime::default() }],
            context_switches: Some(743_221),
            page_faults: Some(18_137_441),
            major_page_faults: Some(2590),
            oom_kills: Some(0),
            disks: vec![Disk {
                name: "sda".into(),
                read_bytes: 2_086_089_728,
                written_bytes: 5_556_350_976,
                reads: 57_566,
                writes: 37_376,
                busy_ms: Some(20_056),
                window_busy_percent: Some(3.5),
            }],
            pressure: vec![
                Pressure {
                    resource: Resource::Cpu,
                    some_us: 229_265_991,
                    full_us: None,
                    window_some_percent: Some(0.41),
                },
                Pressure { resource: Resource::Io, some_us: 7, full_us: Some(6), window_some_percent: None },
            ],
        }),
        ..Report::default()
    }
}

#[test]
fn the_golden_counters_are_what_they_were() {
    let golden = include_str!("../golden/counters.xml");
    assert_eq!(report_with_counters().to_xml(), golden);
    assert_eq!(Report::from_xml(golden.as_bytes()), Ok(report_with_counters()));
}

#[test]
fn counters_of_a_later_version_are_left_out_and_lists_are_limited() {
    let with = |counters: &str| format!("<report version='1' agent='' agent-duration-ms='1'>{counters}</report>");
    let read = |counters: &str| Report::from_xml(with(counters).as_bytes());
    let head = "<counters boot-id='b' monotonic-ms='1'>";
    let later = format!("{head}<pressure resource='irq' some-us='1'/><gpu busy-ms='1'/></counters>");
    let counters = read(&later).unwrap().counters.unwrap();
    assert_eq!((counters.pressure.len(), counters.boot_id.as_str()), (0, "b"));
    let disk = "<disk name='' read-bytes='1' written-bytes='1' reads='1' writes='1'/>";
    let pressure = "<pressure resource='io' some-us='1'/>";
    for (counters, expected) in [
        (format!("{head}</counters>{head}</counters>"), ReportError::Twice("counters")),
        ("<counters monotonic-ms='1'/>".to_owned(), ReportError::Missing { element: "counters", attribute: "boot-id" }),
        (
            format!("{head}<core-time core='0' user-ms='-1' system-ms='0' idle-ms='0'/></counters>"),
            ReportError::Value { element: "core-time", attribute: "user-ms" },
        ),
        (
            format!("{head}{}</counters>", disk.repeat(MAX_DISKS + 1)),
            ReportError::TooMany { what: "disks", max: MAX_DISKS },
        ),
        (
            format!("{head}{}</counters>", pressure.repeat(4)),
            ReportError::TooMany { what: "kinds of pressure", max: 3 },
        ),
        (
            format!("<counters boot-id='{}' monotonic-ms='1'/>", "b".repeat(1 << 20)),
            ReportError::TooLong { element: "counters", attribute: "boot-id", max: 4096 },
        ),
    ] {
        assert_eq!(read(&counters), Err(expected));
    }
}

#[test]
fn the_golden_request_is_what_it_was() {
    let request = request(EventsWanted::Within(Duration::from_secs(86_400)));
    assert_eq!(request.to_argument(), REQUEST.trim_end());
    assert_eq!(Request::parse(REQUEST.trim_end()), Ok(request));
}

#[test]
fn a_request_is_refused_by_the_field_that_is_wrong() {
    let good = REQUEST.trim_end();
    let fields: Vec<&str> = good.split('.').collect();
    let with = |index: usize, value: &str| {
        let mut fields = fields.clone();
        fields[index] = value;
        fields.join(".")
    };
    let out_of_range = |field, given_ms, min_ms, max_ms| RequestError::OutOfRange { field, given_ms, min_ms, max_ms };
    for (text, expected) in [
        (String::new(), RequestError::Malformed("version")),
        ("--version".into(), RequestError::Malformed("version")),
        ("2.whatever comes then".into(), RequestError::OtherVersion(2)),
        ("1".into(), RequestError::Malformed("collection")),
        (with(1, "66"), RequestError::Malformed("collection")),
        (with(1, "66666666-6666-6666-6666-666666666666"), RequestError::Malformed("spelling")),
        (with(2, ""), RequestError::Malformed("server key")),
        (with(2, &format!("Av{}", "_".repeat(42))), RequestError::Malformed("server key")),
        // The point at infinity is not a valid key.
        (with(2, "AA"), RequestError::Malformed("server key")),
        (with(3, "199"), out_of_range("window", 199, 200, 10_000)),
        (with(3, "0250"), RequestError::Malformed("spelling")),
        (with(3, "+250"), RequestError::Malformed("spelling")),
        (with(3, "-250"), RequestError::Malformed("window")),
        (with(4, "3600001"), out_of_range("deadline", 3_600_001, 1000, 3_600_000)),
        (with(4, "99999999999999999999"), RequestError::Malformed("deadline")),
        (with(5, "maybe"), RequestError::Malformed("wish for events")),
        (with(5, "no"), RequestError::Malformed("further questions")),
        (with(6, "31622400001"), out_of_range("age of events", 31_622_400_001, 0, 31_622_400_000)),
        (format!("{good}."), RequestError::Malformed("further questions")),
        (format!("{good} "), RequestError::Malformed("age of events")),
        (fields[..6].join("."), RequestError::Malformed("age of events")),
        (format!("{}.after._w", fields[..5].join(".")), RequestError::Malformed("bookmark")),
        (format!("{}.after.", fields[..5].join(".")), RequestError::Bookmark(BookmarkError::Empty)),
        (
            format!("{}.after.{}", fields[..5].join("."), "YWFh".repeat(1100)),
            RequestError::Bookmark(BookmarkError::TooLong(3300)),
        ),
        (format!("{good}.more"), RequestError::Malformed("further questions")),
        (format!("{good}.also"), RequestError::Malformed("questions")),
        // Nothing, `x`, and `u` twice.
        (format!("{good}.also."), RequestError::Malformed("questions")),
        (format!("{good}.also.eA"), RequestError::Malformed("questions")),
        (format!("{good}.also.dQp1"), RequestError::Malformed("spelling")),
        (format!("{good}.also.cA"), RequestError::Malformed("questions")),
        (format!("{good}.also.{}", "cGFh".repeat(700)), RequestError::Malformed("questions")),
        ("1".repeat(8000), RequestError::TooLong(8000)),
    ] {
        assert_eq!(Request::parse(&text), Err(expected), "{text}");
    }
}

#[test]
fn a_report_is_refused_by_what_is_wrong() {
    let root = |inner: &str| format!(r#"<report version="1" agent="0" agent-duration-ms="1">{inner}</report>"#);
    let missing = |element, attribute| ReportError::Missing { element, attribute };
    let value = |element, attribute| ReportError::Value { element, attribute };
    let core = r#"<core percent="1"/>"#;
    for (xml, expected) in [
        (String::new(), ReportError::NotOneReport),
        ("<!-- nothing -->".into(), ReportError::NotOneReport),
        ("<html/>".into(), ReportError::NotOneReport),
        (root("") + &root(""), ReportError::NotOneReport),
        (root("").replace("</report>", ""), ReportError::NotOneReport),
        (root("").replace("version=\"1\"", "version=\"2\""), ReportError::OtherVersion(2)),
        (root("").replace("version=\"1\"", ""), missing("report", "version")),
        (root("").replace("agent=\"0\"", ""), missing("report", "agent")),
        (
            r#"<!DOCTYPE r [<!ENTITY a "aaaa"><!ENTITY x SYSTEM "file:///etc/passwd">]>"#.to_owned() + &root(""),
            ReportError::DocumentType,
        ),
        (root("<warning what=''/>"), missing("warning", "why")),
        (root("<cpu window-ms='1' total-percent='NaN'/>"), value("cpu", "total-percent")),
        (root("<cpu window-ms='1' total-percent='inf'/>"), value("cpu", "total-percent")),
        (root("<cpu window-ms='-1' total-percent='1'/>"), value("cpu", "window-ms")),
        (root("<swap total-bytes='18446744073709551616' used-bytes='0'/>"), value("swap", "total-bytes")),
        (
            root("<swap total-bytes='1' used-bytes='0'/><swap total-bytes='1' used-bytes='0'/>"),
            ReportError::Twice("swap"),
        ),
        (root("<events source='' access='maybe' truncated='false'/>"), value("events", "access")),
        (root(&"<x>".repeat(20)), ReportError::TooDeep),
        (
            root(&format!("<cpu window-ms='1' total-percent='1'>{}</cpu>", core.repeat(4097))),
            ReportError::TooMany { what: "cores", max: 4096 },
        ),
        (
            root(&format!("<interface {}/>", (0..65).map(|n| format!("a{n}='' ")).collect::<String>())),
            ReportError::TooMany { what: "attributes of an element", max: 64 },
        ),
        (
            root(&format!("<host name='{}'/>", "x".repeat(4097))),
            ReportError::TooLong { element: "host", attribute: "name", max: 4096 },
        ),
        (" ".repeat(envelope::MAX_REPORT_BYTES + 1), ReportError::TooLarge(envelope::MAX_REPORT_BYTES + 1)),
    ] {
        assert_eq!(Report::from_xml(xml.as_bytes()), Err(expected), "{xml:.200}");
    }
    for malformed in
        ["<host name='&x;'/>", "<host name='&#x110000;'/>", "<host name=x/>", "<host name='' name=''/>", "<a></b>"]
    {
        assert!(
            matches!(Report::from_xml(root(malformed).as_bytes()), Err(ReportError::Malformed { .. })),
            "{malformed}"
        );
    }
    assert_eq!(Report::from_xml(b"<report \xff"), Err(ReportError::NotUtf8));
}

#[test]
fn what_a_later_agent_adds_is_passed_over() {
    let later = REPORT.replace("<report ", "<report colour=\"blue\" ").replace(
        "<top-cpu>",
        "text &amp; <![CDATA[more]]><?pi?><gpu><core percent=\"99\"/><cpu/></gpu><top-cpu cores=\"no\">",
    );
    assert_eq!(Report::from_xml(later.as_bytes()), Ok(report()));
}

fn some_text() -> impl Strategy<Value = String> {
    prop_oneof!["[ -~]{0,20}", ".{0,20}", Just("\0\x1b[31m\r\n\t]]>&#1;\u{fffe}".to_owned())]
}

fn some_number() -> impl Strategy<Value = f64> {
    any::<f64>().prop_filter("finite", |number| number.is_finite())
}

fn some_time() -> impl Strategy<Value = Duration> {
    any::<u64>().prop_map(Duration::from_millis)
}

prop_compose! {
    fn some_process()(pid: u32, name in some_text(), cpu_percent in some_number(), memory_bytes: u64) -> Process {
        Process { pid, name, cpu_percent, memory_bytes }
    }
}

prop_compose! {
    fn some_event()(
        (record_id, level, source, message) in (some_text(), some_text(), some_text(), some_text()),
        channel in option::of(some_text()),
        event_id: Option<u32>,
        occurred_unix_ms: i64,
        user in option::of(some_text()),
        data in vec((some_text(), some_text()), 0..MAX_DATA_FIELDS),
    ) -> SecurityEvent {
        SecurityEvent { record_id, channel, event_id, level, occurred_unix_ms, source, user, message, data }
    }
}

prop_compose! {
    fn some_events()(
        source in some_text(),
        access in prop_oneof![Just(EventAccess::Read), Just(EventAccess::Denied), Just(EventAccess::Unavailable), Just(EventAccess::Cleared)],
        bookmark in option::of(some_text()),
        truncated: bool,
        events in vec(some_event(), 0..4),
    ) -> EventLog {
        EventLog { source, access, bookmark, truncated, events }
    }
}

prop_compose! {
    fn some_host()(texts in vec(option::of(some_text()), 5)) -> Host {
        let [name, os_family, os_version, kernel, architecture] = texts.try_into().unwrap();
        Host { name, os_family, os_version, kernel, architecture }
    }
}

fn some_interface() -> impl Strategy<Value = Interface> {
    (some_text(), any::<[u64; 2]>(), any::<[Option<u64>; 6]>(), any::<[Option<u32>; 2]>(), any::<bool>()).prop_map(
        |(name, [received_bytes, sent_bytes], others, [index, speed_mbit], is_loopback)| {
            let [received_packets, sent_packets, received_errors, sent_errors, received, sent] = others;
            Interface {
                name,
                index,
                received_bytes,
                sent_bytes,
                received_packets,
                sent_packets,
                received_errors,
                sent_errors,
                speed_mbit,
                is_loopback,
                window_received_bytes_per_second: received,
                window_sent_bytes_per_second: sent,
            }
        },
    )
}

fn some_core_time() -> impl Strategy<Value = CoreTime> {
    any::<(u32, [u64; 3], [Option<u64>; 5])>().prop_map(|(core, [user_ms, system_ms, idle_ms], others)| {
        let [nice_ms, io_wait_ms, interrupt_ms, soft_interrupt_ms, steal_ms] = others;
        CoreTime { core, user_ms, nice_ms, system_ms, idle_ms, io_wait_ms, interrupt_ms, soft_interrupt_ms, steal_ms }
    })
}

fn some_disk() -> impl Strategy<Value = Disk> {
    (some_text(), any::<[u64; 4]>(), any::<Option<u64>>(), option::of(some_number())).prop_map(
        |(name, [read_bytes, written_bytes, reads, writes], busy_ms, window_busy_percent)| Disk {
            name,
            read_bytes,
            written_bytes,
            reads,
            writes,
            busy_ms,
            window_busy_percent,
        },
    )
}

prop_compose! {
    fn some_counters()(
        (boot_id, monotonic_ms) in (some_text(), any::<u64>()),
        cores in vec(some_core_time(), 0..5),
        [context_switches, page_faults, major_page_faults, oom_kills] in any::<[Option<u64>; 4]>(),
        disks in vec(some_disk(), 0..3),
        pressure in vec((prop::sample::select(&Resource::ALL[..]), any::<(u64, Option<u64>)>(), option::of(some_number()))
            .prop_map(|(resource, (some_us, full_us), window_some_percent)|
                Pressure { resource, some_us, full_us, window_some_percent }), 0..=3),
    ) -> Counters {
        Counters {
            boot_id, monotonic_ms, cores, context_switches, page_faults, major_page_faults, oom_kills, disks, pressure,
        }
    }
}

prop_compose! {
    fn some_report()(
        (agent_version, agent_duration, clock_unix_ms) in (some_text(), some_time(), any::<Option<i64>>()),
        warnings in vec((some_text(), some_text()).prop_map(|(what, why)| Warning { what, why }), 0..3),
        host in some_host(),
        cpu in option::of((some_number(), vec(some_number(), 0..5), some_time())
            .prop_map(|(total_percent, core_percent, window)| Cpu { total_percent, core_percent, window })),
        memory in option::of(any::<[u64; 3]>()
            .prop_map(|[total_bytes, used_bytes, available_bytes]| Memory { total_bytes, used_bytes, available_bytes })),
        swap in option::of(any::<[u64; 2]>().prop_map(|[total_bytes, used_bytes]| Swap { total_bytes, used_bytes })),
        (uptime, boot_unix_ms) in (option::of(some_time()), any::<Option<i64>>()),
        load in option::of((some_number(), some_number(), some_number())
            .prop_map(|(one, five, fifteen)| Load { one, five, fifteen })),
        file_systems in vec((some_text(), some_text(), any::<[u64; 3]>(), any::<Option<[u64; 2]>>())
            .prop_map(|(mount, kind, [total_bytes, used_bytes, available_bytes], inodes)| {
                let inodes = inodes.map(|[total, free]| Inodes { total, free });
                FileSystem { mount, kind, total_bytes, used_bytes, available_bytes, inodes }
            }), 0..3),
        (silent_mounts, omitted_file_systems, oom_victims) in
            (vec(some_text(), 0..3), any::<u32>(), vec(some_text(), 0..3)),
        (commit, failed_units, process_counts) in (
            option::of(any::<[u64; 2]>().prop_map(|[limit_bytes, used_bytes]| Commit { limit_bytes, used_bytes })),
            option::of(vec(some_text(), 0..3)),
            option::of(vec((some_text(), any::<u32>()), 0..3)),
        ),
        (restart_needed, security_updates, temperature_millicelsius) in any::<(Option<bool>, Option<u32>, Option<i32>)>(),
        (interfaces, counters) in (vec(some_interface(), 0..3), option::of(some_counters())),
        (top_cpu, top_memory, events) in
            (vec(some_process(), 0..6), vec(some_process(), 0..6), option::of(some_events())),
    ) -> Report {
        Report {
            agent_version, agent_duration, clock_unix_ms, warnings, host, cpu, memory, swap, uptime, boot_unix_ms,
            load, file_systems, silent_mounts, omitted_file_systems, interfaces, counters, top_cpu, top_memory, events,
            oom_victims, commit, failed_units, process_counts, restart_needed, security_updates, temperature_millicelsius,
        }
    }
}

fn some_events_wanted() -> impl Strategy<Value = EventsWanted> {
    prop_oneof![
        Just(EventsWanted::No),
        (0..=Request::EVENT_AGE_MAX.as_secs()).prop_map(|age| EventsWanted::Within(Duration::from_secs(age))),
        ".{1,200}".prop_map(|text| EventsWanted::After(Bookmark::new(text).unwrap())),
    ]
}

fn some_questions() -> impl Strategy<Value = Questions> {
    let names = || vec("[^\\p{C}]{1,40}", 0..4);
    (any::<bool>(), names(), names()).prop_map(|(units, processes, mounts)| {
        let mut questions = Questions::default();
        questions.units = units;
        for name in processes {
            questions.ask_for_process(&name).unwrap();
        }
        for point in mounts {
            questions.ask_for_mount(&point).unwrap();
        }
        questions
    })
}

prop_compose! {
    fn some_request()(
        collection: u128,
        key in vec(1_u8..0xff, 32),
        window in 200_u64..=10_000,
        deadline in 1000_u64..=3_600_000,
        events in some_events_wanted(),
        questions in some_questions(),
    ) -> (Request, p256::SecretKey) {
        let secret = p256::SecretKey::from_slice(&key).unwrap();
        let request = Request {
            collection: Uuid::from_u128(collection),
            server_key: secret.public_key(),
            window: Duration::from_millis(window),
            deadline: Duration::from_millis(deadline),
            events,
            questions,
        };
        (request, secret)
    }
}

proptest! {
    #[test]
    fn a_request_comes_back_from_its_argument_which_is_one_safe_word((request, _) in some_request()) {
        let argument = request.to_argument();
        prop_assert!(argument.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte)));
        prop_assert!(argument.starts_with("1."));
        prop_assert_eq!(Request::parse(&argument), Ok(request));
    }

    #[test]
    fn any_text_is_a_request_or_an_error(text in ".*", cut in 0_usize..120, byte: u8) {
        let _ = Request::parse(&text);
        let _ = Request::parse(&format!("1.{text}"));
        let mut golden = REQUEST.trim_end().as_bytes().to_vec();
        let index = cut % golden.len();
        golden[index] = byte;
        if let Ok(golden) = str::from_utf8(&golden) && let Ok(request) = Request::parse(golden) {
            prop_assert_eq!(request.to_argument(), golden);
        }
    }

    #[test]
    fn a_report_that_fits_comes_back_from_its_xml(mut report in some_report()) {
        report.fit();
        prop_assert_eq!(Report::from_xml(report.to_xml().as_bytes()), Ok(report));
    }

    #[test]
    fn any_bytes_are_a_report_or_an_error(bytes in vec(any::<u8>(), 0..300), at in 0_usize..2000, cut: bool) {
        let _ = Report::from_xml(&bytes);
        let mut golden = REPORT.as_bytes().to_vec();
        let at = at % golden.len();
        if cut {
            golden.truncate(at);
        }
        golden.splice(at..at, bytes);
        let _ = Report::from_xml(&golden);
    }

    #[test]
    fn any_pieces_of_xml_are_a_report_or_an_error(
        pieces in vec(prop::sample::select(&[
            "<report version='1' agent='' agent-duration-ms='1'>", "</report>", "<cpu total-percent='1' window-ms='1'>",
            "</cpu>", "<core percent='1'/>", "<counters boot-id='' monotonic-ms='1'>", "</counters>",
            "<core-time core='0' user-ms='1' system-ms='1' idle-ms='1'/>", "<pressure resource='io' some-us='1'/>", "<events source='' access='read' truncated='true'>", "</events>",
            "<event record-id='' level='' occurred-unix-ms='0' source='' message=''>", "</event>",
            "<data name='' value=''/>", "<!DOCTYPE a>", "&amp;", "&", "<", ">", "<![CDATA[", "]]>", "<!--", "-->",
            "<?", "?>", "'", "\"", " a='", "\0",
        ][..]), 0..30),
    ) {
        let _ = Report::from_xml(pieces.concat().as_bytes());
    }

    #[test]
    fn an_envelope_opens_with_its_own_request_in_any_noise(
        (request, secret) in some_request(),
        xml in vec(any::<u8>(), 0..2000),
        before in vec(any::<u8>(), 0..200),
        after in vec(any::<u8>(), 0..200),
        crlf: bool,
    ) {
        let mut text = envelope::seal(&xml, &request, &mut SysRng).unwrap();
        if crlf {
            text = text.replace('\n', "\r\n");
        }
        let noisy = [&before, text.as_bytes(), &after].concat();
        prop_assert_eq!(envelope::open(&noisy, &request, &secret), Ok(xml));
    }

    #[test]
    fn any_bytes_are_no_envelope((request, secret) in some_request(), bytes in vec(any::<u8>(), 0..600)) {
        prop_assert!(envelope::open(&bytes, &request, &secret).is_err());
        let block = [envelope::BEGIN.as_bytes(), &bytes, envelope::END.as_bytes()].concat();
        prop_assert!(envelope::open(&block, &request, &secret).is_err());
    }
}
