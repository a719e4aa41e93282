//! The capabilities in a server's reply to `EHLO`. Pure.

use super::reply::Reply;

/// The most login mechanisms that are kept for error messages.
const MAX_MECHANISMS: usize = 16;

/// The longest name of a mechanism (RFC 4422).
const MAX_MECHANISM_CHARS: usize = 20;

/// The capabilities of a server. The default is none, as with a server that only supports `HELO`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Capabilities {
    /// The upgrade to TLS.
    pub starttls: bool,
    /// Mails with non-ASCII text (RFC 6152).
    pub eight_bit_mime: bool,
    /// Non-ASCII addresses (RFC 6531).
    pub smtputf8: bool,
    /// Declaration of the size (RFC 1870).
    pub size: Option<SizeLimit>,
    /// The login mechanisms, in upper case.
    pub mechanisms: Vec<String>,
}

/// The value of `SIZE`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SizeLimit {
    /// There is no fixed limit.
    None,
    /// The largest mail.
    Bytes(u64),
}

impl Capabilities {
    /// Parses the reply to `EHLO`. Its first line is a greeting; each further one is a keyword with parameters, in any
    /// case. Unknown keywords are ignored.
    #[must_use]
    pub fn parse(reply: &Reply) -> Self {
        let mut offered = Self::default();
        for line in reply.lines().iter().skip(1) {
            // `AUTH=PLAIN` is the form before RFC 2554. Some servers still send both.
            let separates = |c: char| c.is_ascii_whitespace() || c == '=';
            let (keyword, parameters) = line.trim().split_once(separates).unwrap_or((line.trim(), ""));
            match keyword.to_ascii_uppercase().as_str() {
                "STARTTLS" => offered.starttls = true,
                "8BITMIME" => offered.eight_bit_mime = true,
                "SMTPUTF8" => offered.smtputf8 = true,
                "SIZE" => offered.size = Some(size(parameters)),
                "AUTH" => parameters.split(separates).for_each(|name| offered.add_mechanism(name)),
                _ => {}
            }
        }
        offered
    }

    fn add_mechanism(&mut self, name: &str) {
        let name = name.to_ascii_uppercase();
        let is_name = (1..=MAX_MECHANISM_CHARS).contains(&name.len())
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
        if is_name && self.mechanisms.len() < MAX_MECHANISMS && !self.mechanisms.contains(&name) {
            self.mechanisms.push(name);
        }
    }

    /// The largest mail, if the server announces a limit.
    #[must_use]
    pub fn limit_bytes(&self) -> Option<u64> {
        match self.size {
            Some(SizeLimit::Bytes(bytes)) => Some(bytes),
            Some(SizeLimit::None) | None => None,
        }
    }
}

/// `SIZE` without a number, with 0 or with too large a number means no limit.
fn size(parameters: &str) -> SizeLimit {
    match parameters.trim().parse() {
        Ok(0) | Err(_) => SizeLimit::None,
        Ok(bytes) => SizeLimit::Bytes(bytes),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(lines: &str, expected: &Capabilities) {
        let (reply, _) = Reply::parse(lines.as_bytes()).unwrap().unwrap();
        assert_eq!(&Capabilities::parse(&reply), expected, "{lines}");
    }

    fn offering(change: impl FnOnce(&mut Capabilities)) -> Capabilities {
        let mut offered = Capabilities::default();
        change(&mut offered);
        offered
    }

    fn login(names: &[&str]) -> Capabilities {
        offering(|offered| offered.mechanisms = names.iter().map(|name| (*name).to_owned()).collect())
    }

    #[test]
    fn keywords_count_in_any_case_and_unknown_ones_are_passed_over() {
        let all = Capabilities {
            starttls: true,
            eight_bit_mime: true,
            smtputf8: true,
            size: Some(SizeLimit::Bytes(10_240_000)),
            mechanisms: vec!["PLAIN".into(), "LOGIN".into()],
        };
        for lines in [
            "250-me\r\n250-PIPELINING\r\n250-SIZE 10240000\r\n250-STARTTLS\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250 AUTH PLAIN LOGIN\r\n",
            "250-me\n250-size 10240000\n250-StartTls\n250-8bitmime\n250-smtpUTF8\n250-auth plain login\n250 x\n",
            "250-me\r\n250-SIZE=10240000\r\n250-STARTTLS \r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250-AUTH=PLAIN LOGIN\r\n250 AUTH PLAIN\tLOGIN\r\n",
        ] {
            check(lines, &all);
        }
        check("250 STARTTLS\r\n", &Capabilities::default());
        check("250-me\r\n250 STARTTLSX\r\n", &Capabilities::default());
    }

    #[test]
    fn a_size_is_a_limit_only_where_it_is_a_number() {
        for (line, expected) in [
            ("SIZE", SizeLimit::None),
            ("SIZE 0", SizeLimit::None),
            ("SIZE 100", SizeLimit::Bytes(100)),
            ("SIZE -1", SizeLimit::None),
            ("SIZE 99999999999999999999999999", SizeLimit::None),
            ("SIZE 10 20", SizeLimit::None),
        ] {
            let expected = offering(|offered| offered.size = Some(expected));
            check(&format!("250-me\r\n250 {line}\r\n"), &expected);
        }
    }

    #[test]
    fn mechanisms_are_few_names_each_once() {
        check("250-me\r\n250-AUTH=LOGIN\r\n250 AUTH LOGIN CRAM-MD5\r\n", &login(&["LOGIN", "CRAM-MD5"]));
        check("250-me\r\n250 AUTH\r\n", &login(&[]));
        check("250-me\r\n250 AUTH x<b> \u{1b}[31m GSSAPI\r\n", &login(&["GSSAPI"]));
        let many: String = (0..100).map(|number| format!(" M{number}")).collect();
        let (reply, _) = Reply::parse(format!("250-me\r\n250 AUTH{many}\r\n").as_bytes()).unwrap().unwrap();
        assert_eq!(Capabilities::parse(&reply).mechanisms.len(), MAX_MECHANISMS);
    }
}
