//! The algorithms that are offered to a client, and how much work a key exchange with it costs. The exchange itself is
//! done by the library.
//!
//! The client chooses among the offered algorithms, so each of them must be affordable. CPU time for one key exchange,
//! measured on one machine with an unoptimised build; the ratios are similar elsewhere:
//!
//! | key exchange | ms | | host key | ms |
//! | --- | --- | --- | --- | --- |
//! | `curve25519-sha256` | 0.3 | | Ed25519 | 0.1 |
//! | `ecdh-sha2-nistp256` | 0.6 | | ECDSA P-256 | 0.6 |
//! | `mlkem768x25519-sha256` | 0.8 | | RSA, 4,096 bits | 1 |
//! | `ecdh-sha2-nistp384` | 1.4 | | ECDSA P-521 | 2 |
//! | `ecdh-sha2-nistp521` | 1.8 | | RSA, 8,192 bits | 2.4 |
//! | `diffie-hellman-group14-sha256` | 11 | | | |
//! | `diffie-hellman-group16-sha512` | 86 | | | |
//! | `diffie-hellman-group18-sha512` | 737 | | not offered | |
//!
//! Groups 17 and 18 are secure but not offered, because of this cost.
//!
//! RSA keys above 8,192 bits are not verified. Servers without elliptic curves (OpenSSH before 5.7) need Diffie-Hellman
//! over a finite field; it waits for a slot ([`super::threads`]). Compression is never offered, because a few bytes
//! could expand to very many.

use std::borrow::Cow;

use russh::{
    AlgorithmKind, Preferred, cipher,
    client::GexParams,
    compression, kex,
    keys::{Algorithm, EcdsaCurve, HashAlg},
    mac,
};

use crate::config;

/// The algorithms that are offered to a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AlgorithmSet {
    /// Algorithms without a known weakness.
    Sound,
    /// Also those that only old servers need: SHA-1, CBC and `ssh-rsa`.
    Legacy,
}

impl AlgorithmSet {
    /// The set for a client of the configuration.
    pub(super) fn of(client: &config::Client) -> Self {
        if client.legacy { Self::Legacy } else { Self::Sound }
    }

    /// The names without a known weakness, and the legacy names if they are in the set.
    fn choose<T: Copy>(self, sound: &[T], legacy: &[T]) -> Vec<T> {
        match self {
            Self::Sound => sound.to_vec(),
            Self::Legacy => [sound, legacy].concat(),
        }
    }

    fn key_exchanges(self) -> Vec<kex::Name> {
        self.choose(KEY_EXCHANGES, LEGACY_KEY_EXCHANGES)
    }

    /// The algorithms of host keys, best first.
    pub(super) fn host_keys(self) -> Vec<Algorithm> {
        let mut algorithms = HOST_KEYS.to_vec();
        match self {
            Self::Sound => {}
            Self::Legacy => algorithms.push(SSH_RSA),
        }
        algorithms
    }
}

/// The algorithms of host keys without a known weakness, best first. RSA keys sign with SHA-2.
const HOST_KEYS: [Algorithm; 6] = [
    Algorithm::Ed25519,
    Algorithm::Ecdsa { curve: EcdsaCurve::NistP256 },
    Algorithm::Ecdsa { curve: EcdsaCurve::NistP384 },
    Algorithm::Ecdsa { curve: EcdsaCurve::NistP521 },
    Algorithm::Rsa { hash: Some(HashAlg::Sha512) },
    Algorithm::Rsa { hash: Some(HashAlg::Sha256) },
];

/// RSA with SHA-1.
const SSH_RSA: Algorithm = Algorithm::Rsa { hash: None };

/// AES-GCM first. With hardware support, it needs two thirds of the CPU time of ChaCha20.
const CIPHERS: &[cipher::Name] = &[
    cipher::AES_128_GCM,
    cipher::AES_256_GCM,
    cipher::CHACHA20_POLY1305,
    cipher::AES_256_CTR,
    cipher::AES_192_CTR,
    cipher::AES_128_CTR,
];

const LEGACY_CIPHERS: &[cipher::Name] =
    &[cipher::AES_256_CBC, cipher::AES_192_CBC, cipher::AES_128_CBC, cipher::TRIPLE_DES_CBC];

/// The offered key exchanges, best first. Any client that supports one of the curves uses it.
const KEY_EXCHANGES: &[kex::Name] = &[
    kex::MLKEM768X25519_SHA256,
    kex::CURVE25519,
    kex::CURVE25519_PRE_RFC_8731,
    kex::ECDH_SHA2_NISTP256,
    kex::ECDH_SHA2_NISTP384,
    kex::ECDH_SHA2_NISTP521,
    kex::DH_G14_SHA256,
    kex::DH_GEX_SHA256,
    kex::DH_G15_SHA512,
    kex::DH_G16_SHA512,
];

/// Some appliances only support group 1 with 1,024 bits.
const LEGACY_KEY_EXCHANGES: &[kex::Name] = &[kex::DH_GEX_SHA1, kex::DH_G14_SHA1, kex::DH_G1_SHA1];

/// The extensions in the list of key exchanges.
const EXTENSIONS: [kex::Name; 2] = [kex::EXTENSION_SUPPORT_AS_CLIENT, kex::EXTENSION_OPENSSH_STRICT_KEX_AS_CLIENT];

const MACS: &[mac::Name] = &[mac::HMAC_SHA512_ETM, mac::HMAC_SHA256_ETM, mac::HMAC_SHA512, mac::HMAC_SHA256];

const LEGACY_MACS: &[mac::Name] = &[mac::HMAC_SHA1_ETM, mac::HMAC_SHA1];

/// The requested size of a group that the server chooses, in bits.
const GROUP_BITS: usize = 2048;
/// The largest accepted size. Some servers have none below 3,072 bits.
pub(super) const MOST_GROUP_BITS: usize = 4096;

/// The largest RSA key that the library verifies.
pub(super) const MOST_RSA_BITS: usize = 8192;
/// Up to this size, with an exponent of up to the same number of bytes, a signature is cheap to verify.
const COMMON_RSA_BITS: usize = 4096;
const COMMON_EXPONENT_BYTES: usize = 3;

/// The host keys that are offered to a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct HostKeys {
    /// Their algorithms, in the order of preference.
    pub(super) algorithms: Vec<Algorithm>,
    /// Whether certificates are accepted too. A server that has one shows it and not its key.
    pub(super) certificates: bool,
}

/// The offered algorithms, with the host keys in this order.
pub(super) fn offered(set: AlgorithmSet, HostKeys { algorithms, certificates }: HostKeys) -> Preferred {
    Preferred {
        host_key_certificates: if certificates { Cow::Owned(algorithms.clone()) } else { Cow::Borrowed(&[]) },
        kex: Cow::Owned([set.key_exchanges(), EXTENSIONS.to_vec()].concat()),
        key: Cow::Owned(algorithms),
        cipher: Cow::Owned(set.choose(CIPHERS, LEGACY_CIPHERS)),
        mac: Cow::Owned(set.choose(MACS, LEGACY_MACS)),
        compression: Cow::Borrowed(&[compression::NONE]),
    }
}

/// The names of one kind that a server offers and that are only in the legacy set.
pub(super) fn only_legacy(kind: AlgorithmKind, theirs: &[String]) -> Vec<&str> {
    let ours: Vec<&str> = match kind {
        AlgorithmKind::Kex => LEGACY_KEY_EXCHANGES.iter().map(AsRef::as_ref).collect(),
        AlgorithmKind::Key => vec![SSH_RSA.as_str()],
        AlgorithmKind::Cipher => LEGACY_CIPHERS.iter().map(AsRef::as_ref).collect(),
        AlgorithmKind::Mac => LEGACY_MACS.iter().map(AsRef::as_ref).collect(),
        AlgorithmKind::Compression => Vec::new(),
    };
    theirs.iter().map(String::as_str).filter(|name| ours.contains(name)).collect()
}

/// The limits of a group that the server chooses.
///
/// # Errors
/// If the library rejects these numbers, which it does not.
pub(super) fn groups() -> Result<GexParams, russh::Error> {
    GexParams::new(GROUP_BITS, GROUP_BITS, MOST_GROUP_BITS)
}

/// The amount of work of a key exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(super) enum Effort {
    /// Hardly any.
    #[default]
    Light,
    /// Two exponentiations modulo a number of 2,048 bits, or a signature with an unusually large RSA key.
    Group,
    /// The same with a larger number.
    LargeGroup,
}

impl Effort {
    /// The work with a group of this many bits.
    pub(super) fn of_group(bits: usize) -> Self {
        if bits <= GROUP_BITS { Self::Group } else { Self::LargeGroup }
    }
}

/// The work with a signature by an RSA key.
pub(super) fn rsa_effort(modulus_bits: usize, exponent_bytes: usize) -> Effort {
    if modulus_bits <= COMMON_RSA_BITS && exponent_bytes <= COMMON_EXPONENT_BYTES {
        Effort::Light
    } else {
        Effort::Group
    }
}

/// The key exchange with a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Exchange {
    /// A fixed algorithm with this work.
    Fixed(Effort),
    /// The server chooses a group first.
    Group,
}

/// The key exchange with a server that offers these: our first one that it also offers.
pub(super) fn agreed(set: AlgorithmSet, theirs: &[u8]) -> Exchange {
    let offers = |ours: &kex::Name| theirs.split(|byte| *byte == b',').any(|name| name == ours.as_ref().as_bytes());
    match set.key_exchanges().into_iter().find(|ours| offers(ours)) {
        Some(kex::DH_GEX_SHA256 | kex::DH_GEX_SHA1) => Exchange::Group,
        Some(ours) => Exchange::Fixed(effort(ours)),
        // There is no common algorithm, so there is no exchange.
        None => Exchange::Fixed(Effort::Light),
    }
}

/// The work of a key exchange; the highest possible one if the server chooses the group.
pub(super) fn effort(exchange: kex::Name) -> Effort {
    match exchange {
        kex::DH_G14_SHA256 | kex::DH_G14_SHA1 | kex::DH_G1_SHA1 => Effort::Group,
        kex::DH_GEX_SHA256 | kex::DH_GEX_SHA1 | kex::DH_G15_SHA512 | kex::DH_G16_SHA512 => Effort::LargeGroup,
        // With an elliptic curve.
        _ => Effort::Light,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_exchanges_that_we_can_afford_are_offered() {
        let set = AlgorithmSet::Sound;
        let sound = offered(set, HostKeys { algorithms: set.host_keys(), certificates: false });
        assert!(sound.host_key_certificates.is_empty());
        let names: Vec<&str> = sound.kex.iter().map(AsRef::as_ref).collect();
        assert_eq!(
            names,
            [
                "mlkem768x25519-sha256",
                "curve25519-sha256",
                "curve25519-sha256@libssh.org",
                "ecdh-sha2-nistp256",
                "ecdh-sha2-nistp384",
                "ecdh-sha2-nistp521",
                "diffie-hellman-group14-sha256",
                "diffie-hellman-group-exchange-sha256",
                "diffie-hellman-group15-sha512",
                "diffie-hellman-group16-sha512",
                "ext-info-c",
                "kex-strict-c-v00@openssh.com",
            ]
        );
        assert_eq!(sound.compression.iter().map(AsRef::as_ref).collect::<Vec<&str>>(), ["none"]);
        assert_eq!(groups().unwrap().max_group_size(), 4096);
    }

    #[test]
    fn what_only_old_servers_need_is_offered_last_and_only_where_it_is_wanted() {
        let names = |set: AlgorithmSet| {
            let Preferred { kex, key, cipher, mac, .. } =
                offered(set, HostKeys { algorithms: set.host_keys(), certificates: true });
            let kex: Vec<String> = kex.iter().map(|name| name.as_ref().to_owned()).collect();
            let key: Vec<String> = key.iter().map(|name| name.as_str().to_owned()).collect();
            let cipher: Vec<String> = cipher.iter().map(|name| name.as_ref().to_owned()).collect();
            let mac: Vec<String> = mac.iter().map(|name| name.as_ref().to_owned()).collect();
            [kex, key, cipher, mac]
        };
        let further = [
            vec!["diffie-hellman-group-exchange-sha1", "diffie-hellman-group14-sha1", "diffie-hellman-group1-sha1"],
            vec!["ssh-rsa"],
            vec!["aes256-cbc", "aes192-cbc", "aes128-cbc", "3des-cbc"],
            vec!["hmac-sha1-etm@openssh.com", "hmac-sha1"],
        ];
        let (sound, legacy) = (names(AlgorithmSet::Sound), names(AlgorithmSet::Legacy));
        for ((sound, legacy), further) in sound.into_iter().zip(legacy).zip(further) {
            let added: Vec<&String> = legacy.iter().filter(|name| !sound.contains(name)).collect();
            assert_eq!(added, further);
            assert!(legacy.starts_with(sound.split_at(sound.len().min(6)).0), "{legacy:?}");
        }
    }

    #[test]
    fn of_what_a_server_offers_the_legacy_part_is_named() {
        let theirs = |names: &str| names.split(',').map(str::to_owned).collect::<Vec<_>>();
        for (kind, names, expected) in [
            (AlgorithmKind::Cipher, "arcfour,aes128-cbc,3des-cbc", "aes128-cbc,3des-cbc"),
            (AlgorithmKind::Key, "ssh-dss,ssh-rsa", "ssh-rsa"),
            (AlgorithmKind::Kex, "diffie-hellman-group1-sha1", "diffie-hellman-group1-sha1"),
            (AlgorithmKind::Mac, "hmac-md5", ""),
            (AlgorithmKind::Compression, "zlib", ""),
        ] {
            assert_eq!(only_legacy(kind, &theirs(names)).join(","), expected);
        }
    }

    #[test]
    fn the_exchange_is_our_first_that_the_client_offers() {
        use Exchange::Fixed;
        for (theirs, expected) in [
            ("curve25519-sha256,diffie-hellman-group14-sha256", Fixed(Effort::Light)),
            ("diffie-hellman-group18-sha512,diffie-hellman-group14-sha256,ecdh-sha2-nistp521", Fixed(Effort::Light)),
            ("diffie-hellman-group16-sha512,diffie-hellman-group14-sha256", Fixed(Effort::Group)),
            ("diffie-hellman-group16-sha512,diffie-hellman-group-exchange-sha256", Exchange::Group),
            ("diffie-hellman-group18-sha512,diffie-hellman-group16-sha512", Fixed(Effort::LargeGroup)),
            ("diffie-hellman-group18-sha512", Fixed(Effort::Light)),
            ("diffie-hellman-group14-sha1", Fixed(Effort::Light)),
            ("", Fixed(Effort::Light)),
        ] {
            assert_eq!(agreed(AlgorithmSet::Sound, theirs.as_bytes()), expected, "{theirs}");
        }
        for (theirs, expected) in [
            ("diffie-hellman-group14-sha1,curve25519-sha256", Fixed(Effort::Light)),
            ("diffie-hellman-group1-sha1,diffie-hellman-group14-sha1", Fixed(Effort::Group)),
            ("diffie-hellman-group-exchange-sha1,diffie-hellman-group14-sha1", Exchange::Group),
        ] {
            assert_eq!(agreed(AlgorithmSet::Legacy, theirs.as_bytes()), expected, "{theirs}");
        }
        assert_eq!(rsa_effort(4096, 3), Effort::Light);
        assert_eq!([rsa_effort(4104, 3), rsa_effort(2048, 4)], [Effort::Group; 2]);
        assert_eq!(Effort::of_group(2048), Effort::Group);
        assert_eq!(Effort::of_group(2056), Effort::LargeGroup);
    }
}
