//! One line of a file as what it says: the start of a block, an `Include`, a setting with a valid value, or why it is
//! none. Not whether it applies to a host.

use super::{
    hop::{self, Hop},
    keyword::{self, Keyword, Standing},
    pattern,
    words::{self, UnclosedQuote},
};

/// What a line says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Statement {
    /// `Host`, with its patterns.
    Host(Vec<String>),
    /// `Match`, with its criteria.
    Match(Vec<Criterion>),
    /// `Include`, with the globs of files.
    Include(Vec<String>),
    /// A value.
    Set(Setting),
    /// A keyword that has no effect here although its value may matter.
    NotUsed(&'static str),
    /// A keyword that no OpenSSH knows.
    Unknown,
    /// The start of a block that cannot be read: nothing within it applies.
    WrongBlock(&'static str),
    /// A line that cannot be read.
    Wrong(&'static str),
    /// Nothing: an empty line, a comment, or something that only concerns interactive sessions.
    Nothing,
}

/// A setting with its value as it was written: tokens are not expanded yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Setting {
    HostName(String),
    Port(u16),
    User(String),
    IdentityFile(String),
    IdentitiesOnly(bool),
    IdentityAgent(String),
    CertificateFile(String),
    NoProxyJump,
    ProxyJump(Vec<Hop>),
    NoProxyCommand,
    ProxyCommand(String),
    UserKnownHostsFile(Vec<String>),
    GlobalKnownHostsFile(Vec<String>),
    HostKeyAlias(String),
    IgnoreUnknown(String),
}

/// One criterion of a `Match`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Criterion {
    /// Whether it must not hold.
    pub(super) negated: bool,
    /// What is asked.
    pub(super) what: Question,
}

impl Criterion {
    /// Whether the files are read again because of it.
    pub(super) fn requests_second_pass(&self) -> bool {
        matches!(self.what, Question::SecondPass { is_requested: true })
    }
}

/// What a criterion asks. The texts are pattern lists, except for `exec`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Question {
    All,
    /// `canonical` and `final`: whether the files are read again with the name that was found. `is_requested`: whether
    /// they are read again because of this criterion.
    SecondPass {
        is_requested: bool,
    },
    Host(String),
    OriginalHost(String),
    User(String),
    LocalUser(String),
    Exec(String),
    /// One that is not supported here, and never holds.
    Unsupported(&'static str),
}

const NO_ARGUMENT: &str = "the keyword has no argument";
const TOO_MANY: &str = "there is more than one argument";
const UNCLOSED: &str = "a quote is not closed";
const EMPTY: &str = "an argument is empty";
const NOT_A_PORT: &str = "this is not a port";
const NOT_YES_OR_NO: &str = "this is neither yes nor no";
const NOT_ALONE: &str = "`none` must stand alone";
const NOT_HOPS: &str = "these are not jump hosts: write [user@]host[:port], separated by commas without blanks";
const BAD_MATCH: &str = "this criterion of Match is not known, or lacks its patterns";
const ALL_NOT_ALONE: &str = "`all` cannot be followed by another criterion";
const NOT_A_VARIABLE: &str = "this is not the name of an environment variable";

/// Reads one line.
pub(super) fn read(line: &str) -> Statement {
    let Some((name, rest)) = words::split_keyword(line) else { return Statement::Nothing };
    match keyword::find(name) {
        None => Statement::Unknown,
        Some((_, Standing::Harmless)) => Statement::Nothing,
        Some((name, Standing::NotUsed { unless })) => {
            let first = words::arguments(rest).ok().and_then(|words| words.into_iter().next());
            let is_harmless = first.is_some_and(|word| unless.iter().any(|value| value.eq_ignore_ascii_case(&word)));
            if is_harmless { Statement::Nothing } else { Statement::NotUsed(name) }
        }
        Some((_, Standing::Used(keyword))) => used(keyword, rest).unwrap_or_else(|wrong| match keyword {
            Keyword::Host | Keyword::Match => Statement::WrongBlock(wrong),
            Keyword::Include
            | Keyword::IgnoreUnknown
            | Keyword::HostName
            | Keyword::Port
            | Keyword::User
            | Keyword::IdentityFile
            | Keyword::IdentitiesOnly
            | Keyword::IdentityAgent
            | Keyword::CertificateFile
            | Keyword::ProxyJump
            | Keyword::ProxyCommand
            | Keyword::UserKnownHostsFile
            | Keyword::GlobalKnownHostsFile
            | Keyword::HostKeyAlias => Statement::Wrong(wrong),
        }),
    }
}

fn used(keyword: Keyword, rest: &str) -> Result<Statement, &'static str> {
    if rest.is_empty() {
        return Err(NO_ARGUMENT);
    }
    let setting = match keyword {
        Keyword::Host => return Ok(Statement::Host(several(rest)?)),
        Keyword::Match => return criteria(rest).map(Statement::Match),
        Keyword::Include => return Ok(Statement::Include(several(rest)?)),
        Keyword::IgnoreUnknown => Setting::IgnoreUnknown(one(rest)?.to_ascii_lowercase()),
        Keyword::HostName => Setting::HostName(one(rest)?),
        Keyword::Port => Setting::Port(port(&one(rest)?)?),
        Keyword::User => Setting::User(one(rest)?),
        Keyword::IdentityFile => Setting::IdentityFile(one(rest)?),
        Keyword::IdentitiesOnly => Setting::IdentitiesOnly(yes_or_no(&one(rest)?)?),
        Keyword::IdentityAgent => Setting::IdentityAgent(agent(one(rest)?)?),
        Keyword::CertificateFile => Setting::CertificateFile(one(rest)?),
        // These two take the rest of the line as it stands, a command with its quotes and comments.
        Keyword::ProxyJump => {
            let text = words::without_comment(rest);
            if is_none(text) { Setting::NoProxyJump } else { Setting::ProxyJump(hop::parse(text).ok_or(NOT_HOPS)?) }
        }
        Keyword::ProxyCommand if is_none(rest) => Setting::NoProxyCommand,
        Keyword::ProxyCommand => Setting::ProxyCommand(rest.to_owned()),
        Keyword::UserKnownHostsFile => Setting::UserKnownHostsFile(files(rest)?),
        Keyword::GlobalKnownHostsFile => Setting::GlobalKnownHostsFile(files(rest)?),
        Keyword::HostKeyAlias => Setting::HostKeyAlias(one(rest)?.to_ascii_lowercase()),
    };
    Ok(Statement::Set(setting))
}

/// Whether a value says `none`.
pub(super) fn is_none(text: &str) -> bool {
    text.eq_ignore_ascii_case("none")
}

/// All arguments; there is at least one, and none is empty.
fn several(rest: &str) -> Result<Vec<String>, &'static str> {
    let words = words::arguments(rest).map_err(|UnclosedQuote| UNCLOSED)?;
    if words.is_empty() {
        return Err(NO_ARGUMENT);
    }
    if words.iter().any(String::is_empty) { Err(EMPTY) } else { Ok(words) }
}

/// The only argument.
fn one(rest: &str) -> Result<String, &'static str> {
    let mut words = several(rest)?.into_iter();
    let first = words.next().ok_or(NO_ARGUMENT)?;
    if words.next().is_some() { Err(TOO_MANY) } else { Ok(first) }
}

/// The files of host keys; empty for `none`.
fn files(rest: &str) -> Result<Vec<String>, &'static str> {
    let words = several(rest)?;
    match words.as_slice() {
        [one] if is_none(one) => Ok(Vec::new()),
        more if more.iter().any(|word| is_none(word)) => Err(NOT_ALONE),
        _ => Ok(words),
    }
}

/// A port, or the two names of services that anyone has for one.
fn port(text: &str) -> Result<u16, &'static str> {
    let number = match text {
        "ssh" => Some(22),
        "https" => Some(443),
        digits if digits.bytes().all(|digit| digit.is_ascii_digit()) => digits.parse().ok(),
        _ => None,
    };
    number.filter(|port| *port != 0).ok_or(NOT_A_PORT)
}

fn yes_or_no(text: &str) -> Result<bool, &'static str> {
    let is = |words: [&str; 2]| words.iter().any(|word| word.eq_ignore_ascii_case(text));
    match () {
        () if is(["yes", "true"]) => Ok(true),
        () if is(["no", "false"]) => Ok(false),
        () => Err(NOT_YES_OR_NO),
    }
}

/// The ssh-agent: a path, or `$NAME`.
fn agent(text: String) -> Result<String, &'static str> {
    let Some(name) = text.strip_prefix('$').filter(|name| !name.starts_with('{')) else { return Ok(text) };
    let mut letters = name.bytes();
    let starts = letters.next().is_some_and(|letter| letter.is_ascii_alphabetic() || letter == b'_');
    let goes_on = letters.all(|letter| letter.is_ascii_alphanumeric() || letter == b'_');
    if starts && goes_on { Ok(text) } else { Err(NOT_A_VARIABLE) }
}

fn criteria(rest: &str) -> Result<Vec<Criterion>, &'static str> {
    let mut found = Vec::new();
    let mut rest = rest;
    while let Some((word, after)) = words::next_of_match(rest).map_err(|UnclosedQuote| UNCLOSED)? {
        if word.starts_with('#') {
            break;
        }
        let (negated, name) = word.strip_prefix('!').map_or((false, word), |name| (true, name));
        rest = after;
        let is = |known: &str| known.eq_ignore_ascii_case(name);
        let what = if is("all") {
            if words::next_of_match(rest).is_ok_and(|next| next.is_some_and(|(word, _)| !word.starts_with('#'))) {
                return Err(ALL_NOT_ALONE);
            }
            Question::All
        } else if is("canonical") {
            Question::SecondPass { is_requested: false }
        } else if is("final") {
            Question::SecondPass { is_requested: true }
        } else {
            let (argument, after) = words::next_of_match(rest).map_err(|UnclosedQuote| UNCLOSED)?.ok_or(BAD_MATCH)?;
            rest = after;
            let argument = || argument.to_owned();
            match name.to_ascii_lowercase().as_str() {
                "host" => Question::Host(argument()),
                "originalhost" => Question::OriginalHost(argument()),
                "user" => Question::User(argument()),
                "localuser" => Question::LocalUser(argument()),
                "exec" => Question::Exec(argument()),
                "tagged" => Question::Unsupported("Match tagged"),
                "localnetwork" => Question::Unsupported("Match localnetwork"),
                "version" => Question::Unsupported("Match version"),
                "sessiontype" => Question::Unsupported("Match sessiontype"),
                "command" => Question::Unsupported("Match command"),
                _ => return Err(BAD_MATCH),
            }
        };
        found.push(Criterion { negated, what });
    }
    if found.is_empty() { Err(NO_ARGUMENT) } else { Ok(found) }
}

/// Whether `IgnoreUnknown` covers the keyword of a line.
pub(super) fn is_ignored(line: &str, ignored: Option<&str>) -> bool {
    let Some(((name, _), list)) = words::split_keyword(line).zip(ignored) else { return false };
    pattern::matches_list(&name.to_ascii_lowercase(), list)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_a_statement() {
        let check = |line: &str, expected: Statement| assert_eq!(read(line), expected, "{line:?}");
        let set = Statement::Set;
        let text = str::to_owned;
        let plain = |what| Criterion { negated: false, what };
        check("", Statement::Nothing);
        check("# User x", Statement::Nothing);
        check("ControlMaster auto", Statement::Nothing);
        check("GSSAPIAuthentication no", Statement::Nothing);
        check("gssapiauthentication YES", Statement::NotUsed("GSSAPIAuthentication"));
        check("Ciphers aes128-cbc", Statement::NotUsed("Ciphers"));
        check("Frobnicate yes", Statement::Unknown);
        check("Host a \"b c\" !d # e", Statement::Host(["a", "b c", "!d"].map(text).into()));
        check("Host", Statement::WrongBlock(NO_ARGUMENT));
        check("Host \"a", Statement::WrongBlock(UNCLOSED));
        check("Host a \"\"", Statement::WrongBlock(EMPTY));
        check("Include a* ~/b", Statement::Include(["a*", "~/b"].map(text).into()));
        check("user = x", set(Setting::User(text("x"))));
        check("User x y", Statement::Wrong(TOO_MANY));
        check("Port 2222", set(Setting::Port(2222)));
        check("Port ssh", set(Setting::Port(22)));
        check("Port 0", Statement::Wrong(NOT_A_PORT));
        check("Port 65536", Statement::Wrong(NOT_A_PORT));
        check("Port +1", Statement::Wrong(NOT_A_PORT));
        check("IdentitiesOnly True", set(Setting::IdentitiesOnly(true)));
        check("IdentitiesOnly maybe", Statement::Wrong(NOT_YES_OR_NO));
        check("IdentityAgent $FOO_1", set(Setting::IdentityAgent(text("$FOO_1"))));
        check("IdentityAgent $1", Statement::Wrong(NOT_A_VARIABLE));
        check("ProxyCommand nc \"%h\" %p # c", set(Setting::ProxyCommand(text("nc \"%h\" %p # c"))));
        check("ProxyCommand NONE", set(Setting::NoProxyCommand));
        check("ProxyJump None", set(Setting::NoProxyJump));
        check("ProxyJump b, c", Statement::Wrong(NOT_HOPS));
        check("UserKnownHostsFile none", set(Setting::UserKnownHostsFile(Vec::new())));
        check("UserKnownHostsFile none a", Statement::Wrong(NOT_ALONE));
        check("HostKeyAlias Foo", set(Setting::HostKeyAlias(text("foo"))));
        check("Match all # x", Statement::Match(vec![plain(Question::All)]));
        check("Match all host x", Statement::WrongBlock(ALL_NOT_ALONE));
        check("Match host", Statement::WrongBlock(BAD_MATCH));
        check("Match colour red", Statement::WrongBlock(BAD_MATCH));
        check(
            "Match !host=\"a,b\" exec \"test -f x\"",
            Statement::Match(vec![
                Criterion { negated: true, what: Question::Host(text("a,b")) },
                plain(Question::Exec(text("test -f x"))),
            ]),
        );
        check("Match tagged x", Statement::Match(vec![plain(Question::Unsupported("Match tagged"))]));
    }
}
