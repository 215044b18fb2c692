//! The line that says how long a wait still takes, counted down where a person looks at it.

use super::text::{Screen, Style};
use crate::base::text;
use crate::cli::print;
use std::io::{self, Write};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// A wait shorter than this is only said.
const WORTH_IT: Duration = Duration::from_secs(2);

/// Counts down until it is dropped.
#[derive(Debug)]
pub struct Countdown {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Countdown {
    /// Says the wait. None where the line stays as it is: the wait is short, or the terminal cannot move its cursor.
    pub fn begin(screen: Screen, link: &str, pause: Duration) -> Option<Self> {
        // A line that wraps is more than one to rewrite.
        let fits = whole(link, pause).chars().count() < print::columns().unwrap_or(80);
        let counts = pause >= WORTH_IT && screen.moves && fits;
        let line = if counts { whole(link, pause) } else { briefly(link, pause) };
        screen.line(Style::Yellow, &line);
        if !counts {
            return None;
        }
        let (stop, stopped) = mpsc::channel();
        let (link, until) = (link.to_owned(), Instant::now() + pause);
        let count = move || {
            while let Err(RecvTimeoutError::Timeout) = stopped.recv_timeout(Duration::from_secs(1)) {
                let left = until.saturating_duration_since(Instant::now());
                again(screen, &whole(&link, left));
                if left.is_zero() {
                    break;
                }
            }
        };
        // Without a thread the line simply stays.
        let thread = std::thread::Builder::new().name("countdown".to_owned()).spawn(count).ok();
        Some(Self { stop: Some(stop), thread })
    }
}

impl Drop for Countdown {
    /// What comes next on the screen comes after the last word of it.
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            // It panics nowhere; if it did, the line stays.
            let _ = thread.join();
        }
    }
}

/// A wait that is not counted down.
pub fn briefly(link: &str, pause: Duration) -> String {
    format!("! trying {link} again in {:.1} s", pause.as_secs_f64())
}

fn whole(link: &str, left: Duration) -> String {
    let seconds = left.as_secs_f64().ceil() as u64;
    match seconds {
        0..120 => format!("! trying {link} again in {seconds} s"),
        120..7200 => format!("! trying {link} again in {}:{:02} min", seconds / 60, seconds % 60),
        _ => format!("! trying {link} again in {}:{:02} h", seconds / 3600, seconds % 3600 / 60),
    }
}

/// Rewrites the line above the one that the cursor is in, where something may be typed.
fn again(screen: Screen, line: &str) {
    let clean = text::strip_controls(line);
    let painted = screen.painted(Style::Yellow, &clean);
    let mut err = io::stderr().lock();
    let _ = write!(err, "\u{1b}7\u{1b}[1A\r\u{1b}[K{painted}\u{1b}8").and_then(|()| err.flush());
}
