//! Sessions of a healthy server: logins, commands, uploads and output, and nothing is left afterwards.

use std::{fs, io::ErrorKind};

use async_ssh2_tokio::{
    Error,
    client::{AuthKeyboardInteractive, AuthMethod, Client, ServerCheckMethod},
};
use fleetsweep::demo::{Account, Behaviour, PasswordMethod};
use russh::keys::{Algorithm, PrivateKey, ssh_key::LineEnding};
use support::{SOON, Trial, wait_until};
use tokio::{io::AsyncWriteExt, net::TcpStream, time::timeout};

use crate::fixture::{Fixture, PASSWORD, USER, account, is_alive, open_sockets};

pub(crate) fn trials() -> Vec<Trial> {
    support::trial_list! {
        needs() =>
            a_right_password_executes_commands,
            a_wrong_password_is_refused,
            a_password_can_be_asked_for_interactively,
            an_authorised_key_opens_and_another_does_not,
            a_command_sees_only_its_own_home,
            a_command_that_is_killed_says_by_which_signal,
            a_large_upload_arrives_whole,
            a_large_answer_arrives_whole,
            many_sessions_run_at_once,
            leaving_ends_what_was_started,
            stopping_ends_sessions_in_every_state;
    }
}

async fn a_right_password_executes_commands() {
    let fixture = Fixture::start(Behaviour::Healthy).await;
    let client = fixture.enter().await;
    let done = client.execute("echo out; echo err >&2; exit 3").await.unwrap();
    assert_eq!((done.stdout.as_str(), done.stderr.as_str(), done.exit_status), ("out\n", "err\n", 3));
    drop(client);
    fixture.is_empty().await;
}

async fn a_wrong_password_is_refused() {
    let fixture = Fixture::start(Behaviour::Healthy).await;
    for (user, password) in [(USER, "wrong"), (USER, ""), ("someone else", PASSWORD)] {
        let auth = AuthMethod::with_password(password);
        let refused = Client::connect(fixture.server.address(), user, auth, ServerCheckMethod::NoCheck).await;
        assert!(matches!(refused, Err(Error::PasswordWrong)), "{user}: {refused:?}");
    }
    fixture.is_empty().await;
}

async fn a_password_can_be_asked_for_interactively() {
    let fixture = Fixture::with(
        Account { password: Some((PasswordMethod::KeyboardInteractive, PASSWORD.into())), ..account() },
        Behaviour::Healthy,
    )
    .await;
    let answer = |answer: &str| AuthKeyboardInteractive::new().with_response("Password", answer).into();
    assert_eq!(fixture.visit(answer(PASSWORD)).await.unwrap().execute("echo in").await.unwrap().stdout, "in\n");
    assert!(fixture.visit(answer("wrong")).await.is_err());
    assert!(fixture.visit(AuthMethod::with_password(PASSWORD)).await.is_err());
}

async fn an_authorised_key_opens_and_another_does_not() {
    let [known, unknown] = [(); 2].map(|()| PrivateKey::random(&mut rand::rng(), Algorithm::Ed25519).unwrap());
    let account = Account { authorized_keys: vec![known.public_key().clone()], ..account() };
    let fixture = Fixture::with(account, Behaviour::Healthy).await;
    let auth = |key: &PrivateKey| AuthMethod::with_key(&key.to_openssh(LineEnding::LF).unwrap(), None);
    assert_eq!(fixture.visit(auth(&known)).await.unwrap().execute("echo in").await.unwrap().stdout, "in\n");
    assert!(matches!(fixture.visit(auth(&unknown)).await, Err(Error::KeyAuthFailed)));
    assert!(matches!(fixture.visit(AuthMethod::with_password("")).await, Err(Error::PasswordWrong)));
}

async fn a_command_sees_only_its_own_home() {
    let fixture = Fixture::start(Behaviour::Healthy).await;
    let client = fixture.enter().await;
    let home = fixture.home.path().display();
    let done = client.execute("pwd; echo $HOME $TMPDIR $XDG_RUNTIME_DIR").await.unwrap();
    assert_eq!(done.stdout, format!("{home}\n{home} {home} {home}\n"));
    let variables = client.execute("env | cut -d= -f1 | sort | tr '\\n' ' '").await.unwrap().stdout;
    assert_eq!(variables, "HOME LOGNAME PATH PWD SHELL TMPDIR USER XDG_RUNTIME_DIR ");
}

async fn a_command_that_is_killed_says_by_which_signal() {
    let fixture = Fixture::start(Behaviour::Healthy).await;
    let client = fixture.enter().await;
    for (signal, name) in [("KILL", "KILL"), ("TERM", "TERM"), ("SEGV", "SEGV"), ("USR2", "Custom")] {
        let mut channel = client.get_channel().await.unwrap();
        channel.exec(true, format!("kill -{signal} $$")).await.unwrap();
        let mut messages = Vec::new();
        while let Some(message) = channel.wait().await {
            messages.push(format!("{message:?}"));
        }
        assert!(messages.iter().any(|m| m.starts_with("ExitSignal") && m.contains(name)), "{signal}: {messages:?}");
    }
}

/// Larger than the window of a channel and than any agent.
const LARGE_BYTES: usize = 6 * 1024 * 1024;

async fn a_large_upload_arrives_whole() {
    let fixture = Fixture::start(Behaviour::Healthy).await;
    let bytes: Vec<u8> = (0..=250).cycle().take(LARGE_BYTES).collect();
    let client = fixture.enter().await;
    let channel = client.get_channel().await.unwrap();
    channel.exec(true, format!("head -c {LARGE_BYTES} >file && echo whole")).await.unwrap();
    let (mut reader, writer) = channel.split();
    let answer = async {
        let mut answers = Vec::new();
        while let Some(message) = reader.wait().await {
            answers.push(format!("{message:?}"));
        }
        answers.join(" ")
    };
    // The input does not end; `head` stops after the right number of bytes.
    let (sent, answer) = timeout(SOON, async { tokio::join!(writer.data(bytes.as_slice()), answer) }).await.unwrap();
    sent.unwrap();
    assert!(answer.contains("whole"), "{answer}");
    assert!(fs::read(fixture.home.path().join("file")).unwrap() == bytes, "the file is another one");
}

async fn a_large_answer_arrives_whole() {
    let fixture = Fixture::start(Behaviour::Healthy).await;
    let client = fixture.enter().await;
    let done = client.execute(&format!("head -c {LARGE_BYTES} /dev/zero | tr '\\0' x")).await.unwrap();
    assert_eq!((done.stdout.len(), done.exit_status), (LARGE_BYTES, 0));
    assert!(done.stdout.bytes().all(|byte| byte == b'x'));
    assert_eq!(fixture.server.written().len(), LARGE_BYTES);
}

async fn many_sessions_run_at_once() {
    let fixture = Fixture::start(Behaviour::Healthy).await;
    let visits = (0..30).map(async |number| {
        let client = fixture.enter().await;
        let (a, b) = tokio::join!(
            client.execute("sleep 0.2; echo a"),
            // A second channel of the same session.
            client.execute("echo b")
        );
        format!("{number} {}{}", a.unwrap().stdout.trim(), b.unwrap().stdout.trim())
    });
    let answers = futures_util::future::join_all(visits).await;
    assert_eq!(answers, (0..30).map(|number| format!("{number} ab")).collect::<Vec<_>>());
    fixture.is_empty().await;
}

/// Starts a command that does not end, with a background process. Returns their process ids.
async fn start_lasting(client: &Client) -> Vec<String> {
    let mut channel = client.get_channel().await.unwrap();
    channel.exec(true, "sleep 1000 & echo $$ $!; wait").await.unwrap();
    let pids = loop {
        let message = format!("{:?}", channel.wait().await.expect("the process ids"));
        // The client's `ChannelMsg` can be of another version of russh, so only its debug output is used.
        if let Some((_, rest)) = message.split_once("b\"") {
            break rest.split("\\n").next().unwrap().split(' ').map(str::to_owned).collect::<Vec<_>>();
        }
    };
    assert!(pids.len() == 2 && pids.iter().all(|pid| is_alive(pid)), "{pids:?}");
    // Dropping the channel would close it. It must only end with the session.
    std::mem::forget(channel);
    pids
}

async fn leaving_ends_what_was_started() {
    let fixture = Fixture::start(Behaviour::Healthy).await;
    let client = fixture.enter().await;
    let pids = start_lasting(&client).await;
    wait_until("one session with one command", SOON, async || {
        (fixture.server.connections(), fixture.server.commands()) == (1, 1)
    })
    .await;
    client.disconnect().await.unwrap();
    fixture.is_empty().await;
    wait_until("the processes to end", SOON, async || !pids.iter().any(|pid| is_alive(pid))).await;

    // Closing a channel ends its command but not the session.
    let client = fixture.enter().await;
    let channel = client.get_channel().await.unwrap();
    channel.exec(true, "sleep 1000").await.unwrap();
    wait_until("the command to start", SOON, async || fixture.server.commands() == 1).await;
    channel.close().await.unwrap();
    wait_until("the command to end", SOON, async || fixture.server.commands() == 0).await;
    assert_eq!(client.execute("echo still here").await.unwrap().stdout, "still here\n");
}

async fn stopping_ends_sessions_in_every_state() {
    for behaviour in Behaviour::ALL {
        let fixture = Fixture::start(behaviour).await;
        // One client sends nothing, one has sent its identification, and one has logged in if possible.
        let silent = TcpStream::connect(fixture.server.address()).await.unwrap();
        let mut greeted = TcpStream::connect(fixture.server.address()).await.unwrap();
        greeted.write_all(b"SSH-2.0-test\r\n").await.unwrap();
        let pids =
            if behaviour == Behaviour::Healthy { start_lasting(&fixture.enter().await).await } else { Vec::new() };
        wait_until("the connections to arrive", SOON, async || fixture.server.connections() >= 2).await;
        let address = fixture.server.address();
        fixture.server.stop().await.unwrap();
        // The server has waited for the shell, but not for its background process, which dies when it is scheduled.
        wait_until("the processes to end", SOON, async || !pids.iter().any(|pid| is_alive(pid))).await;
        // The sessions have ended, but the runtime may close the sockets a little later.
        wait_until(&format!("the sockets to be closed: {behaviour:?}"), SOON, async || open_sockets(address) == 0)
            .await;
        assert_eq!(TcpStream::connect(address).await.unwrap_err().kind(), ErrorKind::ConnectionRefused);
        drop((silent, greeted));
    }
}
