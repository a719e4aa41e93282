//! Actions on clients and alerts, and what is copied or exported of them.

use std::collections::BTreeSet;

use super::spec::{Group, Hint, Scope, Spec, When, spec};
use crate::{
    fleet::{
        ClientId,
        alerts::AlertView,
        event::ClientCard,
        order::{Order, Selection},
        stream::Play,
    },
    tui::{
        format::plural,
        key::Key::Char,
        messages::Command,
        model::{Model, failure_text},
        scrolling::step,
        view::{Overlay, Pane, Place, Tab},
    },
};

pub(super) const MARK: Spec = Spec {
    scope: Scope::Table,
    hint: Hint::Place(9),
    keeps_selection: true,
    ..spec(Group::Act, &[Char(' ')], "mark", "Mark or unmark the selected client.", |model| {
        let Some(client) = model.view.selected.clone() else { return Vec::new() };
        if !model.view.marks.remove(&client) {
            model.view.marks.insert(client);
        }
        step(model, 1)
    })
};

pub(super) const MARK_ALL: Spec = Spec {
    scope: Scope::Table,
    synonyms: &["select all"],
    ..spec(Group::Act, &[Char('*')], "mark all", "Mark all listed clients, or none.", |model| {
        let all = model.rows.iter().all(|id| model.view.marks.contains(id));
        for id in &model.rows {
            if all {
                model.view.marks.remove(id);
            } else {
                model.view.marks.insert(id.clone());
            }
        }
        Vec::new()
    })
};

pub(super) const COLLECT: Spec = Spec {
    scope: Scope::Clients,
    synonyms: &["poll", "refresh", "run", "sweep", "check"],
    hint: Hint::Place(4),
    when: When::Live,
    keeps_selection: true,
    ..spec(Group::Act, &[Char('c')], "collect", "Collect the selected or marked clients now.", collect)
};

pub(super) const COLLECT_FAILED: Spec = Spec {
    scope: Scope::Clients,
    synonyms: &["retry"],
    hint: Hint::Place(10),
    when: When::Live,
    ..spec(Group::Act, &[Char('C')], "collect failed", "Collect all failed clients now.", |model| {
        let failed = model.fleet.clients().filter(|client| client.failure().is_some()).count();
        if failed == 0 {
            model.say(false, "No client has failed.");
            return Vec::new();
        }
        model.say(false, format!("Collecting {failed} failed client{}.", plural(failed)));
        vec![Command::Order(Order::Collect(Selection::Failed))]
    })
};

pub(super) const COLLECT_ALL: Spec = Spec {
    scope: Scope::Clients,
    synonyms: &["sweep now", "refresh", "run"],
    when: When::Live,
    question: |model| Some(format!("Collect all {} clients now?", model.fleet.clients().len())),
    ..spec(Group::Act, &[Char('r')], "collect all", "Collect all clients now.", |_| {
        vec![Command::Order(Order::Collect(Selection::All))]
    })
};

pub(super) const CANCEL: Spec = Spec {
    scope: Scope::Clients,
    synonyms: &["stop", "abort", "kill"],
    when: When::Live,
    question: |model| match cancelled(model).as_slice() {
        [] => None,
        [one] => Some(format!("Cancel the collection of {}?", name_of(model, one))),
        many => Some(format!("Cancel the collections of {} clients?", many.len())),
    },
    keeps_selection: true,
    ..spec(Group::Act, &[Char('x')], "cancel", "Cancel selected or marked collections.", |model| {
        let orders: Vec<_> = cancelled(model).into_iter().map(Order::Cancel).collect();
        if orders.is_empty() {
            let text = if acts_on_marks(model) {
                "No marked client is being collected."
            } else {
                "The selected client is not being collected."
            };
            model.say(false, text);
        }
        let of_marked = acts_on_marks(model);
        together(model, orders, of_marked)
    })
};

pub(super) const PAUSE: Spec = Spec {
    synonyms: &["resume", "maintenance", "stop"],
    hint: Hint::Recording(Some(11)),
    when: When::NotInPast,
    ..spec(Group::Act, &[Char('p')], "pause", "Pause or resume the schedule.", |model| {
        if model.is_replay() {
            return vec![Command::Play(Play::PauseOrGo)];
        }
        vec![Command::Order(if model.fleet.is_paused() { Order::Resume } else { Order::Pause })]
    })
};

pub(super) const ACKNOWLEDGE: Spec = Spec {
    scope: Scope::Alerts,
    synonyms: &["mute", "silence", "snooze", "ack"],
    hint: Hint::Place(12),
    when: When::Live,
    question: |model| question_of(model, "Acknowledge", true),
    keeps_selection: true,
    ..spec(Group::Act, &[Char('a')], "acknowledge", "Send no reminders of an alert until it ends.", |model| {
        acknowledge(model, true)
    })
};

pub(super) const UNACKNOWLEDGE: Spec = Spec {
    scope: Scope::Alerts,
    synonyms: &["unmute", "unsilence", "remind", "unack"],
    when: When::Live,
    question: |model| question_of(model, "Withdraw the acknowledgement of", false),
    keeps_selection: true,
    ..spec(Group::Act, &[Char('A')], "unacknowledge", "Send reminders of an alert again.", |model| {
        acknowledge(model, false)
    })
};

pub(super) const TAKE_OVER: Spec = Spec {
    synonyms: &["failover", "collector"],
    hint: Hint::CollectorGone,
    when: When::Live,
    question: |model| {
        let is_gone = model.has_lost_its_collector();
        is_gone.then(|| "The collector is gone. Sweep from here from now on?".to_owned())
    },
    ..spec(Group::Act, &[Char('T')], "take over", "Sweep from here when the collector is gone.", |model| {
        if model.has_lost_its_collector() {
            model.say(false, "Taking over.");
            return vec![Command::TakeOver];
        }
        model.say(false, "A collector is running. There is nothing to take over.");
        Vec::new()
    })
};

pub(super) const COPY: Spec = Spec {
    synonyms: &["yank", "clipboard"],
    hint: Hint::Place(13),
    keeps_selection: true,
    ..spec(Group::Act, &[Char('y')], "copy", "Copy the error, the mail or the row.", copy)
};

pub(super) const COPY_SSH: Spec = Spec {
    scope: Scope::Clients,
    synonyms: &["login", "shell", "connect", "terminal"],
    keeps_selection: true,
    ..spec(Group::Act, &[Char('Y')], "copy ssh command", "Copy the command that logs in to the client.", |model| {
        let Some(client) = model.selected() else {
            model.say(false, "No client is selected.");
            return Vec::new();
        };
        let command = ssh_command(&client.card);
        model.say(false, format!("Copied: {command}"));
        vec![Command::Copy(command)]
    })
};

pub(super) const EXPORT: Spec = Spec {
    synonyms: &["save", "download", "write"],
    ..spec(Group::Act, &[Char('e')], "export", "Export what is shown as JSON or CSV.", |model| {
        model.view.overlay = Overlay::Export;
        Vec::new()
    })
};

/// Whether an action applies to the marked clients, not to the selected one: they can be seen.
fn acts_on_marks(model: &Model) -> bool {
    model.view.place() == Place::Clients && !model.view.marks.is_empty()
}

/// The same for the alerts of marked clients: where the focus is on the alerts, the selected one is meant.
fn acts_on_marked_alerts(model: &Model) -> bool {
    acts_on_marks(model) && model.view.pane != Pane::Alerts
}

/// How the operator knows a client.
fn name_of(model: &Model, client: &ClientId) -> String {
    model.shown().client(client).map_or_else(|| client.to_string(), |client| client.card.name.clone())
}

/// The clients whose collection would be cancelled.
fn cancelled(model: &Model) -> Vec<ClientId> {
    let marked = acts_on_marks(model).then_some(&model.view.marks).into_iter().flatten();
    let selected = (!acts_on_marks(model)).then_some(model.view.selected.as_ref()).flatten();
    let is_running = |id: &&ClientId| model.fleet.client(id).is_some_and(|client| client.running.is_some());
    marked.chain(selected).filter(is_running).cloned().collect()
}

/// The open alerts that would be acknowledged, or, where `given` is false, would be so no more.
fn acknowledged(model: &Model, given: bool) -> Vec<&AlertView> {
    let can_be = |alert: &&AlertView| alert.ended.is_none() && alert.acknowledged.is_given() != given;
    if acts_on_marked_alerts(model) {
        let alerts = model.shown().alerts();
        return model.view.marks.iter().flat_map(|client| alerts.open_of(client)).filter(can_be).collect();
    }
    model.selected_alert(!given).into_iter().filter(can_be).collect()
}

/// One question for several alerts; none for a single one.
fn question_of(model: &Model, verb: &str, given: bool) -> Option<String> {
    let alerts = acknowledged(model, given);
    let clients: BTreeSet<_> = alerts.iter().map(|alert| &alert.client).collect();
    let count = clients.len();
    (alerts.len() > 1).then(|| format!("{verb} {} alerts of {count} client{}?", alerts.len(), plural(count)))
}

fn acknowledge(model: &mut Model, given: bool) -> Vec<Command> {
    let order = |alert: &&AlertView| {
        let (client, metric, instance) = (alert.client.clone(), alert.metric, alert.instance.clone());
        if given {
            Order::Acknowledge { client, metric, instance }
        } else {
            Order::Unacknowledge { client, metric, instance }
        }
    };
    let orders: Vec<_> = acknowledged(model, given).iter().map(order).collect();
    if orders.is_empty() {
        let is_open = model.selected_alert(!given).is_some_and(|alert| alert.ended.is_none());
        let text = match (acts_on_marked_alerts(model), is_open, given) {
            (true, _, true) => "No marked client has an open alert that is not acknowledged.",
            (true, _, false) => "No marked client has an acknowledged alert.",
            (false, true, true) => "This alert is already acknowledged.",
            (false, true, false) => "This alert is not acknowledged.",
            (false, false, _) => "No open alert is selected.",
        };
        model.say(false, text);
    }
    let of_marked = acts_on_marked_alerts(model);
    together(model, orders, of_marked)
}

/// One order, or several as one. Marks to which they applied are done with.
fn together(model: &mut Model, mut orders: Vec<Order>, of_marked: bool) -> Vec<Command> {
    if !orders.is_empty() && of_marked {
        model.view.marks.clear();
    }
    let order = match orders.len() {
        0 => return Vec::new(),
        1 => orders.pop(),
        _ => Some(Order::Each(orders)),
    };
    order.map(Command::Order).into_iter().collect()
}

fn collect(model: &mut Model) -> Vec<Command> {
    let clients: Vec<ClientId> = if acts_on_marks(model) {
        model.view.marks.iter().filter(|id| model.fleet.client(id).is_some()).cloned().collect()
    } else {
        model.view.selected.iter().cloned().collect()
    };
    let is_marked = acts_on_marks(model);
    match clients.as_slice() {
        [] => {
            model.say(false, "No client is selected.");
            return Vec::new();
        }
        [one] => model.say(false, format!("Collecting {}.", name_of(model, one))),
        many => model.say(false, format!("Collecting {} marked clients.", many.len())),
    }
    if is_marked {
        model.view.marks.clear();
    }
    vec![Command::Order(Order::Collect(Selection::These(clients)))]
}

/// The command that logs in to a client, for a shell.
fn ssh_command(card: &ClientCard) -> String {
    let port = if card.id.port() == 22 { String::new() } else { format!("-p {} ", card.id.port()) };
    // An account must not be taken for an option.
    let end = if card.username.starts_with('-') { "-- " } else { "" };
    format!("ssh {port}{end}{}", quoted(&format!("{}@{}", card.username, card.id.address())))
}

/// A word as a shell takes it: in quotation marks where it has characters that mean something there.
fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "@._:-%+".contains(c);
    if word.chars().all(is_plain) { word.to_owned() } else { format!("'{}'", word.replace('\'', "'\\''")) }
}

fn copy(model: &mut Model) -> Vec<Command> {
    let text = match model.view.tab {
        Tab::Fleet => model.selected().map(|client| match client.failure() {
            Some(failure) => failure_text(client, failure),
            None => format!("{} {}\n", client.card.name, client.card.id),
        }),
        Tab::Alerts => model.selected_alert(false).map(|alert| {
            let (name, value) = (name_of(model, &alert.client), alert.metric.show(alert.value));
            format!("{name} ({}) {} {value} since {}\n", alert.client, alert.key(), alert.raised_at)
        }),
        Tab::Mails => model
            .selected_mail()
            .map(|mail| format!("To: {}\nSubject: {}\n\n{}\n", mail.recipient, mail.subject, mail.body)),
        Tab::Log => model.selected_line().map(|line| {
            let client = line.client.as_ref().map_or_else(String::new, |client| format!("{client}: "));
            format!("{} {} {client}{}\n", line.at, line.level.word(), line.text)
        }),
    };
    match text {
        Some(text) => {
            model.say(false, "Copied.");
            vec![Command::Copy(text)]
        }
        None => {
            model.say(false, "Nothing is selected.");
            Vec::new()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ssh_command_is_one_that_a_shell_takes_as_it_is() {
        for (username, address, port, expected) in [
            ("admin", "10.4.0.1", 22, "ssh admin@10.4.0.1"),
            ("admin", "fd00::1", 2222, "ssh -p 2222 admin@fd00::1"),
            ("o'neil; reboot", "10.4.0.1", 22, r"ssh 'o'\''neil; reboot@10.4.0.1'"),
            ("-oProxyCommand=x", "10.4.0.1", 22, "ssh -- '-oProxyCommand=x@10.4.0.1'"),
        ] {
            let card =
                ClientCard { id: ClientId::new(address, port), name: "db".to_owned(), username: username.to_owned() };
            assert_eq!(ssh_command(&card), expected);
        }
    }
}
