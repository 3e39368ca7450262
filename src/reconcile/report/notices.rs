//! The events that tell of something that was done.

use crate::api::condition::{READY, SYNCED, find};
use crate::api::{FORCE_SYNC, Reason, VaultSecretStatus};
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

/// What is wrong with credentials in a Secret that is as asked for otherwise: they are over, or could not be renewed.
pub(super) fn trouble_of(status: &VaultSecretStatus) -> Option<(Reason, &str)> {
    let mut told = [(READY, Reason::LeaseLost), (SYNCED, Reason::RenewalFailed)].into_iter();
    told.find_map(|(kind, reason)| {
        let condition = find(&status.conditions, kind)?;
        let is_so = condition.status == "False" && condition.reason == reason.as_str();
        is_so.then_some((reason, condition.message.as_str()))
    })
}

/// Such trouble, when it is news.
pub(super) fn notice_of_trouble(observed: &Observed, status: &VaultSecretStatus) -> Option<Notice> {
    let (reason, message) = trouble_of(status)?;
    let before = observed.object.status.as_ref().and_then(trouble_of);
    let is_news = before.is_none_or(|(before, _)| before != reason);
    is_news.then(|| Notice {
        warning: true,
        reason,
        action: "Renew",
        note: message.to_owned(),
    })
}
