//! Chance that can be repeated: a failing run names its seed, and the seed brings the same run again.

use std::env;

use anyhow::{Context as _, Result};

/// Throws numbers that look random and follow from the seed.
#[derive(Debug, Clone)]
pub struct Dice {
    seed: u64,
    state: u64,
}

impl Dice {
    /// With the seed that `VAULTBRIDGE_SEED` names, or else one of this moment.
    pub fn from_env() -> Result<Self> {
        let seed = match env::var("VAULTBRIDGE_SEED") {
            Ok(text) => text
                .parse()
                .with_context(|| format!("read VAULTBRIDGE_SEED={text} as a number"))?,
            Err(_) => jiff::Timestamp::now().as_millisecond().unsigned_abs(),
        };
        Ok(Self { seed, state: seed })
    }

    /// The seed, to be told with a failure.
    #[must_use]
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// A number from 0 up to, but not including, `end`, which is at least 1.
    pub fn below(&mut self, end: usize) -> usize {
        let end = u64::try_from(end).unwrap_or(u64::MAX);
        usize::try_from(self.next() % end).unwrap_or_default()
    }

    /// A number from 0 up to `last`.
    pub fn up_to(&mut self, last: u64) -> u64 {
        self.next() % (last + 1)
    }

    /// The next number of the sequence (splitmix64).
    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}
