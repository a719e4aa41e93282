//! Collections for the benchmarks of the databases.

use fleetsweep::{
    fleet::{ClientId, Reading, SweepId, judge::ClientState, login_hold::HoldChange},
    store::{Outcome, Record},
};
use jiff::Timestamp;
use uuid::Uuid;

/// A client by its number.
pub(crate) fn client(number: u64) -> ClientId {
    ClientId::new(format!("10.0.{}.{}", number / 250, number % 250 + 1), 22)
}

/// A successful collection of a client, with the number of the collection.
pub(crate) fn record(number: u64, of: u64, at_ms: u64, reading: Reading) -> Record {
    Record {
        sweep: SweepId(Uuid::from_u128(1)),
        collection: Uuid::from_u128(u128::from(number)),
        client: client(of),
        client_name: format!("c{of}"),
        started_at: Timestamp::from_millisecond(i64::try_from(at_ms).unwrap()).unwrap(),
        duration_ms: 300,
        attempts: 1,
        stages: Vec::new(),
        outcome: Outcome::Collected(Box::new(reading)),
        state: ClientState::default(),
        changes: Vec::new(),
        security: None,
        spent: None,
        gathering: None,
        login_hold: HoldChange::Unchanged,
        counters: None,
        trends_at: None,
        mails: Vec::new(),
    }
}
