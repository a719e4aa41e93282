//! The input of a mail about alerts: one collection, the decisions about it, and earlier values.

use jiff::Timestamp;

use crate::{
    config,
    fleet::{
        Metric,
        alert::{Change, Notice, NoticeReason},
        judge::Verdict,
        metric::Observation,
    },
};

/// A collection with the data for mails about it.
#[derive(Debug, Clone, Copy)]
pub struct MailContext<'a> {
    /// The client, with its recipients.
    pub client: &'a config::Client,
    /// The decisions.
    pub verdict: &'a Verdict,
    /// The result of the collection.
    pub observation: Observation<'a>,
    /// Earlier values, oldest first, of the metrics that [`history_wanted`] names; may be empty. Only values from
    /// before `now` are shown.
    pub histories: &'a [(Metric, Vec<(Timestamp, f64)>)],
    /// When it was decided.
    pub now: Timestamp,
    /// The host name of the collector.
    pub collector_name: &'a str,
}

/// The metrics whose earlier values are shown in the mails of this verdict.
#[must_use]
pub fn history_wanted(verdict: &Verdict) -> Vec<Metric> {
    let wanted = |change: &&Change| match change.notice {
        Notice::Send(NoticeReason::Recovered | NoticeReason::Gone) | Notice::Hold(_) => false,
        Notice::Send(NoticeReason::Raised | NoticeReason::EveryCollection | NoticeReason::Reminder) => {
            change.metric.spec().stored.is_some() && change.instance.is_host()
        }
    };
    verdict.changes.iter().filter(wanted).map(|change| change.metric).collect()
}
