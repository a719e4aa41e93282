//! The store on all databases: SQLite, and real PostgreSQL and MariaDB servers. Tests that only apply to SQLite files
//! are in `src/store/tests`.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test says what failed by panicking"
)]

use std::process::ExitCode;

use fleetsweep::{
    config::directories::Environment,
    fleet,
    store::{self, Store},
};
use secrecy::SecretString;
use support::Database;

mod attachments;
mod clock;
mod collector;
mod connections;
mod contract;
mod distant;
mod encryption;
mod export;
mod instances;
mod long_lists;
mod look_back;
mod losing_disk;
mod mail_outcome;
mod migration;
mod opening;
mod outage;
mod outlook;
mod past;
mod pipeline;
mod recording;
mod records;
mod refusals;
mod retention;
mod rollups;
#[expect(dead_code, reason = "the tests of tests/program need more than these")]
#[path = "../program/site.rs"]
mod site;

fn main() -> ExitCode {
    let rooms = [
        // The longest is started first, because it mostly waits.
        distant::trials(),
        recording::trials(),
        look_back::trials(),
        long_lists::trials(),
        instances::trials(),
        mail_outcome::trials(),
        past::trials(),
        attachments::trials(),
        retention::trials(),
        rollups::trials(),
        migration::trials(),
        opening::trials(),
        outage::trials(),
        outlook::trials(),
        refusals::trials(),
        pipeline::trials(),
        collector::trials(),
        contract::trials(),
        clock::trials(),
        connections::trials(),
        encryption::trials(),
        losing_disk::trials(),
        export::trials(),
    ];
    support::run(rooms.into_iter().flatten().collect())
}

fn url(database: &Database) -> SecretString {
    database.url().into()
}

async fn open(database: &Database) -> Store {
    Store::open(&url(database), &Environment::default())
        .await
        .unwrap_or_else(|error| panic!("{error}: {:?}", error.source))
}
