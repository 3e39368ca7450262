//! The configuration file of the server.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use super::{Listener, VaultKind};
use crate::certificates::Authority;

/// Writes the configuration into the folder.
pub(super) fn write(
    folder: &Path,
    kind: VaultKind,
    listener: Listener,
    authority: &Authority,
    (port, cluster_port): (u16, u16),
    audit: &Path,
) -> Result<PathBuf> {
    let scheme = listener.scheme();
    let tls = tls(folder, listener, authority)?;
    let own = match kind {
        VaultKind::OpenBao => {
            format!(
                r#"audit "file" "file" {{ options {{ file_path = {} }} }}"#,
                quoted(audit)
            )
        }
        VaultKind::Vault => "disable_mlock = true".to_owned(),
    };
    // The fastest elections: a lone server elects itself, and the default makes it wait for others first.
    let config = format!(
        r#"
storage "raft" {{
  path = {raft}
  node_id = "one"
  performance_multiplier = 1
}}
listener "tcp" {{
  address = "127.0.0.1:{port}"
  {tls}
}}
api_addr = "{scheme}://127.0.0.1:{port}"
cluster_addr = "https://127.0.0.1:{cluster_port}"
log_level = "info"
{own}
"#,
        raft = quoted(&folder.join("raft")),
    );
    let file = folder.join("server.hcl");
    fs::write(&file, config).with_context(|| format!("write {}", file.display()))?;
    Ok(file)
}

/// The listener's settings for TLS.
fn tls(folder: &Path, listener: Listener, authority: &Authority) -> Result<String> {
    if listener == Listener::Plain {
        return Ok("tls_disable = true".to_owned());
    }
    let (certificate, key) = authority
        .server(&["127.0.0.1", "localhost", "vault.test"])?
        .write(folder, "server")?;
    let mut tls = format!(
        "tls_cert_file = {}\n  tls_key_file = {}",
        quoted(&certificate),
        quoted(&key)
    );
    if listener == Listener::MutualTls {
        let ca = folder.join("clients.crt");
        fs::write(&ca, authority.pem())?;
        let clients = format!(
            "\n  tls_require_and_verify_client_cert = true\n  tls_client_ca_file = {}",
            quoted(&ca)
        );
        tls.push_str(&clients);
    }
    Ok(tls)
}

/// A path as a string of the configuration language.
fn quoted(path: &Path) -> String {
    format!("{:?}", path.display().to_string())
}
