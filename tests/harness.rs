//! Tests of the real servers that other tests use: a client from another library connects to each of them, and nothing
//! of them is left afterwards.
#![expect(clippy::unwrap_used, reason = "a test says what failed by panicking")]

use std::{
    fs,
    path::{Path, PathBuf},
};

use async_ssh2_tokio::client::{AuthMethod, Client, ServerCheckMethod};
use lettre::{
    AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor,
    transport::smtp::{
        authentication::Credentials,
        client::{Certificate, Tls, TlsParameters},
    },
};
use support::{Dropbear, Exim, EximOptions, Fleetsweep, Login, SOON, Sshd, SshdOptions, rows, wait_until};

support::trials! {
    needs(Sshd) => the_current_user_enters_a_real_sshd_by_key;
    needs(Sshd, Root) =>
        a_throwaway_user_enters_every_address_by_password_and_is_removed,
        a_reinstalled_sshd_has_another_host_key;
    needs(Sshd, Root, Fish, Tcsh, Zsh) => throwaway_users_have_the_login_shells_they_were_given;
    needs(Dropbear, Root) => a_throwaway_user_enters_a_real_dropbear;
    needs(Exim, Root) =>
        a_real_mail_server_delivers_refuses_and_defers,
        a_real_mail_server_speaks_tls_and_wants_a_login;
    needs() => the_program_runs_in_its_own_directory, another_program_reads_rows_as_text;
}

fn throwaway(shell: &str) -> Login {
    Login::Throwaway { shell: PathBuf::from(shell) }
}

fn only(host_key: &str) -> ServerCheckMethod {
    ServerCheckMethod::with_public_key(host_key.split(' ').nth(1).unwrap())
}

async fn the_current_user_enters_a_real_sshd_by_key() {
    let sshd = Sshd::start(SshdOptions { host_keys: vec!["ed25519", "ecdsa"], ..SshdOptions::default() }).await;
    let at = (sshd.addresses().remove(0).to_string(), sshd.port());
    let auth = AuthMethod::with_key_file(sshd.key(), None);
    let client = Client::connect(at, &sshd.username(), auth, only(&sshd.host_key("ed25519"))).await.unwrap();
    assert_eq!(client.execute("id -un").await.unwrap().stdout.trim(), sshd.username());
    assert!(sshd.log().contains("Accepted publickey"), "{}", sshd.log());
    assert!(sshd.host_key("ecdsa").starts_with("ecdsa-sha2-"));
}

async fn a_throwaway_user_enters_every_address_by_password_and_is_removed() {
    let options = SshdOptions {
        addresses: 300,
        login: throwaway("/bin/sh"),
        config: vec!["ClientAliveInterval 5".to_owned()],
        ..SshdOptions::default()
    };
    let sshd = Sshd::start(options).await;
    let (name, home) = (sshd.user().name().to_owned(), sshd.user().home().to_owned());
    for address in [0, 15, 299].map(|index| sshd.addresses().swap_remove(index)) {
        let auth = AuthMethod::with_password(sshd.user().password());
        let at = (address.to_string(), sshd.port());
        let client = Client::connect(at, &name, auth, ServerCheckMethod::NoCheck).await.unwrap();
        assert_eq!(client.execute("pwd").await.unwrap().stdout.trim(), home.to_str().unwrap());
    }
    drop(sshd);
    assert!(!fs::read_to_string("/etc/passwd").unwrap().contains(&name) && !home.exists());
}

async fn a_reinstalled_sshd_has_another_host_key() {
    let mut sshd = Sshd::start(SshdOptions { login: throwaway("/bin/sh"), ..SshdOptions::default() }).await;
    let before = only(&sshd.host_key("ed25519"));
    sshd.restart_with_new_host_keys().await;
    let after = only(&sshd.host_key("ed25519"));
    for (expected, enters) in [(before, false), (after, true)] {
        let auth = AuthMethod::with_password(sshd.user().password());
        let at = (sshd.addresses().remove(0).to_string(), sshd.port());
        assert_eq!(Client::connect(at, sshd.user().name(), auth, expected).await.is_ok(), enters);
    }
}

async fn throwaway_users_have_the_login_shells_they_were_given() {
    for shell in ["fish", "tcsh", "zsh"] {
        let program = ["/usr/bin", "/bin"].map(|folder| Path::new(folder).join(shell)).into_iter().find(|p| p.exists());
        let login = Login::Throwaway { shell: program.unwrap() };
        let sshd = Sshd::start(SshdOptions { login, ..SshdOptions::default() }).await;
        sshd.user().write(".config/note", "its own\n");
        let auth = AuthMethod::with_key_file(sshd.key(), None);
        let at = (sshd.addresses().remove(0).to_string(), sshd.port());
        let client = Client::connect(at, sshd.user().name(), auth, ServerCheckMethod::NoCheck).await.unwrap();
        let said = client.execute("echo $SHELL; cat .config/note").await.unwrap().stdout;
        assert!(said.contains(shell) && said.ends_with("its own\n"), "{shell}: {said}");
    }
}

async fn a_throwaway_user_enters_a_real_dropbear() {
    let dropbear = Dropbear::start("/bin/sh").await;
    let auth = AuthMethod::with_password(dropbear.user().password());
    let at = (dropbear.address().to_string(), dropbear.port());
    let client = Client::connect(at, dropbear.user().name(), auth, ServerCheckMethod::NoCheck).await.unwrap();
    assert_eq!(client.execute("echo in").await.unwrap().stdout, "in\n");
    assert!(dropbear.log().contains("Password auth succeeded"), "{}", dropbear.log());
}

fn mail(to: &str) -> Message {
    let builder = Message::builder().from("sweep@example.com".parse().unwrap()).to(to.parse().unwrap());
    builder.subject(format!("for {to}")).body("text\n".to_owned()).unwrap()
}

async fn a_real_mail_server_delivers_refuses_and_defers() {
    let exim = Exim::start(EximOptions::default()).await;
    let transport = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous("127.0.0.1").port(exim.address().port());
    let transport = transport.build();
    transport.send(mail("ops@example.com")).await.unwrap();
    let refused = transport.send(mail(Exim::REFUSED)).await.unwrap_err();
    assert_eq!(refused.status().map(|code| code.to_string()).as_deref(), Some("550"));
    let deferred = transport.send(mail(Exim::DEFERRED)).await.unwrap_err();
    assert_eq!(deferred.status().map(|code| code.to_string()).as_deref(), Some("451"));
    wait_until("the mail to be delivered", SOON, async || !exim.mails().is_empty()).await;
    let [delivered] = <[_; 1]>::try_from(exim.mails()).unwrap();
    assert_eq!((delivered.subject.as_str(), delivered.from.as_str()), ("for ops@example.com", "sweep@example.com"));
}

async fn a_real_mail_server_speaks_tls_and_wants_a_login() {
    let login = Some(("sweep".to_owned(), "pass word".to_owned()));
    for options in [
        EximOptions { starttls: true, login: login.clone(), ..EximOptions::default() },
        EximOptions { tls: true, login, ..EximOptions::default() },
    ] {
        let exim = Exim::start(options.clone()).await;
        let send = async |password: Option<&str>| {
            let certificate = Certificate::from_pem(&fs::read(exim.certificate()).unwrap()).unwrap();
            let parameters = TlsParameters::builder("localhost".to_owned()).add_root_certificate(certificate);
            let parameters = parameters.build().unwrap();
            let tls = if options.tls { Tls::Wrapper(parameters) } else { Tls::Required(parameters) };
            let mut transport = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous("127.0.0.1")
                .port(exim.address().port())
                .tls(tls);
            if let Some(password) = password {
                transport = transport.credentials(Credentials::new("sweep".to_owned(), password.to_owned()));
            }
            transport.build().send(mail("ops@example.com")).await
        };
        assert!(send(None).await.is_err() && send(Some("wrong")).await.is_err(), "{options:?}");
        let sent = send(Some("pass word")).await;
        assert!(sent.is_ok(), "{options:?}: {sent:?}\n{}", exim.log());
        wait_until("the mail to be delivered", SOON, async || exim.mails().len() == 1).await;
    }
}

async fn the_program_runs_in_its_own_directory() {
    let program = Fleetsweep::new("/bin/sh").with_config("<config/>").with_environment("NAME", "value");
    let outcome = program.run(["-c", "cat config.xml; echo $NAME $LANG >&2; exit 3"]).await;
    assert_eq!((outcome.code, outcome.stdout.as_str(), outcome.stderr.as_str()), (Some(3), "<config/>", "value\n"));
    let mut running =
        program.spawn(["-c", "trap 'echo ended; exit 0' TERM; echo >ready; while :; do sleep 0.01; done"]);
    wait_until("the program to be ready", SOON, async || program.path("ready").exists()).await;
    assert!(running.is_running());
    running.signal(support::Signal::TERM);
    assert_eq!(running.ended(SOON).await.stdout, "ended\n");
}

async fn another_program_reads_rows_as_text() {
    use sqlx::Connection;
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("a.db");
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(&file).create_if_missing(true);
    let mut connection = sqlx::SqliteConnection::connect_with(&options).await.unwrap();
    sqlx::raw_sql("CREATE TABLE t (a, b, c); INSERT INTO t VALUES (1, NULL, 'x'), (2.5, 7, '')")
        .execute(&mut connection)
        .await
        .unwrap();
    let text = |values: [Option<&str>; 3]| values.map(|value| value.map(str::to_owned)).to_vec();
    assert_eq!(
        rows(&file, "SELECT a, b, c FROM t ORDER BY a").await,
        [text([Some("1"), None, Some("x")]), text([Some("2.5"), Some("7"), Some("")])]
    );
}
