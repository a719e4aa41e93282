//! What becomes of a mail after a try to hand it over. Pure; not the try itself.

use jiff::Timestamp;

use crate::fleet::event::MailStep;

use super::{
    backoff,
    outcome::{Answer, Concerns, SendError},
};

/// What becomes of a mail: sent, refused for good, or put off until `now` and a rest.
///
/// `attempts` counts the tries of this mail, this one included; `jitter` is a chance from 0 to 1.
#[must_use]
pub fn after_try(result: &Result<Answer, SendError>, attempts: u32, now: Timestamp, jitter: f64) -> MailStep {
    match result {
        Ok(Answer(answer)) => MailStep::Sent { answer: answer.clone() },
        Err(error @ SendError::Deferred { .. }) => {
            let next_at = now.saturating_add(backoff::rest(attempts, jitter)).unwrap_or(Timestamp::MAX);
            MailStep::Deferred { error: error.to_string(), next_at }
        }
        Err(error @ (SendError::Refused { .. } | SendError::TooLarge { .. })) => {
            MailStep::Refused { error: error.to_string() }
        }
    }
}

/// Whether the other mails would meet the same: then the round ends here, and all of them rest until the
/// mail that was tried is due again.
#[must_use]
pub fn ends_the_round(result: &Result<Answer, SendError>) -> bool {
    match result {
        Err(SendError::Deferred { during, concerns, .. }) => match concerns {
            Concerns::Server => true,
            Concerns::Us => during.is_common_to_all_mails(),
            Concerns::Mail => false,
        },
        Ok(_) | Err(SendError::Refused { .. } | SendError::TooLarge { .. }) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mail::outcome::Phase;

    #[test]
    fn a_mail_is_sent_put_off_or_refused() {
        let now: Timestamp = "2026-03-01T12:00:00Z".parse().unwrap();
        let words = || "451 later".to_owned();
        let deferred = |concerns| Err(SendError::Deferred { during: Phase::Recipient, concerns, words: words() });
        let step = |result: &Result<Answer, SendError>| after_try(result, 2, now, 0.0);

        let sent = Ok(Answer("250 ok".into()));
        assert_eq!(step(&sent), MailStep::Sent { answer: "250 ok".into() });
        assert!(!ends_the_round(&sent));

        let refused = Err(SendError::Refused { during: Phase::Recipient, words: "550 no".into() });
        assert_eq!(step(&refused), MailStep::Refused { error: "the recipient was refused: 550 no".into() });
        assert!(!ends_the_round(&refused));

        let next_at = "2026-03-01T12:01:00Z".parse().unwrap();
        for (concerns, ends) in [(Concerns::Mail, false), (Concerns::Us, false), (Concerns::Server, true)] {
            let error = "not now, at the recipient: 451 later".into();
            assert_eq!(step(&deferred(concerns)), MailStep::Deferred { error, next_at });
            assert_eq!(ends_the_round(&deferred(concerns)), ends);
        }
        let login = SendError::Deferred { during: Phase::Login, concerns: Concerns::Us, words: words() };
        assert!(ends_the_round(&Err(login)), "no other mail gets past the login either");
    }
}
