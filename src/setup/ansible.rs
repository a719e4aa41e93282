//! The hosts of an inventory of Ansible, in its INI or YAML format. Each host is in the first group that lists it; the
//! values of `ansible_host`, `ansible_port` and `ansible_user` are inherited as in Ansible. Nothing is executed: no
//! templates, no plugins, no vault.

mod ini;
mod range;
mod tree;
mod variables;
mod yaml;

pub use tree::Inventory;

use super::input::{self, InputError};

/// The hosts of an inventory. Its format follows from its name, as in Ansible, or else from its first line.
///
/// # Errors
/// [`InputError`] with the line.
pub fn read(bytes: &[u8], file: &str) -> Result<Inventory, InputError> {
    let text = input::text(bytes, file)?;
    let tree = if is_yaml(text, file) { yaml::tree(text, file)? } else { ini::tree(text, file)? };
    tree.inventory()
}

fn is_yaml(text: &str, file: &str) -> bool {
    let extension = file.rsplit_once('.').map(|(_, extension)| extension.to_ascii_lowercase());
    match extension.as_deref() {
        Some("yml" | "yaml" | "json") => return true,
        Some("ini" | "cfg") => return false,
        Some(_) | None => {}
    }
    let first = text.lines().map(str::trim).find(|line| !line.is_empty() && !line.starts_with(['#', ';']));
    first.is_some_and(|line| {
        line.starts_with("---") || line.starts_with('{') || (line.ends_with(':') && !line.contains([' ', '[']))
    })
}

#[cfg(test)]
mod tests;
