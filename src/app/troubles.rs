//! Troubles of the collector itself: what is found, the file that keeps it between runs, and the mails about it. Not
//! what follows from a finding, which is [`crate::fleet::troubles`].

pub mod mailer;
pub mod state_file;
pub mod tracker;
