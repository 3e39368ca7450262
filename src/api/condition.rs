//! Conditions, after the Kubernetes API conventions: the transition time moves only when the status does, so that an
//! unchanged report is equal to the last one and need not be written.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

use super::Reason;

/// The Secret holds what the object asks for; or the server of a connection answers.
pub const READY: &str = "Ready";
/// Vault lets the service account in.
pub const AUTHENTICATED: &str = "Authenticated";
/// The last attempt to bring the Secret up to date succeeded.
pub const SYNCED: &str = "Synced";
/// Everything that `spec.rollout` names runs with what the Secret holds.
pub const ROLLED_OUT: &str = "RolledOut";

/// A condition's message may have at most 32,768 characters; ours stay readable.
pub const MAX_MESSAGE_BYTES: usize = 2_000;

/// What a condition says; the transition time is worked out against what it said before.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    /// True, False, or None for Unknown.
    pub status: Option<bool>,
    /// Why.
    pub reason: Reason,
    /// A sentence for a person.
    pub message: String,
}

impl Verdict {
    /// The condition of type `kind` after `previous` ones, as of `now`.
    pub fn condition(
        &self,
        kind: &str,
        previous: &[Condition],
        generation: Option<i64>,
        now: Timestamp,
        runbooks: Option<&str>,
    ) -> Condition {
        let status = match self.status {
            Some(true) => "True",
            Some(false) => "False",
            None => "Unknown",
        };
        let unchanged = find(previous, kind).filter(|last| last.status == status);
        Condition {
            type_: kind.into(),
            status: status.into(),
            reason: self.reason.as_str().into(),
            message: told(&self.message, self.reason, runbooks),
            observed_generation: generation,
            last_transition_time: unchanged.map_or_else(
                || whole_seconds(now),
                |last| last.last_transition_time.clone(),
            ),
        }
    }
}

/// A message as conditions have it: not too long, and where somebody may have to do something, with a link to what that is. `runbooks` is what
/// the reason's word is appended to.
pub fn told(message: &str, reason: Reason, runbooks: Option<&str>) -> String {
    let message = truncate(message, MAX_MESSAGE_BYTES);
    match runbooks.filter(|_| reason.is_trouble()) {
        Some(runbooks) => format!("{message} ({runbooks}{reason})"),
        None => message,
    }
}

/// The condition of that type, if there is one.
pub fn find<'a>(conditions: &'a [Condition], kind: &str) -> Option<&'a Condition> {
    conditions.iter().find(|condition| condition.type_ == kind)
}

/// Whether the condition of that type is True.
pub fn is_true(conditions: &[Condition], kind: &str) -> bool {
    find(conditions, kind).is_some_and(|condition| condition.status == "True")
}

/// `metav1.Time` has whole seconds: with fractions, what we wrote would differ from what we read back.
pub fn whole_seconds(time: Timestamp) -> Time {
    Time(Timestamp::from_second(time.as_second()).unwrap_or(time))
}

/// The longest prefix of at most `max` bytes that ends between characters, marked if something was cut off.
pub fn truncate(text: &str, max: usize) -> String {
    if text.len() <= max {
        return text.to_owned();
    }
    let mut end = max.saturating_sub('…'.len_utf8());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}…", &text[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(status: bool, message: &str) -> Verdict {
        Verdict {
            status: Some(status),
            reason: Reason::Synced,
            message: message.into(),
        }
    }

    #[test]
    fn the_transition_time_moves_only_with_the_status() {
        let (early, late) = (
            Timestamp::from_second(1_000).unwrap(),
            Timestamp::from_second(2_000).unwrap(),
        );
        let first = verdict(true, "one").condition(READY, &[], Some(1), early, None);
        let second = verdict(true, "two").condition(
            READY,
            std::slice::from_ref(&first),
            Some(2),
            late,
            None,
        );
        assert_eq!(second.last_transition_time, first.last_transition_time);
        let third = verdict(false, "two").condition(READY, &[second], Some(2), late, None);
        assert_eq!(third.last_transition_time, whole_seconds(late));
    }

    #[test]
    fn only_what_somebody_may_have_to_mend_has_a_link() {
        let runbooks = Some("https://example.com/");
        let sealed = told("vault is sealed", Reason::VaultSealed, runbooks);
        assert_eq!(sealed, "vault is sealed (https://example.com/VaultSealed)");
        assert_eq!(told("all is well", Reason::Synced, runbooks), "all is well");
        assert_eq!(told("no", Reason::VaultSealed, None), "no");
    }

    #[test]
    fn a_message_is_cut_between_characters() {
        assert_eq!(truncate("ää", 4), "ää");
        assert_eq!(truncate("äää", 5), "ä…");
    }
}
