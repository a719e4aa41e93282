//! What OpenSSH's configuration says: compared with `ssh -G` for a folder of configurations, and used to reach real
//! servers.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
};

use fleetsweep::ssh_config::{
    Commands, Environment, FileSystem, Files, HostQuery, HostSettings, IdentityAgent, Proxy, Root, resolve,
};
use support::{Fleetsweep, SshAgent, SshdOptions};

use crate::sweeping::{PATIENT, at, program, sshd_with, sweep};

/// What is known about a host: keywords and their values.
type Said = BTreeMap<&'static str, Vec<String>>;

/// What is compared. `paths` are those of keys and certificates, which `ssh -G` does not expand.
const COMPARED: [&str; 13] = [
    "hostname",
    "port",
    "user",
    "identityfile",
    "certificatefile",
    "identitiesonly",
    "identityagent",
    "proxyjump",
    "proxycommand",
    "userknownhostsfile",
    "globalknownhostsfile",
    "hostkeyalias",
    "paths",
];

fn ssh(arguments: &[&str], file: &Path, host: &str) -> std::process::Output {
    Command::new("ssh").args(arguments).arg("-F").arg(file).arg(host).output().unwrap()
}

/// What `ssh` says, in the form of [`of_ours`]; `None` if it refuses the file.
fn of_ssh(file: &Path, host: &str, ours: &HostSettings) -> Option<Said> {
    let output = ssh(&["-G"], file, host);
    if !output.status.success() {
        return None;
    }
    let mut said = Said::new();
    for line in String::from_utf8(output.stdout).unwrap().lines() {
        let (name, value) = line.split_once(' ').unwrap_or((line, ""));
        let Some(name) = COMPARED.into_iter().find(|known| *known == name) else { continue };
        let value = match name {
            // It shows these two as they are written.
            "proxycommand" => {
                let port = ours.port.as_ref().map_or(22, |port| port.value).to_string();
                value.replace("%h", &ours.host_name).replace("%p", &port)
            }
            "proxyjump" => {
                let hop = |hop: &str| hop.strip_prefix("ssh://").unwrap_or(hop).trim_end_matches('/').to_owned();
                value.split(',').map(hop).collect::<Vec<_>>().join(",")
            }
            _ => value.to_owned(),
        };
        said.entry(name).or_default().push(value);
    }
    // Defaults are not settings.
    let is_default = |value: &str| value.starts_with("~/.ssh/id_");
    if let Some(keys) = said.get_mut("identityfile") {
        keys.retain(|key| !key.eq_ignore_ascii_case("none") && (ours.identity_files.is_some() || !is_default(key)));
    }
    for name in ["userknownhostsfile", "globalknownhostsfile"] {
        if let Some(files) = said.get_mut(name) {
            files.retain(|files| !files.contains("/ssh_known_hosts ") && !files.contains("/.ssh/known_hosts "));
        }
    }
    if ours.identity_files.is_some() || !ours.certificate_files.is_empty() {
        let output = ssh(&["-v", "-o", "ProxyCommand=false", "-o", "BatchMode=yes"], file, host);
        let of_keys = ours.identity_files.is_some();
        let mut paths = Vec::new();
        for line in String::from_utf8(output.stderr).unwrap().lines() {
            let Some(line) = line.strip_prefix("debug1: ") else { continue };
            let Some((shown, _)) = line.rsplit_once(" type ") else { continue };
            let shown = shown.replace(r"\\", r"\");
            // It also looks for a certificate beside each key.
            let is_key = shown.starts_with("identity file ") && of_keys && !shown.ends_with("-cert");
            if is_key || shown.starts_with("certificate file ") {
                paths.push(shown);
            }
        }
        paths.sort();
        said.insert("paths", paths);
    }
    said.retain(|_, values| !values.is_empty());
    Some(said)
}

fn of_ours(settings: &HostSettings, account: &str) -> Said {
    let mut said = Said::new();
    let joined = |files: &[PathBuf]| {
        let names: Vec<_> = files.iter().map(|file| file.display().to_string()).collect();
        if names.is_empty() { "none".to_owned() } else { names.join(" ") }
    };
    let keys = || settings.identity_files.iter().flatten();
    let certificates = || settings.certificate_files.iter();
    let one = |value: Option<String>| value.into_iter().collect::<Vec<_>>();
    let is_only = settings.identities_only.as_ref().is_some_and(|only| only.value);
    let proxy = settings.proxy.as_ref().map(|proxy| &proxy.value);
    let mut paths: Vec<String> = keys().map(|key| format!("identity file {}", key.value.path.display())).collect();
    paths.extend(certificates().map(|file| format!("certificate file {}", file.value.path.display())));
    paths.sort();
    let agent = settings.identity_agent.as_ref().map(|agent| match &agent.value {
        IdentityAgent::None => "none".to_owned(),
        IdentityAgent::Variable(name) if name == "SSH_AUTH_SOCK" => name.clone(),
        IdentityAgent::Variable(name) => format!("${name}"),
        IdentityAgent::Socket(path) => path.display().to_string(),
    });
    let jump = match proxy {
        Some(Proxy::Jump(hops)) => Some(hops.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")),
        Some(Proxy::Command(_) | Proxy::None) | None => None,
    };
    let command = match proxy {
        Some(Proxy::Command(command)) => command.clone(),
        Some(Proxy::Jump(_) | Proxy::None) | None => None,
    };
    for (name, values) in [
        ("hostname", vec![settings.host_name.clone()]),
        ("port", vec![settings.port.as_ref().map_or(22, |port| port.value).to_string()]),
        ("user", vec![settings.user.as_ref().map_or(account, |user| &user.value).to_owned()]),
        ("identityfile", keys().map(|key| key.value.written.clone()).collect()),
        ("certificatefile", certificates().map(|file| file.value.written.clone()).collect()),
        ("identitiesonly", vec![if is_only { "yes" } else { "no" }.to_owned()]),
        ("identityagent", one(agent)),
        ("proxyjump", one(jump)),
        ("proxycommand", one(command)),
        ("userknownhostsfile", one(settings.user_known_hosts.as_ref().map(|files| joined(&files.value)))),
        ("globalknownhostsfile", one(settings.global_known_hosts.as_ref().map(|files| joined(&files.value)))),
        ("hostkeyalias", one(settings.host_key_alias.as_ref().map(|alias| alias.value.clone()))),
        ("paths", paths),
    ] {
        said.insert(name, values);
    }
    said.retain(|_, values| !values.is_empty());
    said
}

/// Copies the configurations to a folder that they can name, and returns those that are not included by others.
fn configurations(to: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for folder in ["", "included"] {
        let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/ssh/ssh_config").join(folder);
        fs::create_dir_all(to.join(folder)).unwrap();
        for entry in fs::read_dir(from).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                continue;
            }
            let copy = to.join(folder).join(path.file_name().unwrap());
            fs::write(&copy, fs::read_to_string(&path).unwrap().replace("@DIR@", to.to_str().unwrap())).unwrap();
            // Others may not write what is included, whatever the umask is.
            fs::set_permissions(&copy, fs::Permissions::from_mode(0o600)).unwrap();
            if folder.is_empty() {
                found.push(copy);
            }
        }
    }
    found.sort();
    found
}

pub(crate) async fn every_configuration_means_what_it_means_to_ssh() {
    let folder = tempfile::tempdir().unwrap();
    let home = std::env::home_dir().unwrap();
    let account = whoami::username().unwrap();
    let commands = Commands::default();
    let environment = Environment {
        home: Some(home.clone()),
        user: account.clone(),
        uid: rustix::process::getuid().as_raw(),
        machine: gethostname::gethostname().into_string().unwrap(),
        variable: &|name| std::env::var(name).ok(),
        exec: &|command| commands.ask(command),
    };
    let (mut wrong, mut compared) = (Vec::new(), 0);
    for file in configurations(folder.path()) {
        let text = fs::read_to_string(&file).unwrap();
        let hosts = text.lines().next().unwrap().strip_prefix("# hosts: ").unwrap();
        let root = Root { path: file.clone(), includes_from: home.join(".ssh"), is_required: true, is_private: false };
        let files = Files::load(&[root], Some(&home), &FileSystem);
        for asked in hosts.split_whitespace() {
            let (user, host) =
                asked.split_once('@').map_or((None, asked), |(user, host)| (Some(user.to_owned()), host));
            let ours = resolve(&files, &HostQuery { host: host.to_owned(), user, port: None }, &environment);
            let name = format!("{} {asked}", file.file_name().unwrap().display());
            compared += 1;
            match of_ssh(&file, asked, &ours) {
                None if files.remarks.is_empty() && ours.remarks.is_empty() => {
                    wrong.push(format!("{name}: ssh refuses it, and nothing is said about it"));
                }
                None => {}
                Some(theirs) => {
                    let ours = of_ours(&ours, &account);
                    for keyword in COMPARED.into_iter().filter(|keyword| theirs.get(keyword) != ours.get(keyword)) {
                        let (theirs, ours) = (theirs.get(keyword), ours.get(keyword));
                        wrong.push(format!("{name}: {keyword}\n  ssh  {theirs:?}\n  ours {ours:?}"));
                    }
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {compared}\n{}", wrong.len(), wrong.join("\n"));
    assert!(compared >= 80, "only {compared} were compared");
}

/// The program with this `~/.ssh/config`.
fn with_ssh_config(program: Fleetsweep, text: &str) -> Fleetsweep {
    fs::create_dir_all(program.path(".ssh")).unwrap();
    fs::write(program.path(".ssh/config"), text).unwrap();
    fs::set_permissions(program.path(".ssh/config"), fs::Permissions::from_mode(0o600)).unwrap();
    program
}

pub(crate) async fn what_ssh_config_says_leads_to_the_clients() {
    let gate = sshd_with("/bin/false", SshdOptions::default()).await;
    let far = sshd_with("/bin/sh", SshdOptions { addresses: 5, ..SshdOptions::default() }).await;
    let agent = SshAgent::start(&far.key()).await;
    let host = |name: &str, number: usize, more: &str| {
        let (address, port) = at(&far, number);
        format!("Host {name}\n HostName {address}\n Port {port}\n User {}\n{more}\n", far.username())
    };
    let key = format!(" IdentityFile {}", far.key().display());
    let (gate_host, gate_port) = at(&gate, 0);
    let public = far.key().with_extension("pub");
    let text = [
        host("alias", 0, &format!("{key}\n IdentityFile ~/.ssh/missing\n HostKeyAlias Its-Key")),
        host("behind", 1, &format!("{key}\n ProxyJump gate")),
        host("commanded", 2, &format!("{key}\n ProxyCommand ssh -F ~/gate.conf -W %h:%p gate")),
        host(
            "of-agent",
            3,
            &format!(
                " IdentitiesOnly yes\n IdentityFile {}\n IdentityAgent {}",
                public.display(),
                agent.socket().display()
            ),
        ),
        // What is written in config.xml wins.
        host("written", 4, &format!(" IdentityFile /nonexistent\n ProxyJump nowhere\n{key}")),
        format!(
            "Host gate\n HostName {gate_host}\n Port {gate_port}\n User {}\n IdentityFile {}\n",
            gate.username(),
            gate.key().display()
        ),
        "Host *\n GSSAPIAuthentication yes\n".to_owned(),
    ]
    .concat();
    let clients = ["alias", "behind", "commanded", "of-agent"].map(|name| format!(r#"<client ip="{name}"/>"#));
    let written = format!(r#"<client ip="written" key="{}" via="none"/>"#, far.key().display());
    let clients: Vec<String> = clients.into_iter().chain([written]).collect();
    let program = with_ssh_config(program(PATIENT, &clients), &text);
    let gate_conf = program.path("gate.conf");
    fs::write(
        &gate_conf,
        format!("{text}\n StrictHostKeyChecking no\n UserKnownHostsFile /dev/null\n LogLevel ERROR\n"),
    )
    .unwrap();
    let program = with_ssh_config(program, &text.replace("~/gate.conf", gate_conf.to_str().unwrap()));

    let swept = sweep(&program).await;
    swept.is_complete();
    assert_eq!((swept.client("alias").ip.as_str(), swept.client("alias").port), ("alias", 22), "its identity stays");
    assert_eq!(gate.log().matches("Accepted publickey").count(), 2, "one for the jump, one for the command");
    let known = fs::read_to_string(program.path(".ssh/known_hosts")).unwrap();
    assert!(known.contains("its-key "), "{known}");

    // `check` shows the way, and where each part of it is written.
    let shown = program.run(["check", "alias", "behind"]).await;
    let file = program.path(".ssh/config");
    let line = |number: usize| format!("({}:{number})", file.display());
    for expected in [
        format!("address     {}  {}", at(&far, 0).0, line(2)),
        format!("port        {}  {}", far.port(), line(3)),
        format!("account     {}  {}", far.username(), line(4)),
        format!("key         {}  {}", far.key().display(), line(5)),
        format!("host key    of its-key  {}", line(7)),
        format!("via         {}@{gate_host}:{gate_port}  {}", gate.username(), line(13)),
        "GSSAPIAuthentication has no effect here".to_owned(),
    ] {
        assert!(shown.stdout.contains(&expected), "{expected}\n{}", shown.stdout);
    }
    assert!(!shown.stdout.contains("of-agent"), "{}", shown.stdout);

    // Host keys of other files count, and `config="no"` reads nothing.
    fs::rename(program.path(".ssh/known_hosts"), program.path(".ssh/ours")).unwrap();
    let strict = format!(r#"{PATIENT}<ssh host-keys="strict"/>"#);
    let of = |settings: &str| format!("<config>{settings}{}</config>", r#"<client ip="alias"/>"#);
    program.write_config(&of(&strict));
    assert_eq!(sweep(&program).await.failure("alias").0, "connect");
    fs::write(&file, format!("{text}UserKnownHostsFile ~/.ssh/nothing ~/.ssh/ours\n")).unwrap();
    sweep(&program).await.is_complete();
    program.write_config(&of(&format!(r#"{PATIENT}<ssh config="no"/>"#)));
    let refused = program.run(["check"]).await;
    assert_eq!(refused.code, Some(2), "{refused:#?}");
    assert!(refused.stderr.contains("`<client>` has no `username`"), "{refused:#?}");
}
