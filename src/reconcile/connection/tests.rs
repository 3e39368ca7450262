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
