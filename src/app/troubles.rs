//! Troubles of the collector itself: their detection, the file that keeps them between runs, and the mails about them.
//! What follows from a finding is decided in [`crate::fleet::troubles`].

pub mod mailer;
pub mod state_file;
pub mod tracker;
