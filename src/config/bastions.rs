//! Reads `<bastion>` and the attribute `via`: the servers through which clients are reached. How they are reached is in
//! `sweep`.

use std::{
    collections::{HashMap, hash_map::Entry},
    num::NonZeroUsize,
    path::PathBuf,
    sync::Arc,
};

use super::{
    address,
    fields::{self, Field, field, required},
    model::{Bastion, KeyFile, Login},
    safe_text::{self, words},
    schema,
    secret::{SecretContext, SecretSource},
    shape::Element,
    source::{Findings, Source},
    value_error::ValueError,
    values,
};
use crate::fleet::ClientId;

/// The default port of SSH.
const SSH_PORT: u16 = 22;
/// The most servers that one `via` may name.
const MOST_HOPS: usize = 8;
/// The word that stands for a direct connection, for clients of a group with `via`.
const DIRECT: &str = "none";
const HINT: &str = "write the name of a <bastion>, or user@host:port; separate several with commas";

/// One server as `via` names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct WrittenHop {
    username: Option<String>,
    host: String,
    port: Option<u16>,
}

/// The `<bastion>` elements of a file, by name. One with an error is known, but has no value.
#[derive(Debug, Default)]
pub(super) struct Bastions(HashMap<String, Option<Arc<Bastion>>>);

/// Parses `via`: the servers in the order of the connection, none for a direct one.
pub(super) fn via(text: &str) -> Result<Vec<WrittenHop>, ValueError> {
    if text.trim() == DIRECT {
        return Ok(Vec::new());
    }
    let hops: Vec<WrittenHop> = text.split(',').map(|part| hop(part.trim())).collect::<Result<_, _>>()?;
    if hops.len() > MOST_HOPS {
        return Err(ValueError::new(
            words!["this names ", hops.len(), " servers"],
            words!["write at most ", MOST_HOPS],
        ));
    }
    Ok(hops)
}

fn hop(text: &str) -> Result<WrittenHop, ValueError> {
    if text.is_empty() {
        return Err(ValueError::new("the name of a server is missing", HINT));
    }
    let (username, server) = match text.rsplit_once('@') {
        Some((username, server)) => (Some(username), server),
        None => (None, text),
    };
    if username.is_some_and(|username| username.is_empty() || username.contains(':')) {
        // The text is not repeated: it may contain a password.
        return Err(ValueError::new(
            "the part before `@` is not the name of an account",
            "write user@host; for a password, write a <bastion> with `password` and its name here",
        ));
    }
    let (host, port) = match server.rsplit_once(':') {
        Some((host, port)) if !host.contains(':') || host.ends_with(']') => (host, Some(values::port(port)?)),
        Some(_) | None => (server, None),
    };
    let host = address::parse(host).map_err(|wrong| ValueError { hint: HINT.into(), at: None, ..wrong })?;
    let username = username.map(values::line).transpose()?;
    Ok(WrittenHop { username, host, port })
}

/// Reads every `<bastion>` of the root element.
pub(super) fn read(
    root: &Element,
    secrets: SecretContext<'_>,
    default_keys: &[PathBuf],
    source: &Source<'_>,
    findings: &mut Findings,
) -> Bastions {
    let mut found = HashMap::new();
    let mut lines: HashMap<String, usize> = HashMap::new();
    for element in root.children.iter().filter(|child| child.name.text == "bastion") {
        let name = required(element, "name", "name=\"…\", which `via` of clients and groups names", findings, name);
        let bastion = bastion(element, name.as_deref(), secrets, findings);
        let bastion = bastion.map(|bastion| Bastion { login: bastion.login.or_defaults(default_keys), ..bastion });
        let Some(name) = name else { continue };
        match lines.entry(name.clone()) {
            Entry::Occupied(first) => {
                let problem = words!["this name is already used in line ", source.line_of(*first.get())];
                findings.error(fields::place(element, "name"), problem, "give each bastion a unique name");
            }
            Entry::Vacant(place) => {
                place.insert(element.name.at.start);
                found.insert(name, bastion.map(Arc::new));
            }
        }
    }
    Bastions(found)
}

/// The name of a bastion, which `via` must be able to name.
fn name(text: &str) -> Result<String, ValueError> {
    let is_name = text.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
    let name = address::parse(text).ok().filter(|_| is_name && text != DIRECT);
    name.ok_or_else(|| {
        ValueError::new(
            "this is not a valid name of a bastion",
            "write letters, digits, hyphens, underscores and dots, for example name=\"gate\"",
        )
    })
}

fn bastion(
    element: &Element,
    name: Option<&str>,
    secrets: SecretContext<'_>,
    findings: &mut Findings,
) -> Option<Bastion> {
    let secret = |text: &str| SecretSource::parse(text, secrets);
    let host = required(element, "host", "host=\"gate.example.com\"", findings, address::parse);
    let port = field(element, "port", findings, values::port);
    let username = required(element, "username", "username=\"…\"", findings, values::line);
    let password = field(element, "password", findings, secret);
    let key = field(element, "key", findings, |text| values::path(text, secrets.home));
    let passphrase = field(element, "passphrase", findings, secret);
    let legacy = field(element, "legacy", findings, values::yes_or_no);
    let max_logins = field(element, "max-logins", findings, values::max_logins);
    let wrong = [password.is_wrong(), key.is_wrong(), passphrase.is_wrong(), legacy.is_wrong(), max_logins.is_wrong()];
    if let (true, Some(passphrase)) = (key.is_absent(), element.attribute("passphrase")) {
        fields::passphrase_without_key(passphrase, findings);
    }
    let port = match port {
        Field::Given(port) => port,
        Field::Absent => SSH_PORT,
        Field::Wrong => return None,
    };
    if wrong.contains(&true) {
        return None;
    }
    let key = key.given().map(|path| KeyFile { path, passphrase: passphrase.given() });
    Some(Bastion {
        name: name?.to_owned(),
        id: ClientId::new(host?, port),
        username: username?,
        login: Login::of(key, password.given()),
        legacy: legacy.given().unwrap_or(false),
        max_logins: max_logins.given().unwrap_or_else(default_max_logins),
        openssh: None,
    })
}

/// The default of `max-logins`, also for servers that have no element.
pub(super) fn default_max_logins() -> NonZeroUsize {
    let default = schema::default_of("bastion", "max-logins").and_then(|text| text.parse().ok());
    default.unwrap_or(NonZeroUsize::MIN)
}

impl Bastions {
    /// The `<bastion>` of a name; `Some(None)` for one with an error, which was reported.
    pub(super) fn named(&self, name: &str) -> Option<Option<Arc<Bastion>>> {
        self.0.get(name).cloned()
    }

    /// The servers of a `via`, for a client with this account; `None` if one of them is wrong, which was reported.
    ///
    /// A server without an element of its own is logged in to with the client's key or the ssh-agent, as `ssh -J` does.
    /// The client's password is not sent to it: it may be another account.
    pub(super) fn resolve(&self, hops: &[WrittenHop], username: &str, login: &Login) -> Option<Arc<[Arc<Bastion>]>> {
        hops.iter().map(|hop| self.one(hop, username, login)).collect()
    }

    fn one(&self, hop: &WrittenHop, username: &str, login: &Login) -> Option<Arc<Bastion>> {
        if let WrittenHop { username: None, host, port: None } = hop
            && let Some(bastion) = self.0.get(host)
        {
            return bastion.clone();
        }
        let id = ClientId::new(hop.host.as_str(), hop.port.unwrap_or(SSH_PORT));
        let username = hop.username.as_deref().unwrap_or(username);
        Some(Arc::new(Bastion {
            name: format!("{username}@{id}"),
            id,
            username: username.to_owned(),
            login: Login { defaults: login.defaults.clone(), ..Login::of(login.key.clone(), None) },
            legacy: false,
            max_logins: default_max_logins(),
            openssh: None,
        }))
    }
}

/// How a bastion is shown: its name, account and address.
pub(super) fn shown(bastion: &Bastion) -> String {
    let account = safe_text::account(&bastion.username);
    let address = safe_text::addresses(&bastion.id.to_string());
    let name = safe_text::label(&bastion.name).to_string();
    let full = format!("{account}@{address}");
    if name == full || bastion.name.contains('@') { full } else { format!("{name} ({full})") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, LoadContext};

    #[test]
    fn via_names_servers_in_order() {
        let hop = |username: Option<&str>, host: &str, port| WrittenHop {
            username: username.map(str::to_owned),
            host: host.to_owned(),
            port,
        };
        for (text, expected) in [
            ("gate", vec![hop(None, "gate", None)]),
            ("none", vec![]),
            ("ops@gate:2222", vec![hop(Some("ops"), "gate", Some(2222))]),
            ("ops@[2001:db8::1]:22, inner", vec![hop(Some("ops"), "2001:db8::1", Some(22)), hop(None, "inner", None)]),
            ("2001:db8::1", vec![hop(None, "2001:db8::1", None)]),
            ("ops@example.com@gate.example.com", vec![hop(Some("ops@example.com"), "gate.example.com", None)]),
        ] {
            assert_eq!(via(text).unwrap(), expected, "{text}");
        }
        for (text, expected) in [
            ("", "the name of a server is missing"),
            ("gate,", "the name of a server is missing"),
            ("ops:hunter2@gate", "the part before `@` is not the name of an account"),
            ("gate:0", "`0` is not a valid port"),
            ("a,b,c,d,e,f,g,h,i", "this names 9 servers"),
            ("ssh://gate", "is not a valid"),
        ] {
            let wrong = via(text).unwrap_err();
            let words = format!("{}: {}", wrong.problem, wrong.hint);
            assert!(words.contains(expected) && !words.contains("hunter2"), "{text}: {words}");
        }
    }

    fn load(text: &str) -> Result<Config, String> {
        let context = LoadContext { home: Some("/home/ops".into()), rights: None };
        Config::parse_in(text, "config.xml", &context)
            .map(|loaded| loaded.config)
            .map_err(|problems| problems.to_string())
    }

    #[test]
    fn clients_are_reached_through_the_nearest_via() {
        let config = load(
            r#"<config>
              <bastion name="gate" host="192.0.2.1" username="jump" password="env:GATE" max-logins="5"/>
              <group username="ops" key="~/.ssh/id" via="gate">
                <client ip="10.0.0.1"/>
                <client ip="10.0.0.2" via="none"/>
                <client ip="10.0.0.3" via="gate, deep@10.0.0.9:2222"/>
                <client ip="10.0.0.4" via="10.0.0.9" password="hunter2"/>
              </group>
            </config>"#,
        )
        .unwrap();
        let ways: Vec<Vec<String>> =
            config.clients.iter().map(|client| client.via.iter().map(|bastion| shown(bastion)).collect()).collect();
        let gate = "gate (jump@192.0.2.1:22)";
        assert_eq!(ways, [vec![gate], vec![], vec![gate, "deep@10.0.0.9:2222"], vec!["ops@10.0.0.9:22"]]);
        let [first, _, third, fourth] = config.clients.as_slice() else { panic!("four clients") };
        assert_eq!(first.via[0].max_logins.get(), 5);
        assert!(first.via[0].login.password.is_some() && first.via[0].login.key.is_none());
        // A server without an element has the client's key, and never its password.
        assert!(third.via[1].login.key.is_some() && fourth.via[0].login.password.is_none());
    }

    #[test]
    fn what_is_wrong_is_reported_at_its_place() {
        for (text, expected) in [
            ("<bastion host='h' username='u'/>", "`<bastion>` has no `name`"),
            ("<bastion name='g' username='u'/>", "`<bastion>` has no `host`"),
            ("<bastion name='g' host='h'/>", "`<bastion>` has no `username`"),
            ("<bastion name='none' host='h' username='u'/>", "this is not a valid name of a bastion"),
            ("<bastion name='g' host='h' username='u' max-logins='0'/>", "`max-logins`: `0` is out of bounds"),
            (
                "<bastion name='g' host='h' username='u' passphrase='env:P'/>",
                "`passphrase` has no effect without `key`",
            ),
            (
                "<bastion name='g' host='h' username='u'/><bastion name='g' host='i' username='u'/>",
                "this name is already used in line 1",
            ),
            ("<client ip='c2' username='u' via='a b'/>", "`via`: this is not a valid address or host name"),
        ] {
            let error = load(&format!("<config>{text}<client ip='c' username='u'/></config>")).unwrap_err();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }
}
