//! What a server sends before its messages are encrypted, followed byte by byte: its [first lines](super::first_lines),
//! then packets up to its new keys. Pure. It finds where each packet of a key exchange ends and how much work it causes
//! in the library, and rejects what no honest server sends. The library does the exchange itself and validates it.

use super::{
    abuse::Abuse,
    algorithms::{self, AlgorithmSet, Effort, Exchange, MOST_GROUP_BITS, MOST_RSA_BITS},
    first_lines::FirstLines,
};

#[cfg(any(test, fuzzing))]
pub(super) mod fuzzing;

/// The longest packet that every implementation must accept (RFC 4253, section 6.1).
const PACKET_BYTES: usize = 35_000;
/// The size of the length field of a packet.
const LENGTH_BYTES: usize = 4;

/// Message numbers (RFC 4253, 4419, 5656).
const KEXINIT: u8 = 20;
const NEWKEYS: u8 = 21;
/// The group in a group exchange, and the reply in every other exchange.
const KEX_31: u8 = 31;
const GROUP_EXCHANGE_REPLY: u8 = 33;

/// The position in a handshake.
#[derive(Debug)]
enum Place {
    Lines,
    /// This much of the length of a packet was received.
    Length {
        bytes: [u8; LENGTH_BYTES],
        come: usize,
    },
    /// The length of the packet, and its content so far.
    Packet {
        length: usize,
        body: Vec<u8>,
    },
    /// The rest is encrypted.
    Over,
}

impl Place {
    const PACKET: Self = Self::Length { bytes: [0; LENGTH_BYTES], come: 0 };
}

/// The handshake of one server.
#[derive(Debug)]
pub(super) struct Handshake {
    /// The algorithms that were offered to the server.
    offered: AlgorithmSet,
    place: Place,
    exchange: Exchange,
    /// The work of each step of the agreed exchange. For a group exchange, known when there is a group.
    effort: Effort,
}

/// Bytes that can be passed on together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Portion {
    /// Their number.
    pub(super) bytes: usize,
    /// The work that they cause in the library. Only the end of a packet causes more than a little.
    pub(super) effort: Effort,
}

impl Handshake {
    /// A handshake that begins.
    pub(super) fn new(offered: AlgorithmSet) -> Self {
        Self { offered, place: Place::Lines, exchange: Exchange::Fixed(Effort::Light), effort: Effort::Light }
    }

    /// Whether the rest is encrypted.
    pub(super) fn is_over(&self) -> bool {
        matches!(self.place, Place::Over)
    }

    /// Takes bytes up to the end of a packet, and returns how many can be passed on next. Lines are added to `lines`.
    ///
    /// # Errors
    /// [`Abuse::KeyExchange`]
    pub(super) fn take(&mut self, bytes: &[u8], lines: &mut FirstLines) -> Result<Portion, Abuse> {
        let mut taken = 0;
        while let Some(rest) = bytes.get(taken..).filter(|rest| !rest.is_empty()) {
            match &mut self.place {
                Place::Lines => {
                    let (more, is_identified) = lines.take(rest);
                    taken += more;
                    if is_identified {
                        self.place = Place::PACKET;
                    }
                }
                Place::Length { bytes, come } => {
                    let open = bytes.get_mut(*come..).unwrap_or_default();
                    let more = open.len().min(rest.len());
                    for (to, from) in open.iter_mut().zip(rest) {
                        *to = *from;
                    }
                    *come += more;
                    taken += more;
                    if *come == LENGTH_BYTES {
                        let length = usize::try_from(u32::from_be_bytes(*bytes)).unwrap_or(usize::MAX);
                        if length > PACKET_BYTES {
                            return Err(Abuse::KeyExchange("a packet of it is longer than any may be"));
                        }
                        // An empty packet ends with its length. Otherwise a portion of no bytes would be passed on,
                        // which the library treats as the end of the stream.
                        self.place =
                            if length == 0 { Place::PACKET } else { Place::Packet { length, body: Vec::new() } };
                    }
                }
                Place::Packet { length, body } => {
                    let more = (*length - body.len()).min(rest.len());
                    body.extend_from_slice(rest.get(..more).unwrap_or_default());
                    taken += more;
                    if body.len() == *length {
                        let body = std::mem::take(body);
                        self.place = Place::PACKET;
                        let effort = self.end(&body)?;
                        return Ok(Portion { bytes: taken, effort });
                    }
                }
                Place::Over => taken = bytes.len(),
            }
        }
        Ok(Portion { bytes: taken, effort: Effort::Light })
    }

    /// The work at the end of a packet. Its first byte is the length of the padding at its end.
    fn end(&mut self, body: &[u8]) -> Result<Effort, Abuse> {
        let payload =
            body.split_first().and_then(|(padding, rest)| rest.get(..rest.len().checked_sub((*padding).into())?));
        let Some((message, content)) = payload.and_then(<[u8]>::split_first) else { return Ok(Effort::Light) };
        match (*message, self.exchange) {
            (KEXINIT, _) => {
                // The names come after a random cookie of 16 bytes.
                let names = content.get(16..).and_then(string).map_or(&[][..], |(names, _)| names);
                self.exchange = algorithms::agreed(self.offered, names);
                self.effort = match self.exchange {
                    Exchange::Fixed(effort) => effort,
                    Exchange::Group => Effort::Light,
                };
                Ok(self.effort)
            }
            (NEWKEYS, _) => {
                self.place = Place::Over;
                Ok(Effort::Light)
            }
            (KEX_31, Exchange::Group) => {
                self.effort = Effort::of_group(group_bits(content)?);
                Ok(self.effort)
            }
            (KEX_31, Exchange::Fixed(_)) | (GROUP_EXCHANGE_REPLY, _) => Ok(self.effort.max(host_key_effort(content)?)),
            // The library ignores other messages or ends the session.
            (_, Exchange::Fixed(_) | Exchange::Group) => Ok(Effort::Light),
        }
    }
}

/// A string in SSH's encoding, and the rest.
fn string(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<LENGTH_BYTES>()?;
    rest.split_at_checked(usize::try_from(u32::from_be_bytes(*length)).ok()?)
}

/// The number of bits of a number, rounded up to bytes.
fn bits(number: &[u8]) -> usize {
    number.iter().position(|byte| *byte != 0).map_or(0, |zeros| (number.len() - zeros) * 8)
}

/// The work to verify a signature with the host key at the beginning of a reply.
fn host_key_effort(content: &[u8]) -> Result<Effort, Abuse> {
    let numbers = || {
        let (host_key, _) = string(content)?;
        let (algorithm, rest) = string(host_key)?;
        let rest = match algorithm {
            b"ssh-rsa" => rest,
            // A random number comes before the key in a certificate.
            b"ssh-rsa-cert-v01@openssh.com" => string(rest)?.1,
            _ => return None,
        };
        let (exponent, rest) = string(rest)?;
        let (modulus, _) = string(rest)?;
        Some((bits(modulus), bits(exponent) / 8))
    };
    match numbers() {
        Some((modulus_bits, _)) if modulus_bits > MOST_RSA_BITS => Err(Abuse::HostKeySize(modulus_bits)),
        Some((modulus_bits, exponent_bytes)) => Ok(algorithms::rsa_effort(modulus_bits, exponent_bytes)),
        // Not an RSA key, or an incomplete one, which the library reports.
        None => Ok(Effort::Light),
    }
}

/// The size of the group that a server has chosen: a prime and a generator. Only checks that the prime is odd, because
/// an even number makes the computation many times slower.
fn group_bits(content: &[u8]) -> Result<usize, Abuse> {
    let unsound = Abuse::KeyExchange;
    let (prime, rest) = string(content).ok_or(unsound("its group is cut short"))?;
    let (generator, _) = string(rest).ok_or(unsound("its group is cut short"))?;
    let prime_bits = bits(prime);
    if prime_bits > MOST_GROUP_BITS {
        return Err(unsound("its group is larger than we asked for"));
    }
    if prime.last().is_none_or(|last| last % 2 == 0) {
        return Err(unsound("the prime of its group is an even number"));
    }
    if bits(generator) > prime_bits {
        return Err(unsound("the generator of its group is no number of the group"));
    }
    Ok(prime_bits)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(message: u8, content: &[u8]) -> Vec<u8> {
        let body = [&[4, message], content, &[0; 4]].concat();
        [&u32::try_from(body.len()).unwrap().to_be_bytes()[..], &body].concat()
    }

    fn text(bytes: &[u8]) -> Vec<u8> {
        [&u32::try_from(bytes.len()).unwrap().to_be_bytes()[..], bytes].concat()
    }

    fn kexinit(names: &str) -> Vec<u8> {
        packet(KEXINIT, &[&[7; 16][..], &text(names.as_bytes()), &text(b"ssh-ed25519")].concat())
    }

    fn group(prime: &[u8], generator: &[u8]) -> Vec<u8> {
        packet(KEX_31, &[text(prime), text(generator)].concat())
    }

    /// Passes the bytes of a server in pieces. Returns the efforts that are not light, in order.
    fn efforts(said: &[u8], piece: usize) -> Result<(Vec<Effort>, bool), Abuse> {
        let (mut handshake, mut lines) = (Handshake::new(AlgorithmSet::Sound), FirstLines::default());
        let mut efforts = Vec::new();
        for mut rest in said.chunks(piece) {
            while !rest.is_empty() {
                let portion = handshake.take(rest, &mut lines)?;
                assert!(portion.bytes > 0);
                efforts.extend((portion.effort != Effort::Light).then_some(portion.effort));
                rest = rest.get(portion.bytes..).unwrap();
            }
        }
        Ok((efforts, handshake.is_over()))
    }

    #[test]
    fn the_costly_steps_of_each_exchange_are_found_however_the_bytes_are_cut() {
        let odd = |bytes| vec![0xff; bytes];
        let exchange = |steps: &[Vec<u8>]| {
            [&b"Welcome\r\nSSH-2.0-OpenSSH_9.2\r\n"[..], &packet(2, b"ignored"), &steps.concat(), &packet(NEWKEYS, &[])]
                .concat()
        };
        use Effort::{Group, LargeGroup};
        for (steps, expected) in [
            (vec![kexinit("curve25519-sha256"), packet(KEX_31, b"reply")], vec![]),
            (vec![kexinit("diffie-hellman-group14-sha256"), packet(KEX_31, b"reply")], vec![Group, Group]),
            (vec![kexinit("diffie-hellman-group16-sha512"), packet(KEX_31, b"reply")], vec![LargeGroup; 2]),
            (
                vec![
                    kexinit("diffie-hellman-group-exchange-sha256"),
                    group(&odd(256), &[2]),
                    packet(GROUP_EXCHANGE_REPLY, b"reply"),
                ],
                vec![Group, Group],
            ),
            (
                vec![
                    kexinit("diffie-hellman-group-exchange-sha256"),
                    group(&[&[0][..], &odd(512)].concat(), &[5]),
                    packet(GROUP_EXCHANGE_REPLY, b"reply"),
                ],
                vec![LargeGroup, LargeGroup],
            ),
        ] {
            let said = [exchange(&steps), b"\0\0\0\xffencrypted".to_vec()].concat();
            for piece in [1, 2, 5, 64, 10_000] {
                assert_eq!(efforts(&said, piece), Ok((expected.clone(), true)), "{steps:?} in pieces of {piece}");
            }
        }
    }

    #[test]
    fn an_empty_packet_is_over_with_its_length() {
        let said = [&b"SSH-2.0-x\r\n\0\0\0\0\0\0\0\0"[..], &kexinit("diffie-hellman-group14-sha256")].concat();
        for piece in 1..said.len() {
            assert_eq!(efforts(&said, piece), Ok((vec![Effort::Group], false)), "in pieces of {piece}");
        }
    }

    #[test]
    fn an_exchange_that_is_never_honest_is_refused() {
        let exchange = |packet: Vec<u8>| {
            [b"SSH-2.0-x\r\n".to_vec(), kexinit("diffie-hellman-group-exchange-sha256"), packet].concat()
        };
        let even = [vec![0xff; 255], vec![0xfe]].concat();
        for (packet, expected) in [
            (group(&even, &[2]), "the prime of its group is an even number"),
            (group(&[], &[2]), "the prime of its group is an even number"),
            (group(&[0xff; 513], &[2]), "its group is larger than we asked for"),
            (group(&[0xff; 256], &[0xff; 257]), "the generator of its group is no number of the group"),
            (packet(KEX_31, &text(&[0xff; 256])), "its group is cut short"),
            (b"\0\x01\0\0".to_vec(), "a packet of it is longer than any may be"),
            (b"\xff\xff\xff\xff".to_vec(), "a packet of it is longer than any may be"),
        ] {
            assert_eq!(efforts(&exchange(packet), 100), Err(Abuse::KeyExchange(expected)));
        }
    }

    #[test]
    fn large_rsa_keys_are_work_and_the_largest_are_refused() {
        let certificate = [text(b"ssh-rsa-cert-v01@openssh.com"), text(&[7; 32])].concat();
        let reply_of = |kind: &[u8], modulus: usize, exponent: &[u8]| {
            let host_key = [kind, &text(exponent), &text(&vec![0xff; modulus])].concat();
            let reply = packet(KEX_31, &[text(&host_key), text(b"public"), text(b"signature")].concat());
            efforts(&[b"SSH-2.0-x\r\n".to_vec(), kexinit("curve25519-sha256"), reply].concat(), 1000)
        };
        let reply = |modulus: usize, exponent: &[u8]| reply_of(&text(b"ssh-rsa"), modulus, exponent);
        assert_eq!(reply_of(&certificate, 512, &[1, 0, 1]), Ok((vec![], false)));
        assert_eq!(reply_of(&certificate, 1024, &[1, 0, 1]), Ok((vec![Effort::Group], false)));
        assert_eq!(reply_of(&certificate, 2048, &[1, 0, 1]), Err(Abuse::HostKeySize(16_384)));
        assert_eq!(reply(512, &[1, 0, 1]), Ok((vec![], false)));
        assert_eq!(reply(1024, &[1, 0, 1]), Ok((vec![Effort::Group], false)));
        assert_eq!(reply(256, &[0xff; 5]), Ok((vec![Effort::Group], false)));
        assert_eq!(reply(2048, &[1, 0, 1]), Err(Abuse::HostKeySize(16_384)));
    }

    #[test]
    fn packets_without_content_are_passed_over() {
        let said = [&b"SSH-2.0-x\n"[..], &[0, 0, 0, 0], &[0, 0, 0, 1, 0], &packet(KEXINIT, &[]), &packet(NEWKEYS, &[])];
        assert_eq!(efforts(&said.concat(), 3), Ok((vec![], true)));
    }
}
