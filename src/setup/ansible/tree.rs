//! The groups of an inventory with their hosts, whatever the format: inheritance of variables, cycles, and the group in
//! which each host is written. The text is read elsewhere.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::variables::{Variable, Variables};
use crate::{
    config::entry::MOST_CLIENTS,
    setup::{
        argument::address_and_port,
        host::{Group, Host, Said, Source, known_as},
        input::{InputError, at},
    },
};

/// The most groups. Hostile inventories could have as many as lines.
const MOST_GROUPS: usize = 1_000;
/// The most memberships: a host in a group, or a group in another.
const MOST_LINKS: usize = 500_000;
/// `ansible_group_priority` where it is not written.
const USUAL_PRIORITY: i64 = 1;
/// The group of all hosts.
pub(super) const ALL: &str = "all";
/// The group of the hosts without one.
pub(super) const UNGROUPED: &str = "ungrouped";

/// The hosts of an inventory, and what was left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inventory {
    /// The groups with their own hosts, in the order of the file.
    pub groups: Vec<Group>,
    /// The hosts that are not reached over SSH, as Ansible does it.
    pub other_connections: usize,
    /// The file of the private key, if all hosts name the same one.
    pub key: Option<String>,
    /// The variables that say how to log in and are not taken over, and of how many hosts.
    pub not_taken: Vec<(&'static str, usize)>,
}

/// The groups and hosts of a file.
#[derive(Debug)]
pub(super) struct Tree<'a> {
    file: &'a str,
    groups: Vec<Node>,
    group_names: HashMap<String, usize>,
    hosts: Vec<Member>,
    host_names: HashMap<String, usize>,
    links: usize,
}

/// A group.
#[derive(Debug, Default)]
struct Node {
    name: String,
    /// Its hosts, once each.
    hosts: Vec<usize>,
    children: BTreeSet<usize>,
    variables: Variables,
}

/// A host.
#[derive(Debug, Default)]
struct Member {
    /// Its name, with a port if it was written so.
    name: String,
    line: usize,
    variables: Variables,
    groups: BTreeSet<usize>,
}

impl<'a> Tree<'a> {
    pub(super) fn new(file: &'a str) -> Self {
        Self {
            file,
            groups: Vec::new(),
            group_names: HashMap::new(),
            hosts: Vec::new(),
            host_names: HashMap::new(),
            links: 0,
        }
    }

    /// The group of a name, which is made if it is not there.
    pub(super) fn group(&mut self, name: &str, line: usize) -> Result<usize, InputError> {
        if let Some(index) = self.group_names.get(name) {
            return Ok(*index);
        }
        if self.groups.len() >= MOST_GROUPS {
            let problem = format!("there are more than {MOST_GROUPS} groups");
            return Err(InputError::new(&at(self.file, line), problem, "name an inventory with fewer groups"));
        }
        let index = self.groups.len();
        self.groups.push(Node { name: name.to_owned(), ..Node::default() });
        self.group_names.insert(name.to_owned(), index);
        Ok(index)
    }

    /// Makes a group a child of another.
    pub(super) fn add_child(&mut self, parent: usize, child: usize, line: usize) -> Result<(), InputError> {
        self.count_link(line)?;
        if let Some(parent) = self.groups.get_mut(parent) {
            parent.children.insert(child);
        }
        Ok(())
    }

    /// Adds a host to a group, with the variables of this place.
    pub(super) fn add_host(
        &mut self,
        group: usize,
        name: &str,
        line: usize,
        variables: &Variables,
    ) -> Result<(), InputError> {
        self.count_link(line)?;
        let index = match self.host_names.get(name) {
            Some(index) => *index,
            None => {
                if self.hosts.len() >= MOST_CLIENTS {
                    let problem = format!("there are more than {MOST_CLIENTS} hosts");
                    return Err(InputError::new(&at(self.file, line), problem, "split the fleet"));
                }
                self.hosts.push(Member { name: name.to_owned(), line, ..Member::default() });
                self.host_names.insert(name.to_owned(), self.hosts.len() - 1);
                self.hosts.len() - 1
            }
        };
        if let (Some(host), Some(node)) = (self.hosts.get_mut(index), self.groups.get_mut(group)) {
            host.variables.override_with(variables);
            if host.groups.insert(group) {
                node.hosts.push(index);
            }
        }
        Ok(())
    }

    /// The variables of a group.
    pub(super) fn variables_of(&mut self, group: usize) -> Option<&mut Variables> {
        self.groups.get_mut(group).map(|group| &mut group.variables)
    }

    fn count_link(&mut self, line: usize) -> Result<(), InputError> {
        self.links += 1;
        if self.links > MOST_LINKS {
            let problem = format!("hosts and groups are in others more than {MOST_LINKS} times");
            return Err(InputError::new(&at(self.file, line), problem, "name a smaller inventory"));
        }
        Ok(())
    }

    /// The hosts as they are reached.
    pub(super) fn inventory(&self) -> Result<Inventory, InputError> {
        let order = self.outermost_first()?;
        let depths = self.depths(&order);
        let around = self.around(&order);
        let priorities = self.priorities()?;
        // Most hosts share their groups with others.
        let mut inherited: HashMap<&BTreeSet<usize>, Variables> = HashMap::new();
        let mut is_written = HashSet::new();
        let (mut groups, mut other_connections) = (Vec::new(), 0);
        let mut keys: BTreeSet<Option<String>> = BTreeSet::new();
        let mut not_taken: BTreeMap<&str, usize> = BTreeMap::new();
        for node in &self.groups {
            let mut hosts = Vec::new();
            for index in &node.hosts {
                if !is_written.insert(*index) {
                    continue;
                }
                let Some(member) = self.hosts.get(*index) else { continue };
                let mut variables = inherited
                    .entry(&member.groups)
                    .or_insert_with(|| self.inherited(&member.groups, &around, &depths, &priorities))
                    .clone();
                variables.override_with(&member.variables);
                match self.host(member, &variables)? {
                    Some(host) => {
                        hosts.push(host);
                        keys.insert(variables.key().map(str::to_owned));
                        variables.not_taken().for_each(|name| *not_taken.entry(name).or_default() += 1);
                    }
                    None => other_connections += 1,
                }
            }
            if !hosts.is_empty() {
                let title = Some(node.name.clone()).filter(|name| name != ALL && name != UNGROUPED);
                groups.push(Group { title, hosts });
            }
        }
        if groups.is_empty() {
            let problem =
                if other_connections == 0 { "there is no host in it" } else { "none of its hosts is reached over SSH" };
            return Err(InputError::new(self.file, problem, "name an inventory with hosts that SSH reaches"));
        }
        let key = if keys.len() == 1 { keys.pop_first().flatten() } else { None };
        Ok(Inventory { groups, other_connections, key, not_taken: not_taken.into_iter().collect() })
    }

    /// The groups, each after those that contain it.
    fn outermost_first(&self) -> Result<Vec<usize>, InputError> {
        let mut parents = vec![0_usize; self.groups.len()];
        for child in self.groups.iter().flat_map(|group| &group.children) {
            if let Some(count) = parents.get_mut(*child) {
                *count += 1;
            }
        }
        let mut ready: Vec<usize> =
            (0..).zip(&parents).filter(|(_, count)| **count == 0).map(|(index, _)| index).collect();
        let mut order = Vec::with_capacity(self.groups.len());
        while let Some(index) = ready.pop() {
            order.push(index);
            for child in self.groups.get(index).iter().flat_map(|group| &group.children) {
                if let Some(count) = parents.get_mut(*child) {
                    *count -= 1;
                    if *count == 0 {
                        ready.push(*child);
                    }
                }
            }
        }
        if order.len() == self.groups.len() {
            return Ok(order);
        }
        let inside = self.groups.iter().zip(&parents).filter(|(_, count)| **count > 0);
        let names: Vec<String> = inside.take(4).map(|(group, _)| known_as(&group.name)).collect();
        let problem = format!("groups contain each other: {}", names.join(", "));
        Err(InputError::new(self.file, problem, "remove one of them from the `children` of another"))
    }

    /// How far inside each group is: the deepest one wins.
    fn depths(&self, order: &[usize]) -> Vec<usize> {
        let mut depths = vec![1_usize; self.groups.len()];
        for index in order {
            let own = depths.get(*index).copied().unwrap_or_default();
            for child in self.groups.get(*index).iter().flat_map(|group| &group.children) {
                if let Some(depth) = depths.get_mut(*child) {
                    *depth = (*depth).max(own + 1);
                }
            }
        }
        if let Some(depth) = self.group_names.get(ALL).and_then(|all| depths.get_mut(*all)) {
            *depth = 0;
        }
        depths
    }

    /// `ansible_group_priority` of each group.
    fn priorities(&self) -> Result<Vec<i64>, InputError> {
        let priority = |group: &Node| {
            let Some(text) = group.variables.get(Variable::Priority, self.file)? else { return Ok(USUAL_PRIORITY) };
            text.trim().parse().map_err(|_| {
                let problem =
                    format!("`ansible_group_priority` of the group {} is no whole number", known_as(&group.name));
                InputError::new(self.file, problem, "write one such as 10")
            })
        };
        self.groups.iter().map(priority).collect()
    }

    /// Each group with all groups around it that have variables.
    fn around(&self, order: &[usize]) -> Vec<BTreeSet<usize>> {
        let mut around: Vec<BTreeSet<usize>> = vec![BTreeSet::new(); self.groups.len()];
        for index in order {
            let Some(group) = self.groups.get(*index) else { continue };
            let Some(own) = around.get_mut(*index) else { continue };
            if group.variables != Variables::default() {
                own.insert(*index);
            }
            let own = own.clone();
            for child in &group.children {
                if let Some(child) = around.get_mut(*child) {
                    child.extend(&own);
                }
            }
        }
        around
    }

    /// The variables that a host has from its groups: deeper groups win, of one depth those with the higher
    /// priority, of these the last one by its name.
    fn inherited(
        &self,
        groups: &BTreeSet<usize>,
        around: &[BTreeSet<usize>],
        depths: &[usize],
        priorities: &[i64],
    ) -> Variables {
        let everywhere = self.group_names.get(ALL).copied();
        let of_groups = groups.iter().filter_map(|group| around.get(*group)).flatten().copied();
        let all: BTreeSet<usize> = of_groups.chain(everywhere).collect();
        let mut sorted: Vec<usize> = all.into_iter().collect();
        sorted.sort_by_key(|index| {
            (depths.get(*index), priorities.get(*index), self.groups.get(*index).map(|group| &group.name))
        });
        let mut variables = Variables::default();
        for group in sorted.iter().filter_map(|index| self.groups.get(*index)) {
            variables.override_with(&group.variables);
        }
        variables
    }

    /// A host; `None` if Ansible does not reach it over SSH.
    fn host(&self, member: &Member, variables: &Variables) -> Result<Option<Host>, InputError> {
        let get = |variable| variables.get(variable, self.file);
        let connection = get(Variable::Connection)?.unwrap_or("ssh");
        if !["ssh", "smart", "paramiko", "paramiko_ssh", "ansible.builtin.ssh", "ansible.builtin.paramiko_ssh"]
            .contains(&connection)
        {
            return Ok(None);
        }
        let (name, own_port) = address_and_port(&member.name);
        let address = get(Variable::Host)?;
        let port = get(Variable::Port)?.or(own_port);
        let username = get(Variable::User)?;
        let said = match address {
            Some(address) => Said { address, name: Some(name), port, username },
            None => Said { address: name, name: None, port, username },
        };
        said.checked(Source::Inventory, &at(self.file, member.line)).map(Some)
    }
}
