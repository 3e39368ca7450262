//! The sessions of an object that are not needed any more: looked at closely, revoked, forgotten.
//!
//! What the caches say decides whether there is anything to do. Before something is done that cannot be taken back, the API server is
//! asked how things stand, at one moment: the object, the Secret, and the object again.

use std::sync::Arc;

use jiff::Timestamp;
use tracing::info;

use super::Context;
use super::entries::{self, noted};
use super::failure::Failure;
use super::hold::{Hold, record_in};
use super::observe::Observed;
use super::orphans;
use super::refusals;
use super::revoke::{revoke, tell};
use super::rolled_out::nothing_waits;
use super::tend::open;
use crate::api::status::SessionStatus;
use crate::api::{FINALIZER, Reason, VaultSecret, VaultSecretStatus};
use crate::cluster::{Key, WriteError, parts, secrets, status, vault_secrets};
use crate::fault;
use crate::holdings::Trouble;
use crate::minting::{Parting, Reply, Stage, Step, Wish};
use crate::schedule::backoff;

/// How often the object may change while it is looked at, before the look is given up.
const LOOKS: usize = 3;

/// The most that one pass does about sessions that are not needed any more.
const STEPS: usize = 24;

/// The object and the Secret as they are at one moment.
pub async fn look(observed: &Observed, context: &Context) -> Result<Observed, Failure> {
    let key = Key::of(&observed.object.metadata);
    let target = Key::new(&key.namespace, observed.object.target_name());
    let mut object = object(&key, observed, context).await?;
    for _ in 0..LOOKS {
        let secret = secrets::get(&context.client, &target).await;
        let secret = secret.map_err(|error| refusals::write(&target.name, &error))?;
        let again = self::object(&key, observed, context).await?;
        if again.metadata.resource_version == object.metadata.resource_version {
            let secret = secret.map(Arc::new);
            let hold = Hold::standing(&object, secret.as_deref());
            let record = secret
                .as_deref()
                .and_then(|secret| record_in(secret, hold.record()));
            return Ok(Observed {
                rolled_out: nothing_waits(&object, record.as_ref(), observed.now),
                record,
                hold,
                target: secret,
                object: Arc::new(object),
                ..observed.clone()
            });
        }
        object = again;
    }
    Err(changed(&key))
}

async fn object(key: &Key, observed: &Observed, context: &Context) -> Result<VaultSecret, Failure> {
    let found = vault_secrets::get(&context.client, key).await;
    let found = found.map_err(|error| trouble("read", key, &error))?;
    let same = |object: &VaultSecret| {
        object.metadata.uid == observed.object.metadata.uid
            && object.metadata.generation == observed.object.metadata.generation
    };
    found.filter(same).ok_or_else(|| changed(key))
}

/// Somebody changed the object meanwhile. The watch brings what they did.
fn changed(key: &Key) -> Failure {
    let message = format!("VaultSecret {} was changed meanwhile", key.name);
    Failure::new(Reason::KubernetesUnavailable, message)
}

/// What a request fails with that a test wants to fail.
pub fn fault() -> Failure {
    Failure::new(Reason::KubernetesUnavailable, "a fault that a test ordered")
}

/// Whether this instance leads, and so may ask for credentials: another one would not know of them.
pub fn may_issue(context: &Context) -> Result<(), (Reply, Failure)> {
    context.leads().map_err(|failure| (Reply::Refused, failure))
}

pub fn trouble(what: &str, key: &Key, error: &WriteError) -> Failure {
    let message = format!("{what} VaultSecret {}: {error}", key.name);
    let reason = match error {
        WriteError::Denied(_) | WriteError::Invalid(_) => Reason::AdmissionDenied,
        _ => Reason::KubernetesUnavailable,
    };
    Failure::new(reason, message)
}

/// Lets go what is not needed any more. Returns the world after that; `None`: there was nothing to do.
pub async fn keep_house(
    observed: &Observed,
    wish: Wish,
    parting: Option<Parting>,
    context: &Context,
) -> Result<Option<Observed>, Failure> {
    if !is_for_us(&entries::step(observed, wish, parting)) {
        return Ok(None);
    }
    let mut observed = look(observed, context).await?;
    for _ in 0..STEPS {
        let step = entries::step(&observed, wish, parting);
        match &step {
            Step::LetGo(accessor) => let_go(&mut observed, accessor, context).await?,
            Step::Fence => {
                let fenced = fence(&mut observed, context);
                fault::around(Stage::Fence, fenced, |_| Err(fault())).await?;
            }
            Step::HandOver => {
                let written = orphans::hand_over(&observed.object, context);
                fault::around(Stage::HandOver, written, |_| Err(fault())).await?;
                write_sessions(&mut observed, Vec::new(), context).await?;
            }
            Step::Release => {
                let released = release(&mut observed, FINALIZER, context);
                fault::around(Stage::Release, released, |_| Err(fault())).await?;
            }
            Step::Rest(_)
            | Step::Issue(_)
            | Step::Full(_)
            | Step::Report(_)
            | Step::Retire(_, _)
            | Step::WritePlain => return Ok(Some(observed)),
        }
    }
    Err(changed(&Key::of(&observed.object.metadata)))
}

/// Whether the step is one of those that are done here.
fn is_for_us(step: &Step<String>) -> bool {
    match step {
        Step::LetGo(_) | Step::Fence | Step::Release | Step::HandOver => true,
        Step::Rest(_)
        | Step::Issue(_)
        | Step::Full(_)
        | Step::Report(_)
        | Step::Retire(_, _)
        | Step::WritePlain => false,
    }
}

/// Revokes a session and removes its entry. One that cannot be revoked now is put off.
async fn let_go(observed: &mut Observed, accessor: &str, context: &Context) -> Result<(), Failure> {
    let uid = observed.uid().to_owned();
    let mut sessions = noted(observed);
    let Some(at) = sessions.iter().position(|one| one.accessor == accessor) else {
        return Ok(());
    };
    let session = sessions.remove(at);
    let mut holdings = context.holdings.take(&uid);
    let known = holdings.iter().position(|one| one.accessor == accessor);
    let mut holding = known.map_or_else(
        || open(&session, observed, context),
        |at| holdings.swap_remove(at),
    );
    let party = observed.object.metadata.namespace.clone();
    let party = party.unwrap_or_default();
    let revoked = revoke(holding.token.as_ref(), &session, &party, context);
    let revoked = fault::around(Stage::Revoke, revoked, |_| Err(fault())).await;
    let put_off = match revoked {
        Ok(()) => false,
        Err(_) if entries::is_over(&session, observed.now) => false,
        Err(failure) => {
            let last = holding.parting.as_ref();
            tell(&failure, &session, last, observed, context).await;
            let attempts = last.map_or(0, |last| last.attempts + 1);
            let pause = backoff(attempts, &uid);
            holding.parting = Some(Trouble {
                of_server: failure.is_outage(),
                message: failure.message,
                attempts,
                retry_at: observed.now.checked_add(pause).unwrap_or(Timestamp::MAX),
            });
            true
        }
    };
    if put_off {
        observed.tended.deferred.insert(accessor.to_owned());
        holdings.push(holding);
    }
    context.holdings.put(&uid, holdings);
    if put_off {
        return Ok(());
    }
    info!(
        namespace = observed.object.metadata.namespace,
        name = observed.object.metadata.name,
        accessor,
        "let a session go"
    );
    let written = write_sessions(observed, sessions, context);
    fault::around(Stage::Forget, written, |_| Err(fault())).await
}

/// Writes the Secret as it is, so that nothing can be committed to it any more that expects it as it was.
async fn fence(observed: &mut Observed, context: &Context) -> Result<(), Failure> {
    let Some(secret) = observed.target.clone() else {
        return Ok(());
    };
    let key = Key::of(&observed.object.metadata);
    let target = Key::new(&key.namespace, observed.object.target_name());
    let (client, now) = (&context.client, observed.now);
    let touched = match &observed.hold {
        Hold::Shared(part) => parts::touch(client, &target, &secret, part.manager(), now).await,
        Hold::Exclusive | Hold::GivenUp(_) => secrets::touch(client, &target, &secret, now).await,
    };
    let touched = touched.map_err(|error| refusals::write(&target.name, &error))?;
    context.caches.secrets.wrote(target, touched.clone());
    observed.target = Some(Arc::new(touched));
    Ok(())
}

/// Takes one of our finalizers off the object.
pub async fn release(
    observed: &mut Observed,
    finalizer: &str,
    context: &Context,
) -> Result<(), Failure> {
    let (key, client) = (Key::of(&observed.object.metadata), &context.client);
    let written = vault_secrets::protect(client, &observed.object, finalizer, false).await;
    take_in(
        observed,
        written.map_err(|error| trouble("release", &key, &error))?,
        context,
    );
    Ok(())
}

/// Puts one of our finalizers on the object, unless it is there.
pub async fn protect(
    observed: &mut Observed,
    finalizer: &str,
    context: &Context,
) -> Result<(), WriteError> {
    if entries::has_finalizer(&observed.object, finalizer) {
        return Ok(());
    }
    let client = &context.client;
    let written = vault_secrets::protect(client, &observed.object, finalizer, true).await?;
    take_in(observed, written, context);
    Ok(())
}

/// Writes the sessions into the status, if the object is as we know it.
pub async fn write_sessions(
    observed: &mut Observed,
    sessions: Vec<SessionStatus>,
    context: &Context,
) -> Result<(), Failure> {
    let key = Key::of(&observed.object.metadata);
    let written = put_sessions(observed, sessions, context).await;
    written.map_err(|error| trouble("write the status of", &key, &error))
}

/// The same, with the API server's own words.
pub async fn put_sessions(
    observed: &mut Observed,
    sessions: Vec<SessionStatus>,
    context: &Context,
) -> Result<(), WriteError> {
    let before = observed.object.status.clone().unwrap_or_default();
    let wanted = VaultSecret {
        status: Some(VaultSecretStatus { sessions, ..before }),
        ..VaultSecret::clone(&observed.object)
    };
    let written = status::replace_vault_secret(&context.client, &wanted).await?;
    take_in(observed, written, context);
    Ok(())
}

/// The object is now as we have written it.
fn take_in(observed: &mut Observed, written: VaultSecret, context: &Context) {
    context.overlay.wrote(observed.uid(), written.clone());
    observed.object = Arc::new(written);
}
