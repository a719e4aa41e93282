//! One connection of the attach server after the greeting: sends frames and replies and receives orders. These do not
//! block each other.

use std::time::Duration;

use futures_util::{StreamExt as _, stream::FuturesUnordered};
use tokio::{
    io::{AsyncWrite, AsyncWriteExt as _},
    net::unix::{OwnedReadHalf, OwnedWriteHalf},
    sync::mpsc,
    time::{Instant, sleep_until, timeout},
};

use crate::{
    bus::{Orders, Subscriber},
    fleet::{order::Reply, reading::clean, stream::Frame},
    relay::line::{self, LONGEST_ORDER, LineError, Lines, OrderLine, SIGN_OF_LIFE, ServerLine},
};

/// How long one write may take. A client that reads nothing for this long is disconnected. Meanwhile its subscriber
/// lags, which blocks nobody.
pub(super) const WRITE_WITHIN: Duration = Duration::from_secs(20);

/// How many orders of a connection may be executed at once. At the limit, no further order is read.
const MOST_ORDERS: usize = 16;

/// The most bytes of the stream in one write.
const BATCH: usize = 64 * 1024;

/// The longest account name that is passed on, characters.
const MOST_ACTOR: usize = 64;

/// Serves a connection until one side ends it.
pub(super) async fn run(
    mut lines: Lines<OwnedReadHalf>,
    writer: OwnedWriteHalf,
    subscriber: Subscriber,
    orders: &Orders,
) -> Result<(), String> {
    // As many replies may wait as orders are executed. When the channel is full, an order still counts as being
    // executed.
    let (replies, waiting) = mpsc::channel(MOST_ORDERS);
    lines.allow(LONGEST_ORDER);
    tokio::select! {
        ended = take_orders(lines, orders, replies) => ended,
        ended = tell(writer, subscriber, waiting) => ended,
    }
}

/// Reads orders and executes them concurrently. There is no deadline for the next order. A dead client is detected
/// because it does not read the keepalives.
async fn take_orders(
    mut lines: Lines<OwnedReadHalf>,
    orders: &Orders,
    replies: mpsc::Sender<(u64, Reply)>,
) -> Result<(), String> {
    let mut under_way = FuturesUnordered::new();
    loop {
        let line = tokio::select! {
            Some(()) = under_way.next(), if !under_way.is_empty() => continue,
            line = lines.next(), if under_way.len() < MOST_ORDERS => line,
        };
        let line = match line {
            Ok(line) => line,
            Err(LineError::Closed | LineError::Broken(_)) => return Ok(()),
            Err(error @ (LineError::TooLong(_) | LineError::NotUnderstood(_))) => return Err(error.to_string()),
        };
        let OrderLine { id, mut order } = line::parse(line).await.map_err(|error| error.to_string())?;
        order.actor = clean(&order.actor, MOST_ACTOR);
        let replies = replies.clone();
        under_way.push(async move {
            let reply = orders.ask(order).await;
            // An error means that the connection is ending.
            let _ = replies.send((id, reply)).await;
        });
    }
}

/// Writes the stream and the replies, and keepalives if there is neither.
async fn tell(
    mut writer: impl AsyncWrite + Unpin,
    mut subscriber: Subscriber,
    mut replies: mpsc::Receiver<(u64, Reply)>,
) -> Result<(), String> {
    let mut buffer = Vec::new();
    loop {
        let quiet_until = Instant::now() + SIGN_OF_LIFE;
        tokio::select! {
            biased;
            Some((id, reply)) = replies.recv() => {
                line::append(&mut buffer, &ServerLine { id: Some(id), reply: Some(reply), frame: None })
                    .map_err(|error| error.to_string())?;
            }
            frame = subscriber.next() => match frame {
                Some(frame) => buffer = gather(buffer, frame, &mut subscriber).await.map_err(|error| error.to_string())?,
                None => return Ok(()),
            },
            () = sleep_until(quiet_until) => buffer.push(b'\n'),
        }
        if !write(&mut writer, &buffer, WRITE_WITHIN).await? {
            return Ok(());
        }
        buffer.clear();
        // A whole fleet is large and rare.
        buffer.shrink_to(2 * BATCH);
    }
}

/// A frame and those that wait after it, up to the maximum length.
async fn gather(mut buffer: Vec<u8>, first: Frame, subscriber: &mut Subscriber) -> Result<Vec<u8>, serde_json::Error> {
    let mut next = Some(first);
    while let Some(frame) = next {
        buffer = line::append_frame(buffer, frame).await?;
        next = if buffer.len() < BATCH { subscriber.next_now() } else { None };
    }
    Ok(buffer)
}

/// Writes. Returns false if the client has stopped reading.
async fn write(writer: &mut (impl AsyncWrite + Unpin), mut rest: &[u8], within: Duration) -> Result<bool, String> {
    while !rest.is_empty() {
        match timeout(within, writer.write(rest)).await {
            Err(_) => return Err(format!("it read nothing for {} s", within.as_secs())),
            Ok(Err(_) | Ok(0)) => return Ok(false),
            Ok(Ok(taken)) => rest = rest.get(taken..).unwrap_or_default(),
        }
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt as _, duplex},
        time::timeout,
    };

    use super::*;
    use crate::bus::{EventBus, Publisher};

    #[tokio::test(start_paused = true)]
    async fn a_quiet_connection_shows_signs_of_life() {
        let (_spine, told) = Publisher::new();
        let bus = EventBus::start(told);
        let (near, mut far) = duplex(1 << 20);
        let (_replies, waiting) = mpsc::channel(1);
        let telling = tokio::spawn(tell(near, bus.subscribe(), waiting));
        let mut bytes = Vec::new();
        let began = Instant::now();
        while !bytes.ends_with(b"\n\n\n") {
            assert_ne!(timeout(Duration::from_secs(60), far.read_buf(&mut bytes)).await.unwrap().unwrap(), 0);
        }
        assert_eq!(began.elapsed().as_secs(), 2 * SIGN_OF_LIFE.as_secs());
        bus.finish().await;
        telling.await.unwrap().unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn who_reads_nothing_is_dropped_after_twenty_seconds() {
        let (_spine, told) = Publisher::new();
        let bus = EventBus::start(told);
        let (near, _far) = duplex(16);
        let (_replies, waiting) = mpsc::channel(1);
        let began = Instant::now();
        let why = tell(near, bus.subscribe(), waiting).await.unwrap_err();
        assert_eq!((why.as_str(), began.elapsed().as_secs()), ("it read nothing for 20 s", 20));
    }
}
