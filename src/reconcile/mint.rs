//! Step 5 where Vault issues: a session of the object's own, written down before the first credential, committed by one write of the Secret.
//!
//! Each [`Stage`] is one request, and `minting` says what follows it; `docs/minting.md` tells why. Everything that can be found out before
//! is found out before: that the Secret may be written, what it holds besides, whether the API server would take it.

use std::collections::BTreeMap;

use super::Context;
use super::apply::{self, Applied};
use super::build::{self, Desired, Issued, IssuedValue};
use super::certificate;
use super::claim::{Claim, claim};
use super::entries::{self, noted};
use super::failure::Failure;
use super::fetch;
use super::issued::IssuedJob;
use super::make::{make, preview};
use super::observe::Observed;
use super::parameters::{self, Given};
use super::pki::CSR;
use super::reading::Need;
use super::refusals;
use super::resolve::Job;
use super::sessions::{self, look};
use super::settle::{Before, Settled, Settling, settle};
use super::tend::sealed_token;
use super::trigger::Trigger;
use super::values;
use super::wish::wish;
use crate::api::condition::whole_seconds;
use crate::api::status::SessionStatus;
use crate::api::{FINALIZER, Reason};
use crate::cluster::{WriteError, tokens};
use crate::csr::Wanted;
use crate::fault;
use crate::holdings::{Holding, Lives, OpenToken};
use crate::lease::Life;
use crate::minting::{Cause, Reply, Stage, Step, follow};
use crate::record::SessionRecord;
use crate::sensitive::SecretText;
use crate::vault::{self, Ask, Token};

/// One pass that issues.
struct Minting<'a> {
    job: &'a Job,
    context: &'a Context,
    trigger: Trigger,
    /// The world, as it is after each of our own writes.
    observed: Observed,
    claim: Claim,
    settled: Vec<Settling>,
    given: Given,
    session: Option<(OpenToken, Token)>,
    /// Whether something was made in Vault that nothing takes back.
    made: bool,
    lives: Lives,
    desired: Option<Desired>,
    applied: Option<Applied>,
}

/// Why a request did not do what it was for, and whether that is certain.
type Refused = (Reply, Failure);

/// What issuing came to.
pub enum Minted {
    /// The Secret holds new credentials.
    Applied(Trigger, Box<Applied>),
    /// A path is gone that takes the Secret along.
    DeleteSecret(Claim, Failure),
}

/// Issues new credentials and brings them into the Secret.
pub async fn mint(
    job: &Job,
    cause: Cause,
    observed: &Observed,
    context: &Context,
) -> Result<Minted, Failure> {
    let trigger = Trigger::Issued(cause);
    let before = Before::of_pass(observed);
    let readings = fetch::fetch(job, trigger, Need::Values, before, context).await?;
    let settled = settle(job, before, readings, false)?;
    let observed = look(observed, context).await?;
    let claim = claim(job, &observed);
    if let Claim::Refused(failure) = claim {
        return Err(failure);
    }
    let settled = match settled {
        Settled::Render(settled) => settled,
        Settled::Unchanged(_) => Vec::new(), // never where values are asked for
        Settled::DeleteSecret(gone) => return Ok(Minted::DeleteSecret(claim, gone)),
    };
    let step = entries::step(&observed, wish(job, &observed), None);
    let Step::Issue(cause) = step else {
        let message = "the sessions of the object were changed meanwhile";
        return Err(Failure::new(Reason::KubernetesUnavailable, message));
    };
    let given = parameters::read(job, context).await?;
    preview(job, &settled).await?;
    apply::try_out(job, &claim, context).await?;
    let mut minting = Minting {
        job,
        context,
        trigger: Trigger::Issued(cause),
        observed,
        claim,
        settled,
        given,
        session: None,
        made: false,
        lives: Lives::default(),
        desired: None,
        applied: None,
    };
    let uid = minting.observed.uid().to_owned();
    let _issuing = context.holdings.issue(&uid).await;
    let mut first_failure = None;
    let mut next = step.first();
    while let Some(stage) = next {
        let instead = |reply| Err((reply, sessions::fault()));
        let work = Box::pin(minting.perform(stage));
        let reply = match fault::around(stage, work, instead).await {
            Ok(()) => Reply::Done,
            Err((reply, failure)) => {
                first_failure.get_or_insert(failure);
                reply
            }
        };
        next = follow(stage, reply);
    }
    minting.end(first_failure)
}

impl Minting<'_> {
    /// Makes the request of that stage.
    async fn perform(&mut self, stage: Stage) -> Result<(), Refused> {
        match stage {
            Stage::Protect => self.protect().await,
            Stage::LogIn => self.log_in().await,
            Stage::WriteAhead => self.write_ahead().await,
            Stage::Issue => self.issue().await,
            Stage::Commit => self.commit().await,
            Stage::Discard | Stage::GiveBack => self.give_back().await,
            Stage::Forget => self.forget().await,
            // What begins with another step than `Issue` is done elsewhere.
            Stage::Revoke
            | Stage::HandOver
            | Stage::Release
            | Stage::Report
            | Stage::Retire
            | Stage::WritePlain
            | Stage::Fence => Ok(()),
        }
    }

    async fn protect(&mut self) -> Result<(), Refused> {
        if !self.job.lease.revoke_on_delete {
            return Ok(());
        }
        let protected = sessions::protect(&mut self.observed, FINALIZER, self.context).await;
        protected.map_err(|error| self.on_object(&error))
    }

    async fn log_in(&mut self) -> Result<(), Refused> {
        let Job { login, client, .. } = self.job;
        let jwt = tokens::request(
            &self.context.client,
            &login.service_account,
            &login.identity.audiences,
        );
        let token = vault::log_in(&login.identity, client, jwt).await;
        let token = token.map_err(|error| (Reply::Lost, refusals::login(self.job, &error)))?;
        if token.batch || token.accessor.is_empty() {
            return Err((Reply::Refused, refusals::batch_token(self.job)));
        }
        let open = OpenToken {
            value: token.value.clone(),
            namespace: login.identity.namespace.clone(),
            lease_namespace: self.job.vault_namespace.clone(),
            may_look: token.policies.contains("default"),
        };
        let life = Life::issued(self.observed.now, token.ttl, token.renewable);
        self.lives.token = Some(life);
        self.session = Some((open, token));
        Ok(())
    }

    async fn write_ahead(&mut self) -> Result<(), Refused> {
        // The pass may have begun minutes ago. From here on it counts how long the others are kept, and how young this one is.
        self.observed.now = self.context.clock.now();
        let Some((open, token)) = &self.session else {
            return Err(lost("no session"));
        };
        let place = (self.observed.uid(), self.job.connection.name.as_str());
        let sealed = sealed_token(&self.context.keys, place, (open, token));
        let sealed = sealed.map_err(|error| lost(&error.to_string()))?;
        let now = self.observed.now;
        let end = Some(token.ttl).filter(|ttl| !ttl.is_zero());
        let end = end.and_then(|ttl| now.checked_add(ttl).ok());
        let target = self.observed.target.as_ref();
        let entry = SessionStatus {
            accessor: token.accessor.clone(),
            sealed,
            connection: self.job.connection.name.clone(),
            against: target.map_or_else(String::new, |secret| secret.resource_version.clone()),
            committed: false,
            lease_ids: Vec::new(),
            issue_time: whole_seconds(now),
            expiration_time: end.map(whole_seconds),
            retire_time: None,
        };
        let mut sessions = noted(&self.observed);
        sessions.push(entry);
        let written = sessions::put_sessions(&mut self.observed, sessions, self.context).await;
        written.map_err(|error| self.on_object(&error))
    }

    /// Asks for every credential, and makes the whole Secret of them: what does not fit shows before anything is committed.
    async fn issue(&mut self) -> Result<(), Refused> {
        let mut values = Vec::with_capacity(self.job.issued.len());
        // What was only lent goes with the session, so what fails after it leaves nothing behind.
        let (lent, made): (Vec<_>, Vec<_>) =
            self.job.issued.iter().partition(|one| !one.kind.makes());
        for source in lent.into_iter().chain(made) {
            values.push(self.ask(source).await?);
        }
        let rotation = values::rotation(&values, self.observed.now, None);
        let made = self.made;
        let refused = |failure: Failure| (Reply::Refused, failure.after(made));
        self.context.holdings.rotates(self.observed.uid(), rotation);
        let Some((_, token)) = &self.session else {
            return Err(lost("no session"));
        };
        let session = SessionRecord {
            accessor: token.accessor.clone(),
            asked: self.job.asked.clone(),
            forced: self.job.forced.clone(),
        };
        let sealed =
            values::seal(self.job, &session, &values, &self.context.keys).map_err(refused)?;
        let issued = Issued {
            values,
            session,
            sealed,
        };
        let data = make(self.job, &self.settled, Some(&issued))
            .await
            .map_err(refused)?;
        let desired = build::build(
            self.job,
            data,
            &self.settled,
            Some(&issued),
            &self.observed,
            (self.trigger, &self.context.keys),
        );
        self.desired = Some(Desired {
            write: true,
            ..desired
        });
        Ok(())
    }

    async fn ask(&mut self, source: &IssuedJob) -> Result<IssuedValue, Refused> {
        let Some((open, _)) = &self.session else {
            return Err(lost("no session"));
        };
        sessions::may_issue(self.context)?;
        let reply = ask(self.job, source, &self.given, open).await;
        let reply = reply.map_err(|(error, failure)| {
            let reply = if error.may_be_at_work() {
                Reply::Lost
            } else {
                Reply::Refused
            };
            let done = error.is_done();
            let made = self.made && !failure.is_outage() || source.kind.makes() && done;
            (reply, failure.after(made))
        })?;
        self.made |= source.kind.makes() && reply.is_some();
        let value = values::of_reply(
            self.job,
            source,
            reply,
            self.observed.now,
            &self.context.keys,
        );
        let (value, lease) = value.map_err(|failure| (Reply::Refused, failure.after(self.made)))?;
        self.lives.leases.extend(lease);
        Ok(value)
    }

    async fn commit(&mut self) -> Result<(), Refused> {
        let Some(desired) = self.desired.take() else {
            return Err(lost("nothing to commit"));
        };
        let (claim, observed) = (&self.claim, &self.observed);
        let applied = apply::apply(self.job, claim, desired, observed, self.context).await;
        let applied = applied.map_err(|failure| {
            // A conflict and a reply that was lost read the same here; only a look tells.
            let lost = failure.reason == Reason::KubernetesUnavailable;
            let reply = if lost { Reply::Lost } else { Reply::Refused };
            (reply, failure.after(self.made && !lost))
        })?;
        self.applied = Some(applied);
        if let Some((open, token)) = self.session.take() {
            let holding = Holding {
                accessor: token.accessor,
                token: Some(open),
                lives: std::mem::take(&mut self.lives),
                lost: None,
                troubles: BTreeMap::new(),
                forbidden: None,
                parting: None,
            };
            let uid = self.observed.uid();
            self.context.holdings.put(uid, vec![holding]);
        }
        Ok(())
    }

    async fn give_back(&mut self) -> Result<(), Refused> {
        let Some((open, _)) = &self.session else {
            return Err(lost("no session"));
        };
        let client = &self.job.client;
        let revoked = vault::revoke_self(client, &open.namespace, &open.value).await;
        revoked.map_err(|error| (Reply::Lost, refusals::give_back(self.job, &error)))
    }

    async fn forget(&mut self) -> Result<(), Refused> {
        let accessor = self
            .session
            .as_ref()
            .map(|(_, token)| token.accessor.clone());
        let mut sessions = noted(&self.observed);
        sessions.retain(|one| Some(&one.accessor) != accessor.as_ref());
        let written = sessions::put_sessions(&mut self.observed, sessions, self.context).await;
        written.map_err(|error| self.on_object(&error))
    }

    /// What a write of the object that failed means.
    fn on_object(&self, error: &WriteError) -> Refused {
        let reply = match error {
            WriteError::Unavailable(_) => Reply::Lost,
            _ => Reply::Refused,
        };
        (reply, sessions::trouble("write", &self.job.key, error))
    }

    fn end(self, failure: Option<Failure>) -> Result<Minted, Failure> {
        match (self.applied, failure) {
            (Some(applied), None) => Ok(Minted::Applied(self.trigger, Box::new(applied))),
            (_, Some(failure)) => Err(failure),
            (None, None) => Err(lost("issuing ended without a result").1),
        }
    }
}

/// What cannot be, as far as we know.
fn lost(why: &str) -> Refused {
    (Reply::Lost, Failure::new(Reason::InternalError, why))
}

/// Asks Vault for one credential, once, with a private key that is made for it where the source says so. `None`: there is nothing at that path.
pub async fn ask(
    job: &Job,
    source: &IssuedJob,
    given: &Given,
    open: &OpenToken,
) -> Result<Option<vault::Issued>, (vault::Error, Failure)> {
    let mut parameters = parameters::of(source, given);
    let made = source.key.as_ref().map(Wanted::make).transpose();
    let made = made.map_err(|error| {
        let why = "no key could be made for it";
        let failure = Failure::new(Reason::InternalError, error.to_string());
        (vault::Error::Unsendable { why }, failure)
    })?;
    if let Some(made) = &made {
        parameters.insert(CSR.to_owned(), SecretText::new(made.request.clone()));
    }
    let ask = Ask {
        method: source.method,
        path: &source.path,
        parameters: &parameters,
        result: source.result,
        wrap_ttl: source.wrap_ttl,
    };
    let issued = vault::issue(&job.client, &job.vault_namespace, &open.value, &ask).await;
    match issued.and_then(|issued| certificate::with_made(issued, made.as_ref())) {
        Ok(issued) => Ok(Some(issued)),
        Err(vault::Error::NotFound { .. }) if source.optional => Ok(None),
        Err(error) => {
            // Vault's words may quote what was sent.
            let error = error.without(&parameters::secrets(source, given));
            let failure = refusals::issue(job, source, &error);
            Err((error, failure))
        }
    }
}
