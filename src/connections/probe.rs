//! One look at a server: when, what its health says, and what follows from it.

use std::time::Duration;

use jiff::Timestamp;

use crate::api::Reason;
use crate::connections::Outage;
use crate::vault::{self, Health};

/// The shortest time from one probe to another that only a suspicion asks for: a thousand objects that fail one after the other at a
/// server that is well must not make it answer a thousand probes.
pub const GAP: Duration = Duration::from_secs(1);

/// When a server was probed last, and whether somebody has met since what may be an outage.
#[derive(Debug, Default)]
pub struct Probes {
    last: Option<Timestamp>,
    suspected: bool,
}

impl Probes {
    /// Takes down a suspicion. Tells whether a probe has to be asked for; the one that answers the first suspicion answers all that
    /// come until then.
    pub fn suspect(&mut self) -> bool {
        !std::mem::replace(&mut self.suspected, true)
    }

    /// How long to wait where a suspicion asks for a probe too soon after the last; `None`: it may begin.
    pub fn wait(&self, now: Timestamp) -> Option<Duration> {
        // A clock that was set back must not silence the probes.
        let last = self.last.filter(|last| self.suspected && *last <= now)?;
        let since = Duration::try_from(now.duration_since(last)).ok()?;
        GAP.checked_sub(since).filter(|wait| !wait.is_zero())
    }

    /// A probe begins.
    pub fn begin(&mut self, now: Timestamp) {
        (self.last, self.suspected) = (Some(now), false);
    }
}

/// What the server's answer means for those who want to use it.
pub fn outage(address: &str, answer: &Result<Health, vault::Error>) -> Option<Outage> {
    match answer {
        Ok(health) if !health.initialized => Some(Outage {
            reason: Reason::VaultSealed,
            message: format!(
                "{address} answers, but was never initialized: run `vault operator init`"
            ),
        }),
        Ok(health) if health.sealed => Some(Outage {
            reason: Reason::VaultSealed,
            message: format!(
                "{address} is sealed: somebody must unseal it, then everything goes on by itself"
            ),
        }),
        Ok(_) => None,
        Err(error) => Some(Outage {
            reason: Reason::VaultUnavailable,
            message: format!("{address}: {error}"),
        }),
    }
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;

    fn at(millis: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + SignedDuration::from_millis(millis)
    }

    #[test]
    fn a_thousand_suspicions_ask_for_one_probe_at_once_and_one_after_each_gap() {
        let mut probes = Probes::default();
        let mut begun = Vec::new();
        let mut asked = None;
        // A thousand passes fail within three seconds, at a server that answers each probe at once.
        for millis in (0..3_000).step_by(3) {
            if probes.suspect() {
                asked = Some(millis);
            }
            if asked.is_some_and(|time| time <= millis) {
                asked = probes
                    .wait(at(millis))
                    .map(|wait| millis + i64::try_from(wait.as_millis()).unwrap());
                if asked.is_none() {
                    probes.begin(at(millis));
                    begun.push(millis);
                }
            }
        }
        assert_eq!(begun, [0, 1_002, 2_004]);
    }

    #[test]
    fn a_probe_that_is_due_by_itself_waits_for_nothing() {
        let mut probes = Probes::default();
        probes.begin(at(0));
        assert_eq!(probes.wait(at(1)), None);
        assert!(probes.suspect(), "the first one asks");
        assert!(!probes.suspect(), "the second is answered with it");
        assert_eq!(probes.wait(at(10)), Some(Duration::from_millis(990)));
        assert!(!probes.suspect(), "it still waits to be answered");
        assert_eq!(probes.wait(at(1_000)), None);
        probes.begin(at(1_000));
        assert!(probes.suspect(), "what comes after the probe is new");
    }

    #[test]
    fn a_clock_that_was_set_back_silences_no_probe() {
        let mut probes = Probes::default();
        probes.begin(at(86_400_000));
        assert!(probes.suspect());
        assert_eq!(probes.wait(at(0)), None);
    }
}
