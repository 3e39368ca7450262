//! What keeps workloads from running with what the Secret holds: in words, with a reason, and with the time of the next look.

use std::time::Duration;

use jiff::Timestamp;

use super::standing::{Standing, standing};
use super::{Item, Order, Todo, passed};
use crate::api::Reason;
use crate::api::rollout::{MAX_WORKLOADS, RolloutTarget, WorkloadKind};
use crate::cluster::WriteError;
use crate::cluster::workloads::{LookError, Workload};
use crate::schedule::growing;

/// Why not everything runs with what the Secret holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hindrance {
    /// The reason that the condition gets from it.
    pub reason: Reason,
    /// A sentence for a person.
    pub message: String,
    /// When to look again.
    pub again: Timestamp,
}

/// Between two looks at a workload whose pods are being replaced, at first and at last.
const WHILE_UNDERWAY: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(15));

/// Between two looks at what somebody has to mend.
const WHILE_STALLED: (Duration, Duration) = (Duration::from_secs(15), Duration::from_mins(1));

/// Between two looks for what is not there, and two attempts at what is refused.
pub const WHILE_MISSING: (Duration, Duration) = (Duration::from_secs(1), Duration::from_mins(5));

/// How long the API server may fail us before that is told: most of it passes in a moment.
const PASSING: Duration = Duration::from_secs(10);

/// Why a workload has no pod template of its own to mark.
pub fn no_template(workload: &Workload) -> Option<String> {
    let of = workload.spec.workload_ref.as_ref()?;
    let (kind, name) = (of.kind.as_deref(), of.name.as_deref());
    let named = kind.into_iter().chain(name).collect::<Vec<_>>().join(" ");
    Some(format!(
        "its pod template is that of {named}; name that one as the target"
    ))
}

impl Order<'_> {
    /// What is in the way of one workload, after it was restarted if it had to be.
    pub(super) fn hindrance(&self, item: &Item) -> Option<Hindrance> {
        let Item {
            kind,
            workload,
            todo,
            noted: _,
        } = item;
        let what = format!("{} {}", kind.as_str(), workload.name);
        match todo {
            Todo::Nothing => None,
            // Somebody was faster at changing it.
            Todo::Restart => Some(self.underway(&what, Duration::ZERO)),
            Todo::Wait(until) => Some(Hindrance {
                reason: Reason::RollingOut,
                message: format!(
                    "{what} was restarted a short time ago, and will be again for revision {} at {until}",
                    self.revision
                ),
                again: *until,
            }),
            Todo::Follow(since) => {
                let since = passed(*since, self.now);
                match standing(*kind, workload, since) {
                    Standing::Done => None,
                    Standing::Underway => Some(self.underway(&what, since)),
                    Standing::Stalled(why) => Some(Hindrance {
                        reason: Reason::RolloutStalled,
                        message: format!(
                            "{what} does not get done with revision {}: {why}",
                            self.revision
                        ),
                        again: self.after(since, WHILE_STALLED),
                    }),
                }
            }
        }
    }

    pub(super) fn underway(&self, what: &str, since: Duration) -> Hindrance {
        Hindrance {
            reason: Reason::RollingOut,
            message: format!(
                "{what} is being restarted to run with revision {}",
                self.revision
            ),
            again: self.after(since, WHILE_UNDERWAY),
        }
    }

    /// A target that could not be looked at.
    pub(super) fn unseen(&self, target: &RolloutTarget, error: LookError) -> Hindrance {
        let kind = target.kind.as_str();
        let what = match &target.name {
            Some(name) => format!("{kind} {name}"),
            None => format!("every {kind} with the labels of the selector"),
        };
        match error {
            LookError::Missing => self.missing(format!(
                "{what} does not exist; create it, or correct spec.rollout.targets"
            )),
            LookError::NoSuchKind => self.missing(format!(
                "{what} cannot be found: this cluster has no {kind} of {}; install it, or correct spec.rollout.targets",
                target.kind.group()
            )),
            LookError::TooMany => self.too_many(&format!("the selector of {kind}s")),
            LookError::Failed(error) => self.failed(&format!("look at {what}"), &error),
        }
    }

    pub(super) fn missing(&self, message: String) -> Hindrance {
        self.lasting(Reason::RolloutTargetNotFound, message)
    }

    pub(super) fn too_many(&self, which: &str) -> Hindrance {
        let message = format!(
            "{which} can be at most {MAX_WORKLOADS} workloads of this namespace, and there are more; none is restarted"
        );
        self.lasting(Reason::InvalidSpec, message)
    }

    pub(super) fn impossible(&self, kind: WorkloadKind, name: &str, why: &str) -> Hindrance {
        let message = format!("{} {name} cannot be restarted: {why}", kind.as_str());
        self.lasting(Reason::InvalidSpec, message)
    }

    /// A request that failed; `what` it was.
    pub(super) fn failed(&self, what: &str, error: &WriteError) -> Hindrance {
        let message = format!("{what}: {error}");
        match error {
            WriteError::Conflict | WriteError::NotFound => Hindrance {
                reason: Reason::RollingOut,
                message: format!("{what}: it changed meanwhile, and is looked at again"),
                again: self.after(Duration::ZERO, WHILE_UNDERWAY),
            },
            WriteError::Unavailable(_) => Hindrance {
                reason: if self.hindered < PASSING {
                    Reason::RollingOut
                } else {
                    Reason::KubernetesUnavailable
                },
                message,
                again: self.after(self.hindered, WHILE_UNDERWAY),
            },
            WriteError::AlreadyExists
            | WriteError::Taken(_)
            | WriteError::Quota(_)
            | WriteError::Terminating
            | WriteError::Denied(_)
            | WriteError::TooLarge(_)
            | WriteError::Immutable(_)
            | WriteError::Invalid(_) => self.lasting(Reason::AdmissionDenied, message),
        }
    }

    pub(super) fn lasting(&self, reason: Reason, message: String) -> Hindrance {
        Hindrance {
            reason,
            message,
            again: self.after(self.hindered, WHILE_MISSING),
        }
    }

    pub(super) fn after(&self, since: Duration, (first, last): (Duration, Duration)) -> Timestamp {
        let pause = growing(self.uid, since, first, last);
        self.now.checked_add(pause).unwrap_or(Timestamp::MAX)
    }
}
