//! Step 5 for what was issued without a lease: a `read` of something that Vault changes by itself, such as the password of a static user. It is asked for
//! again in the session that the object has, and compared by its fingerprint, so that a look without news costs one request and nothing else.

use super::Context;
use super::build::{Issued, IssuedValue};
use super::ends::read_again;
use super::entries;
use super::failure::Failure;
use super::mint;
use super::observe::Observed;
use super::parameters::Given;
use super::refusals;
use super::resolve::Job;
use super::revoke::is_dead;
use super::trigger::Trigger;
use super::values;
use crate::api::Reason;
use crate::holdings::OpenToken;
use crate::seal::Keys;

/// What another look came to.
pub enum Again {
    /// Nothing new, or nothing to look at.
    Same,
    /// These values are others than those that the Secret was made of.
    News(Vec<IssuedValue>),
    /// The session is dead, for that reason.
    Dead(String),
}

/// Asks once more for what was issued without a lease.
pub async fn look(
    job: &Job,
    trigger: Trigger,
    observed: &Observed,
    context: &Context,
) -> Result<Again, Failure> {
    let is_look = matches!(trigger, Trigger::RefreshDue | Trigger::Retry(_));
    let sources = read_again(job, observed);
    let accessor = session_here(job, observed).unwrap_or_default();
    let token = context.holdings.token(observed.uid(), accessor);
    let (Some(record), Some(token)) = (&observed.record, token) else {
        return Ok(Again::Same);
    };
    if !is_look || sources.is_empty() {
        return Ok(Again::Same);
    }
    if let Some(outage) = job.connection.reachability().outage {
        return Err(refusals::outage(job, outage.reason));
    }
    let (mut all, mut leases) = (Vec::with_capacity(sources.len()), Vec::new());
    for source in sources {
        let reply = match mint::ask(job, source, &Given::new(), &token).await {
            Ok(reply) => reply,
            Err((_, failure)) => return refused(failure, &token, job, context).await,
        };
        let (value, lease) = values::of_reply(job, source, reply, observed.now, &context.keys)?;
        leases.extend(lease);
        all.push(value);
    }
    // Of what Vault lends from now on, the session takes care.
    context.holdings.lend(observed.uid(), accessor, leases);
    let is_known = |value: &IssuedValue| record.sources.get(&value.name) == Some(&value.record);
    let last = observed.tended.rotates;
    let last = last.filter(|_| all.iter().all(is_known));
    let rotation = values::rotation(&all, observed.now, last);
    context.holdings.rotates(observed.uid(), rotation);
    all.retain(|value| !is_known(value));
    Ok(if all.is_empty() {
        Again::Same
    } else {
        Again::News(all)
    })
}

/// The live session, if it was begun at the connection that the object names. A record is easily forged, and must not send the token of a session to another
/// server.
fn session_here<'a>(job: &Job, observed: &'a Observed) -> Option<&'a str> {
    let live = entries::live(observed)?;
    let mut known = entries::sessions(&observed.object).iter();
    let here =
        known.any(|session| session.accessor == live && session.connection == job.connection.name);
    here.then_some(live)
}

async fn refused(
    failure: Failure,
    token: &OpenToken,
    job: &Job,
    context: &Context,
) -> Result<Again, Failure> {
    match failure.reason {
        Reason::PermissionDenied if matches!(is_dead(token, &job.client).await, Ok(true)) => Ok(
            Again::Dead("Vault does not know its token any more".to_owned()),
        ),
        Reason::VaultUnavailable | Reason::VaultSealed => {
            context.suspect(&job.connection);
            Err(failure)
        }
        _ => Err(failure),
    }
}

/// What the Secret holds, with the news in the place of what they replace.
pub fn with_news(
    job: &Job,
    held: Issued,
    news: Vec<IssuedValue>,
    keys: &Keys,
) -> Result<Issued, Failure> {
    let Issued {
        mut values,
        session,
        sealed: _,
    } = held;
    for new in news {
        match values.iter_mut().find(|old| old.name == new.name) {
            Some(old) => *old = new,
            None => values.push(new),
        }
    }
    let sealed = values::seal(job, &session, &values, keys)?;
    Ok(Issued {
        values,
        session,
        sealed,
    })
}

#[cfg(test)]
mod tests;
