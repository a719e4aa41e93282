//! The template data and the subjects of mails about troubles of the collector itself.

use serde::Serialize;

use crate::{
    fleet::{
        reading::clean,
        troubles::{Phase, TroubleNotice},
    },
    mail::words::{self, SUBJECT_CHARS, TEXT_CHARS},
};

/// How many clients are listed.
const CLIENTS: usize = 100;

#[derive(Debug, Serialize)]
pub(super) struct Facts<'a> {
    title: &'static str,
    meaning: &'static str,
    next_step: &'static str,
    end: &'static str,
    phase: Phase,
    detail: &'a str,
    /// What the trouble concerns, in words.
    concerned: &'static str,
    clients: &'a [String],
    /// The number of further clients.
    more: usize,
    since: String,
    at: String,
    lasting: String,
    collector: String,
}

impl<'a> Facts<'a> {
    pub(super) fn of(notice: &'a TroubleNotice, collector_name: &str) -> Self {
        let spec = notice.kind.spec();
        let (clients, others) = notice.clients.split_at_checked(CLIENTS).unwrap_or((&notice.clients, &[]));
        Self {
            title: spec.title,
            meaning: spec.meaning,
            next_step: spec.next_step,
            end: spec.end,
            phase: notice.phase,
            detail: &notice.detail,
            concerned: spec.concerned.many,
            clients,
            more: others.len(),
            since: words::moment(notice.since),
            at: words::moment(notice.at),
            lasting: words::duration(words::lasting(notice.since, notice.at)),
            collector: clean(collector_name, TEXT_CHARS),
        }
    }

    pub(super) fn subject(&self) -> String {
        let which = match self.phase {
            Phase::Began => String::new(),
            Phase::Further => format!("further {}: ", self.concerned),
            Phase::Ended => "resolved: ".to_owned(),
        };
        clean(&format!("[fleetsweep] collector {}: {which}{}", self.collector, self.title), SUBJECT_CHARS)
    }
}
