//! A line of `/proc/self/mountinfo`.

use std::fmt;

/// The number of a device, which is the same for all mounts of a file system.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub(crate) struct Device {
    pub(crate) major: u32,
    pub(crate) minor: u32,
}

impl Device {
    /// `major:minor`
    fn parse(text: &[u8]) -> Option<Self> {
        let (major, minor) = str::from_utf8(text).ok()?.split_once(':')?;
        Some(Self { major: major.parse().ok()?, minor: minor.parse().ok()? })
    }
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.major, self.minor)
    }
}

/// A line, with what the selection needs.
#[derive(Debug)]
pub(crate) struct Line<'a> {
    pub(crate) id: u64,
    pub(crate) parent: u64,
    pub(crate) device: Device,
    /// The mounted directory of the file system; `/` for all of it.
    pub(crate) root: &'a [u8],
    pub(crate) point: Vec<u8>,
    /// Whether this mount is read-only.
    pub(crate) is_read_only: bool,
    pub(crate) kind: &'a [u8],
    /// The options of the file system.
    pub(crate) options: &'a [u8],
}

impl<'a> Line<'a> {
    /// The lines of `/proc/self/mountinfo`, without those of another form.
    pub(crate) fn all(mountinfo: &'a [u8]) -> impl Iterator<Item = Self> {
        mountinfo.split(|byte| *byte == b'\n').filter_map(Self::parse)
    }

    /// `36 35 98:0 /root /point options [optional]... - kind source options`
    fn parse(line: &'a [u8]) -> Option<Self> {
        const SEPARATOR: &[u8] = b" - ";
        let at = line.windows(SEPARATOR.len()).position(|bytes| bytes == SEPARATOR)?;
        let (mount, system) = (line.get(..at)?, line.get(at + SEPARATOR.len()..)?);
        let mut mount = mount.split(|byte| *byte == b' ');
        let mut system = system.split(|byte| *byte == b' ');
        Some(Self {
            id: number(mount.next()?)?,
            parent: number(mount.next()?)?,
            device: Device::parse(mount.next()?)?,
            root: mount.next()?,
            point: unescape(mount.next()?),
            is_read_only: has(mount.next()?, b"ro"),
            kind: system.next()?,
            options: system.next_back().unwrap_or_default(),
        })
    }

    /// Whether the file system is on a block device of its own. Others have the major number 0.
    pub(crate) fn has_block_device(&self) -> bool {
        self.device.major != 0
    }

    /// Whether the file system is read-only, for all its mounts.
    pub(crate) fn is_system_read_only(&self) -> bool {
        has(self.options, b"ro")
    }

    /// Whether the file system has an option that begins like this.
    pub(crate) fn has_option(&self, beginning: &[u8]) -> bool {
        self.options.split(|byte| *byte == b',').any(|option| option.starts_with(beginning))
    }
}

/// Whether a word is among the options.
pub(super) fn has(options: &[u8], word: &[u8]) -> bool {
    options.split(|byte| *byte == b',').any(|option| option == word)
}

fn number(text: &[u8]) -> Option<u64> {
    str::from_utf8(text).ok()?.parse().ok()
}

/// Blanks, line ends and backslashes are written as three octal digits.
pub(super) fn unescape(text: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&first, after)) = rest.split_first() {
        let escaped = match (first, after.split_first_chunk::<3>()) {
            (b'\\', Some((digits, after))) => octal(digits).map(|byte| (byte, after)),
            _ => None,
        };
        let (byte, after) = escaped.unwrap_or((first, after));
        bytes.push(byte);
        rest = after;
    }
    bytes
}

fn octal(digits: &[u8; 3]) -> Option<u8> {
    digits.iter().try_fold(0_u8, |number, digit| match digit {
        b'0'..=b'7' => number.checked_mul(8)?.checked_add(digit - b'0'),
        _ => None,
    })
}
