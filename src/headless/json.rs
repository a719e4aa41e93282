//! The JSON document that `--once --format json` prints. Other programs rely on its names.

use jiff::Timestamp;
use serde::Serialize;
use uuid::Uuid;

use crate::fleet::{
    Metric, Percent, Reading, Stage, SweepId,
    metric::Instance,
    reading::Usage,
    state::{ClientView, Fleet},
};

/// The whole document.
#[derive(Debug, Serialize)]
pub struct Document<'a> {
    sweep: Uuid,
    started_at: Timestamp,
    duration_ms: u64,
    clients: Vec<Client<'a>>,
    summary: Summary,
}

#[derive(Debug, Serialize)]
struct Client<'a> {
    name: &'a str,
    ip: &'a str,
    port: u16,
    status: Status,
    stage: Option<Stage>,
    error: Option<String>,
    duration_ms: u64,
    attempts: u32,
    cpu_percent: Option<Percent>,
    cpu_span_ms: Option<u64>,
    memory_percent: Option<Percent>,
    swap_percent: Option<Percent>,
    uptime_seconds: Option<u64>,
    alerts: Vec<Alert>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "lowercase")]
enum Status {
    Ok,
    Failed,
}

#[derive(Debug, Serialize)]
struct Alert {
    r#type: Metric,
    #[serde(skip_serializing_if = "Instance::is_host")]
    instance: Instance,
    limit: f64,
    value: f64,
}

#[derive(Debug, Serialize)]
struct Summary {
    clients: usize,
    ok: usize,
    failed: usize,
    alerts: usize,
    mail: Mails,
}

/// The mails of this run, by result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Mails {
    /// Accepted by the SMTP server in this run.
    pub sent: u64,
    /// Still in the outbox.
    pub waiting: u64,
    /// Permanently refused, or given up, in this run.
    pub refused: u64,
}

impl<'a> Document<'a> {
    /// The document of one ended sweep; `None` while the sweep is not known or has not ended.
    #[must_use]
    pub fn of(fleet: &'a Fleet, sweep: SweepId, mail: Mails) -> Option<Self> {
        let view = fleet.sweep(sweep)?;
        let clients: Vec<_> = view.clients.iter().filter_map(|id| client(fleet.client(id)?, sweep)).collect();
        Some(Self {
            sweep: sweep.0,
            started_at: view.started_at,
            duration_ms: view.duration_ms?,
            summary: Summary {
                clients: view.clients.len(),
                ok: view.ok,
                failed: view.failed,
                alerts: clients.iter().map(|client| client.alerts.len()).sum(),
                mail,
            },
            clients,
        })
    }
}

fn client(view: &ClientView, sweep: SweepId) -> Option<Client<'_>> {
    let last = view.last.as_ref().filter(|last| last.sweep == sweep)?;
    let reading: Option<&Reading> = match &last.failure {
        None => view.reading.as_ref().map(|(_, reading)| &**reading),
        Some(_) => None,
    };
    Some(Client {
        name: &view.card.name,
        ip: view.card.id.address(),
        port: view.card.id.port(),
        status: if last.failure.is_none() { Status::Ok } else { Status::Failed },
        stage: last.failure.as_ref().map(|failure| failure.stage),
        error: last.failure.as_ref().map(ToString::to_string),
        duration_ms: last.duration_ms,
        attempts: last.attempts,
        cpu_percent: reading.and_then(|reading| reading.cpu),
        cpu_span_ms: reading.and_then(|reading| reading.rates.cpu_span_ms),
        memory_percent: reading.and_then(|reading| reading.memory).and_then(Usage::percent),
        swap_percent: reading.and_then(|reading| reading.swap).and_then(Usage::percent),
        uptime_seconds: reading.and_then(|reading| reading.uptime_seconds),
        alerts: view
            .exceeded
            .iter()
            .map(|exceeded| Alert {
                r#type: exceeded.metric,
                instance: exceeded.instance.clone(),
                limit: exceeded.limit,
                value: exceeded.value,
            })
            .collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::headless::table::tests::{SWEEP, swept};

    #[test]
    fn the_document_has_the_names_of_the_contract() {
        let fleet = swept();
        let document = Document::of(&fleet, SWEEP, Mails { sent: 1, waiting: 2, refused: 3 }).unwrap();
        insta::assert_snapshot!(serde_json::to_string_pretty(&document).unwrap());
    }

    #[test]
    fn a_sweep_that_goes_on_has_no_document() {
        assert!(Document::of(&Fleet::default(), SWEEP, Mails { sent: 0, waiting: 0, refused: 0 }).is_none());
    }
}
