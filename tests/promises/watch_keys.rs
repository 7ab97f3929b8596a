//! `status --watch` on a terminal: keys move the page, and the terminal is as before whatever ends it.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ExitStatus};
use std::sync::{Arc, Mutex};

use nix::pty::{Winsize, openpty};
use nix::sys::signal::Signal;
use nix::sys::termios::{LocalFlags, tcgetattr};

use crate::support::{House, send, wait_for};

/// A page that is watched on a terminal of its own.
struct Watched {
    child: Child,
    terminal: OwnedFd,
    typist: File,
    screen: Arc<Mutex<Vec<u8>>>,
}

impl Watched {
    fn of(house: &House) -> Self {
        Self::of_program(house, &[env!("CARGO_BIN_EXE_jobctl"), "status", "--watch"])
    }

    fn of_program(house: &House, command: &[&str]) -> Self {
        let size = Winsize { ws_row: 8, ws_col: 80, ws_xpixel: 0, ws_ypixel: 0 };
        let pty = openpty(&size, None).expect("there are terminals");
        let copy = || pty.slave.try_clone().expect("it can be copied");
        // The terminal is that of its session, and it is in the foreground there.
        let child = house
            .program("setsid")
            .arg("--ctty")
            .args(command)
            .env("JOBCTL", env!("CARGO_BIN_EXE_jobctl"))
            .env("TERM", "xterm")
            .stdin(copy())
            .stdout(copy())
            .stderr(copy())
            .spawn()
            .expect("there is setsid(1)");
        let typist = File::from(pty.master);
        let mut reader = typist.try_clone().expect("it can be copied");
        let screen = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&screen);
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(len @ 1..) = reader.read(&mut bytes) {
                seen.lock().expect("nobody panics with it").extend_from_slice(&bytes[..len]);
            }
        });
        Self { child, terminal: pty.slave, typist, screen }
    }

    /// The last page that is whole.
    fn page(&self) -> String {
        let bytes = self.screen.lock().expect("nobody panics with it").clone();
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let whole = text.rsplit_once("\x1b[J\x1b[?7h").map_or("", |(whole, _)| whole);
        whole.rsplit("\x1b[H").next().unwrap_or_default().replace("\x1b[K", "").replace('\r', "")
    }

    fn wait_page(&self, what: &str, is_it: impl Fn(&str) -> bool) -> String {
        wait_for(what, || Some(self.page()).filter(|page| is_it(page)))
    }

    fn press(&mut self, keys: &str) {
        self.typist.write_all(keys.as_bytes()).expect("it takes it");
    }

    fn has_lines(&self) -> bool {
        let flags = tcgetattr(&self.terminal).expect("it is a terminal").local_flags;
        flags.contains(LocalFlags::ICANON | LocalFlags::ECHO)
    }

    fn end(mut self) -> ExitStatus {
        let status = wait_for("it to end", || self.child.try_wait().expect("it is our child"));
        assert!(self.has_lines(), "the terminal was not given back");
        status
    }
}

fn house() -> House {
    let job = |name: &str| format!("[jobs.{name}]\nschedule = '@daily'\ncommand = 'true'\n");
    House::new(&["alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta"].map(job).concat())
}

#[test]
fn keys_scroll_the_page_filter_its_jobs_and_end_it() {
    let house = house();
    let mut watched = Watched::of(&house);
    let first = watched.wait_page("the keys to be named", |page| page.ends_with("?: keys"));
    assert!(first.starts_with("supervisor "), "{first}");
    assert!(!watched.has_lines());
    watched.press("?");
    watched.wait_page("the keys", |page| page.starts_with("keys of "));
    watched.press(" \x1b[F");
    watched.wait_page("the end of the page", |page| {
        page.contains("zeta ") && !page.contains("supervisor ")
    });
    watched.press("/ta");
    let page = watched.wait_page("the filter", |page| page.ends_with("\n/ta"));
    assert!(page.contains("beta ") && !page.contains("alpha "), "{page}");
    watched.press("\x7f\x7fgam\r");
    let page = watched.wait_page("the other filter", |page| page.contains("only /gam"));
    assert!(page.contains("gamma ") && !page.contains("beta "), "{page}");
    // Alone it is the key, with `[A` at once it would be another one.
    watched.press("\x1b");
    watched.wait_page("all jobs again", |page| page.contains("alpha "));
    watched.press("q");
    assert_eq!(watched.end().code(), Some(0));
}

#[test]
fn signals_end_the_watch_and_give_the_terminal_back() {
    let house = house();
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
        let watched = Watched::of(&house);
        watched.wait_page("the page", |page| page.ends_with("?: keys"));
        send(i32::try_from(watched.child.id()).expect("a pid is small"), signal);
        assert_eq!(watched.end().signal(), Some(signal as i32));
    }
    // The keyboard's own.
    let mut watched = Watched::of(&house);
    watched.wait_page("the page", |page| page.ends_with("?: keys"));
    watched.press("\x03");
    assert_eq!(watched.end().signal(), Some(Signal::SIGINT as i32));
}

#[test]
fn the_watch_stops_for_a_while_and_comes_back_with_its_keys() {
    let house = house();
    // Only where there are jobs something is stopped by the keyboard.
    let script = "set -m; \"$JOBCTL\" status --watch; stty -a > \"$T/meanwhile\"; fg";
    let mut watched = Watched::of_program(&house, &["bash", "-c", script]);
    watched.wait_page("the page", |page| page.ends_with("?: keys"));
    watched.press("\x1a");
    house.wait_text("meanwhile", " icanon ");
    assert!(house.read("meanwhile").contains(" echo "));
    wait_for("its keys", || (!watched.has_lines()).then_some(()));
    watched.press("?");
    watched.wait_page("the keys", |page| page.starts_with("keys of "));
    watched.press(" q");
    assert_eq!(watched.end().code(), Some(0));
}
