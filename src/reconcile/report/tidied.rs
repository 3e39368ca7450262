//! What a report says of Secrets under earlier names. One that cannot be deleted is told, and tried again, and takes nothing from how the pass
//! ended: the object has what it asks for.

use jiff::Timestamp;

use super::{PASSING_ATTEMPTS, Report, Trouble, one_line};
use crate::api::Reason;
use crate::cluster::events::Notice;
use crate::reconcile::failure::{Failure, Retry};
use crate::reconcile::observe::Observed;
use crate::schedule;

/// What became of Secrets under earlier names.
pub enum Tidied {
    /// They are to stay until the Secret stands.
    NotTried,
    /// None is left.
    Done,
    /// One could not be deleted. The object is none the worse for that.
    Failed(Failure),
}

/// Adds what became of Secrets under earlier names: an event once, or once it lasts where it heals by itself more often than not, and
/// another visit.
pub fn with_tidied(observed: &Observed, mut report: Report, tidied: Tidied) -> Report {
    match tidied {
        Tidied::NotTried => {}
        Tidied::Done => report.memory.untidy = 0,
        Tidied::Failed(Failure {
            reason,
            message,
            retry,
            contested: _,
        }) => {
            let attempts = observed.memory.untidy;
            let told_at = if reason == Reason::KubernetesUnavailable {
                PASSING_ATTEMPTS
            } else {
                0
            };
            let trouble = Trouble {
                message: one_line(&message),
                repeated: attempts > 0,
            };
            let notice = (attempts == told_at).then_some(Notice {
                warning: true,
                reason,
                action: "Clean",
                note: message,
            });
            report.memory.untidy = attempts.saturating_add(1);
            let again = || {
                let pause = schedule::backoff(attempts, observed.uid());
                observed.now.checked_add(pause).ok()
            };
            let again = (retry != Retry::OnChange).then(again).flatten();
            report.next = [report.next, again].into_iter().flatten().min();
            report.untidy = Some((trouble, notice));
        }
    }
    report
}

/// Adds when the sessions of the object have to be looked after again, and when something of them is left to do.
pub fn with_sessions(observed: &Observed, mut report: Report, again: Option<Timestamp>) -> Report {
    let times = [report.next, observed.tended.next, again];
    report.next = times.into_iter().flatten().min();
    report
}
