//! What is said of rollouts: the condition `RolledOut`, what status notes of each workload, events, and when to look again.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use super::{Hindrance, Item, Order, Plan, Todo, WHILE_MISSING};
use crate::api::condition::{
    MAX_MESSAGE_BYTES, ROLLED_OUT, Verdict, find, truncate, whole_seconds,
};
use crate::api::rollout::{RolloutLook, RolloutStatus};
use crate::api::{Reason, VaultSecretStatus};
use crate::cluster::WriteError;
use crate::cluster::events::Notice;
use crate::cluster::workloads::Workload;
use crate::reconcile::entries;
use crate::reconcile::memory::WorkloadsSeen;
use crate::reconcile::observe::Observed;
use crate::reconcile::report::Report;
use crate::reconcile::rolled_out::look;

/// How many workloads a message names.
const NAMED: usize = 5;

/// Which of several reasons the condition has: what takes a person first.
const WORST_FIRST: [Reason; 6] = [
    Reason::InvalidSpec,
    Reason::AdmissionDenied,
    Reason::RolloutTargetNotFound,
    Reason::RolloutStalled,
    Reason::KubernetesUnavailable,
    Reason::RollingOut,
];

/// What came of a pass for the workloads.
pub enum Rolled {
    /// Nothing new.
    AsBefore,
    /// Nothing new, until that time.
    Later(Timestamp),
    /// There are no targets, and nothing is to be said of them.
    Silence,
    /// They were looked at.
    Told(Box<Told>),
}

/// What is to be said of the workloads.
#[derive(Debug, PartialEq)]
pub struct Told {
    /// The revision of the Secret.
    pub revision: i64,
    /// What to note of each; `None`: what was noted before.
    pub noted: Option<Vec<RolloutStatus>>,
    /// With what all targets were compared; `None`: some could not be seen.
    pub looked: Option<RolloutLook>,
    /// What the condition says.
    pub verdict: Verdict,
    /// When to look again; `None`: when the Secret or the object changes.
    pub next: Option<Timestamp>,
    /// What was restarted: one sentence each.
    pub restarted: Vec<String>,
    /// What is in the way, if a person should know: one sentence each.
    pub troubles: Vec<String>,
}

/// What follows from the plan and from the answers to the restarts in it, in its order.
pub fn conclude(order: &Order, plan: Plan, answers: Vec<Result<Workload, WriteError>>) -> Told {
    let Plan {
        items,
        mut hindrances,
        mut complete,
    } = plan;
    let refused = items.is_empty() && !complete;
    let (mut noted, mut restarted) = (Vec::new(), Vec::new());
    let mut answers = answers.into_iter();
    for item in items {
        let answer = item.is_due().then(|| answers.next()).flatten();
        let what = format!("{} {}", item.kind.as_str(), item.workload.name);
        let item = match answer {
            Some(Ok(workload)) => {
                restarted.push(format!(
                    "restarted {what}, to run with revision {} of Secret {}",
                    order.revision, order.secret
                ));
                order.restarted(item, workload)
            }
            Some(Err(error)) => {
                hindrances.push(order.failed(&format!("restart {what}"), &error));
                noted.push(item.noted);
                continue;
            }
            None if item.todo == Todo::Restart => {
                noted.push(item.noted);
                continue; // why not is among the hindrances already
            }
            None => item,
        };
        hindrances.extend(order.hindrance(&item));
        noted.push(item.noted);
    }
    complete &= !refused;
    let next = hindrances.iter().map(|hindrance| hindrance.again).min();
    let (verdict, troubles) = order.verdict(&noted, &hindrances);
    Told {
        revision: order.revision,
        looked: complete.then(|| look(order.targets, order.revision)),
        noted: order.to_note(noted, complete, refused),
        verdict,
        next,
        restarted,
        troubles,
    }
}

impl Order<'_> {
    fn restarted(&self, item: Item, workload: Workload) -> Item {
        let time = whole_seconds(self.now);
        Item {
            workload,
            todo: Todo::Follow(time.0),
            noted: RolloutStatus {
                revision: self.revision,
                time: Some(time),
                ..item.noted
            },
            kind: item.kind,
        }
    }

    /// What was noted of targets that could not be seen stays.
    fn to_note(
        &self,
        mut noted: Vec<RolloutStatus>,
        complete: bool,
        refused: bool,
    ) -> Option<Vec<RolloutStatus>> {
        if refused {
            return None;
        }
        if !complete {
            let seen = |old: &RolloutStatus| {
                noted
                    .iter()
                    .any(|new| (new.kind, &new.name) == (old.kind, &old.name))
            };
            let unseen: Vec<_> = self
                .noted
                .iter()
                .filter(|old| !seen(old))
                .cloned()
                .collect();
            let room = crate::api::rollout::MAX_WORKLOADS.saturating_sub(noted.len());
            noted.extend(unseen.into_iter().take(room));
            noted.sort_by(|one, other| (one.kind, &one.name).cmp(&(other.kind, &other.name)));
        }
        Some(noted)
    }

    /// The condition, and those of its sentences that tell of trouble.
    fn verdict(
        &self,
        workloads: &[RolloutStatus],
        hindrances: &[Hindrance],
    ) -> (Verdict, Vec<String>) {
        let reasons = || hindrances.iter().map(|hindrance| hindrance.reason);
        let worst = WORST_FIRST
            .into_iter()
            .find(|worst| reasons().any(|reason| reason == *worst));
        let Some(reason) = worst.or_else(|| reasons().next()) else {
            let revision = self.revision;
            let message = match workloads {
                [] => "there is no workload to restart".to_owned(),
                [one] => {
                    let (kind, name) = (one.kind.as_str(), &one.name);
                    format!("{kind} {name} runs with revision {revision}")
                }
                many => format!("all {} workloads run with revision {revision}", many.len()),
            };
            let verdict = Verdict {
                status: Some(true),
                reason: Reason::RolledOut,
                message,
            };
            return (verdict, Vec::new());
        };
        let alike = |hindrance: &&Hindrance| hindrance.reason == reason;
        let mut sentences: Vec<String> = hindrances
            .iter()
            .filter(alike)
            .map(|hindrance| hindrance.message.clone())
            .collect();
        let others = sentences.len().saturating_sub(NAMED);
        sentences.truncate(NAMED);
        let mut message = sentences.join("; ");
        if others > 0 {
            message = format!("{message}; and {others} more");
        }
        let status = (reason != Reason::RollingOut).then_some(false);
        let troubles = if status.is_some() {
            sentences
        } else {
            Vec::new()
        };
        let verdict = Verdict {
            status,
            reason,
            message,
        };
        (verdict, troubles)
    }
}

impl Told {
    /// The spec cannot be followed.
    pub fn invalid(message: String) -> Self {
        Self::trouble(Reason::InvalidSpec, message, None)
    }

    /// What was done and seen is not known. What was done stands, and the next look finds it.
    pub fn lost(order: &Order, why: &str) -> Self {
        let again = order.after(order.hindered, WHILE_MISSING);
        let message = format!("the requests about workloads {why}");
        Self {
            revision: order.revision,
            ..Self::trouble(Reason::InternalError, message, Some(again))
        }
    }

    fn trouble(reason: Reason, message: String, next: Option<Timestamp>) -> Self {
        Self {
            revision: 0,
            noted: None,
            looked: None,
            verdict: Verdict {
                status: Some(false),
                reason,
                message: message.clone(),
            },
            next,
            restarted: Vec::new(),
            troubles: vec![message],
        }
    }

    /// Troubles that the last report did not tell.
    pub fn news<'a>(&'a self, observed: &'a Observed) -> impl Iterator<Item = &'a String> {
        let before = said(observed);
        let reason = self.verdict.reason;
        self.troubles.iter().filter(move |trouble| {
            let trouble = truncate(trouble, MAX_MESSAGE_BYTES);
            before.is_none_or(|before| {
                before.reason != reason.as_str() || !before.message.contains(&trouble)
            })
        })
    }

    /// Where something is in the way, whoever has to mend it needs to know by when: until then the workloads can go on with what they have.
    fn tell_what_is_kept(&mut self, observed: &Observed, before: &[RolloutStatus]) {
        let rollouts = self.noted.as_deref().unwrap_or(before);
        let kept = entries::kept_until(observed, rollouts);
        if let Some(until) = kept.filter(|_| self.verdict.status == Some(false)) {
            let end = format!("; replaced credentials are kept alive until {until}");
            let room = MAX_MESSAGE_BYTES.saturating_sub(end.len());
            self.verdict.message = truncate(&self.verdict.message, room) + &end;
        }
    }

    fn notices(&self, observed: &Observed) -> Vec<Notice> {
        let restarts = self.restarted.iter().map(|what| Notice {
            warning: false,
            reason: Reason::RollingOut,
            action: "Restart",
            note: what.clone(),
        });
        // What is missing may come in its own time: many are created a moment after the object.
        let is_event = self.verdict.reason != Reason::RolloutTargetNotFound;
        let troubles = self.news(observed).filter(|_| is_event).map(|why| Notice {
            warning: true,
            reason: self.verdict.reason,
            action: "Restart",
            note: why.clone(),
        });
        restarts.chain(troubles).collect()
    }
}

/// What the last report said.
fn said(observed: &Observed) -> Option<&Condition> {
    let status = observed.object.status.as_ref();
    status.and_then(|status| find(&status.conditions, ROLLED_OUT))
}

/// Adds to a report what is to be said of the workloads. It takes nothing from what is said of the Secret.
pub fn with_rollout(observed: &Observed, mut report: Report, rolled: Rolled) -> Report {
    let before = observed.object.status.as_ref();
    let told = match rolled {
        Rolled::AsBefore => return report,
        Rolled::Later(due) => {
            report.next = [report.next, Some(due)].into_iter().flatten().min();
            return report;
        }
        Rolled::Silence => None,
        Rolled::Told(told) => Some(told),
    };
    let Some(status) = report.status.take().or_else(|| before.cloned()) else {
        return report;
    };
    let status = match told {
        None => VaultSecretStatus {
            rollouts: Vec::new(),
            rollout_look: None,
            conditions: without(status.conditions),
            ..status
        },
        Some(mut told) => {
            report.rollout = told.notices(observed);
            told.tell_what_is_kept(observed, &status.rollouts);
            report.next = [report.next, told.next, replaced(observed, &told)]
                .into_iter()
                .flatten()
                .min();
            report.memory.workloads = told.next.map(|due| WorkloadsSeen {
                revision: told.revision,
                at: observed.now,
                due,
            });
            with_told(observed, status, *told)
        }
    };
    report.status = Some(status).filter(|status| Some(status) != before);
    report
}

/// Nobody uses replaced credentials any more: a pass notes when they are to be let go, and soon.
fn replaced(observed: &Observed, told: &Told) -> Option<Timestamp> {
    let status = observed.object.status.as_ref();
    let others = status.is_some_and(|status| status.sessions.len() > 1);
    let done = others && told.verdict.status == Some(true);
    done.then_some(observed.now)
}

fn with_told(observed: &Observed, status: VaultSecretStatus, told: Told) -> VaultSecretStatus {
    let generation = observed.object.metadata.generation;
    let all = status.conditions.as_slice();
    let runbooks = observed.runbooks.as_deref();
    let verdict = &told.verdict;
    let condition = verdict.condition(ROLLED_OUT, all, generation, observed.now, runbooks);
    let mut conditions = without(status.conditions);
    conditions.push(condition);
    VaultSecretStatus {
        rollouts: told.noted.unwrap_or(status.rollouts),
        rollout_look: told.looked.or(status.rollout_look),
        conditions,
        ..status
    }
}

fn without(conditions: Vec<Condition>) -> Vec<Condition> {
    let others = conditions
        .into_iter()
        .filter(|condition| condition.type_ != ROLLED_OUT);
    others.collect()
}
