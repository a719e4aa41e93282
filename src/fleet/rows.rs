//! The exported `v1_` views of the database and their columns. Their queries and output formats are elsewhere.
//!
//! Texts may come from clients; they were cleaned when they were received.

use std::sync::LazyLock;

use super::{
    cell::{Column, Kind},
    stored,
};

/// A view whose rows can be exported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum View {
    /// `v1_samples`.
    Samples,
    /// `v1_cores`.
    Cores,
    /// `v1_alerts`.
    Alerts,
    /// `v1_events`.
    Events,
    /// `v1_mails`.
    Mails,
}

const fn integer(name: &'static str, table: &'static str, field: &'static str) -> Column {
    Column { name, kind: Kind::Integer, table, field }
}

const fn real(name: &'static str, table: &'static str, field: &'static str) -> Column {
    Column { name, kind: Kind::Real, table, field }
}

const fn text(name: &'static str, table: &'static str, field: &'static str) -> Column {
    Column { name, kind: Kind::Text, table, field }
}

const CLIENT_IP: Column = text("client_ip", "clients", "ip");
const CLIENT_PORT: Column = integer("client_port", "clients", "port");

/// The client, then the columns of the stored sample.
static SAMPLES: LazyLock<Vec<Column>> = LazyLock::new(|| {
    let client = [CLIENT_IP, CLIENT_PORT, text("client_name", "clients", "name")];
    let stored = stored::columns().iter().filter(|stored| stored.in_views).map(|stored| stored.column);
    client.into_iter().chain(stored).collect()
});

const CORES: [Column; 5] = [
    CLIENT_IP,
    CLIENT_PORT,
    integer("collected_at_ms", "collections", "collected_at_ms"),
    integer("core", "cores", "core"),
    real("cpu_percent", "cores", "cpu_percent"),
];

const ALERTS: [Column; 9] = [
    CLIENT_IP,
    CLIENT_PORT,
    text("type", "alerts", "metric"),
    real("limit_value", "alerts", "limit_value"),
    real("value", "alerts", "last_value"),
    integer("raised_at_ms", "alerts", "raised_at_ms"),
    integer("resolved_at_ms", "alerts", "resolved_at_ms"),
    integer("last_mail_at_ms", "alerts", "last_mail_at_ms"),
    text("instance", "alerts", "instance"),
];

const EVENTS: [Column; 9] = [
    CLIENT_IP,
    CLIENT_PORT,
    text("channel", "security_events", "channel"),
    text("record_id", "security_events", "record_id"),
    integer("event_id", "security_events", "event_id"),
    text("level", "security_events", "level"),
    integer("occurred_at_ms", "security_events", "occurred_at_ms"),
    text("source", "security_events", "source"),
    text("message", "security_events", "message"),
];

const MAILS: [Column; 9] = [
    text("recipient", "mails", "recipient"),
    text("kind", "mails", "kind"),
    text("subject", "mails", "subject"),
    text("body", "mails", "body"),
    text("status", "mails", "status"),
    integer("created_at_ms", "mails", "created_at_ms"),
    integer("sent_at_ms", "mails", "sent_at_ms"),
    integer("attempts", "mails", "attempts"),
    text("last_error", "mails", "last_error"),
];

impl View {
    /// All views.
    pub const ALL: [Self; 5] = [Self::Samples, Self::Cores, Self::Alerts, Self::Events, Self::Mails];

    /// Its name in the database.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Samples => "v1_samples",
            Self::Cores => "v1_cores",
            Self::Alerts => "v1_alerts",
            Self::Events => "v1_events",
            Self::Mails => "v1_mails",
        }
    }

    /// Its columns, in their order.
    #[must_use]
    pub fn columns(self) -> &'static [Column] {
        match self {
            Self::Samples => &SAMPLES,
            Self::Cores => &CORES,
            Self::Alerts => &ALERTS,
            Self::Events => &EVENTS,
            Self::Mails => &MAILS,
        }
    }
}
