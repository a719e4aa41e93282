//! Starts sweeps and carries out what operators ask of the running collector: answers, and writes an audit entry. Not
//! when the schedule is due ([`super::main_loop`]), nor how a sweep runs ([`super::scheduler`]).

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

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
        event::Trigger,
        order::{IssuedOrder, Order, Reply, Selection},
    },
};

use super::{engine::Engine, pipeline::Pipeline, scheduler::ClaimedClients};

/// An audit entry of an order that was carried out: action, target, detail.
type AuditEntry = (&'static str, String, String);

/// What is under way in a collector, and how more is started.
#[derive(Debug)]
pub struct Dispatcher {
    /// The lasting parts.
    pub engine: Arc<Engine>,
    /// The fleet as it stands.
    pub bus: BusHandle,
    /// The configuration at work.
    pub pipeline: Arc<Pipeline>,
    /// Whether the schedule is paused.
    pub is_paused: bool,
    under_way: JoinSet<()>,
    stop: CancellationToken,
}

impl Dispatcher {
    /// A dispatcher with nothing under way; `stop` cuts short what it starts.
    #[must_use]
    pub fn new(engine: Arc<Engine>, bus: BusHandle, pipeline: Arc<Pipeline>, stop: CancellationToken) -> Self {
        Self { engine, bus, pipeline, is_paused: false, under_way: JoinSet::new(), stop }
    }

    /// Starts a sweep over clients that were claimed for it.
    pub fn sweep(&mut self, sweep: SweepId, trigger: Trigger, due: ClaimedClients) {
        let (engine, pipeline, stop) = (self.engine.clone(), self.pipeline.clone(), self.stop.clone());
        self.under_way.spawn(async move { engine.scheduler.run_sweep(&pipeline, sweep, trigger, due, &stop).await });
    }

    /// Starts a sweep over every client that is not being collected.
    pub fn sweep_all(&mut self) {
        let due = self.engine.scheduler.claim(self.pipeline.clients());
        self.sweep(SweepId(Uuid::now_v7()), Trigger::Schedule, due);
    }

    /// The end of something that was under way; `None` where nothing is.
    pub async fn ended(&mut self) -> Option<Result<(), JoinError>> {
        self.under_way.join_next().await
    }

    /// Carries an order out, or starts to. Nothing here waits for the network.
    pub async fn handle(&mut self, request: Request) {
        let IssuedOrder { actor, order } = request.issued.clone();
        let (reply, entry) = match order {
            Order::Collect(selection) => self.collect(&selection),
            Order::Once(clients) => return self.sweep_in_turn(request, &clients),
            Order::Pause => self.pause(true, &actor).await,
            Order::Resume => self.pause(false, &actor).await,
            Order::Cancel(client) => self.cancel(&client),
            Order::Acknowledge { client, metric, instance } => {
                return self.acknowledge(request, client, AlertKey { metric, instance });
            }
        };
        request.answer(reply);
        self.audit(actor, entry);
    }

    fn audit(&mut self, actor: String, entry: Option<AuditEntry>) {
        let Some((action, target, detail)) = entry else { return };
        let engine = self.engine.clone();
        self.under_way.spawn(async move {
            if let Err(error) = engine.store.audit(Timestamp::now(), &actor, action, &target, &detail).await {
                tracing::error!("no audit entry for what {actor} did: {}", chain(&error));
            }
        });
    }

    fn collect(&mut self, selection: &Selection) -> (Reply, Option<AuditEntry>) {
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
        let entry = ("collect", target, format!("{count} clients, sweep {}", sweep.0));
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

    /// For `--once` of another process: a sweep of all these clients, then every waiting mail is offered.
    fn sweep_in_turn(&mut self, request: Request, clients: &[ClientId]) {
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
            engine.scheduler.run_sweep(&pipeline, sweep, Trigger::Once, due, &stop).await;
            engine.wakeup.offer_all();
        });
    }

    async fn pause(&mut self, paused: bool, actor: &str) -> (Reply, Option<AuditEntry>) {
        if self.is_paused == paused {
            let text = if paused { "the schedule is already paused" } else { "the schedule is not paused" };
            return (Reply::Refused { text: text.to_owned() }, None);
        }
        self.is_paused = paused;
        let kind = EventKind::SchedulePaused { paused, actor: actor.to_owned() };
        self.engine.publisher.publish(None, None, kind).await;
        let (action, text) = if paused {
            ("pause", "schedule paused: until you resume it, only what you collect by hand is collected")
        } else {
            ("resume", "schedule resumed")
        };
        (Reply::Done { text: text.to_owned(), sweep: None }, Some((action, "schedule".to_owned(), String::new())))
    }

    fn cancel(&self, client: &ClientId) -> (Reply, Option<AuditEntry>) {
        if self.engine.client_states.cancel(client) {
            let text = format!("cancelling the collection of {client}");
            (Reply::Done { text, sweep: None }, Some(("cancel", client.to_string(), String::new())))
        } else {
            (Reply::Refused { text: format!("{client} is not being collected") }, None)
        }
    }

    fn acknowledge(&mut self, request: Request, client: ClientId, about: AlertKey) {
        let Some(alert) = self.engine.client_states.alert(&client, &about) else {
            let text = format!("there is no open {about} alert of {client} any more");
            return request.answer(Reply::Refused { text });
        };
        if alert.acknowledged_at.is_some() {
            return request.answer(Reply::Refused { text: "already acknowledged".to_owned() });
        }
        let engine = self.engine.clone();
        self.under_way.spawn(async move {
            let reply = acknowledge(&engine, &request.issued.actor, &client, &about, &alert).await;
            request.answer(reply);
        });
    }
}

/// First the database notes it, then the client states, then it is told.
async fn acknowledge(engine: &Engine, actor: &str, client: &ClientId, about: &AlertKey, alert: &OpenAlert) -> Reply {
    let at = Timestamp::now();
    if let Err(error) = engine.store.acknowledge(client, about, alert.id, at, actor).await {
        return Reply::Refused { text: format!("not acknowledged: {}", chain(&error)) };
    }
    engine.client_states.acknowledge(client, about, alert, at);
    let AlertKey { metric, instance } = about.clone();
    let kind = EventKind::Acknowledged { metric, instance, raised_at: alert.raised_at, actor: actor.to_owned() };
    engine.publisher.publish(None, Some(client), kind).await;
    Reply::Done { text: format!("acknowledged: no reminders about {about} of {client} until it ends"), sweep: None }
}
