//! The core: clients, stages, readings, rules, alerts and events, and all decisions about them.
//!
//! Pure. Nothing here uses an async runtime, a database, a terminal or a clock: time is passed in as a value, and the
//! same inputs give the same results. Every other module may import this one; it imports only the wire format
//! (`fleetsweep_agent`).

pub mod alert;
pub mod alerts;
pub mod audit;
pub mod averages;
pub mod cell;
mod clean_text;
pub mod client;
pub mod client_view;
pub mod counters;
pub mod csv;
pub mod cut_off;
pub mod eta;
pub mod event;
pub mod failure;
pub mod health;
pub mod history;
mod invalid_reading;
pub mod judge;
pub mod listing;
pub mod login_hold;
pub mod mail;
pub mod metric;
pub mod order;
pub mod outlook;
pub mod phase;
pub mod rates;
pub mod reading;
pub mod rollup;
mod roster;
pub mod rows;
pub mod rule;
pub mod sample;
pub mod security;
pub mod select;
pub mod shell_word;
pub mod stage;
pub mod state;
pub mod states;
pub mod stored;
pub mod stream;
pub mod totals;
pub mod trend;
pub mod troubles;
pub mod units;

pub use client::ClientId;
pub use event::{Event, EventKind, SweepId};
pub use failure::{Failure, FailureKind};
pub use metric::Metric;
pub use phase::Phase;
pub use reading::Reading;
pub use rule::Rule;
pub use sample::Sample;
pub use stage::Stage;
pub use units::{Bytes, Percent};
