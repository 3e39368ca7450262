//! The annotation on a pod template that restarts a workload, and tells for which content of the Secret it did.

use crate::api::{GROUP, VaultSecret};
use crate::cluster::workloads::Workload;
use crate::record::request_hash;

/// The most characters of an annotation's name behind the prefix.
const LONGEST_NAME: usize = 63;

/// How many hexadecimal digits stand for the rest of a longer one.
const DIGITS: usize = 10;

/// The annotation that restarts, and what it says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    /// Its key.
    pub annotation: String,
    pub(super) prefix: String,
}

impl Mark {
    /// The annotation of that object. A name that is too long for one is cut, and told apart from others by its hash.
    pub fn of(object: &VaultSecret) -> Self {
        let name = object.metadata.name.as_deref().unwrap_or_default();
        let short = if name.len() <= LONGEST_NAME {
            name.to_owned()
        } else {
            let hash = request_hash(name);
            let (begin, digits) = (name.get(..LONGEST_NAME - DIGITS - 1), hash.get(..DIGITS));
            format!(
                "{}-{}",
                begin.unwrap_or_default(),
                digits.unwrap_or_default()
            )
        };
        let uid = object.metadata.uid.as_deref().unwrap_or_default();
        Self {
            annotation: format!("{GROUP}/{short}"),
            prefix: format!("{}-", uid.get(..8).unwrap_or(uid)),
        }
    }

    /// What it says for that revision.
    pub fn value(&self, revision: i64) -> String {
        format!("{}{revision}", self.prefix)
    }

    /// The revision that we restarted the workload for, as its pod template tells.
    pub(super) fn read(&self, workload: &Workload) -> Option<i64> {
        let text = workload.mark(&self.annotation)?;
        text.strip_prefix(&self.prefix)?.parse().ok()
    }
}
