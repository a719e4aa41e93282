//! Warns if other users may read or change an important file, with the command that fixes the permissions. Pure: works
//! on permission bits and owners that were read elsewhere. Access control lists are not considered; if a file has one,
//! its group bits are the most that the list grants.

use std::{fs::Metadata, os::unix::fs::MetadataExt as _, path::Path};

use super::safe_text::{self, SafeText, words};

/// The owner, group and permission bits of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rights {
    /// The permission bits.
    pub mode: u32,
    /// The user id of its owner.
    pub owner: u32,
    /// The id of its group.
    pub group: u32,
}

impl Rights {
    /// The rights in the metadata of a file.
    #[must_use]
    pub fn of(metadata: &Metadata) -> Self {
        Self { mode: metadata.mode(), owner: metadata.uid(), group: metadata.gid() }
    }
}

/// What a file is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// The configuration. That others may read it matters only if it contains secrets: [`read_by`].
    Configuration,
    /// A private key.
    Key,
    /// A file with a secret in its first line.
    Secret,
    /// A file with a secret that is encrypted. Anyone may read it, but not replace it.
    EncryptedSecret,
    /// The private keys that decrypt secrets.
    Identity,
    /// The pinned host keys. Anyone who can add one can impersonate a client.
    KnownHosts,
    /// Trusted certificates. Anyone who can add one can impersonate a server.
    Certificates,
    /// An agent, which is executed on every client.
    Agent,
    /// A database.
    Database,
    /// The directory of one of these files. Anyone who can change it can replace the file.
    Directory,
    /// A directory further up.
    FartherDirectory,
}

const READ: u32 = 0o044;
const WRITE: u32 = 0o022;
const GROUP: u32 = 0o070;
const OTHERS: u32 = 0o007;
const STICKY: u32 = 0o1000;
const ROOT: u32 = 0;

/// The bits that are set but should not be.
fn excess(role: Role, Rights { mode, owner, group }: Rights, me: u32) -> u32 {
    let forbidden = match role {
        Role::Key | Role::Secret | Role::Identity if is_given_to_a_group(Rights { mode, owner, group }, me) => {
            WRITE | OTHERS
        }
        Role::Key | Role::Secret | Role::Identity => GROUP | OTHERS,
        Role::Configuration | Role::EncryptedSecret | Role::KnownHosts | Role::Certificates | Role::Agent => WRITE,
        Role::Database => WRITE | READ & OTHERS,
        // In a sticky directory users cannot replace files of other users.
        Role::Directory | Role::FartherDirectory if mode & STICKY != 0 => 0,
        // A group with the same number as the owner is the owner's private group.
        Role::Directory if owner != group => WRITE,
        Role::Directory | Role::FartherDirectory => WRITE & OTHERS,
    };
    mode & forbidden
}

/// Whether root or another user owns the file and shares it with a group, so that this process may read it through the
/// group.
fn is_given_to_a_group(Rights { owner, group, .. }: Rights, me: u32) -> bool {
    if owner == ROOT { group != ROOT } else { owner != me && me != ROOT }
}

/// Who else may read a file that contains secrets, and the mode that prevents it.
pub(super) fn read_by(rights: Rights, me: u32) -> Option<(&'static str, &'static str)> {
    let excess = excess(Role::Secret, rights, me) & READ;
    let mode = if is_given_to_a_group(rights, me) { "640" } else { "600" };
    (excess != 0).then_some((who(excess), mode))
}

fn who(excess: u32) -> &'static str {
    if excess & OTHERS == 0 { "its group" } else { "other users of this machine" }
}

/// The problem with the permissions of a file and the command that fixes it; `None` if there is no problem.
pub(super) fn warning(role: Role, path: &Path, rights: Rights, me: u32) -> Option<(SafeText, SafeText)> {
    let shown = safe_text::existing_path(path);
    let name = match role {
        Role::Configuration => "the configuration".into(),
        Role::Key => words!["the key file ", shown],
        Role::Secret | Role::EncryptedSecret => words!["the secret file ", shown],
        Role::Identity => words!["the age identity ", shown],
        Role::KnownHosts => words!["the host key file ", shown],
        Role::Certificates => words!["the certificate file ", shown],
        Role::Agent => words!["the agent ", shown],
        Role::Database => words!["the database ", shown],
        Role::Directory | Role::FartherDirectory => words!["the directory ", shown],
    };
    // When root runs `check`, it is not known which user will run the program.
    if me != ROOT && rights.owner != me && rights.owner != ROOT {
        return Some((
            words![name, " belongs to another user (uid ", rights.owner, "), who can change it"],
            words!["run `chown ", me, " ", shown, "`, or name another file"],
        ));
    }
    let excess = excess(role, rights, me);
    if excess == 0 {
        return None;
    }
    let change = match role {
        Role::Key | Role::Secret | Role::Identity => if is_given_to_a_group(rights, me) { "640" } else { "600" }.into(),
        Role::Configuration
        | Role::EncryptedSecret
        | Role::KnownHosts
        | Role::Certificates
        | Role::Agent
        | Role::Database
        | Role::Directory
        | Role::FartherDirectory => change(excess),
    };
    let deed = match (excess & READ != 0, excess & WRITE != 0) {
        (true, true) => "read and changed",
        (false, true) => "changed",
        (_, false) => "read",
    };
    Some((
        words![name, " can be ", deed, " by ", who(excess), " (mode ", safe_text::mode(rights.mode), ")"],
        words!["run `chmod ", change, " ", shown, "`"],
    ))
}

/// The argument of `chmod` that clears these bits and no others.
fn change(excess: u32) -> SafeText {
    let letters = |bits: u32| match bits {
        0o1 => "x",
        0o2 => "w",
        0o3 => "wx",
        0o4 => "r",
        0o5 => "rx",
        0o6 => "rw",
        _ => "rwx",
    };
    match ((excess & GROUP) >> 3, excess & OTHERS) {
        (group, 0) => words!["g-", letters(group)],
        (0, others) => words!["o-", letters(others)],
        (group, others) if group == others => words!["go-", letters(group)],
        (group, others) => words!["g-", letters(group), ",o-", letters(others)],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ME: u32 = 1000;
    const ANN: u32 = 1001;
    const SERVICE: u32 = 900;

    /// The warning about `/x` as `problem: hint`; empty if there is none.
    fn told(role: Role, mode: u32, (owner, group): (u32, u32), me: u32) -> String {
        let told = warning(role, Path::new("/x"), Rights { mode: 0o100_000 | mode, owner, group }, me);
        told.map(|(problem, hint)| format!("{problem}: {hint}")).unwrap_or_default()
    }

    #[track_caller]
    fn check(role: Role, mode: u32, ids: (u32, u32), me: u32, expected: &str) {
        assert_eq!(told(role, mode, ids, me), expected, "{role:?} {mode:o} {ids:?} as {me}");
    }

    #[test]
    fn a_file_with_a_secret_is_its_owners_alone() {
        let mine = (ME, ME);
        for role in [Role::Key, Role::Secret] {
            for mode in [0o600, 0o400, 0o700] {
                check(role, mode, mine, ME, "");
            }
            // As root keeps a file for a service, and as that service sees it.
            check(role, 0o640, (ROOT, SERVICE), SERVICE, "");
            check(role, 0o640, (ROOT, SERVICE), ROOT, "");
            check(role, 0o440, (ROOT, SERVICE), SERVICE, "");
            check(role, 0o600, (SERVICE, SERVICE), ROOT, "");
            for (mode, ids, me) in [
                (0o640, mine, ME),
                (0o644, mine, ME),
                (0o604, mine, ME),
                (0o666, (ROOT, SERVICE), ME),
                (0o660, (ROOT, SERVICE), ME),
                (0o644, (ROOT, ROOT), ME),
                (0o640, (ROOT, ROOT), ROOT),
                (0o640, (SERVICE, SERVICE), ROOT),
            ] {
                assert_ne!(told(role, mode, ids, me), "", "{role:?} {mode:o} {ids:?} as {me}");
            }
        }
        check(
            Role::Key,
            0o644,
            mine,
            ME,
            "the key file /x can be read by other users of this machine (mode 644): run `chmod 600 /x`",
        );
        check(
            Role::Secret,
            0o640,
            mine,
            ME,
            "the secret file /x can be read by its group (mode 640): run `chmod 600 /x`",
        );
        check(
            Role::Secret,
            0o666,
            (ROOT, SERVICE),
            SERVICE,
            "the secret file /x can be read and changed by other users of this machine (mode 666): run `chmod 640 /x`",
        );
    }

    #[test]
    fn secrets_in_the_configuration_are_read_by_nobody_else() {
        let check = |mode, ids: (u32, u32), me, expected| {
            assert_eq!(read_by(Rights { mode, owner: ids.0, group: ids.1 }, me), expected, "{mode:o} {ids:?} as {me}");
        };
        check(0o600, (ME, ME), ME, None);
        check(0o622, (ME, ME), ME, None);
        check(0o640, (ROOT, SERVICE), SERVICE, None);
        check(0o640, (ROOT, SERVICE), ROOT, None);
        check(0o640, (ME, ME), ME, Some(("its group", "600")));
        check(0o644, (ME, ME), ME, Some(("other users of this machine", "600")));
        check(0o644, (ROOT, SERVICE), SERVICE, Some(("other users of this machine", "640")));
    }

    #[test]
    fn what_others_may_read_nobody_else_may_change() {
        for role in [Role::Configuration, Role::KnownHosts, Role::Agent] {
            check(role, 0o644, (ME, ME), ME, "");
            check(role, 0o755, (ROOT, ROOT), ME, "");
            assert_ne!(told(role, 0o664, (ME, ME), ME), "");
            assert_ne!(told(role, 0o646, (ROOT, ROOT), ME), "");
        }
        check(
            Role::Configuration,
            0o666,
            (ME, ME),
            ME,
            "the configuration can be changed by other users of this machine (mode 666): run `chmod go-w /x`",
        );
        check(Role::Database, 0o640, (ME, ME), ME, "");
        check(
            Role::Database,
            0o664,
            (ME, ME),
            ME,
            "the database /x can be read and changed by other users of this machine (mode 664): run `chmod g-w,o-r /x`",
        );
    }

    #[test]
    fn a_directory_is_not_to_be_changed_by_others() {
        check(Role::Directory, 0o1777, (ROOT, ROOT), ME, "");
        check(Role::Directory, 0o755, (ME, ME), ME, "");
        check(Role::Directory, 0o775, (ME, ME), ME, "");
        check(Role::FartherDirectory, 0o775, (ROOT, SERVICE), ME, "");
        check(
            Role::Directory,
            0o775,
            (ME, SERVICE),
            ME,
            "the directory /x can be changed by its group (mode 775): run `chmod g-w /x`",
        );
        check(
            Role::FartherDirectory,
            0o777,
            (ROOT, ROOT),
            ME,
            "the directory /x can be changed by other users of this machine (mode 777): run `chmod o-w /x`",
        );
    }

    #[test]
    fn another_owner_can_change_what_is_his() {
        for role in [Role::Configuration, Role::Key, Role::KnownHosts, Role::Directory] {
            assert!(told(role, 0o600, (ANN, ANN), ME).contains("belongs to another user (uid 1001)"), "{role:?}");
            check(role, 0o600, (ANN, ANN), ROOT, "");
        }
    }
}
