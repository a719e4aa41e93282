//! No password is sent in clear text to another machine: tests with servers that offer no TLS and ask for the password
//! in every way. Also servers that send nothing or never stop.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use support::{Outcome, Trial};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use crate::{
    site::{Config, Watched, program},
    store::{Store, StoreErrorKind},
};
use fleetsweep::config::directories::Environment;

pub(crate) fn trials() -> Vec<Trial> {
    support::trial_list! {
        needs() => no_password_goes_to_another_machine_in_clear, clear_text_is_sent_where_the_configuration_says_so,
            a_server_that_says_nothing_or_never_stops_is_given_up;
    }
}

/// The name of another machine, which resolves to this one.
const REMOTE: &str = "127.1";

const PASSWORD: &str = "hunter2-hunter2";

/// The behaviour of a server.
#[derive(Debug, Clone, Copy, PartialEq)]
enum ServerBehaviour {
    /// Asks for the password in clear text.
    Clear,
    /// Asks for a digest of the password.
    Digest,
    /// Asks for a digest, then for the password in clear text.
    Switch,
    /// Claims to support TLS, but asks for the password without it.
    Pretends,
    Silent,
    /// Begins the longest possible message and sends it without end.
    Endless,
}

/// A fake database server that records what it receives.
struct Fake {
    port: u16,
    heard: Arc<Mutex<Vec<u8>>>,
}

impl Fake {
    async fn start(scheme: &'static str, behaviour: ServerBehaviour) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let heard = Arc::new(Mutex::new(Vec::new()));
        tokio::spawn({
            let heard = heard.clone();
            async move {
                while let Ok((stream, _)) = listener.accept().await {
                    let heard = heard.clone();
                    tokio::spawn(async move {
                        // The client may close the connection at any time.
                        let _ = if scheme == "postgres" {
                            postgres(stream, behaviour, &heard).await
                        } else {
                            mysql(stream, behaviour, &heard).await
                        };
                    });
                }
            }
        });
        Self { port, heard }
    }

    fn url(&self, scheme: &str, host: &str) -> String {
        format!("{scheme}://sweeper:{PASSWORD}@{host}:{}/fleet", self.port)
    }

    fn heard_password(&self) -> bool {
        let heard = self.heard.lock().unwrap();
        heard.windows(PASSWORD.len()).any(|window| window == PASSWORD.as_bytes())
    }
}

async fn hear(stream: &mut TcpStream, heard: &Mutex<Vec<u8>>) -> std::io::Result<usize> {
    let mut bytes = [0; 4096];
    let count = tokio::time::timeout(Duration::from_secs(30), stream.read(&mut bytes)).await??;
    heard.lock().unwrap().extend(&bytes[..count]);
    if count == 0 { Err(std::io::ErrorKind::UnexpectedEof.into()) } else { Ok(count) }
}

async fn flood(stream: &mut TcpStream, beginning: &[u8]) -> std::io::Result<()> {
    stream.write_all(beginning).await?;
    // Slow enough for the machine that runs the tests.
    loop {
        stream.write_all(&[b'x'; 65_536]).await?;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn postgres(mut stream: TcpStream, behaviour: ServerBehaviour, heard: &Mutex<Vec<u8>>) -> std::io::Result<()> {
    const SSL_REQUEST: [u8; 4] = 80_877_103_u32.to_be_bytes();
    hear(&mut stream, heard).await?;
    if heard.lock().unwrap().windows(4).any(|window| window == SSL_REQUEST) {
        stream.write_all(if behaviour == ServerBehaviour::Pretends { b"S" } else { b"N" }).await?;
        if behaviour == ServerBehaviour::Pretends {
            // In place of a TLS handshake.
            stream.write_all(&[b'R', 0, 0, 0, 8, 0, 0, 0, 3]).await?;
        }
        hear(&mut stream, heard).await?;
    }
    let clear = [b'R', 0, 0, 0, 8, 0, 0, 0, 3];
    let digest = [b'R', 0, 0, 0, 12, 0, 0, 0, 5, 1, 2, 3, 4];
    match behaviour {
        ServerBehaviour::Clear | ServerBehaviour::Pretends => stream.write_all(&clear).await?,
        ServerBehaviour::Digest => stream.write_all(&digest).await?,
        ServerBehaviour::Switch => {
            stream.write_all(&digest).await?;
            hear(&mut stream, heard).await?;
            stream.write_all(&clear).await?;
        }
        ServerBehaviour::Silent => {}
        ServerBehaviour::Endless => return flood(&mut stream, &[b'R', 0x7f, 0xff, 0xff, 0xff]).await,
    }
    loop {
        hear(&mut stream, heard).await?;
    }
}

async fn mysql(mut stream: TcpStream, behaviour: ServerBehaviour, heard: &Mutex<Vec<u8>>) -> std::io::Result<()> {
    const SSL: u32 = 0x0800;
    // The capabilities that every client requires, with authentication by plugin.
    let mut capabilities: u32 = 0x0008_a209 | 0x0020_0000;
    if behaviour == ServerBehaviour::Pretends {
        capabilities |= SSL;
    }
    let plugin: &[u8] = match behaviour {
        ServerBehaviour::Clear | ServerBehaviour::Pretends => b"mysql_clear_password\0",
        ServerBehaviour::Digest | ServerBehaviour::Switch | ServerBehaviour::Silent | ServerBehaviour::Endless => {
            b"mysql_native_password\0"
        }
    };
    match behaviour {
        ServerBehaviour::Silent => {
            hear(&mut stream, heard).await?;
            return Ok(());
        }
        ServerBehaviour::Endless => return flood(&mut stream, &[0xff, 0xff, 0xff, 0]).await,
        ServerBehaviour::Clear | ServerBehaviour::Digest | ServerBehaviour::Switch | ServerBehaviour::Pretends => {}
    }
    let mut greeting = vec![10];
    greeting.extend(b"8.0.1\0");
    greeting.extend(1_u32.to_le_bytes());
    greeting.extend(b"12345678\0");
    greeting.extend(&capabilities.to_le_bytes()[..2]);
    greeting.push(45);
    greeting.extend(2_u16.to_le_bytes());
    greeting.extend(&capabilities.to_le_bytes()[2..]);
    greeting.push(21);
    greeting.extend([0; 10]);
    greeting.extend(b"123456789012\0");
    greeting.extend(plugin);
    let packet = |sequence: u8, payload: &[u8]| {
        let length = u32::try_from(payload.len()).unwrap().to_le_bytes();
        [&length[..3], &[sequence], payload].concat()
    };
    stream.write_all(&packet(0, &greeting)).await?;
    hear(&mut stream, heard).await?;
    if behaviour == ServerBehaviour::Switch {
        stream.write_all(&packet(2, b"\xfemysql_clear_password\0\0")).await?;
    }
    loop {
        hear(&mut stream, heard).await?;
    }
}

/// A complete run of the program with that server.
async fn run(url: &str, attributes: &str) -> Outcome {
    let watched = Watched::new();
    // `attributes` begins after the closing quote of the URL.
    let database = format!("{url}{attributes}");
    let config = Config { database, ..watched.config() };
    let outcome = program().with_config(&config.text()).run(["--once"]).await;
    assert!(watched.was_left_alone(), "a client was contacted");
    outcome
}

async fn no_password_goes_to_another_machine_in_clear() {
    for scheme in ["postgres", "mysql"] {
        for behaviour in
            [ServerBehaviour::Clear, ServerBehaviour::Digest, ServerBehaviour::Switch, ServerBehaviour::Pretends]
        {
            let server = Fake::start(scheme, behaviour).await;
            let outcome = run(&server.url(scheme, REMOTE), "").await;
            assert_eq!(outcome.code, Some(3), "{scheme} {behaviour:?}: {outcome:#?}");
            assert!(!server.heard_password(), "{scheme} {behaviour:?}");
            assert!(!outcome.stderr.contains(PASSWORD), "{outcome:#?}");
            if behaviour != ServerBehaviour::Pretends {
                assert!(
                    outcome.stderr.contains("allow clear text with tls=\"off\""),
                    "{scheme} {behaviour:?}: {outcome:#?}"
                );
            }
        }
        // A URL that allows it is an error before any connection.
        let server = Fake::start(scheme, ServerBehaviour::Clear).await;
        let weak = if scheme == "postgres" { "?sslmode=disable" } else { "?ssl-mode=PREFERRED" };
        let outcome = run(&format!("{}{weak}", server.url(scheme, REMOTE)), "").await;
        assert_eq!(outcome.code, Some(2), "{outcome:#?}");
        assert!(outcome.stderr.contains("allows clear text to another machine"), "{outcome:#?}");
        // Not even to this machine if TLS is required.
        let outcome = run(&server.url(scheme, "127.0.0.1"), "\" tls=\"required").await;
        assert_eq!((outcome.code, server.heard_password()), (Some(3), false), "{outcome:#?}");
    }
}

async fn clear_text_is_sent_where_the_configuration_says_so() {
    for scheme in ["postgres", "mysql"] {
        let server = Fake::start(scheme, ServerBehaviour::Clear).await;
        let outcome = run(&server.url(scheme, REMOTE), "\" tls=\"off").await;
        assert_eq!((outcome.code, server.heard_password()), (Some(3), true), "{scheme}: {outcome:#?}");
    }
}

async fn a_server_that_says_nothing_or_never_stops_is_given_up() {
    for scheme in ["postgres", "mysql"] {
        for behaviour in [ServerBehaviour::Silent, ServerBehaviour::Endless] {
            let server = Fake::start(scheme, behaviour).await;
            let url = server.url(scheme, "127.0.0.1").into();
            let began = Instant::now();
            let error = Store::open(&url, &Environment::default()).await.unwrap_err();
            assert_eq!(error.kind, StoreErrorKind::Unreachable, "{scheme} {behaviour:?}: {error:?}");
            assert!(began.elapsed() < Duration::from_secs(30), "{scheme} {behaviour:?}: {:?}", began.elapsed());
        }
    }
}
