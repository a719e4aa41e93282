//! The keyboard-interactive login: the question for the password is answered, and no other one.

use russh::client::{KeyboardInteractiveAuthResponse, Prompt};
use secrecy::{ExposeSecret as _, SecretString};

use super::{
    credential::Outcome,
    question::{self, Wanted},
    session::Session,
};
use crate::fleet::reading::clean;

/// Further questions that a server may ask after the password was given.
const MOST_QUESTIONS: usize = 4;
/// How many questions of one request are read. More than one is never answered.
const MOST_PROMPTS: usize = 4;
/// How much of a question is quoted, characters.
const QUESTION_CHARS: usize = 200;

/// What a question gets.
#[derive(Debug, PartialEq, Eq)]
enum Answer {
    /// It is only a text to display.
    Nothing,
    Password,
    /// No answer, for this reason.
    None(String),
}

/// Answers the first hidden question with the password if it asks for that. `None` if the session has ended.
pub(super) async fn authenticate(session: &mut Session, user: &str, password: &SecretString) -> Option<Outcome> {
    let mut response = session.handle().authenticate_keyboard_interactive_start(user, None).await.ok()?;
    let mut answered = None;
    for _ in 0..=MOST_QUESTIONS {
        let prompts = match response {
            KeyboardInteractiveAuthResponse::Success => return Some(Outcome::Accepted),
            KeyboardInteractiveAuthResponse::Failure { remaining_methods, partial_success: true } => {
                return Some(Outcome::OneMoreWanted(remaining_methods));
            }
            KeyboardInteractiveAuthResponse::Failure { remaining_methods, partial_success: false } => {
                return Some(Outcome::Refused(remaining_methods));
            }
            KeyboardInteractiveAuthResponse::InfoRequest { instructions, prompts, .. } => {
                session.note_text(&instructions);
                // One question of a hostile server may show the answer to the one before.
                let hide = |Prompt { prompt, echo }| Prompt { prompt: session.secrets().hide_in(&prompt), echo };
                prompts.into_iter().take(MOST_PROMPTS).map(hide).collect::<Vec<_>>()
            }
        };
        let answers = match answer(&prompts, answered.as_deref()) {
            Answer::Nothing => Vec::new(),
            Answer::Password => {
                answered = prompts.into_iter().next().map(|prompt| prompt.prompt);
                vec![password.expose_secret().to_owned()]
            }
            Answer::None(why) => {
                session.leave_unanswered();
                return Some(Outcome::Unanswerable(why));
            }
        };
        response = session.handle().authenticate_keyboard_interactive_respond(answers).await.ok()?;
    }
    session.leave_unanswered();
    Some(Outcome::Unanswerable("the server asks without end".to_owned()))
}

/// What these questions get, after the password was given to the question `answered`.
fn answer(prompts: &[Prompt], answered: Option<&str>) -> Answer {
    let wanted =
        prompts.iter().map(|prompt| question::wanted(&prompt.prompt)).find(|wanted| *wanted != Wanted::Password);
    let asks = || {
        let all: Vec<&str> = prompts.iter().map(|prompt| prompt.prompt.as_str()).collect();
        let when = if answered.is_some() { "after the password, " } else { "" };
        format!("{when}the server asks `{}`", clean(&all.join(" "), QUESTION_CHARS))
    };
    match (prompts, wanted.unwrap_or(Wanted::Password)) {
        ([], _) => Answer::Nothing,
        (_, Wanted::NewPassword) => {
            Answer::None(format!("{}: the password has expired, and only a person can change it", asks()))
        }
        ([only], Wanted::Password) if !only.echo && answered.is_none() => Answer::Password,
        ([only], Wanted::Password) if answered == Some(only.prompt.as_str()) => {
            Answer::None(format!("{} again: it does not accept the password", asks()))
        }
        (_, Wanted::Password | Wanted::SecondFactor) => {
            Answer::None(format!("{}, which only a person can answer", asks()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prompts(questions: &[(&str, bool)]) -> Vec<Prompt> {
        questions.iter().map(|(prompt, echo)| Prompt { prompt: (*prompt).to_owned(), echo: *echo }).collect()
    }

    #[test]
    fn only_the_question_for_the_password_is_answered_and_only_once() {
        let none = |words: &str| Answer::None(format!("the server asks {words}"));
        let after = |words: &str| Answer::None(format!("after the password, the server asks {words}"));
        let (hidden, shown) = (false, true);
        for (questions, answered, expected) in [
            (&[][..], None, Answer::Nothing),
            (&[("Password: ", hidden)], None, Answer::Password),
            (&[("Access is logged.\nPassword: ", hidden)], None, Answer::Password),
            (
                &[("Password: ", hidden)],
                Some("Password: "),
                after("`Password:` again: it does not accept the password"),
            ),
            (&[("Login: ", shown)], None, none("`Login:`, which only a person can answer")),
            (&[("Password: ", shown)], None, none("`Password:`, which only a person can answer")),
            (
                &[("Verification code: ", hidden)],
                Some("Password: "),
                after("`Verification code:`, which only a person can answer"),
            ),
            (&[("Verification code: ", hidden)], None, none("`Verification code:`, which only a person can answer")),
            (
                &[("Password: ", hidden), ("Verification code: ", hidden)],
                None,
                none("`Password: Verification code:`, which only a person can answer"),
            ),
            (
                &[("You are required to change your password immediately.\r\nNew \x1b[1mpassword: ", hidden)],
                None,
                none(
                    "`You are required to change your password immediately. New [1mpassword:`: the password has \
                     expired, and only a person can change it",
                ),
            ),
            (
                &[("New password: ", hidden), ("Retype new password: ", hidden)],
                Some("Password: "),
                after(
                    "`New password: Retype new password:`: the password has expired, and only a person can change it",
                ),
            ),
        ] {
            assert_eq!(answer(&prompts(questions), answered), expected, "{questions:?} after {answered:?}");
        }
    }

    #[test]
    fn a_long_question_is_quoted_to_a_bound() {
        let Answer::None(words) = answer(&prompts(&[(&"?".repeat(100_000), true)]), None) else { panic!("answered") };
        assert!(words.len() < 300, "{words}");
    }
}
