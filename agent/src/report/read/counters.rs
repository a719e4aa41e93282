//! Parses the elements with counters. Lists are limited by the caller.

use super::{Element, ReportError};
use crate::report::{CoreTime, Counters, Disk, Interface, Pressure, Resource};

pub(super) fn interface(element: &Element<'_>) -> Result<Interface, ReportError> {
    Ok(Interface {
        name: element.text("name")?,
        index: element.optional_number("index")?,
        received_bytes: element.number("received-bytes")?,
        sent_bytes: element.number("sent-bytes")?,
        received_packets: element.optional_number("received-packets")?,
        sent_packets: element.optional_number("sent-packets")?,
        received_errors: element.optional_number("received-errors")?,
        sent_errors: element.optional_number("sent-errors")?,
        speed_mbit: element.optional_number("speed-mbit")?,
        is_loopback: element.optional_number("loopback")?.unwrap_or(false),
        window_received_bytes_per_second: element.optional_number("window-received-bytes-per-second")?,
        window_sent_bytes_per_second: element.optional_number("window-sent-bytes-per-second")?,
    })
}

pub(super) fn counters(element: &Element<'_>) -> Result<Counters, ReportError> {
    Ok(Counters {
        boot_id: element.text("boot-id")?,
        monotonic_ms: element.number("monotonic-ms")?,
        context_switches: element.optional_number("context-switches")?,
        page_faults: element.optional_number("page-faults")?,
        major_page_faults: element.optional_number("major-page-faults")?,
        oom_kills: element.optional_number("oom-kills")?,
        ..Counters::default()
    })
}

pub(super) fn core_time(element: &Element<'_>) -> Result<CoreTime, ReportError> {
    Ok(CoreTime {
        core: element.number("core")?,
        user_ms: element.number("user-ms")?,
        nice_ms: element.optional_number("nice-ms")?,
        system_ms: element.number("system-ms")?,
        idle_ms: element.number("idle-ms")?,
        io_wait_ms: element.optional_number("io-wait-ms")?,
        interrupt_ms: element.optional_number("interrupt-ms")?,
        soft_interrupt_ms: element.optional_number("soft-interrupt-ms")?,
        steal_ms: element.optional_number("steal-ms")?,
    })
}

pub(super) fn disk(element: &Element<'_>) -> Result<Disk, ReportError> {
    Ok(Disk {
        name: element.text("name")?,
        read_bytes: element.number("read-bytes")?,
        written_bytes: element.number("written-bytes")?,
        reads: element.number("reads")?,
        writes: element.number("writes")?,
        busy_ms: element.optional_number("busy-ms")?,
        window_busy_percent: element.optional_float("window-busy-percent")?,
    })
}

/// `None` for a resource that only later agents know.
pub(super) fn pressure(element: &Element<'_>) -> Result<Option<Pressure>, ReportError> {
    let Some(resource) = Resource::named(&element.text("resource")?) else { return Ok(None) };
    Ok(Some(Pressure {
        resource,
        some_us: element.number("some-us")?,
        full_us: element.optional_number("full-us")?,
        window_some_percent: element.optional_float("window-some-percent")?,
    }))
}
