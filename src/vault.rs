//! Everything that speaks HTTP to Vault or `OpenBao`, which answer the same API.
//!
//! This layer knows nothing of Kubernetes. From the bottom up: [`settings`] checks what a person wrote and
//! [`client`] sends requests with it; [`login`], [`engine`], [`kv`], [`folder`] and [`issued`] know the requests themselves; [`sessions`] keeps
//! one Vault token per identity and [`reads`] one reading per path, so that a thousand objects cost one request.
//!
//! The requests are vaultrs' types where it has them, but they are sent and answered here: vaultrs logs bodies
//! in its errors, follows redirects with the token, panics on a newline in a header and has no limit on size.

pub mod client;
mod clock;
mod endpoint;
pub mod engine;
pub mod error;
mod flight;
pub mod folder;
pub mod issued;
pub mod kv;
pub mod login;
pub mod reads;
pub mod sessions;
pub mod settings;
mod tls;
mod transport;

pub use client::{Client, Health, Observer};
pub use engine::{KvVersion, Mount, MountError, Mounts};
pub use error::Error;
pub use folder::{Detailed, Lacking, Listed, list, list_detailed};
pub use issued::{
    Ask, AskMethod, AskResult, Issued, Lease, LeaseGrant, LeaseRefusal, issue, renew_lease,
};
pub use kv::{KvReply, KvSecret, read_kv};
pub use login::{LoginProblem, Method, Token, lookup_self, renew_self, revoke_self};
pub use reads::listings::{Entries, FolderKey, Listing, Listings, Plain};
pub use reads::{KvOutcome, ReadKey, Reading, Reads, Told, Want};
pub use sessions::{Identity, Revocations, SessionError, Sessions, Verdict, log_in};
pub use settings::{Settings, SettingsError, is_plain};
