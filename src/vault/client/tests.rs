//! The client against servers in this process. What Vault itself answers is tested on real ones elsewhere.

mod trust;
mod wire;

use std::collections::BTreeMap;

use super::*;

fn settings(address: String, ca_bundle: Option<String>) -> Settings {
    Settings {
        address,
        namespace: String::new(),
        ca_bundle,
        server_name: None,
        client_identity: None,
        headers: BTreeMap::from([("X-Team".to_owned(), "shop".to_owned())]),
        timeout: Duration::from_secs(10),
        max_concurrent_requests: 4,
    }
}
