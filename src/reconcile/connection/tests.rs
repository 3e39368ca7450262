//! What a probe says of a spec, and when it is news.

use super::*;
use crate::reconcile::fixture;
use crate::reconcile::observe::ConnectionView;

fn connection() -> Arc<Connection> {
    match fixture::usable(None, Reachability::default()) {
        ConnectionView::Known(Entry::Usable(connection), _) => connection,
        _ => panic!("the fixture is no usable connection"),
    }
}

#[test]
fn a_probe_speaks_of_the_spec_that_its_settings_came_from_and_of_no_later_one() {
    let connection = connection();
    assert!(connection.speaks_of(Some(1)));
    // A new spec whose references cannot be read, however often that is tried and whatever the status says meanwhile.
    assert!(!connection.speaks_of(Some(2)));
    assert!(!connection.speaks_of(Some(2)));
    connection.came_from(Some(2));
    assert!(connection.speaks_of(Some(2)), "it was read at last");
    assert!(!connection.speaks_of(Some(1)));
}

#[test]
fn an_outage_is_news_when_it_begins_and_when_its_cause_becomes_another() {
    let connection = connection();
    let outage = |message: &str| {
        Some(Outage {
            reason: Reason::VaultUnavailable,
            message: message.into(),
        })
    };
    let probes = [
        (None, None),
        (outage("refused"), Some(News::Outage)),
        (outage("refused"), None),
        (outage("expired"), Some(News::Outage)),
        (outage("expired"), None),
        (None, Some(News::Recovery)),
        (None, None),
    ];
    for (number, (found, news)) in probes.into_iter().enumerate() {
        assert_eq!(connection.note(found), news, "probe {number}");
    }
    assert_eq!(connection.reachability().recoveries, 1);
}
