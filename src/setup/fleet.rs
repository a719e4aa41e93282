//! The hosts of all sources together: no client twice, no name twice, not too many. Every rule is one of the parser of
//! `config.xml`, so that what is written is accepted.

use std::collections::{HashMap, HashSet};

use super::{
    host::{Group, Host, quoted},
    input::InputError,
};
use crate::{
    config::entry::{self, MOST_CLIENTS},
    fleet::{ClientId, select::Pattern},
};

/// The port of SSH.
const SSH_PORT: u16 = 22;
/// The place of errors about several hosts.
const PLACE: &str = "the hosts";

/// The hosts, and what was changed about them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Fleet {
    /// The groups that are not empty.
    pub groups: Vec<Group>,
    /// The hosts that were named a second time and left out.
    pub repeated: Vec<ClientId>,
    /// Hosts whose name another host has: they are called by their address.
    pub renamed: Vec<String>,
    /// How many clients the hosts expand to.
    pub clients: usize,
}

impl Fleet {
    /// Gathers the hosts. With `patterns`, only those that one of them matches.
    ///
    /// # Errors
    /// [`InputError`] if two of them cannot be in one configuration, or there are none or too many.
    pub fn gather(groups: Vec<Group>, patterns: &[Pattern]) -> Result<Self, InputError> {
        let mut found = Self::default();
        let mut ids: HashSet<ClientId> = HashSet::new();
        let mut names = Names::default();
        for Group { title, hosts } in groups {
            let mut kept = Vec::with_capacity(hosts.len());
            for host in hosts {
                let mut addresses = expanded(&host)?;
                let port = host.port.unwrap_or(SSH_PORT);
                let all = addresses.len();
                addresses.retain(|address| {
                    let id = ClientId::new(address.as_str(), port);
                    let name = host.name.as_deref().unwrap_or(address);
                    if !patterns.is_empty() && !patterns.iter().any(|pattern| pattern.meets(&id, name)) {
                        return false;
                    }
                    let is_new = ids.insert(id.clone());
                    if !is_new {
                        found.repeated.push(id);
                    }
                    is_new
                });
                if addresses.is_empty() {
                    continue;
                }
                found.clients += addresses.len();
                if found.clients > MOST_CLIENTS {
                    return Err(InputError::new(
                        PLACE,
                        format!("there are more than {MOST_CLIENTS} of them"),
                        "split the fleet",
                    ));
                }
                let is_whole = addresses.len() == all;
                let host = names.take(host, &addresses, &mut found.renamed)?;
                if is_whole {
                    kept.push(host);
                } else {
                    // What is left of a range.
                    kept.extend(addresses.into_iter().map(|address| Host { address, ..host.clone() }));
                }
            }
            if !kept.is_empty() {
                found.groups.push(Group { title, hosts: kept });
            }
        }
        if found.groups.is_empty() {
            let (problem, hint) = if patterns.is_empty() {
                ("there is none", "name one, such as ops@10.0.4.1")
            } else {
                ("none matches --client", "name one of them by its name or address, or leave out --client")
            };
            return Err(InputError::new(PLACE, problem, hint));
        }
        Ok(found)
    }

    /// Marks the hosts without an account of which files of OpenSSH name one. A range of which they name only some is
    /// written as its hosts.
    pub fn mark_openssh_users(&mut self, has_user: impl Fn(&str) -> bool) {
        let marked = |host: Host| {
            if host.username.is_some() || host.has_openssh_user {
                return vec![host];
            }
            let addresses = expanded(&host).unwrap_or_default();
            let count = addresses.iter().filter(|address| has_user(address)).count();
            if count == 0 || count == addresses.len() {
                return vec![Host { has_openssh_user: count > 0, ..host }];
            }
            let alone = |address: String| Host { has_openssh_user: has_user(&address), address, ..host.clone() };
            addresses.into_iter().map(alone).collect()
        };
        for group in &mut self.groups {
            group.hosts = std::mem::take(&mut group.hosts).into_iter().flat_map(marked).collect();
        }
    }

    /// All hosts.
    pub fn hosts(&self) -> impl Iterator<Item = &Host> {
        self.groups.iter().flat_map(|group| &group.hosts)
    }
}

/// The addresses of a host. They have been checked where it was read.
fn expanded(host: &Host) -> Result<Vec<String>, InputError> {
    entry::addresses(&host.address).map_err(|refused| InputError::new(PLACE, refused.problem, refused.hint))
}

/// What a name is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Taken {
    /// `name` of a host.
    Name,
    /// The address of a host without a name.
    Address,
}

/// The names that are taken.
#[derive(Debug, Default)]
struct Names(HashMap<String, Taken>);

impl Names {
    /// Takes the names of a host, which loses its name if another host has it.
    fn take(&mut self, host: Host, addresses: &[String], renamed: &mut Vec<String>) -> Result<Host, InputError> {
        let host = match host.name.as_ref().filter(|name| self.0.contains_key(*name)) {
            Some(name) => {
                renamed.push(name.clone());
                Host { name: None, ..host }
            }
            None => host,
        };
        match &host.name {
            Some(name) => {
                self.0.insert(name.clone(), Taken::Name);
            }
            None => {
                for address in addresses {
                    if self.0.get(address) == Some(&Taken::Name) {
                        let problem = format!("{} is the name of one host and the address of another", quoted(address));
                        return Err(InputError::new(PLACE, problem, "give the first one another name"));
                    }
                    self.0.insert(address.clone(), Taken::Address);
                }
            }
        }
        Ok(host)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::setup::argument;

    /// Hosts as `name=user@address:port`, gathered.
    fn gathered(texts: &[&str], patterns: &[&str]) -> Result<Fleet, String> {
        let host = |text: &&str| match text.split_once('=') {
            Some((name, host)) => Host { name: Some(name.to_owned()), ..argument::host(host).unwrap() },
            None => argument::host(text).unwrap(),
        };
        let patterns: Vec<Pattern> = patterns.iter().map(|pattern| pattern.parse().unwrap()).collect();
        let groups = vec![Group { title: None, hosts: texts.iter().map(host).collect() }];
        Fleet::gather(groups, &patterns).map_err(|error| error.to_string())
    }

    #[test]
    fn no_client_and_no_name_is_there_twice() {
        let check = |texts: &[&str], expected: &[&str], repeated: &str, renamed: &[&str]| {
            let fleet = gathered(texts, &[]).unwrap();
            let shown = fleet.hosts().map(|Host { address, name, .. }| {
                format!("{}{address}", name.as_ref().map(|name| format!("{name}=")).unwrap_or_default())
            });
            assert_eq!(shown.collect::<Vec<_>>(), expected, "{texts:?}");
            let left_out: Vec<String> = fleet.repeated.iter().map(ToString::to_string).collect();
            assert_eq!(
                (left_out.join(" "), fleet.renamed),
                (repeated.to_owned(), renamed.iter().map(|name| (*name).to_owned()).collect())
            );
        };
        check(&["a", "b"], &["a", "b"], "", &[]);
        check(&["a", "A", "a:22", "a:23"], &["a", "a"], "a:22 a:22", &[]);
        check(&["::1", "[0:0::1]:22"], &["::1"], "[::1]:22", &[]);
        check(&["x=a", "x=b"], &["x=a", "b"], "", &["x"]);
        check(&["b", "b=a"], &["b", "a"], "", &["b"]);
        check(&["10.0.0.[1-2]", "10.0.0.2"], &["10.0.0.[1-2]"], "10.0.0.2:22", &[]);
        check(&["10.0.0.2", "10.0.0.[1-3]"], &["10.0.0.2", "10.0.0.1", "10.0.0.3"], "10.0.0.2:22", &[]);
        check(&["10.0.0.[1-2,2]"], &["10.0.0.1", "10.0.0.2"], "10.0.0.2:22", &[]);
        check(&["10.0.0.[1-2]", "10.0.0.[1-2]"], &["10.0.0.[1-2]"], "10.0.0.1:22 10.0.0.2:22", &[]);
    }

    #[test]
    fn what_cannot_stand_together_is_refused() {
        let check = |texts: &[&str], patterns: &[&str], expected: &str| {
            assert_eq!(gathered(texts, patterns).unwrap_err(), expected, "{texts:?}");
        };
        check(&[], &[], "the hosts: there is none: name one, such as ops@10.0.4.1");
        check(
            &["a"],
            &["b*"],
            "the hosts: none matches --client: name one of them by its name or address, or leave out --client",
        );
        check(
            &["b=a", "b"],
            &[],
            "the hosts: `b` is the name of one host and the address of another: give the first one another name",
        );
        check(&["[1-65536].a", "b"], &[], "the hosts: there are more than 65536 of them: split the fleet");
        assert_eq!(gathered(&["a", "b", "c=d"], &["c", "[ab]"]).unwrap().clients, 3);
        let some = gathered(&["10.0.0.[1-3]"], &["10.0.0.[13]"]).unwrap();
        let some: Vec<_> = some.hosts().map(|host| host.address.as_str()).collect();
        assert_eq!(some, ["10.0.0.1", "10.0.0.3"]);
    }

    #[test]
    fn an_account_of_openssh_files_is_that_of_a_host_without_one() {
        let mut fleet = gathered(&["w1", "u@w2", "w3", "w[4-5]", "w[5-6].x"], &[]).unwrap();
        fleet.mark_openssh_users(|address| ["w1", "w2", "w4", "w5", "w5.x"].contains(&address));
        let marked: Vec<_> = fleet.hosts().filter(|host| host.has_openssh_user).map(|host| &*host.address).collect();
        assert_eq!(marked, ["w1", "w[4-5]", "w5.x"]);
        let all: Vec<_> = fleet.hosts().map(|host| &*host.address).collect();
        assert_eq!(all, ["w1", "w2", "w3", "w[4-5]", "w5.x", "w6.x"]);
    }
}
