//! What a refusal means for a mail, from where it came, its codes and its words. Pure.
//!
//! Servers do not agree on codes: Postfix answers to a wrong `EHLO` name and to a wrong sender only at the recipient,
//! `550` is an unknown user here and a blocked network there, and `5.7.1` may be anything. So words that name a
//! cause come first, then the enhanced code, then the status code.
//!
//! A mail is given up only where the server refuses the address itself, or has seen the whole mail and refuses it. What
//! remains unclear waits: it ends after days by itself, and until then somebody can correct what is wrong.

use super::{Concerns, EnhancedCode, Phase, SendError};

/// What a refusal means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Meaning {
    Wait(Concerns),
    TooLarge,
    Refused,
}

const SERVER: Meaning = Meaning::Wait(Concerns::Server);
const US: Meaning = Meaning::Wait(Concerns::Us);
const MAIL: Meaning = Meaning::Wait(Concerns::Mail);

/// The error that a refusal is: a reply with a status code of 400 or more, or one that is out of place. `text` is the
/// reply's without its codes, `words` what is shown of it, `limit_bytes` the size that the server announced.
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
    let said = Said { code, told: enhanced.and_then(EnhancedCode::telling), text: searchable(text) };
    match code {
        // It closes, whatever it was asked.
        421 => SERVER,
        // No place for a 2xx or 3xx that is not the expected one: a confused server.
        ..400 => SERVER,
        400..500 => for_now(during, &said),
        500.. => match during {
            Phase::Connect | Phase::StartTls | Phase::Login => US,
            Phase::Sender => sender(&said),
            Phase::Recipient => recipient(&said),
            Phase::Content => content(&said),
        },
    }
}

/// A 4xx.
fn for_now(during: Phase, said: &Said) -> Meaning {
    // Postfix answers 450 to names and addresses that the DNS does not know: that lasts.
    let is_about_us = said.has(OUR_NAME_OR_SENDER) || said.has(RELAYING) || said.has(NOT_IN_DNS);
    match (during, said.told) {
        (Phase::StartTls | Phase::Login, _) => SERVER,
        (Phase::Recipient | Phase::Content, _) if said.has(GREYLISTING) => MAIL,
        _ if is_about_us && !said.has(GREYLISTING) => US,
        (Phase::Connect | Phase::Sender, _) | (_, Some((3, 2))) => SERVER,
        (Phase::Recipient | Phase::Content, _) if said.code == 454 => SERVER,
        (Phase::Recipient | Phase::Content, _) => MAIL,
    }
}

fn sender(said: &Said) -> Meaning {
    if said.is_too_large() { Meaning::TooLarge } else { US }
}

fn recipient(said: &Said) -> Meaning {
    if said.has(OUR_NAME_OR_SENDER) {
        return US;
    }
    if said.has(ADDRESS) {
        return Meaning::Refused;
    }
    if said.is_too_large() {
        return Meaning::TooLarge;
    }
    if said.is_about_us() {
        return US;
    }
    match said.told {
        // 5.1.7 and 5.1.8 are the sender's address.
        Some((1, 7 | 8)) => US,
        Some((1 | 2 | 6, _)) => Meaning::Refused,
        // So Exchange Online refuses an address that nobody has, and Postfix one without a domain.
        Some((4, 1) | (5, 2)) if said.has(&["recipient address rejected"]) => Meaning::Refused,
        Some(_) => US,
        None if said.has(POLICY) => US,
        None => match said.code {
            550..=553 | 556 => Meaning::Refused,
            _ => US,
        },
    }
}

/// A 5xx to `DATA` or to the mail itself. A refusal of the content is final: the same bytes meet the same verdict at
/// each try, and a server that takes us for a source of spam would only be confirmed.
fn content(said: &Said) -> Meaning {
    if said.is_too_large() {
        return Meaning::TooLarge;
    }
    if said.has(OUR_NAME_OR_SENDER) || said.is_about_us() {
        return US;
    }
    if said.has(CONTENT) || said.has(ADDRESS) {
        return Meaning::Refused;
    }
    match said.told {
        Some((1, 7 | 8)) => US,
        Some((1 | 2 | 6, _)) => Meaning::Refused,
        Some(_) => US,
        None if said.has(POLICY) || said.text.is_empty() || said.has(&["transaction failed"]) => US,
        None => match said.code {
            550..=554 => Meaning::Refused,
            _ => US,
        },
    }
}

/// A reply as it is judged.
struct Said {
    code: u16,
    told: Option<(u16, u16)>,
    text: String,
}

impl Said {
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

/// In lower case, spaces in place of all that parts words, and without addresses and what stands in angle brackets: a
/// recipient may be called `relay@example.com`.
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

/// How we introduce ourselves, and the sender's address. Servers say what they think of either at the recipient.
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

/// The server does not like where we come from.
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

/// What the DNS does not know of us.
const NOT_IN_DNS: &[&str] = &["client host rejected", "cannot find your"];

/// A policy without a name.
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

/// The recipient's address is not there, or cannot take mail.
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

/// What is in the mail.
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

/// Come back in some minutes.
const GREYLISTING: &[&str] = &["greylist", "graylist", "grey-list", "gray-list", "grey list"];

#[cfg(test)]
mod tests {
    use super::*;

    /// Replies as real servers give them, and what each means at the recipient.
    #[test]
    fn a_refusal_at_the_recipient_is_final_only_where_it_is_about_the_address() {
        for (expected, replies) in [
            (
                US,
                &[
                    // Postfix: reject_non_fqdn_helo_hostname and its relatives; all of them speak at the recipient.
                    "504 5.5.2 <vm>: Helo command rejected: need fully-qualified hostname",
                    "501 5.5.2 <v_m>: Helo command rejected: Invalid name",
                    "550 5.7.1 <vm>: Helo command rejected: Host not found",
                    "450 4.7.1 <vm>: Helo command rejected: Host not found",
                    "554 5.7.1 <ops@example.net>: Relay access denied",
                    "454 4.7.1 <ops@example.net>: Relay access denied",
                    "530 5.7.0 Must issue a STARTTLS command first",
                    "554 5.7.1 <host[192.0.2.1]>: Client host rejected: Access denied",
                    "450 4.7.25 Client host rejected: cannot find your hostname, [192.0.2.1]",
                    "554 5.7.1 Service unavailable; Client host [192.0.2.1] blocked using zen.spamhaus.org",
                    "550 5.1.0 <sweep@example.com>: Sender address rejected: User unknown in local recipient table",
                    "550 5.1.8 <sweep@x.test>: Sender address rejected: Domain not found",
                    "450 4.1.8 <sweep@x.test>: Sender address rejected: Domain not found",
                    "553 5.7.1 <sweep@example.com>: Sender address rejected: not logged in",
                    "504 5.5.2 <sweep>: Sender address rejected: need fully-qualified address",
                    "554 5.7.1 <ops@example.com>: Recipient address rejected: Access denied",
                    "554 5.7.1 <ops@example.com>: Recipient address rejected: Message rejected due to: SPF fail",
                    // Exim.
                    "550 relay not permitted",
                    "550 Relay not permitted",
                    "550 Administrative prohibition",
                    "550-Verification failed for <sweep@example.com> No Such User Here Sender verify failed",
                    "550 authentication required",
                    "550 authenticate first",
                    "503 sender not yet given",
                    // Sendmail.
                    "550 5.7.1 <ops@example.net>... Relaying denied",
                    "550 5.7.1 ops@example.net... Relaying denied. Proper authentication required.",
                    "553 5.1.8 <a@b.test>... Domain of sender address a@b.test does not exist",
                    // qmail.
                    "553 sorry, that domain isn't in my list of allowed rcpthosts (#5.7.1)",
                    // Exchange, Google, others.
                    "550 5.7.54 SMTP; Unable to relay recipient in non-accepted domain",
                    "550 5.7.60 SMTP; Client does not have permissions to send as this sender",
                    "530 5.7.57 SMTP; Client was not authenticated to send anonymous mail during MAIL FROM",
                    "550-5.7.26 This mail is unauthenticated, DMARC",
                    "550 5.4.5 Daily sending quota exceeded",
                    "550 5.1.7 Bad sender address syntax",
                    "551 we do not relay",
                    "530 login first",
                    "535 no",
                    "538 Encryption required",
                    "534 5.7.9 mechanism too weak",
                    "571 Delivery not authorized, message refused",
                    "550 5.3.2 system not accepting network messages",
                    // No reason that can be seen: it waits.
                    "550 5.7.1",
                    "550 5.7.1 no",
                    "554 no",
                    "554",
                    "554 5.0.0 Transaction failed",
                    "550 Access denied",
                    "550 5.4.4 unable to route",
                    "500 what",
                    "502 what",
                    "503 5.5.1 bad sequence",
                    "599 new in this century",
                ][..],
            ),
            (
                Meaning::Refused,
                &[
                    "550 5.1.1 <ops@example.com>: Recipient address rejected: User unknown in virtual mailbox table",
                    "550 5.1.1 <ops@example.com>: Recipient address rejected: User unknown in relay recipient table",
                    "550 5.1.1 <relay@example.com>: gone",
                    "550 5.1.1 helo@example.com is not here",
                    "550 5.1.2 <ops@nowhere.test>: Recipient address rejected: Domain not found",
                    "501 5.1.3 Bad recipient address syntax",
                    "504 5.5.2 <bob>: Recipient address rejected: need fully-qualified address",
                    "550 5.1.6 moved, no forwarding address",
                    "556 5.1.10 <ops@x.test>: Recipient address rejected: Domain x.test does not accept mail (nullMX)",
                    "550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient not found by SMTP address lookup",
                    "550 5.4.1 Recipient address rejected: Access denied. AS(201806281)",
                    "550 5.5.0 Requested action not taken: mailbox unavailable (S2017062302)",
                    "550-5.1.1 The email account that you tried to reach does not exist.",
                    "550 5.2.1 The email account that you tried to reach is disabled",
                    "552 5.2.2 The recipient's mailbox is full",
                    "552 mailbox full",
                    "552 over quota",
                    "550 5.7.1 No such user",
                    "554 delivery error: dd This user doesn't have a yahoo.com account",
                    "550 no such user here",
                    "550 Unrouteable address",
                    "501 <bob>: recipient address must contain a domain",
                    "550 5.3.0 refused on purpose",
                    "550 5.0.0 unknown",
                    "550",
                    "550 no",
                    "551 User not local",
                    "553 no",
                    "550 5.6.7 SMTPUTF8 is needed",
                ],
            ),
            (
                MAIL,
                &[
                    "450 greylisted",
                    "450 4.2.0 <ops@example.com>: Recipient address rejected: Greylisted",
                    "451 4.7.1 your IP address is greylisted, SPF neutral",
                    "452 disk full",
                    "452 4.2.2 mailbox full",
                    "451 4.3.0 lookup failure",
                    "450 4.1.1 <ops@example.com>: Recipient address rejected: unverified address",
                ],
            ),
            (
                SERVER,
                &[
                    "421 closing",
                    "421 4.7.0 too many connections from your IP",
                    "454 4.7.0 later",
                    "451 4.3.2 shutting down",
                    "250 ok",
                    "354 go on",
                ],
            ),
            (
                Meaning::TooLarge,
                &[
                    "552 too much",
                    "552 5.3.4 too long",
                    "552 5.2.3 too long",
                    "550 message size exceeds limit",
                    "552 message size exceeds the quota",
                ],
            ),
        ] {
            for reply in replies {
                check(Phase::Recipient, reply, expected);
            }
        }
    }

    #[test]
    fn a_refusal_means_something_else_at_each_part_of_the_dialogue() {
        use Phase::{Connect, Content, Login, Recipient, Sender, StartTls};
        for (during, reply, expected) in [
            (Connect, "554 no SMTP service here", US),
            (Connect, "554 5.7.1 blocked using a list", US),
            (Connect, "521 no mail here", US),
            (Connect, "450 4.7.1 busy", SERVER),
            (Connect, "450 4.7.1 Client host rejected: cannot find your reverse hostname", US),
            (Connect, "501 Syntactically invalid HELO argument(s)", US),
            (Connect, "421 4.3.2 closing", SERVER),
            (StartTls, "454 TLS not available due to temporary reason", SERVER),
            (StartTls, "502 5.5.1 not implemented", US),
            (Login, "454 4.7.0 Temporary authentication failure", SERVER),
            (Login, "535 5.7.8 Error: authentication failed", US),
            (Login, "504 5.5.4 Unrecognized authentication type", US),
            (Login, "550 account disabled", US),
            (Sender, "550 no such sender", US),
            (Sender, "550 5.1.1 user unknown", US),
            (Sender, "553 5.7.1 <a@b>: Sender address rejected: not owned by user ops", US),
            (Sender, "552 5.3.4 Message size exceeds fixed limit", Meaning::TooLarge),
            (Sender, "552 5.2.2 mailbox of the sender is full", US),
            (Sender, "552 size", Meaning::TooLarge),
            (Sender, "452 disk full", SERVER),
            (Sender, "451 4.1.8 Domain of sender address a@b does not resolve", US),
            (Content, "554 no", Meaning::Refused),
            (Content, "554 spam", Meaning::Refused),
            (Content, "550 5.3.0 refused on purpose", Meaning::Refused),
            (Content, "554 5.7.1 Message contains a virus", Meaning::Refused),
            (Content, "550 5.6.0 Lone CR or LF in body", Meaning::Refused),
            (Content, "550 5.1.1 no such user", Meaning::Refused),
            (Content, "552 5.7.0 blocked because its content presents a potential security issue", Meaning::Refused),
            (Content, "552 5.3.4 too long a mail", Meaning::TooLarge),
            (Content, "554 5.3.4 Message too big for system", Meaning::TooLarge),
            (Content, "552 5.2.3 Message length exceeds administrative limit", Meaning::TooLarge),
            (Content, "552 Message size exceeds maximum permitted", Meaning::TooLarge),
            (Content, "523 the message length exceeds the limit", Meaning::TooLarge),
            (Content, "550 5.7.1 policy", US),
            (Content, "554 5.7.1 <a@b>: Relay access denied", US),
            (Content, "554 5.7.1 rejected by DMARC policy", US),
            (Content, "550-5.7.1 [192.0.2.1] Our system has detected that your IP sends spam", US),
            (Content, "554 5.5.1 Error: no valid recipients", US),
            (Content, "503 5.5.1 RCPT first", US),
            (Content, "550 Administrative prohibition", US),
            (Content, "554 Transaction failed", US),
            (Content, "554", US),
            (Content, "451 later", MAIL),
            (Content, "452 disk full", MAIL),
            (Recipient, "421", SERVER),
        ] {
            check(during, reply, expected);
        }
    }

    #[track_caller]
    fn check(during: Phase, reply: &str, expected: Meaning) {
        let (code, text) = reply.split_at(3);
        let (enhanced, text) = EnhancedCode::split(text.trim_start_matches([' ', '-']));
        assert_eq!(meaning(during, code.parse().unwrap(), enhanced, text), expected, "{during:?}: {reply}");
    }
}
