//! A program in a pseudo terminal of a given size: keys in, screen out.

use super::launch::Launch;
use portable_pty::{Child, MasterPty, PtySize};
use std::io::{Read, Write};
use std::num::NonZeroU16;
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

/// Keys that are no text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Key {
    Enter,
    Tab,
    Escape,
    Backspace,
    Up,
    Down,
    Left,
    Right,
    /// Control and a letter, e.g. `Ctrl('c')`.
    Ctrl(char),
}

impl Key {
    fn bytes(self) -> Vec<u8> {
        match self {
            Self::Enter => b"\r".to_vec(),
            Self::Tab => b"\t".to_vec(),
            Self::Escape => b"\x1b".to_vec(),
            Self::Backspace => b"\x7f".to_vec(),
            Self::Up => b"\x1b[A".to_vec(),
            Self::Down => b"\x1b[B".to_vec(),
            Self::Right => b"\x1b[C".to_vec(),
            Self::Left => b"\x1b[D".to_vec(),
            Self::Ctrl(letter) => vec![letter.to_ascii_uppercase() as u8 & 0x1f],
        }
    }
}

struct Seen {
    screen: vt100::Parser,
    raw: Vec<u8>,
    ended: bool,
}

/// A running program and its terminal. Dropping it kills the program.
pub struct Terminal {
    child: Box<dyn Child + Send + Sync>,
    master: Box<dyn MasterPty + Send>,
    keys: Box<dyn Write + Send>,
    seen: Arc<(Mutex<Seen>, Condvar)>,
    deadline: Instant,
}

impl Terminal {
    /// Starts it in a terminal of `rows` by `columns`, as an xterm with 256 colours unless the launch
    /// names a TERM. The limit of the launch counts from here on.
    pub fn start(launch: Launch, rows: u16, columns: u16) -> Self {
        let (command, limit) = launch.env_default("TERM", "xterm-256color").into_pty_command();
        let size = PtySize { rows, cols: columns, pixel_width: 0, pixel_height: 0 };
        let pair = portable_pty::native_pty_system().openpty(size).expect("a pseudo terminal");
        let child = pair.slave.spawn_command(command).expect("the program in the terminal");
        let (tall, wide) = (NonZeroU16::new(rows).expect("a row"), NonZeroU16::new(columns).expect("a column"));
        let screen = vt100::Parser::new(tall, wide, 1000);
        let seen = Arc::new((Mutex::new(Seen { screen, raw: Vec::new(), ended: false }), Condvar::new()));
        let reader = pair.master.try_clone_reader().expect("the terminal's output");
        read(reader, Arc::clone(&seen));
        let keys = pair.master.take_writer().expect("the terminal's input");
        Self { child, master: pair.master, keys, seen, deadline: Instant::now() + limit }
    }

    /// Types text.
    pub fn send(&mut self, text: &str) -> &mut Self {
        self.keys.write_all(text.as_bytes()).and_then(|()| self.keys.flush()).expect("the program takes keys");
        self
    }

    pub fn key(&mut self, key: Key) -> &mut Self {
        self.keys.write_all(&key.bytes()).and_then(|()| self.keys.flush()).expect("the program takes keys");
        self
    }

    /// Changes the window's size; the program gets its signal.
    pub fn resize(&mut self, rows: u16, columns: u16) {
        self.master.resize(PtySize { rows, cols: columns, pixel_width: 0, pixel_height: 0 }).expect("a new size");
        let (tall, wide) = (NonZeroU16::new(rows).expect("a row"), NonZeroU16::new(columns).expect("a column"));
        self.seen.0.lock().unwrap().screen.screen_mut().set_size(tall, wide);
    }

    /// What a person sees now, trailing blanks cut off.
    pub fn screen(&self) -> String {
        text(&self.seen.0.lock().unwrap())
    }

    /// Every byte that the program has written, escape codes included.
    pub fn raw(&self) -> Vec<u8> {
        self.seen.0.lock().unwrap().raw.clone()
    }

    /// Waits until the screen shows `what`.
    #[track_caller]
    pub fn wait_for(&mut self, what: &str) -> &mut Self {
        self.wait_until(what, |screen| screen.contains(what))
    }

    /// Waits until `there` says yes to the screen; fails with the screen when the program ends before, or at the limit.
    #[track_caller]
    pub fn wait_until(&mut self, what: &str, there: impl Fn(&str) -> bool) -> &mut Self {
        let (lock, changed) = &*self.seen;
        let mut seen = lock.lock().unwrap();
        loop {
            let screen = text(&seen);
            if there(&screen) {
                break;
            }
            let left = self.deadline.saturating_duration_since(Instant::now());
            let (ended, late) = (seen.ended, left.is_zero());
            assert!(!ended, "the program ended before the screen showed: {what}\n{}", framed(&screen));
            assert!(!late, "the screen did not show in time: {what}\n{}", framed(&screen));
            seen = changed.wait_timeout(seen, left).unwrap().0;
        }
        drop(seen);
        self
    }

    /// Waits for the program's end, and for the last of what it wrote; returns its exit code.
    #[track_caller]
    pub fn wait_exit(&mut self) -> u32 {
        loop {
            let ended = self.seen.0.lock().unwrap().ended;
            match self.child.try_wait().expect("the child's state") {
                Some(status) if ended => return status.exit_code(),
                _ => {}
            }
            let late = Instant::now() >= self.deadline;
            assert!(!late, "the program, or something that it started, did not leave the terminal in time\n{}", framed(&self.screen()));
            thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

fn read(mut from: Box<dyn Read + Send>, into: Arc<(Mutex<Seen>, Condvar)>) {
    thread::spawn(move || {
        let mut buffer = [0; 4096];
        let (lock, changed) = &*into;
        // The end of a terminal is an error (EIO) on Linux.
        while let Ok(n @ 1..) = from.read(&mut buffer) {
            let mut seen = lock.lock().unwrap();
            seen.raw.extend_from_slice(&buffer[..n]);
            seen.screen.process(&buffer[..n]);
            changed.notify_all();
        }
        lock.lock().unwrap().ended = true;
        changed.notify_all();
    });
}

fn text(seen: &Seen) -> String {
    let all = seen.screen.screen().contents();
    all.lines().map(str::trim_end).collect::<Vec<_>>().join("\n").trim_end().to_owned()
}

fn framed(screen: &str) -> String {
    format!("--- screen\n{screen}\n---")
}

#[cfg(all(test, unix))]
mod tests {
    use super::super::TestEnv;
    use super::*;

    fn sh(script: &str, rows: u16, columns: u16) -> (TestEnv, Terminal) {
        let env = TestEnv::new();
        let launch = env.command("sh").args(["-c", script]).limit(Duration::from_secs(20));
        let terminal = Terminal::start(launch, rows, columns);
        (env, terminal)
    }

    #[test]
    fn keys_go_in_and_the_screen_comes_out() {
        let (_env, mut terminal) = sh("stty size; printf 'name? '; read x; printf '\\033[31mhello %s\\033[0m\\n' \"$x\"; exit 4", 24, 40);
        terminal.wait_for("24 40").wait_for("name?").send("pup").key(Key::Enter);
        terminal.wait_for("hello pup");
        assert_eq!(terminal.wait_exit(), 4);
        assert!(!terminal.screen().contains('\x1b') && terminal.raw().contains(&0x1b));
    }

    #[test]
    fn control_c_reaches_the_program_and_a_new_size_too() {
        let (_env, mut terminal) =
            sh("trap 'stty size; echo sized' WINCH; trap 'echo bye; exit 9' INT; echo up; while :; do sleep 0.05; done", 24, 80);
        terminal.wait_for("up").resize(10, 33);
        // Not before the trap is over: some shells die of an interrupt inside one.
        terminal.wait_for("10 33").wait_for("sized").key(Key::Ctrl('c')).wait_for("bye");
        assert_eq!(terminal.wait_exit(), 9);
    }

    #[test]
    fn a_screen_that_never_comes_fails_with_what_is_there() {
        let failed = std::panic::catch_unwind(|| {
            let (_env, mut terminal) = sh("echo something else", 5, 20);
            terminal.wait_for("hello");
        });
        let said = failed.unwrap_err().downcast_ref::<String>().cloned().unwrap_or_default();
        assert!(said.contains("ended before") && said.contains("something else"), "{said}");
    }
}
