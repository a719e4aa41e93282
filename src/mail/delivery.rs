//! Decides what happens to a mail after an attempt to send it. Pure.

use std::time::Duration;

use jiff::Timestamp;

use crate::{config::show_duration, fleet::event::MailStep};

use super::{
    backoff,
    outcome::{Answer, DeferralScope, Phase, SendError},
};

/// A mail at an attempt to send it.
#[derive(Debug, Clone, Copy)]
pub struct DeliveryAttempt {
    /// The number of attempts, including this one.
    pub attempts: u32,
    /// How long it has waited.
    pub waited: Duration,
    /// How long it may wait.
    pub give_up: Duration,
    /// When the attempt ended.
    pub now: Timestamp,
}

/// The next step of a mail: sent, permanently refused, given up, or deferred for a pause. `jitter` is a random number
/// from 0 to 1.
#[must_use]
pub fn after_try(result: &Result<Answer, SendError>, tried: DeliveryAttempt, jitter: f64) -> MailStep {
    match result {
        Ok(Answer(answer)) => MailStep::Sent { answer: answer.clone() },
        Err(error @ SendError::Refused { .. }) => MailStep::Refused { error: error.to_string() },
        // A mail that cannot be made smaller waits too, because a limit that no mail fits is a mistake of the server.
        Err(error @ (SendError::Deferred { .. } | SendError::TooLarge { .. })) => {
            if tried.waited >= tried.give_up {
                return MailStep::Refused { error: given_up(&error.to_string(), tried.give_up) };
            }
            let next_at = tried.now.saturating_add(backoff::rest(tried.attempts, jitter)).unwrap_or(Timestamp::MAX);
            MailStep::Deferred { error: error.to_string(), next_at }
        }
    }
}

/// The reason for giving up a mail.
#[must_use]
pub fn given_up(error: &str, give_up: Duration) -> String {
    format!("given up after {}: {error}", show_duration(give_up))
}

/// Whether other mails would fail in the same way. If so, the round ends, and all mails wait until this one is due
/// again.
///
/// If the connection is lost within a mail, that mail may be the reason. Only if the previous mail failed in the same
/// way (`broke_before`), the server counts as the reason.
#[must_use]
pub fn ends_the_round(result: &Result<Answer, SendError>, broke_before: bool) -> bool {
    match result {
        Err(SendError::Deferred { during, concerns: DeferralScope::Server, .. }) => {
            during.is_common_to_all_mails() || broke_before
        }
        Err(SendError::Deferred { during, concerns: DeferralScope::Us, .. }) => during.is_common_to_all_mails(),
        Err(SendError::Deferred { concerns: DeferralScope::Mail, .. })
        | Ok(_)
        | Err(SendError::Refused { .. } | SendError::TooLarge { .. }) => false,
    }
}

/// Whether the connection was lost within this mail.
#[must_use]
pub fn broke(result: &Result<Answer, SendError>) -> bool {
    matches!(result, Err(SendError::Deferred { concerns: DeferralScope::Server, .. }))
}

/// The server's answer if it refuses us and not the mail.
#[must_use]
pub fn refusal_of_us(result: &Result<Answer, SendError>) -> Option<&SendError> {
    match result {
        Err(error @ SendError::Deferred { concerns: DeferralScope::Us, .. }) => Some(error),
        // Nothing more of it could be removed.
        Err(error @ SendError::TooLarge { .. }) => Some(error),
        Err(
            SendError::Deferred { concerns: DeferralScope::Server | DeferralScope::Mail, .. }
            | SendError::Refused { .. },
        )
        | Ok(_) => None,
    }
}

/// Whether the server refuses to relay to this recipient. Other mails to the same recipient would fail too.
#[must_use]
pub fn refuses_us_the_recipient(result: &Result<Answer, SendError>) -> bool {
    matches!(result, Err(SendError::Deferred { during: Phase::Recipient, concerns: DeferralScope::Us, .. }))
}

/// The key of a cause: the part of the dialogue and the codes. The rest of a server's answer may differ each time.
#[must_use]
pub fn cause(error: &SendError) -> String {
    let (during, words) = match error {
        SendError::Deferred { during, words, .. } | SendError::Refused { during, words } => {
            (format!("{during:?}"), words)
        }
        SendError::TooLarge { words, .. } => ("TooLarge".to_owned(), words),
    };
    let is_code = |word: &&str| word.len() <= 10 && word.chars().all(|c| c.is_ascii_digit() || c == '.');
    let codes: Vec<&str> = words.split_whitespace().take(2).take_while(is_code).collect();
    if codes.is_empty() { format!("{during} {words}") } else { format!("{during} {}", codes.join(" ")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_secs(86_400);

    fn deferred(during: Phase, concerns: DeferralScope) -> Result<Answer, SendError> {
        Err(SendError::Deferred { during, concerns, words: "451 later".into() })
    }

    fn step(result: &Result<Answer, SendError>, waited: Duration) -> MailStep {
        let now: Timestamp = "2026-03-01T12:00:00Z".parse().unwrap();
        after_try(result, DeliveryAttempt { attempts: 2, waited, give_up: 5 * DAY, now }, 0.0)
    }

    #[test]
    fn a_mail_is_sent_put_off_refused_or_given_up() {
        let next_at = "2026-03-01T12:01:00Z".parse().unwrap();
        let sent = Ok(Answer("250 ok".into()));
        assert_eq!(step(&sent, 9 * DAY), MailStep::Sent { answer: "250 ok".into() });

        let refused = Err(SendError::Refused { during: Phase::Recipient, words: "550 no".into() });
        assert_eq!(step(&refused, DAY), MailStep::Refused { error: "the recipient was refused: 550 no".into() });

        for concerns in [DeferralScope::Mail, DeferralScope::Us, DeferralScope::Server] {
            let error = "not now, at the recipient: 451 later";
            let result = deferred(Phase::Recipient, concerns);
            assert_eq!(
                step(&result, 5 * DAY - Duration::from_millis(1)),
                MailStep::Deferred { error: error.into(), next_at }
            );
            assert_eq!(step(&result, 5 * DAY), MailStep::Refused { error: format!("given up after 5d: {error}") });
        }
        let too_large = Err(SendError::TooLarge { limit_bytes: Some(100), words: "552 no".into() });
        assert!(matches!(step(&too_large, DAY), MailStep::Deferred { .. }));
        assert!(matches!(step(&too_large, 5 * DAY), MailStep::Refused { .. }));
    }

    #[test]
    fn a_round_ends_where_no_other_mail_would_get_through() {
        use DeferralScope::{Mail, Server, Us};
        for (during, concerns, broke_before, ends) in [
            (Phase::Connect, Server, false, true),
            (Phase::Login, Us, false, true),
            (Phase::Sender, Us, false, true),
            (Phase::Recipient, Us, true, false),
            (Phase::Content, Us, false, false),
            (Phase::Recipient, Mail, true, false),
            // A mail that makes a server fail does not block the others forever.
            (Phase::Content, Server, false, false),
            (Phase::Content, Server, true, true),
            (Phase::Recipient, Server, true, true),
        ] {
            assert_eq!(ends_the_round(&deferred(during, concerns), broke_before), ends, "{during:?} {concerns:?}");
        }
        for result in [
            Ok(Answer("250 ok".into())),
            Err(SendError::Refused { during: Phase::Recipient, words: "550 no".into() }),
            Err(SendError::TooLarge { limit_bytes: None, words: "552 no".into() }),
        ] {
            assert!(!ends_the_round(&result, true) && !broke(&result), "{result:?}");
        }
    }

    #[test]
    fn a_cause_is_the_same_whatever_else_the_server_says() {
        let of = |words: &str| {
            cause(&SendError::Deferred { during: Phase::Recipient, concerns: DeferralScope::Us, words: words.into() })
        };
        assert_eq!(
            of("554 5.7.1 <a@b>: Relay access denied (id 1)"),
            of("554 5.7.1 <c@d>: Relay access denied (id 2)")
        );
        assert_ne!(of("554 5.7.1 relay"), of("504 5.5.2 helo"));
        assert_ne!(of("no answer"), of("TLS failed"));
    }
}
