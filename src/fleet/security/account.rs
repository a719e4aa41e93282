//! The account that a message without fields is about. Logs of Linux have no field for it.

use super::{
    SecurityEvent, SecurityLog,
    syslog::{self, begins_with, pam, repeated},
};

/// How messages begin that name an account and have no pattern for a mail, and the characters after the name. `*` stands
/// for one word.
const NAMED: [(&str, &[char]); 17] = [
    ("session opened for user ", &['(', ' ']),
    ("session closed for user ", &['(', ' ']),
    ("Accepted * for ", &[' ']),
    ("Disconnected from user ", &[' ']),
    ("New session * of user ", &['.']),
    ("FAILED SU (to * ", &[' ']),
    ("FAILED su for * by ", &[' ']),
    ("password changed for ", &[' ']),
    ("password for '", &['\'']),
    ("add '", &['\'']),
    ("delete '", &['\'']),
    ("delete user '", &['\'']),
    ("change user '", &['\'']),
    ("lock user '", &['\'']),
    ("unlock user '", &['\'']),
    ("changed user '", &['\'']),
    ("Successful su for * by ", &[' ']),
];

/// The longest name of an account of Linux. A longer one is what somebody tried, and is only in the message.
const LONGEST_BYTES: usize = 256;

/// Adds the accounts that messages name to the events that have none.
pub fn add_accounts(log: &mut SecurityLog) {
    for event in &mut log.events {
        if event.user.is_none() && event.event_id.is_none() {
            event.user = account(event).filter(|account| account.len() <= LONGEST_BYTES).map(str::to_owned);
        }
    }
}

fn account(event: &SecurityEvent) -> Option<&str> {
    if let Some(account) = syslog::message(event).account {
        return Some(account);
    }
    let (_, text) = pam(repeated(&event.message).0);
    let named = NAMED.iter().find_map(|(begin, ends)| begins_with(text, begin)?.split(*ends).next());
    let audited = || text.rsplit_once(" acct=\"")?.1.split('"').next();
    let root = || (event.source == "login" && text.starts_with("ROOT LOGIN")).then_some("root");
    named.or_else(audited).or_else(root).filter(|account| !account.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(source: &str, message: &str, expected: Option<&str>) {
        let event = SecurityEvent {
            record_id: String::new(),
            channel: None,
            event_id: None,
            level: "information".into(),
            occurred_unix_ms: 0,
            source: source.into(),
            user: None,
            message: message.into(),
            data: Vec::new(),
        };
        let access = super::super::EventAccess::Read;
        let mut log = SecurityLog {
            channel: String::new(),
            access,
            bookmark: None,
            truncated: false,
            events: vec![
                event.clone(),
                SecurityEvent { user: Some("known".into()), ..event.clone() },
                SecurityEvent { event_id: Some(1), ..event },
            ],
        };
        add_accounts(&mut log);
        let users: Vec<_> = log.events.iter().map(|event| event.user.as_deref()).collect();
        assert_eq!(users, [expected, Some("known"), None], "{source}: {message}");
    }

    #[test]
    fn a_name_that_no_account_can_have_is_none() {
        let [longest, longer] = [256, 257].map(|bytes| "x".repeat(bytes));
        check("sshd", &format!("Failed password for {longest} from 10.0.0.7 port 22 ssh2"), Some(&longest));
        check("sshd", &format!("Failed password for {longer} from 10.0.0.7 port 22 ssh2"), None);
    }

    #[test]
    fn messages_of_linux_name_their_account() {
        for (source, message, expected) in [
            ("sshd", "Accepted publickey for root from 192.0.2.7 port 4 ssh2: ED25519 SHA256:x", Some("root")),
            ("sshd", "Accepted password for eve from 192.0.2.7 port 4 ssh2", Some("eve")),
            ("sshd", "Failed password for invalid user a b from 192.0.2.7 port 4 ssh2", Some("a b")),
            ("sshd", "message repeated 3 times: [ Failed password for bob from 192.0.2.7 port 4 ssh2]", Some("bob")),
            ("sshd", "Connection closed by authenticating user eve 192.0.2.7 port 4 [preauth]", Some("eve")),
            ("sshd", "Disconnected from user eve 192.0.2.7 port 4", Some("eve")),
            ("sshd", "pam_unix(sshd:session): session opened for user eve(uid=1000) by eve(uid=0)", Some("eve")),
            ("sshd", "pam_unix(sshd:session): session opened for user root by (uid=0)", Some("root")),
            ("sshd", "pam_unix(sshd:session): session closed for user eve", Some("eve")),
            (
                "sshd",
                "pam_unix(sshd:auth): authentication failure; logname= uid=0 tty=ssh rhost=192.0.2.7  user=eve",
                Some("eve"),
            ),
            ("sshd", "Server listening on 0.0.0.0 port 22.", None),
            ("CRON", "pam_unix(cron:session): session opened for user www-data(uid=33) by (uid=0)", Some("www-data")),
            ("sudo", "eve : TTY=pts/0 ; PWD=/ ; USER=root ; COMMAND=/bin/sh", Some("eve")),
            ("su", "(to root) eve on pts/1", Some("eve")),
            ("su", "FAILED SU (to root) eve on pts/1", Some("eve")),
            ("login", "ROOT LOGIN ON tty1", Some("root")),
            ("login", "FAILED LOGIN (1) on '/dev/tty1' FOR 'eve', Authentication failure", Some("eve")),
            ("useradd", "new user: name=eve, UID=1001, GID=1001, home=/home/eve, shell=/bin/sh", Some("eve")),
            ("usermod", "add 'eve' to group 'sudo'", Some("eve")),
            ("userdel", "delete user 'eve'", Some("eve")),
            ("passwd", "pam_unix(passwd:chauthtok): password changed for eve", Some("eve")),
            ("systemd-logind", "New session 5 of user eve.", Some("eve")),
            ("systemd-logind", "Session 5 logged out. Waiting for processes to exit.", None),
            (
                "audit",
                "USER_LOGIN pid=1 uid=0 msg='op=login acct=\"eve\" exe=\"/usr/sbin/sshd\" res=success'",
                Some("eve"),
            ),
            ("kernel", "session opened", None),
            ("", "", None),
        ] {
            check(source, message, expected);
        }
    }
}
