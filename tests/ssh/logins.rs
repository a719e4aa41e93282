//! All kinds of logins and all login shells.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use base64ct::{Base64, Encoding as _};
use fleetsweep::demo::{Behaviour, PasswordMethod};
use support::{Dropbear, SshAgent, SshdOptions, Tinyssh, rows};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{UnixListener, UnixStream},
};

use crate::sweeping::{
    DemoClient, PATIENT, at, client, key_login, locked_key, password_login, program, sshd_with, sweep,
};

/// The number after a word in a file in `/proc`.
fn number(file: &str, word: &str) -> f64 {
    let text = fs::read_to_string(file).unwrap();
    let after = text.split_once(word).unwrap().1;
    after.split_whitespace().next().unwrap().parse().unwrap()
}

pub(crate) async fn each_key_exchange_and_cipher_that_is_offered_is_used_with_openssh() {
    let exchanges = [
        "curve25519-sha256",
        "curve25519-sha256@libssh.org",
        "ecdh-sha2-nistp256",
        "ecdh-sha2-nistp384",
        "ecdh-sha2-nistp521",
        "diffie-hellman-group14-sha256",
        "diffie-hellman-group-exchange-sha256",
        "diffie-hellman-group16-sha512",
    ];
    let ciphers = ["aes128-ctr", "aes192-ctr", "aes256-ctr", "aes128-gcm@openssh.com", "chacha20-poly1305@openssh.com"];
    let mut sshds = Vec::new();
    for exchange in exchanges {
        let config = vec![format!("KexAlgorithms {exchange}")];
        sshds.push(sshd_with("/bin/sh", SshdOptions { config, ..SshdOptions::default() }).await);
    }
    for cipher in ciphers {
        let config = vec![format!("Ciphers {cipher}")];
        sshds.push(sshd_with("/bin/sh", SshdOptions { config, ..SshdOptions::default() }).await);
    }
    // New keys during the upload of the agent.
    let config = ["RekeyLimit 128K", "LogLevel DEBUG1"].map(ToOwned::to_owned).to_vec();
    sshds.push(sshd_with("/bin/sh", SshdOptions { config, ..SshdOptions::default() }).await);
    let names = exchanges.iter().chain(&ciphers).chain(&["new keys"]);
    let clients: Vec<String> =
        names.zip(&sshds).map(|(name, sshd)| client(name, at(sshd, 0), &key_login(sshd))).collect();
    sweep(&program(PATIENT, &clients)).await.is_complete();
    let log = sshds.last().unwrap().log();
    assert!(log.contains("ssh_set_newkeys: rekeying"), "{log}");
}

/// The options of a server that offers no secure algorithms of one kind, and the message without `legacy`.
const OLD_SERVERS: [(&str, &[&str], &str); 9] = [
    ("group 14", &["KexAlgorithms diffie-hellman-group14-sha1"], "key exchange"),
    ("group 1", &["KexAlgorithms diffie-hellman-group1-sha1"], "key exchange"),
    ("group exchange", &["KexAlgorithms diffie-hellman-group-exchange-sha1"], "key exchange"),
    ("aes128-cbc", &["Ciphers aes128-cbc"], "cipher"),
    ("aes256-cbc", &["Ciphers aes256-cbc"], "cipher"),
    ("3des-cbc", &["Ciphers 3des-cbc"], "cipher"),
    ("hmac-sha1", &["Ciphers aes128-ctr", "MACs hmac-sha1"], "MAC"),
    ("hmac-sha1-etm", &["Ciphers aes256-ctr", "MACs hmac-sha1-etm@openssh.com"], "MAC"),
    ("ssh-rsa", &["HostKeyAlgorithms ssh-rsa"], "host key algorithm"),
];

pub(crate) async fn an_old_server_is_collected_with_legacy_and_its_list_is_shown_without() {
    let mut sshds = Vec::new();
    for (name, config, _) in OLD_SERVERS {
        let config = config.iter().map(|line| (*line).to_owned()).collect();
        let host_keys = vec![if name == "ssh-rsa" { "rsa" } else { "ed25519" }];
        let options = SshdOptions { config, addresses: 2, host_keys, ..SshdOptions::default() };
        sshds.push(sshd_with("/bin/sh", options).await);
    }
    let mut clients = Vec::new();
    for ((name, _, _), sshd) in OLD_SERVERS.iter().zip(&sshds) {
        clients.push(client(&format!("old {name}"), at(sshd, 0), &format!(r#"{} legacy="yes""#, key_login(sshd))));
        clients.push(client(name, at(sshd, 1), &key_login(sshd)));
    }
    let swept = sweep(&program(PATIENT, &clients)).await;
    let failed = |name: &str| (swept.client(name).status != "ok").then(|| swept.failure(name));
    for (name, config, kind) in OLD_SERVERS {
        assert_eq!(failed(&format!("old {name}")), None, "{name}");
        let offered = config.last().unwrap().split_once(' ').unwrap().1;
        let (stage, words) = swept.failure(name);
        assert_eq!(stage, "connect", "{words}");
        // OpenSSH adds its extensions to the list of key exchanges.
        let theirs = format!("it offers no {kind} that we accept, only {offered}");
        let hint = format!(r#"; legacy="yes" on the client accepts {offered}"#);
        assert!(words.contains(&theirs) && words.ends_with(&hint), "{name}: {words}");
    }
}

pub(crate) async fn every_kind_of_login_is_collected_and_stored() {
    let sshd = sshd_with("/bin/sh", SshdOptions { addresses: 5, ..SshdOptions::default() }).await;
    let interactive = DemoClient::asking(PasswordMethod::KeyboardInteractive, Behaviour::Healthy).await;
    let agent = SshAgent::start(&sshd.key()).await;
    let locked = locked_key(&sshd, "pass phrase");
    let name = sshd.username();
    let program = program(
        PATIENT,
        &[
            client("password", at(&sshd, 0), &password_login(&name, sshd.user().password())),
            client("key", at(&sshd, 1), &key_login(&sshd)),
            client(
                "locked key",
                at(&sshd, 2),
                &format!(r#"username="{name}" key="{}" passphrase="pass phrase""#, locked.display()),
            ),
            client("ssh-agent", at(&sshd, 3), &format!(r#"username="{name}""#)),
            client("credential", at(&sshd, 4), &password_login(&name, "cred:fleet.password")),
            interactive.named("keyboard-interactive"),
        ],
    )
    .with_environment("SSH_AUTH_SOCK", agent.socket().to_str().unwrap());
    // As systemd passes it to a service.
    let credentials = program.path("credentials");
    fs::create_dir(&credentials).unwrap();
    fs::write(credentials.join("fleet.password"), sshd.user().password()).unwrap();
    let program = program.with_environment("CREDENTIALS_DIRECTORY", credentials.to_str().unwrap());
    let swept = sweep(&program).await;
    swept.is_complete();
    assert_eq!(sshd.log().matches("Accepted password").count(), 2);
    assert_eq!(sshd.log().matches("Accepted publickey").count(), 3);

    let database = program.path("fleetsweep.db");
    let columns = "client_name, client_ip, client_port, host_name, cpu_percent, memory_total_bytes, \
                   memory_used_bytes, memory_percent, uptime_seconds, load_1, disk_percent";
    let samples = rows(&database, &format!("SELECT {columns} FROM v1_samples")).await;
    assert_eq!(samples.len(), 6);
    let host_name = fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    let (memory, uptime) = (number("/proc/meminfo", "MemTotal:") * 1024.0, number("/proc/uptime", ""));
    for sample in samples {
        let text: Vec<String> = sample.iter().map(|value| value.clone().unwrap()).collect();
        let [name, ip, port, host, numbers @ ..] = text.as_slice() else { panic!("{text:?}") };
        let row = swept.client(name);
        assert_eq!((ip, port, host.as_str()), (&row.ip, &row.port.to_string(), host_name.trim()));
        let numbers: Vec<f64> = numbers.iter().map(|number| number.parse().unwrap()).collect();
        let [cpu, total, used, percent, up, load, disk] = numbers.as_slice() else { panic!("{numbers:?}") };
        assert!([cpu, percent, disk].iter().all(|share| (0.0..=100.0).contains(*share)), "{text:?}");
        assert_eq!(*total, memory, "{text:?}");
        assert!(*used > 0.0 && used < total && (used / total * 100.0 - percent).abs() < 0.1, "{text:?}");
        assert!((uptime - up).abs() < 120.0 && *load > 0.0, "{text:?} after {uptime}");
        let near = |shown: Option<f64>, stored: f64| (shown.unwrap() - stored).abs() < 0.1;
        assert!(near(row.cpu_percent, *cpu) && near(row.memory_percent, *percent), "{row:?} {text:?}");
        assert_eq!(row.uptime_seconds.map(|seconds| seconds as f64), Some(*up));
    }
    let collections =
        rows(&database, "SELECT DISTINCT status, attempts, stage, error FROM v1_collections ORDER BY client_port")
            .await;
    assert_eq!(collections, [[Some("ok".to_owned()), Some("1".to_owned()), None, None]]);
}

pub(crate) async fn every_login_shell_is_collected_whatever_it_prints() {
    // The output of the shell's login script.
    const NOISE: &str = "echo Welcome; echo oops >&2; printf 'no line end'\n";
    let mut servers = Vec::new();
    for (shell, script) in [
        ("sh", ".profile"),
        ("bash", ".bashrc"),
        ("fish", ".config/fish/config.fish"),
        ("tcsh", ".tcshrc"),
        ("zsh", ".zshenv"),
    ] {
        let program = ["/bin", "/usr/bin"].map(|folder| Path::new(folder).join(shell)).into_iter().find(|p| p.exists());
        let sshd = sshd_with(program.unwrap().to_str().unwrap(), SshdOptions::default()).await;
        // tcsh cannot redirect only standard error.
        let noise = if shell == "tcsh" { "echo Welcome; printf 'no line end'\n" } else { NOISE };
        sshd.user().write(script, noise);
        sshd.user().write(".profile", noise);
        servers.push((shell, sshd));
    }
    let dropbear = Dropbear::start("/bin/sh").await;
    let mut clients: Vec<_> =
        servers.iter().map(|(shell, sshd)| client(shell, at(sshd, 0), &key_login(sshd))).collect();
    let login = password_login(dropbear.user().name(), dropbear.user().password());
    clients.push(client("dropbear", (dropbear.address(), dropbear.port()), &login));
    let program = program(PATIENT, &clients);
    // The second time, the agent is there already, so the script takes another path.
    for _ in 0..2 {
        let swept = sweep(&program).await;
        swept.is_complete();
        assert_eq!(swept.clients.len(), 6);
    }
    // The same with a directory of its own, whose name every shell would change.
    let odd = "a  'b\"c $HOME %d `e` \\f !g ü *";
    let placed = |home: &Path, element: &str| {
        let path = home.join(odd).display().to_string();
        let path = path.replace('&', "&amp;").replace('"', "&quot;");
        element.replacen("<client", &format!("<client agent-path=\"{path}\""), 1)
    };
    let homes: Vec<PathBuf> = servers
        .iter()
        .map(|(_, sshd)| sshd.user())
        .chain([dropbear.user()])
        .map(|user| user.home().to_owned())
        .collect();
    let elements: String = clients.iter().zip(&homes).map(|(element, home)| placed(home, element) + "\n").collect();
    program.write_config(&format!("<config>\n{PATIENT}\n{elements}\n</config>\n"));
    for _ in 0..2 {
        sweep(&program).await.is_complete();
    }
    for home in &homes {
        assert_eq!(fs::metadata(home.join(odd)).unwrap().permissions().mode() & 0o777, 0o700);
    }
    let cleaned = program.run(["clean"]).await;
    assert_eq!(cleaned.code, Some(0), "{cleaned:?}");
    for home in &homes {
        assert_eq!(fs::read_dir(home.join(odd)).unwrap().count(), 0, "{cleaned:?}");
    }
}

pub(crate) async fn a_server_that_closes_when_a_command_ends_is_collected() {
    let tinyssh = Tinyssh::start();
    let login = format!(r#"username="{}" key="{}""#, tinyssh.user().name(), tinyssh.key().display());
    // If something of ours arrives while it closes, its system discards what was not sent yet. Another attempt is needed then.
    let settings = r#"<collector timeout="120s" retries="3"/>"#;
    let program = program(settings, &[client("tinyssh", (tinyssh.address(), tinyssh.port()), &login)]);
    for _ in 0..5 {
        sweep(&program).await.is_complete();
    }
}

pub(crate) async fn a_name_with_several_addresses_is_met_at_the_one_that_answers() {
    // `localhost` is ::1 and 127.0.0.1 on most machines. The server only listens on the second address.
    let demo = DemoClient::at(std::net::Ipv4Addr::LOCALHOST.into(), PasswordMethod::Password, Behaviour::Healthy).await;
    let port = demo.address().port();
    let program = program(PATIENT, &[format!(r#"<client ip="localhost" port="{port}" {}/>"#, demo.login())]);
    let swept = sweep(&program).await;
    swept.is_complete();
    assert_eq!((swept.client("localhost").ip.as_str(), swept.client("localhost").port), ("localhost", port));
    let pinned = fs::read_to_string(program.path(".ssh/known_hosts")).unwrap();
    assert_eq!(pinned.trim(), format!("[localhost]:{port} {}", demo.server.host_key().to_openssh().unwrap().trim()));
}

/// An ssh-agent that lists one public key and never signs.
async fn serve_agent_that_does_not_sign(mut stream: UnixStream, key: Vec<u8>) {
    const FAILURE: u8 = 5;
    const REQUEST_IDENTITIES: u8 = 11;
    const IDENTITIES_ANSWER: u8 = 12;
    const SIGN_REQUEST: u8 = 13;
    while let Ok(length) = stream.read_u32().await {
        let mut request = vec![0; length as usize];
        stream.read_exact(&mut request).await.unwrap();
        let answer = match request.first().copied().unwrap() {
            REQUEST_IDENTITIES => {
                let count = 1_u32.to_be_bytes();
                let length = u32::try_from(key.len()).unwrap().to_be_bytes();
                let no_comment = 0_u32.to_be_bytes();
                [&[IDENTITIES_ANSWER], &count[..], &length[..], &key, &no_comment[..]].concat()
            }
            SIGN_REQUEST => std::future::pending().await,
            _ => vec![FAILURE],
        };
        stream.write_u32(u32::try_from(answer.len()).unwrap()).await.unwrap();
        stream.write_all(&answer).await.unwrap();
    }
}

pub(crate) async fn an_ssh_agent_that_hangs_while_it_signs_is_our_failure_and_not_the_clients() {
    let sshd = sshd_with("/bin/sh", SshdOptions::default()).await;
    let public = fs::read_to_string(sshd.key().with_extension("pub")).unwrap();
    let key = Base64::decode_vec(public.split_whitespace().nth(1).unwrap()).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("socket");
    let listener = UnixListener::bind(&socket).unwrap();
    let serving = tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve_agent_that_does_not_sign(stream, key.clone()));
        }
    });
    // A source of our own credentials has three tenths of the timeout.
    let settings = r#"<collector timeout="15s" retries="0"/>"#;
    let login = format!(r#"username="{}""#, sshd.username());
    let program = program(settings, &[client("one", at(&sshd, 0), &login)])
        .with_environment("SSH_AUTH_SOCK", socket.to_str().unwrap());
    let swept = sweep(&program).await;
    let (stage, error) = swept.failure("one");
    assert_eq!(stage, "authenticate");
    assert!(error.starts_with("credential unusable: the ssh-agent did not sign in time"), "{error}");
    assert!(swept.client("one").duration_ms >= 4_400, "{swept:?}");
    serving.abort();
}
