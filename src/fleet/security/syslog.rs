//! The table of events without numbers, those of Linux: class by program and by how the message begins. What a stranger
//! can type (a user name, a command line) is never at the beginning, so it does not choose the class.
//!
//! Programs often write several messages about one login. Those marked as echoes only count if the process has written
//! no other message of the class.

use super::{
    SecurityEvent,
    class::Class::{self, AccountChange, FailedLogin, Failure, Grant, Other, PrivilegedLogin, Tampering},
    powerful,
};

/// A kind of message.
#[derive(Debug)]
pub(super) struct Pattern {
    /// The programs that write it; empty for any program.
    programs: &'static [&'static str],
    /// How it begins. `*` stands for one word.
    begin: &'static str,
    pub(super) class: Class,
    /// How a subject names it; `None` if only the name of the class is used.
    pub(super) headline: Option<&'static str>,
    pub(super) is_echo: bool,
    /// The account.
    account: Account,
}

/// Where the name of the account is.
#[derive(Debug, Clone, Copy)]
enum Account {
    Unknown,
    /// After the beginning, up to the last occurrence of this text, or to the end.
    UpTo(&'static str),
    /// After the last occurrence of this text, up to a blank.
    After(&'static str),
    /// In front of the first occurrence of this text.
    Before(&'static str),
}
use Account::{After, Before, Unknown, UpTo};

const SSHD: &[&str] = &["sshd", "sshd-session", "sshd-auth", "dropbear"];
const SUDO: &[&str] = &["sudo", "sudo-rs"];
const SU: &[&str] = &["su"];
const LOGIN: &[&str] = &["login"];
const USERS: &[&str] = &["useradd", "adduser", "newusers", "usermod", "gpasswd", "groupadd", "groupmod", "groupmems"];
const REMOVERS: &[&str] = &["userdel", "deluser", "groupdel", "delgroup"];
const PASSWORDS: &[&str] = &["passwd", "chpasswd", "chage", "chfn", "chsh", "usermod", "vipw"];
const POLKIT: &[&str] = &["polkitd", "polkit-agent-helper-1", "pkexec"];
const DOAS: &[&str] = &["doas"];
const AUDIT: &[&str] = &["audit", "auditd", "kernel"];

const fn begins(programs: &'static [&'static str], begin: &'static str, class: Class, account: Account) -> Pattern {
    Pattern { programs, begin, class, headline: None, is_echo: false, account }
}

impl Pattern {
    const fn echo(self) -> Self {
        Self { is_echo: true, ..self }
    }

    const fn says(self, headline: &'static str) -> Self {
        Self { headline: Some(headline), ..self }
    }
}

/// The kinds of messages. The first that fits counts.
static PATTERNS: &[Pattern] = &[
    begins(SSHD, "Failed * for invalid user ", FailedLogin, UpTo(" from ")),
    begins(SSHD, "Failed * for illegal user ", FailedLogin, UpTo(" from ")),
    begins(SSHD, "Failed * for ", FailedLogin, UpTo(" from ")),
    begins(SSHD, "Bad password attempt for ", FailedLogin, UpTo(" from ")),
    begins(SSHD, "Login attempt for nonexistent user", FailedLogin, Unknown),
    begins(SSHD, "Invalid user ", FailedLogin, UpTo(" from ")).echo(),
    begins(SSHD, "Illegal user ", FailedLogin, UpTo(" from ")).echo(),
    begins(SSHD, "error: PAM: ", FailedLogin, Unknown).echo(),
    begins(SSHD, "error: maximum authentication attempts exceeded for ", FailedLogin, UpTo(" from ")).echo(),
    begins(SSHD, "Disconnecting ", FailedLogin, Unknown).echo(),
    begins(SSHD, "Connection closed by authenticating user ", FailedLogin, UpTo(" ")).echo(),
    begins(SSHD, "Connection closed by invalid user ", FailedLogin, UpTo(" ")).echo(),
    begins(SSHD, "Connection reset by authenticating user ", FailedLogin, UpTo(" ")).echo(),
    begins(SSHD, "Connection reset by invalid user ", FailedLogin, UpTo(" ")).echo(),
    begins(SSHD, "Disconnected from authenticating user ", FailedLogin, UpTo(" ")).echo(),
    begins(SSHD, "Disconnected from invalid user ", FailedLogin, UpTo(" ")).echo(),
    begins(SSHD, "input_userauth_request: invalid user ", FailedLogin, UpTo(" [")).echo(),
    begins(SSHD, "User ", FailedLogin, UpTo(" from ")).echo(),
    begins(SSHD, "Accepted * for root from ", PrivilegedLogin, Unknown),
    begins(SSHD, "Accepted * for ", Other, UpTo(" from ")),
    begins(SSHD, "Password auth succeeded for ", Other, UpTo(" from ")),
    begins(SSHD, "reverse mapping checking getaddrinfo for ", Failure, Unknown),
    begins(SSHD, "error: ", Failure, Unknown),
    begins(SSHD, "fatal: ", Failure, Unknown),
    begins(LOGIN, "FAILED LOGIN", FailedLogin, After(" FOR ")),
    begins(LOGIN, "TOO MANY LOGIN TRIES", FailedLogin, After(" FOR ")).echo(),
    begins(LOGIN, "ROOT LOGIN", PrivilegedLogin, Unknown),
    begins(SU, "FAILED SU ", FailedLogin, Unknown),
    begins(SU, "FAILED su ", FailedLogin, Unknown),
    begins(SU, "(to root) ", PrivilegedLogin, UpTo(" on ")),
    begins(SU, "Successful su for root by ", PrivilegedLogin, UpTo("")),
    begins(DOAS, "failed auth for ", FailedLogin, UpTo("")),
    begins(DOAS, "failed command for ", Failure, UpTo(": ")),
    begins(DOAS, "", PrivilegedLogin, Before(" ran command ")),
    begins(POLKIT, "FAILED to authenticate ", FailedLogin, Unknown),
    begins(&["polkitd"], "Operator of * successfully authenticated ", PrivilegedLogin, Unknown),
    begins(&["pkexec"], "", PrivilegedLogin, Before(": Executing command ")),
    begins(&["useradd", "adduser", "newusers"], "new user: name=", Grant, UpTo(", UID=")).says("account created"),
    begins(&["useradd", "adduser"], "failed adding user ", Failure, Unknown),
    begins(REMOVERS, "", AccountChange, Unknown),
    begins(PASSWORDS, "", AccountChange, Unknown),
    begins(USERS, "", AccountChange, Unknown),
    begins(&[], "Authentication failed from ", FailedLogin, Unknown),
    begins(&[], "authentication failed from ", FailedLogin, Unknown),
    begins(&[], "FAILED LOGIN", FailedLogin, Unknown),
    begins(&[], "PAM * more authentication failure", FailedLogin, After(" user=")).echo(),
    begins(&["auditd"], "The audit daemon is exiting", Tampering, Unknown).says("audit daemon stopped"),
    begins(AUDIT, "DAEMON_END ", Tampering, Unknown).says("audit daemon stopped"),
    begins(AUDIT, "DAEMON_ABORT ", Tampering, Unknown).says("audit daemon stopped"),
    begins(AUDIT, "CONFIG_CHANGE ", Tampering, Unknown).says("audit rules changed"),
    begins(AUDIT, "MAC_STATUS ", Tampering, Unknown).says("SELinux switched"),
    begins(AUDIT, "ADD_USER ", Grant, Unknown).says("account created").echo(),
    begins(AUDIT, "USER_MGMT ", AccountChange, Unknown),
    begins(AUDIT, "USER_CHAUTHTOK ", AccountChange, Unknown),
    begins(AUDIT, "DEL_USER ", AccountChange, Unknown),
    begins(AUDIT, "ADD_GROUP ", AccountChange, Unknown),
    begins(AUDIT, "DEL_GROUP ", AccountChange, Unknown),
    begins(AUDIT, "GRP_MGMT ", AccountChange, Unknown),
    begins(AUDIT, "USER_CMD ", PrivilegedLogin, Unknown),
    begins(AUDIT, "KERN_MODULE ", Class::Installation, Unknown).says("kernel module loaded"),
    begins(AUDIT, "AVC ", Failure, Unknown),
    begins(AUDIT, "ANOM_", Failure, Unknown),
    begins(&["sshguard", "fail2ban"], "", Other, Unknown),
];

/// Additions to a group. The name of the group decides.
static ADDED: Pattern = begins(USERS, "", Grant, Unknown).says("member added to a group");
/// Failed and refused authentication by PAM. The program usually writes a message of its own.
static PAM_FAILURE: Pattern = begins(&[], "authentication failure", FailedLogin, After(" user=")).echo();
static PAM_SESSION_OF_ROOT: Pattern = begins(&[], "session opened for user root", PrivilegedLogin, Unknown).echo();
static AUDIT_FAILURE: Pattern = begins(AUDIT, "", FailedLogin, Unknown).echo();
static SUDO_COMMAND: Pattern = begins(SUDO, "", PrivilegedLogin, Before(" : "));
static SUDO_WRONG_PASSWORD: Pattern = begins(SUDO, "", FailedLogin, Before(" : "));
static SUDO_REFUSED: Pattern = begins(SUDO, "", Failure, Before(" : "));

/// The levels of a failure.
const FAILED_LEVELS: [&str; 5] = ["error", "critical", "alert", "emergency", "failure"];

/// What a message says.
#[derive(Debug, Clone)]
pub(super) struct Message<'a> {
    pub(super) class: Class,
    /// Its kind, if it is known. Messages of one kind are one group.
    pub(super) pattern: Option<&'static Pattern>,
    pub(super) headline: Option<&'static str>,
    /// The group of Linux to which somebody was added, if it is one with far-reaching rights.
    pub(super) powerful_group: Option<&'static str>,
    /// How many times it happened.
    pub(super) count: u64,
    pub(super) account: Option<&'a str>,
    pub(super) address: Option<&'a str>,
    /// Whether it is a successful login.
    pub(super) is_login: bool,
    /// Whether cron started it.
    pub(super) is_cron: bool,
    /// The process that wrote it, or that it is about.
    pub(super) process: Option<&'a str>,
}

/// What the message of an event says.
pub(super) fn message(event: &SecurityEvent) -> Message<'_> {
    let program = program(&event.source);
    let (text, count) = repeated(&event.message);
    let (service, text) = pam(text);
    let old_style = event.source.contains("(pam_");
    let is_cron = is_cron(&program) || service.is_some_and(is_cron);
    let pattern = if service.is_some() || old_style {
        of_pam(service.unwrap_or(&program), text)
    } else if SUDO.contains(&program.as_str()) {
        of_sudo(text)
    } else if AUDIT.contains(&program.as_str()) && of_audit(text) {
        Some(&AUDIT_FAILURE)
    } else {
        None
    };
    let (pattern, rest) = match pattern {
        Some(pattern) => (Some(pattern), text),
        None => find(&program, text).map_or((None, text), |(pattern, rest)| (Some(pattern), rest)),
    };
    let added = added_to(&program, text);
    let (pattern, powerful_group) = match added {
        Some(group) => (Some(&ADDED), powerful::linux(group)),
        None => (pattern, None),
    };
    let class = match pattern {
        Some(pattern) => pattern.class,
        None if FAILED_LEVELS.contains(&event.level.as_str()) => Failure,
        None => Other,
    };
    Message {
        class,
        pattern,
        headline: pattern.and_then(|pattern| pattern.headline),
        powerful_group,
        count: count.saturating_mul(tries(pattern, text)),
        account: pattern.and_then(|pattern| account(pattern, text, rest)).or(event.user.as_deref()),
        address: address(text),
        is_login: text.starts_with("Accepted ") || text.starts_with("Password auth succeeded "),
        is_cron,
        process: process(event, text),
    }
}

/// The name of the program, without its path and the addition of old PAM.
fn program(source: &str) -> String {
    let name = source.rsplit('/').next().unwrap_or(source);
    name.split('(').next().unwrap_or(name).trim().to_lowercase()
}

fn is_cron(program: &str) -> bool {
    ["cron", "crond", "anacron", "atd", "fcron"].contains(&program)
}

/// Splits `message repeated 5 times: [ text]`, as rsyslog writes it.
pub(super) fn repeated(message: &str) -> (&str, u64) {
    let inside = || {
        let (count, rest) = message.strip_prefix("message repeated ")?.split_once(" times: [")?;
        Some((rest.strip_suffix(']').unwrap_or(rest).trim(), count.parse().ok()?))
    };
    inside().unwrap_or((message, 1))
}

/// Splits `pam_unix(sshd:auth): text`.
pub(super) fn pam(message: &str) -> (Option<&str>, &str) {
    let inside = || {
        let (module, rest) = message.split_once(": ")?;
        let (module, service) = module.strip_suffix(')')?.split_once('(')?;
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
        (module.starts_with("pam_") && module.chars().all(plain)).then_some(())?;
        Some((service.rsplit_once(':').map_or(service, |(service, _)| service), rest))
    };
    inside().map_or((None, message), |(service, rest)| (Some(service), rest))
}

fn of_pam(service: &str, text: &str) -> Option<&'static Pattern> {
    let quiet = is_cron(service) || service == "systemd-user";
    if text.starts_with("authentication failure") || text.starts_with("Authentication failure") {
        return Some(&PAM_FAILURE);
    }
    let of_root = text.strip_prefix("session opened for user root");
    let is_root = of_root.is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '(']));
    (is_root && !quiet).then_some(&PAM_SESSION_OF_ROOT)
}

/// `ops : 3 incorrect password attempts ; TTY=pts/0 ; PWD=/ ; USER=root ; COMMAND=/bin/sh`.
fn of_sudo(text: &str) -> Option<&'static Pattern> {
    let (_, said) = text.split_once(" : ")?;
    Some(if said.starts_with("TTY=") || said.starts_with("PWD=") || said.starts_with("HOST=") {
        &SUDO_COMMAND
    } else if tried(said).is_some() {
        &SUDO_WRONG_PASSWORD
    } else {
        &SUDO_REFUSED
    })
}

/// The number of attempts in `3 incorrect password attempts`.
fn tried(said: &str) -> Option<u64> {
    let (count, rest) = said.split_once(' ')?;
    rest.starts_with("incorrect password attempt").then(|| count.parse().ok()).flatten()
}

/// A failed login as the audit of the kernel records it. The program has usually written a message, too.
fn of_audit(text: &str) -> bool {
    let logins = ["USER_LOGIN ", "USER_AUTH ", "USER_ERR "];
    logins.iter().any(|login| text.starts_with(login)) && (text.ends_with("res=failed'") || text.ends_with("res=0'"))
}

/// How many attempts one message is about.
fn tries(pattern: Option<&'static Pattern>, text: &str) -> u64 {
    let of_sudo = || text.split_once(" : ").and_then(|(_, said)| tried(said));
    let of_pam = || text.strip_prefix("PAM ")?.split_once(" more authentication failure")?.0.parse().ok();
    match pattern.map(|pattern| pattern.class) {
        Some(FailedLogin) => of_sudo().or_else(of_pam).unwrap_or(1).max(1),
        _ => 1,
    }
}

/// The first pattern that fits, and the text after its beginning.
fn find<'a>(program: &str, text: &'a str) -> Option<(&'static Pattern, &'a str)> {
    let fits = |pattern: &Pattern| pattern.programs.is_empty() || pattern.programs.contains(&program);
    PATTERNS.iter().filter(|pattern| fits(pattern)).find_map(|pattern| {
        let rest = begins_with(text, pattern.begin)?;
        // A program that also writes other messages.
        let missing = matches!(pattern.account, Before(mark) if !text.contains(mark));
        (!missing).then_some((pattern, rest))
    })
}

/// The text after a beginning, in which `*` stands for one word.
pub(super) fn begins_with<'a>(text: &'a str, begin: &str) -> Option<&'a str> {
    let Some((front, back)) = begin.split_once('*') else { return text.strip_prefix(begin) };
    let rest = text.strip_prefix(front)?;
    let word = rest.find(' ')?;
    rest.get(word..)?.strip_prefix(back)
}

/// The group of `add 'eve' to group 'sudo'` and of `user eve added by root to group sudo`.
fn added_to<'a>(program: &str, text: &'a str) -> Option<&'a str> {
    if !USERS.contains(&program) || text.contains(" to shadow group ") {
        return None;
    }
    let is_addition = text.starts_with("add ") || text.starts_with("user ") && text.contains(" added by ");
    let (_, group) = text.rsplit_once(" to group ").filter(|_| is_addition)?;
    Some(group.trim_matches('\''))
}

fn account<'a>(pattern: &Pattern, text: &'a str, rest: &'a str) -> Option<&'a str> {
    let name = match pattern.account {
        Unknown => return None,
        UpTo("") => rest,
        // Of `eve 10.0.0.7 port 4 [preauth]`, the name.
        UpTo(" ") => before_port(rest)?.rsplit_once(' ')?.0,
        UpTo(mark) => rest.rsplit_once(mark).map_or(rest, |(name, _)| name),
        After(mark) => {
            let (_, name) = text.rsplit_once(mark).or_else(|| text.rsplit_once(" ruser="))?;
            name.split([' ', ',']).next()?.trim_matches('\'')
        }
        Before(mark) => text.split_once(mark)?.0,
    };
    let name = name.trim();
    (!name.is_empty()).then_some(name)
}

fn before_port(text: &str) -> Option<&str> {
    text.rsplit_once(" port ").map(|(before, _)| before)
}

/// The address that a message names: in front of `port`, or after `rhost=`, `addr=` or `from`. The last of them counts,
/// because what a stranger can choose stands before it.
fn address(text: &str) -> Option<&str> {
    const MARKS: [&str; 5] = [" port ", "rhost=", " addr=", " from ", " FROM "];
    let found = MARKS.iter().filter_map(|mark| Some((text.rfind(mark)?, *mark))).max()?;
    let (at, mark) = found;
    let word = if mark == " port " {
        text.get(..at)?.rsplit(' ').next()?
    } else {
        text.get(at + mark.len()..)?.split([' ', ',', ';', '(']).next()?
    };
    let word = word.trim_matches(['[', ']', '\'', '"', ':', '.']);
    let is_some = !word.is_empty() && word != "?" && word != "(null)";
    is_some.then_some(word.strip_prefix("::ffff:").unwrap_or(word))
}

/// The process of an event: that of a record of the audit is in its text.
fn process<'a>(event: &'a SecurityEvent, text: &'a str) -> Option<&'a str> {
    if AUDIT.contains(&event.source.as_str())
        && let Some((_, rest)) = text.split_once(" pid=")
    {
        return rest.split(' ').next();
    }
    event.data.iter().find(|(name, _)| name == "pid").map(|(_, pid)| pid.as_str())
}
