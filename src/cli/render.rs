//! `vaultbridge render`

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;

use crate::preview::{self, Format, Options, Outcome, Server, Shown};
use crate::sensitive::SecretText;

/// Print the Secrets that VaultSecrets of files would become, without a cluster.
///
/// The files are what you would apply: VaultSecrets, and the ConfigMaps that their templateFrom names. Values come from a JSON file with a member for
/// each source, from a Vault that you may read yourself, or from both. The checks are those of the API server (the schema of the CRDs with its rules)
/// and those of the operator; who owns the Secret and whether the connection admits the namespace, only a cluster can tell.
///
/// Exit codes: 0 every object becomes a Secret; 1 an object does not, with the reason and message that its condition would have;
/// 2 it could not be found out, because of a file, the values or Vault.
#[derive(Args)]
pub struct Render {
    /// A YAML file with objects, or - for standard input. Can be given several times.
    #[arg(short, long = "file", value_name = "FILE", required = true)]
    files: Vec<PathBuf>,

    /// Only the VaultSecret of this name.
    #[arg(value_name = "NAME")]
    only: Option<String>,

    /// A JSON file with values by the names of sources, such as {"app": {"password": "…"}}, or - for standard input. null is a source that is absent.
    /// Of a folder, the entries stand under their names: {"all": {"db/main": {"password": "…"}}}.
    #[arg(long, value_name = "FILE")]
    values: Option<PathBuf>,

    /// Print the values. Without this only their lengths are shown, and the result cannot be applied.
    #[arg(long)]
    show_values: bool,

    /// In which form to print.
    #[arg(short, long, value_name = "FORMAT", value_enum, default_value = "yaml")]
    output: Format,

    /// Read the KV entries and folders that --values does not give from Vault, with your own token. Nothing is ever issued for a preview.
    #[arg(long)]
    from_vault: bool,

    /// The address of Vault.
    #[arg(long, env = "VAULT_ADDR", value_name = "URL")]
    vault_address: Option<String>,

    /// Your token; better as `VAULT_TOKEN`, because arguments can be seen by everybody on the machine.
    #[arg(
        long,
        env = "VAULT_TOKEN",
        value_name = "TOKEN",
        hide_env_values = true
    )]
    vault_token: Option<String>,

    /// The Vault namespace of objects that name none.
    #[arg(
        long,
        env = "VAULT_NAMESPACE",
        value_name = "NAMESPACE",
        default_value = ""
    )]
    vault_namespace: String,

    /// PEM certificates of the authorities that Vault's certificate may be from, instead of the machine's.
    #[arg(long, env = "VAULT_CACERT", value_name = "FILE")]
    ca_file: Option<PathBuf>,

    /// The name to expect in Vault's certificate, instead of that of the address.
    #[arg(long, env = "VAULT_TLS_SERVER_NAME", value_name = "NAME")]
    tls_server_name: Option<String>,

    /// Let the address be plain http. For a server on this machine only: it shows your token to the network.
    #[arg(long)]
    allow_plain_http: bool,
}

impl Render {
    /// Prints the Secrets, and on standard error why there is none.
    pub fn execute(self) -> anyhow::Result<ExitCode> {
        let outcomes = match self.outcomes() {
            Ok(outcomes) => outcomes,
            Err(error) => {
                super::complain(&error);
                return Ok(ExitCode::from(2));
            }
        };
        let shown = if self.show_values {
            Shown::Values
        } else {
            Shown::Lengths
        };
        let mut code = ExitCode::SUCCESS;
        for Outcome { object, result } in outcomes {
            match result {
                Ok(secret) => {
                    let text = preview::print(&secret, shown, self.output)?;
                    std::io::stdout()
                        .write_all(text.as_bytes())
                        .context("print")?;
                }
                Err(all) => {
                    for refused in all {
                        let (reason, message) = (refused.reason.as_str(), refused.message);
                        super::complain(&anyhow::anyhow!("{object}: {reason}: {message}"));
                    }
                    code = ExitCode::FAILURE;
                }
            }
        }
        Ok(code)
    }

    fn outcomes(&self) -> anyhow::Result<Vec<Outcome>> {
        let options = Options {
            files: self.files.clone(),
            only: self.only.clone(),
            values: self.values.clone(),
            server: self.server()?,
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .context("start the runtime")?;
        runtime.block_on(preview::render(&options))
    }

    fn server(&self) -> anyhow::Result<Option<Server>> {
        if !self.from_vault {
            return Ok(None);
        }
        let set = |value: &Option<String>| value.clone().filter(|text| !text.trim().is_empty());
        let address = set(&self.vault_address).context(
            "--from-vault needs the address of Vault: set VAULT_ADDR, such as https://vault.example.com:8200",
        )?;
        let token = set(&self.vault_token).context(
            "--from-vault needs your own token: set VAULT_TOKEN, such as VAULT_TOKEN=\"$(vault print token)\"",
        )?;
        let ca = self.ca_file.as_ref().map(|path| {
            std::fs::read_to_string(path).with_context(|| {
                format!(
                    "read {}, which --ca-file or VAULT_CACERT names",
                    path.display()
                )
            })
        });
        Server::new(
            &address,
            &self.vault_namespace,
            (ca.transpose()?, set(&self.tls_server_name)),
            SecretText::new(token.trim().to_owned()),
            self.allow_plain_http,
        )
        .map(Some)
    }
}
