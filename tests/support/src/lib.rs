//! Shared by the integration tests: real servers that listen on a free port and end with the test, a real terminal, the
//! program under test, and waiting with a deadline.
//!
//! All functions panic if they fail, so that the test fails with the reason.

mod certificate;
mod corpus;
mod database;
mod dropbear;
mod each_engine;
mod exim;
mod hostile_smtp;
mod hostile_ssh;
mod http;
mod kept;
mod mail;
mod mariadb;
mod mounts;
mod notify;
mod pgbouncer;
mod port;
mod postfix;
mod postgres;
mod program;
mod prometheus;
mod server;
mod shared;
mod ssh_agent;
mod sshd;
mod strict_smtp;
mod tinyssh;
mod tmux;
mod tool;
mod trial;
mod user;
mod wait;

pub use certificate::TestCertificate;
pub use corpus::{corpora, replay};
pub use database::{Access, Database, Engine, encoded};
pub use dropbear::Dropbear;
pub use each_engine::on_each_engine;
pub use exim::{Exim, EximOptions};
pub use hostile_smtp::{HostileSmtp, Step, THE_END, say};
pub use hostile_ssh::{Fault, Flood, Forwarding, HostileSsh, Place, Prints};
pub use http::{HttpAnswer, http_get};
pub use kept::{kept, remove_kept};
pub use libtest_mimic::Trial;
pub use mail::Mail;
pub use mariadb::Mariadb;
pub use mounts::own_mounts;
pub use notify::NotifySocket;
pub use pgbouncer::Pgbouncer;
pub use port::free_port;
pub use postfix::Postfix;
pub use postgres::Postgres;
pub use program::{Fleetsweep, Outcome, Running, change, rows};
pub use prometheus::{Prometheus, promtool_check};
pub use rustix::process::Signal;
pub use ssh_agent::SshAgent;
pub use sshd::{Login, Sshd, SshdOptions};
pub use strict_smtp::{StrictRules, StrictSmtp};
pub use tinyssh::Tinyssh;
pub use tmux::{Modes, Terminal, TerminalOptions, is_running, signal};
pub use tool::{ARM, Tool, WINDOWS, agent, faketime, path_of};
pub use trial::{run, trial};
pub use user::ThrowawayUser;
pub use wait::{SOON, allowance, wait_until};
