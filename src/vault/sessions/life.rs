//! When a token is fine, when it should be renewed, and when only a new one helps.

use std::time::Duration;

use tokio::time::Instant;

use crate::vault::login::Grant;

/// How much of its life a token has, counted from its issue or last renewal.
#[derive(Clone, Copy, Debug)]
pub(super) struct Life {
    /// What the login granted; a renewal that grants clearly less has met the hard end.
    first: Duration,
    /// What the last grant gave; zero is for ever.
    ttl: Duration,
    granted: Instant,
    renewable: bool,
}

/// What to do with a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Use it as it is.
    Use,
    /// Renew it; it can be used still.
    Renew,
    /// Log in anew; it can be used still.
    Replace,
    /// Log in anew; it has expired.
    Over,
}

impl Life {
    /// The life of a token that was granted `ttl` at `now`.
    pub(super) fn new(ttl: Duration, renewable: bool, now: Instant) -> Self {
        Self {
            first: ttl,
            ttl,
            granted: now,
            renewable,
        }
    }

    /// The life after a renewal at `now`. A grant of less than nine tenths of the first one means that the hard
    /// end is near, so that another renewal would only bring less.
    pub(super) fn renewed(self, grant: Grant, now: Instant) -> Self {
        let Grant { ttl, renewable } = grant;
        let near_the_end = !ttl.is_zero() && ttl < self.first * 9 / 10;
        Self {
            first: self.first,
            ttl,
            granted: now,
            renewable: renewable && !near_the_end,
        }
    }

    /// What is due at `now`.
    pub(super) fn next(self, now: Instant) -> Step {
        let age = now.duration_since(self.granted);
        if self.ttl.is_zero() || age < self.ttl * 2 / 3 {
            Step::Use
        } else if age >= self.ttl {
            Step::Over
        } else if self.renewable {
            Step::Renew
        } else {
            Step::Replace
        }
    }

    /// Whether it has expired at `now`.
    pub(super) fn is_over(self, now: Instant) -> bool {
        self.next(now) == Step::Over
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vault::clock;

    fn minutes(minutes: u64) -> Duration {
        Duration::from_mins(minutes)
    }

    #[test]
    fn a_renewable_token_is_renewed_at_two_thirds() {
        let issued = clock::now();
        let life = Life::new(minutes(60), true, issued);
        assert_eq!(life.next(issued + minutes(39)), Step::Use);
        assert_eq!(life.next(issued + minutes(40)), Step::Renew);
        assert_eq!(life.next(issued + minutes(60)), Step::Over);
    }

    #[test]
    fn a_token_that_cannot_be_renewed_is_replaced_at_two_thirds() {
        let issued = clock::now();
        let life = Life::new(minutes(60), false, issued);
        assert_eq!(life.next(issued + minutes(39)), Step::Use);
        assert_eq!(life.next(issued + minutes(40)), Step::Replace);
    }

    #[test]
    fn a_full_renewal_starts_the_life_anew() {
        let issued = clock::now();
        let grant = Grant {
            ttl: minutes(60),
            renewable: true,
        };
        let life = Life::new(minutes(60), true, issued).renewed(grant, issued + minutes(40));
        assert_eq!(life.next(issued + minutes(79)), Step::Use);
        assert_eq!(life.next(issued + minutes(80)), Step::Renew);
    }

    #[test]
    fn a_short_renewal_means_the_hard_end_and_the_token_is_replaced_at_two_thirds_of_the_rest() {
        let issued = clock::now();
        let grant = Grant {
            ttl: minutes(30),
            renewable: true,
        };
        let life = Life::new(minutes(60), true, issued).renewed(grant, issued + minutes(40));
        assert_eq!(life.next(issued + minutes(59)), Step::Use);
        assert_eq!(life.next(issued + minutes(60)), Step::Replace);
        assert_eq!(life.next(issued + minutes(70)), Step::Over);
    }

    #[test]
    fn a_token_without_an_end_is_used_for_ever() {
        let issued = clock::now();
        assert_eq!(
            Life::new(Duration::ZERO, false, issued).next(issued + minutes(1_000_000)),
            Step::Use
        );
    }
}
