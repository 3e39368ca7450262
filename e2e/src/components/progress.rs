//! Tells a waiting person what is being fetched or built, and for how long already.
//!
//! It writes to standard error directly, because a test runner hides what tests print, and a first run takes minutes.

use std::fmt::Write as _;
use std::io::{self, IsTerminal as _, Write as _};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How often a line is repeated where there is no terminal to redraw it on.
const REPEAT: Duration = Duration::from_secs(30);

/// What is going on with each part.
#[derive(Debug)]
pub(super) struct Progress {
    terminal: bool,
    running: Mutex<Vec<Running>>,
}

#[derive(Debug)]
struct Running {
    what: String,
    step: &'static str,
    start: Instant,
    told: Instant,
}

impl Progress {
    pub(super) fn new() -> Self {
        Self {
            terminal: io::stderr().is_terminal(),
            running: Mutex::default(),
        }
    }

    /// Says that work on a part enters a step; its clock starts with the first one.
    pub(super) fn enter(&self, what: &str, step: &'static str) {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        match running.iter_mut().find(|one| one.what == what) {
            Some(one) => one.step = step,
            None => running.push(Running {
                what: what.to_owned(),
                step,
                start: now,
                told: now,
            }),
        }
        if !self.terminal {
            say(&format!("{}\n", line(what, &format!("{step}…"))));
        }
    }

    /// Says how the work on a part ended.
    pub(super) fn leave(&self, what: &str, outcome: &str) {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(place) = running.iter().position(|one| one.what == what) else {
            return;
        };
        let one = running.remove(place);
        let clear = if self.terminal { "\r\x1b[2K" } else { "" };
        say(&format!(
            "{clear}{}\n",
            line(what, &format!("{outcome} {}", elapsed(one.start.elapsed())))
        ));
    }

    /// Repeats what is still running; to be called about once a second.
    pub(super) fn tick(&self) {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        let mut text = String::new();
        for one in running.iter_mut() {
            let state = format!("{}… {}", one.step, elapsed(one.start.elapsed()));
            if self.terminal {
                let gap = if text.is_empty() {
                    "\r\x1b[2Kcomponents  "
                } else {
                    "  |  "
                };
                let _ = write!(text, "{gap}{} {state}", one.what);
            } else if one.told.elapsed() >= REPEAT {
                one.told = Instant::now();
                let _ = writeln!(text, "{}", line(&one.what, &state));
            }
        }
        say(&text);
    }
}

fn line(what: &str, state: &str) -> String {
    format!("components  {what:<56} {state}")
}

/// A line that nobody can read is no reason to stop building.
fn say(text: &str) {
    drop(io::stderr().lock().write_all(text.as_bytes()));
}

/// A duration as people say it: `4s`, `5m10s`.
pub(crate) fn elapsed(duration: Duration) -> String {
    match duration.as_secs() {
        seconds if seconds < 60 => format!("{seconds}s"),
        seconds => format!("{}m{:02}s", seconds / 60, seconds % 60),
    }
}
