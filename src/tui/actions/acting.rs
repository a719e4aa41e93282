//! Actions on clients and alerts, and what is copied or exported of them.

use super::spec::{Group, Hint, Spec, Views, When, spec};
use crate::{
    fleet::{
        ClientId,
        order::{Order, Selection},
        stream::Play,
    },
    tui::{
        format::plural,
        key::Key::Char,
        messages::Command,
        model::{Model, failure_text},
        scrolling::step,
        view::{Overlay, Tab},
    },
};

pub(super) const MARK: Spec = Spec {
    hint: Hint::Place(9),
    views: Views::Clients,
    keeps_selection: true,
    ..spec(Group::Act, &[Char(' ')], "mark", "Mark or unmark the selected client.", |model| {
        let Some(client) = model.view.selected.clone() else { return Vec::new() };
        if !model.view.marks.remove(&client) {
            model.view.marks.insert(client);
        }
        step(model, 1)
    })
};

pub(super) const MARK_ALL: Spec =
    spec(Group::Act, &[Char('*')], "mark all", "Mark all listed clients, or none.", |model| {
        let all = model.rows.iter().all(|id| model.view.marks.contains(id));
        for id in &model.rows {
            if all {
                model.view.marks.remove(id);
            } else {
                model.view.marks.insert(id.clone());
            }
        }
        Vec::new()
    });

pub(super) const COLLECT: Spec = Spec {
    hint: Hint::Place(4),
    views: Views::Clients,
    when: When::Live,
    keeps_selection: true,
    ..spec(Group::Act, &[Char('c')], "collect", "Collect the selected or marked clients now.", collect)
};

pub(super) const COLLECT_FAILED: Spec = Spec {
    hint: Hint::Place(10),
    views: Views::Clients,
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
    when: When::Live,
    question: |model| Some(format!("Collect all {} clients now?", model.fleet.clients().len())),
    ..spec(Group::Act, &[Char('r')], "collect all", "Collect all clients now.", |_| {
        vec![Command::Order(Order::Collect(Selection::All))]
    })
};

pub(super) const CANCEL: Spec = Spec {
    when: When::Live,
    question: |model| {
        let client = model.selected().filter(|client| client.running.is_some())?;
        Some(format!("Cancel the collection of {}?", client.card.name))
    },
    keeps_selection: true,
    ..spec(Group::Act, &[Char('x')], "cancel", "Cancel the selected client's collection.", |model| {
        match model.selected() {
            Some(client) if client.running.is_some() => {
                vec![Command::Order(Order::Cancel(client.card.id.clone()))]
            }
            Some(_) | None => {
                model.say(false, "The selected client is not being collected.");
                Vec::new()
            }
        }
    })
};

pub(super) const PAUSE: Spec = Spec {
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
    hint: Hint::Place(12),
    views: Views::Alerts,
    when: When::Live,
    keeps_selection: true,
    ..spec(Group::Act, &[Char('a')], "acknowledge", "Send no reminders of an alert until it ends.", |model| {
        let text = match model.selected_alert() {
            Some(alert) if !alert.acknowledged => {
                let (client, metric, instance) = (alert.client.clone(), alert.metric, alert.instance.clone());
                return vec![Command::Order(Order::Acknowledge { client, metric, instance })];
            }
            Some(_) => "This alert is already acknowledged.",
            None => "No open alert is selected.",
        };
        model.say(false, text);
        Vec::new()
    })
};

pub(super) const TAKE_OVER: Spec = Spec {
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
    hint: Hint::Place(13),
    keeps_selection: true,
    ..spec(Group::Act, &[Char('y')], "copy", "Copy the error, the mail or the row.", copy)
};

pub(super) const EXPORT: Spec =
    spec(Group::Act, &[Char('e')], "export", "Export the listed clients as JSON or CSV.", |model| {
        model.view.overlay = Overlay::Export;
        Vec::new()
    });

fn collect(model: &mut Model) -> Vec<Command> {
    let clients: Vec<ClientId> = if model.view.marks.is_empty() {
        model.view.selected.iter().cloned().collect()
    } else {
        model.view.marks.iter().filter(|id| model.fleet.client(id).is_some()).cloned().collect()
    };
    match clients.as_slice() {
        [] => {
            model.say(false, "No client is selected.");
            return Vec::new();
        }
        [one] => {
            let name = model.fleet.client(one).map_or_else(|| one.to_string(), |client| client.card.name.clone());
            model.say(false, format!("Collecting {name}."));
        }
        many => model.say(false, format!("Collecting {} marked clients.", many.len())),
    }
    model.view.marks.clear();
    vec![Command::Order(Order::Collect(Selection::These(clients)))]
}

fn copy(model: &mut Model) -> Vec<Command> {
    let text = match model.view.tab {
        Tab::Fleet => model.selected().map(|client| match client.failure() {
            Some(failure) => failure_text(client, failure),
            None => format!("{} {}\n", client.card.name, client.card.id),
        }),
        Tab::Alerts => model.selected_alert().map(|alert| {
            let value = alert.metric.show(alert.value);
            format!("{} {} {value} since {}\n", alert.client, alert.key(), alert.raised_at)
        }),
        Tab::Mails => {
            let mail = model.mails.as_ref().and_then(|mails| mails.get(model.view.mail));
            mail.map(|mail| format!("To: {}\nSubject: {}\n\n{}\n", mail.recipient, mail.subject, mail.body))
        }
        Tab::Log => {
            let lines = model.log.iter().map(|line| format!("{} {} {}\n", line.at, line.level.word(), line.text));
            Some(lines.collect())
        }
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
