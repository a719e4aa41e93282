//! Which alerts, mails and lines of the log are listed, and which of them is selected. Not the clients, and not how the
//! filters are typed.

use super::{
    columns::{self, Context},
    model::Model,
    view::Tab,
};
use crate::fleet::{alerts::AlertView, history::MailRow, stream::LogLine};

impl Model {
    /// What the alert history lists where it is not filtered: the alerts, each with who was mailed about it.
    pub(super) fn alert_base(&self) -> Vec<(&AlertView, &[String])> {
        match self.alert_rows() {
            Some(history) => history.iter().map(|row| (&row.alert, row.mails.as_slice())).collect(),
            None => self.alert_list().into_iter().map(|alert| (alert, [].as_slice())).collect(),
        }
    }

    /// The alerts that the alert history lists.
    pub(super) fn alerts_found(&self) -> Vec<(&AlertView, &[String])> {
        let base = self.alert_base();
        self.found.iter().filter_map(|at| base.get(*at).copied()).collect()
    }

    /// The mails that are listed.
    pub(super) fn mails_found(&self) -> impl Iterator<Item = &MailRow> {
        let mails = self.mails.as_deref().unwrap_or_default();
        self.found.iter().filter_map(move |at| mails.get(*at))
    }

    /// The mail that is selected.
    pub(super) fn selected_mail(&self) -> Option<&MailRow> {
        self.mails.as_ref()?.get(*self.found.get(self.view.mail)?)
    }

    /// The lines of the log that are listed, oldest first.
    pub(super) fn log_found(&self) -> impl Iterator<Item = &LogLine> {
        self.found.iter().filter_map(|at| self.log.get(*at))
    }

    /// The place of the selected line among those that are listed.
    pub(super) fn log_row(&self) -> Option<usize> {
        self.found.len().checked_sub(self.view.log_back + 1)
    }

    /// The line of the log that is selected.
    pub(super) fn selected_line(&self) -> Option<&LogLine> {
        self.log.get(*self.found.get(self.log_row()?)?)
    }

    /// Lists what the filter by words leaves of the alerts, mails or lines that are shown.
    pub(super) fn find(&mut self) {
        let context = self.context(self.look);
        self.found = match self.view.tab {
            Tab::Fleet => Vec::new(),
            Tab::Alerts => {
                let (base, words) = (self.alert_base(), &self.view.alert_filter.words);
                let meets = |(alert, mails): &(&AlertView, &[String])| {
                    let context = Context { mails, ..self.context(self.look) };
                    words.is_empty() || words.meets(&columns::fields(&columns::alerts::COLUMNS, *alert, &context))
                };
                places(base.iter().map(meets))
            }
            Tab::Mails => {
                let words = &self.view.mail_filter.words;
                let meets = |mail: &MailRow| {
                    words.is_empty() || words.meets(&columns::fields(&columns::mails::COLUMNS, mail, &context))
                };
                places(self.mails.as_deref().unwrap_or_default().iter().map(meets))
            }
            Tab::Log => places(self.log.iter().map(|line| self.is_listed(line))),
        };
    }

    /// Whether the filter of the log leaves a line.
    pub(super) fn is_listed(&self, line: &LogLine) -> bool {
        let words = &self.view.log_filter.words;
        words.is_empty() || words.meets(&columns::fields(&columns::log::COLUMNS, line, &self.context(self.look)))
    }
}

/// The places of what is to be listed.
fn places(listed: impl Iterator<Item = bool>) -> Vec<usize> {
    listed.enumerate().filter(|(_, is_listed)| *is_listed).map(|(at, _)| at).collect()
}
