//! The connections that a hostile bastion forwards, correctly or with a fault.

use std::{
    collections::HashMap,
    io::{self, Read, Write},
    net::{Shutdown, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
};

use super::{
    fault::Forwarding,
    wire::{Fields, Message, PACKET, SharedSender, WINDOW, lock},
};

/// Reason codes of RFC 4254, section 5.1.
const PROHIBITED: u32 = 1;
const CONNECT_FAILED: u32 = 2;
const RESOURCE_SHORTAGE: u32 = 4;
/// The messages of a flood that are sent together.
const BATCH: usize = 64;

/// The connections of one session, by channel number. Both sides use the same number.
#[derive(Debug, Default)]
pub struct ForwardedConnections(HashMap<u32, Option<TcpStream>>);

impl ForwardedConnections {
    /// Answers the request to open a connection. `fields` are those after the channel number.
    pub fn open(
        &mut self,
        forwarding: Forwarding,
        channel: u32,
        fields: &mut Fields<'_>,
        sender: &SharedSender,
    ) -> io::Result<()> {
        let (_window, _packet) = (fields.number(), fields.number());
        let host = String::from_utf8_lossy(fields.string()).into_owned();
        let port = u16::try_from(fields.number()).expect("a port");
        let refusal =
            |reason: u32, words: &str| Message::new(92).number(channel).number(reason).string(words).string("");
        let confirmation = Message::new(91).number(channel).number(channel).number(WINDOW).number(PACKET);
        let open = u32::try_from(self.0.len()).expect("few");
        match forwarding {
            Forwarding::AtMost(most) if open >= most => {
                lock(sender).send(&refusal(RESOURCE_SHORTAGE, "no more channels"))
            }
            Forwarding::Until(most, words) if open >= most => lock(sender).send(&refusal(CONNECT_FAILED, words)),
            Forwarding::AtMost(_) | Forwarding::Until(..) => {
                let Ok(tcp) = TcpStream::connect((host.as_str(), port)) else {
                    return lock(sender).send(&refusal(CONNECT_FAILED, "Connection refused"));
                };
                lock(sender).send(&confirmation)?;
                let (from, to) = (tcp.try_clone()?, Arc::clone(sender));
                thread::spawn(move || carry(from, channel, &to));
                self.0.insert(channel, Some(tcp));
                Ok(())
            }
            Forwarding::NeverAnswers => Ok(()),
            Forwarding::Refuses(words, times) => lock(sender).send(&refusal(PROHIBITED, &words.repeat(times))),
            Forwarding::RefusesForEver => loop {
                lock(sender).send_all(&vec![refusal(PROHIBITED, "no"); BATCH])?;
            },
            Forwarding::PrintsErrors => {
                lock(sender).send(&confirmation)?;
                loop {
                    let error = Message::new(95).number(channel).number(1).string([b'x'; 1 << 15]);
                    lock(sender).send_all(&vec![error; BATCH])?;
                }
            }
            Forwarding::Nowhere | Forwarding::GoesOnAfterTheEnd => {
                self.0.insert(channel, None);
                lock(sender).send(&confirmation)
            }
            Forwarding::HangsUp => {
                lock(sender).send(&confirmation)?;
                Err(io::ErrorKind::ConnectionAborted.into())
            }
        }
    }

    /// Passes data on to the server that a channel is connected to.
    pub fn pass_on(&mut self, channel: u32, data: &[u8]) {
        if let Some(Some(tcp)) = self.0.get_mut(&channel) {
            // It may have closed the connection.
            let _ = tcp.write_all(data);
        }
    }

    /// The collector sends nothing more in a channel, or has closed it.
    pub fn close(
        &mut self,
        forwarding: Forwarding,
        channel: u32,
        is_closed: bool,
        sender: &SharedSender,
        flooded: &AtomicU64,
    ) -> io::Result<()> {
        if let (Forwarding::GoesOnAfterTheEnd, true) = (forwarding, is_closed) {
            loop {
                lock(sender).send_all(&vec![Message::new(94).number(channel).string([b'x'; 1 << 15]); BATCH])?;
                flooded.fetch_add(BATCH as u64, Ordering::SeqCst);
            }
        }
        match self.0.get(&channel) {
            Some(Some(tcp)) if !is_closed => {
                let _ = tcp.shutdown(Shutdown::Write);
            }
            _ => {}
        }
        if is_closed && let Some(open) = self.0.remove(&channel) {
            if let Some(tcp) = open {
                let _ = tcp.shutdown(Shutdown::Both);
            }
            lock(sender).send(&Message::new(97).number(channel))?;
        }
        Ok(())
    }
}

/// Carries what a server sends, and its end.
fn carry(mut from: TcpStream, channel: u32, to: &SharedSender) {
    let mut buffer = vec![0; 1 << 14];
    while let Ok(bytes @ 1..) = from.read(&mut buffer) {
        if lock(to).send(&Message::new(94).number(channel).string(&buffer[..bytes])).is_err() {
            return;
        }
    }
    // The collector may have closed the connection.
    let _ = lock(to).send(&Message::new(96).number(channel));
}
