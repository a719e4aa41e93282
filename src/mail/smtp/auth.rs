//! The login (RFC 4954): the choice of the mechanism, and the lines of each. Pure.

use base64ct::{Base64, Encoding as _};
use hmac::{Hmac, KeyInit as _, Mac as _};
use md5::Md5;
use secrecy::{ExposeSecret as _, SecretString, zeroize::Zeroizing};

use super::{capabilities::Capabilities, mask::Mask};

/// An account at the server.
#[derive(Debug)]
pub(super) struct Credentials {
    username: String,
    password: SecretString,
}

/// A login mechanism.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mechanism {
    /// Name and password in one line (RFC 4616).
    Plain,
    /// Name and password, each in reply to a question.
    Login,
    /// Proves knowledge of the password (RFC 2195). The password is not sent, but an eavesdropper can try to guess it
    /// offline.
    CramMd5,
}

impl Mechanism {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::Login => "LOGIN",
            Self::CramMd5 => "CRAM-MD5",
        }
    }

    /// The mechanisms that the server offers, the best first. Over a private connection, CRAM-MD5 is the last, because
    /// the server must store the password in clear text for it. Otherwise it is the first.
    pub(super) fn offered(capabilities: &Capabilities, is_private: bool) -> Vec<Self> {
        let order = if is_private {
            [Self::Plain, Self::Login, Self::CramMd5]
        } else {
            [Self::CramMd5, Self::Plain, Self::Login]
        };
        let is_offered = |mechanism: &Self| capabilities.mechanisms.iter().any(|name| name == mechanism.name());
        order.into_iter().filter(is_offered).collect()
    }
}

/// The challenge of the server cannot be answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BadChallenge;

impl Credentials {
    pub(super) fn new(username: &str, password: &SecretString) -> Self {
        Self { username: username.to_owned(), password: password.clone() }
    }

    /// A mask for all encodings of the password.
    pub(super) fn mask(&self) -> Mask {
        let password = self.password.expose_secret();
        let encoded = encoded(password.as_bytes());
        Mask::new([password, encoded.as_str(), self.plain().as_str()])
    }

    /// The command that begins the login, without its line end.
    pub(super) fn command(&self, mechanism: Mechanism) -> Zeroizing<String> {
        match mechanism {
            Mechanism::Plain => joined(&["AUTH PLAIN ", &self.plain()]),
            Mechanism::Login | Mechanism::CramMd5 => joined(&["AUTH ", mechanism.name()]),
        }
    }

    /// The answer to a challenge of the server, without its line end. `before` is the number of challenges answered in
    /// this login. Secrets in the answer are added to `mask`.
    pub(super) fn answer(
        &self,
        mechanism: Mechanism,
        before: usize,
        challenge: &str,
        mask: &mut Mask,
    ) -> Result<Zeroizing<String>, BadChallenge> {
        match (mechanism, before) {
            // The server asks for the data that was sent with the command.
            (Mechanism::Plain, 0) => Ok(self.plain()),
            // The texts of the questions differ between servers, but not their order.
            (Mechanism::Login, 0) => Ok(encoded(self.username.as_bytes())),
            (Mechanism::Login, 1) => Ok(encoded(self.password.expose_secret().as_bytes())),
            (Mechanism::CramMd5, 0) => {
                let challenge = Base64::decode_vec(challenge.trim()).map_err(|_| BadChallenge)?;
                let digest = self.digest(&challenge)?;
                let answer = encoded(joined(&[&self.username, " ", &digest]).as_bytes());
                mask.hide_for_now([digest.as_str(), answer.as_str()]);
                Ok(answer)
            }
            (Mechanism::Plain | Mechanism::Login | Mechanism::CramMd5, _) => Err(BadChallenge),
        }
    }

    fn plain(&self) -> Zeroizing<String> {
        encoded(joined(&["\0", &self.username, "\0", self.password.expose_secret()]).as_bytes())
    }

    fn digest(&self, challenge: &[u8]) -> Result<Zeroizing<String>, BadChallenge> {
        let password = self.password.expose_secret().as_bytes();
        // HMAC accepts keys of any length.
        let mut mac = Hmac::<Md5>::new_from_slice(password).map_err(|_| BadChallenge)?;
        mac.update(challenge);
        let digest = mac.finalize().into_bytes();
        let mut text = Zeroizing::new(String::with_capacity(2 * digest.len()));
        for byte in &digest {
            for half in [byte >> 4, byte & 0xf] {
                text.push(char::from_digit(u32::from(half), 16).unwrap_or_default());
            }
        }
        Ok(text)
    }
}

fn encoded(bytes: &[u8]) -> Zeroizing<String> {
    Zeroizing::new(Base64::encode_string(bytes))
}

/// Allocated with its final size, because growing would leave copies of secrets in memory.
fn joined(parts: &[&str]) -> Zeroizing<String> {
    let mut whole = Zeroizing::new(String::with_capacity(parts.iter().map(|part| part.len()).sum()));
    parts.iter().for_each(|part| whole.push_str(part));
    whole
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offering(names: &[&str]) -> Capabilities {
        Capabilities { mechanisms: names.iter().map(|name| (*name).to_owned()).collect(), ..Capabilities::default() }
    }

    #[test]
    fn the_best_mechanism_depends_on_who_listens() {
        use Mechanism::{CramMd5, Login, Plain};
        for (names, in_private, in_public) in [
            (&["LOGIN", "PLAIN", "CRAM-MD5"][..], &[Plain, Login, CramMd5][..], &[CramMd5, Plain, Login][..]),
            (&["CRAM-MD5"], &[CramMd5], &[CramMd5]),
            (&["XOAUTH2", "LOGIN"], &[Login], &[Login]),
            (&["GSSAPI", "NTLM"], &[], &[]),
            (&[], &[], &[]),
        ] {
            assert_eq!(Mechanism::offered(&offering(names), true), in_private);
            assert_eq!(Mechanism::offered(&offering(names), false), in_public);
        }
    }

    #[test]
    fn each_mechanism_says_what_its_rfc_says() {
        // The examples in RFC 2195 and, for PLAIN, in RFC 4954.
        let tim = Credentials::new("tim", &SecretString::from("tanstaaftanstaaf"));
        let challenge = Base64::encode_string(b"<1896.697170952@postoffice.reston.mci.net>");
        let mut mask = tim.mask();
        let answer = tim.answer(Mechanism::CramMd5, 0, &challenge, &mut mask).unwrap();
        assert_eq!(answer.as_str(), "dGltIGI5MTNhNjAyYzdlZGE3YTQ5NWI0ZTZlNzMzNGQzODkw");
        let echo = format!("535 {} b913a602c7eda7a495b4e6e7334d3890", answer.as_str());
        assert_eq!(mask.apply(&echo), "535 [password] [password]");

        let test = Credentials::new("test", &SecretString::from("1234"));
        assert_eq!(test.command(Mechanism::Plain).as_str(), "AUTH PLAIN AHRlc3QAMTIzNA==");
        assert_eq!(test.command(Mechanism::Login).as_str(), "AUTH LOGIN");
        assert_eq!(test.answer(Mechanism::Plain, 0, "", &mut mask).unwrap().as_str(), "AHRlc3QAMTIzNA==");
        for (before, expected) in [(0, Ok("dGVzdA==")), (1, Ok("MTIzNA==")), (2, Err(BadChallenge))] {
            let answer = test.answer(Mechanism::Login, before, "whatever it asks", &mut mask);
            assert_eq!(answer.as_ref().map(|answer| answer.as_str()).map_err(|bad| *bad), expected);
        }
        assert_eq!(test.answer(Mechanism::CramMd5, 0, "no base64!", &mut mask), Err(BadChallenge));
        assert_eq!(test.answer(Mechanism::CramMd5, 1, &challenge, &mut mask), Err(BadChallenge));
        assert!(!format!("{test:?}").contains("1234"));
    }
}
