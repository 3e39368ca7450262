//! Runs a test on a ground: gives it a room, and shows the evidence when it fails.

use std::any::Any;
use std::panic::{AssertUnwindSafe, resume_unwind};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow};
use futures::FutureExt as _;
use tokio::runtime::Runtime;

use crate::ground::{Ground, GroundOptions};
use crate::process::janitor::{Janitor, janitor};
use crate::tenant::Tenant;

/// No test takes longer; one that does hangs.
const LONGEST: Duration = Duration::from_mins(5);

/// How long gathering the evidence of a failure may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// Runs a test in a room of its own on the ground that all tests share.
pub fn run(test: impl AsyncFnOnce(&Tenant) -> Result<()>) -> Result<()> {
    block_on(async {
        let ground = Ground::shared().await.inspect_err(|_| keep())?;
        on(ground, test).await
    })?
}

/// Runs a test on a ground of its own, which it may stop, kill and freeze as it likes.
pub fn run_alone(
    options: &GroundOptions,
    test: impl AsyncFnOnce(&Tenant) -> Result<()>,
) -> Result<()> {
    block_on(async {
        let ground = Ground::own(options).await.inspect_err(|_| keep())?;
        on(ground.clone(), test).await?;
        ground.remove()
    })?
}

/// Runs a part of a test in a room of its own on the same ground, so that parts can go side by side. Like the test it shows its own evidence.
pub async fn part(
    ground: &Arc<Ground>,
    test: impl AsyncFnOnce(&Tenant) -> Result<()>,
) -> Result<()> {
    // On the heap: such parts are large, and many.
    Box::pin(on(ground.clone(), test)).await
}

/// Runs a future on the one runtime of this process. Connections belong to the runtime that made them, so tests that share
/// servers share it as well.
pub fn block_on<T>(future: impl Future<Output = T>) -> Result<T> {
    static RUNTIME: OnceLock<Result<Runtime, String>> = OnceLock::new();
    let runtime = RUNTIME.get_or_init(|| {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        builder
            .enable_all()
            .build()
            .map_err(|error| error.to_string())
    });
    let runtime = runtime
        .as_ref()
        .map_err(|error| anyhow!("start the runtime: {error}"))?;
    Ok(runtime.block_on(future))
}

async fn on(ground: Arc<Ground>, test: impl AsyncFnOnce(&Tenant) -> Result<()>) -> Result<()> {
    let name = std::thread::current().name().unwrap_or("test").to_owned();
    let tenant = Tenant::new(ground, &name)
        .await
        .context("furnish a tenant")
        .inspect_err(|_| keep())?;
    let body = AssertUnwindSafe(tokio::time::timeout(LONGEST, test(&tenant))).catch_unwind();
    let outcome: Result<Result<()>, Box<dyn Any + Send>> = body.await.map(|done| {
        done.with_context(|| format!("the test did not end within {LONGEST:?}"))
            .flatten()
    });
    if !matches!(outcome, Ok(Ok(()))) {
        keep();
        // Before the evidence and again after it: of a long output people may be shown one end only.
        if let Ok(Err(error)) = &outcome {
            show(&format!("{name} failed: {error:#}"));
        }
        // Servers that a test froze answer nobody; then there is less to show, and the test ends all the same.
        let evidence = tenant.ground().evidence(tenant.name());
        match tokio::time::timeout(PATIENCE, evidence).await {
            Ok(evidence) => show(&evidence),
            Err(_) => show("the evidence could not be gathered in time: a server hangs"),
        }
    }
    outcome.unwrap_or_else(|panic| resume_unwind(panic))
}

/// Keeps the logs for a person to look at. A janitor that cannot be told has died, and removes nothing either.
fn keep() {
    drop(janitor().and_then(Janitor::keep));
}

#[expect(
    clippy::print_stderr,
    reason = "the test runner shows it with the failure of this test, and only then"
)]
fn show(evidence: &str) {
    eprintln!("{evidence}");
}
