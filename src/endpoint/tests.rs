//! The server over real connections: what it answers, and that nobody can hold it up.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    task::JoinHandle,
    time::{Instant, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{Limits, Page, Pages, Server, StatusCode};

/// How long a test waits for what must happen.
const SOON: Duration = Duration::from_secs(60);

/// Much longer than any test: a limit that is not tested.
const NEVER: Duration = Duration::from_secs(3600);

/// More than the buffers of a connection hold.
const LARGE_BYTES: usize = 64 << 20;

struct Running {
    address: SocketAddr,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

fn start(connections: usize, head_within: Duration, all_within: Duration) -> Running {
    let pages: Pages = Arc::new(|path, accept| {
        let body = match path {
            "/metrics" => Bytes::from(format!("accept: {accept}\n")),
            "/large" => Bytes::from(vec![b'x'; LARGE_BYTES]),
            _ => return None,
        };
        let page = Page { status: StatusCode::OK, content_type: "text/plain; version=0.0.4", body };
        Some(Box::pin(async move { page }))
    });
    let server = Server::bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let (address, stop) = (server.address().unwrap(), CancellationToken::new());
    let limits = Limits { connections, head_within, all_within };
    Running { address, stop: stop.clone(), task: tokio::spawn(server.run(pages, limits, stop)) }
}

impl Running {
    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// What is answered to these bytes until the server ends the connection.
    async fn answer(&self, request: &[u8]) -> String {
        let mut stream = self.connect().await;
        // A server that refuses the request may not read all of it.
        let _ = stream.write_all(request).await;
        rest(&mut stream).await
    }

    /// Waits until a request is answered.
    async fn answers_again(&self) {
        let deadline = Instant::now() + SOON;
        while !self.answer(GET).await.starts_with("HTTP/1.1 200 OK\r\n") {
            assert!(Instant::now() < deadline, "the server answers nobody");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// Everything until the end of a connection. One that was reset has ended.
async fn rest(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    let _ = timeout(SOON, stream.read_to_end(&mut bytes)).await.expect("the server keeps the connection open");
    String::from_utf8(bytes).unwrap()
}

const GET: &[u8] = b"GET /metrics HTTP/1.1\r\nHost: h\r\n\r\n";

#[tokio::test]
async fn a_request_gets_its_page_or_is_refused() {
    let server = start(4, NEVER, NEVER);
    let header = |bytes: usize| format!("GET /metrics HTTP/1.1\r\nHost: h\r\nX: {}\r\n\r\n", "x".repeat(bytes));
    let headers = |count: usize| format!("GET /metrics HTTP/1.1\r\n{}\r\n", "X: y\r\n".repeat(count));
    let post = format!("POST /metrics HTTP/1.1\r\nHost: h\r\nContent-Length: 100000\r\n\r\n{}", "x".repeat(40_000));
    for (request, status, body) in [
        ("GET /metrics HTTP/1.1\r\nHost: h\r\nAccept: text/plain\r\n\r\n", "200 OK", "accept: text/plain\n"),
        ("GET /metrics HTTP/1.1\r\nAccept: a\r\naccept: b;q=0.1\r\n\r\n", "200 OK", "accept: a,b;q=0.1\n"),
        ("GET /metrics?name=x HTTP/1.0\r\n\r\n", "200 OK", "accept: \n"),
        ("GET http://h/metrics HTTP/1.1\r\nHost: h\r\n\r\n", "200 OK", "accept: \n"),
        ("HEAD /metrics HTTP/1.1\r\nHost: h\r\n\r\n", "200 OK", ""),
        (
            "GET /metrics/ HTTP/1.1\r\nHost: h\r\n\r\n",
            "404 Not Found",
            "there is no such page: /metrics and /healthz are there\n",
        ),
        (
            "GET / HTTP/1.1\r\nHost: h\r\n\r\n",
            "404 Not Found",
            "there is no such page: /metrics and /healthz are there\n",
        ),
        ("HEAD /../etc/passwd HTTP/1.1\r\n\r\n", "404 Not Found", ""),
        (&post, "405 Method Not Allowed", "this server only answers GET and HEAD\n"),
        (
            "POST /nothing HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n",
            "405 Method Not Allowed",
            "this server only answers GET and HEAD\n",
        ),
        ("DELETE /metrics HTTP/1.1\r\n\r\n", "405 Method Not Allowed", "this server only answers GET and HEAD\n"),
        ("CONNECT h:22 HTTP/1.1\r\n\r\n", "405 Method Not Allowed", "this server only answers GET and HEAD\n"),
        ("OPTIONS * HTTP/1.1\r\n\r\n", "405 Method Not Allowed", "this server only answers GET and HEAD\n"),
        (&header(7_000), "200 OK", "accept: \n"),
        (&header(9_000), "431 Request Header Fields Too Large", ""),
        (&header(200_000), "431 Request Header Fields Too Large", ""),
        (&headers(60), "200 OK", "accept: \n"),
        (&headers(70), "431 Request Header Fields Too Large", ""),
        ("GET /metrics\r\n\r\n", "400 Bad Request", ""),
        ("hello\r\n\r\n", "400 Bad Request", ""),
        ("\u{16}\u{3}\u{1}\u{2}\0\u{1}\0\u{1}\r\n\r\n", "400 Bad Request", ""),
    ] {
        let answer = server.answer(request.as_bytes()).await;
        let shown: String = request.chars().take(60).collect();
        let (head, found) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{shown:?}: {answer:?}"));
        let (version, rest) = head.split_once(' ').unwrap();
        assert!(version.starts_with("HTTP/1.") && rest.starts_with(status), "{shown:?}: {head}");
        assert_eq!(found, body, "{shown:?}");
        let head = head.to_ascii_lowercase();
        assert_eq!(head.contains("allow: get, head"), status.starts_with("405"), "{head}");
        // A head tells the length of the page all the same.
        assert!(!request.starts_with("HEAD /metrics") || head.contains("content-length: 9"), "{head}");
        assert!(status != "200 OK" || head.contains("content-type: text/plain; version=0.0.4"), "{head}");
        assert!(version == "HTTP/1.0" || head.contains("connection: close"), "{head}");
    }
}

#[tokio::test]
async fn of_requests_that_are_sent_together_only_the_first_is_answered() {
    let server = start(4, NEVER, NEVER);
    let answer = server.answer(&GET.repeat(200)).await;
    assert_eq!(answer.matches("HTTP/1.1 200 OK").count(), 1, "{answer}");
    assert!(answer.ends_with("\r\n\r\naccept: \n"), "{answer}");
}

#[tokio::test]
async fn who_sends_slowly_or_nothing_is_closed_and_the_next_one_is_answered() {
    let server = start(2, Duration::from_millis(300), NEVER);
    let (mut slow, mut silent) = (server.connect().await, server.connect().await);
    let trickle = async {
        // Each byte comes in time, the whole request does not.
        for byte in GET.iter().cycle() {
            if slow.write_all(&[*byte]).await.is_err() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(SOON, trickle).await.expect("a slow sender keeps its connection");
    assert_eq!(rest(&mut silent).await, "");
    server.answers_again().await;
}

#[tokio::test]
async fn who_never_reads_is_closed_and_the_next_one_is_answered() {
    let server = start(1, NEVER, Duration::from_millis(300));
    let mut deaf = server.connect().await;
    deaf.write_all(b"GET /large HTTP/1.1\r\nHost: h\r\n\r\n").await.unwrap();
    server.answers_again().await;
    // What was sent before is less than the page.
    let mut bytes = Vec::new();
    let _ = timeout(SOON, deaf.read_to_end(&mut bytes)).await.expect("the server keeps the connection open");
    assert!(bytes.len() < LARGE_BYTES, "{}", bytes.len());
}

#[tokio::test]
async fn one_connection_too_many_is_closed_at_once() {
    let server = start(2, NEVER, NEVER);
    let (first, mut second) = (server.connect().await, server.connect().await);
    assert_eq!(server.answer(GET).await, "");
    // Those that were there first are served.
    second.write_all(GET).await.unwrap();
    assert!(rest(&mut second).await.starts_with("HTTP/1.1 200 OK\r\n"));
    drop(first);
    server.answers_again().await;
}

#[tokio::test]
async fn a_server_that_is_stopped_ends_its_connections_and_frees_its_address() {
    let server = start(2, NEVER, NEVER);
    let mut idle = server.connect().await;
    server.answers_again().await;
    server.stop.cancel();
    timeout(SOON, server.task).await.expect("the server goes on").unwrap();
    assert_eq!(rest(&mut idle).await, "");
    let taken = Server::bind(server.address).unwrap();
    assert!(Server::bind(taken.address().unwrap()).is_err());
}
