//! One HTTP request, for servers of tests.

use std::net::SocketAddr;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::SOON;

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpAnswer {
    /// Its status.
    pub status: u16,
    /// The lines of its head after the first.
    pub headers: String,
    /// Its body.
    pub body: String,
}

/// What a server answers to a GET of a path with its query, with this value of `Accept`; `None` if nobody listens, or the
/// connection ends without a whole answer.
///
/// # Panics
/// If the server neither answers nor ends the connection.
pub async fn http_get(address: SocketAddr, path: &str, accept: &str) -> Option<HttpAnswer> {
    let asking = async {
        let mut stream = TcpStream::connect(address).await.ok()?;
        let request = format!("GET {path} HTTP/1.0\r\nHost: {address}\r\nAccept: {accept}\r\n\r\n");
        stream.write_all(request.as_bytes()).await.ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.ok()?;
        let (head, body) = answer.split_once("\r\n\r\n")?;
        let (status, headers) = head.split_once("\r\n")?;
        let status = status.split(' ').nth(1)?.parse().ok()?;
        Some(HttpAnswer { status, headers: headers.to_owned(), body: body.to_owned() })
    };
    tokio::time::timeout(SOON, asking).await.expect("an answer, or the end of the connection")
}
