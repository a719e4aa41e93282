//! `fleetsweep` sweeps a fleet of machines over SSH: it uploads a small agent, executes it, receives its
//! encrypted report, stores it, judges it against limits and mails what must be known.
//!
//! # Modules
//!
//! | module | what it is | may import |
//! | --- | --- | --- |
//! | [`fleet`] | pure: clients, stages, readings, rules, alerts, events; the judge; the fold of events | the wire |
//! | [`config`] | `config.xml` to a valid `Config`; diagnostics, ranges, secrets | `fleet` |
//! | [`bus`] | the event bus: one channel of events, folded for every subscriber | `fleet` |
//! | [`sweep`] | edge: SSH sessions, host keys, delivery of the agent, one collection from connect to reading | `fleet`, `config`, `bus`, the wire |
//! | [`store`] | edge: the database: migrations, recording, queries, outbox rows, the spool for its outages | `fleet`, `config` |
//! | [`mail`] | edge: composing mails, handing them to the SMTP server | `fleet`, `config` |
//! | [`headless`] | edge: the result table, the JSON document, metrics, exported rows, progress: a reader of events | `fleet` |
//! | [`tui`] | edge: the dashboard: pure model and drawing, a thin terminal: a reader of events | `fleet` |
//! | [`relay`] | edge: the stream beyond this process: recorded to a file, played from one, told over a Unix socket | `fleet`, `bus` |
//! | [`demo`] | a fleet of loopback SSH servers and an SMTP sink | `fleet`, `config`, the wire |
//! | [`cli`] | arguments | `fleet`, `config` |
//! | [`app`] | the composition root: wires the edges, runs the sweeps, shuts down | everything |
//!
//! The wire is the library of the `fleetsweep-agent` package: request, report, envelope.
//!
//! # Invariants
//!
//! * **One event bus.** Everything that happens is an [`fleet::Event`]. The pipeline publishes it on one bounded
//!   channel; every reader folds the same stream and decides nothing.
//! * **One way to the screen.** In this process, recorded to a file or told over a socket, the stream is
//!   [`fleet::stream::Frame`]s, and what operators ask goes back as [`fleet::order::Order`]s.
//! * **One collector per database.** A lock that dies with its process says so; every other process attaches
//!   to the one that has it, so that nothing is swept or mailed twice.
//! * **Pure core.** `fleet` names no runtime, database, terminal or clock. Time comes in as a value.
//! * **Edges do not know each other.** `app` alone wires them. `tests/architecture` enforces it.
//! * **Decide, then do.** Alerts and mails are decided by pure functions that say why; one transaction
//!   keeps the decision; only then does anything leave the machine.
//! * **A database that is away** loses nothing: what happened waits in a spool on the disk, and is stored once and in
//!   its order when it is back.
//! * **A client is hostile** until its report has become a [`fleet::Reading`].
//! * **Every channel is bounded** and says beside it what happens when it is full; every await on the
//!   network has a deadline and a way to be cancelled.
//! * **One client's failure is an event**, never an early return.
//! * **Secrets** are of a type that cannot be shown, and are fetched where they are used.

pub mod app;
pub mod bus;
pub mod cli;
pub mod config;
pub mod demo;
pub mod fleet;
pub mod headless;
pub mod mail;
pub mod relay;
pub mod store;
pub mod sweep;
pub mod tui;

/// The decoders of foreign bytes as a fuzzer and the replay of its corpora call them: one function a decoder, which
/// takes any bytes and panics where a promise is broken. Compiled for tests and under `--cfg fuzzing` alone; how to
/// fuzz is in `tests/fuzz/README.md`.
#[cfg(any(test, fuzzing))]
pub mod fuzzing {
    pub use crate::{
        config::fuzzing::config,
        mail::fuzzing::smtp_reply,
        relay::fuzzing::{recording, relay},
        store::fuzzing::spool,
        sweep::fuzzing::{answer, handshake, known_hosts, sftp},
        tui::fuzzing::background,
    };
}
