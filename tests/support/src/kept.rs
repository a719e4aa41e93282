//! Finds what a sweep keeps on a client. In tests, all clients are this machine.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// The shared directories in which the program may keep its agent.
const PLACES: [&str; 3] = ["/tmp", "/var/tmp", "/dev/shm"];

/// The directories of an account: the kept one and those of collections that keep nothing. The name must consist of
/// letters and digits.
///
/// # Panics
/// If one of the places cannot be read.
pub fn kept(username: &str) -> Vec<PathBuf> {
    let name = format!(".fleetsweep-{username}");
    let mut found: Vec<PathBuf> = PLACES
        .map(Path::new)
        .iter()
        .filter(|place| place.is_dir())
        .flat_map(|place| fs::read_dir(place).expect("a directory for everybody"))
        .map(|entry| entry.expect("an entry of a directory").path())
        .filter(|path| {
            let file = path.file_name().unwrap_or_default().to_string_lossy();
            file.strip_prefix(&name).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        })
        .collect();
    found.sort();
    found
}

/// Removes these directories.
pub fn remove_kept(username: &str) {
    for path in kept(username) {
        let removed = match path.symlink_metadata() {
            Ok(metadata) if metadata.is_dir() => fs::remove_dir_all(&path),
            Ok(_) => fs::remove_file(&path),
            Err(error) => Err(error),
        };
        match removed {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                eprintln!("{} was not removed: {error}", path.display());
            }
            Ok(()) | Err(_) => (),
        }
    }
}
