//! The writer's cache of the ids that recording needs.

use std::collections::{BTreeMap, HashMap};

use super::{
    clients,
    convert::{client_id, from_count},
    newest::Newest,
    pool::{Transaction, fetch_all, fetch_one},
    rollups::{self, ClientHistory},
    threads::FirstEvents,
};
use crate::fleet::{ClientId, alert::AlertKey};

/// The cached part of the database: read once, then updated by the writer.
#[derive(Debug)]
pub(super) struct RecordCache {
    pub(super) clients: HashMap<ClientId, KnownClient>,
    pub(super) last_client: i64,
    pub(super) last_collection: i64,
    pub(super) last_event: i64,
    /// The highest group of series.
    pub(super) last_group: i32,
    last_audit: i64,
}

#[derive(Debug, Clone)]
pub(super) struct KnownClient {
    pub(super) id: i64,
    /// The slot of its newest reading; `None` if it has none.
    pub(super) latest_slot: Option<i64>,
    /// Only counts above 0.
    pub(super) over_in_a_row: BTreeMap<AlertKey, u32>,
    pub(super) first_events: FirstEvents,
    /// `None` until it is needed.
    pub(super) history: Option<ClientHistory>,
    /// The same of its newest instances.
    pub(super) newest: Option<Newest>,
}

impl KnownClient {
    /// A client of which nothing else is known.
    pub(super) fn new(id: i64, latest_slot: Option<i64>) -> Self {
        Self {
            id,
            latest_slot,
            over_in_a_row: BTreeMap::new(),
            first_events: FirstEvents::default(),
            history: None,
            newest: None,
        }
    }
}

impl RecordCache {
    pub(super) async fn read(transaction: &mut Transaction) -> Result<Self, sqlx::Error> {
        let rows: Vec<(i64, String, i64, Option<i64>)> =
            fetch_all!(transaction, (i64, String, i64, Option<i64>), "SELECT id, ip, port, latest_slot FROM clients")?;
        let mut of_id = HashMap::new();
        let mut clients = HashMap::new();
        for (id, ip, port, latest_slot) in rows {
            let client = client_id(ip, port)?;
            of_id.insert(id, client.clone());
            clients.insert(client, KnownClient::new(id, latest_slot));
        }
        let rows: Vec<(i64, String, String, i64)> = fetch_all!(
            transaction,
            (i64, String, String, i64),
            "SELECT client_id, metric, instance, over_in_a_row FROM rule_states"
        )?;
        for (id, metric, instance, over) in rows {
            if let Some(known) = of_id.get(&id).and_then(|client| clients.get_mut(client)) {
                known.over_in_a_row.insert(clients::key(&metric, &instance)?, from_count(over)?);
            }
        }
        Ok(Self {
            last_client: clients.values().map(|known| known.id).max().unwrap_or(0),
            clients,
            last_collection: last(transaction, "SELECT MAX(id) FROM collections").await?,
            last_event: last(transaction, "SELECT MAX(id) FROM security_events").await?,
            last_group: rollups::last_group(transaction).await?,
            last_audit: last(transaction, "SELECT MAX(id) FROM audit_entries").await?,
        })
    }

    /// The newest collection.
    pub(super) fn last_collection(&self) -> i64 {
        self.last_collection
    }

    pub(super) fn new_audit_id(&mut self) -> i64 {
        self.last_audit += 1;
        self.last_audit
    }
}

async fn last(transaction: &mut Transaction, sql: &'static str) -> Result<i64, sqlx::Error> {
    let (last,): (Option<i64>,) = fetch_one!(transaction, (Option<i64>,), sql)?;
    Ok(last.unwrap_or(0))
}
