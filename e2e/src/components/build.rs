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

use anyhow::{Context as _, Result, anyhow};

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

/// Fetches all jobs in one thread each kind, builds them in the order in which they are fetched. The first failure
/// stops what has not begun.
fn run(cache: &Cache, progress: &Progress, jobs: &[Job<'_>]) -> Result<()> {
    let failed = AtomicBool::new(false);
    let attempt = |job: &Job<'_>, step: Step| {
        progress.enter(&job.part.title(), step.name());
        let outcome = match step {
            Step::Fetch => job.fetch(),
            Step::Build => job.build(),
        };
        outcome
            .inspect_err(|_| failed.store(true, Ordering::Relaxed))
            .map_err(|error| explain(job, &error))
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
            let (fetched, attempt, failed) = (fetched.clone(), &attempt, &failed);
            scope.spawn(move || {
                for job in jobs.iter().filter(|job| job.part.is_wheel() == wheels) {
                    if failed.load(Ordering::Relaxed) {
                        break;
                    }
                    let outcome = attempt(job, Step::Fetch);
                    // Nobody listens any more only after the builder has failed.
                    drop(fetched.send((job, outcome)));
                }
            });
        }
        drop(fetched);
        let mut first = Ok(());
        for (job, fetched) in queue {
            let outcome = fetched
                .and_then(|()| {
                    if failed.load(Ordering::Relaxed) {
                        Err(anyhow!("stopped"))
                    } else {
                        Ok(())
                    }
                })
                .and_then(|()| attempt(job, Step::Build))
                .and_then(|()| cache.publish(job.part, &job.workshop));
            progress.leave(
                &job.part.title(),
                if outcome.is_ok() {
                    "ready in"
                } else {
                    "failed after"
                },
            );
            if outcome.is_err() {
                cache::remove(&job.workshop)?;
            }
            first = first.and(outcome);
        }
        drop(done);
        first
    })
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
        matches!(self.recipe, Recipe::Wheel { .. })
    }
}
