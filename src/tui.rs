//! The dashboard: shows the fleet and sends the operator's commands.
//!
//! It has three layers, each of which is tested without the next:
//!
//! * [`Model`] is pure state. [`Model::update`] takes a [`Message`] (events, keys, answers, the time) and returns
//!   [`Command`]s. It makes no decisions about collections, but sends orders.
//! * [`draw`](draw::draw) is a pure function from the model to cells.
//! * [`screen`] and [`terminal`] are a thin layer with one thread that owns the terminal.
//!
//! The dashboard sends a [`Query`] to the database and receives the result as [`data`]. One table of actions defines the
//! key map, the hints, the help and the palette, and a table of columns defines each list.

#[macro_use]
mod every;

pub mod action;
mod actions;
mod again;
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
