//! Between steps 3 and 4: what has to be so before anything is written to a Secret of somebody else, or of several; and the end of an object that has keys
//! in such a Secret.

use std::sync::Arc;

use tracing::{info, warn};

use super::Context;
use super::claim::{Claim, claim};
use super::entries;
use super::failure::{Failure, Retry};
use super::hold::{Hold, Part, record_in};
use super::observe::{Observed, alive};
use super::refusals;
use super::remove;
use super::report::Tidied;
use super::resolve::Job;
use super::sessions;
use crate::api::destination::DeletionPolicy;
use crate::api::{KEYS_FINALIZER, MANAGER, Reason};
use crate::cluster::{Key, SecretMeta, parts, secrets};

/// The claim, and the world in which it holds, once everything is so that the Secret may be written.
pub async fn ready(
    job: &Job,
    observed: &Observed,
    context: &Context,
) -> Result<(Claim, Observed), Failure> {
    let mut observed = observed.clone();
    let mut made = claim(job, &observed);
    if let Claim::LookAt(_) = made {
        look_at_target(job, &mut observed, context).await?;
        made = claim(job, &observed);
    }
    let secret = match &made {
        Claim::Refused(failure) => return Err(failure.clone()),
        Claim::LookAt(_) => {
            let message = "the Secret was changed while it was looked at";
            return Err(Failure::new(Reason::KubernetesUnavailable, message));
        }
        Claim::Create => None,
        Claim::Update(secret) => Some(secret.clone()),
    };
    if !job.destination.hold.is_shared() {
        return Ok((made, observed));
    }
    if job.destination.deletion_policy == DeletionPolicy::Delete {
        let protected = sessions::protect(&mut observed, KEYS_FINALIZER, context).await;
        protected.map_err(|error| sessions::trouble("protect", &job.key, &error))?;
    }
    if let Some(secret) = secret
        && let Some(from) = handed_from(job, &observed, &secret)
    {
        let key = &job.destination.key;
        let managers = (from, job.destination.hold.manager());
        let handed = parts::hand_over(&context.client, key, &secret, managers).await;
        let handed = handed.map_err(|error| refusals::write(&key.name, &error))?;
        context.caches.secrets.wrote(key.clone(), handed.clone());
        context.wake_others(key, &job.uid);
        see(&mut observed, Some(handed));
        made = claim(job, &observed);
    }
    Ok((made, observed))
}

/// The manager whose fields are to become those of the part, if any are: that of the whole Secret, where the object gives that up, or the part's own, as
/// it was when the Secret was made.
fn handed_from<'a>(job: &'a Job, observed: &Observed, secret: &SecretMeta) -> Option<&'a str> {
    let wanted = &job.destination.hold;
    let was_whole = observed.hold == Hold::Exclusive && observed.hold.own_record(secret).is_some();
    if was_whole {
        return Some(MANAGER);
    }
    let updated = wanted.share(secret).is_some_and(|share| share.updated);
    updated.then(|| wanted.manager())
}

/// Asks for what the watch does not tell of a Secret that is somebody else's.
async fn look_at_target(
    job: &Job,
    observed: &mut Observed,
    context: &Context,
) -> Result<(), Failure> {
    let key = &job.destination.key;
    let found = secrets::get(&context.client, key).await;
    let found = found.map_err(|error| refusals::write(&key.name, &error))?;
    observed.alive = alive(key, found.as_ref(), &context.objects);
    see(observed, found);
    Ok(())
}

fn see(observed: &mut Observed, secret: Option<SecretMeta>) {
    observed.hold = Hold::standing(&observed.object, secret.as_ref());
    let record = secret.as_ref();
    observed.record = record.and_then(|secret| record_in(secret, observed.hold.record()));
    observed.target = secret.map(Arc::new);
}

/// Nothing is left of earlier names, nor of an earlier way to hold the Secret.
pub async fn tidy(observed: &Observed, context: &Context) -> Tidied {
    let left = remove::tidy_up(observed, context).await;
    if let Some(failure) = left.as_ref()
        && failure.retry != Retry::OnChange
    {
        return Tidied::Failed(failure.clone());
    }
    // What cannot be taken out holds up nobody.
    let released = release(observed, context).await;
    match left.or(released.err()) {
        Some(failure) => Tidied::Failed(failure),
        None => Tidied::Done,
    }
}

/// Takes the finalizer off an object that has no keys in a Secret of others any more, or leaves them there when it goes.
async fn release(observed: &Observed, context: &Context) -> Result<(), Failure> {
    let wants = entries::wants_keys_removed(&observed.object);
    if wants || !entries::has_finalizer(&observed.object, KEYS_FINALIZER) {
        return Ok(());
    }
    let uid = observed.uid();
    let mut observed = observed.clone();
    observed.object = context.overlay.latest(uid, observed.object.clone());
    sessions::release(&mut observed, KEYS_FINALIZER, context).await
}

/// The end of an object: its keys are taken out of the Secrets that others share, and nobody waits for that for ever. Returns the world after that.
pub async fn part(observed: &Observed, context: &Context) -> Result<Observed, Failure> {
    let mut observed = observed.clone();
    if !entries::has_finalizer(&observed.object, KEYS_FINALIZER) {
        return Ok(observed);
    }
    // However the object would hold a Secret today, the finalizer tells that it has put keys into one of others.
    let destination = &observed.object.spec.destination;
    if destination.deletion_policy == DeletionPolicy::Delete
        && let Err(failure) = take_out(&observed, context).await
    {
        if entries::hand_over_time(&observed).is_some_and(|time| time > observed.now) {
            return Err(failure);
        }
        let (Key { namespace, name }, why) = (Key::of(&observed.object.metadata), failure.message);
        warn!(
            namespace,
            name, why, "keys of a deleted object stay in a Secret"
        );
    }
    sessions::release(&mut observed, KEYS_FINALIZER, context).await?;
    Ok(observed)
}

async fn take_out(observed: &Observed, context: &Context) -> Result<(), Failure> {
    let object = &observed.object;
    let own = Key::of(&object.metadata);
    let mut first = Ok(());
    for (key, known) in context.caches.secrets.owned_by(observed.uid()) {
        let hold = Hold::standing(object, Some(&known));
        if key.namespace != own.namespace || known.deleting || hold == Hold::Exclusive {
            continue;
        }
        let taken = remove::remove((&key, &known), &hold, observed.uid(), context).await;
        let (Key { namespace, name }, manager) = (&key, Part::of(&own.name));
        let manager = manager.manager();
        match &taken {
            Ok(()) => info!(
                namespace,
                name, manager, "took the keys of a deleted object out of a Secret"
            ),
            // No waiting makes it another one.
            Err(why) if known.owners.immutable => {
                let what = "keys of a deleted object stay in a Secret that is immutable";
                warn!(namespace, name, manager, %why, "{what}");
                continue;
            }
            Err(_) => {}
        }
        let taken = taken.map_err(|error| refusals::write(&key.name, &error));
        first = first.and(taken);
    }
    first
}
