//! Which wordings were found sound, so that this is found out once and not in each pass over an object.
//!
//! To compile expressions takes up to milliseconds, and most passes hold them against no name at all. So what is remembered is that they can be compiled, which
//! takes few bytes, and not what they are compiled to, which takes many.

use std::collections::HashMap;
use std::sync::{LazyLock, Mutex, PoisonError};

use sha2::{Digest as _, Sha256};

/// The most wordings that are remembered; of more, all are looked at anew.
const MOST: usize = 10_000;

/// What is known of wordings that are sound, by their hashes.
pub(super) struct Sound<T>(LazyLock<Mutex<HashMap<[u8; 32], T>>>);

impl<T: Clone> Sound<T> {
    /// Nothing known yet.
    pub(super) const fn new() -> Self {
        Self(LazyLock::new(Mutex::default))
    }

    /// What `check` says of these texts, or said before. That they are not sound is not remembered.
    pub(super) fn check<E>(
        &self,
        texts: &[&[String]],
        check: impl FnOnce() -> Result<T, E>,
    ) -> Result<T, E> {
        let hash = hash(texts);
        if let Some(known) = self.lock(|known| known.get(&hash).cloned()) {
            return Ok(known);
        }
        let found = check()?;
        self.lock(|known| {
            if known.len() >= MOST {
                known.clear();
            }
            known.insert(hash, found.clone());
        });
        Ok(found)
    }

    /// A panic elsewhere while the map was locked cannot have left it half changed.
    fn lock<R>(&self, with: impl FnOnce(&mut HashMap<[u8; 32], T>) -> R) -> R {
        with(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Each list and each text with its length in front, so that no two wordings look alike.
fn hash(texts: &[&[String]]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for list in texts {
        hash.update(list.len().to_be_bytes());
        for text in *list {
            hash.update(text.len().to_be_bytes());
            hash.update(text);
        }
    }
    hash.finalize().into()
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[test]
    fn a_wording_that_is_sound_is_looked_at_once_and_one_that_is_not_each_time() {
        let (sound, looks) = (Sound::new(), Cell::new(0));
        let check = |include: &[&str], exclude: &[&str]| {
            let owned = |list: &[&str]| list.iter().map(|&text| text.into()).collect::<Vec<_>>();
            let found = sound.check(&[&owned(include), &owned(exclude)], || {
                looks.set(looks.get() + 1);
                if include == ["("] {
                    Err(())
                } else {
                    Ok(looks.get())
                }
            });
            (found, looks.get())
        };
        assert_eq!(check(&["a", "b"], &[]), (Ok(1), 1));
        assert_eq!(check(&["a", "b"], &[]), (Ok(1), 1));
        assert_eq!(check(&["a"], &["b"]), (Ok(2), 2), "another wording");
        assert_eq!(check(&["ab"], &[]), (Ok(3), 3), "another wording");
        assert_eq!(check(&["("], &[]), (Err(()), 4));
        assert_eq!(check(&["("], &[]), (Err(()), 5));
        for number in 0..=MOST {
            let (found, _) = check(&[&number.to_string()], &[]);
            assert!(found.is_ok());
        }
        assert!(sound.lock(|known| known.len()) <= MOST, "it is bounded");
    }
}
