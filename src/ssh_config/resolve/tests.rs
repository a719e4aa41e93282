//! Which lines apply, what commands are asked, and what is said about what cannot be used.

use std::path::Path;

use super::{super::load::Root, *};
use crate::ssh_config::{disk::Disk, remark::FileProblem};

/// One file, whatever its name.
struct OneFile(&'static str);

impl Disk for OneFile {
    fn read(&self, _path: &Path, _is_private: bool) -> Result<String, FileProblem> {
        Ok(self.0.to_owned())
    }

    fn glob(&self, _pattern: &Path) -> Vec<PathBuf> {
        Vec::new()
    }
}

fn settings(text: &'static str, asked: &HostQuery, exec: &dyn Fn(&str) -> Answer) -> HostSettings {
    let root = Root { path: "c".into(), includes_from: "/h".into(), is_required: true, is_private: false };
    let files = Files::load(&[root], None, &OneFile(text));
    let environment = Environment {
        home: Some("/home/me".into()),
        user: "me".to_owned(),
        uid: 1000,
        machine: "desk".to_owned(),
        variable: &|_| None,
        exec,
    };
    resolve(&files, asked, &environment)
}

fn asked(host: &str) -> HostQuery {
    HostQuery { host: host.to_owned(), ..HostQuery::default() }
}

#[test]
fn what_is_given_wins_and_every_value_names_its_line() {
    let text = "Host a\n HostName b\n Port 23\nMatch user ops\n Port 24\n IdentityFile ~/%r\n";
    let check = |asked: &HostQuery, expected: &str| {
        let found = settings(text, asked, &|_| Answer::No);
        let port = found.port.map(|port| format!("{} {}", port.value, port.origin));
        let user = found.user.map(|user| format!("{} {}", user.value, user.origin));
        let keys = found.identity_files.map(|keys| {
            keys.iter().map(|key| format!("{} {}", key.value.path.display(), key.origin)).collect::<Vec<_>>()
        });
        assert_eq!(format!("{} {port:?} {user:?} {keys:?}", found.host_name), expected, "{asked:?}");
    };
    check(&asked("a"), r#"b Some("23 c:3") None None"#);
    check(
        &HostQuery { user: Some("ops".to_owned()), port: Some(22), ..asked("a") },
        r#"b Some("22 config.xml") Some("ops config.xml") Some(["/home/me/ops c:6"])"#,
    );
}

#[test]
fn a_command_of_match_is_asked_only_if_it_matters_and_if_it_is_safe() {
    let check = |text: &'static str, host: &str, answer: Answer, expected: (&[&str], &[&str], bool)| {
        let commands = std::cell::RefCell::new(Vec::new());
        let found = settings(text, &asked(host), &|command| {
            commands.borrow_mut().push(command.to_owned());
            answer
        });
        let remarks: Vec<String> = found.remarks.iter().map(ToString::to_string).collect();
        let (asked, said, applies) = expected;
        assert_eq!(commands.into_inner(), asked, "{text} {host}");
        assert_eq!(remarks, said, "{text} {host}");
        assert_eq!(found.port.is_some(), applies, "{text} {host}");
    };
    const ASKS: &str = "Match exec \"test %h\"\nPort 23";
    check(ASKS, "a", Answer::Yes, (&["test a"], &[], true));
    check(ASKS, "a", Answer::No, (&["test a"], &[], false));
    let not_run = "c:1: the command of Match exec is not run now; the block is taken not to apply";
    check(ASKS, "a", Answer::NotAsked, (&["test a"], &[not_run], false));
    let shell = "c:1: a name has characters that a shell interprets; the command is not run";
    check(ASKS, "a;reboot", Answer::Yes, (&[], &[shell], false));
    check("Match !exec x\nPort 23", "a", Answer::NotAsked, (&["x"], &[not_run], false));
    check("Match host b exec x\nPort 23", "a", Answer::Yes, (&[], &[], false));
    let unknown = "c:1: a token (%) is not known there; the line is skipped";
    check("Match exec %z\nPort 23", "a", Answer::Yes, (&[], &[unknown], false));
}

#[test]
fn what_cannot_be_expanded_is_skipped_and_said() {
    let check = |text: &'static str, expected: &[&str]| {
        let found = settings(text, &asked("a"), &|_| Answer::No);
        let remarks: Vec<String> = found.remarks.iter().map(ToString::to_string).collect();
        assert_eq!(remarks, expected, "{text}");
        assert_eq!(found.host_name, "a", "{text}");
    };
    check("IdentityFile ${NONE}/x", &["c:1: an environment variable is not set; the line is skipped"]);
    check("HostName %n", &["c:1: a token (%) is not known there; the line is skipped"]);
    check("CertificateFile ~other/x", &["c:1: the home directory is not known; the line is skipped"]);
    check("Host b\nIdentityFile ${NONE}/x", &[]);
    check("Host a\nGSSAPIAuthentication yes", &["c:2: GSSAPIAuthentication has no effect here"]);
    check("Host b\nGSSAPIAuthentication yes", &[]);
    check("Match tagged x\nPort 23", &["c:1: Match tagged has no effect here"]);
}

#[test]
fn a_proxy_is_expanded_and_never_lets_a_name_into_a_shell() {
    let check = |text: &'static str, host: &str, expected: Option<Proxy>| {
        let found = settings(text, &asked(host), &|_| Answer::No);
        assert_eq!(found.proxy.map(|proxy| proxy.value), expected, "{text} {host}");
    };
    let hop = |user: &str, host: &str| Hop { user: Some(user.to_owned()), host: host.to_owned(), port: None };
    check("ProxyJump %r@gate-%h", "a", Some(Proxy::Jump(vec![hop("me", "gate-a")])));
    check("ProxyCommand nc %h %p %n %r %%", "a", Some(Proxy::Command(Some("nc a 22 a me %".to_owned()))));
    check("ProxyCommand nc %h", "$(reboot)", Some(Proxy::Command(None)));
    check("ProxyCommand nc fixed", "$(reboot)", Some(Proxy::Command(Some("nc fixed".to_owned()))));
    check("ProxyCommand nc %u", "a", Some(Proxy::Command(None)));
    check("ProxyCommand none\nProxyJump b", "a", Some(Proxy::None));
    check("ProxyJump none\nProxyCommand b", "a", Some(Proxy::Command(Some("b".to_owned()))));
}
