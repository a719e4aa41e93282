//! The tasks of the command line, one per file: the run modes, which read a running collector, and the short commands.

pub mod agents;
pub mod commands;
pub mod dashboard;
pub mod demo;
pub mod export;
pub mod init;
pub mod once;
pub mod output_file;
pub mod own;
pub mod readers;
pub mod secret;
pub mod service;
