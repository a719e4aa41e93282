//! The counters of disks.

use std::{
    fs::{File, OpenOptions},
    os::windows::{fs::OpenOptionsExt, io::AsRawHandle},
    ptr,
};

use windows_sys::Win32::System::{
    IO::DeviceIoControl,
    Ioctl::{DISK_PERFORMANCE, IOCTL_DISK_PERFORMANCE},
};

use crate::windows::disks::Performance;

/// The most numbers of disks that are tried. Numbers have gaps where disks were removed.
const MOST: u32 = 64;
/// After so many numbers without a disk, there are no further ones.
const GAP: u32 = 8;
/// Others may read and write the disk meanwhile.
const SHARED: u32 = 3;

/// The counters of the disks by their numbers. One without counters is left out.
pub(in crate::windows) fn performances() -> Vec<(u32, Performance)> {
    let (mut found, mut missing) = (Vec::new(), 0);
    for number in 0..MOST {
        // Without the right to read or write, which only administrators have.
        let disk = OpenOptions::new().access_mode(0).share_mode(SHARED).open(format!(r"\\.\PhysicalDrive{number}"));
        match disk {
            Ok(disk) => {
                missing = 0;
                found.extend(performance(&disk).map(|performance| (number, performance)));
            }
            Err(_) => missing += 1,
        }
        if missing >= GAP {
            break;
        }
    }
    found
}

fn performance(disk: &File) -> Option<Performance> {
    let mut answer = DISK_PERFORMANCE::default();
    let (bytes, mut returned) = (u32::try_from(size_of_val(&answer)).ok()?, 0);
    // SAFETY: the handle is open, the answer has room for `bytes` bytes, and both it and the length live through the call.
    let answered = unsafe {
        DeviceIoControl(
            disk.as_raw_handle(),
            IOCTL_DISK_PERFORMANCE,
            ptr::null(),
            0,
            (&raw mut answer).cast(),
            bytes,
            &mut returned,
            ptr::null_mut(),
        )
    };
    (answered != 0 && returned >= bytes).then(|| Performance {
        read_bytes: answer.BytesRead.cast_unsigned(),
        written_bytes: answer.BytesWritten.cast_unsigned(),
        reads: answer.ReadCount.into(),
        writes: answer.WriteCount.into(),
        idle_steps: answer.IdleTime.cast_unsigned(),
        at_steps: answer.QueryTime.cast_unsigned(),
    })
}
