//! What a question of a keyboard-interactive login asks for. Pure.
//!
//! A password that is sent as a code would count as a wrong code, and the service that checks codes would see it. One that
//! is sent as the new password would change the account.

/// What the answer to a question is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    /// The password, as far as can be told.
    Password,
    /// A code, a token or a PIN.
    SecondFactor,
    /// A new password, or the old one before it: the password has expired.
    NewPassword,
}

/// Texts in questions for a second factor, also within a word: `Passcode`, `Bestätigungscode`.
const PARTS: [&str; 17] = [
    "code",
    "código",
    "codigo",
    "codice",
    "kód",
    "otp",
    "token",
    "one-time",
    "one time",
    "einmal",
    "2fa",
    "mfa",
    "factor",
    "faktor",
    "authenticator",
    "challenge",
    "yubikey",
];

/// Words in questions for a second factor.
const WORDS: [&str; 3] = ["pin", "tan", "duo"];

/// Texts in questions of a change of the password.
const CHANGE: [&str; 25] = [
    "new password",
    "new unix password",
    "new passphrase",
    "current password",
    "(current)",
    "old password",
    "retype",
    "re-enter",
    "reenter",
    "confirm password",
    "change your password",
    "password change",
    "password has expired",
    "neues passwort",
    "neues kennwort",
    "neues unix-passwort",
    "aktuelles passwort",
    "altes passwort",
    "nouveau mot de passe",
    "ancien mot de passe",
    "nueva contraseña",
    "nuova password",
    "nova senha",
    "nieuw wachtwoord",
    "nytt lösenord",
];

/// What a question asks for. Names of accounts and hosts in it do not count.
pub(super) fn wanted(question: &str) -> Wanted {
    let said: Vec<&str> = question.split_whitespace().filter(|word| !word.contains('@')).collect();
    let said = said.join(" ").to_lowercase();
    if CHANGE.iter().any(|part| said.contains(part)) {
        Wanted::NewPassword
    } else if PARTS.iter().any(|part| said.contains(part))
        || said.split(|character: char| !character.is_alphanumeric()).any(|word| WORDS.contains(&word))
    {
        Wanted::SecondFactor
    } else {
        Wanted::Password
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_for_a_second_factor_is_told_from_one_for_the_password() {
        for (question, expected) in [
            ("Password: ", false),
            ("password", false),
            ("Passwort:", false),
            ("Mot de passe :", false),
            ("Contraseña:", false),
            ("Password for ops@pin.example.com:", false),
            ("(ops@code-host) Password: ", false),
            ("Enter spinning instance password:", false),
            ("LDAP Password:", false),
            ("Verification code: ", true),
            ("Password & verification code: ", true),
            ("One-time password (OATH) for `ops': ", true),
            ("Passcode or option (1-3): ", true),
            ("Enter PIN for token 'ops':", true),
            ("PIN:", true),
            ("Bestätigungscode:", true),
            ("Código de verificación:", true),
            ("Duo two-factor login for ops", true),
            ("Response to challenge 4711:", true),
            ("YubiKey for `ops': ", true),
            ("otp-md5 95 ke1234 ext, Response: ", true),
        ] {
            let expected = if expected { Wanted::SecondFactor } else { Wanted::Password };
            assert_eq!(wanted(question), expected, "{question}");
        }
    }

    #[test]
    fn a_question_for_a_new_password_is_told_from_one_for_the_password() {
        for (question, expected) in [
            ("New password: ", true),
            ("Current password: ", true),
            ("(current) UNIX password: ", true),
            ("You are required to change your password immediately (administrator enforced).\nPassword: ", true),
            ("Retype new password:", true),
            ("Neues Passwort:", true),
            ("Nouveau mot de passe :", true),
            ("Your password will expire in 5 days.\nPassword: ", false),
            ("Renew your password soon.\nPassword: ", false),
            ("Password: ", false),
        ] {
            let expected = if expected { Wanted::NewPassword } else { Wanted::Password };
            assert_eq!(wanted(question), expected, "{question}");
        }
    }
}
