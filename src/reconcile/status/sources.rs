//! What the status tells of each source.

use std::time::Duration;

use jiff::Timestamp;

use crate::api::condition::whole_seconds;
use crate::api::status::{SourceStatus, SourceType};
use crate::holdings::Lives;
use crate::lease::Life;
use crate::record::SourceRecord;

/// A source as status tells it.
pub fn source_status(name: &str, record: &SourceRecord, lives: Option<&Lives>) -> SourceStatus {
    let plain = SourceStatus {
        name: name.into(),
        ..SourceStatus::default()
    };
    match record {
        SourceRecord::Static {
            place: _,
            version,
            fingerprint: _,
            missing,
            entries,
        } => SourceStatus {
            source_type: entries.map_or(SourceType::Static, |_| SourceType::Folder),
            entries: entries.and_then(|entries| i64::try_from(entries).ok()),
            version: version.and_then(|version| i64::try_from(version).ok()),
            missing: *missing,
            ..plain
        },
        SourceRecord::Lease { .. } => lease(plain, record, lives),
        SourceRecord::Token {
            place: _,
            accessor,
            seconds,
            wraps: _,
            issued,
        } => {
            let issued = Timestamp::from_second(*issued).unwrap_or(Timestamp::MIN);
            let life = Life::issued(issued, Duration::from_secs(*seconds), false);
            SourceStatus {
                source_type: SourceType::Token,
                accessor: Some(accessor.clone()).filter(|accessor| !accessor.is_empty()),
                issue_time: Some(whole_seconds(issued)),
                expiration_time: life.end().map(whole_seconds),
                ..plain
            }
        }
        SourceRecord::Certificate {
            place: _,
            serial,
            not_before: _,
            not_after,
            issued,
            lease,
        } => SourceStatus {
            source_type: SourceType::Certificate,
            serial_number: Some(serial.clone()),
            lease_id: lease.clone(),
            issue_time: Timestamp::from_second(*issued).ok().map(whole_seconds),
            expiration_time: Timestamp::from_second(*not_after).ok().map(whole_seconds),
            ..plain
        },
        SourceRecord::Written { place: _, issued } => SourceStatus {
            source_type: SourceType::Written,
            issue_time: Timestamp::from_second(*issued).ok().map(whole_seconds),
            ..plain
        },
    }
}

fn lease(plain: SourceStatus, record: &SourceRecord, lives: Option<&Lives>) -> SourceStatus {
    let SourceRecord::Lease {
        place: _,
        id,
        seconds,
        renewable,
        issued,
    } = record
    else {
        return plain;
    };
    let issued = Timestamp::from_second(*issued).unwrap_or(Timestamp::MIN);
    let at_first = Life::issued(issued, Duration::from_secs(*seconds), *renewable);
    let life = lives.and_then(|lives| lives.leases.get(id)?.as_ref());
    let token = lives.and_then(|lives| lives.token.as_ref());
    SourceStatus {
        source_type: SourceType::Lease,
        lease_id: Some(id.clone()),
        renewable: Some(life.map_or(*renewable, |life| life.renewable)),
        issue_time: Some(whole_seconds(issued)),
        expiration_time: life.unwrap_or(&at_first).end().map(whole_seconds),
        token_expiration_time: token.and_then(Life::end).map(whole_seconds),
        ..plain
    }
}
