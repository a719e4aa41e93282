//! Replies of real servers and their meaning.

use super::*;

/// Replies of real servers to the recipient.
#[test]
fn a_refusal_at_the_recipient_is_final_only_where_it_is_about_the_address() {
    for (expected, replies) in [
        (
            US,
            &[
                // Postfix: reject_non_fqdn_helo_hostname and similar settings. All of them reply at the recipient.
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
                // Without a recognisable reason, the mail waits.
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
