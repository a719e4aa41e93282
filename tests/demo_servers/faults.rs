//! The faulty behaviours of the demo server.

use std::{
    fs,
    time::{Duration, Instant},
};

use async_ssh2_tokio::{
    Error,
    client::{AuthMethod, Client, ServerCheckMethod},
};
use fleetsweep::demo::Behaviour;
use support::{SOON, Trial, wait_until};
use tokio::{io::AsyncReadExt, net::TcpStream, time::timeout};

use crate::fixture::{Fixture, PASSWORD, STALLED, USER};

pub(crate) fn trials() -> Vec<Trial> {
    support::trial_list! {
        needs() =>
            each_fault_shows_what_it_promises,
            an_upload_can_stall,
            an_answer_can_stall_be_killed_altered_or_endless,
            a_server_can_change_its_mind;
    }
}

/// The first bytes that a server sends within this time to a client that sends nothing.
async fn greeting(fixture: &Fixture, within: Duration) -> Option<Vec<u8>> {
    let mut stream = TcpStream::connect(fixture.server.address()).await.unwrap();
    let mut bytes = vec![0; 1024];
    let read = timeout(within, stream.read(&mut bytes)).await.ok()?.unwrap();
    bytes.truncate(read);
    Some(bytes)
}

async fn each_fault_shows_what_it_promises() {
    for behaviour in Behaviour::ALL {
        let fixture = Fixture::start(behaviour).await;
        let expected: Option<&[u8]> = match behaviour {
            // `Slow` waits longer than this test.
            Behaviour::Silent | Behaviour::Slow(_) => None,
            Behaviour::GarbageBanner => Some(b"HTTP/1.1 400"),
            Behaviour::EndlessBanner => Some(b"Authorised use only."),
            Behaviour::Healthy
            | Behaviour::Noisy
            | Behaviour::ChangesHostKey
            | Behaviour::RefusesLogin
            | Behaviour::ClosesAfterLogin
            | Behaviour::RefusesCommands
            | Behaviour::StallsMidUpload
            | Behaviour::StallsMidAnswer
            | Behaviour::KillsMidAnswer
            | Behaviour::AltersAnswer
            | Behaviour::EndlessAnswer => Some(b"SSH-2.0-"),
        };
        let seen = greeting(&fixture, if expected.is_some() { SOON } else { STALLED }).await;
        let begins_so = match (&seen, expected) {
            (Some(seen), Some(expected)) => seen.starts_with(expected),
            (seen, expected) => seen.is_none() && expected.is_none(),
        };
        assert!(begins_so, "{behaviour:?}: {seen:?}");
    }

    let fixture = Fixture::start(Behaviour::RefusesLogin).await;
    assert!(matches!(fixture.visit(AuthMethod::with_password(PASSWORD)).await, Err(Error::PasswordWrong)));

    let fixture = Fixture::start(Behaviour::ClosesAfterLogin).await;
    let left = match fixture.visit(AuthMethod::with_password(PASSWORD)).await {
        Ok(client) => client.execute("echo in").await.is_err(),
        Err(_) => true,
    };
    assert!(left, "a command was executed");
    fixture.is_empty().await;

    let fixture = Fixture::start(Behaviour::RefusesCommands).await;
    let done = timeout(STALLED, fixture.enter().await.execute("echo in >file")).await;
    assert!(!matches!(done, Ok(Ok(_))) && !fixture.home.path().join("file").exists());

    let fixture = Fixture::start(Behaviour::Noisy).await;
    let done = fixture.enter().await.execute("echo in").await.unwrap();
    assert!(done.stdout.ends_with("prompt> in\n") && done.stdout.len() > 20, "{:?}", done.stdout);

    let fixture = Fixture::start(Behaviour::Slow(Duration::from_millis(200))).await;
    let started = Instant::now();
    assert_eq!(fixture.enter().await.execute("echo in").await.unwrap().stdout, "in\n");
    assert!(started.elapsed() >= Duration::from_millis(400));

    let fixture = Fixture::start(Behaviour::ChangesHostKey).await;
    let key = fixture.server.host_key().to_openssh().unwrap();
    let only = ServerCheckMethod::with_public_key(key.split(' ').nth(1).unwrap());
    let auth = || AuthMethod::with_password(PASSWORD);
    assert!(Client::connect(fixture.server.address(), USER, auth(), only.clone()).await.is_err());
    fixture.server.behave(Behaviour::Healthy);
    assert!(Client::connect(fixture.server.address(), USER, auth(), only).await.is_ok());
}

async fn an_upload_can_stall() {
    let fixture = Fixture::start(Behaviour::StallsMidUpload).await;
    let client = fixture.enter().await;
    let channel = client.get_channel().await.unwrap();
    channel.exec(true, "cat >file").await.unwrap();
    let bytes = vec![b'x'; 1_000_000];
    let arrived = || fs::metadata(fixture.home.path().join("file")).map_or(0, |file| file.len());
    let stalled = async {
        wait_until("the upload to arrive in part", SOON, async || arrived() >= 64 * 1024).await;
        tokio::time::sleep(STALLED).await;
    };
    tokio::select! {
        sent = channel.data(bytes.as_slice()) => panic!("the upload came to an end: {sent:?}"),
        () = stalled => {}
    }
    assert!(arrived() < 256 * 1024, "{} bytes arrived", arrived());
    client.disconnect().await.unwrap();
    fixture.server.stop().await.unwrap();
}

async fn an_answer_can_stall_be_killed_altered_or_endless() {
    let command = "head -c 5000 /dev/zero | tr '\\0' x; sleep 1000";
    let fixture = Fixture::start(Behaviour::StallsMidAnswer).await;
    let client = fixture.enter().await;
    let stalled = async {
        wait_until("the answer to begin", SOON, async || fixture.server.written().len() >= 1024).await;
        tokio::time::sleep(STALLED).await;
    };
    tokio::select! {
        done = client.execute(command) => panic!("the answer came to an end: {done:?}"),
        () = stalled => {}
    }
    assert_eq!(fixture.server.written().len(), 1024);

    let fixture = Fixture::start(Behaviour::KillsMidAnswer).await;
    let killed = timeout(SOON, fixture.enter().await.execute(command)).await.unwrap();
    assert!(matches!(killed, Err(Error::CommandDidntExit)), "{killed:?}");
    assert_eq!(fixture.server.written().len(), 1024);
    fixture.is_empty().await;
    // The same if the command ends before it can be killed.
    let killed = fixture.enter().await.execute("head -c 5000 /dev/zero | tr '\\0' x").await;
    assert!(matches!(killed, Err(Error::CommandDidntExit)), "{killed:?}");

    let fixture = Fixture::start(Behaviour::AltersAnswer).await;
    let answer = fixture.enter().await.execute("head -c 5000 /dev/zero | tr '\\0' x").await.unwrap().stdout;
    assert_eq!((answer.len(), answer.bytes().filter(|byte| *byte != b'x').count()), (5000, 1));

    let fixture = Fixture::start(Behaviour::EndlessAnswer).await;
    let client = fixture.enter().await;
    let mut channel = client.get_channel().await.unwrap();
    channel.exec(true, command).await.unwrap();
    for _ in 0..1000 {
        assert!(timeout(SOON, channel.wait()).await.unwrap().is_some());
    }
    client.disconnect().await.unwrap();
    fixture.is_empty().await;
}

async fn a_server_can_change_its_mind() {
    let fixture = Fixture::start(Behaviour::Healthy).await;
    let before = fixture.enter().await;
    fixture.server.behave(Behaviour::RefusesLogin);
    assert!(fixture.visit(AuthMethod::with_password(PASSWORD)).await.is_err());
    assert_eq!(before.execute("echo as before").await.unwrap().stdout, "as before\n");
    fixture.server.behave(Behaviour::Healthy);
    fixture.enter().await;
}
