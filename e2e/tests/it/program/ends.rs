//! It ends when asked to, whatever else goes on.

use anyhow::{Result, ensure};
use vaultbridge_e2e::stopwatch::Stopwatch;
use vaultbridge_e2e::wait::{SOON, until};
use vaultbridge_e2e::{GroundOptions, Tenant, run_alone};

/// Ends the operator by a signal, sees that it ends well, and starts it again.
async fn ends(t: &Tenant, when: &str, interrupt: bool) -> Result<()> {
    let service = t.operator()?.service();
    let start = Stopwatch::start();
    let status = if interrupt {
        service.interrupt().await?
    } else {
        service.terminate().await?
    };
    start.tell(&format!("{when}, it ended after"));
    let tail = t.operator()?.log_tail(20);
    ensure!(status.success(), "{when}, it ended with {status}:\n{tail}");
    assert!(tail.contains("stopped"), "{tail}");
    t.operator()?.start_again()
}

#[test]
fn it_ends_in_good_order_on_a_signal_whatever_else_goes_on() -> Result<()> {
    run_alone(&GroundOptions::default(), async |t| {
        t.app("app", "first password", "1s").await?;
        let mark = t.mark().await?;
        ends(t, "while all is well", false).await?;
        let asked = t.vault_requests(&mark)?;
        let revoked = asked
            .clone()
            .only(|request| request.path == "auth/token/revoke-self");
        assert_eq!(revoked.len(), 1, "its token was given back: {asked}");

        t.operator()?.ready().await?;
        let mark = t.mark().await?;
        t.polls(&mark, "app", 1).await?;
        ends(t, "on Ctrl-C", true).await?;

        t.operator()?.ready().await?;
        let mark = t.mark().await?;
        t.polls(&mark, "app", 1).await?;
        t.vault().seal().await?;
        t.reports("app", "Synced", "False", "VaultSealed").await?;
        ends(t, "while Vault is sealed", false).await?;
        t.vault().unseal().await?;

        t.operator()?.ready().await?;
        let mark = t.mark().await?;
        t.polls(&mark, "app", 1).await?;
        t.vault().service().freeze()?;
        ends(t, "while Vault hangs", false).await?;
        t.vault().service().thaw()?;

        t.operator()?.ready().await?;
        let mark = t.mark().await?;
        t.polls(&mark, "app", 1).await?;
        let apiserver = t.ground().control_plane().apiserver();
        apiserver.freeze()?;
        let from = t.vault().audit().log().end()?;
        t.password("app", "second password").await?;
        // Who has read the change waits for the API server and reads no more, so this one read must not be missed.
        until("the change to be read", SOON, async || {
            let log = t.vault().audit().log().since(from)?;
            let path = format!(r#""path":"{}/data/app""#, t.name());
            let mut about = log.lines().filter(|line| line.contains(&path));
            let is_read = |line: &str| line.contains(r#""operation":"read""#);
            let answers = |line: &str| line.contains(r#""type":"response""#);
            let written = about.any(|line| !is_read(line) && answers(line));
            let read = about.any(|line| is_read(line) && !answers(line));
            Ok((written && read).then_some(()))
        })
        .await?;
        ends(t, "while the API server hangs", false).await?;
        apiserver.thaw()?;
        t.operator()?.ready().await?;
        t.secret_with("app", "password", "second password").await?;

        apiserver.kill()?;
        ends(t, "while there is no API server", false).await?;
        Ok(())
    })
}
