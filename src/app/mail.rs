//! Mails on their way out: the worker that empties the outbox, what wakes it, and the clients of the SMTP server. Not
//! what mails say, nor what a server's answer means.

pub mod outbox_worker;
pub mod smtp_clients;
pub mod wakeup;
