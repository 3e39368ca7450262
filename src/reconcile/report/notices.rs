//! The events that tell of something that was done.

use crate::api::{FORCE_SYNC, Reason};
use crate::cluster::events::Notice;
use crate::minting::Cause;
use crate::reconcile::apply::Applied;
use crate::reconcile::failure;
use crate::reconcile::observe::Observed;
use crate::reconcile::status;
use crate::reconcile::trigger::Trigger;
use crate::record::Record;

/// An event tells what a person would not expect. An ordinary sync is told by the status.
pub(super) fn notice_of_repair(
    observed: &Observed,
    trigger: Trigger,
    applied: &Applied,
) -> Option<Notice> {
    let name = observed.object.target_name();
    let (reason, action) = match trigger {
        Trigger::Issued(Cause::LeaseLost) => (Reason::LeaseLost, "Issue"),
        Trigger::Issued(_) => (Reason::Synced, "Issue"),
        _ => (Reason::Synced, "Restore"),
    };
    let note = match trigger {
        Trigger::Issued(cause) => match issued_because(observed, cause) {
            Some(why) => format!(
                "Secret {name} holds new credentials (revision {}): {why}",
                applied.record.revision
            ),
            None => return None,
        },
        Trigger::TargetMissing => format!("Secret {name} was gone; created it again"),
        Trigger::TargetChanged if applied.written => {
            format!("Secret {name} was changed by somebody else; restored it")
        }
        Trigger::FirstSync
        | Trigger::SpecChanged
        | Trigger::TargetChanged
        | Trigger::Retry(_)
        | Trigger::Requested
        | Trigger::RefreshDue => return None,
    };
    Some(Notice {
        warning: reason == Reason::LeaseLost,
        reason,
        action,
        note,
    })
}

/// Why new credentials were issued, for a person; `None` where nobody would ask.
fn issued_because(observed: &Observed, cause: Cause) -> Option<String> {
    let lost = observed.tended.lost.as_deref();
    match cause {
        Cause::Missing
            if observed
                .object
                .status
                .as_ref()
                .is_some_and(|status| status.revision.is_some()) =>
        {
            Some("the Secret held none that could be used".into())
        }
        Cause::Missing => None,
        Cause::RequestChanged => Some("the object asks for something else".into()),
        Cause::RotationDue => Some("the time of the last ones is nearly over".into()),
        Cause::LeaseLost => Some(lost.unwrap_or("the last ones are gone in Vault").into()),
        Cause::Forced => Some(format!("annotation {FORCE_SYNC} asks for them")),
    }
}

/// An outage of the server, and its end, are told by the VaultConnection, once, and not by each object that waited for it.
pub(super) fn notice_of_recovery(observed: &Observed, record: &Record) -> Option<Notice> {
    let failed = observed.memory.failed.as_ref();
    let announced = failed.is_some_and(|failed| failed.announced);
    let was_outage = status::last_reason(observed).is_some_and(failure::is_outage);
    if !status::was_failing(observed) || (was_outage && !announced) {
        return None;
    }
    let note = format!(
        "Secret {} is in sync again (revision {})",
        observed.object.target_name(),
        record.revision
    );
    Some(Notice {
        warning: false,
        reason: Reason::Synced,
        action: "Sync",
        note,
    })
}
