//! What a person sees: whether a stream is a terminal, how wide it is, whether it shows colour.

use std::fs::{File, OpenOptions};
use std::io::IsTerminal;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::fs::OpenOptionsExt;

use nix::libc;
use nix::pty::Winsize;

/// Columns of a terminal that does not say.
const WIDTH_DEFAULT: usize = 80;

/// What is known of an output stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Terminal {
    /// Its columns.
    pub(crate) width: usize,
    /// Its rows; none if it does not say.
    pub(crate) height: Option<usize>,
    /// Whether it can and may show colour.
    pub(crate) has_color: bool,
}

impl Terminal {
    /// The terminal behind `stream`; none if it is something else.
    pub(crate) fn of(stream: &(impl AsFd + IsTerminal)) -> Option<Self> {
        if !stream.is_terminal() {
            return None;
        }
        let size = window_size(stream.as_fd());
        let width = size
            .map(|size| usize::from(size.ws_col))
            .filter(|columns| *columns > 0)
            .or_else(columns_variable)
            .unwrap_or(WIDTH_DEFAULT);
        let height = size.map(|size| usize::from(size.ws_row));
        Some(Self { width, height: height.filter(|rows| *rows > 0), has_color: color_is_wanted() })
    }
}

/// Opens the controlling terminal of this process; none if it has none.
pub(crate) fn controlling() -> Option<File> {
    let flags = libc::O_NONBLOCK | libc::O_NOCTTY;
    OpenOptions::new().read(true).custom_flags(flags).open("/dev/tty").ok()
}

/// Whether the environment lets a terminal be coloured (no-color.org, TERM).
fn color_is_wanted() -> bool {
    let is_set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    !is_set("NO_COLOR") && obeys_sequences()
}

fn columns_variable() -> Option<usize> {
    std::env::var("COLUMNS").ok()?.parse().ok().filter(|columns| *columns > 0)
}

/// Whether a terminal obeys escape sequences (TERM).
pub(crate) fn obeys_sequences() -> bool {
    std::env::var_os("TERM").is_some_and(|term| !term.is_empty() && term != "dumb")
}

/// Whether the locale has more than ASCII (setlocale(3): `LC_ALL`, `LC_CTYPE`, `LANG`, the first
/// that is set).
pub(crate) fn is_utf8() -> bool {
    let set = |name: &&str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"].iter().find_map(set);
    locale.is_some_and(|locale| {
        let locale = locale.to_ascii_lowercase();
        locale.contains("utf-8") || locale.contains("utf8")
    })
}

/// Asks the kernel for the terminal's size; none if it does not know.
#[expect(unsafe_code, reason = "nix has no safe call for TIOCGWINSZ")]
fn window_size(stream: BorrowedFd<'_>) -> Option<Winsize> {
    nix::ioctl_read_bad!(get_window_size, nix::libc::TIOCGWINSZ, Winsize);
    let mut size = Winsize { ws_row: 0, ws_col: 0, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: the descriptor is borrowed and so stays open over the call; TIOCGWINSZ writes one
    // `struct winsize` to the pointer, which is to a live, exclusively borrowed value of just that
    // type.
    unsafe { get_window_size(stream.as_raw_fd(), &raw mut size) }.ok()?;
    Some(size)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_no_terminal() {
        let file = std::fs::File::open("/dev/null").unwrap();
        assert_eq!(Terminal::of(&file), None);
    }

    #[test]
    fn a_terminal_knows_its_width() {
        let size = Winsize { ws_row: 24, ws_col: 57, ws_xpixel: 0, ws_ypixel: 0 };
        let pty = nix::pty::openpty(&size, None).unwrap();
        assert_eq!(
            Terminal::of(&std::fs::File::from(pty.slave)).map(|terminal| terminal.width),
            Some(57)
        );
    }
}
