//! The name of an account or a group by its identity.

use std::{io, ptr};

use windows_sys::Win32::{
    Foundation::LocalFree,
    Security::{Authorization::ConvertStringSidToSidW, LookupAccountSidW, PSID, SID_NAME_USE, SidTypeDeletedAccount},
};

use super::{narrow, wide};

/// The longest names, in characters of UTF-16 with their ends. Longer ones are not possible.
const NAME_UNITS: usize = 512;

/// An identity in the form of Windows. It is freed when it is dropped.
struct Identity(PSID);

impl Drop for Identity {
    fn drop(&mut self) {
        // SAFETY: the memory comes from the conversion, is freed here alone, and is not used afterwards.
        unsafe { LocalFree(self.0.cast()) };
    }
}

/// `DOMAIN\name` of an identity such as `S-1-5-21-1-2-3-1105`. This may ask a domain controller and wait for it.
pub(in crate::windows) fn name_of(identity: &str) -> io::Result<String> {
    let text = wide(identity);
    let mut sid: PSID = ptr::null_mut();
    // SAFETY: the text ends with a zero, and the pointer lives through the call.
    if unsafe { ConvertStringSidToSidW(text.as_ptr(), &mut sid) } == 0 || sid.is_null() {
        return Err(io::Error::last_os_error());
    }
    let sid = Identity(sid);
    let (mut name, mut domain) = ([0_u16; NAME_UNITS], [0_u16; NAME_UNITS]);
    let (mut name_units, mut domain_units) = (NAME_UNITS as u32, NAME_UNITS as u32);
    let mut kind: SID_NAME_USE = 0;
    // SAFETY: the identity is valid, both buffers have as many units as are said, and everything lives through the call.
    // Null stands for this machine.
    let found = unsafe {
        LookupAccountSidW(
            ptr::null(),
            sid.0,
            name.as_mut_ptr(),
            &mut name_units,
            domain.as_mut_ptr(),
            &mut domain_units,
            &mut kind,
        )
    };
    if found == 0 {
        return Err(io::Error::last_os_error());
    }
    let (name, domain) = (narrow(&name), narrow(&domain));
    let deleted = if kind == SidTypeDeletedAccount { " [deleted]" } else { "" };
    Ok(if domain.is_empty() { format!("{name}{deleted}") } else { format!("{domain}\\{name}{deleted}") })
}
