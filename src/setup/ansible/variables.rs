//! The variables of hosts and groups that matter here: how a host is reached. All others are left alone. What a value is
//! appears in no error, because it may be a secret.

use crate::setup::input::{EXPORT, InputError, at};

/// A variable that is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Variable {
    Host,
    Port,
    User,
    Connection,
    /// Which of two groups of the same depth wins.
    Priority,
    /// The file of the private key.
    Key,
    /// Read only to say that it is not taken over.
    Other,
}

/// Its names; the first one wins, as in Ansible.
const NAMES: [(&str, Variable); 16] = [
    ("ansible_ssh_host", Variable::Host),
    ("ansible_ssh_port", Variable::Port),
    ("ansible_ssh_user", Variable::User),
    ("ansible_host", Variable::Host),
    ("ansible_port", Variable::Port),
    ("ansible_user", Variable::User),
    ("ansible_connection", Variable::Connection),
    ("ansible_group_priority", Variable::Priority),
    ("ansible_ssh_private_key_file", Variable::Key),
    ("ansible_private_key_file", Variable::Key),
    ("ansible_ssh_common_args", Variable::Other),
    ("ansible_ssh_extra_args", Variable::Other),
    ("ansible_ssh_args", Variable::Other),
    ("ansible_password", Variable::Other),
    ("ansible_ssh_password", Variable::Other),
    ("ansible_ssh_pass", Variable::Other),
];

/// What a value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// Nothing: as if it were not set.
    Null,
    Text,
    /// A list or a mapping.
    Nested,
    /// With a tag of YAML before it, such as `!vault`.
    Tagged,
    /// An alias (`*name`).
    Alias,
}

/// A value and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Value {
    pub(super) text: String,
    pub(super) line: usize,
    pub(super) form: Form,
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

    /// The names and values of a variable that are set, the one that wins first.
    fn all(&self, wanted: Variable) -> impl Iterator<Item = (&'static str, &Value)> {
        NAMES.iter().zip(&self.0).filter_map(move |((name, variable), value)| {
            let value = value.as_ref().filter(|value| value.form != Form::Null)?;
            (*variable == wanted).then_some((*name, value))
        })
    }

    /// The value of a variable.
    ///
    /// # Errors
    /// [`InputError`] if only Ansible knows the value.
    pub(super) fn get(&self, wanted: Variable, file: &str) -> Result<Option<&str>, InputError> {
        let Some((name, value)) = self.all(wanted).next() else { return Ok(None) };
        let wrong = |problem: String, hint: &str| Err(InputError::new(&at(file, value.line), problem, hint));
        let itself = match wanted {
            Variable::User => "write the value itself, or leave it out and name the account with --user",
            Variable::Host
            | Variable::Port
            | Variable::Connection
            | Variable::Priority
            | Variable::Key
            | Variable::Other => "write the value itself",
        };
        match value.form {
            Form::Tagged => return wrong(format!("`{name}` is encrypted or has another tag of YAML"), itself),
            Form::Alias => {
                return wrong(
                    format!("`{name}` is an alias (`*name`), which is not read here"),
                    &format!("{itself}, or name what {EXPORT} writes"),
                );
            }
            Form::Nested => return wrong(format!("`{name}` is a list or a mapping"), itself),
            Form::Null | Form::Text => {}
        }
        if is_template(&value.text) {
            return wrong(format!("`{name}` is a template, which only Ansible can fill in"), itself);
        }
        Ok(Some(value.text.as_str()).filter(|text| !text.is_empty()))
    }

    /// The file of the private key, if it is written as it is.
    pub(super) fn key(&self) -> Option<&str> {
        let (_, value) = self.all(Variable::Key).next()?;
        (value.form == Form::Text && !value.text.is_empty() && !is_template(&value.text)).then_some(&value.text)
    }

    /// The names of what is set and not taken over.
    pub(super) fn not_taken(&self) -> impl Iterator<Item = &'static str> {
        let is_said = |(_, value): &(&str, &Value)| value.form != Form::Text || !value.text.is_empty();
        self.all(Variable::Key).take(1).chain(self.all(Variable::Other)).filter(is_said).map(|(name, _)| name)
    }
}

fn is_template(text: &str) -> bool {
    text.contains("{{") || text.contains("{%")
}
