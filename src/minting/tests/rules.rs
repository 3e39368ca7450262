//! What [`decide`] and [`follow`] say, rule by rule.

use std::time::Duration;

use jiff::Timestamp;

use super::super::{
    CLOCK_MARGIN, Cause, Entry, MOST_ENTRIES, Parting, Replaced, Reply, Stage, Step, Target, View,
    Wish, decide, follow,
};

const NOW: Timestamp = Timestamp::UNIX_EPOCH;

fn entry(accessor: &str) -> Entry<&str> {
    Entry {
        accessor,
        against: Some("before"),
        committed: true,
        retire: None,
        end: NOW + Duration::from_hours(1),
        deferred: false,
    }
}

/// A Secret with a session that is known and well, and nothing to do.
fn view<'a>(entries: &'a [Entry<&'a str>]) -> View<'a, &'a str> {
    View {
        now: NOW,
        entries,
        secret: Some(Target {
            version: "now",
            accessor: Some("live"),
            ours: true,
        }),
        wish: Wish::Session(None),
        replaced: Replaced::Revoke,
        overlap: Duration::from_mins(10),
        rolled_out: true,
        protected: true,
        parting: None,
    }
}

#[test]
fn with_a_live_session_and_nothing_due_it_rests() {
    assert_eq!(decide(&view(&[entry("live")])), Step::Rest(None));
}

#[test]
fn what_was_replaced_is_kept_until_its_users_run_with_the_new_one_and_for_the_overlap() {
    let entries = [entry("live"), entry("old")];
    let rolling = View {
        rolled_out: false,
        ..view(&entries)
    };
    assert_eq!(decide(&rolling), Step::Rest(None));
    let later = NOW + Duration::from_mins(10);
    assert_eq!(decide(&view(&entries)), Step::Retire("old", later));
    let entries = [
        entry("live"),
        Entry {
            retire: Some(later),
            ..entry("old")
        },
    ];
    assert_eq!(decide(&view(&entries)), Step::Rest(Some(later)));
    let then = View {
        now: later,
        ..view(&entries)
    };
    assert_eq!(decide(&then), Step::LetGo("old"));
}

#[test]
fn what_is_to_expire_is_let_go_only_when_it_surely_has() {
    let entries = [
        entry("live"),
        Entry {
            retire: Some(NOW),
            ..entry("old")
        },
    ];
    let end = entries[1].end + CLOCK_MARGIN;
    let expiring = View {
        replaced: Replaced::Expire,
        ..view(&entries)
    };
    assert_eq!(decide(&expiring), Step::Rest(Some(end)));
    assert_eq!(
        decide(&View {
            now: end,
            ..expiring
        }),
        Step::LetGo("old")
    );
}

#[test]
fn a_restored_session_retires_no_more() {
    let entries = [Entry {
        retire: Some(NOW),
        ..entry("live")
    }];
    assert_eq!(decide(&view(&entries)), Step::Report("live"));
}

#[test]
fn an_orphan_is_let_go_once_the_secret_moved_on_and_otherwise_the_secret_is_touched() {
    let orphan = Entry {
        committed: false,
        ..entry("orphan")
    };
    let entries = [entry("live"), orphan];
    assert_eq!(decide(&view(&entries)), Step::LetGo("orphan"));
    let entries = [
        entry("live"),
        Entry {
            against: Some("now"),
            ..orphan
        },
    ];
    assert_eq!(decide(&view(&entries)), Step::Fence);
    let due = Wish::Session(Some(Cause::RotationDue));
    let due = View {
        wish: due,
        ..view(&entries)
    };
    assert_eq!(
        decide(&due),
        Step::Issue(Cause::RotationDue),
        "its commit does it too"
    );
}

#[test]
fn what_could_not_be_let_go_holds_nothing_up() {
    let orphan = Entry {
        committed: false,
        deferred: true,
        ..entry("orphan")
    };
    let entries = [entry("live"), orphan];
    assert_eq!(decide(&view(&entries)), Step::Rest(None));
    let lost = Wish::Session(Some(Cause::LeaseLost));
    let lost = View {
        wish: lost,
        ..view(&entries)
    };
    assert_eq!(decide(&lost), Step::Issue(Cause::LeaseLost));
}

#[test]
fn the_replaced_session_whose_time_is_over_for_longest_makes_room_for_a_new_one() {
    let names = ["a", "b", "c", "d", "e", "f", "g"];
    let mut entries = names.map(entry).to_vec();
    for (entry, retire) in entries.iter_mut().zip([9, 3, 1, 2, 30, 20, 5]) {
        entry.retire = Some(NOW + Duration::from_secs(retire));
    }
    entries[2].deferred = true;
    entries.push(entry("live"));
    let due = Wish::Session(Some(Cause::RotationDue));
    let at = |second| View {
        now: NOW + Duration::from_secs(second),
        wish: due,
        replaced: Replaced::Expire,
        ..view(&entries)
    };
    assert_eq!(decide(&at(10)), Step::LetGo("d"), "c could not be let go");
    let soonest = Some(NOW + Duration::from_secs(2));
    assert_eq!(decide(&at(0)), Step::Full(soonest), "all are kept still");
    entries.remove(0);
    let room = View {
        now: NOW + Duration::from_secs(10),
        wish: due,
        replaced: Replaced::Expire,
        ..view(&entries)
    };
    assert_eq!(decide(&room), Step::Issue(Cause::RotationDue));
}

#[test]
fn an_object_without_a_secret_whose_operators_all_died_begins_another_session_in_the_place_of_the_first()
 {
    fn absent<'a>(entries: &'a [Entry<&'a str>]) -> Step<&'a str> {
        decide(&View {
            secret: None,
            ..view(entries)
        })
    }

    let names = ["a", "b", "c", "d", "e", "f", "g", "h"];
    let mut orphans = names.map(|name| Entry {
        committed: false,
        against: None,
        ..entry(name)
    });
    assert_eq!(absent(&orphans[1..]), Step::Issue(Cause::Missing));
    assert_eq!(absent(&orphans), Step::LetGo("a"));
    orphans[0].deferred = true;
    assert_eq!(absent(&orphans), Step::LetGo("b"), "a could not be let go");
    // A Secret that is not surely ours cannot be touched either.
    let touching = orphans.map(|orphan| Entry {
        against: Some("now"),
        ..orphan
    });
    let foreign = Target {
        version: "now",
        accessor: None,
        ours: false,
    };
    let of = |ours| View {
        secret: Some(Target { ours, ..foreign }),
        ..view(&touching)
    };
    assert_eq!(decide(&of(false)), Step::LetGo("b"));
    assert_eq!(decide(&of(true)), Step::Fence);
}

#[test]
fn too_many_sessions_stop_the_issuing_and_nothing_else() {
    let names = ["a", "b", "c", "d", "e", "f", "g", "live"];
    let entries = names.map(|name| Entry {
        deferred: true,
        ..entry(name)
    });
    assert_eq!(entries.len(), MOST_ENTRIES);
    let due = Wish::Session(Some(Cause::RotationDue));
    let due = View {
        wish: due,
        ..view(&entries)
    };
    assert_eq!(decide(&due), Step::Full(None));
    assert_eq!(decide(&view(&entries)), Step::Rest(None));
}

#[test]
fn an_unknown_session_in_the_secret_is_none() {
    let entries = [entry("other")];
    let issue = Step::Issue(Cause::Missing);
    let unknown = View {
        rolled_out: false,
        ..view(&entries)
    };
    assert_eq!(decide(&unknown), issue);
}

#[test]
fn a_suspended_object_keeps_what_it_has_and_gets_nothing() {
    let none = View {
        wish: Wish::Keep,
        secret: None,
        protected: false,
        ..view(&[])
    };
    assert_eq!(decide(&none), Step::Rest(None));
}

#[test]
fn without_leased_sources_the_secret_is_written_without_a_session_and_the_finalizer_goes() {
    let entries = [entry("live")];
    let plain = View {
        wish: Wish::NoSession,
        ..view(&entries)
    };
    assert_eq!(decide(&plain), Step::WritePlain);
    let written = Some(Target {
        version: "now",
        accessor: None,
        ours: true,
    });
    let done = View {
        wish: Wish::NoSession,
        secret: written,
        ..view(&[])
    };
    assert_eq!(decide(&done), Step::Release);
    assert_eq!(
        decide(&View {
            protected: false,
            ..done
        }),
        Step::Rest(None)
    );
}

#[test]
fn at_the_end_sessions_are_revoked_or_handed_over_and_never_hold_the_object_up_for_ever() {
    let entries = [Entry {
        committed: false,
        against: Some("now"),
        ..entry("live")
    }];
    let parting = |parting, entries| {
        decide(&View {
            parting: Some(parting),
            ..view(entries)
        })
    };
    assert_eq!(parting(Parting::Revoke, &entries), Step::LetGo("live"));
    assert_eq!(parting(Parting::Revoke, &[]), Step::Release);
    assert_eq!(parting(Parting::Leave, &entries), Step::Release);
    let tried = [Entry {
        deferred: true,
        ..entries[0]
    }];
    assert_eq!(parting(Parting::Revoke, &tried), Step::Rest(None));
    assert_eq!(parting(Parting::HandOver, &tried), Step::HandOver);
}

#[test]
fn credentials_that_surely_do_not_reach_the_secret_are_given_back_and_of_the_others_only_a_look_tells()
 {
    assert_eq!(follow(Stage::Commit, Reply::Refused), Some(Stage::GiveBack));
    assert_eq!(follow(Stage::Commit, Reply::Lost), None);
    assert_eq!(follow(Stage::Commit, Reply::Done), None);
    assert_eq!(follow(Stage::Issue, Reply::Refused), Some(Stage::GiveBack));
    assert_eq!(follow(Stage::Issue, Reply::Lost), None);
    assert_eq!(follow(Stage::GiveBack, Reply::Done), Some(Stage::Forget));
    assert_eq!(follow(Stage::GiveBack, Reply::Lost), None);
}

#[test]
fn while_there_is_no_secret_an_orphan_may_still_be_committed() {
    let orphan = Entry {
        committed: false,
        ..entry("orphan")
    };
    let end = orphan.end + CLOCK_MARGIN;
    let entries = [orphan];
    let absent = View {
        secret: None,
        wish: Wish::Keep,
        ..view(&entries)
    };
    assert_eq!(decide(&absent), Step::Rest(Some(end)));
}

#[test]
fn without_our_secret_nothing_has_replaced_the_credentials_that_it_held() {
    let entries = [entry("old"), entry("older")];
    let seen = |accessor, ours, wish| View {
        secret: Some(Target {
            version: "now",
            accessor,
            ours,
        }),
        wish,
        ..view(&entries)
    };
    let (kept, rest) = (Wish::Keep, Step::Rest(None));
    let absent = View {
        secret: None,
        ..seen(None, false, kept)
    };
    assert_eq!(decide(&absent), rest, "it was deleted");
    assert_eq!(decide(&seen(None, false, kept)), rest, "it is not ours");
    let unknown = seen(Some("unknown"), true, kept);
    assert_eq!(decide(&unknown), rest, "that session is none of ours");
    let wanted = seen(None, false, Wish::Session(None));
    assert_eq!(decide(&wanted), Step::Issue(Cause::Missing));
    let plain = seen(None, true, Wish::NoSession);
    let later = NOW + Duration::from_mins(10);
    assert_eq!(decide(&plain), Step::Retire("old", later), "it has values");
    assert_eq!(
        decide(&seen(Some("old"), true, kept)),
        Step::Retire("older", later)
    );
}

#[test]
fn a_secret_that_is_not_surely_ours_is_never_touched() {
    let orphan = |accessor| Entry {
        committed: false,
        against: Some("now"),
        ..entry(accessor)
    };
    let names = ["a", "b", "c", "d", "e", "f", "g", "h"];
    let (one, many) = ([orphan("orphan")], names.map(orphan));
    let end = one[0].end + CLOCK_MARGIN;
    let seen = |entries, ours, wish| {
        decide(&View {
            secret: Some(Target {
                version: "now",
                accessor: None,
                ours,
            }),
            wish,
            ..view(entries)
        })
    };
    assert_eq!(seen(&one, true, Wish::Keep), Step::Fence);
    assert_eq!(seen(&one, false, Wish::Keep), Step::Rest(Some(end)));
    assert_eq!(seen(&many, true, Wish::Session(None)), Step::Fence);
    let room = Step::LetGo("a");
    assert_eq!(seen(&many, false, Wish::Session(None)), room);
}
