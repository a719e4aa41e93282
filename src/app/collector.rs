//! The collector of this process: opens the database, sweeps, stores and executes the orders of operators. How its
//! events are shown is up to the subscribers.

pub mod client_states;
pub mod collection_mails;
pub mod dispatcher;
pub mod engine;
pub mod lock;
pub mod main_loop;
pub mod one_shot;
pub mod outage;
pub mod pipeline;
pub mod retention;
pub mod scheduler;
pub mod sweep_evidence;
mod trends;
