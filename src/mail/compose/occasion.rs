//! What a mail about alerts is made from: one collection, what was decided about it, and earlier values. Not the mail.

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

/// A collection about which there may be a mail.
#[derive(Debug, Clone, Copy)]
pub struct MailContext<'a> {
    /// The client, with its recipients.
    pub client: &'a config::Client,
    /// What was decided.
    pub verdict: &'a Verdict,
    /// What the collection showed.
    pub observation: Observation<'a>,
    /// Earlier values, oldest first, of the metrics that [`history_wanted`] names; may be empty. Only values from
    /// before `now` are shown.
    pub histories: &'a [(Metric, Vec<(Timestamp, f64)>)],
    /// When it was decided.
    pub now: Timestamp,
    /// The name of the machine on which this program runs.
    pub collector_name: &'a str,
}

/// The metrics whose earlier values belong in the mails of this verdict.
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
