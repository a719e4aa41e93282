//! The speeds of network links.

use std::{io, ptr, slice};

use windows_sys::Win32::NetworkManagement::IpHelper::{FreeMibTable, GetIfTable2, MIB_IF_TABLE2};

use super::narrow;

/// The faster direction of each interface by its name, bits per second.
pub(in crate::windows) fn speeds() -> io::Result<Vec<(String, u64)>> {
    let mut table: *mut MIB_IF_TABLE2 = ptr::null_mut();
    // SAFETY: the pointer lives through the call, which sets it to a table of its own.
    match unsafe { GetIfTable2(&mut table) } {
        0 if !table.is_null() => {}
        0 => return Ok(Vec::new()),
        error => return Err(io::Error::from_raw_os_error(error.cast_signed())),
    }
    // SAFETY: the call succeeded, so the table has as many rows as it says, and lives until it is freed.
    let rows = unsafe { slice::from_raw_parts((*table).Table.as_ptr(), (*table).NumEntries as usize) };
    let speeds = rows.iter().map(|row| (narrow(&row.Alias), row.TransmitLinkSpeed.max(row.ReceiveLinkSpeed))).collect();
    // SAFETY: the table is of the call above, and nothing of it is used afterwards.
    unsafe { FreeMibTable(table.cast()) };
    Ok(speeds)
}
