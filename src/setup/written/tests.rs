//! What is written is what was meant: the parser of `config.xml` reads it, without a warning.

use insta::assert_snapshot;
use proptest::{collection::vec, option, prelude::*};

use super::*;
use crate::{
    config::{Config, LoadContext, Loaded},
    setup::{
        ansible, csv_file,
        fleet::Fleet,
        proposal::{self, Measured},
    },
};

fn parsed(text: &str) -> Loaded {
    let context = LoadContext { home: Some("/home/ops".into()), rights: None };
    Config::parse_in(text, "config.xml", &context).unwrap_or_else(|problems| panic!("{problems}\n{text}"))
}

fn plan(fleet: Fleet) -> Plan {
    Plan {
        fleet,
        login: LoginPlan { username: Some("ops".to_owned()), ..LoginPlan::default() },
        database: "sqlite:fleetsweep.db".to_owned(),
        limits: proposal::limits(&[]),
        ..Plan::default()
    }
}

#[test]
fn the_file_is_annotated() {
    let inventory = "10.0.0.1 ansible_user=root\n[web]\nweb[01:02] ansible_port=2222\n[db]\ndb ansible_host=10.0.0.9\n";
    let read = ansible::read(inventory.as_bytes(), "hosts").unwrap();
    let measured = Measured {
        name: "db".to_owned(),
        cpu_percent: Some(4.2),
        memory_percent: Some(61.0),
        disk_percent: Some(("/var".to_owned(), 83.0)),
    };
    let whole = Plan {
        login: LoginPlan {
            username: Some("ops".to_owned()),
            key: Some("~/.ssh/fleetsweep".to_owned()),
            passphrase: Some("env:KEY".to_owned()),
            password: None,
        },
        mail: Some(MailPlan {
            host: "mail.example.com".to_owned(),
            port: None,
            security: "starttls".to_owned(),
            from: "fleetsweep@example.com".to_owned(),
            to: "Ann <ann@example.com>".to_owned(),
            login: Some(("fleetsweep".to_owned(), "env:SMTP".to_owned())),
        }),
        limits: proposal::limits(&[measured]),
        ..plan(Fleet::gather(read.groups, &[]).unwrap())
    };
    let text = text(&whole);
    assert_snapshot!(text);
    assert_eq!(parsed(&text).warnings, []);
}

/// A text that sources may contain.
fn hostile() -> impl Strategy<Value = String> {
    let parts = [
        "&", "<", ">", "\"", "'", "%", "--", "-", "-->", "&amp;", "é", "😀", " ", "a", "b", "@", "{", "\u{202e}",
        "<!--",
    ];
    vec(proptest::sample::select(parts.to_vec()), 1..6).prop_map(|parts| parts.concat())
}

proptest! {
    #[test]
    fn whatever_was_read_is_the_same_in_the_file(
        hosts in vec((option::of(hostile()), 0_u8..40, option::of(1_u16..), option::of(hostile())), 1..12),
        titles in vec(option::of(hostile()), 3),
    ) {
        let mut groups: Vec<Group> = titles.into_iter().map(|title| Group { title, hosts: Vec::new() }).collect();
        let mut csv = csv::Writer::from_writer(Vec::new());
        csv.write_record(["name", "host", "port", "username"]).unwrap();
        for (name, number, port, username) in hosts {
            let row = [name.unwrap_or_default(), format!("10.0.0.{number}"), port.map(|port| port.to_string()).unwrap_or_default(), username.unwrap_or_default()];
            csv.write_record(row).unwrap();
        }
        let read = csv_file::read(&csv.into_inner().unwrap(), "h.csv").unwrap();
        for (index, host) in read.hosts.into_iter().enumerate() {
            groups[index % 3].hosts.push(host);
        }
        // Names that are an address of another host are refused, which is not the question here.
        let Ok(fleet) = Fleet::gather(groups, &[]) else { return Ok(()) };
        let expected: Vec<_> = fleet
            .hosts()
            .map(|host| {
                let name = host.name.clone().unwrap_or_else(|| host.address.clone());
                let username = host.username.clone().unwrap_or_else(|| "ops".to_owned());
                (host.address.clone(), host.port.unwrap_or(22), name, username)
            })
            .collect();
        let loaded = parsed(&text(&plan(fleet)));
        prop_assert_eq!(&loaded.warnings, &[]);
        let clients = loaded.config.clients.iter();
        let found: Vec<_> = clients.map(|client| (client.id.address().to_owned(), client.id.port(), client.name.clone(), client.username.clone())).collect();
        prop_assert_eq!(found, expected);
    }
}
