//! Which file systems can be written. One that cannot is full by nature, and that says nothing.

use std::collections::HashMap;

use super::line::{Line, has, unescape};

/// Types that no Linux writes, whatever the options say.
const IMAGES: &[&[u8]] =
    &[b"befs", b"composefs", b"cramfs", b"efs", b"erofs", b"iso9660", b"qnx6", b"romfs", b"squashfs"];
/// Types that are read-only by themselves for some media, formats and drivers.
const SOMETIMES_IMAGES: &[&[u8]] = &[b"hfsplus", b"ntfs", b"qnx4", b"udf", b"ufs", b"vxfs"];
/// Parts of the names of programs that mount images.
const IMAGE_PROGRAMS: [&str; 8] =
    ["appimage", "cvmfs2", "dwarfs", "erofsfuse", "fuseiso", "ratarmount", "snapfuse", "squashfuse"];

/// The mounts that `/etc/fstab` wants to be writable: their types by their point.
pub(super) struct Wanted<'a>(HashMap<Vec<u8>, Vec<&'a [u8]>>);

impl<'a> Wanted<'a> {
    /// `source point type options ...`, with blanks or tabs between them and `#` at the beginning of comments.
    pub(super) fn parse(fstab: &'a [u8]) -> Self {
        let lines = fstab.split(|byte| *byte == b'\n').filter_map(|line| {
            let mut fields = line.split(u8::is_ascii_whitespace).filter(|field| !field.is_empty());
            if fields.next()?.starts_with(b"#") {
                return None;
            }
            let (point, kind) = (fields.next()?, fields.next()?);
            let options = fields.next().unwrap_or_default();
            (!has(options, b"ro") && !has(options, b"noauto")).then(|| (unescape(point), kind))
        });
        let mut wanted: HashMap<Vec<u8>, Vec<&[u8]>> = HashMap::new();
        for (mut point, kind) in lines {
            while point.len() > 1 && point.ends_with(b"/") {
                point.pop();
            }
            wanted.entry(point).or_default().push(kind);
        }
        Self(wanted)
    }

    fn has(&self, line: &Line<'_>) -> bool {
        // `nfs` leaves the version to the server.
        let is_it =
            |kinds: &[u8]| kinds == b"auto" || has(kinds, line.kind) || line.kind == b"nfs4" && has(kinds, b"nfs");
        self.0.get(&line.point).is_some_and(|lines| lines.iter().any(|kinds| is_it(kinds)))
    }
}

/// Whether a file system can be written, or could be if nothing had happened to it: the kernel makes file systems
/// read-only after errors, and the machine starts with a read-only root if it cannot repair it.
pub(super) fn can_be_written(line: &Line<'_>, wanted: &Wanted<'_>) -> bool {
    if IMAGES.contains(&line.kind) || is_image_of_program(line) {
        return false;
    }
    // Only with this directory can an overlay be written. Without it, it is the root of an image-based system.
    if line.kind == b"overlay" && !line.has_option(b"upperdir=") {
        return false;
    }
    if line.is_read_only {
        // Whoever mounts read-only makes both read-only, or only the mount.
        return wanted.has(line);
    }
    // The kernel makes only the file system read-only.
    !(line.is_system_read_only() && SOMETIMES_IMAGES.contains(&line.kind))
}

/// Whether it is an image that is mounted by a program: `fuse.squashfuse`, an AppImage at `/tmp/.mount_NAME`.
fn is_image_of_program(line: &Line<'_>) -> bool {
    let Some(name) = line.kind.strip_prefix(b"fuse.") else { return line.kind == b"fuse" && is_app_image(line) };
    let name = String::from_utf8_lossy(name).to_lowercase();
    is_app_image(line) || IMAGE_PROGRAMS.iter().any(|program| name.contains(program))
}

fn is_app_image(line: &Line<'_>) -> bool {
    line.point.rsplit(|byte| *byte == b'/').next().is_some_and(|name| name.starts_with(b".mount_"))
}
