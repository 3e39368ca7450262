//! How the story is told: numbered steps, what a person would look at, times, and a summary.

#![expect(
    clippy::print_stdout,
    reason = "this is what the command is for: it tells a person what happens"
)]

use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use crate::ground::Ground;

/// The steps told so far, with their times.
pub struct Story {
    begin: Instant,
    number: usize,
    step: Instant,
    clock: Instant,
    summary: Vec<String>,
    title: String,
}

impl Story {
    /// The story begins.
    pub fn begin() -> Self {
        let now = Instant::now();
        Self {
            begin: now,
            number: 0,
            step: now,
            clock: now,
            summary: Vec::new(),
            title: String::new(),
        }
    }

    /// The next step.
    pub fn step(&mut self, title: &str) {
        self.number += 1;
        self.step = Instant::now();
        title.clone_into(&mut self.title);
        println!("{}. {title}", self.number);
    }

    /// What is measured in this step begins.
    pub fn start_clock(&mut self) {
        self.clock = Instant::now();
    }

    /// Tells how long that took, now and in the summary.
    pub fn measured(&mut self, what: &str) {
        self.told(&format!("{what} {}", seconds(self.clock.elapsed())));
    }

    /// Tells something that belongs into the summary.
    pub fn told(&mut self, line: &str) {
        note(line);
        self.summary.push(format!("{}: {line}", self.title));
    }

    /// The step came about.
    pub fn done(&self) {
        println!("   ({})\n", seconds(self.step.elapsed()));
    }

    /// All steps came about.
    pub fn end(&self) {
        println!(
            "All {} steps came about, in {}:",
            self.number,
            seconds(self.begin.elapsed())
        );
        for line in &self.summary {
            println!("   {line}");
        }
    }
}

/// Tells something.
pub fn note(text: &str) {
    println!("   {text}");
}

/// Shows what a person would look at.
pub fn show(text: &str) {
    println!("\n{}\n", indented(text));
}

/// The text, indented like what is shown.
pub fn indented(text: &str) -> String {
    let lines: Vec<String> = text.lines().map(|line| format!("      {line}")).collect();
    lines.join("\n")
}

fn seconds(duration: Duration) -> String {
    match duration.as_millis() {
        millis if millis < 1000 => format!("{millis} ms"),
        _ => format!("{:.1} s", duration.as_secs_f64()),
    }
}

/// What `kubectl` prints for the administrator.
pub fn kubectl(ground: &Ground, args: &[&str]) -> Result<String> {
    let mut command = Command::new(ground.components().program("kubectl")?);
    let output = command
        .args(args)
        .env("KUBECONFIG", ground.control_plane().kubeconfig())
        .output()?;
    ensure!(
        output.status.success(),
        "kubectl {}: {}",
        args.join(" "),
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
