//! Enhanced status codes (RFC 3463, RFC 2034): `5.1.1` at the start of a reply's text. Pure.

/// An enhanced status code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EnhancedCode {
    /// 2, 4 or 5: success, temporary failure, permanent failure.
    pub class: u8,
    /// The subject: 1 the address, 2 the mailbox, 3 the mail system, 4 routing, 5 the protocol, 6 the content, 7
    /// security or policy.
    pub subject: u16,
    /// The detail.
    pub detail: u16,
}

impl EnhancedCode {
    /// Splits the code from the start of a reply's text. Returns the whole text if there is no code.
    #[must_use]
    pub fn split(text: &str) -> (Option<Self>, &str) {
        let (word, rest) = text.split_once([' ', '\t']).unwrap_or((text, ""));
        match Self::parse(word) {
            Some(code) => (Some(code), rest.trim_start()),
            None => (None, text),
        }
    }

    fn parse(word: &str) -> Option<Self> {
        let mut parts = word.split('.');
        let class = match parts.next()? {
            "2" => 2,
            "4" => 4,
            "5" => 5,
            _ => return None,
        };
        let subject = number(parts.next()?)?;
        let detail = number(parts.next()?)?;
        if parts.next().is_some() { None } else { Some(Self { class, subject, detail }) }
    }

    /// Subject and detail; `None` if the code says no more than the status code: `x.0.0`, and `x.3.0`, which Sendmail
    /// adds to every refusal of its access table.
    pub(super) fn telling(self) -> Option<(u16, u16)> {
        match (self.subject, self.detail) {
            (0, _) | (3, 0) => None,
            told => Some(told),
        }
    }
}

impl std::fmt::Display for EnhancedCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}.{}", self.class, self.subject, self.detail)
    }
}

/// One to three digits.
fn number(digits: &str) -> Option<u16> {
    let is_number = (1..=3).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit());
    if is_number { digits.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_split_off_the_text_it_begins() {
        for (text, code, rest) in [
            ("5.1.1 no such user", Some("5.1.1"), "no such user"),
            ("5.7.509  Access denied", Some("5.7.509"), "Access denied"),
            ("2.0.0", Some("2.0.0"), ""),
            ("4.2.2\tfull", Some("4.2.2"), "full"),
            ("5.1.1: no such user", None, "5.1.1: no such user"),
            ("3.1.1 no class", None, "3.1.1 no class"),
            ("5.1 short", None, "5.1 short"),
            ("5.1.1.1 an address", None, "5.1.1.1 an address"),
            ("5.1000.1 long", None, "5.1000.1 long"),
            ("5.+1.1 sign", None, "5.+1.1 sign"),
            ("", None, ""),
        ] {
            let (found, behind) = EnhancedCode::split(text);
            assert_eq!((found.map(|code| code.to_string()).as_deref(), behind), (code, rest), "{text}");
        }
    }
}
