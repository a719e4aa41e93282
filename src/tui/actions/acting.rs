//! Actions on clients and alerts.

use std::collections::BTreeSet;

use super::spec::{Group, Hint, Scope, Spec, When, spec};
use crate::{
    fleet::{
        ClientId,
        alerts::AlertView,
        order::{Order, Selection},
        stream::{Collector, Play},
    },
    tui::{
        format::plural,
        key::Key::Char,
        messages::Command,
        model::Model,
        scrolling::step,
        view::{Pane, Place},
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
        [one] => Some(format!("Cancel the collection of {}?", model.name_of(one))),
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
    hint: Hint::CollectorLost,
    question: |model| {
        let question = match model.lost_collector()? {
            Collector::Gone => "The collector is gone. Sweep from here from now on?",
            Collector::Unreachable | Collector::Connected => {
                "The collector cannot be reached. Sweep from here if it has ended?"
            }
        };
        Some(question.to_owned())
    },
    ..spec(Group::Act, &[Char('T')], "take over", "Sweep from here when the collector is gone.", |model| {
        if model.lost_collector().is_some() {
            model.say(false, "Taking over.");
            return vec![Command::TakeOver];
        }
        model.say(false, "A collector is running. There is nothing to take over.");
        Vec::new()
    })
};

/// Whether an action applies to the marked clients and not to the selected one, because they are visible.
fn acts_on_marks(model: &Model) -> bool {
    model.view.place() == Place::Clients && !model.view.marks.is_empty()
}

/// Whether an action applies to the alerts of marked clients. If the alerts have the focus, it applies to the selected
/// one.
fn acts_on_marked_alerts(model: &Model) -> bool {
    acts_on_marks(model) && model.view.pane != Pane::Alerts
}

/// The clients whose collection would be cancelled.
fn cancelled(model: &Model) -> Vec<ClientId> {
    let marked = acts_on_marks(model).then_some(&model.view.marks).into_iter().flatten();
    let selected = (!acts_on_marks(model)).then_some(model.view.selected.as_ref()).flatten();
    let is_running = |id: &&ClientId| model.fleet.client(id).is_some_and(|client| client.running.is_some());
    marked.chain(selected).filter(is_running).cloned().collect()
}

/// The open alerts that would be acknowledged, or if `given` is false, whose acknowledgement would be withdrawn.
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

/// Sends one order, or several as one. Marks to which they applied are removed.
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
        [one] => model.say(false, format!("Collecting {}.", model.name_of(one))),
        many => model.say(false, format!("Collecting {} marked clients.", many.len())),
    }
    if is_marked {
        model.view.marks.clear();
    }
    vec![Command::Order(Order::Collect(Selection::These(clients)))]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        fleet::{Metric, alert::Acknowledged, metric::Instance},
        tui::{
            action::Action,
            actions,
            paint::press,
            script::{self, DARK},
        },
    };

    fn acknowledge_order(n: usize, metric: Metric) -> Order {
        Order::Acknowledge { client: script::id(n), metric, instance: Instance::HOST }
    }

    fn question(model: &Model, action: Action) -> Option<String> {
        (actions::spec(action).question)(model)
    }

    #[test]
    fn acknowledging_acts_on_the_marks_after_one_question() {
        let mut model = script::model(500, (120, 40), DARK);
        // Three clients have an open alert.
        assert_eq!(press(&mut model, "*a"), []);
        assert_eq!(question(&model, Action::Acknowledge).unwrap(), "Acknowledge 3 alerts of 3 clients?");
        assert_eq!(press(&mut model, "n"), []);
        assert_eq!(model.view.marks.len(), 500, "what was not done keeps its marks");
        let orders = [(1, Metric::Unreachable), (2, Metric::Cpu), (5, Metric::Memory)];
        let mut expected: Vec<_> = orders.map(|(n, metric)| acknowledge_order(n, metric)).into();
        expected.sort_by_key(|order| format!("{order:?}"));
        let commands = press(&mut model, "ay");
        let [Command::Order(Order::Each(found))] = commands.as_slice() else { panic!("{commands:?}") };
        let mut found = found.clone();
        found.sort_by_key(|order| format!("{order:?}"));
        assert_eq!(found, expected);
        assert!(model.view.marks.is_empty());
        press(&mut model, "*");
        assert_eq!(press(&mut model, "A"), []);
        assert_eq!(model.said.unwrap().0.text, "No marked client has an acknowledged alert.");
    }

    #[test]
    fn one_alert_is_acknowledged_without_a_question_and_only_where_it_is_meant() {
        // A marked client with a single alert, the selected client, and the selected alert regardless of marks.
        for (keys, n, metric) in [
            (" a", 1, Metric::Unreachable),
            ("a", 1, Metric::Unreachable),
            ("*\t\ta", 5, Metric::Memory),
            ("*2a", 5, Metric::Memory),
            ("*\na", 1, Metric::Unreachable),
        ] {
            let mut model = script::model(500, (120, 40), DARK);
            assert_eq!(press(&mut model, keys), [Command::Order(acknowledge_order(n, metric))], "{keys:?}");
        }
    }

    #[test]
    fn an_acknowledgement_is_withdrawn() {
        let mut model = script::model(500, (120, 40), DARK);
        assert_eq!(press(&mut model, "A"), []);
        assert_eq!(model.said.as_ref().unwrap().0.text, "This alert is not acknowledged.");
        let client = script::id(1);
        let raised_at = model.selected_alert(false).unwrap().raised_at;
        let (metric, instance, actor) = (Metric::Unreachable, Instance::HOST, "ops".to_owned());
        script::tell(&mut model, Some(1), crate::fleet::EventKind::Acknowledged { metric, instance, raised_at, actor });
        assert!(matches!(model.selected_alert(true).unwrap().acknowledged, Acknowledged::By { .. }));
        let expected = Order::Unacknowledge { client, metric, instance: Instance::HOST };
        assert_eq!(press(&mut model, "A"), [Command::Order(expected)]);
    }

    #[test]
    fn cancelling_acts_on_the_marks_after_one_question() {
        let mut model = script::model(500, (120, 40), DARK);
        let running = model.fleet.clients().filter(|client| client.running.is_some()).count();
        press(&mut model, "*x");
        assert_eq!(question(&model, Action::Cancel).unwrap(), format!("Cancel the collections of {running} clients?"));
        let commands = press(&mut model, "y");
        let [Command::Order(Order::Each(orders))] = commands.as_slice() else { panic!("{commands:?}") };
        assert!(orders.len() == running && orders.iter().all(|order| matches!(order, Order::Cancel(_))));
    }
}
