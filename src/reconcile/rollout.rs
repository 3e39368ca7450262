//! After step 8: which workloads have to be restarted because the Secret changed, and what to say of them. Never a reason for the
//! Secret itself to wait: this comes after it stands.
//!
//! A restart is an annotation on the pod template that names the revision of the Secret: the same twice is one. Three things are
//! compared, and no clock decides between them: the revision on the Secret's record; the one that `status.rollouts` notes of the workload;
//! and the annotation on the workload itself, which tells of a restart that status does not know yet. So a crash at any moment loses no restart
//! and repeats none.

mod hindrance;
mod mark;
mod standing;
mod tell;

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

use self::hindrance::{Hindrance, WHILE_MISSING, no_template};
pub use self::mark::Mark;
pub use self::tell::{Rolled, Told, conclude, with_rollout};
use super::observe::Observed;
use super::report::Outcome;
pub use super::rolled_out::is_rolled_out;
use super::rolled_out::look;
use crate::api::Reason;
use crate::api::condition::{ROLLED_OUT, find};
use crate::api::rollout::{MAX_WORKLOADS, RolloutStatus, RolloutTarget, WorkloadKind};
use crate::cluster::workloads::{LookError, Workload};
use crate::record::Record;
use crate::schedule::parse_duration;

/// What is to be done about rollouts in a pass.
pub enum Wanted<'a> {
    /// Nothing, and nothing is to be said that was not said before.
    Nothing,
    /// There are no targets any more: nothing is to be said of them.
    Silence,
    /// Nothing before that time: they were looked at a short time ago.
    Later(Timestamp),
    /// The targets have to be looked at.
    Look(Order<'a>),
    /// The spec cannot be followed, for this reason.
    Invalid(String),
}

/// What the targets are compared with.
pub struct Order<'a> {
    /// The annotation.
    pub mark: Mark,
    /// Revision of the Secret as it stands.
    pub revision: i64,
    /// Revision that it had when the pass began.
    pub before: i64,
    /// Whom to look for.
    pub targets: &'a [RolloutTarget],
    min_interval: Duration,
    /// What is noted of each workload.
    noted: &'a [RolloutStatus],
    /// The revision with which these very targets were last looked at; none, if they may be others.
    looked: Option<i64>,
    /// How long something has been in the way.
    hindered: Duration,
    /// Name of the Secret.
    secret: &'a str,
    uid: &'a str,
    now: Timestamp,
}

/// What there is of a target.
pub struct Look<'a> {
    /// The target.
    pub target: &'a RolloutTarget,
    /// The workloads that it names.
    pub found: Result<Vec<Workload>, LookError>,
}

/// What to do about each workload.
pub struct Plan {
    /// The workloads, each once, in their order.
    pub items: Vec<Item>,
    hindrances: Vec<Hindrance>,
    /// Whether every target was seen, or seen not to be there.
    complete: bool,
}

/// A workload and what to do about it.
#[derive(Clone, Debug, PartialEq)]
pub struct Item {
    /// Its kind.
    pub kind: WorkloadKind,
    /// The workload.
    pub workload: Workload,
    /// What to do.
    pub todo: Todo,
    /// What is to be noted of it as it is.
    noted: RolloutStatus,
}

/// What to do about a workload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Todo {
    /// Nothing: it runs with what the Secret holds.
    Nothing,
    /// Nothing but look: it was restarted then.
    Follow(Timestamp),
    /// Restart it.
    Restart,
    /// Restart it, but not before that time.
    Wait(Timestamp),
}

/// The record of the Secret as the pass left it, if it stands: also while Vault is away, and a restart is still due.
fn record<'a>(observed: &'a Observed, outcome: &'a Outcome) -> Option<&'a Record> {
    match outcome {
        Outcome::Pending | Outcome::Suspended | Outcome::Parting(_) => None,
        Outcome::InSync(record) | Outcome::Verified(record) | Outcome::Unchanged(record) => {
            Some(record)
        }
        Outcome::Applied(_, applied) => Some(&applied.record),
        Outcome::Failed(failure) if failure.reason == Reason::NamespaceTerminating => None,
        Outcome::Waiting(_) | Outcome::Failed(_) => observed.record.as_ref(),
    }
    .filter(|record| record.owner_uid == observed.uid())
}

/// Whether the targets have to be looked at, and with what in mind. No request is made for those who are through.
pub fn wanted<'a>(observed: &'a Observed, outcome: &Outcome) -> Wanted<'a> {
    let object = &observed.object;
    let rollout = &object.spec.rollout;
    let Some(record) = record(observed, outcome) else {
        return Wanted::Nothing;
    };
    let revision = record.revision;
    let status = object.status.as_ref();
    let condition = status.and_then(|status| find(&status.conditions, ROLLED_OUT));
    if rollout.targets.is_empty() {
        let said = condition.is_some() || status.is_some_and(|status| !status.rollouts.is_empty());
        return if said {
            Wanted::Silence
        } else {
            Wanted::Nothing
        };
    }
    if is_rolled_out(object, revision) {
        return Wanted::Nothing;
    }
    if let Some(due) = later(observed, revision) {
        return Wanted::Later(due);
    }
    let min_interval = match parse_duration(&rollout.min_interval) {
        Ok(duration) => duration,
        Err(error) => return Wanted::Invalid(format!("spec.rollout.minInterval: {error}")),
    };
    let told = status.and_then(|status| status.revision);
    let own = observed.record.as_ref();
    let own = own.filter(|record| record.owner_uid == observed.uid());
    let in_the_way = condition.filter(|condition| condition.status != "True");
    Wanted::Look(Order {
        mark: Mark::of(object),
        revision,
        before: own.map(|own| own.revision).or(told).unwrap_or(revision),
        targets: &rollout.targets,
        min_interval,
        noted: status.map_or(&[], |status| &status.rollouts),
        looked: status
            .and_then(|status| status.rollout_look.as_ref())
            .filter(|last| **last == look(&rollout.targets, last.revision))
            .map(|last| last.revision),
        hindered: in_the_way.map_or(Duration::ZERO, |condition| {
            passed(condition.last_transition_time.0, observed.now)
        }),
        secret: object.target_name(),
        uid: observed.uid(),
        now: observed.now,
    })
}

/// When workloads are looked at next, if they were looked at already with this content and this spec: a pass has other reasons as well.
fn later(observed: &Observed, revision: i64) -> Option<Timestamp> {
    let status = observed.object.status.as_ref()?;
    let seen = observed.memory.workloads?;
    let same = seen.revision == revision
        && status.observed_generation == observed.object.metadata.generation;
    // A clock that was set back must not put a look off.
    let soon = seen.at <= observed.now && observed.now < seen.due;
    (same && soon).then_some(seen.due)
}

/// From `since` until `now`; nothing if a clock was set back.
fn passed(since: Timestamp, now: Timestamp) -> Duration {
    Duration::try_from(now.duration_since(since)).unwrap_or_default()
}

/// Decides about each workload.
pub fn plan(order: &Order, looks: Vec<Look>) -> Plan {
    let mut found = BTreeMap::new();
    let mut plan = Plan {
        items: Vec::new(),
        hindrances: Vec::new(),
        complete: true,
    };
    for Look {
        target,
        found: answer,
    } in looks
    {
        match answer {
            Ok(workloads) => {
                let of_kind = workloads
                    .into_iter()
                    .map(|workload| ((target.kind, workload.name.clone()), workload));
                found.extend(of_kind);
            }
            Err(error) => {
                plan.complete &= matches!(error, LookError::Missing | LookError::NoSuchKind);
                plan.hindrances.push(order.unseen(target, error));
            }
        }
    }
    if found.len() > MAX_WORKLOADS {
        plan.complete = false;
        plan.hindrances.push(order.too_many("spec.rollout.targets"));
    }
    let refused = |hindrance: &Hindrance| hindrance.reason == Reason::InvalidSpec;
    if plan.hindrances.iter().any(refused) {
        // What was asked for cannot be meant, so none of it is done.
        return plan;
    }
    for ((kind, name), workload) in found {
        let (noted, todo) = order.todo(kind, &name, &workload);
        if todo == Todo::Restart
            && let Some(why) = no_template(&workload)
        {
            plan.hindrances.push(order.impossible(kind, &name, &why));
        }
        plan.items.push(Item {
            kind,
            workload,
            todo,
            noted,
        });
    }
    plan
}

impl Plan {
    /// What is to be restarted.
    pub fn due(&self) -> impl Iterator<Item = &Item> {
        self.items.iter().filter(|item| item.is_due())
    }
}

impl Item {
    fn is_due(&self) -> bool {
        self.todo == Todo::Restart && no_template(&self.workload).is_none()
    }
}

impl Order<'_> {
    /// What is to be noted of a workload, and what to do about it.
    fn todo(&self, kind: WorkloadKind, name: &str, workload: &Workload) -> (RolloutStatus, Todo) {
        let noted = |revision, time| RolloutStatus {
            kind,
            name: name.to_owned(),
            revision,
            time,
        };
        let entry = self
            .noted
            .iter()
            .find(|entry| (entry.kind, entry.name.as_str()) == (kind, name));
        let marked = self.mark.read(workload);
        if let Some(entry) = entry.filter(|entry| entry.revision == self.revision) {
            // Also if the mark is gone: whoever took it off has changed the template, and so replaced the pods.
            let todo = entry.time.as_ref();
            let todo = todo.map_or(Todo::Nothing, |time| Todo::Follow(time.0));
            return (entry.clone(), todo);
        }
        // A restart that nobody came to note, who knows when: the least interval counts from now.
        let now = || Some(crate::api::condition::whole_seconds(self.now));
        if marked == Some(self.revision) {
            return (noted(self.revision, now()), Todo::Follow(self.now));
        }
        let entry = match (entry, marked, self.looked) {
            (Some(entry), Some(marked), _) if marked > entry.revision => noted(marked, now()),
            (Some(entry), _, _) => entry.clone(),
            // It came after a look with what the Secret holds now, and so it runs with that.
            (None, _, Some(looked)) if looked == self.revision => noted(looked, None),
            // What was noted is lost, but it is known from before.
            (None, Some(marked), _) => noted(marked, now()),
            // It came after the last look, and runs with what the Secret held then or later.
            (None, None, Some(looked)) => noted(looked, None),
            // The target may be a new one. Its workload runs with what the Secret held so far.
            (None, None, None) => noted(self.before, None),
        };
        if entry.revision == self.revision {
            return (entry, Todo::Nothing);
        }
        let earliest = entry.time.as_ref().map(|time| time.0);
        // A clock that was set back must not put a restart off.
        let earliest = earliest
            .filter(|time| *time <= self.now)
            .and_then(|time| time.checked_add(self.min_interval).ok());
        let todo = match earliest {
            Some(earliest) if earliest > self.now => Todo::Wait(earliest),
            Some(_) | None => Todo::Restart,
        };
        (entry, todo)
    }
}

#[cfg(test)]
mod tests;
