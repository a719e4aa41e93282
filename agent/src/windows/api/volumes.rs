//! Queries the volumes of Windows and their sizes. The time limit is elsewhere.

use std::{io, ptr};

use fleetsweep_agent::report::FileSystem;
use windows_sys::Win32::{
    Foundation::{ERROR_MORE_DATA, ERROR_NO_MORE_FILES, HANDLE, INVALID_HANDLE_VALUE},
    Storage::FileSystem::{
        FindFirstVolumeW, FindNextVolumeW, FindVolumeClose, GetDiskFreeSpaceExW, GetDriveTypeW, GetVolumeInformationW,
        GetVolumePathNamesForVolumeNameW,
    },
    System::WindowsProgramming::{DRIVE_FIXED, DRIVE_RAMDISK},
};

use super::{narrow, wide};
use crate::file_systems::Answer;

/// The length of a volume's name, `\\?\Volume{GUID}\`, with its terminating zero.
const NAME_CHARS: u32 = 64;
/// The volume cannot be written (`FILE_READ_ONLY_VOLUME` of winnt.h).
const FILE_READ_ONLY_VOLUME: u32 = 0x0008_0000;
/// The most characters of all paths of one volume.
const MAX_PATHS_CHARS: u32 = 32 << 10;

/// A search. It is closed when it is dropped.
struct Search(HANDLE);

impl Drop for Search {
    fn drop(&mut self) {
        // SAFETY: the handle comes from `FindFirstVolumeW`, succeeded, and is closed here alone.
        unsafe { FindVolumeClose(self.0) };
    }
}

/// The paths of the mounted volumes, each volume once. Reads the system's table and accesses no disk.
pub(in crate::windows) fn mounted() -> io::Result<Vec<String>> {
    let mut name = [0_u16; NAME_CHARS as usize];
    // SAFETY: the buffer has as many characters as are said.
    let search = unsafe { FindFirstVolumeW(name.as_mut_ptr(), NAME_CHARS) };
    if search == INVALID_HANDLE_VALUE {
        return Err(io::Error::last_os_error());
    }
    let search = Search(search);
    let mut paths = Vec::new();
    loop {
        paths.extend(path_of(&name));
        // SAFETY: the search is open, and the buffer has as many characters as are said.
        if unsafe { FindNextVolumeW(search.0, name.as_mut_ptr(), NAME_CHARS) } == 0 {
            let error = io::Error::last_os_error();
            let done = error.raw_os_error().map(i32::cast_unsigned) == Some(ERROR_NO_MORE_FILES);
            return if done { Ok(paths) } else { Err(error) };
        }
    }
}

/// The shortest path of a volume, for example `C:\`; `None` if it is not mounted.
fn path_of(volume: &[u16]) -> Option<String> {
    let mut chars = 260;
    loop {
        let mut paths = vec![0_u16; chars as usize];
        let mut needed = 0;
        // SAFETY: the name ends with a zero, as it was given, and the buffer has as many characters as are said.
        let found =
            unsafe { GetVolumePathNamesForVolumeNameW(volume.as_ptr(), paths.as_mut_ptr(), chars, &mut needed) != 0 };
        if found {
            return paths.split(|unit| *unit == 0).filter(|path| !path.is_empty()).map(narrow).min_by_key(String::len);
        }
        let more = io::Error::last_os_error().raw_os_error().map(i32::cast_unsigned) == Some(ERROR_MORE_DATA);
        if !more || needed <= chars || needed > MAX_PATHS_CHARS {
            return None;
        }
        chars = needed;
    }
}

/// The type and the size of the volume at a path; `None` if it is not on a fixed disk, because removable media such as
/// CDs are often full, or cannot be written, because an image is full by nature. May hang as long as the disk does.
pub(in crate::windows) fn ask(path: String) -> Answer {
    let wide_path = wide(&path);
    // SAFETY: the path ends with a zero.
    if !matches!(unsafe { GetDriveTypeW(wide_path.as_ptr()) }, DRIVE_FIXED | DRIVE_RAMDISK) {
        return Ok(None);
    }
    let (mut kind, mut flags) = ([0_u16; 32], 0);
    // SAFETY: the path ends with a zero, the number lives through the call, the buffer has as many characters as are said,
    // and null means that the rest is not wanted.
    let known = unsafe {
        GetVolumeInformationW(
            wide_path.as_ptr(),
            ptr::null_mut(),
            0,
            ptr::null_mut(),
            ptr::null_mut(),
            &mut flags,
            kind.as_mut_ptr(),
            32,
        ) != 0
    };
    if known && flags & FILE_READ_ONLY_VOLUME != 0 {
        return Ok(None);
    }
    let (mut available_bytes, mut total_bytes, mut free_bytes) = (0, 0, 0);
    // SAFETY: the path ends with a zero, and each number lives through the call.
    let answered = known
        && unsafe {
            GetDiskFreeSpaceExW(wide_path.as_ptr(), &mut available_bytes, &mut total_bytes, &mut free_bytes) != 0
        };
    if !answered {
        return Err(io::Error::last_os_error().to_string());
    }
    Ok((total_bytes > 0).then(|| FileSystem {
        mount: path,
        kind: narrow(&kind),
        total_bytes,
        used_bytes: total_bytes.saturating_sub(free_bytes),
        available_bytes: available_bytes.min(total_bytes),
        inodes: None,
    }))
}
