//! The requests of which a step consists, one after the other, and what follows from how each ended.

use super::Step;

/// Where a pass is on its way from a [`Step`] to its end: one request each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Stage {
    /// Put our finalizer on the object, unless it is there.
    Protect,
    /// Log in for a token of the session's own.
    LogIn,
    /// Write the entry.
    WriteAhead,
    /// Ask Vault for the credentials.
    Issue,
    /// Write the Secret with them, if it still is what the entry expects.
    Commit,
    /// Revoke the session that this pass made itself, and of which no entry tells.
    Discard,
    /// Revoke the session that this pass made itself and will not commit.
    GiveBack,
    /// Revoke a session that was written down.
    Revoke,
    /// Remove its entry.
    Forget,
    /// Write all entries down in the operator's namespace.
    HandOver,
    /// Take our finalizer off the object.
    Release,
    /// Note in the entry that the Secret holds its session.
    Report,
    /// Note in the entry when its session is to be let go.
    Retire,
    /// Write the Secret without a session.
    WritePlain,
    /// Touch the Secret.
    Fence,
}

impl<N> Step<N> {
    /// The request that begins it; none if there is nothing to do.
    pub fn first(&self) -> Option<Stage> {
        match self {
            Self::Rest(_) | Self::Full(_) => None,
            Self::Issue(_) => Some(Stage::Protect),
            Self::LetGo(_) => Some(Stage::Revoke),
            Self::Report(_) => Some(Stage::Report),
            Self::Retire(_, _) => Some(Stage::Retire),
            Self::WritePlain => Some(Stage::WritePlain),
            Self::Fence => Some(Stage::Fence),
            Self::HandOver => Some(Stage::HandOver),
            Self::Release => Some(Stage::Release),
        }
    }
}

/// What came of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reply {
    /// It was done.
    Done,
    /// It surely was not done: a precondition failed, or the server said no.
    Refused,
    /// Nobody knows.
    Lost,
}

/// What follows a request of a pass; none: the pass ends, and the next one looks at the world again.
///
/// Nothing is ever tried again here. A commit that conflicted costs a new credential; trying it again may bring one into the
/// Secret that a successor has revoked meanwhile. A commit whose reply was lost may have happened: only a look tells.
pub fn follow(stage: Stage, reply: Reply) -> Option<Stage> {
    match (stage, reply) {
        (Stage::Protect, Reply::Done) => Some(Stage::LogIn),
        (Stage::LogIn, Reply::Done) => Some(Stage::WriteAhead),
        (Stage::WriteAhead, Reply::Done) => Some(Stage::Issue),
        (Stage::Issue, Reply::Done) => Some(Stage::Commit),
        // This pass alone could commit its session, and it will not. Should the entry have been written after all, the next
        // pass finds it.
        (Stage::WriteAhead, Reply::Refused | Reply::Lost) => Some(Stage::Discard),
        (Stage::Issue | Stage::Commit, Reply::Refused) => Some(Stage::GiveBack),
        (Stage::GiveBack | Stage::Revoke, Reply::Done) => Some(Stage::Forget),
        (Stage::HandOver, Reply::Done) => Some(Stage::Release),
        (
            Stage::Protect | Stage::LogIn | Stage::GiveBack | Stage::Revoke | Stage::HandOver,
            Reply::Refused | Reply::Lost,
        )
        | (
            Stage::Discard
            | Stage::Forget
            | Stage::Release
            | Stage::Report
            | Stage::Retire
            | Stage::WritePlain
            | Stage::Fence,
            _,
        )
        // Vault may be at work on it still, and what it issues after the session was revoked would hang on nothing.
        | (Stage::Issue, Reply::Lost)
        | (Stage::Commit, Reply::Done | Reply::Lost) => None,
    }
}
