//! Decides what a refusal means for a mail, from the part of the dialogue, the codes and the text. Pure.
//!
//! Servers do not agree on codes: Postfix answers to a wrong `EHLO` name and to a wrong sender only at the recipient,
//! `550` is an unknown user here and a blocked network there, and `5.7.1` may be anything. So texts that name a cause
//! are checked first, then the enhanced code, then the status code.
//!
//! A mail is permanently refused only if the server refuses the address itself, or refuses the mail after it has seen
//! all of it. In unclear cases it waits: it is given up after days, and until then somebody can correct the cause.

use super::{DeferralScope, EnhancedCode, Phase, SendError};

/// What a refusal means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Meaning {
    Wait(DeferralScope),
    TooLarge,
    Refused,
}

const SERVER: Meaning = Meaning::Wait(DeferralScope::Server);
const US: Meaning = Meaning::Wait(DeferralScope::Us);
const MAIL: Meaning = Meaning::Wait(DeferralScope::Mail);

/// The error for a refusal: a reply with a status code of 400 or more, or one that is not valid at this point. `text`
/// is the reply's text without its codes, `words` the text for display, `limit_bytes` the size that the server
/// announced.
#[must_use]
pub fn refusal(
    during: Phase,
    code: u16,
    enhanced: Option<EnhancedCode>,
    text: &str,
    words: String,
    limit_bytes: Option<u64>,
) -> SendError {
    match meaning(during, code, enhanced, text) {
        Meaning::Wait(concerns) => SendError::Deferred { during, concerns, words },
        Meaning::TooLarge => SendError::TooLarge { limit_bytes, words },
        Meaning::Refused => SendError::Refused { during, words },
    }
}

fn meaning(during: Phase, code: u16, enhanced: Option<EnhancedCode>, text: &str) -> Meaning {
    let reply = JudgedReply { code, told: enhanced.and_then(EnhancedCode::telling), text: searchable(text) };
    match code {
        // The server closes the connection, regardless of the command.
        421 => SERVER,
        // An unexpected 2xx or 3xx: the server is confused.
        ..400 => SERVER,
        400..500 => for_now(during, &reply),
        500.. => match during {
            Phase::Connect | Phase::StartTls | Phase::Login => US,
            Phase::Sender => sender(&reply),
            Phase::Recipient => recipient(&reply),
            Phase::Content => content(&reply),
        },
    }
}

/// The meaning of a 4xx.
fn for_now(during: Phase, reply: &JudgedReply) -> Meaning {
    // Postfix answers 450 to names and addresses that are not in the DNS, which is a lasting problem.
    let is_about_us = reply.has(OUR_NAME_OR_SENDER) || reply.has(RELAYING) || reply.has(NOT_IN_DNS);
    match (during, reply.told) {
        (Phase::StartTls | Phase::Login, _) => SERVER,
        (Phase::Recipient | Phase::Content, _) if reply.has(GREYLISTING) => MAIL,
        _ if is_about_us && !reply.has(GREYLISTING) => US,
        (Phase::Connect | Phase::Sender, _) | (_, Some((3, 2))) => SERVER,
        (Phase::Recipient | Phase::Content, _) if reply.code == 454 => SERVER,
        (Phase::Recipient | Phase::Content, _) => MAIL,
    }
}

fn sender(reply: &JudgedReply) -> Meaning {
    if reply.is_too_large() { Meaning::TooLarge } else { US }
}

fn recipient(reply: &JudgedReply) -> Meaning {
    if reply.has(OUR_NAME_OR_SENDER) {
        return US;
    }
    if reply.has(ADDRESS) {
        return Meaning::Refused;
    }
    if reply.is_too_large() {
        return Meaning::TooLarge;
    }
    if reply.is_about_us() {
        return US;
    }
    match reply.told {
        // 5.1.7 and 5.1.8 are about the sender's address.
        Some((1, 7 | 8)) => US,
        Some((1 | 2 | 6, _)) => Meaning::Refused,
        // Exchange Online refuses unknown addresses like this, and Postfix those without a domain.
        Some((4, 1) | (5, 2)) if reply.has(&["recipient address rejected"]) => Meaning::Refused,
        Some(_) => US,
        None if reply.has(POLICY) => US,
        None => match reply.code {
            550..=553 | 556 => Meaning::Refused,
            _ => US,
        },
    }
}

/// The meaning of a 5xx to `DATA` or to the mail. If the content is refused, this is permanent: another attempt would
/// have the same result, and could make the server treat us as a source of spam.
fn content(reply: &JudgedReply) -> Meaning {
    if reply.is_too_large() {
        return Meaning::TooLarge;
    }
    if reply.has(OUR_NAME_OR_SENDER) || reply.is_about_us() {
        return US;
    }
    if reply.has(CONTENT) || reply.has(ADDRESS) {
        return Meaning::Refused;
    }
    match reply.told {
        Some((1, 7 | 8)) => US,
        Some((1 | 2 | 6, _)) => Meaning::Refused,
        Some(_) => US,
        None if reply.has(POLICY) || reply.text.is_empty() || reply.has(&["transaction failed"]) => US,
        None => match reply.code {
            550..=554 => Meaning::Refused,
            _ => US,
        },
    }
}

/// A reply in the form that is searched.
struct JudgedReply {
    code: u16,
    told: Option<(u16, u16)>,
    text: String,
}

impl JudgedReply {
    fn has(&self, words: &[&str]) -> bool {
        words.iter().any(|words| self.text.contains(words))
    }

    fn is_about_us(&self) -> bool {
        matches!(self.code, 500 | 502 | 503 | 504 | 521 | 525 | 530 | 534 | 535 | 538) && self.told.is_none()
            || self.has(OUR_NAME_OR_SENDER)
            || self.has(RELAYING)
            || self.has(LOGIN)
            || self.has(OUR_ADDRESS)
    }

    fn is_too_large(&self) -> bool {
        match self.told {
            Some((3, 4) | (2, 3)) => self.code >= 500,
            Some(_) => self.has(SIZE),
            None => self.has(SIZE) || (self.code == 552 && !self.has(QUOTA)),
        }
    }
}

/// In lower case, with spaces between words, and without addresses and texts in angle brackets, because a recipient may
/// be called `relay@example.com`.
fn searchable(text: &str) -> String {
    let mut found = String::from(" ");
    let mut inside = false;
    for word in text.to_lowercase().replace('<', " <").replace('>', "> ").split_whitespace() {
        inside |= word.starts_with('<');
        if !inside && !word.contains('@') {
            for part in word.split(|c: char| !(c.is_alphanumeric() || "-'.".contains(c))) {
                let part = part.trim_matches(['.', '-', '\'']);
                if !part.is_empty() {
                    found.push_str(part);
                    found.push(' ');
                }
            }
        }
        inside &= !word.ends_with('>');
    }
    if found.trim().is_empty() { String::new() } else { found }
}

/// Our `EHLO` name and the sender's address. Servers often refuse them only at the recipient.
const OUR_NAME_OR_SENDER: &[&str] = &[
    " helo ",
    " ehlo ",
    "fully-qualified hostname",
    "fully qualified host",
    "sender address",
    "address of sender",
    "sender rejected",
    "sender denied",
    "sender refused",
    "sender verif",
    "sender domain",
    "sender's domain",
    "domain of sender",
    "sender policy",
    "sender not ",
    "sender is not",
    "sender id ",
    "sender unknown",
    "sender does not",
    "sender invalid",
    "bad sender",
    "bad outbound sender",
    "invalid sender",
    "unknown sender",
    "unauthorized sender",
    "unauthorised sender",
    "envelope sender",
    "from address",
    "mail from",
    "return path",
    "return-path",
    "reverse-path",
    "reverse path",
    "send as ",
    "sendasdenied",
    " spf ",
    " dmarc ",
    " dkim ",
];

/// The server does not pass mail on for us.
const RELAYING: &[&str] = &[
    "relay access",
    "relay denied",
    "relay not",
    "relay is not",
    "relay operation",
    "relay attempt",
    "relay prohibited",
    "relay for",
    "relay mail",
    "relay to",
    "relay through",
    "relay from",
    "relay this",
    "relaying",
    "to relay",
    "no relay",
    "not relay",
    "don't relay",
    "cannot relay",
    "can't relay",
    "open relay",
    "rcpthosts",
    "local or for an authorized",
    "not a gateway",
    "not my domain",
    "not handle mail for",
    "not accept mail for",
    "not hosted here",
];

/// The server wants a login, another one, or encryption.
const LOGIN: &[&str] = &[
    "authenticat",
    "authorization required",
    " auth ",
    "smtp-auth",
    "log in",
    "login",
    "logged in",
    "credentials",
    "your account",
    "starttls",
    " tls ",
    " ssl ",
    "encrypt",
];

/// The server refuses our network address.
const OUR_ADDRESS: &[&str] = &[
    "client host",
    "client ip",
    "client address",
    "your ip",
    "your host",
    "your server",
    "your network",
    "sending ip",
    "sending host",
    "sending server",
    "mail server ip",
    "ip address",
    "blocklist",
    "blacklist",
    "block list",
    "black list",
    "blackhole",
    "denylist",
    "blocked using",
    "dnsbl",
    " rbl ",
    " rbls ",
    "spamhaus",
    "spamcop",
    "sorbs",
    "barracuda",
    "reputation",
    "reverse dns",
    "reverse hostname",
    "reverse host",
    "reverse lookup",
    "rdns",
    " ptr ",
    "dynamic ip",
    "banned",
    "sending limit",
    "sending quota",
    "rate limit",
];

/// Missing DNS records of ours.
const NOT_IN_DNS: &[&str] = &["client host rejected", "cannot find your"];

/// An unspecified policy.
const POLICY: &[&str] = &[
    "administrative prohibition",
    "administratively",
    "not authorized",
    "not authorised",
    "unauthorized",
    "unauthorised",
    "not permitted",
    "not allowed",
    "denied",
    "policy",
    "prohibited",
    "forbidden",
    "blocked",
    "transaction failed",
];

/// The recipient's address does not exist or cannot receive mail.
const ADDRESS: &[&str] = &[
    "user unknown",
    "unknown user",
    "no such user",
    "no such mailbox",
    "no such recipient",
    "no such address",
    "no such account",
    "no such person",
    "no such local",
    "no mailbox",
    "unknown recipient",
    "recipient unknown",
    "unknown address",
    "address unknown",
    "unknown mailbox",
    "mailbox unknown",
    "unknown local",
    "unknown account",
    "mailbox unavailable",
    "mailbox is unavailable",
    "mailbox not available",
    "mailbox not found",
    "mailbox disabled",
    "mailbox is disabled",
    "mailbox is inactive",
    "mailbox inactive",
    "user not found",
    "recipient not found",
    "address not found",
    "account not found",
    "recipientnotfound",
    "account disabled",
    "account is disabled",
    "account inactive",
    "account is inactive",
    "does not exist",
    "doesn't exist",
    "user doesn't have",
    "not a valid mailbox",
    "not a valid user",
    "not a valid recipient",
    "invalid recipient",
    "invalid mailbox",
    "invalid address",
    "bad recipient",
    "bad destination",
    "bad address syntax",
    "recipient address must contain",
    "malformed address",
    "unrouteable address",
    "unroutable address",
    "undeliverable address",
    "mailbox full",
    "mailbox is full",
];

/// The content of the mail.
const CONTENT: &[&str] = &[
    "spam",
    "virus",
    "malware",
    "infected",
    "trojan",
    "phish",
    "unsolicited",
    "content",
    "attachment",
    "executable",
    "suspicious",
    "line too long",
    "line length",
    "header",
    " mime ",
];

/// The mail is too long for the server.
const SIZE: &[&str] = &[
    "message size",
    "size limit",
    "maximum size",
    "message too large",
    "message is too large",
    "mail too large",
    "message too big",
    "message is too big",
    "message file too big",
    "mail size",
    "message length exceeds",
    "too long a mail",
];

/// The mailbox is full.
const QUOTA: &[&str] = &["quota", "mailbox full", "mailbox is full"];

/// A request to try again after some minutes.
const GREYLISTING: &[&str] = &["greylist", "graylist", "grey-list", "gray-list", "grey list"];

#[cfg(test)]
mod tests;
