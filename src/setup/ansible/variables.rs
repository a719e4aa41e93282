//! The variables of hosts and groups that matter here: how a host is reached. All others are left alone.

use crate::setup::{
    host::quoted,
    input::{InputError, at},
};

/// A variable that is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Variable {
    Host,
    Port,
    User,
    Connection,
}

/// Its names; the first one wins.
const NAMES: [(&str, Variable); 7] = [
    ("ansible_host", Variable::Host),
    ("ansible_port", Variable::Port),
    ("ansible_user", Variable::User),
    ("ansible_connection", Variable::Connection),
    ("ansible_ssh_host", Variable::Host),
    ("ansible_ssh_port", Variable::Port),
    ("ansible_ssh_user", Variable::User),
];

/// A value and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Value {
    pub(super) text: String,
    pub(super) line: usize,
    /// The tag of YAML before it, such as `!vault`.
    pub(super) is_tagged: bool,
}

/// The variables of a host or a group.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Variables([Option<Value>; NAMES.len()]);

impl Variables {
    /// Sets a variable, if it is one that is read.
    pub(super) fn set(&mut self, name: &str, value: Value) {
        if let Some(index) = NAMES.iter().position(|(known, _)| *known == name)
            && let Some(place) = self.0.get_mut(index)
        {
            *place = Some(value);
        }
    }

    /// Sets everything that `nearer` sets.
    pub(super) fn override_with(&mut self, nearer: &Self) {
        for (own, nearer) in self.0.iter_mut().zip(&nearer.0) {
            if nearer.is_some() {
                own.clone_from(nearer);
            }
        }
    }

    /// The value of a variable.
    ///
    /// # Errors
    /// [`InputError`] if only Ansible knows the value.
    pub(super) fn get(&self, wanted: Variable, file: &str) -> Result<Option<&str>, InputError> {
        let of_name =
            |((_, variable), value): (&(&str, Variable), &'_ Option<Value>)| *variable == wanted && value.is_some();
        let found = NAMES.iter().zip(&self.0).find(|(name, value)| of_name((name, value)));
        let Some(((name, _), Some(Value { text, line, is_tagged }))) = found else { return Ok(None) };
        let wrong = |problem: String| {
            let hint = "write the value itself, or name what `ansible-inventory --list --yaml` prints";
            Err(InputError::new(&at(file, *line), problem, hint))
        };
        if *is_tagged {
            return wrong(format!("`{name}` is encrypted or has another tag of YAML"));
        }
        if text.contains("{{") || text.contains("{%") {
            return wrong(format!("`{name}` is {}, a template that only Ansible can fill in", quoted(text)));
        }
        Ok(Some(text.as_str()).filter(|text| !text.is_empty()))
    }
}
