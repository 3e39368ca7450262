//! The schedule of a lease by example, and what holds for every lease, token and wish.

use proptest::prelude::*;

use super::*;

const NOW: Timestamp = Timestamp::UNIX_EPOCH;

const TERMS: Terms<'_> = Terms {
    renew_at_percent: 67,
    rotate_before: None,
    overlap: Duration::ZERO,
    max_age: None,
    jitter_percent: 0,
    uid: "6f9619ff-8b86-4d01-b42d-00c04fc964ff",
};

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

/// A lease for as many seconds, issued at the epoch.
fn lease(granted: u64, renewable: bool) -> Life {
    Life::issued(NOW, seconds(granted), renewable)
}

/// When a credential with this life alone is replaced, in seconds after its issue.
fn rotated(life: &Life, terms: &Terms<'_>) -> Option<i64> {
    plan(life, None, terms, NOW)
        .rotate_at
        .map(Timestamp::as_second)
}

#[test]
fn a_renewable_lease_is_renewed_at_two_thirds_and_never_replaced() {
    let expected = Plan {
        renew_lease_at: Some(at(2412)),
        renew_token_at: None,
        rotate_at: None,
        expires: Some(at(3600)),
        token_ends_first: false,
    };
    assert_eq!(plan(&lease(3600, true), None, &TERMS, NOW), expected);
}

#[test]
fn a_full_renewal_starts_the_life_anew() {
    let renewed = lease(3600, true).renewed(at(2412), seconds(3600), true);
    let Plan {
        renew_lease_at,
        rotate_at,
        expires,
        ..
    } = plan(&renewed, None, &TERMS, at(2412));
    assert_eq!(
        (renew_lease_at, rotate_at, expires),
        (Some(at(2412 + 2412)), None, Some(at(2412 + 3600)))
    );
}

#[test]
fn a_short_grant_means_the_hard_end_and_the_credential_is_used_until_shortly_before() {
    let truncated = lease(3600, true).renewed(at(2412), seconds(1188), true);
    let Plan {
        renew_lease_at,
        rotate_at,
        expires,
        ..
    } = plan(&truncated, None, &TERMS, at(2412));
    assert_eq!(
        (renew_lease_at, rotate_at, expires),
        (None, Some(at(3240)), Some(at(3600)))
    );
}

#[test]
fn a_lease_that_cannot_be_renewed_is_replaced_a_tenth_before_its_end_at_least_half_a_minute_at_most_a_third()
 {
    for (duration, expected) in [(3600, 3240), (200, 170), (90, 60), (30, 20), (3, 2)] {
        let told = rotated(&lease(duration, false), &TERMS);
        assert_eq!(told, Some(expected), "of {duration} s");
    }
}

#[test]
fn a_credential_is_replaced_so_long_before_its_end_that_the_overlap_fits_in_but_a_third_at_most() {
    for (overlap, expected) in [(60, 3240), (600, 3000), (3600, 2400)] {
        let terms = Terms {
            overlap: seconds(overlap),
            ..TERMS
        };
        let told = rotated(&lease(3600, false), &terms);
        assert_eq!(told, Some(expected), "an overlap of {overlap} s");
        let said = Terms {
            rotate_before: Some(seconds(30)),
            ..terms
        };
        let told = rotated(&lease(3600, false), &said);
        assert_eq!(told, Some(3570), "whoever says when, has the last word");
    }
}

#[test]
fn whoever_asks_for_more_time_before_the_end_gets_half_of_the_life_at_most() {
    for (before, expected) in [(60, 3540), (1800, 1800), (3600, 1800), (999_999, 1800)] {
        let terms = Terms {
            rotate_before: Some(seconds(before)),
            ..TERMS
        };
        let told = rotated(&lease(3600, false), &terms);
        assert_eq!(told, Some(expected), "{before} s before");
    }
}

#[test]
fn a_credential_is_replaced_at_its_greatest_age_but_not_more_often_than_every_minute() {
    for (age, expected) in [(7200, 7200), (1, 60), (0, 60)] {
        let terms = Terms {
            max_age: Some(seconds(age)),
            ..TERMS
        };
        let renewed = lease(3600, true).renewed(at(2412), seconds(3600), true);
        assert_eq!(rotated(&renewed, &terms), Some(expected), "{age} s");
    }
}

#[test]
fn a_token_that_ends_first_takes_its_lease_along() {
    let batch = lease(600, false);
    let plan = plan(&lease(86_400, true), Some(&batch), &TERMS, NOW);
    let expected = Plan {
        renew_lease_at: None,
        renew_token_at: None,
        rotate_at: Some(at(540)),
        expires: Some(at(600)),
        token_ends_first: true,
    };
    assert_eq!(plan, expected);
}

#[test]
fn a_short_token_that_is_renewed_for_ever_does_not_end_its_lease() {
    let periodic = lease(600, true);
    let plan = plan(&lease(86_400, true), Some(&periodic), &TERMS, NOW);
    let expected = Plan {
        renew_lease_at: Some(at(57_888)),
        renew_token_at: Some(at(402)),
        rotate_at: None,
        expires: Some(at(600)),
        token_ends_first: false,
    };
    assert_eq!(plan, expected);
    assert_eq!(plan.next(), Some(at(402)));
}

#[test]
fn a_token_that_outlives_a_lease_which_ends_is_not_blamed() {
    let plan = plan(&lease(600, false), Some(&lease(3600, false)), &TERMS, NOW);
    assert_eq!(plan.expires, Some(at(600)));
    assert_eq!(plan.rotate_at, Some(at(540)));
    assert!(!plan.token_ends_first);
}

#[test]
fn what_never_ends_is_never_renewed_and_never_replaced() {
    let endless = lease(0, true);
    let nothing = Plan {
        renew_lease_at: None,
        renew_token_at: None,
        rotate_at: None,
        expires: None,
        token_ends_first: false,
    };
    assert_eq!(plan(&endless, Some(&endless), &TERMS, NOW), nothing);
}

#[test]
fn a_renewal_that_grants_less_than_a_second_does_not_make_a_life_endless() {
    let over = lease(3, true).renewed(at(3), Duration::ZERO, true);
    assert_eq!(over.end(), Some(at(3)));
    assert!(rotated(&over, &TERMS).is_some_and(|rotated| rotated < 3));
}

#[test]
fn vault_saying_that_a_lease_cannot_be_renewed_makes_its_end_a_hard_one() {
    assert_eq!(rotated(&lease(3600, true).ending(), &TERMS), Some(3240));
}

#[test]
fn a_thousand_leases_that_were_issued_together_are_renewed_apart() {
    let mut due: Vec<_> = (0..1000)
        .filter_map(|number| {
            let uid = format!("6f9619ff-8b86-4d01-b42d-{number:012}");
            let terms = Terms {
                jitter_percent: 10,
                uid: &uid,
                ..TERMS
            };
            plan(&lease(3600, true), None, &terms, NOW).renew_lease_at
        })
        .collect();
    due.sort();
    let (first, last) = (due[0].as_second(), due[999].as_second());
    assert!(
        (2170..2190).contains(&first) && (2400..2412).contains(&last),
        "from {first} s to {last} s"
    );
}

#[test]
fn a_failed_renewal_is_tried_again_more_and_more_rarely_and_a_last_time_while_there_is_time_to_replace()
 {
    let life = lease(3600, true);
    let (mut now, mut failures, mut tries) = (at(2412), 1, Vec::new());
    while let Some(next) = retry_at(&life, failures, &TERMS, now) {
        tries.push(next.as_second());
        (now, failures) = (next, failures + 1);
    }
    assert!((8..20).contains(&tries.len()), "{tries:?}");
    assert_eq!(tries.last(), Some(&3240), "{tries:?}");
    assert!(tries[0] <= 2414, "{tries:?}");
}

#[test]
fn a_late_renewal_leaves_half_of_the_rest_for_another_try() {
    let terms = Terms {
        renew_at_percent: 90,
        rotate_before: Some(seconds(1800)),
        ..TERMS
    };
    let last = retry_at(&lease(3600, true), 99, &terms, at(3240));
    assert_eq!(last, Some(at(3420)));
}

#[test]
fn what_cannot_be_renewed_is_not_tried_again() {
    assert_eq!(retry_at(&lease(3600, false), 1, &TERMS, NOW), None);
}

#[test]
fn a_clock_that_was_set_back_makes_everything_due_at_once_instead_of_never() {
    let ahead = |renewable| Life::issued(at(1_000_000), seconds(3600), renewable);
    let told = plan(&ahead(true), Some(&ahead(true)), &TERMS, NOW);
    assert_eq!(
        (told.renew_lease_at, told.renew_token_at, told.rotate_at),
        (Some(NOW), Some(NOW), None)
    );
    assert_eq!(rotated(&ahead(false), &TERMS), Some(0));
    let terms = Terms {
        max_age: Some(seconds(86_400)),
        ..TERMS
    };
    assert_eq!(rotated(&ahead(true), &terms), Some(0));
}

#[test]
fn clocks_that_differ_by_a_moment_change_nothing() {
    let ahead = Life::issued(at(60), seconds(3600), false);
    assert_eq!(rotated(&ahead, &TERMS), Some(60 + 3240));
}

prop_compose! {
    fn any_terms()(
        renew_at_percent: u8,
        rotate_before in prop::option::of(0_u64..400_000_000),
        max_age in prop::option::of(0_u64..400_000_000),
        jitter_percent: u8,
    ) -> Terms<'static> {
        Terms {
            renew_at_percent,
            rotate_before: rotate_before.map(Duration::from_secs),
            max_age: max_age.map(Duration::from_secs),
            jitter_percent,
            ..TERMS
        }
    }
}

prop_compose! {
    /// A life that began after the epoch: issued, and perhaps renewed later.
    fn any_life()(
        issued in 0_i64..4_000_000_000,
        original in 5_u64..400_000_000,
        renewable: bool,
        renewal in prop::option::of((0.0_f64..1.0, 0.0_f64..1.5, any::<bool>())),
    ) -> Life {
        let life = Life::issued(at(issued), seconds(original), renewable);
        let Some((after, granted, renewable)) = renewal else { return life };
        let (after, granted) = (life.original.mul_f64(after), life.original.mul_f64(granted));
        life.renewed(life.issued + after, granted, renewable)
    }
}

proptest! {
    #[test]
    fn a_credential_is_replaced_before_its_hard_end_and_not_soon_after_its_issue(lease in any_life(), token in prop::option::of(any_life()), terms in any_terms()) {
        let token = token.map(|token| Life { issued: lease.issued, granted_at: lease.granted_at, ..token });
        let terms = Terms { max_age: None, ..terms };
        let hard = [lease.hard_end(), token.and_then(|token| token.hard_end())].into_iter().flatten().min();
        let told = plan(&lease, token.as_ref(), &terms, lease.granted_at);
        prop_assert_eq!(told.rotate_at.is_some(), hard.is_some());
        if let (Some(rotate), Some(hard)) = (told.rotate_at, hard) {
            prop_assert!(rotate < hard || hard <= lease.issued, "{:?}", told);
            let quarter = between(lease.issued, hard) / 4;
            prop_assert!(between(lease.issued, rotate) + seconds(1) >= quarter, "{:?}", told);
        }
    }

    #[test]
    fn a_renewable_lease_is_renewed_before_its_end_with_time_for_a_request(original in 5_u64..400_000_000, terms in any_terms()) {
        let life = lease(original, true);
        let told = plan(&life, None, &terms, NOW);
        let (renew, end) = (told.renew_lease_at.unwrap(), told.expires.unwrap());
        let room = between(renew, end);
        prop_assert!(room >= seconds(10).min(life.original / 3), "{:?} before {}", room, end);
        prop_assert!(renew > NOW + life.original / 25, "{}", renew);
    }

    #[test]
    fn a_longer_grant_is_never_renewed_earlier_and_never_ends_earlier(shorter in 5_u64..400_000_000, more in 0_u64..400_000_000, renewable: bool, terms in any_terms()) {
        let terms = Terms { jitter_percent: 0, ..terms };
        let (short, long) = (plan(&lease(shorter, renewable), None, &terms, NOW), plan(&lease(shorter + more, renewable), None, &terms, NOW));
        prop_assert!(short.renew_lease_at <= long.renew_lease_at, "{:?} {:?}", short, long);
        prop_assert!(short.rotate_at <= long.rotate_at, "{:?} {:?}", short, long);
        prop_assert!(short.expires <= long.expires);
    }

    #[test]
    fn time_that_passes_changes_no_plan(lease in any_life(), token in any_life(), terms in any_terms(), later in 0_u64..400_000_000) {
        let began = lease.granted_at.max(token.granted_at);
        let plan = |now| plan(&lease, Some(&token), &terms, now);
        prop_assert_eq!(plan(began), plan(began + seconds(later)));
    }

    #[test]
    fn jitter_only_moves_things_earlier(lease in any_life(), token in any_life(), terms in any_terms()) {
        let now = lease.granted_at.max(token.granted_at);
        let plan = |jitter_percent| plan(&lease, Some(&token), &Terms { jitter_percent, ..terms }, now);
        let (plain, moved) = (plan(0), plan(terms.jitter_percent));
        prop_assert!(moved.renew_lease_at <= plain.renew_lease_at);
        prop_assert!(moved.renew_token_at <= plain.renew_token_at);
        prop_assert!(moved.rotate_at <= plain.rotate_at);
        prop_assert_eq!(moved.expires, plain.expires);
    }

    #[test]
    fn retries_go_forward_and_end_before_the_life_does(life in any_life(), terms in any_terms(), failures: u32, passed in 0.0_f64..2.0) {
        let now = life.granted_at + life.granted.mul_f64(passed);
        if let (Some(next), Some(end)) = (retry_at(&life, failures, &terms, now), life.end()) {
            prop_assert!(now < next && next < end, "{} {} {}", now, next, end);
        }
    }

    #[test]
    fn an_age_is_kept_whatever_renewals_grant(lease in any_life(), terms in any_terms(), age in 0_u64..400_000_000) {
        let terms = Terms { max_age: Some(seconds(age)), ..terms };
        let rotate = plan(&lease, None, &terms, lease.granted_at).rotate_at.unwrap();
        prop_assert!(rotate <= lease.issued + seconds(age.max(60)), "{}", rotate);
    }

    #[test]
    fn no_time_and_no_duration_overflows(second in Timestamp::MIN.as_second()..=Timestamp::MAX.as_second(), now in Timestamp::MIN.as_second()..=Timestamp::MAX.as_second(), original: Duration, granted: Duration, before: Option<Duration>, renewable: bool, failures: u32) {
        let terms = Terms { rotate_before: before, max_age: before, jitter_percent: 50, ..TERMS };
        let life = Life::issued(at(second), original, renewable);
        for life in [life, life.renewed(at(now), granted, renewable), life.renewed(at(second), granted, renewable)] {
            let told = plan(&life, Some(&life), &terms, at(now));
            prop_assert_eq!(told.expires, life.end());
            retry_at(&life, failures, &terms, at(now));
        }
    }
}
