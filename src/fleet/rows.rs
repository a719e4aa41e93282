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
    /// `v1_history`.
    History,
    /// `v1_file_systems`.
    FileSystems,
    /// `v1_interfaces`.
    Interfaces,
    /// `v1_clients`.
    Clients,
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

/// A column that is read from the view itself.
const fn of_view(kind: Kind, view: &'static str, name: &'static str) -> Column {
    Column { name, kind, table: view, field: name }
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

const HISTORY: [Column; 10] = [
    CLIENT_IP,
    CLIENT_PORT,
    text("metric", "history_series", "metric"),
    text("instance", "history_series", "instance"),
    integer("bucket_start_ms", "history_buckets", "start_ms"),
    integer("bucket_seconds", "history_buckets", "tier_seconds"),
    integer("count", "history_buckets", "count"),
    real("minimum", "history_buckets", "minimum"),
    real("mean", "history_buckets", "mean"),
    real("maximum", "history_buckets", "maximum"),
];

const FILE_SYSTEMS: [Column; 13] = [
    CLIENT_IP,
    CLIENT_PORT,
    of_view(Kind::Text, "v1_file_systems", "mount"),
    of_view(Kind::Text, "v1_file_systems", "kind"),
    of_view(Kind::Integer, "v1_file_systems", "total_bytes"),
    of_view(Kind::Integer, "v1_file_systems", "used_bytes"),
    of_view(Kind::Integer, "v1_file_systems", "available_bytes"),
    of_view(Kind::Integer, "v1_file_systems", "collected_at_ms"),
    of_view(Kind::Text, "v1_file_systems", "outlook"),
    of_view(Kind::Real, "v1_file_systems", "growth_bytes_per_day"),
    of_view(Kind::Real, "v1_file_systems", "full_in_days"),
    of_view(Kind::Real, "v1_file_systems", "full_earliest_days"),
    of_view(Kind::Real, "v1_file_systems", "full_latest_days"),
];

const INTERFACES: [Column; 6] = [
    CLIENT_IP,
    CLIENT_PORT,
    of_view(Kind::Text, "v1_interfaces", "interface"),
    of_view(Kind::Integer, "v1_interfaces", "received_bytes"),
    of_view(Kind::Integer, "v1_interfaces", "sent_bytes"),
    of_view(Kind::Integer, "v1_interfaces", "collected_at_ms"),
];

const CLIENTS: [Column; 6] = [
    CLIENT_IP,
    CLIENT_PORT,
    of_view(Kind::Text, "v1_clients", "client_name"),
    of_view(Kind::Text, "v1_clients", "host_name"),
    of_view(Kind::Integer, "v1_clients", "last_collected_at_ms"),
    of_view(Kind::Integer, "v1_clients", "failed_in_a_row"),
];

impl View {
    /// All views.
    pub const ALL: [Self; 9] = [
        Self::Samples,
        Self::Cores,
        Self::Alerts,
        Self::Events,
        Self::Mails,
        Self::History,
        Self::FileSystems,
        Self::Interfaces,
        Self::Clients,
    ];

    /// Its name in the database.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Samples => "v1_samples",
            Self::Cores => "v1_cores",
            Self::Alerts => "v1_alerts",
            Self::Events => "v1_events",
            Self::Mails => "v1_mails",
            Self::History => "v1_history",
            Self::FileSystems => "v1_file_systems",
            Self::Interfaces => "v1_interfaces",
            Self::Clients => "v1_clients",
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
            Self::History => &HISTORY,
            Self::FileSystems => &FILE_SYSTEMS,
            Self::Interfaces => &INTERFACES,
            Self::Clients => &CLIENTS,
        }
    }
}
