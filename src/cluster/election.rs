//! Wins, holds and gives up the Lease that says who leads. The rules are in `leadership.rs`.

#![expect(
    clippy::disallowed_methods,
    reason = "a Lease bears the time, and is renewed as time goes by"
)]

use std::sync::Arc;
use std::time::Duration;

use futures::{Stream, StreamExt as _};
use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::api::{ObjectMeta, PostParams};
use kube::runtime::WatchStreamExt as _;
use kube::runtime::watcher::{self, watcher};
use kube::{Api, Client};
use tokio::time::{sleep, timeout};
use tracing::{debug, info, warn};

use super::caches::pauses;
use super::patience::silence;
use super::write_error::WriteError;
use crate::leadership::{
    Chance, Claim, LONGEST_LEASE, Moment, Seen, Tenure, Terms, Verdict, verdict,
};

/// How an instance competes.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// Its name, which no other process has at the same time.
    pub own: String,
    /// How long everything takes.
    pub terms: Terms,
}

/// What takes part in the election.
pub struct Election {
    api: Api<Lease>,
    /// Name of the Lease.
    lease: String,
    /// Name of this instance.
    own: String,
    terms: Terms,
    tenure: Arc<Tenure>,
}

/// The Lease that this instance holds, as it wrote it last.
pub struct Held(Lease);

/// Another instance leads.
#[derive(Debug, thiserror::Error)]
#[error("{}", told(.0))]
pub struct Lost(String);

fn told(leader: &str) -> String {
    if leader.is_empty() {
        "another instance has led meanwhile, or may have".into()
    } else {
        format!("{leader} leads now")
    }
}

impl Election {
    /// A candidate for the Lease of that name that has not begun to compete. `client` is one that may write without leading.
    pub fn new(
        client: Client,
        namespace: &str,
        lease: &str,
        candidate: Candidate,
        tenure: Arc<Tenure>,
    ) -> Self {
        let Candidate { own, terms } = candidate;
        Self {
            api: Api::namespaced(client, namespace),
            lease: lease.into(),
            own,
            terms,
            tenure,
        }
    }

    /// Waits until this instance leads. `stands_by` is told each other leader.
    pub async fn win(&self, mut stands_by: impl FnMut(String)) -> Held {
        let fields = format!("metadata.name={}", self.lease);
        let only_ours = watcher::Config::default().fields(&fields);
        let mut news = watcher(self.api.clone(), only_ours)
            .backoff(pauses())
            .boxed();
        let mut seen = Seen::default();
        let mut leader = String::new();
        loop {
            let chance = seen.chance(&self.own, Moment::now());
            if let Chance::Wait(_, now) = &chance
                && *now != leader
            {
                leader.clone_from(now);
                info!(leader, own = self.own, "standing by");
                stands_by(leader.clone());
            }
            match chance {
                Chance::Unknown => self.hear(&mut news, &mut seen, LONGEST_LEASE).await,
                Chance::Wait(wait, _) => self.hear(&mut news, &mut seen, wait).await,
                Chance::Make | Chance::Take(_) => match self.take(&chance).await {
                    Ok(held) => return held,
                    Err(error) => {
                        if matches!(error, WriteError::Conflict | WriteError::AlreadyExists) {
                            debug!(%error, "another instance was faster");
                        } else {
                            warn!(%error, lease = self.lease, "the Lease cannot be taken");
                        }
                        self.hear(&mut news, &mut seen, self.terms.retry_period)
                            .await;
                        self.look(&mut seen).await;
                    }
                },
            }
        }
    }

    /// Waits for news of the Lease, but only for so long.
    async fn hear(
        &self,
        news: &mut (impl Stream<Item = Result<watcher::Event<Lease>, watcher::Error>> + Unpin),
        seen: &mut Seen,
        wait: Duration,
    ) {
        let Ok(Some(event)) = timeout(wait, news.next()).await else {
            return;
        };
        let now = Moment::now();
        match event {
            Ok(watcher::Event::Apply(lease) | watcher::Event::InitApply(lease)) => {
                seen.note(Some(claim_of(&lease)), now);
            }
            Ok(watcher::Event::Delete(_)) => seen.note(None, now),
            // A list that is over may have been empty.
            Ok(watcher::Event::InitDone) => self.look(seen).await,
            Ok(watcher::Event::Init) => {}
            Err(error) => warn!(%error, lease = self.lease, "watch interrupted, starting it again"),
        }
    }

    /// Looks what the Lease is like. If that cannot be found out, what was seen last stands.
    async fn look(&self, seen: &mut Seen) {
        match self.get().await {
            Ok(found) => seen.note(found.as_ref().map(claim_of), Moment::now()),
            Err(error) => warn!(%error, lease = self.lease, "the Lease cannot be read"),
        }
    }

    /// Takes or makes the Lease.
    async fn take(&self, chance: &Chance) -> Result<Held, WriteError> {
        let found = match chance {
            Chance::Take(_) => self.get().await?,
            _ => None,
        };
        let version = found.as_ref().map(|lease| claim_of(lease).version);
        let lease = match (chance, version) {
            (Chance::Make, _) => self.first(),
            (Chance::Take(seen), Some(now)) if *seen == now => found.unwrap_or_default(),
            _ => return Err(WriteError::Conflict),
        };
        let lease = taken_over(lease, &self.own, self.terms, now());
        let held = self.write(lease).await?;
        info!(own = self.own, lease = self.lease, "leading");
        Ok(Held(held))
    }

    fn first(&self) -> Lease {
        Lease {
            metadata: ObjectMeta {
                name: Some(self.lease.clone()),
                ..ObjectMeta::default()
            },
            spec: None,
        }
    }

    /// Writes the Lease under its resource version, or makes it if it has none. The tenure counts from before the request.
    async fn write(&self, lease: Lease) -> Result<Lease, WriteError> {
        let sent = Moment::now();
        let params = PostParams::default();
        let written = async {
            match lease.metadata.resource_version {
                Some(_) => self.api.replace(&self.lease, &params, &lease).await,
                None => self.api.create(&params, &lease).await,
            }
        };
        let written = self.in_time(written).await?;
        self.tenure.extend(sent.after(self.terms.renew_deadline));
        Ok(written)
    }

    async fn get(&self) -> Result<Option<Lease>, WriteError> {
        self.in_time(self.api.get_opt(&self.lease)).await
    }

    /// A request that takes longer than a tenure is of no use.
    async fn in_time<T>(
        &self,
        request: impl Future<Output = Result<T, kube::Error>>,
    ) -> Result<T, WriteError> {
        let limit = self.terms.renew_deadline;
        let answer = timeout(limit, request).await;
        Ok(answer.unwrap_or_else(|_| Err(silence(limit)))?)
    }

    /// Renews the Lease, and ends when another instance leads. While it cannot be renewed the tenure ends, and begins again when it can.
    pub async fn hold(&self, held: Held) -> Lost {
        let Held(mut lease) = held;
        let mut told = false;
        loop {
            sleep(self.terms.retry_period).await;
            match self.renew(&lease).await {
                Ok(renewed) => {
                    lease = renewed;
                    if std::mem::take(&mut told) {
                        info!(
                            own = self.own,
                            "leading again; nobody else has led meanwhile"
                        );
                    }
                }
                Err(Trouble::Lost(lost)) => {
                    self.tenure.end();
                    return lost;
                }
                Err(Trouble::Failed(error)) if !told && !self.tenure.leads() => {
                    warn!(%error, own = self.own, "the Lease cannot be renewed: nothing is changed until it can");
                    told = true;
                }
                Err(Trouble::Failed(error)) => debug!(%error, "the Lease could not be renewed"),
            }
        }
    }

    /// Renews once. A renewal that is refused may be one whose last answer was lost, or follow an edit of somebody else's.
    async fn renew(&self, lease: &Lease) -> Result<Lease, Trouble> {
        match self.write(renewed(lease.clone(), self.terms, now())).await {
            Err(WriteError::Conflict | WriteError::NotFound) => {}
            other => return Ok(other?),
        }
        let found = self.get().await?;
        let lasts = self.tenure.leads();
        let lease = match verdict(&self.own, found.as_ref().map(claim_of), lasts) {
            Verdict::Lost(leader) => return Err(Trouble::Lost(Lost(leader))),
            Verdict::GoOn => renewed(found.unwrap_or_default(), self.terms, now()),
            Verdict::MakeAgain => taken_over(self.first(), &self.own, self.terms, now()),
        };
        Ok(self.write(lease).await?)
    }

    /// Gives the Lease up, if this instance holds it: others need not wait then. From here on it changes nothing any more.
    pub async fn resign(&self) {
        self.tenure.end();
        let given_up = async {
            match self.get().await? {
                Some(lease) if claim_of(&lease).holder == self.own => {
                    let params = PostParams::default();
                    let lease = given_up(lease, now());
                    self.in_time(self.api.replace(&self.lease, &params, &lease))
                        .await?;
                    info!(own = self.own, "gave up leading");
                }
                _ => {}
            }
            Ok::<_, WriteError>(())
        };
        if let Err(error) = given_up.await {
            let lease = self.terms.lease.as_secs();
            warn!(%error, "the Lease could not be given up: others wait for {lease} s");
        }
    }
}

/// Why the Lease was not renewed.
enum Trouble {
    /// Another instance leads.
    Lost(Lost),
    /// Nobody can tell.
    Failed(WriteError),
}

impl From<WriteError> for Trouble {
    fn from(error: WriteError) -> Self {
        Self::Failed(error)
    }
}

/// What a Lease says of who leads. One without a time, which is none of ours, is free.
fn claim_of(lease: &Lease) -> Claim {
    let spec = lease.spec.clone().unwrap_or_default();
    let seconds = spec.lease_duration_seconds.unwrap_or_default();
    let seconds = u64::try_from(seconds).unwrap_or_default();
    Claim {
        holder: spec.holder_identity.unwrap_or_default(),
        lease: Duration::from_secs(seconds).min(LONGEST_LEASE),
        version: lease.metadata.resource_version.clone().unwrap_or_default(),
    }
}

fn renewed(mut lease: Lease, terms: Terms, now: Timestamp) -> Lease {
    let spec = lease.spec.get_or_insert_default();
    spec.lease_duration_seconds = i32::try_from(terms.lease.as_secs()).ok();
    spec.renew_time = Some(MicroTime(now));
    lease
}

fn taken_over(mut lease: Lease, own: &str, terms: Terms, now: Timestamp) -> Lease {
    let spec = lease.spec.get_or_insert_default();
    if spec.holder_identity.as_deref() != Some(own) {
        spec.lease_transitions = match spec.lease_transitions {
            Some(before) => Some(before.saturating_add(1)),
            None => Some(0),
        };
        spec.acquire_time = Some(MicroTime(now));
    }
    spec.holder_identity = Some(own.to_owned());
    renewed(lease, terms, now)
}

/// As client-go leaves a Lease behind.
fn given_up(mut lease: Lease, now: Timestamp) -> Lease {
    let spec = lease.spec.get_or_insert_default();
    spec.holder_identity = Some(String::new());
    spec.lease_duration_seconds = Some(1);
    spec.renew_time = Some(MicroTime(now));
    lease
}

fn now() -> Timestamp {
    Timestamp::now()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TERMS: Terms = Terms {
        lease: Duration::from_secs(15),
        renew_deadline: Duration::from_secs(10),
        retry_period: Duration::from_secs(2),
    };

    #[test]
    fn a_lease_tells_its_holder_and_how_often_it_changed_hands() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let first = taken_over(Lease::default(), "one", TERMS, at(1));
        let again = taken_over(first.clone(), "one", TERMS, at(2));
        let other = taken_over(again.clone(), "two", TERMS, at(3));
        let times = |lease: &Lease| {
            let spec = lease.spec.clone().unwrap();
            let acquired = spec.acquire_time.unwrap().0.as_second();
            let renewed = spec.renew_time.unwrap().0.as_second();
            (spec.lease_transitions.unwrap(), acquired, renewed)
        };
        assert_eq!(times(&first), (0, 1, 1));
        assert_eq!(times(&again), (0, 1, 2));
        assert_eq!(times(&other), (1, 3, 3));
        assert_eq!(claim_of(&other).holder, "two");
        assert_eq!(claim_of(&other).lease, TERMS.lease);
        assert_eq!(claim_of(&given_up(other, at(4))).holder, "");
    }

    #[test]
    fn a_lease_of_strangers_locks_nobody_out_for_ever() {
        let spec = |seconds| Lease {
            spec: Some(k8s_openapi::api::coordination::v1::LeaseSpec {
                lease_duration_seconds: Some(seconds),
                ..Default::default()
            }),
            ..Lease::default()
        };
        assert_eq!(claim_of(&spec(i32::MAX)).lease, LONGEST_LEASE);
        assert_eq!(claim_of(&spec(-1)).lease, Duration::ZERO);
        assert_eq!(claim_of(&Lease::default()).lease, Duration::ZERO);
    }
}
