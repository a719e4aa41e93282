//! The classes of security events and their fixed precedence: what a reader has to know first comes first, however many
//! other events there are. Which event has which class is decided in [`super::numbered`] and [`super::syslog`].

/// What an event is about, most important first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// A log was cleared, or auditing or a firewall was switched off or changed.
    Tampering,
    /// An account or a right was granted.
    Grant,
    /// A service, a scheduled task or a driver was installed.
    Installation,
    /// A login succeeded from an address from which others failed.
    Intrusion,
    /// A login failed, or an account was locked out.
    FailedLogin,
    /// Somebody logged in with privileges, or used them.
    PrivilegedLogin,
    /// Another change of an account or a group.
    AccountChange,
    /// Another failure or denial.
    Failure,
    /// Anything else.
    Other,
}

/// What is known of a class.
#[derive(Debug, Clone, Copy)]
pub struct ClassSpec {
    class: Class,
    /// The name of one such event, and the plural.
    pub words: (&'static str, &'static str),
    /// The same in a subject that is too long.
    pub brief: (&'static str, &'static str),
    /// Whether the subject of a mail names it.
    pub is_grave: bool,
    /// Whether it is mailed at once, even if mails are gathered. Failed logins are not: on a machine that the internet
    /// reaches there are some in every minute.
    pub is_urgent: bool,
    /// How many of its groups a mail shows before others get more lines.
    pub groups: usize,
}

/// All classes, most important first.
pub const CLASSES: [ClassSpec; 9] = [
    row(Class::Tampering, ("change of logging or protection", "changes of logging or protection"), 8)
        .grave(("change of protection", "changes of protection"))
        .urgent(),
    row(Class::Grant, ("account or right granted", "accounts or rights granted"), 8)
        .grave(("grant", "grants"))
        .urgent(),
    row(Class::Installation, ("new service, task or driver", "new services, tasks or drivers"), 6)
        .grave(("installation", "installations"))
        .urgent(),
    row(Class::Intrusion, ("login from an address that also failed", "logins from addresses that also failed"), 4)
        .grave(("login after failures", "logins after failures"))
        .urgent(),
    row(Class::FailedLogin, ("failed login", "failed logins"), 4).grave(("failed login", "failed logins")),
    row(Class::PrivilegedLogin, ("privileged login", "privileged logins"), 3),
    row(Class::AccountChange, ("other change of an account", "other changes of accounts"), 3),
    row(Class::Failure, ("other failure", "other failures"), 3),
    row(Class::Other, ("other event", "other events"), 3),
];

const fn row(class: Class, words: (&'static str, &'static str), groups: usize) -> ClassSpec {
    ClassSpec { class, words, brief: words, is_grave: false, is_urgent: false, groups }
}

impl ClassSpec {
    const fn grave(self, brief: (&'static str, &'static str)) -> Self {
        Self { is_grave: true, brief, ..self }
    }

    const fn urgent(self) -> Self {
        Self { is_urgent: true, ..self }
    }
}

// Each row is at the place of its class.
const _: () = {
    let mut index = 0;
    while index < CLASSES.len() {
        #[expect(clippy::indexing_slicing, reason = "evaluated by the compiler, which checks the bounds")]
        let row = &CLASSES[index];
        assert!(row.class as usize == index);
        index += 1;
    }
};

impl Class {
    /// All classes, most important first.
    pub fn all() -> impl Iterator<Item = Self> {
        CLASSES.iter().map(|spec| spec.class)
    }

    /// Its row.
    #[must_use]
    #[expect(clippy::indexing_slicing, reason = "the table has a row for every class, at its place: see above")]
    pub fn spec(self) -> &'static ClassSpec {
        &CLASSES[self as usize]
    }
}
