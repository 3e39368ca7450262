//! The objects people write: `VaultSecret` and `VaultConnection`, group `vaultbridge.dev`, version `v1alpha1`.
//!
//! The schema is written here, in Rust; the files in `crds/` are printed from it. Whatever the API server can refuse
//! by itself, it refuses: each bound and each CEL rule below carries a message that names the fix. Doc comments of
//! fields become `kubectl explain`.

pub mod bounded;
pub mod condition;
pub mod crd;
pub mod destination;
pub mod reason;
pub mod source;
pub mod vault_connection;
pub mod vault_secret;

pub use reason::Reason;
pub use vault_connection::{VaultConnection, VaultConnectionSpec, VaultConnectionStatus};
pub use vault_secret::{VaultSecret, VaultSecretSpec, VaultSecretStatus};

/// The API group, and the prefix of our annotations.
pub const GROUP: &str = "vaultbridge.dev";

/// Our name as field manager and as the value of [`MANAGED_BY`].
pub const MANAGER: &str = "vaultbridge";

/// The label that marks a Secret as written by us.
pub const MANAGED_BY: &str = "app.kubernetes.io/managed-by";

/// The audience of service account tokens where nobody says otherwise: Vault, and not the API server, so that whoever
/// answers at Vault's address cannot use the token against Kubernetes.
pub const DEFAULT_AUDIENCE: &str = "vault";

/// The VaultConnection of objects that name none.
pub const DEFAULT_CONNECTION: &str = "default";
