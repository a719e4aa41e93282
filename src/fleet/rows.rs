//! What is exported of the database: rows of the `v1_` views, as plain data. Not their queries, and not the
//! format in which they are written.
//!
//! Text in here may stem from clients; it was cleaned where it entered.

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

/// A column of a view.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Column {
    /// Its name, which is part of the contract.
    pub name: &'static str,
    /// What its values are, where they are not NULL.
    pub kind: Kind,
}

/// What the values of a column are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Whole numbers.
    Integer,
    /// Numbers.
    Real,
    /// Text.
    Text,
}

/// One value.
#[derive(Debug, Clone, PartialEq)]
pub enum Cell {
    /// Not measured, or has not happened.
    Null,
    /// A whole number.
    Integer(i64),
    /// A number.
    Real(f64),
    /// Text.
    Text(String),
}

/// One row, in the order of [`View::columns`].
pub type Row = Vec<Cell>;

const fn integer(name: &'static str) -> Column {
    Column { name, kind: Kind::Integer }
}

const fn real(name: &'static str) -> Column {
    Column { name, kind: Kind::Real }
}

const fn text(name: &'static str) -> Column {
    Column { name, kind: Kind::Text }
}

impl View {
    /// Every one.
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
            Self::Samples => {
                &const {
                    [
                        text("client_ip"),
                        integer("client_port"),
                        text("client_name"),
                        text("host_name"),
                        integer("collected_at_ms"),
                        real("cpu_percent"),
                        integer("memory_total_bytes"),
                        integer("memory_used_bytes"),
                        real("memory_percent"),
                        integer("swap_total_bytes"),
                        integer("swap_used_bytes"),
                        real("swap_percent"),
                        integer("uptime_seconds"),
                        real("load_1"),
                        real("load_5"),
                        real("load_15"),
                        real("disk_percent"),
                    ]
                }
            }
            Self::Cores => {
                &const {
                    [
                        text("client_ip"),
                        integer("client_port"),
                        integer("collected_at_ms"),
                        integer("core"),
                        real("cpu_percent"),
                    ]
                }
            }
            Self::Alerts => {
                &const {
                    [
                        text("client_ip"),
                        integer("client_port"),
                        text("type"),
                        real("limit_value"),
                        real("value"),
                        integer("raised_at_ms"),
                        integer("resolved_at_ms"),
                        integer("last_mail_at_ms"),
                    ]
                }
            }
            Self::Events => {
                &const {
                    [
                        text("client_ip"),
                        integer("client_port"),
                        text("channel"),
                        text("record_id"),
                        integer("event_id"),
                        text("level"),
                        integer("occurred_at_ms"),
                        text("source"),
                        text("message"),
                    ]
                }
            }
            Self::Mails => {
                &const {
                    [
                        text("recipient"),
                        text("kind"),
                        text("subject"),
                        text("body"),
                        text("status"),
                        integer("created_at_ms"),
                        integer("sent_at_ms"),
                        integer("attempts"),
                        text("last_error"),
                    ]
                }
            }
        }
    }
}
