//! Deployments with pods that run with some content of the Secret, and passes over the object that restarts them.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use serde_json::{Value, json};

use crate::api::Reason;
use crate::api::condition::{READY, ROLLED_OUT, find, is_true};
use crate::cluster::WriteError;
use crate::cluster::workloads::{LookError, Workload};
use crate::reconcile::failure::Failure;
use crate::reconcile::fixture::{self, job, take_in};
use crate::reconcile::observe::Observed;
use crate::reconcile::report::{Outcome, report};
use crate::reconcile::rollout::{
    Look, Order, Rolled, Wanted, conclude, plan, wanted, with_rollout,
};
use crate::reconcile::trigger::Trigger;
use crate::record::Record;

/// What a kill spares a pass from doing.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Lost {
    Nothing,
    /// Everything after the Secret was written.
    Restart,
    /// The status.
    Report,
}

pub struct World {
    pub observed: Observed,
    /// When the last pass wanted to look again.
    pub next: Option<Timestamp>,
    /// The events of the last pass.
    pub told: Vec<String>,
    /// What the API server answers to a restart.
    pub refuses: Option<fn() -> WriteError>,
    workloads: BTreeMap<String, Running>,
    /// How many workloads there ever were.
    count: u32,
}

struct Running {
    workload: Workload,
    /// The revision of the Secret that the pods started with.
    pods: i64,
    /// When we restarted it, and for which revision.
    restarts: Vec<(Timestamp, i64)>,
}

impl Running {
    fn restart(&mut self, order: &Order, now: Timestamp) -> Workload {
        let revision = order.revision;
        if let Some((last, of)) = self.restarts.last() {
            assert_ne!(*of, revision, "restarted twice for one content");
            let passed = now.duration_since(*last);
            assert!(
                passed >= SignedDuration::from_mins(1),
                "restarted again after {passed:?}"
            );
        }
        let (annotation, value) = (&order.mark.annotation, order.mark.value(revision));
        let template = json!({ "metadata": { "annotations": { annotation: value } } });
        self.workload.spec.template = serde_json::from_value(template).unwrap();
        self.workload.generation += 1;
        self.pods = revision;
        self.restarts.push((now, revision));
        self.workload.clone()
    }
}

pub fn named(name: &str) -> Value {
    json!({ "kind": "Deployment", "name": name })
}

impl World {
    /// An object with these targets, whose Secret was just written for the first time.
    pub fn new(names: &[&str]) -> Self {
        let mut world = Self {
            observed: fixture::running(),
            next: None,
            told: Vec::new(),
            refuses: None,
            workloads: BTreeMap::new(),
            count: 0,
        };
        // Polls are another matter.
        fixture::edit(&mut world.observed, "/refresh/interval", json!("0s"));
        for name in names {
            world.create(name);
        }
        world.aim(&names.iter().map(|name| named(name)).collect());
        world
    }

    /// The same after a pass.
    pub fn settled(names: &[&str]) -> Self {
        let mut world = Self::new(names);
        world.pass();
        world
    }

    /// A person sets the targets.
    pub fn aim(&mut self, targets: &Value) {
        let rollout = json!({ "minInterval": "1m", "targets": targets });
        fixture::edit(&mut self.observed, "/rollout", rollout);
    }

    pub fn workload(&mut self, name: &str) -> &mut Workload {
        &mut self.workloads.get_mut(name).unwrap().workload
    }

    fn revision(&self) -> i64 {
        self.observed.record.as_ref().unwrap().revision
    }

    pub fn create(&mut self, name: &str) {
        if self.workloads.contains_key(name) {
            return;
        }
        self.count += 1;
        let running = Running {
            workload: Workload {
                name: name.into(),
                resource_version: format!("{}", self.count * 1000),
                generation: 1,
                ..Workload::default()
            },
            pods: self.revision(),
            restarts: Vec::new(),
        };
        self.workloads.insert(name.into(), running);
        self.roll(name);
    }

    pub fn remove(&mut self, name: &str) {
        self.workloads.remove(name);
    }

    /// Its controller has replaced all pods.
    pub fn roll(&mut self, name: &str) {
        if let Some(running) = self.workloads.get_mut(name) {
            let status = json!({ "observedGeneration": running.workload.generation, "replicas": 1, "updatedReplicas": 1, "availableReplicas": 1 });
            running.workload.status = serde_json::from_value(status).unwrap();
        }
    }

    /// Its controller gives up.
    pub fn stall(&mut self, name: &str) {
        let workload = self.workload(name);
        let failed = json!([{ "type": "Progressing", "status": "False" }]);
        let status = json!({ "observedGeneration": workload.generation, "conditions": failed });
        workload.status = serde_json::from_value(status).unwrap();
    }

    /// A person goes back to the template before our mark, which replaces the pods as well.
    pub fn undo(&mut self, name: &str) {
        let revision = self.revision();
        if let Some(running) = self.workloads.get_mut(name) {
            if running.workload.spec.template.take().is_some() {
                running.workload.generation += 1;
                running.pods = revision;
                // If the report of a restart was lost as well, nobody can know of it any more.
                running.restarts.clear();
            }
            self.roll(name);
        }
    }

    pub fn wait(&mut self, seconds: i64) {
        self.observed.now += SignedDuration::from_secs(seconds);
    }

    pub fn until_next(&mut self) {
        self.observed.now = self.next.expect("a next look");
    }

    /// A pass that finds nothing new in Vault.
    pub fn pass(&mut self) -> Vec<String> {
        self.pass_with(Lost::Nothing)
    }

    pub fn pass_with(&mut self, lost: Lost) -> Vec<String> {
        let record = self.observed.record.clone().unwrap();
        self.carry_out(Outcome::InSync(record), lost)
    }

    /// A pass during an outage of Vault.
    pub fn outage(&mut self) -> Vec<String> {
        let failure = Failure::new(Reason::VaultUnavailable, "away");
        self.carry_out(Outcome::Failed(failure), Lost::Nothing)
    }

    /// A pass that brings new content into the Secret.
    pub fn change(&mut self, lost: Lost) -> Vec<String> {
        let before = self.observed.record.clone().unwrap();
        let record = Record {
            revision: before.revision + 1,
            time: self.observed.now,
            ..before
        };
        let applied = crate::reconcile::apply::Applied {
            resource_version: "9".into(),
            record: record.clone(),
            written: true,
        };
        let done = self.carry_out(Outcome::Applied(Trigger::RefreshDue, applied), lost);
        fixture::stand(&mut self.observed, &record);
        done
    }

    /// What a pass does after the Secret stands: the requests that it makes.
    fn carry_out(&mut self, outcome: Outcome, lost: Lost) -> Vec<String> {
        let mut requests = Vec::new();
        self.told.clear();
        if lost == Lost::Restart {
            return requests;
        }
        let (observed, workloads) = (&self.observed, &mut self.workloads);
        let rolled = match wanted(observed, &outcome) {
            Wanted::Nothing => Rolled::AsBefore,
            Wanted::Silence => Rolled::Silence,
            Wanted::Later(due) => Rolled::Later(due),
            Wanted::Invalid(why) => panic!("{why}"),
            Wanted::Look(order) => {
                let looks = order.targets.iter().map(|target| {
                    requests.push("look".to_owned());
                    let one = |running: &Running| running.workload.clone();
                    let found = match &target.name {
                        Some(name) => {
                            let found = workloads.get(name).ok_or(LookError::Missing);
                            found.map(|running| vec![one(running)])
                        }
                        None => Ok(workloads.values().map(one).collect()),
                    };
                    Look { target, found }
                });
                let plan = plan(&order, looks.collect());
                let mut answers = Vec::new();
                for item in plan.due() {
                    let name = &item.workload.name;
                    requests.push(format!("restart {name}"));
                    let running = workloads.get_mut(name).unwrap();
                    answers.push(match self.refuses {
                        Some(refuses) => Err(refuses()),
                        None => Ok(running.restart(&order, observed.now)),
                    });
                }
                Rolled::Told(Box::new(conclude(&order, plan, answers)))
            }
        };
        let report = report(observed, Some(&job(observed)), outcome);
        let report = with_rollout(observed, report, rolled);
        self.told = report
            .rollout
            .iter()
            .map(|notice| notice.note.clone())
            .collect();
        self.next = report.next;
        if lost == Lost::Nothing {
            take_in(&mut self.observed, report);
        }
        requests
    }

    pub fn condition(&self) -> Option<&Condition> {
        find(
            &self.observed.object.status.as_ref().unwrap().conditions,
            ROLLED_OUT,
        )
    }

    pub fn said(&self) -> (&str, &str, &str) {
        let said = self.condition().unwrap();
        (&said.status, &said.reason, &said.message)
    }

    pub fn noted(&self) -> Vec<(&str, i64, bool)> {
        let noted = &self.observed.object.status.as_ref().unwrap().rollouts;
        noted
            .iter()
            .map(|one| (one.name.as_str(), one.revision, one.time.is_some()))
            .collect()
    }

    pub fn is_ready(&self) -> bool {
        is_true(
            &self.observed.object.status.as_ref().unwrap().conditions,
            READY,
        )
    }

    /// Every pod has started with the present content.
    pub fn ensure_current(&self) {
        for (name, running) in &self.workloads {
            assert_eq!(running.pods, self.revision(), "{name}");
        }
    }
}
