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
    /// How many hosts were named a second time and left out.
    pub repeated: usize,
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
                let is_range = host.address.contains(['[', ']']);
                if !patterns.is_empty() {
                    let is_meant = |address: &String| {
                        let id = ClientId::new(address.as_str(), port);
                        let name = host.name.as_deref().unwrap_or(address);
                        patterns.iter().any(|pattern| pattern.meets(&id, name))
                    };
                    let all = addresses.len();
                    addresses.retain(is_meant);
                    if addresses.is_empty() {
                        continue;
                    }
                    if addresses.len() < all {
                        let problem = format!("only some hosts of {} match --client", quoted(&host.address));
                        return Err(InputError::new(PLACE, problem, "write a range of the hosts that you mean"));
                    }
                }
                let again =
                    addresses.iter().filter(|address| ids.contains(&ClientId::new(address.as_str(), port))).count();
                if again > 0 && !is_range {
                    found.repeated += 1;
                    continue;
                }
                let mut here = HashSet::new();
                if again > 0 || !addresses.iter().all(|address| here.insert(address)) {
                    let problem = format!("a host of {} is named twice", quoted(&host.address));
                    return Err(InputError::new(PLACE, problem, "name each host once"));
                }
                found.clients += addresses.len();
                if found.clients > MOST_CLIENTS {
                    return Err(InputError::new(
                        PLACE,
                        format!("there are more than {MOST_CLIENTS} of them"),
                        "split the fleet",
                    ));
                }
                let host = names.take(host, &addresses, &mut found.renamed)?;
                ids.extend(addresses.iter().map(|address| ClientId::new(address.as_str(), port)));
                kept.push(host);
            }
            if !kept.is_empty() {
                found.groups.push(Group { title, hosts: kept });
            }
        }
        if found.groups.is_empty() {
            let problem = if patterns.is_empty() { "there is none" } else { "none matches --client" };
            return Err(InputError::new(PLACE, problem, "name one, such as ops@10.0.4.1"));
        }
        Ok(found)
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
        let check = |texts: &[&str], expected: &[&str], repeated: usize, renamed: &[&str]| {
            let fleet = gathered(texts, &[]).unwrap();
            let shown = fleet.hosts().map(|Host { address, name, .. }| {
                format!("{}{address}", name.as_ref().map(|name| format!("{name}=")).unwrap_or_default())
            });
            assert_eq!(shown.collect::<Vec<_>>(), expected, "{texts:?}");
            assert_eq!(
                (fleet.repeated, fleet.renamed),
                (repeated, renamed.iter().map(|name| (*name).to_owned()).collect())
            );
        };
        check(&["a", "b"], &["a", "b"], 0, &[]);
        check(&["a", "A", "a:22", "a:23"], &["a", "a"], 2, &[]);
        check(&["::1", "[0:0::1]:22"], &["::1"], 1, &[]);
        check(&["x=a", "x=b"], &["x=a", "b"], 0, &["x"]);
        check(&["b", "b=a"], &["b", "a"], 0, &["b"]);
        check(&["10.0.0.[1-2]", "10.0.0.2"], &["10.0.0.[1-2]"], 1, &[]);
    }

    #[test]
    fn what_cannot_stand_together_is_refused() {
        let check = |texts: &[&str], patterns: &[&str], expected: &str| {
            assert_eq!(gathered(texts, patterns).unwrap_err(), expected, "{texts:?}");
        };
        check(&[], &[], "the hosts: there is none: name one, such as ops@10.0.4.1");
        check(&["a"], &["b*"], "the hosts: none matches --client: name one, such as ops@10.0.4.1");
        check(
            &["10.0.0.2", "10.0.0.[1-2]"],
            &[],
            "the hosts: a host of `10.0.0.[1-2]` is named twice: name each host once",
        );
        check(&["10.0.0.[1-2,2]"], &[], "the hosts: a host of `10.0.0.[1-2,2]` is named twice: name each host once");
        check(
            &["b=a", "b"],
            &[],
            "the hosts: `b` is the name of one host and the address of another: give the first one another name",
        );
        check(&["[1-65536].a", "b"], &[], "the hosts: there are more than 65536 of them: split the fleet");
        check(
            &["10.0.0.[1-2]"],
            &["10.0.0.1"],
            "the hosts: only some hosts of `10.0.0.[1-2]` match --client: write a range of the hosts that you mean",
        );
        assert_eq!(gathered(&["a", "b", "c=d"], &["c", "[ab]"]).unwrap().clients, 3);
    }
}
