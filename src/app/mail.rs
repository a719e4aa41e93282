//! Sending of mails: the outbox worker, its wakeup, and the SMTP clients. The content of mails and the meaning of a
//! server's answer are in `mail`.

pub mod outbox_worker;
pub mod smtp_clients;
pub mod wakeup;
