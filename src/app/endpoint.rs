//! The metrics endpoint of this process: where it listens, from the start of the process to its end, across reloads of the
//! configuration. The protocol is in [`crate::endpoint`], what the pages say in [`pages`].

use std::{io, net::SocketAddr, sync::Arc};

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::{
    app::process::descriptors,
    config::{Config, Metrics},
    endpoint::{Limits, Server},
};

use error::EndpointError;
use pages::Pages;

pub mod error;
pub mod pages;
pub mod progress;

/// The endpoint. It may be off.
#[derive(Debug, Default)]
pub struct Endpoint {
    pages: Arc<Pages>,
    serving: Option<Serving>,
}

/// A listening endpoint. It ends when this is dropped.
#[derive(Debug)]
struct Serving {
    listen: SocketAddr,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Serving {
    fn start(listen: SocketAddr, pages: &Arc<Pages>) -> io::Result<Self> {
        let server = Server::bind(listen)?;
        let stop = CancellationToken::new();
        let limits = Limits::of(descriptors::metrics_connections());
        let task = tokio::spawn(server.run(pages::of(pages.clone()), limits, stop.clone()));
        tracing::info!("metrics are at http://{listen}/metrics");
        Ok(Self { listen, stop, task })
    }

    /// Ends every connection. The address is free afterwards.
    async fn end(mut self) {
        self.stop.cancel();
        if let Err(error) = (&mut self.task).await {
            tracing::error!("the metrics endpoint failed: {error}");
        }
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Endpoint {
    /// Listens as a configuration says, or not at all. If that fails, everything stays as it was.
    ///
    /// # Errors
    /// [`EndpointError`] if the address cannot be used.
    pub async fn listen(&mut self, config: &Config) -> Result<(), EndpointError> {
        let Some(Metrics { listen }) = config.metrics else {
            if let Some(serving) = self.serving.take() {
                serving.end().await;
            }
            return Ok(());
        };
        if self.serving.as_ref().is_some_and(|serving| serving.listen == listen) {
            return Ok(());
        }
        let failed = |error| EndpointError::new(config.file.clone(), listen, error);
        let started = match Serving::start(listen, &self.pages) {
            Ok(started) => Ok(started),
            // The endpoint itself may use the port, at another address.
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => match self.serving.take() {
                Some(before) if before.listen.port() == listen.port() => {
                    let address = before.listen;
                    before.end().await;
                    let started = Serving::start(listen, &self.pages);
                    if started.is_err() {
                        self.serving = Serving::start(address, &self.pages)
                            .inspect_err(|error| tracing::error!("the metrics endpoint at {address} is gone: {error}"))
                            .ok();
                    }
                    started
                }
                before => {
                    self.serving = before;
                    Err(error)
                }
            },
            Err(error) => Err(error),
        };
        if let Some(before) = self.serving.replace(started.map_err(failed)?) {
            before.end().await;
        }
        Ok(())
    }

    /// The pages.
    #[must_use]
    pub fn pages(&self) -> &Arc<Pages> {
        &self.pages
    }

    /// Ends every connection. The next collector can listen at the address.
    pub async fn close(&mut self) {
        self.pages.end();
        if let Some(serving) = self.serving.take() {
            serving.end().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;
    use crate::config::LoadContext;

    fn config(listen: &str) -> Config {
        let metrics = if listen.is_empty() { String::new() } else { format!("<metrics listen='{listen}'/>") };
        let text = format!("<config>{metrics}<client ip='h' username='u'/></config>");
        let context = LoadContext { home: Some("/home/ops".into()), rights: None };
        Config::parse_in(&text, "config.xml", &context).unwrap().config
    }

    fn is_open(address: SocketAddr) -> bool {
        std::net::TcpStream::connect(address).is_ok()
    }

    /// Ports of another loopback address, which nothing else uses.
    fn free() -> SocketAddr {
        TcpListener::bind("127.0.0.77:0").unwrap().local_addr().unwrap()
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_reload_moves_the_endpoint_or_leaves_it_where_it_is() {
        let mut endpoint = Endpoint::default();
        endpoint.listen(&config("")).await.unwrap();
        let (first, second) = (free(), free());
        endpoint.listen(&config(&first.to_string())).await.unwrap();
        assert!(is_open(first));
        endpoint.listen(&config(&second.to_string())).await.unwrap();
        assert_eq!((is_open(first), is_open(second)), (false, true));
        // The same port at an address that contains the present one.
        let everywhere = format!("0.0.0.0:{}", second.port());
        endpoint.listen(&config(&everywhere)).await.unwrap();
        assert!(is_open(second) && is_open(([127, 0, 0, 78], second.port()).into()));
        // What cannot be used changes nothing.
        let taken = TcpListener::bind("127.0.0.77:0").unwrap();
        let refused = endpoint.listen(&config(&taken.local_addr().unwrap().to_string())).await.unwrap_err();
        let expected = format!(
            "config.xml: <metrics listen=\"{}\">: another program listens there: end it (`ss -ltnp` names it), or write another port",
            taken.local_addr().unwrap()
        );
        assert_eq!(refused.to_string(), expected);
        assert!(is_open(second));
        let elsewhere = format!("192.0.2.1:{}", second.port());
        let refused = endpoint.listen(&config(&elsewhere)).await.unwrap_err();
        assert!(refused.to_string().contains("no network interface of this machine has this address"), "{refused}");
        assert!(is_open(second));
        endpoint.listen(&config("")).await.unwrap();
        assert!(!is_open(second));
        endpoint.listen(&config(&first.to_string())).await.unwrap();
        endpoint.close().await;
        assert!(!is_open(first));
    }
}
