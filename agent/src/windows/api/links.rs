//! The numbers of network interfaces and the speeds of their links.

use std::{io, ptr, slice};

use windows_sys::Win32::NetworkManagement::IpHelper::{FreeMibTable, GetIfTable2, MIB_IF_ROW2, MIB_IF_TABLE2};

use super::narrow;

/// What the system says about an interface beside its counters.
pub(in crate::windows) struct Link {
    /// The name of the interface.
    pub(in crate::windows) name: String,
    /// Its number, which it keeps when it gets another name.
    pub(in crate::windows) index: u32,
    /// The speed of the faster direction.
    pub(in crate::windows) bits_per_second: u64,
}

/// All interfaces.
pub(in crate::windows) fn all() -> io::Result<Vec<Link>> {
    let mut table: *mut MIB_IF_TABLE2 = ptr::null_mut();
    // SAFETY: the pointer lives through the call, which sets it to a table of its own.
    match unsafe { GetIfTable2(&mut table) } {
        0 if !table.is_null() => {}
        0 => return Ok(Vec::new()),
        error => return Err(io::Error::from_raw_os_error(error.cast_signed())),
    }
    // SAFETY: the call succeeded, so the table has as many rows as it says, and lives until it is freed.
    let rows = unsafe { slice::from_raw_parts((*table).Table.as_ptr(), (*table).NumEntries as usize) };
    let link = |row: &MIB_IF_ROW2| Link {
        name: narrow(&row.Alias),
        index: row.InterfaceIndex,
        bits_per_second: row.TransmitLinkSpeed.max(row.ReceiveLinkSpeed),
    };
    let links = rows.iter().map(link).collect();
    // SAFETY: the table is of the call above, and nothing of it is used afterwards.
    unsafe { FreeMibTable(table.cast()) };
    Ok(links)
}
