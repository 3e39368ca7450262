//! The protocol as a whole, explored; the rules of its decisions one by one are in `rules`.
//!
//! The explorations have no luck in them: each walks through every state that can be reached.

mod explore;
mod operator;
mod rules;
mod world;

use self::explore::{Broken, Budget, explore};

const NONE: Budget = Budget {
    crashes: 0,
    losses: 0,
    outages: 0,
    touches: 0,
    edits: 0,
    suspensions: 0,
    rotations: 0,
    deletions: 0,
    removals: 0,
};

/// All that can happen ends well.
#[expect(
    clippy::print_stdout,
    reason = "how much was explored is what a reader wants to know of a test that passes"
)]
fn holds(operators: usize, budget: Budget) {
    let explored = explore(operators, budget, None);
    println!(
        "{} states of {operators} operators with {budget:?}",
        explored.states
    );
    assert_eq!(
        explored.violation.as_deref(),
        None,
        "{}",
        explored.violation.clone().unwrap_or_default()
    );
}

/// Without a rule, something goes wrong that the exploration finds: this.
fn fails(broken: Broken, budget: Budget, words: &str) {
    let explored = explore(2, budget, Some(broken));
    let violation = explored.violation.unwrap_or_default();
    assert!(
        violation.contains(words),
        "{broken:?}, {} states: {violation:?}",
        explored.states
    );
}

#[test]
fn one_operator_issues_no_credential_that_is_not_needed() {
    holds(
        1,
        Budget {
            crashes: 2,
            losses: 2,
            rotations: 1,
            edits: 1,
            ..NONE
        },
    );
    holds(
        1,
        Budget {
            losses: 1,
            outages: 1,
            rotations: 1,
            touches: 1,
            deletions: 1,
            ..NONE
        },
    );
}

#[test]
fn an_operator_may_die_and_a_reply_be_lost_anywhere_with_another_one_awake() {
    holds(
        2,
        Budget {
            crashes: 1,
            losses: 1,
            rotations: 1,
            ..NONE
        },
    );
}

#[test]
fn people_may_touch_the_secret_while_it_is_committed() {
    holds(
        2,
        Budget {
            touches: 1,
            crashes: 1,
            losses: 1,
            ..NONE
        },
    );
}

#[test]
fn what_the_object_asks_for_may_change_at_any_moment_and_back() {
    holds(2, Budget { edits: 2, ..NONE });
    holds(
        1,
        Budget {
            edits: 2,
            crashes: 1,
            losses: 1,
            ..NONE
        },
    );
}

#[test]
fn the_object_may_be_suspended_and_resumed_at_any_moment() {
    holds(
        2,
        Budget {
            suspensions: 2,
            crashes: 1,
            ..NONE
        },
    );
    holds(
        1,
        Budget {
            suspensions: 2,
            crashes: 1,
            losses: 1,
            rotations: 1,
            ..NONE
        },
    );
}

#[test]
fn the_object_may_be_deleted_at_any_moment_also_while_vault_is_away() {
    holds(
        2,
        Budget {
            deletions: 1,
            crashes: 1,
            outages: 1,
            ..NONE
        },
    );
    holds(
        2,
        Budget {
            deletions: 1,
            losses: 1,
            ..NONE
        },
    );
}

#[test]
fn a_secret_deleted_by_hand_is_healed_whoever_makes_it_again() {
    holds(
        2,
        Budget {
            removals: 1,
            losses: 1,
            ..NONE
        },
    );
}

#[test]
fn without_an_entry_before_the_first_issue_a_crash_leaks() {
    fails(
        Broken::IssueBeforeWriteAhead,
        Budget {
            crashes: 1,
            losses: 1,
            ..NONE
        },
        "credentials live outside the Secret",
    );
}

#[test]
fn without_a_precondition_a_late_commit_brings_a_dead_credential() {
    fails(
        Broken::CommitWithoutPrecondition,
        Budget { crashes: 1, ..NONE },
        "is dead",
    );
}

#[test]
fn revoking_what_may_still_be_committed_brings_a_dead_credential() {
    fails(Broken::RevokeWhatMayBeCommitted, NONE, "is dead");
}

#[test]
fn forgetting_before_revoking_leaks() {
    fails(
        Broken::ForgetBeforeRevoke,
        Budget {
            crashes: 1,
            deletions: 1,
            ..NONE
        },
        "credentials live outside the Secret",
    );
}

#[test]
fn a_look_that_is_not_confirmed_cuts_off_users() {
    fails(
        Broken::LookWithoutConfirming,
        Budget {
            rotations: 1,
            ..NONE
        },
        "still had users",
    );
}

#[test]
fn committing_again_after_a_conflict_brings_a_dead_credential() {
    fails(
        Broken::CommitAgain,
        Budget { touches: 1, ..NONE },
        "is dead",
    );
}

#[test]
fn an_orphan_that_nothing_will_replace_stays_unless_the_secret_is_touched() {
    fails(
        Broken::NeverFence,
        Budget {
            edits: 2,
            crashes: 1,
            ..NONE
        },
        "entries are left",
    );
}

#[test]
fn taking_the_finalizer_off_without_a_precondition_leaks() {
    fails(
        Broken::ReleaseWithoutPrecondition,
        Budget {
            edits: 2,
            deletions: 1,
            ..NONE
        },
        "credentials live outside the Secret",
    );
}

#[test]
fn without_a_note_that_a_session_was_the_secrets_its_users_are_cut_off() {
    fails(
        Broken::NeverReport,
        Budget {
            rotations: 1,
            ..NONE
        },
        "still had users",
    );
}

#[test]
fn letting_credentials_retire_that_nothing_has_replaced_cuts_off_users() {
    fails(
        Broken::RetireUnreplaced,
        Budget {
            removals: 1,
            ..NONE
        },
        "that nothing has replaced",
    );
}
