//! What a person sees: whether a stream is a terminal, how wide it is, whether it shows colour; and
//! the keys that they press.

use std::cell::OnceCell;
use std::fs::{File, OpenOptions};
use std::io::{self, IsTerminal};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::sync::{Mutex, PoisonError};

use nix::libc;
use nix::pty::Winsize;
use nix::sys::termios::{
    LocalFlags, SetArg, SpecialCharacterIndices, Termios, tcgetattr, tcsetattr,
};
use nix::unistd::{getpgrp, tcgetpgrp};

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

/// How the terminal was before its keys were taken; none while they are not.
static BEFORE: Mutex<Option<(OwnedFd, Termios)>> = Mutex::new(None);

/// A terminal whose keys come one by one and unseen. It is as before when this is dropped, and when
/// the process panics.
#[derive(Debug)]
pub(crate) struct Keys {
    input: OwnedFd,
    /// How it was; not known as long as another process group has it.
    before: OnceCell<Termios>,
}

impl Keys {
    /// Those of a terminal; none if it is something else.
    pub(crate) fn of(input: &(impl AsFd + IsTerminal)) -> io::Result<Option<Self>> {
        if !input.is_terminal() {
            return Ok(None);
        }
        let input = input.as_fd().try_clone_to_owned()?;
        give_back_in_panic();
        let keys = Self { input, before: OnceCell::new() };
        keys.take()?;
        Ok(Some(keys))
    }

    /// Takes them, at first or again. Signals of the keyboard stay signals. Does nothing in the
    /// background, where it would stop the process.
    pub(crate) fn take(&self) -> io::Result<()> {
        if !is_foreground(self.input.as_fd()) {
            return Ok(());
        }
        let now = tcgetattr(&self.input)?;
        take(&self.input, self.before.get_or_init(|| now))
    }

    /// Whether there is something to read for this process.
    pub(crate) fn fd(&self) -> Option<BorrowedFd<'_>> {
        Some(self.input.as_fd()).filter(|fd| is_foreground(*fd))
    }

    /// Reads what was typed; nothing is the end.
    pub(crate) fn read(&self) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; 256];
        let len = nix::unistd::read(&self.input, &mut bytes)?;
        bytes.truncate(len);
        Ok(bytes)
    }
}

impl Drop for Keys {
    fn drop(&mut self) {
        give_back();
    }
}

/// Makes a terminal whose keys were taken as it was before.
pub(crate) fn give_back() {
    let taken = BEFORE.lock().unwrap_or_else(PoisonError::into_inner).take();
    if let Some((input, before)) = taken {
        // Where it is gone, there is nothing to give back.
        let _ = tcsetattr(&input, SetArg::TCSANOW, &before);
    }
}

fn take(input: &OwnedFd, before: &Termios) -> io::Result<()> {
    let saved = (input.try_clone()?, before.clone());
    *BEFORE.lock().unwrap_or_else(PoisonError::into_inner) = Some(saved);
    let mut unseen = before.clone();
    unseen.local_flags.remove(LocalFlags::ICANON | LocalFlags::ECHO);
    unseen.control_chars[SpecialCharacterIndices::VMIN as usize] = 1;
    unseen.control_chars[SpecialCharacterIndices::VTIME as usize] = 0;
    Ok(tcsetattr(input, SetArg::TCSANOW, &unseen)?)
}

fn give_back_in_panic() {
    let former = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        give_back();
        former(panic);
    }));
}

fn is_foreground(terminal: BorrowedFd<'_>) -> bool {
    tcgetpgrp(terminal) == Ok(getpgrp())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_gives_the_terminal_back() {
        let pty = nix::pty::openpty(None, None).unwrap();
        let before = tcgetattr(&pty.slave).unwrap();
        take(&pty.slave, &before).unwrap();
        let flags = || tcgetattr(&pty.slave).unwrap().local_flags;
        assert!(!flags().intersects(LocalFlags::ICANON | LocalFlags::ECHO));
        give_back_in_panic();
        std::thread::spawn(|| panic!("to be seen to")).join().unwrap_err();
        assert_eq!(flags(), before.local_flags);
    }

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
