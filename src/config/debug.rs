//! `Debug` for the parts of the configuration that hold text as it was written. Text that may be a misplaced secret is
//! hidden.

use std::fmt;

use super::{Bastion, Client, ClientElement, Collector, KeyFile, Login, OpensshFiles, Smtp, SmtpLogin, Ssh, safe_text};

impl fmt::Debug for Collector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { interval, concurrency, timeout, retries, mail, events } = self;
        let mail: Vec<_> = mail.iter().map(safe_text::mail).collect();
        f.debug_struct("Collector")
            .field("interval", interval)
            .field("concurrency", concurrency)
            .field("timeout", timeout)
            .field("retries", retries)
            .field("mail", &mail)
            .field("events", events)
            .finish()
    }
}

impl fmt::Debug for Smtp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port, security, from, helo, ca, login, give_up, mail_size, attachments } = self;
        f.debug_struct("Smtp")
            .field("host", host)
            .field("port", port)
            .field("security", security)
            .field("from", &safe_text::mail(from))
            .field("helo", &helo.as_deref().map(safe_text::server))
            .field("ca", &ca.as_deref().map(safe_text::path))
            .field("login", login)
            .field("give_up", give_up)
            .field("mail_size", mail_size)
            .field("attachments", attachments)
            .finish()
    }
}

impl fmt::Debug for SmtpLogin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { username, password } = self;
        f.debug_struct("SmtpLogin")
            .field("username", &safe_text::account(username))
            .field("password", password)
            .finish()
    }
}

impl fmt::Debug for KeyFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, passphrase } = self;
        f.debug_struct("KeyFile").field("path", &safe_text::path(path)).field("passphrase", passphrase).finish()
    }
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { key, identities, defaults, certificates, agent_socket, agent_keys, ssh_agent, password } = self;
        f.debug_struct("Login")
            .field("key", key)
            .field("identities", identities)
            .field("defaults", defaults)
            .field("certificates", &certificates.len())
            .field("agent_socket", &agent_socket.as_deref().map(safe_text::path))
            .field("agent_keys", &agent_keys.as_ref().map(Vec::len))
            .field("ssh_agent", ssh_agent)
            .field("password", password)
            .finish()
    }
}

impl fmt::Debug for Ssh {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { known_hosts, host_keys, config } = self;
        f.debug_struct("Ssh")
            .field("known_hosts", &safe_text::path(known_hosts))
            .field("host_keys", host_keys)
            .field("config", &(*config != OpensshFiles::None))
            .finish()
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            id,
            name,
            username,
            login,
            mail,
            rules,
            agent,
            events,
            events_mail,
            logs,
            ignore,
            redact,
            legacy,
            via,
            openssh,
        } = self;
        let mail: Vec<_> = mail.iter().map(safe_text::mail).collect();
        f.debug_struct("Client")
            .field("id", id)
            .field("name", &safe_text::label(name))
            .field("username", &safe_text::account(username))
            .field("login", login)
            .field("mail", &mail)
            .field("rules", rules)
            .field("agent", agent)
            .field("events", events)
            .field("events_mail", events_mail)
            .field("logs", &logs.len())
            .field("ignore", &ignore.is_some())
            .field("redact", &redact.is_some())
            .field("legacy", legacy)
            .field("via", via)
            .field("openssh", &openssh.is_some())
            .finish()
    }
}

impl fmt::Debug for Bastion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name: _, id, username, login, legacy, max_logins, openssh: _ } = self;
        f.debug_struct("Bastion")
            .field("id", id)
            .field("username", &safe_text::account(username))
            .field("login", login)
            .field("legacy", legacy)
            .field("max_logins", max_logins)
            .finish()
    }
}

impl fmt::Debug for ClientElement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { ip, name, clients } = self;
        f.debug_struct("ClientElement")
            .field("ip", &safe_text::addresses(ip))
            .field("name", &name.as_deref().map(safe_text::label))
            .field("clients", clients)
            .finish()
    }
}
