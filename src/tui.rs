//! The dashboard: an edge that shows the fleet and tells what the operator wants.
//!
//! Three layers, each under test without the next:
//!
//! * [`Model`] is pure state. [`Model::update`] takes a [`Message`] (events, keys, answers, the time) and
//!   returns [`Command`]s. It decides nothing about collection: it asks.
//! * [`draw`](draw::draw) is a pure function from the model to cells.
//! * [`screen`] and [`terminal`] are the thin edge: one thread that owns the terminal.
//!
//! What the database knows comes in as plain [`data`], asked for with [`Query`]. One table of
//! actions feeds the key map, the hints, the help and the palette; a table of columns each list.

#[macro_use]
mod every;

pub mod action;
mod actions;
mod background;
pub mod clipboard;
pub mod columns;
pub mod data;
pub mod draw;
mod export;
mod filtering;
mod format;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod kept;
mod key;
mod layout;
mod lists;
pub mod messages;
pub mod model;
mod moment;
mod query;
pub mod screen;
mod scrolling;
pub mod terminal;
mod text;
pub mod theme;
mod update;
pub mod view;
mod window;

#[cfg(test)]
mod fitting;
#[cfg(test)]
mod paint;
#[cfg(test)]
mod script;
#[cfg(test)]
mod snapshots;
#[cfg(test)]
mod time_travel;

pub use data::Answer;
pub use messages::{Command, Message};
pub use model::Model;
pub use query::Query;
pub use theme::Look;
