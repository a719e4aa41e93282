//! Inventories and CSV files as a fuzzer reads them: see [`crate::fuzzing`].

use super::{
    ansible, csv_file,
    host::{Group, Said, Source},
    input::InputError,
};
use crate::config::entry::MOST_CLIENTS;

/// A file with hosts in each format: its hosts are accepted again as they are, or it is refused at a place that can be shown.
pub fn inventory(data: &[u8]) {
    for file in ["hosts", "hosts.yml"] {
        check(file, Source::Inventory, ansible::read(data, file).map(|inventory| inventory.groups));
    }
    check("hosts.csv", Source::Csv, csv_file::read(data, "hosts.csv").map(|group| vec![group]));
}

fn check(file: &str, source: Source, read: Result<Vec<Group>, InputError>) {
    let groups = match read {
        Ok(groups) => groups,
        Err(error) => {
            let shown = error.to_string();
            assert!(error.place.starts_with(file) && !shown.contains(char::is_control), "{shown:?}");
            return;
        }
    };
    assert!(groups.iter().map(|group| group.hosts.len()).sum::<usize>() <= MOST_CLIENTS);
    for host in groups.iter().flat_map(|group| &group.hosts) {
        let port = host.port.map(|port| port.to_string());
        let said = Said {
            address: &host.address,
            name: host.name.as_deref(),
            port: port.as_deref(),
            username: host.username.as_deref(),
        };
        assert_eq!(said.checked(source, file).as_ref(), Ok(host));
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_corpus_of_inventories_is_replayed() {
        support::replay("inventory", super::inventory);
    }
}
