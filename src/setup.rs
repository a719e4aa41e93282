//! A first configuration: what inventories say about hosts, and the text of `config.xml` for them.
//!
//! Pure. Files are read, questions asked and hosts contacted elsewhere; here, bytes become hosts, and a plan becomes text.
//!
//! | part | what it is |
//! | --- | --- |
//! | [`host`] | a host as a source names it |
//! | [`input`] | the text of a file, and errors with their line |
//! | [`argument`] | hosts on the command line |
//! | [`csv_file`] | hosts in a CSV file |
//! | [`openssh`] | the hosts of an `ssh_config` |
//! | [`ansible`] | the hosts of an inventory of Ansible |
//! | [`fleet`] | the hosts of all sources together, without duplicates |
//! | [`proposal`] | limits that fit what was measured |
//! | [`plan`] | everything that the file says |
//! | [`written`] | the text of the file |

pub mod ansible;
pub mod argument;
pub mod csv_file;
pub mod fleet;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
pub mod host;
pub mod input;
pub mod openssh;
pub mod plan;
pub mod proposal;
pub mod written;
