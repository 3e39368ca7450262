//! Issued values between Vault and the Secret: what is recorded of them, and how they lie sealed beside the record, so that the Secret can be
//! restored, or made of them in another way, without new credentials.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use super::build::{Issued, IssuedValue};
use super::certificate;
use super::failure::Failure;
use super::issued::{IssuedJob, Kind};
use super::resolve::Job;
use crate::api::Reason;
use crate::holdings::Rotation;
use crate::lease::Life;
use crate::record::{SessionRecord, SourceRecord};
use crate::seal::{Keys, Sealing};
use crate::sensitive::SecretJson;
use crate::vault;

/// The most bytes that are sealed. Longer values are left out, and cannot be restored.
const MAX_SEALED: usize = 64 * 1024;

/// The id of a lease, and its life.
pub type NewLease = (String, Option<Life>);

/// What is sealed.
#[derive(Serialize, Deserialize)]
struct Printed<'a> {
    session: SessionRecord,
    #[serde(borrow)]
    values: BTreeMap<String, PrintedValue<'a>>,
}

#[derive(Serialize, Deserialize)]
struct PrintedValue<'a> {
    record: SourceRecord,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    data: Option<&'a RawValue>,
}

/// A value as Vault issued it, and its lease with the life that it has.
pub fn of_reply(
    job: &Job,
    source: &IssuedJob,
    reply: Option<vault::Issued>,
    now: Timestamp,
    keys: &Keys,
) -> Result<(IssuedValue, Option<NewLease>), Failure> {
    let (place, name) = (source.place.clone(), source.name.clone());
    let Some(vault::Issued { data, lease, token }) = reply else {
        let record = SourceRecord::nothing(place);
        let nothing = IssuedValue {
            name,
            data: None,
            record,
        };
        return Ok((nothing, None));
    };
    let data = match source.kind {
        Kind::Certificate => certificate::with_chain(data),
        Kind::Read | Kind::Write => data,
    };
    let life = lease.as_ref().map(|lease| {
        let renewable = lease.renewable && source.kind != Kind::Certificate;
        let life = Life::issued(now, lease.duration, renewable);
        (lease.id.clone(), Some(life))
    });
    let issued = now.as_second();
    let record = match (lease, token, source.kind) {
        (lease, _, Kind::Certificate) => {
            certificate::record(source, &data, issued, lease.map(|lease| lease.id))?
        }
        (Some(lease), _, _) => SourceRecord::Lease {
            place,
            id: lease.id,
            seconds: lease.duration.as_secs(),
            renewable: lease.renewable,
            issued,
        },
        (None, Some(token), _) => SourceRecord::Token {
            place,
            accessor: token.accessor,
            seconds: token.duration.as_secs(),
            wraps: source.wrap_ttl.is_some(),
            issued,
        },
        (None, None, Kind::Write) => SourceRecord::Written { place, issued },
        (None, None, Kind::Read) => unleased(job, source, &data, keys),
    };
    let value = IssuedValue {
        name,
        data: Some(Arc::new(data)),
        record,
    };
    Ok((value, life))
}

/// The shortest time for which Vault lets a value be that it changes by itself.
const LEAST_PERIOD: Duration = Duration::from_secs(5);

/// The longest pause between two looks for a change that is overdue.
const LONGEST_PAUSE: Duration = Duration::from_mins(5);

/// When Vault changes the first of the values by itself, as it tells with them. `last` is what it told of these very values before. Where that is over and
/// Vault still has not done so, it is left more and more time: by half of what it is late.
pub fn rotation(
    values: &[IssuedValue],
    now: Timestamp,
    last: Option<Rotation>,
) -> Option<Rotation> {
    let left = values.iter().filter_map(|value| left(value.data.as_ref()?));
    let left = left.min()?;
    let next = |pause| now.checked_add(pause).ok();
    let late = |last: &Rotation| Duration::try_from(now.duration_since(last.told)).ok();
    // What is told as all but over for longer than that was not changed when it was to be.
    let overdue = last.filter(|_| left < LEAST_PERIOD);
    let overdue = overdue.and_then(|last| Some((last, late(&last)?)));
    if let Some((last, late)) = overdue {
        let pause = left.max((late / 2).min(LONGEST_PAUSE));
        return Some(Rotation {
            told: last.told,
            at: next(pause)?,
        });
    }
    let told = next(left)?;
    Some(Rotation { told, at: told })
}

/// How long a value is to last that Vault changes by itself. It says when it did so last; a `ttl` alone may be anything.
fn left(data: &SecretJson) -> Option<Duration> {
    let root = data.root()?;
    root.member(LAST_ROTATION)?;
    root.member(TTL)?.unsigned().map(Duration::from_secs)
}

const LAST_ROTATION: &str = "last_vault_rotation";
const TTL: &str = "ttl";

/// The value without what is another number each time that it is read.
fn lasting(data: &SecretJson) -> Option<Zeroizing<String>> {
    left(data)?;
    let mut text = Zeroizing::new(String::with_capacity(2 * data.expose().len()));
    for (name, value) in data.root()?.members()? {
        if name != TTL {
            let value = value.to_json();
            for piece in [
                name.as_str(),
                "=",
                std::str::from_utf8(value.expose()).ok()?,
                "\n",
            ] {
                text.push_str(piece);
            }
        }
    }
    Some(text)
}

/// What is recorded of a value without a lease.
fn unleased(job: &Job, source: &IssuedJob, data: &SecretJson, keys: &Keys) -> SourceRecord {
    let lasting = lasting(data);
    let lasting = lasting.as_ref().map_or(data.expose(), |text| text.as_str());
    let parts = [source.place.as_str(), &job.key.namespace, lasting];
    let text = Zeroizing::new(parts.join("\n"));
    SourceRecord::Static {
        place: source.place.clone(),
        version: None,
        fingerprint: keys.fingerprint(&text),
        missing: false,
        entries: None,
    }
}

/// Seals the values for the Secret of this job; `None` if they are too long.
pub fn seal(
    job: &Job,
    session: &SessionRecord,
    values: &[IssuedValue],
    keys: &Keys,
) -> Result<Option<String>, Failure> {
    let broken = |_| Failure::new(Reason::InternalError, "an issued value is no JSON");
    let mut printed = BTreeMap::new();
    for value in values {
        let data = value.data.as_ref();
        let data = data.map(|data| serde_json::from_str::<&RawValue>(data.expose()));
        let value_printed = PrintedValue {
            record: value.record.clone(),
            data: data.transpose().map_err(broken)?,
        };
        printed.insert(value.name.clone(), value_printed);
    }
    let printed = Printed {
        session: session.clone(),
        values: printed,
    };
    let text = Zeroizing::new(serde_json::to_vec(&printed).map_err(broken)?);
    if text.len() > MAX_SEALED {
        return Ok(None);
    }
    let sealed = keys.seal(Sealing::Values, &place(job, &session.accessor), &text);
    let failed =
        |error: crate::seal::KeysError| Failure::new(Reason::InternalError, error.to_string());
    sealed.map(Some).map_err(failed)
}

/// Opens what was sealed for the Secret of this job and that session. Tells why that cannot be done.
pub fn unseal(
    job: &Job,
    accessor: &str,
    sealed: Option<String>,
    keys: &Keys,
) -> Result<Issued, String> {
    let sealed = sealed.ok_or("they are not on the Secret any more")?;
    let text = keys.unseal(Sealing::Values, &place(job, accessor), &sealed);
    let text = text.map_err(|error| error.to_string())?;
    let damaged = "they are damaged";
    let Printed { session, values } = serde_json::from_slice(&text).map_err(|_| damaged)?;
    let value = |(name, value): (String, PrintedValue<'_>)| {
        let text = value.data.map(|data| Zeroizing::new(data.get().to_owned()));
        let data = text
            .map(SecretJson::parse)
            .transpose()
            .map_err(|_| damaged)?;
        Ok(IssuedValue {
            name,
            data: data.map(Arc::new),
            record: value.record,
        })
    };
    let values = values
        .into_iter()
        .map(value)
        .collect::<Result<Vec<_>, &str>>()?;
    Ok(Issued {
        values,
        session,
        sealed: Some(sealed),
    })
}

fn place<'a>(job: &'a Job, accessor: &'a str) -> [&'a str; 4] {
    let key = &job.destination.key;
    [&job.uid, &key.namespace, &key.name, accessor]
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::reconcile::fixture::leased::{LEASE, LIVE, asked, issued};
    use crate::reconcile::fixture::{NOW, at, edit, fresh, job, keys};

    #[test]
    fn what_was_sealed_beside_the_record_is_had_again_for_that_secret_and_session_only() {
        let observed = asked();
        let (wanted, issued) = (job(&observed), issued(&observed));
        let had = unseal(&wanted, LIVE, issued.sealed.clone(), &keys())
            .ok()
            .unwrap();
        assert_eq!(had.session, issued.session);
        assert_eq!(had.values[0].record, issued.values[0].record);
        let text = |issued: &Issued| issued.values[0].data.as_ref().unwrap().expose().to_owned();
        assert_eq!(text(&had), text(&issued));
        for (accessor, sealed) in [("other", issued.sealed.clone()), (LIVE, None)] {
            assert!(unseal(&wanted, accessor, sealed, &keys()).is_err());
        }
        let mut renamed = asked();
        edit(&mut renamed, "/destination/name", "elsewhere".into());
        assert!(unseal(&job(&renamed), LIVE, issued.sealed, &keys()).is_err());
    }

    #[test]
    fn values_that_are_too_long_are_not_sealed() {
        let observed = asked();
        let mut issued = issued(&observed);
        let long = format!(r#"{{"a":"{}"}}"#, "x".repeat(MAX_SEALED));
        let long = SecretJson::parse(Zeroizing::new(long)).ok().unwrap();
        issued.values[0].data = Some(Arc::new(long));
        let sealed = seal(&job(&observed), &issued.session, &issued.values, &keys());
        assert_eq!(sealed.unwrap(), None);
    }

    #[test]
    fn a_reply_with_a_lease_is_recorded_with_it_one_without_by_its_content_and_none_as_missing() {
        let observed = asked();
        let wanted = job(&observed);
        let source = &wanted.issued[0];
        let of = |reply| {
            of_reply(&wanted, source, reply, at(NOW), &keys())
                .ok()
                .unwrap()
        };
        let reply = |text: &str, lease| vault::Issued {
            data: SecretJson::parse(Zeroizing::new(text.into())).ok().unwrap(),
            lease,
            token: None,
        };
        let lease = vault::Lease {
            id: LEASE.into(),
            duration: std::time::Duration::from_mins(1),
            renewable: true,
        };
        let (value, life) = of(Some(reply("{}", Some(lease))));
        assert!(matches!(
            value.record,
            SourceRecord::Lease { seconds: 60, .. }
        ));
        assert_eq!(life.map(|(id, _)| id).as_deref(), Some(LEASE));
        let record = |text| of(Some(reply(text, None))).0.record;
        assert_eq!(record("{}"), record("{}"));
        assert_ne!(record("{}"), record(r#"{"a":1}"#));
        let (nothing, _) = of(None);
        assert!(nothing.data.is_none());
        assert!(matches!(
            nothing.record,
            SourceRecord::Static { missing: true, .. }
        ));
    }

    fn document(fields: &Value) -> SecretJson {
        let text = Zeroizing::new(fields.to_string());
        SecretJson::parse(text).ok().unwrap()
    }

    fn source() -> IssuedJob {
        let source = json!({ "name": "db", "read": { "path": "database/static-creds/batch" } });
        let source = serde_json::from_value(source).unwrap();
        crate::reconcile::issued::issued(&source).unwrap().unwrap()
    }

    fn rotated(password: &str, ttl: u64) -> Value {
        json!({ "username": "batch", "password": password, "ttl": ttl, "last_vault_rotation": "2026" })
    }

    fn print(fields: &Value) -> String {
        let (job, source) = (job(&fresh()), source());
        match unleased(&job, &source, &document(fields), &keys()) {
            SourceRecord::Static { fingerprint, .. } => fingerprint,
            other => panic!("{other:?}"),
        }
    }

    fn rotation_of(fields: &Value, now: i64, last: Option<Rotation>) -> Option<Rotation> {
        let value = IssuedValue {
            name: "db".to_owned(),
            data: Some(Arc::new(document(fields))),
            record: SourceRecord::Written {
                place: String::new(),
                issued: 0,
            },
        };
        rotation(&[value], at(now), last)
    }

    fn on_time(second: i64) -> Rotation {
        Rotation {
            told: at(second),
            at: at(second),
        }
    }

    #[test]
    fn what_vault_rotates_is_the_same_until_its_password_changes() {
        assert_eq!(print(&rotated("a", 60)), print(&rotated("a", 59)));
        assert_ne!(print(&rotated("a", 60)), print(&rotated("b", 60)));
        // Elsewhere a ttl is a value like any other.
        assert_ne!(print(&json!({ "ttl": 60 })), print(&json!({ "ttl": 59 })));
    }

    #[test]
    fn the_next_rotation_is_when_vault_says() {
        let minute = rotated("a", 60);
        assert_eq!(rotation_of(&minute, 1000, None), Some(on_time(1060)));
        let late = Some(on_time(990));
        assert_eq!(rotation_of(&minute, 1000, late), Some(on_time(1060)));
        let early = Some(on_time(1003));
        let soon = rotated("a", 3);
        assert_eq!(rotation_of(&soon, 1000, early), Some(on_time(1003)));
        assert_eq!(rotation_of(&json!({ "ttl": 60 }), 1000, None), None);
    }

    #[test]
    fn a_rotation_that_does_not_come_is_looked_for_with_pauses_that_grow_to_minutes() {
        for ttl in [0, 1, 4] {
            let (mut last, mut looks) = (None, vec![1000]);
            while looks.last() < Some(&4600) {
                let now = *looks.last().unwrap();
                last = rotation_of(&rotated("a", ttl), now, last);
                // A look comes a second after the time.
                looks.push(last.unwrap().at.as_second() + 1);
            }
            assert!(looks.len() < 40, "within an hour, with {ttl}: {looks:?}");
            let pauses = looks.windows(2).map(|pair| pair[1] - pair[0]);
            assert_eq!(pauses.max(), Some(301), "{looks:?}");
        }
    }
}
