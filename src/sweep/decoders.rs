//! The decoders of what clients send, as functions of bytes alone: for the fuzz targets. Each says something of what it
//! read, so that two ways to cut the same bytes can be compared.

use bytes::Bytes;
use futures_util::FutureExt as _;
use russh::{ChannelMsg, keys::PublicKey};
use tokio::io::AsyncReadExt as _;
use tokio_util::sync::CancellationToken;

use super::{
    delivery::{Heard, Narrow},
    handshake::{Handshake, Lines},
    known_hosts,
};
use crate::fleet::Stage;

/// What a server sends before its messages are encrypted, in pieces of so many bytes: how many bytes are handed on until
/// the end, encryption or a refusal.
#[must_use]
pub fn handshake(bytes: &[u8], piece: usize) -> usize {
    let (mut handshake, mut lines) = (Handshake::new(), Lines::default());
    let mut taken = 0;
    for mut rest in bytes.chunks(piece.max(1)) {
        while !rest.is_empty() && !handshake.is_over() {
            let Ok(portion) = handshake.take(rest, &mut lines) else { return taken };
            taken += portion.bytes;
            rest = rest.get(portion.bytes..).unwrap_or_default();
        }
    }
    taken
}

/// What a command prints, in messages of so many bytes, whose words begin with the nonce: the words, and the output after
/// them.
#[must_use]
pub fn command_output(bytes: &[u8], nonce: &str, piece: usize) -> (Vec<String>, Vec<u8>) {
    let mut heard = Heard::new(nonce.to_owned());
    let mut words = Vec::new();
    for data in bytes.chunks(piece.max(1)) {
        if heard.hear(ChannelMsg::Data { data: Bytes::copy_from_slice(data) }, Stage::Execute).is_err() {
            break;
        }
        words.extend(std::iter::from_fn(|| heard.take_word()).map(|word| format!("{word:?}")));
    }
    (words, heard.into_output())
}

/// What a client says by SFTP: the bytes of it that are handed on to the library.
#[must_use]
pub fn sftp(bytes: &[u8]) -> Vec<u8> {
    let mut handed = Vec::new();
    let mut narrow = Narrow::new(bytes, CancellationToken::new().drop_guard());
    // Bytes that are there already are read at once, and no error comes of them.
    narrow.read_to_end(&mut handed).now_or_never().map_or_else(Vec::new, |_| handed)
}

/// The lines of a `known_hosts` file: what they say of a host and its key, in words.
#[must_use]
pub fn known_hosts(bytes: Vec<u8>, address: &str, port: u16, key: &PublicKey) -> String {
    known_hosts::judge_bytes(bytes, address, port, key)
}
