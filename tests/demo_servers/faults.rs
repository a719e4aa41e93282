//! The faults that a server can have.

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

use crate::house::{House, PASSWORD, STALLED, USER};

pub(crate) fn trials() -> Vec<Trial> {
    support::trial_list! {
        needs() =>
            each_fault_shows_what_it_promises,
            an_upload_can_stall,
            an_answer_can_stall_be_killed_altered_or_endless,
            a_server_can_change_its_mind;
    }
}

/// The first bytes that a server sends, within this time, to one who says nothing.
async fn greeting(house: &House, within: Duration) -> Option<Vec<u8>> {
    let mut stream = TcpStream::connect(house.server.address()).await.unwrap();
    let mut bytes = vec![0; 1024];
    let read = timeout(within, stream.read(&mut bytes)).await.ok()?.unwrap();
    bytes.truncate(read);
    Some(bytes)
}

async fn each_fault_shows_what_it_promises() {
    for behaviour in Behaviour::ALL {
        let house = House::start(behaviour).await;
        let expected: Option<&[u8]> = match behaviour {
            // Its silence is longer than is watched here.
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
        let seen = greeting(&house, if expected.is_some() { SOON } else { STALLED }).await;
        let begins_so = match (&seen, expected) {
            (Some(seen), Some(expected)) => seen.starts_with(expected),
            (seen, expected) => seen.is_none() && expected.is_none(),
        };
        assert!(begins_so, "{behaviour:?}: {seen:?}");
    }

    let house = House::start(Behaviour::RefusesLogin).await;
    assert!(matches!(house.visit(AuthMethod::with_password(PASSWORD)).await, Err(Error::PasswordWrong)));

    let house = House::start(Behaviour::ClosesAfterLogin).await;
    let left = match house.visit(AuthMethod::with_password(PASSWORD)).await {
        Ok(client) => client.execute("echo in").await.is_err(),
        Err(_) => true,
    };
    assert!(left, "a command was executed");
    house.is_empty().await;

    let house = House::start(Behaviour::RefusesCommands).await;
    let done = timeout(STALLED, house.enter().await.execute("echo in >file")).await;
    assert!(!matches!(done, Ok(Ok(_))) && !house.home.path().join("file").exists());

    let house = House::start(Behaviour::Noisy).await;
    let done = house.enter().await.execute("echo in").await.unwrap();
    assert!(done.stdout.ends_with("prompt> in\n") && done.stdout.len() > 20, "{:?}", done.stdout);

    let house = House::start(Behaviour::Slow(Duration::from_millis(200))).await;
    let started = Instant::now();
    assert_eq!(house.enter().await.execute("echo in").await.unwrap().stdout, "in\n");
    assert!(started.elapsed() >= Duration::from_millis(400));

    let house = House::start(Behaviour::ChangesHostKey).await;
    let key = house.server.host_key().to_openssh().unwrap();
    let only = ServerCheckMethod::with_public_key(key.split(' ').nth(1).unwrap());
    let auth = || AuthMethod::with_password(PASSWORD);
    assert!(Client::connect(house.server.address(), USER, auth(), only.clone()).await.is_err());
    house.server.behave(Behaviour::Healthy);
    assert!(Client::connect(house.server.address(), USER, auth(), only).await.is_ok());
}

async fn an_upload_can_stall() {
    let house = House::start(Behaviour::StallsMidUpload).await;
    let client = house.enter().await;
    let channel = client.get_channel().await.unwrap();
    channel.exec(true, "cat >file").await.unwrap();
    let bytes = vec![b'x'; 1_000_000];
    let arrived = || fs::metadata(house.home.path().join("file")).map_or(0, |file| file.len());
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
    house.server.stop().await.unwrap();
}

async fn an_answer_can_stall_be_killed_altered_or_endless() {
    let command = "head -c 5000 /dev/zero | tr '\\0' x; sleep 1000";
    let house = House::start(Behaviour::StallsMidAnswer).await;
    let client = house.enter().await;
    let stalled = async {
        wait_until("the answer to begin", SOON, async || house.server.written().len() >= 1024).await;
        tokio::time::sleep(STALLED).await;
    };
    tokio::select! {
        done = client.execute(command) => panic!("the answer came to an end: {done:?}"),
        () = stalled => {}
    }
    assert_eq!(house.server.written().len(), 1024);

    let house = House::start(Behaviour::KillsMidAnswer).await;
    let killed = timeout(SOON, house.enter().await.execute(command)).await.unwrap();
    assert!(matches!(killed, Err(Error::CommandDidntExit)), "{killed:?}");
    assert_eq!(house.server.written().len(), 1024);
    house.is_empty().await;
    // The same where the command has written everything and ended before it could be killed.
    let killed = house.enter().await.execute("head -c 5000 /dev/zero | tr '\\0' x").await;
    assert!(matches!(killed, Err(Error::CommandDidntExit)), "{killed:?}");

    let house = House::start(Behaviour::AltersAnswer).await;
    let answer = house.enter().await.execute("head -c 5000 /dev/zero | tr '\\0' x").await.unwrap().stdout;
    assert_eq!((answer.len(), answer.bytes().filter(|byte| *byte != b'x').count()), (5000, 1));

    let house = House::start(Behaviour::EndlessAnswer).await;
    let client = house.enter().await;
    let mut channel = client.get_channel().await.unwrap();
    channel.exec(true, command).await.unwrap();
    for _ in 0..1000 {
        assert!(timeout(SOON, channel.wait()).await.unwrap().is_some());
    }
    client.disconnect().await.unwrap();
    house.is_empty().await;
}

async fn a_server_can_change_its_mind() {
    let house = House::start(Behaviour::Healthy).await;
    let before = house.enter().await;
    house.server.behave(Behaviour::RefusesLogin);
    assert!(house.visit(AuthMethod::with_password(PASSWORD)).await.is_err());
    assert_eq!(before.execute("echo as before").await.unwrap().stdout, "as before\n");
    house.server.behave(Behaviour::Healthy);
    house.enter().await;
}
