//! The scripts that are executed on a client with a POSIX shell, and their replies. Pure.
//!
//! The text is passed to the account's login shell, which can be any shell: it is one line in single quotes without
//! quotes, `!` and backslashes, so that sh, bash, zsh, csh, tcsh and fish pass it to `/bin/sh` unchanged. Because there
//! are no quotes inside, an empty `IFS` and `set -f` prevent that variables are split. Everything that differs from
//! collection to collection is in the arguments, which only contain characters without a meaning for shells.
//!
//! The script is not sent through standard input, because some shells read ahead and would consume the agent. Its
//! replies begin with a nonce, so that output of login scripts does no harm, even without a line end. The nonce is
//! passed in two halves, so that an echo of the command does not contain it.

use rand::RngExt;

use super::{super::platform::Unix, Directory, UnusableDirectories, Visit, visit::DIRECTORIES};
use crate::{
    config::{AgentKeeping, AgentPath, Client},
    fleet::reading::clean,
};

/// The common part of both scripts: a defined state, the account's private directory, and the candidates for it.
///
/// * `p` checks that a directory is private: not a link, owned by the account, and not accessible to others. Only then
///   is its content trusted.
/// * `v` decodes an argument of [`encoded`]. In `Z-]` are the characters `Z[\]`, so that `_` becomes a backslash.
macro_rules! prelude {
    () => {
        concat!(
            "umask 077; set -f; IFS=; LC_ALL=C; export LC_ALL; PATH=$PATH:/usr/bin:/bin; ",
            "n=$1$2; b=$3; ",
            "p() { [ -d $1 ] && [ -O $1 ] || return 1; [ -h $1 ] && return 1; ",
            "case $(ls -ld $1) in drwx------*) return 0;; esac; return 1; }; ",
            "v() { printf %b $(echo $1 | tr Z:_ Z-]); }; ",
        )
    };
}

macro_rules! places {
    () => {
        "/tmp /var/tmp /dev/shm ${XDG_RUNTIME_DIR:-/nonexistent} ${HOME:-/nonexistent}/.cache ${HOME:-/nonexistent}"
    };
}

/// Receives the agent if necessary and runs it.
///
/// * `a` checks whether a file is the agent: not a link, owned by the account, executable, with the right size and
///   checksum.
/// * `w` is the directory that the configuration names, in place of the usual ones. `t` checks that only the account or
///   root can change it: not a link, owned by one of them, and not writable by others unless it is sticky.
/// * A kept agent is run immediately.
/// * A new one is written to a temporary name, checked, and then renamed, so that concurrent collections never execute
///   an incomplete file.
/// * Before the agent is requested, an empty script is executed in the directory to find out whether programs can be
///   executed there (`noexec`).
/// * `y` removes temporary files. The trap on 0 runs it at every end except `exec`.
/// * Agents of other versions are removed after a new one has arrived, and files of interrupted collections after an
///   hour. The directory may contain any file names, so they are expanded once, in the directory, and never again.
/// * A directory with the agent's name is removed first, because `mv` would move the agent into it.
const RUN: &str = concat!(
    prelude!(),
    "k=$4; z=$8; c=$9; f=$7; s=${10}; r=${11}; w=${12}; ",
    "u=$(uname -sm); case $u in $5?$6) ;; *) echo $n other $u; exit 0;; esac; ",
    "a() { [ -f $1 ] && [ -O $1 ] && [ -x $1 ] || return 1; [ -h $1 ] && return 1; ",
    "if command -v cksum >/dev/null; then case $(cksum <$1) in $c?$z) return 0;; esac; return 1; fi; ",
    "[ $(($(wc -c <$1))) -eq $z ]; }; ",
    "y() { rm -f $q; rmdir $e 2>/dev/null; }; ",
    "t() { [ -h $1 ] && return 1; case $(ls -ldn $1) in d????-??-*|d????????[tT]*) ;; *) return 1;; esac; ",
    "[ -O $1 ] && return 0; l=$(ls -ldn $1); IFS=$(v _0040); set -- $l; IFS=; [ $3 = 0 ]; }; ",
    "case $w in /*) w=$(v $w); set -- $w; [ -d $w ] || mkdir $w; ",
    "if [ -d $w ]; then t $w || { echo $w is a link or can be changed by others >&2; set --; }; fi;; ",
    "*) set -- ",
    places!(),
    ";; esac; ",
    "if [ $k = keep ]; then i=0; for d do i=$((i+1)); case $s in *$i*) continue;; esac; ",
    "if p $d/$b && a $d/$b/$f; then echo $n have $i; exec $d/$b/$f $r; fi; done; ",
    "else b=$b.$n; fi; ",
    "i=0; for d do i=$((i+1)); case $s in *$i*) continue;; esac; ",
    "[ -d $d ] || continue; e=$d/$b; q=$e/$n.part; [ -d $e ] || mkdir $e; [ -d $e ] || continue; ",
    "p $e || { echo $e is no private directory of this account >&2; continue; }; ",
    "trap y 0; trap exit 1 2 13 15; ",
    "echo : >$q && chmod 700 $q && $q || { y; continue; }; ",
    "echo $n need; head -c $z >$q; ",
    "a $q || { y; echo $n short $i; exit 0; }; ",
    "if [ $k = remove ]; then echo $n ok $i; $q $r; exit $?; fi; ",
    "[ -d $e/$f ] && rm -rf $e/$f; ",
    "mv -f $q $e/$f || { y; echo $n short $i; exit 0; }; ",
    "(cd $e && { set +f; for o in *; do set -f; case x$o in x$f|*.part) ;; *) rm -rf ./$o;; esac; done; }); ",
    "find $e -type f -name *.part -mmin +60 -exec rm -f {} + 2>/dev/null; ",
    "echo $n ok $i; exec $e/$f $r; done; echo $n none",
);

/// Removes the kept files and those of interrupted collections. Names are treated in the same way.
const CLEAN: &str = concat!(
    prelude!(),
    "w=; case $4 in /*) w=$(v $4);; esac; ",
    "for d in $w ",
    places!(),
    "; do (cd $d 2>/dev/null || exit; set +f; for e in $b $b.*; do set -f; ",
    "p $e && rm -rf $e && echo $n gone $d/$e; done); done; echo $n done",
);

/// A command for the login shell, and the nonce of its replies.
#[derive(Debug)]
pub(super) struct Command {
    /// The nonce that starts each of its replies.
    pub(super) nonce: String,
    /// The text.
    pub(super) line: String,
}

/// The command that uploads the agent if necessary and runs it.
pub(super) fn run(unix: &Unix, visit: &Visit<'_>) -> Command {
    let keeping = match visit.keeping {
        AgentKeeping::Keep => "keep",
        AgentKeeping::Remove => "remove",
    };
    let Visit { agent, .. } = visit;
    let (size, cksum, unusable) = (agent.image.len().to_string(), agent.cksum().to_string(), numbers(visit.unusable));
    let (name, path) = (agent.name(), encoded(visit.path));
    let rest = [keeping, &unix.system, &unix.machine, &name, &size, &cksum, &unusable, visit.request, &path];
    command(RUN, fresh_nonce(), &directory(visit.username), &rest)
}

/// The command that removes the kept files.
pub(super) fn clean_up(client: &Client) -> Command {
    let path = encoded(client.agent.upload_path());
    command(CLEAN, fresh_nonce(), &directory(&client.username), &[&path])
}

/// A path as an argument that means nothing to any login shell: other bytes than letters, digits, `/`, `.` and `-` are
/// `_0` and three octal digits, which `printf %b` decodes. `0` if there is no path for this platform.
fn encoded(path: Option<&AgentPath>) -> String {
    let Some(AgentPath::Unix(path)) = path else { return "0".to_owned() };
    path.bytes().fold(String::new(), |text, byte| {
        if byte.is_ascii_alphanumeric() || b"/.-".contains(&byte) {
            text + &char::from(byte).to_string()
        } else {
            text + &format!("_0{byte:03o}")
        }
    })
}

fn fresh_nonce() -> [u64; 2] {
    let mut random = rand::rng();
    [random.random(), random.random()]
}

fn command(script: &str, nonce: [u64; 2], directory: &str, rest: &[&str]) -> Command {
    let [first, second] = nonce.map(|half| format!("{half:016x}"));
    let mut line = format!("exec /bin/sh -c '{script}' fleetsweep {first} {second} {directory}");
    for argument in rest {
        line.push(' ');
        line.push_str(argument);
    }
    Command { nonce: first + &second, line }
}

/// The name of the private directory of an account, different for each account. Special characters are replaced by
/// their numbers.
pub(super) fn directory(username: &str) -> String {
    let mut name = ".fleetsweep-".to_owned();
    for byte in username.bytes() {
        if byte.is_ascii_alphanumeric() || byte == b'-' {
            name.push(char::from(byte));
        } else {
            name.push_str(&format!("_{byte:02x}"));
        }
    }
    name
}

/// The digits of the directories that are skipped; `0` for none.
fn numbers(unusable: UnusableDirectories) -> String {
    let digits: String = (1..=DIRECTORIES)
        .filter_map(|n| u8::try_from(n).ok())
        .filter(|n| unusable.contains(Directory(*n)))
        .map(|n| char::from(b'0' + n))
        .collect();
    if digits.is_empty() { "0".to_owned() } else { digits }
}

/// The replies of the scripts. Each follows the nonce.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ScriptReply {
    /// The client has another platform: its `uname -sm`.
    Other(String),
    /// The agent is there and is executed now.
    Have(Directory),
    /// The script is ready to receive the agent.
    Need,
    /// The received agent is incomplete.
    Short(Directory),
    /// The agent is complete and is executed now.
    Ok(Directory),
    /// The agent cannot be written and executed in any directory.
    NoDirectory,
    /// This directory was removed.
    Gone(String),
    /// Everything was removed.
    Done,
}

impl ScriptReply {
    /// Parses the text after the nonce up to the end of the line. `None` if it is not a reply.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (word, rest) = text.trim().split_once(' ').unwrap_or((text.trim(), ""));
        let place = || match rest.parse() {
            Ok(number) if (1..=DIRECTORIES).contains(&usize::from(number)) => Some(Directory(number)),
            Ok(_) | Err(_) => None,
        };
        match word {
            "other" => Some(Self::Other(clean(rest, 80))),
            "have" => Some(Self::Have(place()?)),
            "need" => Some(Self::Need),
            "short" => Some(Self::Short(place()?)),
            "ok" => Some(Self::Ok(place()?)),
            "none" => Some(Self::NoDirectory),
            "gone" => Some(Self::Gone(clean(rest, 200))),
            "done" => Some(Self::Done),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sweep::platform::is_harmless;

    #[test]
    fn the_scripts_hold_nothing_that_a_login_shell_would_touch() {
        for script in [RUN, CLEAN] {
            for forbidden in ['\'', '"', '!', '`', '\\', '\n'] {
                assert!(!script.contains(forbidden), "{forbidden:?} in {script}");
            }

            assert!(script.is_ascii() && script.len() < 4000, "{} bytes", script.len());
        }
        assert_eq!(places!().split(' ').count(), DIRECTORIES);
    }

    #[test]
    fn the_scripts_read_as_they_should() {
        // One statement per line, for readability.
        insta::assert_snapshot!("run", RUN.replace("; ", ";\n"));
        insta::assert_snapshot!("clean", CLEAN.replace("; ", ";\n"));
    }

    #[test]
    fn arguments_stand_after_the_script_and_the_nonce_is_in_two_halves() {
        let Command { nonce, line } = command("echo", [1, 0xff], ".fleetsweep-ops", &["keep", "Linux"]);
        assert_eq!(nonce, "000000000000000100000000000000ff");
        assert_eq!(
            line,
            "exec /bin/sh -c 'echo' fleetsweep 0000000000000001 00000000000000ff .fleetsweep-ops keep Linux"
        );
        assert!(!line.contains(&nonce));
    }

    #[test]
    fn accounts_have_directories_of_harmless_names() {
        for (username, expected) in [
            ("ops", ".fleetsweep-ops"),
            ("DOM\\jane.d", ".fleetsweep-DOM_5cjane_2ed"),
            ("a_b", ".fleetsweep-a_5fb"),
            ("; rm -rf ~", ".fleetsweep-_3b_20rm_20-rf_20_7e"),
        ] {
            assert_eq!(directory(username), expected);
            assert!(directory(username).chars().all(is_harmless));
        }
    }

    /// Every shell that may be `/bin/sh`, and every byte that may be in a path.
    #[test]
    fn a_path_reaches_the_script_as_it_is() {
        let all: String = (' '..='~').filter(|character| *character != '/').collect();
        let path = format!("/opt/{all}/ü/_0040/[x]/*/-n/ ");
        let argument = encoded(Some(&AgentPath::Unix(path.clone())));
        assert!(argument.chars().all(|c| is_harmless(c) || c == '/'), "{argument}");
        assert_eq!(encoded(None), "0");
        assert_eq!(encoded(Some(&AgentPath::Windows("C:\\x".to_owned()))), "0");
        let script = concat!(prelude!(), "v $4");
        for shell in ["sh", "bash", "zsh"] {
            let Ok(output) =
                std::process::Command::new(shell).args(["-c", script, "x", "1", "2", "3", &argument]).output()
            else {
                continue;
            };
            assert_eq!(String::from_utf8_lossy(&output.stdout), path, "{shell}: {output:?}");
        }
    }

    #[test]
    fn words_are_read_and_nothing_else_is() {
        for (text, expected) in [
            (" have 1", Some(ScriptReply::Have(Directory(1)))),
            (" ok 6\r", Some(ScriptReply::Ok(Directory(6)))),
            (" short 3", Some(ScriptReply::Short(Directory(3)))),
            (" need", Some(ScriptReply::Need)),
            (" none", Some(ScriptReply::NoDirectory)),
            (" other Linux aarch64", Some(ScriptReply::Other("Linux aarch64".to_owned()))),
            (" gone /tmp/.fleetsweep-\x1b[31mx", Some(ScriptReply::Gone("/tmp/.fleetsweep-[31mx".to_owned()))),
            (" done", Some(ScriptReply::Done)),
            (" have", None),
            (" have 0", None),
            (" have 7", None),
            (" have 999", None),
            (" have x", None),
            ("", None),
            (" else", None),
        ] {
            assert_eq!(ScriptReply::parse(text), expected, "{text:?}");
        }
    }

    #[test]
    fn directories_that_are_left_out_are_digits() {
        assert_eq!(numbers(UnusableDirectories::default()), "0");
        assert_eq!(numbers(UnusableDirectories::default().and(Directory(1)).and(Directory(4)).and(Directory(1))), "14");
    }
}
