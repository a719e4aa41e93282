//! One connection of a hostile SSH server.

use std::{
    collections::HashMap,
    io::{self, Read, Write},
    net::TcpStream,
    process::{Child, ChildStdin, Command, Stdio},
    sync::{Arc, Mutex, atomic::Ordering},
    thread,
    time::Duration,
};

use super::{
    Shared,
    fault::{Fault, Flood, Place, Prints},
    forwarding::ForwardedConnections,
    wire::{
        self, CURVE, Fields, IDENTIFICATION, Keys, Message, PACKET, Receiver, Sender, SharedSender, WINDOW, kexinit,
        lock,
    },
};

/// The number of messages of a flood that are sent together.
const BATCH: usize = 64;

/// Serves one connection until it ends.
pub(super) fn serve(tcp: &TcpStream, shared: &Arc<Shared>) -> io::Result<()> {
    let (mut sender, mut receiver) = wire::directions(tcp)?;
    let mut keys = Keys::new(&shared.host_key);
    if !greet(shared, &mut sender)? {
        // Until the collector closes the connection.
        return io::copy(&mut &*tcp, &mut io::sink()).map(drop);
    }
    keys.their_identification = receiver.line()?;
    if let Some(()) = exchange_hostilely(shared, &mut sender, &mut receiver, &keys)? {
        return io::copy(&mut &*tcp, &mut io::sink()).map(drop);
    }
    let offer = kexinit(CURVE);
    sender.send(&offer)?;
    keys.exchange(&offer, &mut sender, &mut receiver)?;
    log_in(shared, &mut sender, &mut receiver)?;
    Serving {
        shared,
        keys,
        sender: Arc::new(Mutex::new(sender)),
        receiver,
        channels: HashMap::new(),
        forwarded: ForwardedConnections::default(),
        is_flooding: false,
    }
    .serve()
}

/// Sends the identification or what replaces it. Returns whether the session continues.
fn greet(shared: &Shared, sender: &mut Sender) -> io::Result<bool> {
    match shared.fault {
        Fault::Greets(text, pause) => {
            for byte in text.as_bytes() {
                sender.send_raw(&[*byte])?;
                thread::sleep(pause);
            }
            Ok(false)
        }
        Fault::GreetsAndCloses(text) => {
            sender.send_raw(text.as_bytes())?;
            Err(io::ErrorKind::ConnectionAborted.into())
        }
        Fault::GreetsForEver(text) => loop {
            sender.send_raw(text.repeat(1000).as_bytes())?;
        },
        Fault::None
        | Fault::Exchanges(_)
        | Fault::ChoosesGroup(..)
        | Fault::AnswersGroup14With(_)
        | Fault::SendsPacketOf(_)
        | Fault::NeverExchanges
        | Fault::OffersBytes(_)
        | Fault::Banners
        | Fault::RefusesForEver
        | Fault::Refuses(_)
        | Fault::Disconnects(..)
        | Fault::AsksForEver
        | Fault::AsksAtOnce(_)
        | Fault::ShowsPassword(_)
        | Fault::WantsNewPassword
        | Fault::TakesPacketsOf(_)
        | Fault::TakesByteByByte
        | Fault::Prints(_)
        | Fault::Floods(_)
        | Fault::FloodsWhenIdle(_)
        | Fault::HangsUp
        | Fault::Forwards(_) => sender.send_raw(format!("{IDENTIFICATION}\r\n").as_bytes()).map(|()| true),
    }
}

/// Performs the key exchange with the fault; `None` if the fault does not concern it.
fn exchange_hostilely(
    shared: &Shared,
    sender: &mut Sender,
    receiver: &mut Receiver,
    keys: &Keys,
) -> io::Result<Option<()>> {
    let reply = |number: u8, public: &[u8]| {
        let signature = Message::default().string("ssh-ed25519").string([1; 64]).0;
        Message::new(number).string(keys.host_key()).mpint(public).string(signature)
    };
    match shared.fault {
        Fault::Exchanges(names) => {
            sender.send(&kexinit(names))?;
            let init = receiver.receive_only(30)?;
            // As long as the client's value, and smaller than the prime.
            let mut public = vec![0x55; Fields(&init[1..]).string().len()];
            public[0] = 0;
            sender.send(&reply(31, &public))?;
        }
        Fault::ChoosesGroup(bytes, last) => {
            sender.send(&kexinit("diffie-hellman-group-exchange-sha256"))?;
            receiver.receive_only(34)?;
            let prime = [&vec![0xff; bytes - 1][..], &[last]].concat();
            sender.send(&Message::new(31).mpint(&prime).mpint(&[2]))?;
            receiver.receive_only(32)?;
            sender.send(&reply(33, &prime[1..]))?;
        }
        Fault::AnswersGroup14With(public) => {
            sender.send(&kexinit("diffie-hellman-group14-sha256"))?;
            receiver.receive_only(30)?;
            sender.send(&reply(31, public))?;
        }
        Fault::SendsPacketOf(bytes) => {
            sender.send_raw(&bytes.to_be_bytes())?;
            sender.send_raw(&[0; 1 << 16])?;
        }
        Fault::NeverExchanges => loop {
            sender.send_all(&vec![Message::new(2).string("ignored"); 1000])?;
            shared.flooded.fetch_add(1000, Ordering::SeqCst);
        },
        Fault::OffersBytes(bytes) => sender.send(&kexinit(&"x,".repeat(bytes / 2)))?,
        Fault::None
        | Fault::Greets(..)
        | Fault::GreetsAndCloses(_)
        | Fault::GreetsForEver(_)
        | Fault::Banners
        | Fault::RefusesForEver
        | Fault::Refuses(_)
        | Fault::Disconnects(..)
        | Fault::AsksForEver
        | Fault::AsksAtOnce(_)
        | Fault::ShowsPassword(_)
        | Fault::WantsNewPassword
        | Fault::TakesPacketsOf(_)
        | Fault::TakesByteByByte
        | Fault::Prints(_)
        | Fault::Floods(_)
        | Fault::FloodsWhenIdle(_)
        | Fault::HangsUp
        | Fault::Forwards(_) => return Ok(None),
    }
    Ok(Some(()))
}

/// Accepts every login.
fn log_in(shared: &Shared, sender: &mut Sender, receiver: &mut Receiver) -> io::Result<()> {
    receiver.receive_only(5)?;
    sender.send(&Message::new(6).string("ssh-userauth"))?;
    let ask = |questions: u32| {
        (0..questions).fold(Message::new(60).string("").string("").string("").number(questions), |message, _| {
            message.string("?").byte(0)
        })
    };
    loop {
        let request = receiver.receive_only(50)?;
        let mut fields = Fields(&request[1..]);
        let (_user, _service, method) = (fields.string(), fields.string(), fields.string());
        let interactively = Message::new(51).string("keyboard-interactive").byte(0);
        match shared.fault {
            Fault::RefusesForEver | Fault::Refuses(_) | Fault::Disconnects(..) if method == b"none" => {
                sender.send(&Message::new(51).string("publickey,password,keyboard-interactive").byte(0))?;
            }
            Fault::ShowsPassword(place) if method == b"none" => {
                let methods = if place == Place::Question { "keyboard-interactive" } else { "password" };
                sender.send(&Message::new(51).string(methods).byte(0))?;
            }
            Fault::WantsNewPassword if method == b"none" => {
                sender.send(&Message::new(51).string("password").byte(0))?;
            }
            Fault::WantsNewPassword => {
                sender.send(&Message::new(60).string("Your password has expired.").string(""))?;
            }
            Fault::ShowsPassword(place) => return show_password(place, sender, receiver, &mut fields),
            Fault::Banners => loop {
                sender.send_all(&vec![Message::new(53).string("Welcome!").string(""); BATCH])?;
            },
            Fault::RefusesForEver => loop {
                sender.send_all(&vec![Message::new(51).string("password,publickey").byte(1); BATCH])?;
            },
            Fault::Refuses(methods) => {
                sender.send(&Message::new(51).string(methods).byte(0))?;
                return Err(io::ErrorKind::ConnectionAborted.into());
            }
            Fault::Disconnects(code, words) => {
                sender.send(&Message::new(1).number(code).string(words).string("en"))?;
                return Err(io::ErrorKind::ConnectionAborted.into());
            }
            Fault::AsksForEver | Fault::AsksAtOnce(_) if method != b"keyboard-interactive" => {
                sender.send(&interactively)?;
            }
            Fault::AsksForEver => loop {
                sender.send(&ask(0))?;
                receiver.receive_only(61)?;
            },
            Fault::AsksAtOnce(questions) => sender.send(&ask(questions))?,
            Fault::None
            | Fault::Greets(..)
            | Fault::GreetsAndCloses(_)
            | Fault::GreetsForEver(_)
            | Fault::Exchanges(_)
            | Fault::ChoosesGroup(..)
            | Fault::AnswersGroup14With(_)
            | Fault::SendsPacketOf(_)
            | Fault::NeverExchanges
            | Fault::OffersBytes(_)
            | Fault::TakesPacketsOf(_)
            | Fault::TakesByteByByte
            | Fault::Prints(_)
            | Fault::Floods(_)
            | Fault::FloodsWhenIdle(_)
            | Fault::HangsUp
            | Fault::Forwards(_) => return sender.send(&Message::new(52)),
        }
    }
}

/// Ends the session after it has shown the password that it got.
fn show_password(
    place: Place,
    sender: &mut Sender,
    receiver: &mut Receiver,
    request: &mut Fields<'_>,
) -> io::Result<()> {
    let question = |text: &[u8]| {
        Message::new(60).string(text).string(text).string("").number(1).string([text, b" "].concat()).byte(0)
    };
    if place == Place::Question {
        sender.send(&question(b"Password:"))?;
        let answer = receiver.receive_only(61)?;
        let mut fields = Fields(&answer[1..]);
        let (_count, password) = (fields.number(), fields.string());
        sender.send(&question(password))?;
    } else {
        request.0 = request.0.get(1..).unwrap_or_default();
        let password = request.string();
        match place {
            Place::Banner => sender.send(&Message::new(53).string([b"it is ", password].concat()).string(""))?,
            Place::SpelledOut => {
                let letters: Vec<u8> = password.iter().flat_map(|letter| [*letter, b' ']).collect();
                sender.send(&Message::new(53).string(letters).string(""))?;
            }
            Place::CutOff => {
                let words = [&b"x".repeat(300 - "the server says: ".len() - password.len() / 2)[..], password].concat();
                sender.send(&Message::new(53).string(words).string(""))?;
            }
            Place::End | Place::Question => {}
        }
        sender.send(&Message::new(1).number(11).string([b"bye ", password].concat()).string("en"))?;
    }
    Err(io::ErrorKind::ConnectionAborted.into())
}

/// A session after its login.
struct Serving<'a> {
    shared: &'a Arc<Shared>,
    keys: Keys,
    sender: SharedSender,
    receiver: Receiver,
    /// The standard input of each command, by channel number. Both sides use the same number.
    channels: HashMap<u32, Option<ChildStdin>>,
    forwarded: ForwardedConnections,
    is_flooding: bool,
}

impl Serving<'_> {
    fn serve(mut self) -> io::Result<()> {
        loop {
            let message = self.receiver.receive()?;
            let Some((number, content)) = message.split_first() else { continue };
            let mut fields = Fields(content);
            match number {
                90 => {
                    let kind = fields.string();
                    let channel = fields.number();
                    if let (b"direct-tcpip", Fault::Forwards(forwarding)) = (kind, self.shared.fault) {
                        self.forwarded.open(forwarding, channel, &mut fields, &self.sender)?;
                        continue;
                    }
                    let fault = self.shared.fault;
                    let window = if fault == Fault::TakesByteByByte { 1 } else { WINDOW };
                    let packet = if let Fault::TakesPacketsOf(bytes) = fault { bytes } else { PACKET };
                    self.channels.insert(channel, None);
                    let confirmation = Message::new(91).number(channel).number(channel).number(window).number(packet);
                    lock(&self.sender).send(&confirmation)?;
                }
                94 => {
                    let channel = fields.number();
                    let data = fields.string();
                    if let Some(Some(stdin)) = self.channels.get_mut(&channel) {
                        // The command may have ended already.
                        let _ = stdin.write_all(data);
                    }
                    self.forwarded.pass_on(channel, data);
                    let more = u32::try_from(data.len()).expect("a packet");
                    lock(&self.sender).send(&Message::new(93).number(channel).number(more))?;
                }
                96 | 97 => {
                    let channel = fields.number();
                    if let Fault::Forwards(forwarding) = self.shared.fault {
                        self.forwarded.close(forwarding, channel, *number == 97, &self.sender, &self.shared.flooded)?;
                        continue;
                    }
                    self.channels.insert(channel, None);
                    if let (97, Fault::FloodsWhenIdle(flood), false) = (number, self.shared.fault, self.is_flooding) {
                        self.is_flooding = true;
                        self.flood(flood, channel)?;
                    }
                }
                98 => {
                    let channel = fields.number();
                    if fields.string() == b"exec" {
                        let command = String::from_utf8_lossy(Fields(&fields.0[1..]).string()).into_owned();
                        lock(&self.sender).send(&Message::new(99).number(channel))?;
                        self.execute(channel, &command)?;
                    }
                }
                // Keepalive requests.
                80 => lock(&self.sender).send(&Message::new(82))?,
                _ => {}
            }
        }
    }

    fn execute(&mut self, channel: u32, command: &str) -> io::Result<()> {
        let fault = self.shared.fault;
        if fault == Fault::HangsUp {
            return Err(io::ErrorKind::ConnectionAborted.into());
        }
        if let Fault::Prints(prints) = fault {
            return self.print(channel, command, prints);
        }
        if let Fault::Floods(flood) = fault {
            return self.flood(flood, channel);
        }
        let mut child = Command::new("/bin/sh")
            .args(["-c", command])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        self.channels.insert(channel, child.stdin.take());
        let sender = Arc::clone(&self.sender);
        thread::spawn(move || pass_on(child, channel, &sender));
        Ok(())
    }

    /// Prints without end, until the collector ends it.
    fn print(&self, channel: u32, command: &str, prints: Prints) -> io::Result<()> {
        let out = |bytes: &[u8]| Message::new(94).number(channel).string(bytes);
        let error = |bytes: &[u8]| Message::new(95).number(channel).number(1).string(bytes);
        let mut sender = lock(&self.sender);
        // The two halves of the nonce follow the script.
        let after = command.rsplit_once("' fleetsweep ").map_or("", |(_, after)| after);
        let nonce: String = after.split(' ').take(2).collect();
        sender.send(&out(format!("{nonce} ").as_bytes()))?;
        let batch = |message: Message| vec![message; BATCH];
        loop {
            let messages = match prints {
                Prints::Crumbs => batch(out(b"x")),
                Prints::SlowCrumbs(pause) => {
                    thread::sleep(pause);
                    vec![out(b"x")]
                }
                Prints::Errors => batch(error(&[b'x'; 1 << 15])),
                Prints::ErrorCrumbs => batch(error(b"x")),
                Prints::Piece(bytes) => vec![out(&vec![b'x'; bytes])],
            };
            sender.send_all(&messages)?;
            self.shared.flooded.fetch_add(messages.len() as u64, Ordering::SeqCst);
        }
    }

    /// Sends a message without end, until the collector ends the connection.
    fn flood(&mut self, flood: Flood, channel: u32) -> io::Result<()> {
        loop {
            let mut sender = lock(&self.sender);
            if flood == Flood::Keys {
                let offer = kexinit(CURVE);
                sender.send(&offer)?;
                self.keys.exchange(&offer, &mut sender, &mut self.receiver)?;
                self.shared.flooded.fetch_add(1, Ordering::SeqCst);
                continue;
            }
            sender.send_all(&vec![flood.message(channel); BATCH])?;
            self.shared.flooded.fetch_add(BATCH as u64, Ordering::SeqCst);
        }
    }
}

/// Sends the output of a command and its end.
fn pass_on(mut child: Child, channel: u32, sender: &SharedSender) {
    let mut output = child.stdout.take().expect("a pipe");
    let mut buffer = vec![0; 1 << 14];
    while let Ok(bytes @ 1..) = output.read(&mut buffer) {
        let data = Message::new(94).number(channel).string(&buffer[..bytes]);
        if lock(sender).send(&data).is_err() {
            break;
        }
        thread::sleep(Duration::from_millis(1));
    }
    let status = child.wait().ok().and_then(|status| status.code()).unwrap_or(1);
    let exit = Message::new(98).number(channel).string("exit-status").byte(0).number(status as u32);
    // The collector may have closed the connection.
    let _ = lock(sender).send_all(&[exit, Message::new(96).number(channel), Message::new(97).number(channel)]);
}
