//! Files of identities, as `age-keygen` writes them: one private key in a line, comments, empty lines. Where such a file
//! is, and who may read it, is decided elsewhere.

use jiff::Timestamp;
use secrecy::{ExposeSecret as _, zeroize::Zeroizing};

use super::{
    armor, header,
    keys::{IDENTITY_START, Identity},
};

/// The most identities of one file, because each is tried for each recipient.
const MOST: usize = 100;

/// The identities of a file, at least one.
#[derive(Debug, Clone)]
pub struct Identities(Vec<Identity>);

/// Why a text is not a file of identities. Messages contain nothing of the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum IdentitiesError {
    /// It has no identity.
    #[error("it contains no identity")]
    None,
    /// It is not UTF-8.
    #[error("it is not UTF-8 text")]
    NotText,
    /// A line is neither an identity nor a comment.
    #[error("line {0} is not an identity of age")]
    Line(usize),
    /// It contains only identities of types that are not supported.
    #[error("it contains only identities of plugins or post-quantum ones")]
    Unsupported,
    /// It is encrypted itself.
    #[error("it is encrypted itself")]
    Encrypted,
    /// It is a private key of SSH.
    #[error("it is a private key of SSH")]
    Ssh,
    /// It contains a public key.
    #[error("line {0} is a public key")]
    Public(usize),
    /// It has too many identities.
    #[error("it contains more than {MOST} identities")]
    TooMany,
}

impl Identities {
    /// Reads the text of a file.
    ///
    /// # Errors
    /// [`IdentitiesError`].
    pub fn parse(text: &[u8]) -> Result<Self, IdentitiesError> {
        let is_encrypted = header::is_age(text) || armor::is_armored(text);
        if is_encrypted {
            return Err(IdentitiesError::Encrypted);
        }
        let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
        let text = str::from_utf8(text).map_err(|_| IdentitiesError::NotText)?;
        let mut found = Vec::new();
        let mut is_other = false;
        for (number, line) in (1..).zip(text.lines()) {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            if line.starts_with("-----BEGIN ") {
                return Err(IdentitiesError::Ssh);
            }
            if line.starts_with("AGE-PLUGIN-") || line.starts_with("AGE-SECRET-KEY-PQ-1") {
                is_other = true;
            } else if line.starts_with("age1") {
                return Err(IdentitiesError::Public(number));
            } else if line.starts_with(IDENTITY_START) {
                found.push(Identity::parse(line).map_err(|_| IdentitiesError::Line(number))?);
            } else {
                return Err(IdentitiesError::Line(number));
            }
            if found.len() > MOST {
                return Err(IdentitiesError::TooMany);
            }
        }
        match (found.is_empty(), is_other) {
            (false, _) => Ok(Self(found)),
            (true, true) => Err(IdentitiesError::Unsupported),
            (true, false) => Err(IdentitiesError::None),
        }
    }

    /// All of them, in the order of the file.
    #[must_use]
    pub fn all(&self) -> &[Identity] {
        &self.0
    }

    /// The first one, for which new secrets are encrypted.
    #[must_use]
    pub fn newest(&self) -> Option<&Identity> {
        self.0.first()
    }
}

/// The text of a new file, as `age-keygen` writes it.
#[must_use]
pub fn written(identity: &Identity, created: Timestamp) -> Zeroizing<String> {
    let secret = identity.to_text();
    // Allocated at full size, because growing would leave copies of the key in memory.
    let mut text = Zeroizing::new(String::with_capacity(256));
    let seconds = created.strftime("%Y-%m-%dT%H:%M:%SZ");
    text.push_str(&format!("# created: {seconds}\n# public key: {}\n", identity.recipient()));
    text.push_str(secret.expose_secret());
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = "AGE-SECRET-KEY-14EZRTU4R40XSGJUMD4CVX44A09HG0VCT4ENYKFM37A49GURFXWTSM978QN";

    /// How many identities a file has.
    fn check(text: &str, expected: Result<usize, IdentitiesError>) {
        assert_eq!(Identities::parse(text.as_bytes()).map(|found| found.all().len()), expected, "{text}");
    }

    #[test]
    fn a_file_has_identities_comments_and_line_ends_of_any_system() {
        check(ONE, Ok(1));
        check(&format!("# created: today\n# public key: age1\n{ONE}\n"), Ok(1));
        check(&format!("\u{feff}# from Windows\r\n\r\n{ONE}\r\n# another\r\n  {ONE}\t\r\n"), Ok(2));
        check(&format!("AGE-PLUGIN-YUBIKEY-1QQQQ\n{ONE}\nAGE-SECRET-KEY-PQ-1QQQQ\n"), Ok(1));
        let new = Identity::generate();
        let text = written(&new, Timestamp::UNIX_EPOCH);
        assert!(text.starts_with("# created: 1970-01-01T00:00:00Z\n# public key: age1"), "{}", new.recipient());
        let read = Identities::parse(text.as_bytes()).unwrap();
        assert_eq!(read.newest().unwrap().recipient(), new.recipient());
    }

    #[test]
    fn another_file_is_named_as_what_it_is() {
        check("", Err(IdentitiesError::None));
        check("# created: today\n\n", Err(IdentitiesError::None));
        check(&format!("{ONE}\nhunter2\n"), Err(IdentitiesError::Line(2)));
        check(&format!("# damaged\n{}\n", ONE.replace("EZRT", "EZRS")), Err(IdentitiesError::Line(2)));
        check("age1wm2my0qgujwn4qpwk57etrtgjhd6wcpaugyg2qpdycesh7slp4uqpvav3t", Err(IdentitiesError::Public(1)));
        check("AGE-PLUGIN-YUBIKEY-1QQQQ", Err(IdentitiesError::Unsupported));
        check("-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n", Err(IdentitiesError::Ssh));
        check("age-encryption.org/v1\n-> scrypt a 18\n", Err(IdentitiesError::Encrypted));
        check("\n-----BEGIN AGE ENCRYPTED FILE-----\nYWdl\n", Err(IdentitiesError::Encrypted));
        check(&format!("{ONE}\n").repeat(101), Err(IdentitiesError::TooMany));
        assert_eq!(Identities::parse(b"\xff").err(), Some(IdentitiesError::NotText));
    }
}
