//! Does what operators ask of the collector at work, says what became of it, and has it audited.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use jiff::Timestamp;
use uuid::Uuid;

use crate::{
    config::Client,
    fleet::{
        ClientId, EventKind, Metric, SweepId,
        event::Trigger,
        judge::OpenAlert,
        order::{Order, Reply, Selection, Signed},
    },
    spine::Asked,
};

use super::{base::Base, work::Work};

/// What is written down of an order that was carried out: action, target, detail.
type Deed = (&'static str, String, String);

impl Work {
    /// Does what is asked, or has it begin. Nothing here waits for the network.
    pub(super) async fn obey(&mut self, asked: Asked) {
        let Signed { actor, order } = asked.signed.clone();
        let (reply, deed) = match order {
            Order::Collect(selection) => self.collect(&selection),
            Order::Once(clients) => return self.sweep_in_turn(asked, &clients),
            Order::Pause => self.pause(true, &actor).await,
            Order::Resume => self.pause(false, &actor).await,
            Order::Cancel(client) => self.cancel(&client),
            Order::Acknowledge { client, metric } => return self.acknowledge(asked, client, metric),
        };
        asked.answer(reply);
        self.write_down(actor, deed);
    }

    fn write_down(&mut self, actor: String, deed: Option<Deed>) {
        let Some((action, target, detail)) = deed else { return };
        let base = self.base.clone();
        self.under_way.spawn(async move {
            if let Err(error) = base.store.audit(Timestamp::now(), &actor, action, &target, &detail).await {
                tracing::error!("what {actor} did could not be written down: {}", super::chain(&error));
            }
        });
    }

    fn collect(&mut self, selection: &Selection) -> (Reply, Option<Deed>) {
        let wanted = match self.selected(selection) {
            Ok(wanted) => wanted,
            Err(text) => return (Reply::Refused { text }, None),
        };
        let due = self.base.wheel.take_up(&wanted);
        let (count, busy) = (due.due.len(), due.busy.len());
        if count == 0 {
            let text = match wanted.as_slice() {
                [] => "no client has failed".to_owned(),
                [one] => format!("{} is being collected already", one.name),
                _ => "all of them are being collected already".to_owned(),
            };
            return (Reply::Refused { text }, None);
        }
        let what = match due.due.as_slice() {
            [(one, _)] => one.name.clone(),
            many => format!("{} clients", many.len()),
        };
        let target = match selection {
            Selection::All => "all".to_owned(),
            Selection::Failed => "failed".to_owned(),
            Selection::These(_) => {
                due.due.iter().map(|(client, _)| client.id.to_string()).collect::<Vec<_>>().join(" ")
            }
        };
        let sweep = SweepId(Uuid::now_v7());
        self.sweep(sweep, Trigger::Manual, due);
        let left_out = if busy == 0 { String::new() } else { format!("; {busy} being collected already") };
        let text = format!("collecting {what}{left_out}");
        let deed = ("collect", target, format!("{count} clients, sweep {}", sweep.0));
        (Reply::Done { text, sweep: Some(sweep) }, Some(deed))
    }

    /// The clients of a selection, in the configuration's order.
    fn selected(&self, selection: &Selection) -> Result<Vec<Arc<Client>>, String> {
        let all = self.shift.pipeline.clients();
        match selection {
            Selection::All => Ok(all.to_vec()),
            Selection::Failed => {
                let failed: BTreeSet<ClientId> = self.door.look(|fleet| {
                    fleet.clients().filter(|client| client.failure().is_some()).map(|c| c.card.id.clone()).collect()
                });
                Ok(all.iter().filter(|client| failed.contains(&client.id)).cloned().collect())
            }
            Selection::These(ids) => {
                let known: BTreeMap<&ClientId, &Arc<Client>> = all.iter().map(|client| (&client.id, client)).collect();
                if let Some(unknown) = ids.iter().find(|id| !known.contains_key(id)) {
                    return Err(format!(
                        "the running collector's configuration has no client {unknown}: reload or restart it"
                    ));
                }
                let wanted: BTreeSet<&ClientId> = ids.iter().collect();
                Ok(all.iter().filter(|client| wanted.contains(&client.id)).cloned().collect())
            }
        }
    }

    /// For `--once` of another process: a sweep of all these clients, then every waiting mail is offered.
    fn sweep_in_turn(&mut self, asked: Asked, clients: &[ClientId]) {
        let wanted = match self.selected(&Selection::These(clients.to_vec())) {
            Ok(wanted) => wanted,
            Err(text) => return asked.answer(Reply::Refused { text }),
        };
        let (base, pipeline, stop) = (self.base.clone(), self.shift.pipeline.clone(), self.stop.clone());
        self.under_way.spawn(async move {
            let Some(due) = stop.run_until_cancelled(base.wheel.take_up_in_turn(&wanted)).await else { return };
            let sweep = SweepId(Uuid::now_v7());
            let text = format!("sweeping {} clients", due.due.len());
            asked.answer(Reply::Done { text, sweep: Some(sweep) });
            base.wheel.turn(&pipeline, sweep, Trigger::Once, due, &stop).await;
            base.bell.offer_all();
        });
    }

    async fn pause(&mut self, paused: bool, actor: &str) -> (Reply, Option<Deed>) {
        if self.paused == paused {
            let text = if paused { "the schedule is paused already" } else { "the schedule is not paused" };
            return (Reply::Refused { text: text.to_owned() }, None);
        }
        self.paused = paused;
        let kind = EventKind::SchedulePaused { paused, actor: actor.to_owned() };
        self.base.spine.tell(None, None, kind).await;
        let (action, text) = if paused {
            ("pause", "the schedule is paused: nothing is collected until it goes on, but what you collect")
        } else {
            ("resume", "the schedule goes on")
        };
        (Reply::Done { text: text.to_owned(), sweep: None }, Some((action, "schedule".to_owned(), String::new())))
    }

    fn cancel(&self, client: &ClientId) -> (Reply, Option<Deed>) {
        if self.base.ledger.cancel(client) {
            let text = format!("cancelling the collection of {client}");
            (Reply::Done { text, sweep: None }, Some(("cancel", client.to_string(), String::new())))
        } else {
            (Reply::Refused { text: format!("{client} is not being collected") }, None)
        }
    }

    fn acknowledge(&mut self, asked: Asked, client: ClientId, metric: Metric) {
        let Some(alert) = self.base.ledger.alert(&client, metric) else {
            let text = format!("there is no open {metric} alert of {client} any more");
            return asked.answer(Reply::Refused { text });
        };
        if alert.acknowledged_at.is_some() {
            return asked.answer(Reply::Refused { text: "it is acknowledged already".to_owned() });
        }
        let base = self.base.clone();
        self.under_way.spawn(async move {
            let reply = acknowledge(&base, &asked.signed.actor, &client, metric, &alert).await;
            asked.answer(reply);
        });
    }
}

/// Into the database first, then into the ledger, then it is told.
async fn acknowledge(base: &Base, actor: &str, client: &ClientId, metric: Metric, alert: &OpenAlert) -> Reply {
    let at = Timestamp::now();
    if let Err(error) = base.store.acknowledge(client, metric, alert.id, at, actor).await {
        return Reply::Refused { text: format!("not acknowledged: {}", super::chain(&error)) };
    }
    base.ledger.acknowledge(client, metric, alert, at);
    let kind = EventKind::Acknowledged { metric, raised_at: alert.raised_at, actor: actor.to_owned() };
    base.spine.tell(None, Some(client), kind).await;
    Reply::Done { text: format!("acknowledged: no reminders about {metric} of {client} until it ends"), sweep: None }
}
