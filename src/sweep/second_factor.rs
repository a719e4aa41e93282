//! Recognises questions of a keyboard-interactive login that ask for a second factor. A password that is sent as the
//! answer would count as a wrong code, and the service that checks codes would see it. Pure.

/// Texts in such questions, also within a word: `Passcode`, `Bestätigungscode`.
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

/// Words in such questions.
const WORDS: [&str; 3] = ["pin", "tan", "duo"];

/// Whether a question asks for something other than the password. Names of accounts and hosts in it do not count.
pub(super) fn is_wanted(question: &str) -> bool {
    let said: Vec<&str> = question.split_whitespace().filter(|word| !word.contains('@')).collect();
    let said = said.join(" ").to_lowercase();
    PARTS.iter().any(|part| said.contains(part))
        || said.split(|character: char| !character.is_alphanumeric()).any(|word| WORDS.contains(&word))
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
            assert_eq!(is_wanted(question), expected, "{question}");
        }
    }
}
