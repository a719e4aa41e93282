//! The agents that this program can upload: the embedded ones and those of a directory.

use std::{
    collections::BTreeMap,
    fmt, fs, io,
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
};

use bytes::Bytes;
use crc::{CRC_32_CKSUM, Crc};
use sha2::{Digest, Sha256};

/// Triple and image of each embedded agent.
const EMBEDDED: &[(&str, &[u8])] = include!(concat!(env!("OUT_DIR"), "/agents.rs"));

/// The largest file that is accepted as an agent. Real ones are much smaller.
const MAX_IMAGE_BYTES: u64 = 64 << 20;

/// An agent for one platform. Cheap to clone: all clones share the image and its checksums.
#[derive(Clone)]
pub struct Agent {
    /// The target it is compiled for, e.g. `x86_64-unknown-linux-gnu`.
    pub triple: String,
    /// The executable file.
    pub image: Bytes,
    /// Computed when they are first needed: most commands deliver no agent, and few sweeps deliver all.
    checksums: Arc<OnceLock<Checksums>>,
}

struct Checksums {
    sha256: String,
    cksum: u32,
}

/// The agents by platform. Those of a directory take precedence over the embedded ones.
#[derive(Debug, Clone, Default)]
pub struct Agents {
    folder: BTreeMap<String, Agent>,
    embedded: BTreeMap<String, Agent>,
}

/// Why a directory of agents cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum AgentsError {
    /// The directory or a file in it cannot be read.
    #[error("{path}: the agents cannot be read", path = path.display())]
    Unreadable {
        /// The file or socket.
        path: PathBuf,
        /// The error of the operating system.
        source: io::Error,
    },
    /// A file is empty or far too large for an agent.
    #[error("{path}: {bytes} bytes are no agent", path = path.display())]
    NoAgent {
        /// The file or socket.
        path: PathBuf,
        /// Its size.
        bytes: u64,
    },
}

/// The text before and after the version in every agent.
const BEFORE_VERSION: &[u8] = b"fleetsweep-agent ";
const AFTER_VERSION: &[u8] = b" (wire ";
/// The longest version that is accepted.
const MAX_VERSION_BYTES: usize = 64;

impl Agent {
    fn new(triple: &str, image: Bytes) -> Self {
        Self { triple: triple.to_owned(), image, checksums: Arc::default() }
    }

    fn checksums(&self) -> &Checksums {
        self.checksums.get_or_init(|| Checksums {
            sha256: Sha256::digest(&self.image).iter().map(|byte| format!("{byte:02x}")).collect(),
            cksum: cksum(&self.image),
        })
    }

    /// The SHA-256 of the file, as `sha256sum` prints it.
    #[must_use]
    pub fn sha256(&self) -> &str {
        &self.checksums().sha256
    }

    /// The first number that `cksum` prints for the file. It detects a damaged file but not a forged one; the private
    /// directory protects against that.
    #[must_use]
    pub fn cksum(&self) -> u32 {
        self.checksums().cksum
    }

    /// The file name on a client: `agent-` and 16 digits of the SHA-256 of the content, so that another version has
    /// another name.
    #[must_use]
    pub fn name(&self) -> String {
        format!("agent-{}", self.sha256().get(..16).unwrap_or_default())
    }

    /// The version in the file; `None` if it is not one of our agents.
    #[must_use]
    pub fn version(&self) -> Option<&str> {
        memchr::memmem::find_iter(&self.image, BEFORE_VERSION).find_map(|at| {
            let rest = self.image.get(at + BEFORE_VERSION.len()..)?;
            let rest = rest.get(..rest.len().min(MAX_VERSION_BYTES + AFTER_VERSION.len()))?;
            let version = rest.get(..memchr::memmem::find(rest, AFTER_VERSION)?)?;
            let version = std::str::from_utf8(version).ok()?;
            version.chars().all(|c| c.is_ascii_alphanumeric() || ".+-".contains(c)).then_some(version)
        })
    }

    /// The name of its file on this machine: the platform, with `.exe` for Windows.
    #[must_use]
    pub fn file_name(&self) -> String {
        let suffix = if self.triple.contains("-windows-") { ".exe" } else { "" };
        format!("{}{suffix}", self.triple)
    }
}

impl fmt::Debug for Agent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Agent").field("triple", &self.triple).field("bytes", &self.image.len()).finish_non_exhaustive()
    }
}

/// The CRC of POSIX. It includes the length, lowest byte first, without leading zeros.
fn cksum(content: &[u8]) -> u32 {
    let crc = Crc::<u32>::new(&CRC_32_CKSUM);
    let mut digest = crc.digest();
    digest.update(content);
    let length = content.len().to_le_bytes();
    let digits = length.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    digest.update(length.get(..digits).unwrap_or_default());
    digest.finalize()
}

impl Agents {
    /// The embedded agents.
    #[must_use]
    pub fn embedded() -> Self {
        let embedded = EMBEDDED
            .iter()
            .map(|(triple, image)| ((*triple).to_owned(), Agent::new(triple, Bytes::from_static(image))))
            .collect();
        Self { folder: BTreeMap::new(), embedded }
    }

    /// The embedded agents and the files `<triple>` or `<triple>.exe` in `folder`, which take precedence.
    ///
    /// # Errors
    /// [`AgentsError`] if the directory or one of these files cannot be used.
    pub fn with_folder(folder: &Path) -> Result<Self, AgentsError> {
        let unreadable = |path: &Path| {
            let path = path.to_owned();
            |source| AgentsError::Unreadable { path, source }
        };
        let mut agents = Self::embedded();
        for entry in fs::read_dir(folder).map_err(unreadable(folder))? {
            let path = entry.map_err(unreadable(folder))?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let triple = name.strip_suffix(".exe").unwrap_or(&name);
            // Other files, such as a README, have other names.
            if triple.matches('-').count() < 2 {
                continue;
            }
            let bytes = fs::metadata(&path).map_err(unreadable(&path))?.len();
            if bytes == 0 || bytes > MAX_IMAGE_BYTES {
                return Err(AgentsError::NoAgent { path, bytes });
            }
            let image = fs::read(&path).map_err(unreadable(&path))?;
            agents.folder.insert(triple.to_owned(), Agent::new(triple, image.into()));
        }
        Ok(agents)
    }

    /// The agent for a platform: the output of `uname -sm`, such as `Linux x86_64`, or for Windows the processor in its
    /// environment, such as `Windows AMD64`.
    #[must_use]
    pub fn lookup(&self, platform: &str) -> Option<&Agent> {
        let mut words = platform.split_whitespace();
        let triples = match (words.next(), words.next(), words.next()) {
            (Some("Linux"), Some(machine), None) => linux_triples(machine),
            (Some("Windows"), Some(machine), None) => windows_triples(machine),
            _ => return None,
        };
        [&self.folder, &self.embedded]
            .into_iter()
            .find_map(|agents| triples.iter().find_map(|triple| agents.get(*triple)))
    }

    /// The agent for a target triple.
    #[must_use]
    pub fn for_triple(&self, triple: &str) -> Option<&Agent> {
        self.folder.get(triple).or_else(|| self.embedded.get(triple))
    }

    /// All agents.
    pub fn iter(&self) -> impl Iterator<Item = &Agent> {
        let hidden = |triple: &str| self.folder.contains_key(triple);
        self.folder.values().chain(self.embedded.values().filter(move |agent| !hidden(&agent.triple)))
    }
}

/// The targets whose programs run on Linux with this machine name, the best first. All agents are static, so the C
/// library of the machine does not matter.
fn linux_triples(machine: &str) -> &'static [&'static str] {
    match machine {
        "x86_64" | "amd64" => &["x86_64-unknown-linux-gnu", "x86_64-unknown-linux-musl"],
        "aarch64" | "arm64" => &["aarch64-unknown-linux-gnu", "aarch64-unknown-linux-musl"],
        "armv7l" | "armv8l" => &["armv7-unknown-linux-gnueabihf", "armv7-unknown-linux-musleabihf"],
        "i686" | "i586" => &["i686-unknown-linux-gnu", "i686-unknown-linux-musl"],
        "ppc64le" => &["powerpc64le-unknown-linux-gnu", "powerpc64le-unknown-linux-musl"],
        "riscv64" => &["riscv64gc-unknown-linux-gnu", "riscv64gc-unknown-linux-musl"],
        "s390x" => &["s390x-unknown-linux-gnu", "s390x-unknown-linux-musl"],
        _ => &[],
    }
}

/// The targets for Windows. Programs for `windows-gnu` need nothing else on the machine; those for `msvc` do if they
/// are not linked statically.
fn windows_triples(machine: &str) -> &'static [&'static str] {
    match machine {
        "AMD64" => &["x86_64-pc-windows-gnu", "x86_64-pc-windows-gnullvm", "x86_64-pc-windows-msvc"],
        // Windows 11 on ARM64 can run programs for x86_64.
        "ARM64" => &[
            "aarch64-pc-windows-gnullvm",
            "aarch64-pc-windows-msvc",
            "x86_64-pc-windows-gnu",
            "x86_64-pc-windows-gnullvm",
            "x86_64-pc-windows-msvc",
        ],
        "x86" => &["i686-pc-windows-gnu", "i686-pc-windows-gnullvm", "i686-pc-windows-msvc"],
        _ => &[],
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    const HERE: &str = "x86_64-unknown-linux-gnu";

    #[test]
    fn the_embedded_agent_is_small_and_needs_nothing_on_the_client() {
        let agents = Agents::embedded();
        let agent = agents.for_triple(HERE).expect("this machine builds an agent for itself");
        assert!(agent.image.len() <= 1_400_000, "{} bytes", agent.image.len());
        let image = &agent.image;
        assert_eq!(&image[..4], b"\x7fELF");
        // No program header needs an interpreter or dynamic linking, so nothing else is needed on the client.
        let number =
            |at: usize, bytes: usize| image[at..at + bytes].iter().rev().fold(0, |n, byte| n << 8 | usize::from(*byte));
        let (table, size, count) = (number(32, 8), number(54, 2), number(56, 2));
        let kinds: Vec<usize> = (0..count).map(|index| number(table + index * size, 4)).collect();
        let (load, dynamic, interpreter) = (1, 2, 3);
        assert!(kinds.contains(&load));
        assert!(!kinds.contains(&dynamic) && !kinds.contains(&interpreter), "{kinds:?}");
    }

    #[test]
    fn the_embedded_agent_runs() {
        let folder = tempfile::tempdir().unwrap();
        let agents = Agents::embedded();
        let agent = agents.lookup("Linux x86_64\n").unwrap();
        let path = folder.path().join(agent.name());
        fs::write(&path, &agent.image).unwrap();
        // Executed by a shell, because this process may still have the file open for writing.
        let script = format!("chmod 700 '{0}' && exec '{0}' --version", path.display());
        let output = Command::new("sh").args(["-c", &script]).env_clear().output().unwrap();
        let words = format!("fleetsweep-agent {} (wire {})\n", env!("CARGO_PKG_VERSION"), fleetsweep_agent::VERSION);
        assert_eq!(String::from_utf8_lossy(&output.stdout), words);
    }

    #[test]
    fn the_version_stands_in_the_file() {
        let version = |bytes: &[u8]| Agent::new(HERE, bytes.to_vec().into()).version().map(str::to_owned);
        assert_eq!(Agents::embedded().for_triple(HERE).unwrap().version(), Some(env!("CARGO_PKG_VERSION")));
        for (bytes, expected) in [
            (&b"fleetsweep-agent: fleetsweep-agent 1.2.3-rc.1 (wire 2)"[..], Some("1.2.3-rc.1")),
            (b"fleetsweep-agent 1.2.3", None),
            (b"fleetsweep-agent \x1b[31m (wire ", None),
            (&[&b"fleetsweep-agent "[..], &[b'1'; 200], b" (wire "].concat(), None),
            (b"", None),
        ] {
            assert_eq!(version(bytes).as_deref(), expected, "{bytes:?}");
        }
    }

    #[test]
    fn the_checksum_is_what_cksum_prints() {
        let folder = tempfile::tempdir().unwrap();
        for content in [&b"a"[..], b"123456789", &[0; 300], Agents::embedded().for_triple(HERE).unwrap().image.as_ref()]
        {
            let path = folder.path().join("file");
            fs::write(&path, content).unwrap();
            let output = Command::new("cksum").arg(&path).output().unwrap();
            let agent = Agent::new(HERE, Bytes::copy_from_slice(content));
            let line = format!("{} {} {}\n", agent.cksum(), content.len(), path.display());
            assert_eq!(String::from_utf8_lossy(&output.stdout), line);
        }
    }

    #[test]
    fn names_are_the_contents_own() {
        let name = |content: &'static [u8]| Agent::new(HERE, Bytes::from_static(content)).name();
        assert_eq!(name(b"abc"), "agent-ba7816bf8f01cfea");
        assert_ne!(name(b"abc"), name(b"abd"));
    }

    #[test]
    fn a_platform_finds_its_agent_and_the_folder_goes_first() {
        let folder = tempfile::tempdir().unwrap();
        for (file, content) in [
            ("x86_64-unknown-linux-musl", "musl"),
            ("aarch64-unknown-linux-gnu", "arm"),
            ("x86_64-pc-windows-gnu.exe", "windows"),
            ("README", "no agent"),
        ] {
            fs::write(folder.path().join(file), content).unwrap();
        }
        let agents = Agents::with_folder(folder.path()).unwrap();
        for (platform, expected) in [
            ("Linux x86_64", Some("musl")),
            ("Linux amd64\r\n", Some("musl")),
            ("Linux aarch64", Some("arm")),
            ("Windows AMD64", Some("windows")),
            ("Windows ARM64", Some("windows")),
            ("Windows MIPS", None),
            ("Linux mips", None),
            ("FreeBSD amd64", None),
            ("Linux", None),
            ("Linux x86_64 more", None),
            ("", None),
        ] {
            let found = agents.lookup(platform).map(|agent| String::from_utf8(agent.image.to_vec()).unwrap());
            assert_eq!(found.as_deref(), expected, "{platform}");
        }
        let triples: Vec<_> = agents.iter().map(|agent| &*agent.triple).collect();
        assert_eq!(triples, ["aarch64-unknown-linux-gnu", "x86_64-pc-windows-gnu", "x86_64-unknown-linux-musl", HERE]);
        assert_eq!(Agents::embedded().lookup("Linux x86_64").unwrap().triple, HERE);
    }

    #[test]
    fn a_folder_that_cannot_be_used_is_refused_by_its_path() {
        let folder = tempfile::tempdir().unwrap();
        let missing = folder.path().join("missing");
        let error = Agents::with_folder(&missing).unwrap_err();
        assert_eq!(error.to_string(), format!("{}: the agents cannot be read", missing.display()));
        let empty = folder.path().join("x86_64-unknown-linux-musl");
        fs::write(&empty, "").unwrap();
        let error = Agents::with_folder(folder.path()).unwrap_err();
        assert_eq!(error.to_string(), format!("{}: 0 bytes are no agent", empty.display()));
    }
}
