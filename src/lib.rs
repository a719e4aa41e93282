//! `fleetsweep` sweeps a fleet of machines over SSH: it uploads a small agent, executes it, receives its encrypted
//! report, stores it, compares it with limits and mails alerts.
//!
//! # Modules
//!
//! | module | what it is | may import |
//! | --- | --- | --- |
//! | [`fleet`] | pure: clients, stages, readings, rules, alerts, events; the judge; the fold of events | the wire |
//! | [`ssh_config`] | what OpenSSH's `ssh_config` says about a host, and in which line | nothing |
//! | [`age`] | the file format of age: keys, encryption and decryption of secrets | nothing |
//! | [`config`] | `config.xml` to a valid `Config`; diagnostics, ranges, secrets | `fleet`, `ssh_config`, `age` |
//! | [`setup`] | pure: a first configuration: inventories to hosts, hosts to the text of `config.xml` | `fleet`, `config`, `ssh_config` |
//! | [`bus`] | the event bus: one channel of events, folded for every subscriber | `fleet` |
//! | [`sweep`] | edge: SSH sessions, host keys, delivery of the agent, one collection from connect to reading | `fleet`, `config`, `bus`, the wire |
//! | [`store`] | edge: the database: migrations, recording, queries, outbox rows, the spool for its outages | `fleet`, `config` |
//! | [`mail`] | edge: composing mails, handing them to the SMTP server | `fleet`, `config` |
//! | [`headless`] | edge: the result table, the JSON document, metrics, exported rows, progress: a reader of events | `fleet` |
//! | [`tui`] | edge: the dashboard: pure model and drawing, thin terminal layer: a reader of events | `fleet` |
//! | [`relay`] | edge: the event stream outside this process: recorded to a file, replayed, sent over a Unix socket | `fleet`, `bus` |
//! | [`endpoint`] | edge: an HTTP server that only answers questions, within limits | nothing |
//! | [`demo`] | a fleet of loopback SSH servers and an SMTP sink | `fleet`, `config`, the wire |
//! | [`cli`] | arguments | `fleet`, `config`, `age` |
//! | [`app`] | the composition root: wires the edges, runs the sweeps, shuts down | everything |
//!
//! The wire is the library of the `fleetsweep-agent` package: request, report, envelope.
//!
//! # Invariants
//!
//! * **One event bus.** Everything that happens is an [`fleet::Event`]. The pipeline publishes it on one bounded
//!   channel; every subscriber folds the same stream and decides nothing.
//! * **One format of the stream.** Within this process, in a recording and over a socket, the stream consists of
//!   [`fleet::stream::Frame`]s, and operators send [`fleet::order::Order`]s.
//! * **One collector per database.** A lock that ends with its process ensures this. Every other process attaches to
//!   the collector that has it, so that nothing is swept or mailed twice.
//! * **Pure core.** `fleet` names no runtime, database, terminal or clock. Time comes in as a value.
//! * **Edges do not know each other.** `app` alone wires them. `tests/architecture` enforces it.
//! * **Decide, then do.** Pure functions decide about alerts and mails and give the reason; one transaction stores the
//!   decision; only then is anything sent.
//! * **No data is lost while the database is away.** It waits in a spool on disk, and is stored exactly once and in
//!   order when the database is back.
//! * **A client is hostile** until its report has become a [`fleet::Reading`].
//! * **Every channel is bounded**, and a comment says what happens when it is full. Every wait for the network has a
//!   deadline and can be cancelled.
//! * **The failure of one client is an event** and never ends the sweep.
//! * **Secrets** have a type that cannot be printed, and are read where they are used.

pub mod age;
pub mod app;
pub mod bus;
pub mod cli;
pub mod config;
pub mod demo;
pub mod endpoint;
pub mod fleet;
pub mod headless;
pub mod mail;
pub mod relay;
pub mod setup;
pub mod ssh_config;
pub mod store;
pub mod sweep;
pub mod tui;

/// The fuzz targets of all decoders of untrusted bytes: one function per decoder, which takes any bytes and panics if a
/// guarantee is broken. Compiled only for tests and with `--cfg fuzzing`; see `tests/fuzz/README.md`.
#[cfg(any(test, fuzzing))]
pub mod fuzzing {
    pub use crate::{
        age::fuzzing::age,
        config::fuzzing::config,
        mail::fuzzing::smtp_reply,
        relay::fuzzing::{recording, relay},
        setup::fuzzing::inventory,
        store::fuzzing::spool,
        sweep::fuzzing::{answer, handshake, known_hosts, sftp},
        tui::fuzzing::background,
    };
}
