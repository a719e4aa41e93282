//! A minimal SSH transport that can send any message at any time: one key exchange, one cipher, arbitrary packets.
//! Received data is not checked.

use std::{
    io::{self, Read, Write},
    net::TcpStream,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use ring::{
    aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey},
    agreement, digest,
    rand::SystemRandom,
    signature::{Ed25519KeyPair, KeyPair},
};

/// The identification of the server.
pub const IDENTIFICATION: &str = "SSH-2.0-hostile";
/// The key exchange without a fault.
pub const CURVE: &str = "curve25519-sha256";
/// The size of its window and the largest packet, bytes.
pub const WINDOW: u32 = 1 << 21;
pub const PACKET: u32 = 1 << 15;

/// A message under construction.
#[derive(Debug, Clone, Default)]
pub struct Message(pub Vec<u8>);

impl Message {
    /// A message with this number.
    pub fn new(number: u8) -> Self {
        Self(vec![number])
    }

    /// Appends a byte.
    #[must_use]
    pub fn byte(mut self, byte: u8) -> Self {
        self.0.push(byte);
        self
    }

    /// Appends a 32-bit number.
    #[must_use]
    pub fn number(mut self, number: u32) -> Self {
        self.0.extend(number.to_be_bytes());
        self
    }

    /// Appends a string.
    ///
    /// # Panics
    /// If it is too long for a packet.
    #[must_use]
    pub fn string(mut self, bytes: impl AsRef<[u8]>) -> Self {
        let bytes = bytes.as_ref();
        self = self.number(u32::try_from(bytes.len()).expect("a string that fits"));
        self.0.extend_from_slice(bytes);
        self
    }

    /// Appends a non-negative number of any size.
    #[must_use]
    pub fn mpint(self, bytes: &[u8]) -> Self {
        let bytes = bytes.iter().position(|byte| *byte != 0).map_or(&[][..], |zeros| &bytes[zeros..]);
        if bytes.first().is_some_and(|byte| *byte > 0x7f) {
            self.string([&[0], bytes].concat())
        } else {
            self.string(bytes)
        }
    }
}

/// The server's `SSH_MSG_KEXINIT` with these key exchanges.
pub fn kexinit(exchanges: &str) -> Message {
    let mut message = Message([&[20][..], &[7; 16]].concat()).string(exchanges).string("ssh-ed25519");
    for list in ["aes128-gcm@openssh.com", "hmac-sha2-256", "none"] {
        message = message.string(list).string(list);
    }
    message.string("").string("").byte(0).number(0)
}

/// Reads the fields of a message from the front.
#[derive(Debug)]
pub struct Fields<'a>(pub &'a [u8]);

impl<'a> Fields<'a> {
    /// A number; 0 if the message has ended.
    pub fn number(&mut self) -> u32 {
        let Some((number, rest)) = self.0.split_first_chunk() else { return 0 };
        self.0 = rest;
        u32::from_be_bytes(*number)
    }

    /// A string; empty if the message has ended.
    pub fn string(&mut self) -> &'a [u8] {
        let length = self.number() as usize;
        let (string, rest) = self.0.split_at_checked(length).unwrap_or_default();
        self.0 = rest;
        string
    }
}

/// The key of one direction and its packet counter.
struct Cipher {
    key: LessSafeKey,
    fixed: [u8; 4],
    count: u64,
}

impl Cipher {
    fn new(key: &[u8], iv: &[u8]) -> Self {
        let key = LessSafeKey::new(UnboundKey::new(&AES_128_GCM, &key[..16]).expect("a key of 16 bytes"));
        let fixed = iv[..4].try_into().expect("4 bytes");
        Self { key, fixed, count: u64::from_be_bytes(iv[4..12].try_into().expect("8 bytes")) }
    }

    fn nonce(&mut self) -> Nonce {
        let mut nonce = [0; 12];
        nonce[..4].copy_from_slice(&self.fixed);
        nonce[4..].copy_from_slice(&self.count.to_be_bytes());
        self.count = self.count.wrapping_add(1);
        Nonce::assume_unique_for_key(nonce)
    }
}

/// Sends to the collector.
pub struct Sender {
    tcp: TcpStream,
    cipher: Option<Cipher>,
}

impl Sender {
    /// Sends a message.
    ///
    /// # Errors
    /// If the connection has ended.
    pub fn send(&mut self, message: &Message) -> io::Result<()> {
        self.send_all(std::slice::from_ref(message))
    }

    /// Sends several messages in one write.
    ///
    /// # Errors
    /// If the connection has ended.
    pub fn send_all(&mut self, messages: &[Message]) -> io::Result<()> {
        let mut bytes = Vec::new();
        for Message(payload) in messages {
            let begin = bytes.len();
            let block = if self.cipher.is_some() { 16 } else { 8 };
            let clear = if self.cipher.is_some() { 1 } else { 5 };
            let padding = 4 + (2 * block - 4 - (payload.len() + clear) % block) % block;
            let padding = if (payload.len() + clear + padding) % block == 0 { padding } else { padding + 1 };
            bytes.extend(u32::try_from(1 + payload.len() + padding).expect("a packet that fits").to_be_bytes());
            bytes.push(u8::try_from(padding).expect("little padding"));
            bytes.extend_from_slice(payload);
            bytes.resize(bytes.len() + padding, 0);
            if let Some(cipher) = &mut self.cipher {
                let nonce = cipher.nonce();
                let (length, content) = bytes[begin..].split_at_mut(4);
                let sealed = cipher.key.seal_in_place_separate_tag(nonce, Aad::from(&length), content);
                bytes.extend_from_slice(sealed.expect("a cipher that works").as_ref());
            }
        }
        self.tcp.write_all(&bytes)
    }

    /// Sends raw bytes.
    ///
    /// # Errors
    /// If the connection has ended.
    pub fn send_raw(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.tcp.write_all(bytes)
    }
}

/// Receives from the collector.
pub struct Receiver {
    tcp: TcpStream,
    cipher: Option<Cipher>,
}

impl Receiver {
    /// The collector's identification.
    ///
    /// # Errors
    /// If the connection has ended.
    pub fn line(&mut self) -> io::Result<Vec<u8>> {
        let mut line = Vec::new();
        loop {
            let mut byte = [0];
            self.tcp.read_exact(&mut byte)?;
            match byte {
                [b'\n'] => return Ok(line),
                [b'\r'] => {}
                [byte] => line.push(byte),
            }
        }
    }

    /// The next message.
    ///
    /// # Errors
    /// If the connection has ended.
    pub fn receive(&mut self) -> io::Result<Vec<u8>> {
        let mut length = [0; 4];
        self.tcp.read_exact(&mut length)?;
        let tag = if self.cipher.is_some() { 16 } else { 0 };
        let mut body = vec![0; u32::from_be_bytes(length) as usize + tag];
        self.tcp.read_exact(&mut body)?;
        if let Some(cipher) = &mut self.cipher {
            let nonce = cipher.nonce();
            cipher.key.open_in_place(nonce, Aad::from(&length), &mut body).map_err(|_| refused())?;
            body.truncate(body.len() - tag);
        }
        let padding = usize::from(*body.first().unwrap_or(&0));
        Ok(body.get(1..body.len().saturating_sub(padding)).unwrap_or_default().to_vec())
    }

    /// The next message with this number. Other messages before it are dropped.
    ///
    /// # Errors
    /// If the connection has ended.
    pub fn receive_only(&mut self, number: u8) -> io::Result<Vec<u8>> {
        loop {
            let message = self.receive()?;
            if message.first() == Some(&number) {
                return Ok(message);
            }
        }
    }
}

/// The sending direction of a session whose threads share it.
pub type SharedSender = Arc<Mutex<Sender>>;

/// The sender, for this thread alone.
pub fn lock(sender: &SharedSender) -> MutexGuard<'_, Sender> {
    sender.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The two directions of a new connection.
///
/// # Errors
/// If it has ended.
pub fn directions(tcp: &TcpStream) -> io::Result<(Sender, Receiver)> {
    tcp.set_nodelay(true)?;
    Ok((Sender { tcp: tcp.try_clone()?, cipher: None }, Receiver { tcp: tcp.try_clone()?, cipher: None }))
}

fn refused() -> io::Error {
    io::Error::other("the cryptography refuses what came")
}

/// The state for key exchanges.
pub struct Keys {
    host_key: Ed25519KeyPair,
    /// The collector's identification.
    pub their_identification: Vec<u8>,
    session: Option<Vec<u8>>,
}

impl Keys {
    /// With the host key in this PKCS#8 document.
    ///
    /// # Panics
    /// If it is not a valid key.
    pub fn new(host_key: &[u8]) -> Self {
        let host_key = Ed25519KeyPair::from_pkcs8(host_key).expect("a host key");
        Self { host_key, their_identification: Vec::new(), session: None }
    }

    /// The host key in SSH's encoding.
    pub fn host_key(&self) -> Vec<u8> {
        Message::default().string("ssh-ed25519").string(self.host_key.public_key()).0
    }

    /// Performs a first or repeated key exchange over Curve25519. `offer` was sent already.
    ///
    /// # Errors
    /// If the connection has ended.
    pub fn exchange(&mut self, offer: &Message, sender: &mut Sender, receiver: &mut Receiver) -> io::Result<()> {
        let theirs = receiver.receive_only(20)?;
        let init = receiver.receive_only(30)?;
        let their_public = Fields(&init[1..]).string();
        let random = SystemRandom::new();
        let secret = agreement::EphemeralPrivateKey::generate(&agreement::X25519, &random).map_err(|_| refused())?;
        let public = secret.compute_public_key().map_err(|_| refused())?;
        let peer = agreement::UnparsedPublicKey::new(&agreement::X25519, their_public);
        let shared = agreement::agree_ephemeral(secret, &peer, |shared| Message::default().mpint(shared).0)
            .map_err(|_| refused())?;
        let hashed = Message::default()
            .string(&self.their_identification)
            .string(IDENTIFICATION)
            .string(&theirs)
            .string(&offer.0)
            .string(self.host_key())
            .string(their_public)
            .string(&public);
        let hash = digest::digest(&digest::SHA256, &[&hashed.0[..], &shared].concat());
        let signature = Message::default().string("ssh-ed25519").string(self.host_key.sign(hash.as_ref())).0;
        let reply = Message::new(31).string(self.host_key()).string(&public).string(signature);
        sender.send_all(&[reply, Message::new(21)])?;
        let session = self.session.get_or_insert_with(|| hash.as_ref().to_vec()).clone();
        let derive = |letter: u8| {
            let seed = [&shared[..], hash.as_ref(), &[letter], &session].concat();
            digest::digest(&digest::SHA256, &seed).as_ref().to_vec()
        };
        sender.cipher = Some(Cipher::new(&derive(b'D'), &derive(b'B')));
        receiver.receive_only(21)?;
        receiver.cipher = Some(Cipher::new(&derive(b'C'), &derive(b'A')));
        Ok(())
    }
}
