//! Tables of inventories: what is read, and what is refused.

use std::{fmt::Write as _, time::Instant};

use super::*;
use crate::setup::host::Host;

/// `group: name=address:port user; …` of each group.
fn shown(text: &str, file: &str) -> Result<String, String> {
    let Inventory { groups, other_connections, key, not_taken } =
        read(text.as_bytes(), file).map_err(|error| error.to_string())?;
    let mut shown = String::new();
    for group in groups {
        let hosts = group.hosts.iter().map(|Host { address, name, port, username, .. }| {
            let name = name.as_ref().map(|name| format!("{name}=")).unwrap_or_default();
            let user = username.as_ref().map(|user| format!("{user}@")).unwrap_or_default();
            let port = port.map(|port| format!(" {port}")).unwrap_or_default();
            format!("{name}{user}{address}{port}")
        });
        let hosts = hosts.collect::<Vec<_>>().join(", ");
        writeln!(shown, "{}: {hosts}", group.title.as_deref().unwrap_or("-")).unwrap();
    }
    if other_connections > 0 {
        writeln!(shown, "others: {other_connections}").unwrap();
    }
    if let Some(key) = key {
        writeln!(shown, "key: {key}").unwrap();
    }
    for (name, count) in not_taken {
        writeln!(shown, "not taken: {name} {count}").unwrap();
    }
    Ok(shown)
}

fn check(file: &str, text: &str, expected: Result<&str, &str>) {
    let found = shown(text, file);
    match (&found, expected) {
        (Ok(found), Ok(expected)) => assert_eq!(found, expected, "{text}"),
        (Err(found), Err(expected)) => {
            assert!(found.starts_with(expected), "{text}\nsays {found}\nnot {expected}");
            assert!(!found.contains("S3cret"), "{text}\nsays {found}");
        }
        (Ok(_), Err(_)) | (Err(_), Ok(_)) => panic!("{text}\n{found:?}\nnot {expected:?}"),
    }
}

#[test]
fn an_ini_inventory_is_read_as_in_ansible() {
    let check = |text: &str, expected: &str| check("hosts", text, Ok(expected));
    check("web-1\n# x\n; y\n\n10.0.0.1 # z\n", "-: web-1, 10.0.0.1\n");
    check(
        "\u{feff}mail.example.com\r\n\r\n[web]\r\nweb[01:03].x\r\n",
        "-: mail.example.com\nweb: web01.x, web02.x, web03.x\n",
    );
    check(
        "jumper ansible_port=5555 ansible_host='192.0.2.50' ansible_user=\"ops\" http_port=80 x=\"a b # c\"\n",
        "-: jumper=ops@192.0.2.50 5555\n",
    );
    check("a.example:2222\n[2001:db8::1]:22\n2001:db8::2\n", "-: a.example 2222, 2001:db8::1 22, 2001:db8::2\n");
    check("[web]\nw\n[db]\nd\nw\n", "web: w\ndb: d\n");
    check("[web]\nw\n[web:vars]\nansible_user = ops # the account\nansible_port=2222\n", "web: ops@w 2222\n");
    check("[all:vars]\nansible_user=root\n[web]\nw\nx ansible_user=ann\n", "web: root@w, ann@x\n");
    // The inner group wins; a host of both has what the deeper one says.
    check(
        "[prod:children]\nweb\ndb\n[web]\nw\n[db]\nd\n[prod:vars]\nansible_user=p\nansible_port=1\n[db:vars]\nansible_user=d\n",
        "web: p@w 1\ndb: d@d 1\n",
    );
    // What is set for all hosts does not come back through another group.
    check(
        "[all:vars]\nansible_user=root\n[a:children]\nb\n[b]\nh\n[c]\nh\n[c:vars]\nansible_user=c\n[b:vars]\nx=1\n",
        "b: c@h\n",
    );
    check("[web]\nw ansible_ssh_host=10.0.0.1 ansible_ssh_user=u\n", "web: w=u@10.0.0.1\n");
    check("local ansible_connection=local\nwin ansible_connection=winrm\nw\n", "-: w\nothers: 2\n");
    check("[grüße]\nw\n", "grüße: w\n");
    check(
        "w ansible_user=joe ansible_ssh_user=bob ansible_port=1 ansible_ssh_port=2 ansible_host=a ansible_ssh_host=b\n",
        "-: w=bob@b 2\n",
    );
    check("[a]\nw ansible_user=joe\n[a:vars]\nansible_ssh_user=bob\n", "a: bob@w\n");
    // Of two groups of the same depth, the one with the higher priority wins, not the one with the later name.
    let two = "[a]\nw\n[b]\nw\n[a:vars]\nansible_user=a\n[b:vars]\nansible_user=b\n";
    check(two, "a: b@w\n");
    check(&format!("{two}[a:vars]\nansible_group_priority=10\n"), "a: a@w\n");
    check(&format!("{two}[b:vars]\nansible_group_priority=-1\n"), "a: a@w\n");
    // How to log in otherwise is only counted, except for a key that all hosts have.
    check(
        "v\nw ansible_ssh_private_key_file=k ansible_password=S3cret\nx ansible_connection=local ansible_ssh_args=-4\n",
        "-: v, w\nothers: 1\nnot taken: ansible_password 1\nnot taken: ansible_ssh_private_key_file 1\n",
    );
    check(
        "v\nw\n[all:vars]\nansible_private_key_file=~/.ssh/k\nansible_ssh_common_args='-o ProxyJump=gate'\n",
        "-: v, w\nkey: ~/.ssh/k\nnot taken: ansible_private_key_file 2\nnot taken: ansible_ssh_common_args 2\n",
    );
    check("w ansible_private_key_file=\"{{ k }}\"\n", "-: w\nnot taken: ansible_private_key_file 1\n");
    check("w ansible_host=\n", "-: w\n");
}

#[test]
fn a_yaml_inventory_is_read_as_in_ansible() {
    let check = |text: &str, expected: &str| check("hosts.yml", text, Ok(expected));
    check("all:\n  hosts:\n    mail.example.com:\n    w[01:02]: {}\n", "-: mail.example.com, w01, w02\n");
    check(
        "---\nall:\n  vars: {ansible_user: root}\n  children:\n    web:\n      hosts:\n        w:\n          ansible_host: 10.0.0.1\n          ansible_port: 2222\n          x: [1, {a: b}]\n      vars:\n        ansible_user: ops\n    db:\n      hosts: {d: }\n",
        "web: w=ops@10.0.0.1 2222\ndb: root@d\n",
    );
    check("web:\n  hosts:\n    ? \"2001:db8::1\"\n    : ~\n", "web: 2001:db8::1\n");
    check("web:\r\n  hosts:\r\n    w:\r\n", "web: w\n");
    check("{\"web\": {\"hosts\": {\"w\": {\"ansible_port\": 22}}}}", "web: w 22\n");
    check("web:\n  hosts:\n    w:\n      token: !vault |\n        $ANSIBLE_VAULT;1.1;AES256\n        61\n", "web: w\n");
    check("web:\n  hosts:\n    w:\n  children:\n    a:\na:\n  hosts:\n    b:\n", "web: w\na: b\n");
    // As ansible-inventory writes lists of group_vars.
    check(
        "web:\n  hosts:\n    v:\n      ntp: &id001\n      - t\n    w:\n      ntp: *id001\n      x: [*id001, {<<: {a: b}}]\n",
        "web: v, w\n",
    );
    check("web:\n  hosts:\n    w: {ansible_ssh_user: ~, ansible_user: u}\n", "web: u@w\n");
}

#[test]
fn the_format_is_found_by_name_and_then_by_the_first_line() {
    check("hosts", "# x\nall:\n  hosts:\n    w:\n", Ok("-: w\n"));
    check("hosts", "---\nall: {hosts: {w: }}\n", Ok("-: w\n"));
    check("hosts.ini", "w\n", Ok("-: w\n"));
    check("hosts.prod", "w\n", Ok("-: w\n"));
}

#[test]
fn what_cannot_be_read_names_its_line() {
    let ini = |text: &str, expected: &str| check("hosts", text, Err(expected));
    ini("", "hosts: there is no host in it");
    ini("[web]\n", "hosts: there is no host in it");
    ini("x ansible_connection=local\n", "hosts: none of its hosts is reached over SSH");
    ini("\nw we\n", "hosts:2: value 1 after the host is no key=value: write one host a line");
    ini("w x='1\n", "hosts:1: a quote is not closed");
    ini("w[1:\n", "hosts:1: a range is not closed");
    ini("[web:things]\n", "hosts:1: the section `things` is not known");
    ini("[we b]\n", "hosts:1: this is not the name of a group");
    ini("[web:vars]\nansible_user\n", "hosts:2: this is no key=value");
    ini("[web]\nw\n[a:children]\nwbe\n", "hosts:4: there is no group `wbe`");
    ini("w\n[wbe:vars]\nx=1\n", "hosts:2: there is no group `wbe`");
    ini("[a:children]\nb\n[b:children]\na\n[c]\nw\n", "hosts: groups contain each other: `a`, `b`");
    ini("[a:children]\na\n", "hosts: groups contain each other: `a`");
    ini("w ansible_port=ssh\n", "hosts:1: the port: ");
    ini(
        "w ansible_host=\"{{ ip }}\"\n",
        "hosts:1: `ansible_host` is a template, which only Ansible can fill in: write the value itself",
    );
    ini(
        "[web]\nw\n[web:vars]\nansible_user={{ me }}\n",
        "hosts:4: `ansible_user` is a template, which only Ansible can fill in: write the value itself, or leave it out and name the account with --user",
    );
    ini("a\u{1b}[2Jb\n", "hosts:1: a range is not closed");
    ini("a\u{7}b\n", "hosts:1: the address: ");
    ini("w&<>\"'\n", "hosts:1: a quote is not closed");
    ini("w&<>%\n", "hosts:1: the address: ");
    ini("$ANSIBLE_VAULT;1.1;AES256\n61\n", "hosts:1: the file is encrypted with ansible-vault");
    ini(&"x".repeat(70_000), "hosts:1: the line is too long");
    ini("w ansible_host=10.0.0.1 ansible_password= S3cret\n", "hosts:1: value 3 after the host is no key=value");
    ini("w ansible_password=two S3cret\n", "hosts:1: value 2 after the host is no key=value");
    ini("ansible_password=S3cret\n", "hosts:1: the address: ");
    ini("[a:children]\nw ansible_password=S3cret\n", "hosts:2: this is not the name of a group");
    ini("[a:S3cret x]\n", "hosts:1: the section `…` is not known");
    ini("w ansible_user=ops:S3cret\n", "hosts:1: the user: an account contains no `:`");
    ini("w ansible_port=S3cret\n", "hosts:1: the port: ");
    ini(
        "w ansible_host='ops:S3cret@h'\n",
        "hosts:1: the address: it contains a user: write only the address here, and the user as ansible_user=NAME",
    );
    ini(
        "w ansible_host=10.0.0.1:23\n",
        "hosts:1: the address `10.0.0.1:23`: it contains a port: write only the address here, and the port as ansible_port=PORT",
    );
    ini("w ansible_user=\"{{ 'S3cret' }}\"\n", "hosts:1: `ansible_user` is a template");
    ini(
        "[a]\nw\n[a:vars]\nansible_group_priority=S3cret\n",
        "hosts: `ansible_group_priority` of the group `a` is no whole number",
    );
    let yaml = |text: &str, expected: &str| check("hosts.yml", text, Err(expected));
    yaml("web:\n  hosts:\n    w: {x: @S3cret}\n", "hosts.yml:3: this is not YAML (unexpected character)");
    yaml("web:\n  S3cret x: a\n", "hosts.yml:2: `…` is no part of a group");
    yaml("web:\n  S3cret x: a\n  S3cret x: a\n", "hosts.yml:3: `…` is written twice here");
    yaml(
        "x: &a [u]\nweb:\n  hosts:\n    w:\n      ansible_user: *a\n",
        "hosts.yml:1: a group should be a mapping here",
    );
    yaml(
        "web:\n  vars: {x: &a u}\n  hosts:\n    w:\n      ansible_user: *a\n",
        "hosts.yml:5: `ansible_user` is an alias (`*name`), which is not read here: write the value itself",
    );
    yaml("web:\n  vars: &a {x: u}\ndb: *a\n", "hosts.yml:3: an alias (`*name`) is not read here");
    yaml("web:\n  vars: &a {x: u}\n  hosts:\n    w: *a\n", "hosts.yml:4: an alias (`*name`) is not read here");
    yaml("web:\n  vars: &a {x: u}\n  hosts:\n    w: {<<: *a}\n", "hosts.yml:4: a merge (`<<`) is not read here");
    yaml("web:\n  hosts: &a\n    w:\n  children: *a\n", "hosts.yml:4: an alias (`*name`) is not read here");
    yaml("web:\n  hosts:\n    w: {ansible_host: [a]}\n", "hosts.yml:3: `ansible_host` is a list or a mapping");
    yaml("", "hosts.yml: there is no host in it");
    yaml("- w\n", "hosts.yml:1: the groups should be a mapping here");
    yaml("web:\n  hosts:\n    - w\n", "hosts.yml:3: `hosts` should be a mapping here");
    yaml("web:\n  host:\n    w:\n", "hosts.yml:2: `host` is no part of a group");
    yaml("web:\n  hosts:\n    w:\n    w:\n", "hosts.yml:4: `w` is written twice here");
    yaml("web:\n  hosts: &a\n    w:\ndb:\n  hosts: *a\n", "hosts.yml:5: an alias (`*name`) is not read here");
    yaml("web: {hosts: {w: \n", "hosts.yml:");
    yaml("web:\n\thosts:\n", "hosts.yml:");
    yaml(
        "web:\n  hosts:\n    w:\n      ansible_host: !vault |\n        $A\n",
        "hosts.yml:4: `ansible_host` is encrypted",
    );
    yaml("web:\n  children:\n    db:\ndb:\n  children:\n    web:\n", "hosts.yml: groups contain each other");
    yaml("{\"_meta\": {\"hostvars\": {}}, \"web\": [\"w\"]}", "hosts.yml:1: this is the JSON of a dynamic inventory");
    yaml("---\nweb: {hosts: {w: }}\n---\nx: {}\n", "hosts.yml:");
    yaml(&format!("a: {}", "[".repeat(2_000)), "hosts.yml:1: ");
    yaml(&format!("a: {}", "{b: ".repeat(2_000)), "hosts.yml:1: ");
}

#[test]
fn large_inventories_end_soon() {
    let lines = |count: usize| (0..count).map(|n| format!("h{n}.example ansible_user=u{n}\n")).collect::<String>();
    let began = Instant::now();
    check("hosts", &lines(100_000), Err("hosts:65537: there are more than 65536 hosts"));
    check("hosts", "[1:999][1:999]\n", Err("hosts:1: this is more than 65536 hosts"));
    check(
        "hosts",
        &(0..2_000).map(|n| format!("[g{n}]\n")).collect::<String>(),
        Err("hosts:1000: there are more than 1000 groups"),
    );
    let chain: String =
        (0..998).map(|n| format!("[g{n}:children]\ng{}\n[g{n}:vars]\nansible_user=u{n}\n", n + 1)).collect();
    let hosts: String = (0..998).map(|n| format!("[g{n}]\nh{n}\nx{}\n", n / 2)).collect();
    assert!(shown(&format!("{chain}[g998]\nz\n{hosts}"), "hosts").unwrap().contains("g998: u997@z\n"));
    let again = "[a]\nw[1:65000]\n".repeat(8);
    check("hosts", &again, Err("hosts:16: hosts and groups are in others more than 500000 times"));
    let yaml: String = (0..100_000).map(|n| format!("    h{n}:\n")).collect();
    check("hosts.yml", &format!("all:\n  hosts:\n{yaml}"), Err("hosts.yml:65539: there are more than 65536 hosts"));
    check("hosts.yml", &format!("a: [{}]", "1,".repeat(610_000)), Err("hosts.yml:1: the file has too many values"));
    // Without optimisation, and at a high load.
    assert!(began.elapsed().as_secs() < 120, "{:?}", began.elapsed());
}
