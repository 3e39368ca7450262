//! The ground under Vaultbridge's tests: a real control plane, a real Vault or OpenBao, a real PostgreSQL, and the built binary.
//!
//! A test says what people do and what must come of it. It runs in a room of its own ([`Tenant`]): a namespace, and in
//! Vault a KV v2 mount, a policy and a role, all of one name, which is `$tenant` in the YAML it writes. The servers under
//! the room are shared by all tests of the process and started by the first.
//!
//! ```no_run
//! use serde_json::json;
//! use vaultbridge_e2e::run;
//!
//! #[test]
//! fn a_value_that_changes_in_vault_changes_in_the_secret() -> anyhow::Result<()> {
//!     run(async |t| {
//!         t.put("app", json!({ "password": "the first one" })).await?;
//!         t.apply(
//!             "kind: VaultSecret
//!              metadata: { name: app }
//!              spec:
//!                auth: { role: $tenant }
//!                sources: [{ name: app, kv: { path: $tenant/app } }]
//!                refresh: { interval: 1s }",
//!         )
//!         .await?;
//!         t.secret_with("app", "password", "the first one").await?;
//!         let mark = t.mark().await?;
//!         t.put("app", json!({ "password": "the second one" })).await?;
//!         t.secret_with("app", "password", "the second one").await?;
//!         let writes = t.kube_requests(&mark).await?.writes().resource("secrets");
//!         assert_eq!(writes.len(), 1, "{writes}");
//!         Ok(())
//!     })
//! }
//! ```
//!
//! - **Doing**: [`Tenant::apply`], [`patch`](Tenant::patch), [`delete`](Tenant::delete), [`put`](Tenant::put),
//!   [`policy`](Tenant::policy), [`role`](Tenant::role); anything else of Vault by [`Tenant::vault`].
//! - **Waiting**, on watches with a deadline: [`Tenant::ready`], [`complains`](Tenant::complains),
//!   [`reports`](Tenant::reports), [`secret_with`](Tenant::secret_with), [`wait`](Tenant::wait). A test never sleeps.
//! - **Refusals** by the API server: [`Tenant::expect_refusal`].
//! - **Oracles**: [`Tenant::mark`], then [`Tenant::kube_requests`] and [`Tenant::vault_requests`] since, both from the
//!   servers' own audit logs; [`Tenant::polls`] lets some polls go by. [`Ground::ensure_no_leak`] looks for every value
//!   ever [`put`](Tenant::put).
//! - **Leases**: [`Tenant::database`] lets Vault issue users of a PostgreSQL, which is started when first asked for
//!   ([`Ground::postgres`]). [`Tenant::logs_in`], [`database_users`](Tenant::database_users) and [`leases`](Tenant::leases)
//!   tell what became of them, [`tokens_are`](Tenant::tokens_are) how long the tokens live that they hang on.
//! - **Pods**: [`Ground::nodes`] is a node that is only pretended, where pods that name it become ready at once.
//! - **Many at once**: [`part`] gives a part of a test a room of its own on the same ground, so that parts that mostly wait do it together.
//! - **Harm**: [`Tenant::order`] has the operator itself fail at a request of its protocol. [`Tenant::with_own_vault`] is a Vault to seal, kill or speak TLS to. [`run_alone`] is a whole ground for a
//!   test that stops the operator or the API server: see [`operator::Operator`] and [`control_plane::ControlPlane`].
//!
//! When a test fails, by an error or a panic, it prints its objects, events, the metadata of its Secrets, the log lines
//! that speak of it and what was asked of Vault, and the folder with all logs is kept. However the process ends, its
//! servers end with it.
//!
//! The servers are built from pins, once: see [`components`]. `SERVER=vault` chooses HashiCorp Vault instead of OpenBao,
//! `VAULTBRIDGE_BIN` another binary under test.

pub mod account;
pub mod audit;
pub mod canaries;
pub mod certificates;
pub mod components;
pub mod control_plane;
pub mod demo;
pub mod dice;
pub mod fuzz;
pub mod ground;
pub mod helm;
pub mod image;
pub mod node;
pub mod nodes;
pub mod objects;
pub mod operator;
pub mod ports;
pub mod postgres;
pub mod process;
pub mod program;
pub mod prometheus;
pub mod proxy;
mod run;
pub mod soak;
pub mod stopwatch;
pub mod tenant;
pub mod vault_server;
pub mod wait;

pub use ground::{Ground, GroundOptions, Mark};
pub use run::{block_on, part, run, run_alone};
pub use tenant::{READ, SecretView, Tenant, says, source};
