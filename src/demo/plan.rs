//! The clients of a demo, their permanent behaviour and the expected results, and the configuration. Pure.

use std::{
    fmt::{self, Write as _},
    net::SocketAddr,
    path::Path,
};

use crate::{config::entry::escaped, fleet::Stage};

use super::behaviour::Behaviour;

/// The largest fleet. It is limited by the addresses and file descriptors of one machine.
pub const MAX_CLIENTS: usize = 10_000;

/// About one in this many clients has each of the permanent faults.
const UNHEALTHY_EVERY: usize = 20;

/// The line of the legend about incidents.
pub(super) const INCIDENTS_LEGEND: &str =
    "      from time to time others fail, slow down or work hard for a sweep or two, and recover\n";

/// The names of healthy clients, used in turn.
const HEALTHY_NAMES: [&str; 4] = ["web", "app", "db", "cache"];

/// The clients whose security events are collected: the web servers, but not more than [`WATCHED_MOST`].
const WATCHED: &str = "web";
const WATCHED_MOST: usize = 50;

/// The permanent behaviour of a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Collected, and no limit is exceeded.
    Healthy,
    /// Collected, and its memory limit is 0 %.
    OverLimit,
    /// Refuses its password.
    RefusesLogin,
    /// Accepts connections and sends nothing.
    Silent,
}

/// The expected result of a client in the first sweep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expectation {
    /// It is collected, and no limit is exceeded.
    Collected,
    /// It is collected, and a limit is exceeded.
    OverLimit,
    /// Its collection fails in this stage.
    FailsAt(Stage),
}

impl Role {
    /// Every role.
    pub const ALL: [Self; 4] = [Self::Healthy, Self::OverLimit, Self::RefusesLogin, Self::Silent];

    /// The behaviour of its server.
    #[must_use]
    pub fn behaviour(self) -> Behaviour {
        match self {
            Self::Healthy | Self::OverLimit => Behaviour::Healthy,
            Self::RefusesLogin => Behaviour::RefusesLogin,
            Self::Silent => Behaviour::Silent,
        }
    }

    /// The expected result in the first sweep.
    #[must_use]
    pub fn expectation(self) -> Expectation {
        match (self.behaviour().fails_at(), self) {
            (Some(stage), _) => Expectation::FailsAt(stage),
            (None, Self::OverLimit) => Expectation::OverLimit,
            (None, Self::Healthy | Self::RefusesLogin | Self::Silent) => Expectation::Collected,
        }
    }

    /// Its description in the legend; `None` for a healthy client.
    fn words(self) -> Option<&'static str> {
        match self {
            Self::Healthy => None,
            Self::OverLimit => Some("its memory limit is 0 %: an alert, and a mail to the sink"),
            Self::RefusesLogin => Some("refuses its password: fails in `authenticate`"),
            Self::Silent => Some("accepts connections and says nothing: fails in `connect`, at its deadline"),
        }
    }

    fn name(self, number: usize) -> &'static str {
        match self {
            Self::Healthy => HEALTHY_NAMES.into_iter().cycle().nth(number).unwrap_or("web"),
            Self::OverLimit => "over-limit",
            Self::RefusesLogin => "refuses-login",
            Self::Silent => "silent",
        }
    }
}

/// A client of the demo.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedClient {
    /// Its name: the role and a number.
    pub name: String,
    /// Its role.
    pub role: Role,
}

/// The clients of a demo, in order. Each group of about twenty clients ends with one of each kind that is not healthy,
/// if the fleet is large enough.
#[must_use]
pub fn clients(count: usize) -> Vec<PlannedClient> {
    let groups = (count / UNHEALTHY_EVERY).max(1);
    let digits = count.to_string().len().max(2);
    let ends: Vec<usize> = (1..=groups).map(|group| group * count / groups).collect();
    (0..count)
        .map(|index| {
            let end = ends.iter().copied().find(|end| *end > index).unwrap_or(count);
            let role = match (end - index, count) {
                (_, 1) => Role::Healthy,
                (1, 2) | (2, 3) | (3, 4..) => Role::OverLimit,
                (1, 3) | (2, 4..) => Role::RefusesLogin,
                (1, 4..) => Role::Silent,
                (_, _) => Role::Healthy,
            };
            PlannedClient { name: format!("{}-{:0digits$}", role.name(index), index + 1), role }
        })
        .collect()
}

/// The directories, addresses and credentials in the configuration of a demo.
pub(super) struct Locations<'a> {
    /// The directory of the demo.
    pub(super) directory: &'a Path,
    /// The address of the mail sink.
    pub(super) smtp: SocketAddr,
    /// The account of every client.
    pub(super) username: &'a str,
    /// Its password.
    pub(super) password: &'a str,
}

/// The text of `config.xml`.
pub(super) fn configuration(places: &Locations<'_>, clients: &[(PlannedClient, SocketAddr)]) -> String {
    let directory = escaped(&places.directory.display().to_string());
    let Locations { smtp, username, password, .. } = places;
    let mut text = format!(
        r#"<config>
  <!-- A demo fleet: every client is an SSH server inside the fleetsweep process. -->
  <collector interval="10s" concurrency="128" timeout="8s" retries="1"/>
  <database url="sqlite:{directory}/demo.db" retention="1d"/>
  <smtp host="{}" port="{}" security="none" from="fleetsweep@localhost"/>
  <ssh known-hosts="{directory}/known_hosts" host-keys="accept-new"/>
  <alerts repeat="4h" recovery="yes"/>
  <group username="{}" password="{}" mail="operator@localhost">
    <alert type="memory" limit="99%"/>
    <alert type="cpu" limit="90%" clear="80%"/>
    <alert type="unreachable" limit="1"/>
"#,
        smtp.ip(),
        smtp.port(),
        escaped(username),
        escaped(password),
    );
    let mut watched = 0;
    for (PlannedClient { name, role }, address) in clients {
        let client = format!(r#"    <client name="{name}" ip="{}" port="{}""#, address.ip(), address.port());
        text.push_str(&client);
        if *role == Role::Healthy && name.starts_with(WATCHED) && watched < WATCHED_MOST {
            watched += 1;
            text.push_str(r#" events="yes""#);
        }
        text.push_str(match role {
            Role::OverLimit => "><alert type=\"memory\" limit=\"0%\"/></client>\n",
            Role::Healthy | Role::RefusesLogin | Role::Silent => "/>\n",
        });
    }
    text.push_str("  </group>\n</config>\n");
    text
}

/// Text for people: which clients misbehave intentionally, and how.
pub(super) fn legend(clients: &[PlannedClient], smtp: SocketAddr, directory: &Path) -> Result<String, fmt::Error> {
    let mut text = String::new();
    let count = clients.len();
    let clients_word = if count == 1 { "client" } else { "clients" };
    writeln!(text, "demo: {count} {clients_word} on loopback, mails go to a sink on {smtp}")?;
    writeln!(text, "      configuration and database, until it ends: {}", directory.display())?;
    writeln!(text, "      agents are really sent, executed and checked; the numbers in their answers are made up")?;
    let unhealthy: Vec<(String, &str)> = Role::ALL
        .into_iter()
        .filter_map(|role| {
            let names: Vec<&str> = clients.iter().filter(|c| c.role == role).map(|c| c.name.as_str()).collect();
            Some((shorten(&names)?, role.words()?))
        })
        .collect();
    let width = unhealthy.iter().map(|(names, _)| names.len()).max().unwrap_or(0);
    if width > 0 {
        writeln!(text, "on purpose:")?;
    }
    for (names, words) in unhealthy {
        writeln!(text, "      {names:width$}  {words}")?;
    }
    Ok(text)
}

/// The name, or the first name and how many follow; `None` if there are no names.
fn shorten(names: &[&str]) -> Option<String> {
    match names {
        [] => None,
        [one] => Some((*one).to_owned()),
        [first, rest @ ..] => Some(format!("{first} and {} more", rest.len())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(clients: &[PlannedClient], role: Role) -> usize {
        clients.iter().filter(|client| client.role == role).count()
    }

    #[test]
    fn a_fleet_of_any_size_has_its_share_of_unhealthy_clients() {
        for (size, healthy, each_of) in [
            (1, 1, [0, 0, 0]),
            (2, 1, [1, 0, 0]),
            (3, 1, [1, 1, 0]),
            (4, 1, [1, 1, 1]),
            (12, 9, [1, 1, 1]),
            (39, 36, [1, 1, 1]),
            (40, 34, [2, 2, 2]),
            (1000, 850, [50, 50, 50]),
        ] {
            let clients = clients(size);
            assert_eq!(clients.len(), size);
            assert_eq!(count(&clients, Role::Healthy), healthy, "{size}");
            assert_eq!(
                [Role::OverLimit, Role::RefusesLogin, Role::Silent].map(|r| count(&clients, r)),
                each_of,
                "{size}"
            );
        }
    }

    #[test]
    fn the_default_fleet_ends_with_its_unhealthy_clients() {
        let names: Vec<_> = clients(12).into_iter().map(|client| client.name).collect();
        assert_eq!(
            names,
            [
                "web-01",
                "app-02",
                "db-03",
                "cache-04",
                "web-05",
                "app-06",
                "db-07",
                "cache-08",
                "web-09",
                "over-limit-10",
                "refuses-login-11",
                "silent-12",
            ]
        );
    }

    #[test]
    fn names_are_unique_and_padded_alike() {
        let mut names: Vec<_> = clients(1000).into_iter().map(|client| client.name).collect();
        assert_eq!(names[0], "web-0001");
        names.sort();
        names.dedup();
        assert_eq!(names.len(), 1000);
    }

    #[test]
    fn the_configuration_names_every_client_and_the_legend_every_unhealthy_client() {
        let smtp = "127.0.0.1:2525".parse().unwrap();
        let directory = Path::new("/tmp/a & \"b\"");
        let places = Locations { directory, smtp, username: "demo", password: "p<w" };
        let planned = clients(4);
        let placed: Vec<_> =
            planned.iter().cloned().zip((0..4).map(|n| SocketAddr::from(([127, 10, 0, n + 1], 4000)))).collect();
        insta::assert_snapshot!("configuration_of_4", configuration(&places, &placed));
        insta::assert_snapshot!("legend_of_4", legend(&planned, smtp, Path::new("/tmp/demo")).unwrap());
        insta::assert_snapshot!("legend_of_1", legend(&clients(1), smtp, Path::new("/tmp/demo")).unwrap());
        insta::assert_snapshot!("legend_of_100", legend(&clients(100), smtp, Path::new("/tmp/demo")).unwrap());
    }
}
