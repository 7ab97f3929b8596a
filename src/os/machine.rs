//! What identifies this machine.

/// The machine id (machine-id(5)); the host's name where there is none.
const FILES: [&str; 3] =
    ["/etc/machine-id", "/var/lib/dbus/machine-id", "/proc/sys/kernel/hostname"];

/// Returns the machine's id, which survives restarts; empty if it has none.
pub(crate) fn id() -> String {
    let read = |path: &&str| {
        let text = std::fs::read_to_string(path).ok()?;
        Some(text.trim().to_owned()).filter(|id| !id.is_empty())
    };
    FILES.iter().find_map(read).unwrap_or_default()
}

/// Returns the machine's host name; `localhost` if it cannot be read.
pub(crate) fn host_name() -> String {
    std::fs::read_to_string("/proc/sys/kernel/hostname")
        .map(|name| name.trim().to_owned())
        .ok()
        .filter(|name| !name.is_empty())
        .unwrap_or_else(|| "localhost".to_owned())
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_machine_has_an_id_that_stays() {
        let id = super::id();
        assert_eq!(id, super::id());
        assert!(!id.is_empty() && !id.ends_with('\n'));
    }
}
