//! Starts sweeps and executes the orders of operators, with replies and audit entries. [`super::main_loop`] decides
//! when a sweep is due, and [`super::scheduler`] runs it.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use futures_util::future::join_all;
use jiff::Timestamp;
use tokio::task::{JoinError, JoinSet};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    app::error::chain,
    bus::{BusHandle, Request},
    config::Client,
    fleet::{
        ClientId, EventKind, SweepId,
        alert::{AlertKey, OpenAlert},
        audit::{AuditAction, AuditNote},
        event::Trigger,
        login_hold::HeldLogins,
        order::{IssuedOrder, Order, Reply, Selection},
    },
};

use super::{engine::Engine, pipeline::Pipeline, scheduler::ClaimedClients};

/// The running tasks of a collector.
#[derive(Debug)]
pub struct Dispatcher {
    /// The engine.
    pub engine: Arc<Engine>,
    /// Access to the current fleet.
    pub bus: BusHandle,
    /// The pipeline of the current configuration.
    pub pipeline: Arc<Pipeline>,
    /// Whether the schedule is paused.
    pub is_paused: bool,
    under_way: JoinSet<()>,
    stop: CancellationToken,
}

impl Dispatcher {
    /// A dispatcher without running tasks. `stop` cancels the tasks that it starts.
    #[must_use]
    pub fn new(engine: Arc<Engine>, bus: BusHandle, pipeline: Arc<Pipeline>, stop: CancellationToken) -> Self {
        Self { engine, bus, pipeline, is_paused: false, under_way: JoinSet::new(), stop }
    }

    /// Starts a sweep over clients that were claimed for it.
    pub fn sweep(&mut self, sweep: SweepId, trigger: Trigger, due: ClaimedClients) {
        let (engine, pipeline, stop) = (self.engine.clone(), self.pipeline.clone(), self.stop.clone());
        let held = match trigger {
            Trigger::Manual => HeldLogins::Retried,
            Trigger::Schedule | Trigger::Once => HeldLogins::Respected,
        };
        self.under_way.spawn(async move {
            engine.scheduler.run_sweep(&pipeline, sweep, (trigger, held), due, &stop).await;
        });
    }

    /// Starts a sweep over every client that is not being collected.
    pub fn sweep_all(&mut self) {
        let due = self.engine.scheduler.claim(self.pipeline.clients());
        self.sweep(SweepId(Uuid::now_v7()), Trigger::Schedule, due);
    }

    /// Waits until a task ends; `None` if none is running.
    pub async fn ended(&mut self) -> Option<Result<(), JoinError>> {
        self.under_way.join_next().await
    }

    /// Executes an order or starts to. Does not wait for the network.
    pub async fn handle(&mut self, request: Request) {
        let IssuedOrder { actor, order } = request.issued.clone();
        let (reply, entry) = match order {
            Order::Collect(selection) => self.collect(&selection),
            Order::Once(clients) => return self.sweep_in_turn(request, &clients, HeldLogins::Respected),
            Order::OnceRetryingLogins(clients) => {
                return self.sweep_in_turn(request, &clients, HeldLogins::Retried);
            }
            Order::Pause => self.pause(true, &actor).await,
            Order::Resume => self.pause(false, &actor).await,
            Order::Cancel(client) => self.cancel(&client),
            Order::Acknowledge { client, metric, instance } => {
                return self.acknowledge(request, client, AlertKey { metric, instance }, true);
            }
            Order::Unacknowledge { client, metric, instance } => {
                return self.acknowledge(request, client, AlertKey { metric, instance }, false);
            }
            Order::Note(notes) => {
                for note in notes {
                    self.audit(actor.clone(), Some(note));
                }
                (Reply::Done { text: "noted in the audit".to_owned(), sweep: None }, None)
            }
            Order::Each(orders) => return self.each(request, orders),
        };
        request.answer(reply);
        self.audit(actor, entry);
    }

    fn audit(&mut self, actor: String, entry: Option<AuditNote>) {
        let Some(AuditNote { action, target, detail }) = entry else { return };
        let engine = self.engine.clone();
        self.under_way.spawn(async move {
            if let Err(error) = engine.store.audit(Timestamp::now(), &actor, action, &target, &detail).await {
                tracing::error!("no audit entry for what {actor} did: {}", chain(&error));
            }
        });
    }

    fn collect(&mut self, selection: &Selection) -> (Reply, Option<AuditNote>) {
        let wanted = match self.selected(selection) {
            Ok(wanted) => wanted,
            Err(text) => return (Reply::Refused { text }, None),
        };
        let due = self.engine.scheduler.claim(&wanted);
        let (count, busy) = (due.due.len(), due.busy.len());
        if count == 0 {
            let text = match wanted.as_slice() {
                [] => "no client has failed".to_owned(),
                [one] => format!("{} is already being collected", one.name),
                _ => "all of them are already being collected".to_owned(),
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
        let left_out = if busy == 0 { String::new() } else { format!("; {busy} already being collected") };
        let text = format!("collecting {what}{left_out}");
        let detail = format!("{count} clients, sweep {}", sweep.0);
        let entry = AuditNote { action: AuditAction::Collect, target, detail };
        (Reply::Done { text, sweep: Some(sweep) }, Some(entry))
    }

    /// The clients of a selection, in the configuration's order.
    fn selected(&self, selection: &Selection) -> Result<Vec<Arc<Client>>, String> {
        let all = self.pipeline.clients();
        match selection {
            Selection::All => Ok(all.to_vec()),
            Selection::Failed => {
                let failed: BTreeSet<ClientId> = self.bus.look(|fleet| {
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

    /// For `--once` of another process: sweeps these clients, then offers every waiting mail.
    fn sweep_in_turn(&mut self, request: Request, clients: &[ClientId], held: HeldLogins) {
        let wanted = match self.selected(&Selection::These(clients.to_vec())) {
            Ok(wanted) => wanted,
            Err(text) => return request.answer(Reply::Refused { text }),
        };
        let (engine, pipeline, stop) = (self.engine.clone(), self.pipeline.clone(), self.stop.clone());
        self.under_way.spawn(async move {
            let Some(due) = stop.run_until_cancelled(engine.scheduler.claim_in_turn(&wanted)).await else { return };
            let sweep = SweepId(Uuid::now_v7());
            let text = format!("sweeping {} clients", due.due.len());
            request.answer(Reply::Done { text, sweep: Some(sweep) });
            engine.scheduler.run_sweep(&pipeline, sweep, (Trigger::Once, held), due, &stop).await;
            engine.wakeup.offer_all();
        });
    }

    async fn pause(&mut self, paused: bool, actor: &str) -> (Reply, Option<AuditNote>) {
        if self.is_paused == paused {
            let text = if paused { "the schedule is already paused" } else { "the schedule is not paused" };
            return (Reply::Refused { text: text.to_owned() }, None);
        }
        self.is_paused = paused;
        let kind = EventKind::SchedulePaused { paused, actor: actor.to_owned() };
        self.engine.publisher.publish(None, None, kind).await;
        let (action, text) = if paused {
            (AuditAction::Pause, "schedule paused: until you resume it, only what you collect by hand is collected")
        } else {
            (AuditAction::Resume, "schedule resumed")
        };
        let entry = AuditNote { action, target: "schedule".to_owned(), detail: String::new() };
        (Reply::Done { text: text.to_owned(), sweep: None }, Some(entry))
    }

    fn cancel(&self, client: &ClientId) -> (Reply, Option<AuditNote>) {
        let name = self.name_of(client);
        if self.engine.client_states.cancel(client) {
            let text = format!("cancelling the collection of {name}");
            let entry = AuditNote { action: AuditAction::Cancel, target: client.to_string(), detail: String::new() };
            (Reply::Done { text, sweep: None }, Some(entry))
        } else {
            (Reply::Refused { text: format!("{name} is not being collected") }, None)
        }
    }

    /// The name of a client in replies.
    fn name_of(&self, client: &ClientId) -> String {
        let known = self.pipeline.clients().iter().find(|known| known.id == *client);
        known.map_or_else(|| client.to_string(), |known| known.name.clone())
    }

    /// Finds the alert of an order to acknowledge or to withdraw an acknowledgement, or returns why it cannot be
    /// executed.
    fn find_alert(&self, client: ClientId, about: AlertKey, given: bool) -> Result<Acknowledging, String> {
        let name = self.name_of(&client);
        let Some(alert) = self.engine.client_states.alert(&client, &about) else {
            return Err(format!("there is no open {about} alert of {name} any more"));
        };
        if alert.acknowledged_at.is_some() == given {
            let text = if given { "is already acknowledged" } else { "is not acknowledged" };
            return Err(format!("the {about} alert of {name} {text}"));
        }
        Ok(Acknowledging { client, name, about, alert, given })
    }

    fn acknowledge(&mut self, request: Request, client: ClientId, about: AlertKey, given: bool) {
        let found = match self.find_alert(client, about, given) {
            Ok(found) => found,
            Err(text) => return request.answer(Reply::Refused { text }),
        };
        let engine = self.engine.clone();
        self.under_way.spawn(async move {
            let reply = match found.note(&engine, &request.issued.actor).await {
                Ok(text) => Reply::Done { text, sweep: None },
                Err(text) => Reply::Refused { text },
            };
            request.answer(reply);
        });
    }

    /// Executes several orders of one kind together: cancels at once, or acknowledges all alerts in one go.
    fn each(&mut self, request: Request, orders: Vec<Order>) {
        let mut told = Told::default();
        let mut alerts = Vec::new();
        for order in orders {
            let found = match order {
                Order::Cancel(client) => {
                    let (reply, entry) = self.cancel(&client);
                    self.audit(request.issued.actor.clone(), entry);
                    told.count("cancelled", reply_text(reply));
                    continue;
                }
                Order::Acknowledge { client, metric, instance } => {
                    self.find_alert(client, AlertKey { metric, instance }, true)
                }
                Order::Unacknowledge { client, metric, instance } => {
                    self.find_alert(client, AlertKey { metric, instance }, false)
                }
                Order::Collect(_)
                | Order::Once(_)
                | Order::OnceRetryingLogins(_)
                | Order::Pause
                | Order::Resume
                | Order::Note(_)
                | Order::Each(_) => Err("this cannot be asked together with other things".to_owned()),
            };
            match found {
                Ok(found) => alerts.push(found),
                Err(text) => told.count("", Err(text)),
            }
        }
        let engine = self.engine.clone();
        self.under_way.spawn(async move {
            // Together, so that the database stores them in one transaction.
            let noted = alerts.iter().map(|found| found.note(&engine, &request.issued.actor));
            for (found, noted) in alerts.iter().zip(join_all(noted).await) {
                told.count(if found.given { "acknowledged" } else { "no longer acknowledged" }, noted);
            }
            request.answer(told.reply());
        });
    }
}

fn reply_text(reply: Reply) -> Result<String, String> {
    match reply {
        Reply::Done { text, .. } => Ok(text),
        Reply::Refused { text } => Err(text),
    }
}

/// The results of several orders of one kind.
#[derive(Debug, Default)]
struct Told {
    done: usize,
    verb: &'static str,
    refused: usize,
    first_refusal: String,
}

impl Told {
    fn count(&mut self, verb: &'static str, outcome: Result<String, String>) {
        match outcome {
            Ok(_) => {
                self.done += 1;
                self.verb = verb;
            }
            Err(text) => {
                if self.refused == 0 {
                    self.first_refusal = text;
                }
                self.refused += 1;
            }
        }
    }

    /// One sentence about all of them.
    fn reply(self) -> Reply {
        let Self { done, verb, refused, first_refusal } = self;
        match (done, refused) {
            (0, 0) => Reply::Refused { text: "nothing was asked for".to_owned() },
            (done, 0) => Reply::Done { text: format!("{done} {verb}"), sweep: None },
            (0, 1) => Reply::Refused { text: first_refusal },
            (0, refused) => Reply::Refused { text: format!("none of {refused}: {first_refusal}") },
            (done, refused) => Reply::Refused { text: format!("{done} of {} {verb}: {first_refusal}", done + refused) },
        }
    }
}

/// An open alert whose acknowledgement changes.
#[derive(Debug)]
struct Acknowledging {
    client: ClientId,
    name: String,
    about: AlertKey,
    alert: OpenAlert,
    given: bool,
}

impl Acknowledging {
    /// Updates the database, then the client states, then publishes the event. Returns the reply.
    async fn note(&self, engine: &Engine, actor: &str) -> Result<String, String> {
        let Self { client, name, about, alert, given } = self;
        let at = Timestamp::now();
        let AlertKey { metric, instance } = about.clone();
        let (raised_at, told_actor) = (alert.raised_at, actor.to_owned());
        let (noted, by, kind, text) = if *given {
            let kind = EventKind::Acknowledged { metric, instance, raised_at, actor: told_actor };
            let text = format!("acknowledged: no reminders about {about} of {name} until it ends");
            (engine.store.acknowledge(client, about, alert.id, at, actor).await, Some((at, actor)), kind, text)
        } else {
            let kind = EventKind::Unacknowledged { metric, instance, raised_at, actor: told_actor };
            let text = format!("no longer acknowledged: reminders about {about} of {name} go out again");
            (engine.store.unacknowledge(client, about, alert.id, at, actor).await, None, kind, text)
        };
        if let Err(error) = noted {
            let not = if *given { "not acknowledged" } else { "still acknowledged" };
            return Err(format!("{not}: {}", chain(&error)));
        }
        engine.client_states.acknowledge(client, about, alert, by);
        engine.publisher.publish(None, Some(client), kind).await;
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_orders_are_answered_in_one_sentence() {
        let check = |done: usize, refused: &[&str], expected: &str| {
            let mut told = Told::default();
            for _ in 0..done {
                told.count("acknowledged", Ok(String::new()));
            }
            for text in refused {
                told.count("", Err((*text).to_owned()));
            }
            let (is_refused, text) = match told.reply() {
                Reply::Done { text, .. } => (false, text),
                Reply::Refused { text } => (true, text),
            };
            assert_eq!((is_refused, text.as_str()), (done == 0 || !refused.is_empty(), expected));
        };
        check(40, &[], "40 acknowledged");
        check(38, &["the alert has ended", "too late"], "38 of 40 acknowledged: the alert has ended");
        check(0, &["the alert has ended"], "the alert has ended");
        check(0, &["the alert has ended", "too late"], "none of 2: the alert has ended");
        check(0, &[], "nothing was asked for");
    }
}
