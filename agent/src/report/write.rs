//! Writes a report as XML. Its limits are in `limits`.

use std::{fmt::Display, time::Duration};

use quick_xml::events::BytesStart;

use super::{Counters, EventAccess, EventLog, Interface, Process, Report, SecurityEvent, limits::writable};
use crate::VERSION;

impl Report {
    /// The report as XML. Characters that are invalid in XML are replaced with U+FFFD. A reader rejects a report that
    /// exceeds the limits, so call [`Report::fit`] first.
    #[must_use]
    pub fn to_xml(&self) -> String {
        let mut xml = Xml(String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"));
        let mut root = element("report")
            .with("version", VERSION)
            .with("agent", &self.agent_version)
            .with("agent-duration-ms", ms(self.agent_duration));
        root = root.with_some("clock-unix-ms", self.clock_unix_ms);
        if self.omitted_file_systems > 0 {
            root = root.with("omitted-file-systems", self.omitted_file_systems);
        }
        root = root
            .with_some("restart-needed", self.restart_needed)
            .with_some("security-updates", self.security_updates)
            .with_some("temperature-millicelsius", self.temperature_millicelsius);
        root = root.with_some("uptime-ms", self.uptime.map(ms)).with_some("boot-unix-ms", self.boot_unix_ms);
        xml.open(&root);
        for warning in &self.warnings {
            xml.leaf(&element("warning").with("what", &warning.what).with("why", &warning.why));
        }
        xml.leaf(
            &element("host")
                .with_some("name", self.host.name.as_ref())
                .with_some("os-family", self.host.os_family.as_ref())
                .with_some("os-version", self.host.os_version.as_ref())
                .with_some("kernel", self.host.kernel.as_ref())
                .with_some("architecture", self.host.architecture.as_ref()),
        );
        if let Some(cpu) = &self.cpu {
            xml.open(&element("cpu").with("total-percent", cpu.total_percent).with("window-ms", ms(cpu.window)));
            for percent in &cpu.core_percent {
                xml.leaf(&element("core").with("percent", percent));
            }
            xml.close("cpu");
        }
        if let Some(memory) = &self.memory {
            xml.leaf(
                &element("memory")
                    .with("total-bytes", memory.total_bytes)
                    .with("used-bytes", memory.used_bytes)
                    .with("available-bytes", memory.available_bytes),
            );
        }
        if let Some(swap) = &self.swap {
            xml.leaf(&element("swap").with("total-bytes", swap.total_bytes).with("used-bytes", swap.used_bytes));
        }
        if let Some(commit) = &self.commit {
            xml.leaf(&element("commit").with("limit-bytes", commit.limit_bytes).with("used-bytes", commit.used_bytes));
        }
        if let Some(load) = &self.load {
            xml.leaf(&element("load").with("one", load.one).with("five", load.five).with("fifteen", load.fifteen));
        }
        for system in &self.file_systems {
            xml.leaf(
                &element("file-system")
                    .with("mount", &system.mount)
                    .with("kind", &system.kind)
                    .with("total-bytes", system.total_bytes)
                    .with("used-bytes", system.used_bytes)
                    .with("available-bytes", system.available_bytes)
                    .with_some("inodes-total", system.inodes.map(|inodes| inodes.total))
                    .with_some("inodes-free", system.inodes.map(|inodes| inodes.free)),
            );
        }
        for mount in &self.silent_mounts {
            xml.leaf(&element("silent-mount").with("mount", mount));
        }
        for interface in &self.interfaces {
            xml.interface(interface);
        }
        if let Some(counters) = &self.counters {
            xml.counters(counters);
        }
        xml.processes("top-cpu", &self.top_cpu);
        xml.processes("top-memory", &self.top_memory);
        for victim in &self.oom_victims {
            xml.leaf(&element("oom-victim").with("name", victim));
        }
        if let Some(units) = &self.failed_units {
            xml.open(&element("failed-units"));
            for unit in units {
                xml.leaf(&element("unit").with("name", unit));
            }
            xml.close("failed-units");
        }
        if let Some(counts) = &self.process_counts {
            xml.open(&element("process-counts"));
            for (name, count) in counts {
                xml.leaf(&element("process-count").with("name", name).with("count", count));
            }
            xml.close("process-counts");
        }
        if let Some(log) = &self.events {
            xml.events(log);
        }
        xml.close("report");
        xml.0
    }
}

/// A start tag. Values are cleaned and escaped when they are added.
struct Element(BytesStart<'static>);

fn element(name: &'static str) -> Element {
    Element(BytesStart::new(name))
}

impl Element {
    fn with(mut self, name: &str, value: impl Display) -> Self {
        self.0.push_attribute((name, &*writable(&value.to_string())));
        self
    }

    fn with_some(self, name: &str, value: Option<impl Display>) -> Self {
        match value {
            Some(value) => self.with(name, value),
            None => self,
        }
    }
}

struct Xml(String);

impl Xml {
    fn tag(&mut self, before: &str, content: &str, after: &str) {
        for part in [before, content, after, "\n"] {
            self.0.push_str(part);
        }
    }

    fn open(&mut self, element: &Element) {
        self.tag("<", &element.0, ">");
    }

    fn leaf(&mut self, element: &Element) {
        self.tag("<", &element.0, "/>");
    }

    fn close(&mut self, name: &str) {
        self.tag("</", name, ">");
    }

    fn interface(&mut self, interface: &Interface) {
        let mut line = element("interface")
            .with("name", &interface.name)
            .with("received-bytes", interface.received_bytes)
            .with("sent-bytes", interface.sent_bytes);
        for (name, value) in [
            ("index", interface.index.map(u64::from)),
            ("received-packets", interface.received_packets),
            ("sent-packets", interface.sent_packets),
            ("received-errors", interface.received_errors),
            ("sent-errors", interface.sent_errors),
            ("speed-mbit", interface.speed_mbit.map(u64::from)),
            ("window-received-bytes-per-second", interface.window_received_bytes_per_second),
            ("window-sent-bytes-per-second", interface.window_sent_bytes_per_second),
        ] {
            line = line.with_some(name, value);
        }
        self.leaf(&line.with_some("loopback", interface.is_loopback.then_some(true)));
    }

    fn counters(&mut self, counters: &Counters) {
        self.open(
            &element("counters")
                .with("boot-id", &counters.boot_id)
                .with("monotonic-ms", counters.monotonic_ms)
                .with_some("context-switches", counters.context_switches)
                .with_some("page-faults", counters.page_faults)
                .with_some("major-page-faults", counters.major_page_faults)
                .with_some("oom-kills", counters.oom_kills),
        );
        for core in &counters.cores {
            self.leaf(
                &element("core-time")
                    .with("core", core.core)
                    .with("user-ms", core.user_ms)
                    .with_some("nice-ms", core.nice_ms)
                    .with("system-ms", core.system_ms)
                    .with("idle-ms", core.idle_ms)
                    .with_some("io-wait-ms", core.io_wait_ms)
                    .with_some("interrupt-ms", core.interrupt_ms)
                    .with_some("soft-interrupt-ms", core.soft_interrupt_ms)
                    .with_some("steal-ms", core.steal_ms),
            );
        }
        for disk in &counters.disks {
            self.leaf(
                &element("disk")
                    .with("name", &disk.name)
                    .with("read-bytes", disk.read_bytes)
                    .with("written-bytes", disk.written_bytes)
                    .with("reads", disk.reads)
                    .with("writes", disk.writes)
                    .with_some("busy-ms", disk.busy_ms)
                    .with_some("window-busy-percent", disk.window_busy_percent),
            );
        }
        for pressure in &counters.pressure {
            self.leaf(
                &element("pressure")
                    .with("resource", pressure.resource.word())
                    .with("some-us", pressure.some_us)
                    .with_some("full-us", pressure.full_us)
                    .with_some("window-some-percent", pressure.window_some_percent),
            );
        }
        self.close("counters");
    }

    fn processes(&mut self, list: &'static str, processes: &[Process]) {
        self.open(&element(list));
        for process in processes {
            self.leaf(
                &element("process")
                    .with("pid", process.pid)
                    .with("name", &process.name)
                    .with("cpu-percent", process.cpu_percent)
                    .with("memory-bytes", process.memory_bytes),
            );
        }
        self.close(list);
    }

    fn events(&mut self, log: &EventLog) {
        self.open(
            &element("events")
                .with("source", &log.source)
                .with("access", log.access.word())
                .with_some("bookmark", log.bookmark.as_ref())
                .with("truncated", log.truncated),
        );
        for SecurityEvent { record_id, channel, event_id, level, occurred_unix_ms, source, user, message, data } in
            &log.events
        {
            let event = element("event")
                .with("record-id", record_id)
                .with_some("channel", channel.as_ref())
                .with_some("event-id", *event_id)
                .with("level", level)
                .with("occurred-unix-ms", occurred_unix_ms)
                .with("source", source)
                .with_some("user", user.as_ref())
                .with("message", message);
            if data.is_empty() {
                self.leaf(&event);
                continue;
            }
            self.open(&event);
            for (name, value) in data {
                self.leaf(&element("data").with("name", name).with("value", value));
            }
            self.close("event");
        }
        self.close("events");
    }
}

impl EventAccess {
    /// Its name in the XML.
    fn word(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Denied => "denied",
            Self::Unavailable => "unavailable",
            Self::Cleared => "cleared",
        }
    }

    /// Parses its name in the XML.
    pub(super) fn from_word(word: &str) -> Option<Self> {
        [Self::Read, Self::Denied, Self::Unavailable, Self::Cleared].into_iter().find(|access| access.word() == word)
    }
}

fn ms(duration: Duration) -> u128 {
    duration.as_millis()
}
