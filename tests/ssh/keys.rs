//! Every way to log in with a key: of a file, of the ssh-agent, with certificates, of a security token, and the keys that
//! `ssh` uses by default. The server allows two attempts.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use base64ct::{Base64, Encoding as _};
use russh::keys::{Algorithm, PrivateKey};
use sha2::{Digest as _, Sha256};
use signature::Signer as _;
use support::{Fleetsweep, SshAgent, Sshd, SshdOptions};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{UnixListener, UnixStream},
};

use crate::sweeping::{PATIENT, Swept, at, client, program, sshd_with, sweep};

/// Runs a tool in a directory.
fn run(folder: &Path, name: &str, arguments: &[&str]) {
    let output = Command::new(name).args(arguments).current_dir(folder).output().unwrap();
    assert!(output.status.success(), "{name} {arguments:?}: {output:?}");
}

/// Makes a key without passphrase.
fn make(folder: &Path, name: &str, kind: &[&str]) {
    run(folder, "ssh-keygen", &[&["-q", "-N", "", "-C", name, "-f", name, "-t"], kind].concat());
}

fn path(folder: &TempDir, name: &str) -> PathBuf {
    folder.path().join(name)
}

/// A server that allows two attempts and trusts the authority `ca` of the folder.
async fn strict_server(folder: &TempDir, addresses: u16) -> Sshd {
    make(folder.path(), "ca", &["ed25519"]);
    let trusted = format!("TrustedUserCAKeys {}", path(folder, "ca.pub").display());
    let config = vec!["MaxAuthTries 2".to_owned(), trusted];
    sshd_with("/bin/sh", SshdOptions { addresses, config, ..SshdOptions::default() }).await
}

/// Signs a key for the account of a server.
fn certify(folder: &TempDir, key: &str, account: &str, more: &[&str]) {
    let public = format!("{key}.pub");
    let arguments = [&["-q", "-s", "ca", "-I", "test", "-n", account], more, &[public.as_str()]].concat();
    run(folder.path(), "ssh-keygen", &arguments);
}

fn add(agent: &SshAgent, folder: &TempDir, key: &str) {
    let output = Command::new("ssh-add").arg("-q").arg(path(folder, key)).env("SSH_AUTH_SOCK", agent.socket()).output();
    let output = output.unwrap();
    assert!(output.status.success(), "{output:?}");
}

/// The failure of a client, with the folder as DIR.
fn failure(swept: &Swept, name: &str, folder: &TempDir) -> String {
    let (stage, words) = swept.failure(name);
    assert_eq!(stage, "authenticate", "{words}");
    words.replace(folder.path().to_str().unwrap(), "DIR")
}

fn openssh_config(program: &Fleetsweep, text: &str) {
    fs::create_dir_all(program.path(".ssh")).unwrap();
    fs::write(program.path(".ssh/config"), text).unwrap();
}

pub(crate) async fn the_right_key_or_certificate_is_shown_within_two_attempts() {
    let folder = tempfile::tempdir().unwrap();
    let sshd = strict_server(&folder, 9).await;
    let account = sshd.username();
    for number in 0..7 {
        make(folder.path(), &format!("other{number}"), &["ed25519"]);
    }
    for (name, kind) in [
        ("absent", &["ed25519"][..]),
        ("beside", &["rsa", "-b", "2048"]),
        ("of-agent", &["ecdsa"]),
        ("apart", &["ed25519"]),
        ("expired", &["ed25519"]),
    ] {
        make(folder.path(), name, kind);
        let validity: &[&str] = if name == "expired" { &["-V", "20200101:20200102"] } else { &[] };
        if name != "absent" {
            certify(&folder, name, &account, validity);
        }
    }
    fs::copy(sshd.key(), path(&folder, "right")).unwrap();
    fs::copy(sshd.key().with_extension("pub"), path(&folder, "right.pub")).unwrap();
    run(folder.path(), "chmod", &["600", "right"]);
    let agent = SshAgent::start(&path(&folder, "other0")).await;
    for number in 1..7 {
        add(&agent, &folder, &format!("other{number}"));
    }
    for key in ["right", "of-agent", "apart"] {
        add(&agent, &folder, key);
    }
    // Only the agent has these now.
    for file in ["right", "of-agent", "of-agent-cert.pub", "apart"] {
        fs::remove_file(path(&folder, file)).unwrap();
    }
    fs::rename(path(&folder, "apart-cert.pub"), path(&folder, "elsewhere.pub")).unwrap();

    let key = |name: &str| format!(r#"username="{account}" key="{}""#, path(&folder, name).display());
    let unnamed = format!(r#"username="{account}""#);
    let clients = [
        client("chosen", at(&sshd, 0), &key("right.pub")),
        client("certificate beside", at(&sshd, 1), &key("beside")),
        client("certificate of the agent", at(&sshd, 2), &key("of-agent.pub")),
        client("absent", at(&sshd, 3), &key("absent.pub")),
        client("expired", at(&sshd, 4), &key("expired")),
        client("configured", at(&sshd, 5), &unnamed),
        client("certificate elsewhere", at(&sshd, 6), &unnamed),
        client("only", at(&sshd, 7), &unnamed),
    ];
    let program = program(PATIENT, &clients).with_environment("SSH_AUTH_SOCK", agent.socket().to_str().unwrap());
    let show = |name: &str| path(&folder, name).display().to_string();
    let host = |number: usize| at(&sshd, number).0;
    openssh_config(
        &program,
        &format!(
            "Host {}\n IdentityFile {}\nHost {}\n IdentityFile {}\n CertificateFile {}\nHost {}\n IdentitiesOnly yes\n IdentityFile {}\n",
            host(5),
            show("right"),
            host(6),
            show("apart"),
            show("elsewhere.pub"),
            host(7),
            show("right.pub"),
        ),
    );
    let swept = sweep(&program).await;
    for name in
        ["chosen", "certificate beside", "certificate of the agent", "configured", "certificate elsewhere", "only"]
    {
        assert_eq!(swept.client(name).error, None, "{name}: {}", sshd.log());
    }
    let absent = failure(&swept, "absent", &folder);
    let fingerprint = absent.split(['(', ')']).nth(1).unwrap_or_default();
    assert!(fingerprint.starts_with("SHA256:"), "{absent}");
    assert_eq!(
        absent.replace(fingerprint, "…"),
        "credential unusable: the ssh-agent does not have the key DIR/absent.pub (…): add it with `ssh-add DIR/absent`: the server takes publickey, password"
    );
    let expired = failure(&swept, "expired", &folder);
    assert!(expired.starts_with("authentication refused: key DIR/expired was refused: "), "{expired}");
    assert!(expired.contains("the certificate DIR/expired-cert.pub expired at 2020-01-0"), "{expired}");
    let log = sshd.log();
    let accepted = || log.lines().filter(|line| line.starts_with("Accepted publickey"));
    assert_eq!((accepted().count(), accepted().filter(|line| line.contains("-CERT ")).count()), (6, 3), "{log}");
    let checked = program.run(["check", "certificate elsewhere"]).await;
    assert!(!checked.stdout.contains("CertificateFile"), "{}", checked.stdout);
}

pub(crate) async fn the_default_keys_are_used_where_nothing_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let sshd = strict_server(&folder, 3).await;
    let unnamed = format!(r#"username="{}""#, sshd.username());
    let named = format!(r#"username="{}" password="wrong""#, sshd.username());
    let usual = program(PATIENT, &[client("default", at(&sshd, 0), &unnamed), client("named", at(&sshd, 1), &named)]);
    let home = usual.path(".ssh");
    fs::create_dir_all(&home).unwrap();
    make(&home, "id_rsa", &["rsa", "-b", "2048"]);
    run(&home, "ssh-keygen", &["-q", "-p", "-a", "1", "-N", "pass phrase", "-f", "id_rsa"]);
    fs::copy(sshd.key(), home.join("id_ed25519")).unwrap();
    let swept = sweep(&usual).await;
    assert_eq!(swept.client("default").error, None, "{}", sshd.log());
    let (_, words) = swept.failure("named");
    assert!(!words.contains("id_"), "{words}");

    fs::remove_file(home.join("id_ed25519")).unwrap();
    usual.write_config(&format!("<config>{PATIENT}{}</config>", client("locked", at(&sshd, 2), &unnamed)));
    let swept = sweep(&usual).await;
    let (_, words) = swept.failure("locked");
    assert!(
        words.contains(".ssh/id_rsa is locked: give its `passphrase`") && words.contains("no ssh-agent"),
        "{words}"
    );
}

/// A key file, as each way of copying it leaves it, and what the client says about it.
const KEY_FILES: [(&str, &str, Option<&str>); 9] = [
    ("bom", "printf '\\357\\273\\277' > bom; cat key >> bom", None),
    ("windows", "sed 's/$/\\r/' key > windows", None),
    ("indented", "printf '\\n\\n' > indented; sed 's/^/   /' key >> indented", None),
    ("wide", "printf '\\377\\376' > wide; iconv -t UTF-16LE key >> wide", None),
    ("public", "cp key.pub public", Some("contains a public key: name the private key")),
    (
        "putty",
        "printf 'PuTTY-User-Key-File-3: ssh-ed25519\\r\\n' > putty",
        Some("is a PuTTY key: convert it with `puttygen DIR/putty -O private-openssh -o NEW`"),
    ),
    ("hosts", "printf '10.0.0.1 %s' \"$(cat key.pub)\" > hosts", Some("is a known_hosts file")),
    ("half", "head -c 200 key > half", Some("is damaged or cut short")),
    ("folder", "mkdir folder", Some("is a directory: write the path of a private key")),
];

pub(crate) async fn a_key_file_is_used_or_said_as_what_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let addresses = u16::try_from(KEY_FILES.len()).unwrap();
    let sshd = sshd_with("/bin/sh", SshdOptions { addresses, ..SshdOptions::default() }).await;
    fs::copy(sshd.key(), path(&folder, "key")).unwrap();
    fs::copy(sshd.key().with_extension("pub"), path(&folder, "key.pub")).unwrap();
    let mut clients = Vec::new();
    for (number, (name, make, _)) in KEY_FILES.iter().enumerate() {
        run(folder.path(), "sh", &["-ec", make]);
        let login = format!(r#"username="{}" key="{}""#, sshd.username(), path(&folder, name).display());
        clients.push(client(name, at(&sshd, number), &login));
    }
    let swept = sweep(&program(PATIENT, &clients)).await;
    for (name, _, problem) in KEY_FILES {
        match problem {
            None => assert_eq!(swept.client(name).error, None, "{name}"),
            Some(problem) => {
                let words = failure(&swept, name, &folder);
                let expected = format!("credential unusable: the key file DIR/{name} {problem}");
                assert!(words.starts_with(&expected), "{expected}\n{words}");
            }
        }
    }
}

/// The public key of a security token, in SSH's encoding.
fn token_blob(public: &[u8]) -> Vec<u8> {
    [string(TOKEN_KIND), string(public), string(b"ssh:")].concat()
}

const TOKEN_KIND: &[u8] = b"sk-ssh-ed25519@openssh.com";

fn string(bytes: &[u8]) -> Vec<u8> {
    [&u32::try_from(bytes.len()).unwrap().to_be_bytes()[..], bytes].concat()
}

/// An ssh-agent that signs as a security token does.
async fn serve_token(mut stream: UnixStream, key: PrivateKey) {
    const REQUEST_IDENTITIES: u8 = 11;
    const SIGN_REQUEST: u8 = 13;
    let blob = token_blob(&key.public_key().key_data().ed25519().unwrap().0);
    while let Ok(length) = stream.read_u32().await {
        let mut request = vec![0; length as usize];
        stream.read_exact(&mut request).await.unwrap();
        let answer = match request.first().copied().unwrap() {
            REQUEST_IDENTITIES => [&[12], &1_u32.to_be_bytes()[..], &string(&blob), &string(b"token")].concat(),
            SIGN_REQUEST => {
                let rest = request.get(1 + 4 + blob.len()..).unwrap();
                let (length, rest) = rest.split_first_chunk::<4>().unwrap();
                let message = rest.get(..u32::from_be_bytes(*length) as usize).unwrap();
                // The user is present; the fifth signature.
                let state = [1, 0, 0, 0, 5];
                let signed = [&Sha256::digest(b"ssh:")[..], &state, &Sha256::digest(message)[..]].concat();
                let signature = key.try_sign(&signed).unwrap();
                let signature = [&string(TOKEN_KIND)[..], &string(signature.as_bytes()), &state].concat();
                [&[14][..], &string(&signature)].concat()
            }
            _ => vec![5],
        };
        stream.write_u32(u32::try_from(answer.len()).unwrap()).await.unwrap();
        stream.write_all(&answer).await.unwrap();
    }
}

pub(crate) async fn a_key_of_a_security_token_is_used_by_the_ssh_agent() {
    let sshd = sshd_with("/bin/sh", SshdOptions { addresses: 2, ..SshdOptions::default() }).await;
    let key = PrivateKey::random(&mut rand::rng(), Algorithm::Ed25519).unwrap();
    let blob = token_blob(&key.public_key().key_data().ed25519().unwrap().0);
    let public = format!("{} {}\n", str::from_utf8(TOKEN_KIND).unwrap(), Base64::encode_string(&blob));
    fs::write(sshd.key().with_file_name("authorized_keys"), &public).unwrap();
    let folder = tempfile::tempdir().unwrap();
    fs::write(path(&folder, "token.pub"), &public).unwrap();
    let socket = path(&folder, "socket");
    let listener = UnixListener::bind(&socket).unwrap();
    let serving = tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve_token(stream, key.clone()));
        }
    });
    let chosen = format!(r#"username="{}" key="{}""#, sshd.username(), path(&folder, "token.pub").display());
    let unnamed = format!(r#"username="{}""#, sshd.username());
    let clients = [client("chosen", at(&sshd, 0), &chosen), client("any", at(&sshd, 1), &unnamed)];
    let program = program(PATIENT, &clients).with_environment("SSH_AUTH_SOCK", socket.to_str().unwrap());
    sweep(&program).await.is_complete();
    serving.abort();
}

pub(crate) async fn the_certificate_of_a_host_is_accepted_or_refused_with_its_reason() {
    let folder = tempfile::tempdir().unwrap();
    let config = vec![format!("HostCertificate {}", path(&folder, "host-cert.pub").display())];
    let mut sshd = sshd_with("/bin/sh", SshdOptions { addresses: 2, config, ..SshdOptions::default() }).await;
    make(folder.path(), "ca", &["ecdsa"]);
    fs::write(path(&folder, "host.pub"), sshd.host_key("ed25519")).unwrap();
    let (right, _) = at(&sshd, 0);
    let sign = |validity: &str| {
        let name = right.to_string();
        let arguments = ["-q", "-h", "-s", "ca", "-I", "host", "-n", &name, "-V", validity, "host.pub"];
        run(folder.path(), "ssh-keygen", &arguments);
    };
    let login = format!(r#"username="{}" key="{}""#, sshd.username(), sshd.key().display());
    let settings = r#"<collector timeout="120s" retries="0"/><ssh known-hosts="known_hosts"/>"#;
    let program = program(settings, &[client("right", at(&sshd, 0), &login), client("wrong", at(&sshd, 1), &login)]);
    let authority = fs::read_to_string(path(&folder, "ca.pub")).unwrap();
    let known = format!("@cert-authority 127.20.0.* {authority}");
    fs::write(program.path("known_hosts"), &known).unwrap();
    sign("always:forever");
    sshd.stop();
    sshd.listen().await;
    let swept = sweep(&program).await;
    assert_eq!(swept.client("right").error, None, "{}", sshd.log());
    let (stage, words) = swept.failure("wrong");
    assert_eq!(stage, "connect");
    assert!(
        words.starts_with("host key not known: ") && words.ends_with(&format!("its certificate is for {right}")),
        "{words}"
    );
    assert_eq!(fs::read_to_string(program.path("known_hosts")).unwrap(), known, "nothing was pinned");

    sign("20200101:20200102");
    sshd.stop();
    sshd.listen().await;
    let swept = sweep(&program).await;
    let (_, words) = swept.failure("right");
    assert!(words.contains("its certificate expired at 2020-01-0"), "{words}");

    // A revoked authority, and a key that is pinned by itself.
    fs::write(program.path("known_hosts"), format!("{known}@revoked * {authority}")).unwrap();
    let swept = sweep(&program).await;
    let (_, words) = swept.failure("right");
    assert!(words.contains("revokes it"), "{words}");
    fs::write(program.path("known_hosts"), format!("{known}* {}", sshd.host_key("ed25519"))).unwrap();
    sweep(&program).await.is_complete();
}
