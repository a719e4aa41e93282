//! Parses the XML of a report, which may come from a hostile machine. The collector's reading validates the numbers.
//!
//! The elements of counters are read in [`counters`].
//!
//! Everything is limited: the input by [`MAX_REPORT_BYTES`], nesting by [`MAX_DEPTH`], attributes by
//! [`MAX_ATTRIBUTES`], lists and texts by the limits in `limits`. A document type is rejected, so there are no entities
//! except the predefined ones and character references.

mod counters;

use std::{borrow::Cow, str::FromStr, time::Duration};

use quick_xml::{
    Reader, XmlVersion,
    events::{BytesStart, Event},
};

use super::{
    Commit, Cpu, EventAccess, EventLog, FileSystem, Inodes, Load, Memory, Process, Report, Resource, SecurityEvent,
    Swap, Warning, limits,
};
use crate::{VERSION, envelope::MAX_REPORT_BYTES};

/// The deepest accepted nesting. A report of this version has five levels.
const MAX_DEPTH: usize = 16;
/// The most attributes of one element.
const MAX_ATTRIBUTES: usize = 64;

/// The reason why XML is not a valid report.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReportError {
    /// It has more bytes than a report.
    #[error("the report has {0} bytes, more than {MAX_REPORT_BYTES}")]
    TooLarge(usize),
    /// It is not UTF-8.
    #[error("the report is not UTF-8")]
    NotUtf8,
    /// It is not well formed.
    #[error("the report is not well-formed XML at byte {at_byte}: {problem}")]
    Malformed {
        /// The position in the report, bytes from its start.
        at_byte: u64,
        /// The error of the parser, truncated. It may quote the client's text.
        problem: String,
    },
    /// It declares a document type.
    #[error("the report declares a document type, which no report does")]
    DocumentType,
    /// It is not exactly one complete `report` element.
    #[error("the XML is not one whole report")]
    NotOneReport,
    /// It has another version of the wire format.
    #[error("the report has version {0}, this program reads version {VERSION}")]
    OtherVersion(u64),
    /// Elements are nested too deeply.
    #[error("the report nests deeper than {MAX_DEPTH} elements")]
    TooDeep,
    /// A list is too long.
    #[error("the report has more than {max} of {what}")]
    TooMany {
        /// The elements.
        what: &'static str,
        /// The limit.
        max: usize,
    },
    /// An element occurs twice that may only occur once.
    #[error("the report has two {0}")]
    Twice(&'static str),
    /// A required attribute is missing.
    #[error("the report's {element} has no {attribute}")]
    Missing {
        /// The element.
        element: &'static str,
        /// The attribute.
        attribute: &'static str,
    },
    /// A value has the wrong format.
    #[error("the report's {element} has a {attribute} that is none")]
    Value {
        /// The element.
        element: &'static str,
        /// The attribute.
        attribute: &'static str,
    },
    /// A text is too long.
    #[error("the report's {element} has a {attribute} of more than {max} bytes")]
    TooLong {
        /// The element.
        element: &'static str,
        /// The attribute.
        attribute: &'static str,
        /// The limit.
        max: usize,
    },
}

impl Report {
    /// Parses a report.
    ///
    /// # Errors
    /// [`ReportError`] for the first error.
    pub fn from_xml(xml: &[u8]) -> Result<Self, ReportError> {
        if xml.len() > MAX_REPORT_BYTES {
            return Err(ReportError::TooLarge(xml.len()));
        }
        let mut reader = Reader::from_str(str::from_utf8(xml).map_err(|_| ReportError::NotUtf8)?);
        let mut report = None;
        let mut open: Vec<Place> = Vec::new();
        loop {
            let event = match reader.read_event() {
                Ok(event) => event,
                Err(error) => return Err(malformed(reader.error_position(), &error)),
            };
            match event {
                Event::Start(start) => {
                    if open.len() >= MAX_DEPTH {
                        return Err(ReportError::TooDeep);
                    }
                    let place = enter(&mut report, open.last().copied(), &start, reader.buffer_position())?;
                    open.push(place);
                }
                Event::Empty(start) => {
                    enter(&mut report, open.last().copied(), &start, reader.buffer_position())?;
                }
                Event::End(_) => {
                    open.pop();
                }
                Event::DocType(_) => return Err(ReportError::DocumentType),
                // Every value is an attribute, so text between elements is ignored.
                Event::Text(_)
                | Event::CData(_)
                | Event::Comment(_)
                | Event::Decl(_)
                | Event::PI(_)
                | Event::GeneralRef(_) => {}
                Event::Eof if open.is_empty() => return report.ok_or(ReportError::NotOneReport),
                Event::Eof => return Err(ReportError::NotOneReport),
            }
        }
    }
}

/// The current parent element.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Report,
    Cpu,
    Counters,
    TopCpu,
    TopMemory,
    FailedUnits,
    ProcessCounts,
    Events,
    Event,
    /// An element whose children this version ignores.
    Other,
}

/// Processes one element with its attributes.
fn enter(
    report: &mut Option<Report>,
    parent: Option<Place>,
    start: &BytesStart<'_>,
    at_byte: u64,
) -> Result<Place, ReportError> {
    let name = start.name();
    let name = name.as_ref();
    let Some(parent) = parent else {
        if name != "report" || report.is_some() {
            return Err(ReportError::NotOneReport);
        }
        *report = Some(root(&Element::read("report", start, at_byte)?)?);
        return Ok(Place::Report);
    };
    let report = report.as_mut().ok_or(ReportError::NotOneReport)?;
    let element = |name| Element::read(name, start, at_byte);
    match (parent, name) {
        (Place::Report, "warning") => {
            let element = element("warning")?;
            let warning = Warning { what: element.text("what")?, why: element.text("why")? };
            push(&mut report.warnings, warning, "warnings", limits::MAX_WARNINGS)?;
        }
        (Place::Report, "host") => {
            let element = element("host")?;
            report.host.name = element.optional_text("name")?;
            report.host.os_family = element.optional_text("os-family")?;
            report.host.os_version = element.optional_text("os-version")?;
            report.host.kernel = element.optional_text("kernel")?;
            report.host.architecture = element.optional_text("architecture")?;
        }
        (Place::Report, "cpu") => {
            let element = element("cpu")?;
            let cpu = Cpu {
                total_percent: element.float("total-percent")?,
                core_percent: Vec::new(),
                window: Duration::from_millis(element.number("window-ms")?),
            };
            once(&mut report.cpu, cpu, "cpu")?;
            return Ok(Place::Cpu);
        }
        (Place::Cpu, "core") => {
            let percent = element("core")?.float("percent")?;
            if let Some(cpu) = &mut report.cpu {
                push(&mut cpu.core_percent, percent, "cores", limits::MAX_CORES)?;
            }
        }
        (Place::Report, "memory") => {
            let element = element("memory")?;
            let memory = Memory {
                total_bytes: element.number("total-bytes")?,
                used_bytes: element.number("used-bytes")?,
                available_bytes: element.number("available-bytes")?,
            };
            once(&mut report.memory, memory, "memory")?;
        }
        (Place::Report, "swap") => {
            let element = element("swap")?;
            let swap = Swap { total_bytes: element.number("total-bytes")?, used_bytes: element.number("used-bytes")? };
            once(&mut report.swap, swap, "swap")?;
        }
        (Place::Report, "commit") => {
            let element = element("commit")?;
            let commit =
                Commit { limit_bytes: element.number("limit-bytes")?, used_bytes: element.number("used-bytes")? };
            once(&mut report.commit, commit, "commit")?;
        }
        (Place::Report, "load") => {
            let element = element("load")?;
            let load =
                Load { one: element.float("one")?, five: element.float("five")?, fifteen: element.float("fifteen")? };
            once(&mut report.load, load, "load")?;
        }
        (Place::Report, "file-system") => {
            let system = file_system(&element("file-system")?)?;
            push(&mut report.file_systems, system, "file systems", limits::MAX_FILE_SYSTEMS)?;
        }
        (Place::Report, "silent-mount") => {
            let mount = element("silent-mount")?.text("mount")?;
            push(&mut report.silent_mounts, mount, "silent mounts", limits::MAX_FILE_SYSTEMS)?;
        }
        (Place::Report, "interface") => {
            let interface = counters::interface(&element("interface")?)?;
            push(&mut report.interfaces, interface, "network interfaces", limits::MAX_INTERFACES)?;
        }
        (Place::Report, "counters") => {
            once(&mut report.counters, counters::counters(&element("counters")?)?, "counters")?;
            return Ok(Place::Counters);
        }
        (Place::Counters, "core-time") => {
            let core = counters::core_time(&element("core-time")?)?;
            if let Some(counters) = &mut report.counters {
                push(&mut counters.cores, core, "cores", limits::MAX_CORES)?;
            }
        }
        (Place::Counters, "disk") => {
            let disk = counters::disk(&element("disk")?)?;
            if let Some(counters) = &mut report.counters {
                push(&mut counters.disks, disk, "disks", limits::MAX_DISKS)?;
            }
        }
        (Place::Counters, "pressure") => {
            let pressure = counters::pressure(&element("pressure")?)?;
            if let (Some(counters), Some(pressure)) = (&mut report.counters, pressure) {
                push(&mut counters.pressure, pressure, "kinds of pressure", Resource::ALL.len())?;
            }
        }
        (Place::Report, "top-cpu") => return Ok(Place::TopCpu),
        (Place::Report, "top-memory") => return Ok(Place::TopMemory),
        (Place::TopCpu, "process") => {
            push(&mut report.top_cpu, process(&element("process")?)?, "processes", limits::MAX_PROCESSES)?;
        }
        (Place::TopMemory, "process") => {
            push(&mut report.top_memory, process(&element("process")?)?, "processes", limits::MAX_PROCESSES)?;
        }
        (Place::Report, "oom-victim") => {
            let name = element("oom-victim")?.text("name")?;
            push(&mut report.oom_victims, name, "victims", limits::MAX_VICTIMS)?;
        }
        (Place::Report, "failed-units") => {
            once(&mut report.failed_units, Vec::new(), "lists of failed units")?;
            return Ok(Place::FailedUnits);
        }
        (Place::FailedUnits, "unit") => {
            let name = element("unit")?.text("name")?;
            if let Some(units) = &mut report.failed_units {
                push(units, name, "failed units", limits::MAX_UNITS)?;
            }
        }
        (Place::Report, "process-counts") => {
            once(&mut report.process_counts, Vec::new(), "lists of process counts")?;
            return Ok(Place::ProcessCounts);
        }
        (Place::ProcessCounts, "process-count") => {
            let element = element("process-count")?;
            let count = (element.text("name")?, element.number("count")?);
            if let Some(counts) = &mut report.process_counts {
                push(counts, count, "process counts", limits::MAX_UNITS)?;
            }
        }
        (Place::Report, "events") => {
            once(&mut report.events, event_log(&element("events")?)?, "event logs")?;
            return Ok(Place::Events);
        }
        (Place::Events, "event") => {
            if let Some(log) = &mut report.events {
                push(&mut log.events, security_event(&element("event")?)?, "security events", limits::MAX_EVENTS)?;
            }
            return Ok(Place::Event);
        }
        (Place::Event, "data") => {
            let element = element("data")?;
            let field = (element.text("name")?, element.text("value")?);
            if let Some(event) = report.events.as_mut().and_then(|log| log.events.last_mut()) {
                push(&mut event.data, field, "data fields of an event", limits::MAX_DATA_FIELDS)?;
            }
        }
        _ => {}
    }
    Ok(Place::Other)
}

fn root(element: &Element<'_>) -> Result<Report, ReportError> {
    let version = element.number("version")?;
    if version != u64::from(VERSION) {
        return Err(ReportError::OtherVersion(version));
    }
    Ok(Report {
        agent_version: element.text("agent")?,
        agent_duration: Duration::from_millis(element.number("agent-duration-ms")?),
        clock_unix_ms: element.optional_number("clock-unix-ms")?,
        omitted_file_systems: element.optional_number("omitted-file-systems")?.unwrap_or_default(),
        restart_needed: element.optional_number("restart-needed")?,
        security_updates: element.optional_number("security-updates")?,
        temperature_millicelsius: element.optional_number("temperature-millicelsius")?,
        uptime: element.optional_number("uptime-ms")?.map(Duration::from_millis),
        boot_unix_ms: element.optional_number("boot-unix-ms")?,
        ..Report::default()
    })
}

fn file_system(element: &Element<'_>) -> Result<FileSystem, ReportError> {
    Ok(FileSystem {
        mount: element.text("mount")?,
        kind: element.text("kind")?,
        total_bytes: element.number("total-bytes")?,
        used_bytes: element.number("used-bytes")?,
        available_bytes: element.number("available-bytes")?,
        inodes: match (element.optional_number("inodes-total")?, element.optional_number("inodes-free")?) {
            (Some(total), Some(free)) => Some(Inodes { total, free }),
            (None, _) | (_, None) => None,
        },
    })
}

fn process(element: &Element<'_>) -> Result<Process, ReportError> {
    Ok(Process {
        pid: element.number("pid")?,
        name: element.text("name")?,
        cpu_percent: element.float("cpu-percent")?,
        memory_bytes: element.number("memory-bytes")?,
    })
}

fn event_log(element: &Element<'_>) -> Result<EventLog, ReportError> {
    Ok(EventLog {
        source: element.text("source")?,
        access: EventAccess::from_word(&element.text("access")?).ok_or_else(|| element.value("access"))?,
        bookmark: element.optional_text("bookmark")?,
        truncated: element.number("truncated")?,
        events: Vec::new(),
    })
}

fn security_event(element: &Element<'_>) -> Result<SecurityEvent, ReportError> {
    Ok(SecurityEvent {
        record_id: element.text("record-id")?,
        event_id: element.optional_number("event-id")?,
        level: element.text("level")?,
        occurred_unix_ms: element.number("occurred-unix-ms")?,
        source: element.text("source")?,
        channel: element.optional_text("channel")?,
        user: element.optional_text("user")?,
        message: element.text_up_to("message", limits::MAX_MESSAGE_BYTES)?,
        data: Vec::new(),
    })
}

/// An element's attributes, unescaped.
struct Element<'a> {
    name: &'static str,
    attributes: Vec<(&'a str, Cow<'a, str>)>,
}

impl<'a> Element<'a> {
    fn read(name: &'static str, start: &'a BytesStart<'_>, at_byte: u64) -> Result<Self, ReportError> {
        let mut attributes = Vec::new();
        for attribute in start.attributes() {
            let attribute = attribute.map_err(|error| malformed(at_byte, &error))?;
            let value =
                attribute.normalized_value(XmlVersion::Implicit1_0).map_err(|error| malformed(at_byte, &error))?;
            push(&mut attributes, (attribute.key.into_inner(), value), "attributes of an element", MAX_ATTRIBUTES)?;
        }
        Ok(Self { name, attributes })
    }

    fn get(&self, attribute: &str) -> Option<&str> {
        self.attributes.iter().find(|(name, _)| *name == attribute).map(|(_, value)| &**value)
    }

    fn text(&self, attribute: &'static str) -> Result<String, ReportError> {
        self.text_up_to(attribute, limits::MAX_TEXT_BYTES)
    }

    fn text_up_to(&self, attribute: &'static str, max: usize) -> Result<String, ReportError> {
        let text = self.get(attribute).ok_or(ReportError::Missing { element: self.name, attribute })?;
        if text.len() > max {
            return Err(ReportError::TooLong { element: self.name, attribute, max });
        }
        Ok(text.to_owned())
    }

    fn optional_text(&self, attribute: &'static str) -> Result<Option<String>, ReportError> {
        self.get(attribute).map(|_| self.text(attribute)).transpose()
    }

    fn number<T: FromStr>(&self, attribute: &'static str) -> Result<T, ReportError> {
        let text = self.get(attribute).ok_or(ReportError::Missing { element: self.name, attribute })?;
        text.parse().map_err(|_| self.value(attribute))
    }

    fn optional_number<T: FromStr>(&self, attribute: &'static str) -> Result<Option<T>, ReportError> {
        self.get(attribute).map(|_| self.number(attribute)).transpose()
    }

    fn optional_float(&self, attribute: &'static str) -> Result<Option<f64>, ReportError> {
        self.get(attribute).map(|_| self.float(attribute)).transpose()
    }

    fn float(&self, attribute: &'static str) -> Result<f64, ReportError> {
        let value: f64 = self.number(attribute)?;
        if value.is_finite() { Ok(value) } else { Err(self.value(attribute)) }
    }

    fn value(&self, attribute: &'static str) -> ReportError {
        ReportError::Value { element: self.name, attribute }
    }
}

fn push<T>(list: &mut Vec<T>, item: T, what: &'static str, max: usize) -> Result<(), ReportError> {
    if list.len() >= max {
        return Err(ReportError::TooMany { what, max });
    }
    list.push(item);
    Ok(())
}

fn once<T>(slot: &mut Option<T>, value: T, what: &'static str) -> Result<(), ReportError> {
    if slot.replace(value).is_some() { Err(ReportError::Twice(what)) } else { Ok(()) }
}

fn malformed(at_byte: u64, error: &impl ToString) -> ReportError {
    let problem = error.to_string().chars().take(200).collect();
    ReportError::Malformed { at_byte, problem }
}
