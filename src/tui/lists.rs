//! The listed alerts, mails and log lines, and the selected ones.

use super::{
    columns::{self, Context},
    kept::stay,
    model::Model,
    view::{Pane, Tab},
};
use crate::fleet::{alerts::AlertView, history::MailRow, stream::LogLine};

impl Model {
    /// The rows of the alert history without a filter: the alerts with the mails about each.
    pub(super) fn alert_base(&self) -> Vec<(&AlertView, &[String])> {
        match self.alert_rows() {
            Some(history) => history.iter().map(|row| (&row.alert, row.mails.as_slice())).collect(),
            None => self.alert_list().into_iter().map(|alert| (alert, [].as_slice())).collect(),
        }
    }

    /// The listed alerts of the alert history.
    pub(super) fn alerts_found(&self) -> Vec<(&AlertView, &[String])> {
        let base = self.alert_base();
        self.found.iter().filter_map(|at| base.get(*at).copied()).collect()
    }

    /// The listed mails.
    pub(super) fn mails_found(&self) -> impl Iterator<Item = &MailRow> {
        let mails = self.mails.rows().unwrap_or_default();
        self.found.iter().filter_map(move |at| mails.get(*at))
    }

    /// The selected mail.
    pub(super) fn selected_mail(&self) -> Option<&MailRow> {
        self.mails.rows()?.get(*self.found.get(self.view.mail)?)
    }

    /// The listed log lines, oldest first.
    pub(super) fn log_found(&self) -> impl Iterator<Item = &LogLine> {
        self.found.iter().filter_map(|at| self.log.get(*at))
    }

    /// The index of the selected line among the listed ones.
    pub(super) fn log_row(&self) -> Option<usize> {
        self.found.len().checked_sub(self.view.log_back + 1)
    }

    /// The selected log line.
    pub(super) fn selected_line(&self) -> Option<&LogLine> {
        self.log.get(*self.found.get(self.log_row()?)?)
    }

    /// Applies the filter to the alerts, mails or log lines in the view.
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
                places(self.mails.rows().unwrap_or_default().iter().map(meets))
            }
            Tab::Log => places(self.log.iter().map(|line| self.is_listed(line))),
        };
    }

    /// Keeps the selection within the lists and on the same item if rows are added or removed, so that a key never acts
    /// on another row than the operator saw.
    pub(super) fn stay_selected(&mut self) {
        let last = self.found.len().saturating_sub(1);
        match self.view.tab {
            Tab::Fleet => {
                let alerts = self.alert_list();
                // Without the focus, the newest alerts are visible.
                let kept = self.kept.pane_alert.as_ref().filter(|_| self.view.pane == Pane::Alerts);
                let row = stay(self.view.pane_alert, kept, &alerts, |alert, kept| alert.is_same(kept));
                let kept = alerts.get(row).map(|alert| (row, (*alert).clone()));
                (self.view.pane_alert, self.kept.pane_alert) = (row, kept);
            }
            Tab::Alerts => {
                let alerts = self.alerts_found();
                let kept = self.kept.alert.as_ref();
                let row = stay(self.view.alert, kept, &alerts, |(alert, _), kept| alert.is_same(kept));
                let kept = alerts.get(row).map(|(alert, _)| (row, (*alert).clone()));
                (self.view.alert, self.kept.alert) = (row, kept);
            }
            Tab::Mails => {
                let mails: Vec<_> = self.mails_found().collect();
                let row = stay(self.view.mail, self.kept.mail.as_ref(), &mails, |mail, kept| mail.id == *kept);
                let kept = mails.get(row).map(|mail| (row, mail.id));
                (self.view.mail, self.kept.mail) = (row, kept);
            }
            Tab::Log => self.view.log_back = self.view.log_back.min(last),
        }
    }

    /// Whether the filter of the log accepts a line.
    pub(super) fn is_listed(&self, line: &LogLine) -> bool {
        let words = &self.view.log_filter.words;
        words.is_empty() || words.meets(&columns::fields(&columns::log::COLUMNS, line, &self.context(self.look)))
    }
}

/// The indices of the listed items.
fn places(listed: impl Iterator<Item = bool>) -> Vec<usize> {
    listed.enumerate().filter(|(_, is_listed)| *is_listed).map(|(at, _)| at).collect()
}

#[cfg(test)]
mod tests {
    use crate::{
        fleet::{
            EventKind, Metric,
            alert::{Notice, NoticeReason, Step},
            metric::Instance,
            order::Order,
        },
        tui::{
            Command,
            paint::press,
            script::{self, DARK},
        },
    };

    /// An alert that is raised in the moment before a key is pressed must not be the one that is acknowledged.
    #[test]
    fn an_alert_that_is_raised_does_not_slip_under_the_selection() {
        for keys in ["2", "2j", "\t\t", "\t\tj"] {
            let mut model = script::model(20, (120, 40), DARK);
            press(&mut model, keys);
            model.prepare();
            let selected = model.selected_alert(false).unwrap().clone();
            let kind = EventKind::Alert {
                metric: Metric::Cpu,
                instance: Instance::HOST,
                limit: 90.0,
                value: 99.0,
                raised_at: script::now(),
                step: Step::Raised,
                notice: Notice::Send(NoticeReason::Raised),
            };
            script::tell(&mut model, Some(9), kind);
            let (client, metric, instance) = (selected.client, selected.metric, selected.instance);
            let expected = Order::Acknowledge { client, metric, instance };
            assert_eq!(press(&mut model, "a"), [Command::Order(expected)], "{keys:?}");
        }
    }
}
