//! One connection of the attach client after the greeting: receives frames and replies and sends orders.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    io::AsyncWriteExt as _,
    net::unix::{OwnedReadHalf, OwnedWriteHalf},
    sync::mpsc,
    time::timeout,
};

use super::Incoming;
use crate::{
    bus::Request,
    fleet::order::Reply,
    relay::line::{self, LONGEST_ORDER, LineError, Lines, OrderLine, SILENCE, ServerLine},
};

/// How long the collector may take to read an order.
const WRITE_WITHIN: Duration = Duration::from_secs(20);

/// How many orders may wait for their reply; further ones are refused.
const MOST_WAITING: usize = 64;

/// Runs until the connection is lost. Returns why.
pub(super) async fn run(
    lines: Lines<OwnedReadHalf>,
    writer: OwnedWriteHalf,
    orders: &mut mpsc::Receiver<Request>,
    out: &mpsc::Sender<Incoming>,
) -> String {
    let waiting = Waiting::default();
    tokio::select! {
        why = listen(lines, &waiting, out) => why,
        why = carry(writer, &waiting, orders) => why,
    }
}

/// The orders that were sent but not answered yet.
#[derive(Debug, Default)]
struct Waiting(Mutex<HashMap<u64, Request>>);

impl Waiting {
    fn held(&self) -> MutexGuard<'_, HashMap<u64, Request>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        for (_, request) in self.held().drain() {
            let text =
                "the connection to the collector broke before it answered: check whether the order was carried out";
            request.answer(Reply::Refused { text: text.to_owned() });
        }
    }
}

/// Passes on what is received.
async fn listen(mut lines: Lines<OwnedReadHalf>, waiting: &Waiting, out: &mpsc::Sender<Incoming>) -> String {
    loop {
        let line = match timeout(SILENCE, lines.next()).await {
            Err(_) => {
                return format!("the collector says nothing for {} s: it hangs, or is stopped", SILENCE.as_secs());
            }
            Ok(Err(LineError::Closed)) => return "the collector has closed the connection".to_owned(),
            Ok(Err(error)) => return error.to_string(),
            // A keepalive.
            Ok(Ok(line)) if line.is_empty() => continue,
            Ok(Ok(line)) => line,
        };
        let told: ServerLine = match line::parse(line).await {
            Ok(told) => told,
            Err(error) => return error.to_string(),
        };
        if let Some(frame) = told.frame
            && out.send(Incoming::Frame(frame)).await.is_err()
        {
            return "nobody listens here any more".to_owned();
        }
        if let (Some(id), Some(reply)) = (told.id, told.reply) {
            let request = waiting.held().remove(&id);
            if let Some(request) = request {
                request.answer(reply);
            }
        }
    }
}

/// Sends orders. There is no deadline for a reply, because executing an order may take long. A collector that hangs
/// sends no keepalives.
async fn carry(mut writer: OwnedWriteHalf, waiting: &Waiting, orders: &mut mpsc::Receiver<Request>) -> String {
    let mut buffer = Vec::new();
    let mut id = 0_u64;
    while let Some(request) = orders.recv().await {
        let refusal = if waiting.held().len() >= MOST_WAITING {
            Some(format!("{MOST_WAITING} orders wait for the collector's reply: the order was not sent"))
        } else {
            id += 1;
            buffer.clear();
            match line::append(&mut buffer, &OrderLine { id, order: request.issued.clone() }) {
                Err(error) => Some(format!("the order cannot be sent: {error}")),
                Ok(()) if buffer.len() > LONGEST_ORDER => {
                    Some(format!("the order names too many clients at once: it has {} bytes", buffer.len()))
                }
                Ok(()) => None,
            }
        };
        if let Some(text) = refusal {
            request.answer(Reply::Refused { text });
            continue;
        }
        waiting.held().insert(id, request);
        match timeout(WRITE_WITHIN, writer.write_all(&buffer)).await {
            Err(_) => return "the collector takes no orders: it hangs, or is stopped".to_owned(),
            Ok(Err(error)) => return format!("the connection broke: {error}"),
            Ok(Ok(())) => {}
        }
    }
    // The sender of orders is gone; the stream continues.
    std::future::pending().await
}
