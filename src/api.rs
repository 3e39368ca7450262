//! The objects people write: `VaultSecret` and `VaultConnection`, group `vaultbridge.dev`, version `v1alpha1`.
//!
//! The schema is written here, in Rust; the files in `crds/` are printed from it. Whatever the API server can refuse
//! by itself, it refuses: each bound and each CEL rule below carries a message that names the fix. Doc comments of
//! fields become `kubectl explain`.

pub mod bounded;
pub mod condition;
pub mod copy;
pub mod crd;
pub mod destination;
pub mod lease;
pub mod reason;
pub mod rollout;
pub mod source;
pub mod status;
pub mod template_from;
pub mod vault_connection;
pub mod vault_secret;

pub use reason::Reason;
pub use status::VaultSecretStatus;
pub use vault_connection::{VaultConnection, VaultConnectionSpec, VaultConnectionStatus};
pub use vault_secret::{VaultSecret, VaultSecretSpec};

/// The API group, and the prefix of our annotations.
pub const GROUP: &str = "vaultbridge.dev";

/// Our name as field manager and as the value of [`MANAGED_BY`].
pub const MANAGER: &str = "vaultbridge";

/// What the field managers of parts begin with: of a Secret that others share, each object owns its keys under a name of its own.
pub const PART_MANAGER: &str = "vaultbridge/";

/// The label that marks a Secret as written by us.
pub const MANAGED_BY: &str = "app.kubernetes.io/managed-by";

/// The annotation of a Secret that holds, sealed, the values that cannot be read from Vault again. It is written together with the record of the
/// state, and apart from it so that nobody keeps it in memory who only wants to read the record.
pub const SEALED_ANNOTATION: &str = "vaultbridge.dev/sealed";

/// The annotation by which a Secret is moved on, so that nothing can be written any more that expects it as it was.
pub const TOUCHED_ANNOTATION: &str = "vaultbridge.dev/touched";

/// The finalizer of objects that have Vault sessions which are to be revoked before the object goes.
pub const FINALIZER: &str = "vaultbridge.dev/sessions";

/// The finalizer of objects whose keys are to be taken out of a Secret that others share before the object goes.
pub const KEYS_FINALIZER: &str = "vaultbridge.dev/keys";

/// The label of Secrets in the operator's namespace that hold sessions of deleted objects.
pub const ORPHANS_LABEL: &str = "vaultbridge.dev/orphans";

/// The label of ConfigMaps whose texts may be used as templates, with its value.
pub const TEMPLATE_LABEL: &str = "vaultbridge.dev/templates=true";

/// The annotation by which a person asks for everything anew: each distinct value is one demand.
pub const FORCE_SYNC: &str = "vaultbridge.dev/force-sync";

/// The audience of service account tokens where nobody says otherwise: Vault, and not the API server, so that whoever
/// answers at Vault's address cannot use the token against Kubernetes.
pub const DEFAULT_AUDIENCE: &str = "vault";

/// The VaultConnection of objects that name none.
pub const DEFAULT_CONNECTION: &str = "default";
