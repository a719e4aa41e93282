//! The client configuration of OpenSSH: `~/.ssh/config` and `/etc/ssh/ssh_config`. What it says about a host, and where
//! each value was written. Not what is done with it.
//!
//! [`Files::load`] reads the files with everything that they include, once. [`resolve()`] is a function of them, the name
//! of a host and an [`Environment`]. The edges are [`FileSystem`], and [`Commands`] for `Match exec`.
//!
//! `ARCHITECTURE.md` says why this is our own code and no library. It follows `ssh_config(5)`, and a test compares its
//! answers with those of `ssh -G`.

mod disk;
mod environment;
mod exec;
mod expand;
mod hop;
mod host_settings;
mod keyword;
mod load;
mod origin;
mod pattern;
mod remark;
mod resolve;
mod setting;
mod words;

pub use disk::{Disk, FileSystem};
pub use environment::{Answer, Environment, HostQuery};
pub use exec::Commands;
pub use hop::Hop;
pub use host_settings::{FileName, HostSettings, IdentityAgent, Proxy};
pub use load::{Files, Root};
pub use origin::{Line, Origin, Traced};
pub use remark::{FileProblem, Remark, RemarkKind};
pub use resolve::resolve;
