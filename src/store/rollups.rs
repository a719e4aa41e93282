//! Rolls up what a collection measured, in the transaction that stores it: a collection that is stored once counts once.
//!
//! The rows that are filled now are cached and written with each collection. When a collection belongs to another bucket,
//! which is usually the next one, they move to the table of all buckets. A collection that comes late, from the outage
//! spool or after the clock was set back, takes the row of its bucket from there again.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::{
    history_rows::{self, HistoryRow, SLOTS, Table},
    pool::{Transaction, execute, fetch_all, fetch_one, on_driver},
};
use crate::fleet::{
    metric::Instance,
    rollup::{Bucket, Quantity, Series, Tier},
};

/// The most series of a client. A client decides how many instances it has; those above this have no history.
const MOST_SERIES: usize = 1_200;

/// The most rows or keys of one statement.
const ROWS: usize = 100;

/// Where the values of a series are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) group: i32,
    pub(super) slot: usize,
}

/// The history of one client, as far as the next collection needs it.
#[derive(Debug, Clone, Default)]
pub(super) struct ClientHistory {
    places: HashMap<Series, Place>,
    /// How many series there are, including those of metrics that this version does not know.
    series: usize,
    /// The place of the next series; `None` if it needs a new group.
    next: Option<Place>,
    open: BTreeMap<(i32, Tier), HistoryRow>,
}

/// The values of a time, by length and start of the bucket.
pub(super) type Past = BTreeMap<(Tier, i64), BTreeMap<Series, Bucket>>;

/// The highest group in the database.
pub(super) async fn last_group(transaction: &mut Transaction) -> Result<i32, sqlx::Error> {
    let (last,): (Option<i32>,) = fetch_one!(transaction, (Option<i32>,), "SELECT MAX(group_id) FROM history_series")?;
    Ok(last.unwrap_or(0))
}

impl ClientHistory {
    /// Reads that of a client.
    pub(super) async fn read(transaction: &mut Transaction, client: i64) -> Result<Self, sqlx::Error> {
        let rows: Vec<(String, String, i32, i32)> = fetch_all!(
            transaction,
            (String, String, i32, i32),
            "SELECT metric, instance, group_id, slot FROM history_series WHERE client_id = ?",
            client
        )?;
        let mut history = Self { series: rows.len(), ..Self::default() };
        let mut last: Option<Place> = None;
        for (metric, instance, group, slot) in rows {
            let place = Place { group, slot: usize::try_from(slot).unwrap_or(SLOTS) };
            last = last.max(Some(place));
            if let Some(quantity) = Quantity::named(&metric) {
                history.places.insert(Series { quantity, instance: Instance::new(&instance) }, place);
            }
        }
        history.next = last.and_then(Place::next);
        let condition = "group_id IN (SELECT group_id FROM history_series WHERE client_id = ?)";
        let open = history_rows::select(transaction, Table::Open, condition, &[client]).await?;
        history.open = open.into_iter().map(|row| ((row.group, row.tier), row)).collect();
        Ok(history)
    }

    /// The place of a series; `None` if there are too many. The place of a new one is added to `created`, to be stored.
    fn place(&mut self, last_group: &mut i32, series: Series, created: &mut Vec<(Series, Place)>) -> Option<Place> {
        if let Some(place) = self.places.get(&series) {
            return Some(*place);
        }
        if self.series >= MOST_SERIES {
            return None;
        }
        let place = self.next.unwrap_or_else(|| {
            *last_group += 1;
            Place { group: *last_group, slot: 0 }
        });
        self.next = place.next();
        self.series += 1;
        self.places.insert(series.clone(), place);
        created.push((series, place));
        Some(place)
    }

    /// Adds the values of a collection that ended at this time.
    pub(super) async fn add(
        &mut self,
        transaction: &mut Transaction,
        last_group: &mut i32,
        client: i64,
        at_ms: i64,
        values: Vec<(Series, f64)>,
    ) -> Result<(), sqlx::Error> {
        let mut placed = Vec::with_capacity(values.len());
        let mut created = Vec::new();
        for (series, value) in values {
            if let Some(place) = self.place(last_group, series, &mut created) {
                placed.push((place, Bucket::of(value)));
            }
        }
        create(transaction, client, &created).await?;
        let groups: BTreeSet<i32> = placed.iter().map(|(place, _)| place.group).collect();
        let new_groups: BTreeSet<i32> =
            created.iter().filter(|(_, place)| place.slot == 0).map(|(_, place)| place.group).collect();
        for tier in Tier::ALL {
            self.turn(transaction, &groups, &new_groups, tier, tier.start_of(at_ms)).await?;
            for (place, value) in &placed {
                if let Some(row) = self.open.get_mut(&(place.group, tier)) {
                    row.add(place.slot, *value);
                }
            }
        }
        let changed: Vec<&HistoryRow> = self.open.values().filter(|row| groups.contains(&row.group)).collect();
        history_rows::insert(transaction, Table::Open, &changed).await
    }

    /// Adds the values of an earlier time.
    pub(super) async fn add_past(
        &mut self,
        transaction: &mut Transaction,
        last_group: &mut i32,
        client: i64,
        past: Past,
    ) -> Result<(), sqlx::Error> {
        let mut earlier: BTreeMap<(i32, Tier, i64), HistoryRow> = BTreeMap::new();
        let mut created = Vec::new();
        for ((tier, start_ms), values) in past {
            for (series, bucket) in values {
                let Some(place) = self.place(last_group, series, &mut created) else { continue };
                let key = (place.group, tier, start_ms);
                let row = earlier.entry(key).or_insert_with(|| HistoryRow::empty(place.group, tier, start_ms));
                row.add(place.slot, bucket);
            }
        }
        create(transaction, client, &created).await?;
        let mut open = Vec::new();
        earlier.retain(|(group, tier, start_ms), row| match self.open.get_mut(&(*group, *tier)) {
            Some(known) if known.start_ms == *start_ms => {
                known.add_earlier(row);
                open.push(known.clone());
                false
            }
            Some(_) | None => true,
        });
        history_rows::insert(transaction, Table::Open, &open.iter().collect::<Vec<_>>()).await?;
        let mut places: BTreeMap<(i32, Tier), (i64, i64)> = BTreeMap::new();
        for (group, tier, start_ms) in earlier.keys() {
            let (first, last) = places.entry((*group, *tier)).or_insert((*start_ms, *start_ms));
            (*first, *last) = ((*first).min(*start_ms), (*last).max(*start_ms));
        }
        for ((group, tier), (first, last)) in places {
            let (group_id, seconds) = (i64::from(group), i64::from(tier.seconds()));
            let range = "group_id = ? AND tier_seconds = ? AND start_ms >= ? AND start_ms <= ?";
            let later =
                history_rows::select(transaction, Table::Buckets, range, &[group_id, seconds, first, last]).await?;
            for later in later {
                if let Some(row) = earlier.get_mut(&(group, tier, later.start_ms)) {
                    let row_before = std::mem::replace(row, later);
                    row.add_earlier(&row_before);
                    delete(transaction, row).await?;
                }
            }
        }
        history_rows::insert(transaction, Table::Buckets, &earlier.values().collect::<Vec<_>>()).await
    }

    /// Makes the rows of a bucket the open ones of these groups. Of new groups there are no rows yet.
    async fn turn(
        &mut self,
        transaction: &mut Transaction,
        groups: &BTreeSet<i32>,
        new_groups: &BTreeSet<i32>,
        tier: Tier,
        start_ms: i64,
    ) -> Result<(), sqlx::Error> {
        let turned: Vec<i32> = groups
            .iter()
            .copied()
            .filter(|group| self.open.get(&(*group, tier)).is_none_or(|row| row.start_ms != start_ms))
            .collect();
        if turned.is_empty() {
            return Ok(());
        }
        let closed: Vec<HistoryRow> = turned.iter().filter_map(|group| self.open.remove(&(*group, tier))).collect();
        history_rows::insert(transaction, Table::Buckets, &closed.iter().collect::<Vec<_>>()).await?;
        let stored: Vec<i64> =
            turned.iter().filter(|group| !new_groups.contains(*group)).map(|group| (*group).into()).collect();
        for row in take(transaction, tier, start_ms, &stored).await? {
            self.open.insert((row.group, tier), row);
        }
        for group in turned {
            self.open.entry((group, tier)).or_insert_with(|| HistoryRow::empty(group, tier, start_ms));
        }
        Ok(())
    }
}

impl Place {
    /// The next place in its group.
    fn next(self) -> Option<Self> {
        (self.slot + 1 < SLOTS).then_some(Self { slot: self.slot + 1, ..self })
    }
}

/// Stores new series.
async fn create(transaction: &mut Transaction, client: i64, created: &[(Series, Place)]) -> Result<(), sqlx::Error> {
    for created in created.chunks(ROWS) {
        let rows = vec!["(?, ?, ?, ?, ?)"; created.len()].join(", ");
        let sql = format!("INSERT INTO history_series (client_id, metric, instance, group_id, slot) VALUES {rows}");
        on_driver!(transaction, |connection, text| {
            let mut query = sqlx::query(text(sql.into()));
            for (series, place) in created {
                let slot = i32::try_from(place.slot).unwrap_or(i32::MAX);
                query = query.bind(client).bind(series.quantity.word()).bind(series.instance.name());
                query = query.bind(place.group).bind(slot);
            }
            query.execute(connection).await.map(drop)
        })?;
    }
    Ok(())
}

/// Takes the rows of a bucket from the table of all buckets, where there usually are none yet.
async fn take(
    transaction: &mut Transaction,
    tier: Tier,
    start_ms: i64,
    groups: &[i64],
) -> Result<Vec<HistoryRow>, sqlx::Error> {
    let mut rows = Vec::new();
    for groups in groups.chunks(ROWS) {
        // Parameters, so that the database need not prepare a statement for each client.
        let placeholders = vec!["?"; groups.len()].join(", ");
        let condition = format!("tier_seconds = ? AND start_ms = ? AND group_id IN ({placeholders})");
        let parameters = [&[tier.seconds().into(), start_ms], groups].concat();
        rows.extend(history_rows::select(transaction, Table::Buckets, &condition, &parameters).await?);
    }
    for row in &rows {
        delete(transaction, row).await?;
    }
    Ok(rows)
}

/// Deletes a row from the table of all buckets.
async fn delete(transaction: &mut Transaction, row: &HistoryRow) -> Result<(), sqlx::Error> {
    execute!(
        transaction,
        "DELETE FROM history_buckets WHERE tier_seconds = ? AND start_ms = ? AND group_id = ?",
        row.tier.seconds(),
        row.start_ms,
        row.group
    )
    .map(drop)
}
