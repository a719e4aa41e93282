//! The services that do not run.

use std::{io, mem, ptr};

use windows_sys::Win32::{
    Foundation::ERROR_MORE_DATA,
    System::Services::{
        CloseServiceHandle, ENUM_SERVICE_STATUS_PROCESSW, EnumServicesStatusExW, OpenSCManagerW, OpenServiceW,
        QUERY_SERVICE_CONFIGW, QueryServiceConfig2W, QueryServiceConfigW, SC_ENUM_PROCESS_INFO, SC_HANDLE,
        SC_MANAGER_CONNECT, SC_MANAGER_ENUMERATE_SERVICE, SERVICE_CONFIG_DELAYED_AUTO_START_INFO,
        SERVICE_CONFIG_TRIGGER_INFO, SERVICE_INACTIVE, SERVICE_QUERY_CONFIG, SERVICE_TRIGGER_INFO, SERVICE_WIN32,
    },
};

use crate::windows::services::Service;

/// The size of the buffers, words of 8 bytes. The functions take and return at most as many bytes.
const LIST_WORDS: usize = 8 << 10;
/// The most services that are looked at.
const MOST: usize = 4096;

/// An open handle of the service manager or of a service.
struct Handle(SC_HANDLE);

impl Drop for Handle {
    fn drop(&mut self) {
        // SAFETY: the handle is open, and is not used afterwards.
        unsafe { CloseServiceHandle(self.0) };
    }
}

impl Handle {
    fn of(handle: SC_HANDLE) -> io::Result<Self> {
        if handle.is_null() { Err(io::Error::last_os_error()) } else { Ok(Self(handle)) }
    }
}

/// The services that do not run. Those whose configuration cannot be read are left out.
pub(in crate::windows) fn stopped() -> io::Result<Vec<Service>> {
    // SAFETY: null stands for this machine and the usual database.
    let manager = Handle::of(unsafe {
        OpenSCManagerW(ptr::null(), ptr::null(), SC_MANAGER_CONNECT | SC_MANAGER_ENUMERATE_SERVICE)
    })?;
    let mut services = Vec::new();
    let mut resume = 0;
    while services.len() < MOST {
        let mut words = vec![0_u64; LIST_WORDS];
        let bytes = u32::try_from(size_of_val(words.as_slice())).unwrap_or_default();
        let (mut needed, mut count) = (0, 0);
        // SAFETY: the buffer is aligned, has room for `bytes` bytes, and everything lives through the call.
        let done = unsafe {
            EnumServicesStatusExW(
                manager.0,
                SC_ENUM_PROCESS_INFO,
                SERVICE_WIN32,
                SERVICE_INACTIVE,
                words.as_mut_ptr().cast(),
                bytes,
                &mut needed,
                &mut count,
                &mut resume,
                ptr::null(),
            ) != 0
        };
        if !done {
            let error = io::Error::last_os_error();
            if error.raw_os_error() != Some(ERROR_MORE_DATA.cast_signed()) || count == 0 {
                return Err(error);
            }
        }
        let entry_bytes = size_of::<ENUM_SERVICE_STATUS_PROCESSW>();
        let count = (count as usize).min(size_of_val(words.as_slice()) / entry_bytes);
        for index in 0..count {
            // SAFETY: the call has written this number of entries to the start of the buffer, which has room for them.
            let entry = unsafe { words.as_ptr().cast::<ENUM_SERVICE_STATUS_PROCESSW>().add(index).read() };
            services.extend(service(&manager, &entry));
        }
        if done {
            break;
        }
    }
    Ok(services)
}

/// A service and how it is started. The entry is one of the list, whose buffer still lives.
fn service(manager: &Handle, entry: &ENUM_SERVICE_STATUS_PROCESSW) -> Option<Service> {
    // SAFETY: the name is a text with a terminating zero in the buffer of the list.
    let handle = Handle::of(unsafe { OpenServiceW(manager.0, entry.lpServiceName, SERVICE_QUERY_CONFIG) }).ok()?;
    let mut words = [0_u64; 1024];
    let (bytes, mut needed) = (u32::try_from(size_of_val(&words)).ok()?, 0);
    // SAFETY: the buffer is aligned, has room for `bytes` bytes, and everything lives through the call.
    if unsafe { QueryServiceConfigW(handle.0, words.as_mut_ptr().cast(), bytes, &mut needed) } == 0 {
        return None;
    }
    // SAFETY: the call succeeded, so that the buffer begins with this structure.
    let config = unsafe { words.as_ptr().cast::<QUERY_SERVICE_CONFIGW>().read() };
    // Absent in old systems.
    let mut further = |what| {
        words = [0; 1024];
        // SAFETY: as above.
        unsafe { QueryServiceConfig2W(handle.0, what, words.as_mut_ptr().cast(), bytes, &mut needed) };
        // SAFETY: both answers are larger than a number of 32 bits, and the buffer is zero where nothing was written.
        unsafe { words.as_ptr().cast::<u32>().read() }
    };
    const { assert!(mem::offset_of!(SERVICE_TRIGGER_INFO, cTriggers) == 0) };
    Some(Service {
        start: config.dwStartType,
        is_delayed: further(SERVICE_CONFIG_DELAYED_AUTO_START_INFO) != 0,
        triggers: further(SERVICE_CONFIG_TRIGGER_INFO),
        exit_code: entry.ServiceStatusProcess.dwWin32ExitCode,
        name: text(entry.lpServiceName),
    })
}

/// The longest name of a service, in characters of 16 bits.
const MOST_UNITS: usize = 256;

/// The text at an address, which ends with a zero.
fn text(start: *const u16) -> String {
    let mut units = Vec::new();
    for index in 0..MOST_UNITS {
        // SAFETY: everything before the zero belongs to the text, and the loop ends at the zero.
        match unsafe { start.add(index).read() } {
            0 => break,
            unit => units.push(unit),
        }
    }
    String::from_utf16_lossy(&units)
}
