//! The hosts of an `ssh_config`: the names of `Host` lines without wildcards. What the file says about them stays there,
//! where it is read at each start; nothing is copied.

use super::{
    host::{Group, Host, Said, Source},
    input::InputError,
};
use crate::config::OpensshHost;

/// The most hosts. For each of them, the whole file is searched.
pub const MOST_HOSTS: usize = 4096;

/// The hosts that a file names, and the names that cannot be an address. `is_whole` is whether all of the file could be
/// read.
///
/// # Errors
/// [`InputError`] if there is none, or too many.
pub fn read(named: &[OpensshHost], file: &str, is_whole: bool) -> Result<(Group, Vec<InputError>), InputError> {
    if named.len() > MOST_HOSTS {
        return Err(InputError::new(file, format!("there are more than {MOST_HOSTS} hosts"), "use a CSV file"));
    }
    let (mut hosts, mut refused): (Vec<Host>, Vec<InputError>) = (Vec::new(), Vec::new());
    for OpensshHost { name, line, has_user } in named {
        match (Said { address: name, ..Said::default() }).checked(Source::OpensshFile, &line.to_string()) {
            Ok(host) => hosts.push(Host { has_openssh_user: *has_user, ..host }),
            Err(error) => refused.push(error),
        }
    }
    match (hosts.is_empty(), refused.first()) {
        (false, _) => Ok((Group { title: None, hosts }, refused)),
        (true, Some(error)) => Err(error.clone()),
        (true, None) if !is_whole => {
            Err(InputError::new(file, "no host can be taken from it", "correct what is said above"))
        }
        (true, None) => {
            let problem = "no `Host` line names a host without wildcards";
            Err(InputError::new(file, problem, "name the hosts as arguments"))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::ssh_config::Line;

    #[test]
    fn names_that_are_no_addresses_are_left_out_with_their_line() {
        let named = |names: &[&str]| -> Vec<OpensshHost> {
            let line = Line { file: Path::new("/h/.ssh/config").into(), number: 3 };
            names
                .iter()
                .map(|name| OpensshHost { name: (*name).to_owned(), line: line.clone(), has_user: *name == "a" })
                .collect()
        };
        let (group, refused) = read(&named(&["a", "w/x", "Web_1"]), "c", true).unwrap();
        let hosts: Vec<_> = group.hosts.iter().map(|host| (host.address.as_str(), host.has_openssh_user)).collect();
        assert_eq!(hosts, [("a", true), ("Web_1", false)]);
        assert!(refused[0].to_string().starts_with("/h/.ssh/config:3: the address: "), "{refused:?}");
        let problem = |names: &[&str]| read(&named(names), "c", true).unwrap_err().problem;
        assert_eq!(problem(&[]), "no `Host` line names a host without wildcards");
        assert_eq!(read(&[], "c", false).unwrap_err().problem, "no host can be taken from it");
        assert!(problem(&["w/x"]).starts_with("the address: "));
        assert_eq!(problem(&vec!["h"; MOST_HOSTS + 1]), "there are more than 4096 hosts");
    }
}
