//! Part of step 2: what a PKI engine is asked for a certificate, and where.

use std::collections::BTreeMap;

use super::paths;
use crate::api::source::{
    KeyAlgorithm, NO_KEY_FORMAT, ONE_KEY, PKI_FIELDS_FIX, PkiSource, PrivateKey, SIZE_WITH_ECDSA,
};
use crate::csr::{self, Algorithm, Names, Wanted};
use crate::schedule::parse_duration;

/// A request for a certificate, checked.
pub struct PkiRequest {
    /// Where it is sent.
    pub path: String,
    /// Its parameters, without the request that is made for `key`.
    pub parameters: BTreeMap<String, String>,
    /// The private key that is made for it, if Vault is to make none.
    pub key: Option<Wanted>,
    /// All of this in one text, which is another one for another request.
    pub identity: String,
}

/// The parameter that holds a certificate request.
pub const CSR: &str = "csr";

/// Parameters of the request that have fields of their own.
const TAKEN: [&str; 8] = [
    "common_name",
    "alt_names",
    "ip_sans",
    "uri_sans",
    "ttl",
    "not_after",
    CSR,
    "format",
];

/// What a source asks for. The problem begins with the name of the field below `pki`.
pub fn request(pki: &PkiSource) -> Result<PkiRequest, String> {
    let PkiSource {
        mount,
        role,
        issuer_ref,
        common_name,
        dns_names,
        ip_addresses,
        uris,
        ttl,
        renew_before,
        csr,
        private_key,
        parameters,
    } = pki;
    let csr = csr.trim();
    let signs = !csr.is_empty() || private_key.is_some();
    let path = paths::pki(mount, role, issuer_ref, signs)?;
    let ttl = duration("ttl", ttl)?;
    duration("renewBefore", renew_before)?;
    if let Some(taken) = TAKEN.iter().find(|name| parameters.contains_key(**name)) {
        return Err(format!("parameters names {taken}: {PKI_FIELDS_FIX}"));
    }
    check(csr, private_key.is_some())?;
    if signs && parameters.contains_key("private_key_format") {
        return Err(format!("parameters: {NO_KEY_FORMAT}"));
    }
    let names = Names {
        common_name,
        dns_names,
        ip_addresses,
        uris,
    };
    let key = private_key.as_ref().map(|key| wanted(key, &names));
    let fields = [
        ("common_name", common_name.clone()),
        ("alt_names", dns_names.join(",")),
        ("ip_sans", ip_addresses.join(",")),
        ("uri_sans", uris.join(",")),
        ("ttl", ttl),
        (CSR, csr.to_owned()),
    ];
    let said = fields.into_iter().filter(|(_, value)| !value.is_empty());
    let mut parameters: BTreeMap<String, String> = parameters
        .iter()
        .map(|(name, value)| (name.clone(), value.0.clone()))
        .collect();
    parameters.extend(said.map(|(name, value)| (name.to_owned(), value)));
    let key = key.transpose()?;
    Ok(PkiRequest {
        identity: identity(&path, &parameters, key.as_ref()),
        path,
        parameters,
        key,
    })
}

fn check(csr: &str, makes_key: bool) -> Result<(), String> {
    match (csr.is_empty(), makes_key) {
        (true, _) => Ok(()),
        (false, true) => Err(format!("csr: {ONE_KEY}")),
        (false, false) => csr::check(csr).map_err(|problem| format!("csr {problem}")),
    }
}

/// Where Vault makes the key this is what it has always been: another text would have every certificate issued anew.
fn identity(path: &str, parameters: &BTreeMap<String, String>, key: Option<&Wanted>) -> String {
    match key {
        None => format!("{:?}", ("pki", path, parameters)),
        Some(key) => format!("{:?}", ("pki", path, parameters, key.algorithm())),
    }
}

fn wanted(key: &PrivateKey, names: &Names<'_>) -> Result<Wanted, String> {
    let algorithm = match (key.algorithm, key.size) {
        (KeyAlgorithm::Ecdsa, None | Some(256)) => Algorithm::EcdsaP256,
        (KeyAlgorithm::Ecdsa, Some(384)) => Algorithm::EcdsaP384,
        (KeyAlgorithm::Ecdsa, Some(_)) => {
            return Err("privateKey.size must be 256 or 384".to_owned());
        }
        (KeyAlgorithm::Ed25519, None) => Algorithm::Ed25519,
        (KeyAlgorithm::Ed25519, Some(_)) => return Err(format!("privateKey: {SIZE_WITH_ECDSA}")),
    };
    Wanted::new(algorithm, names)
}

/// The duration as Vault takes it; empty if there is none.
fn duration(field: &str, text: &str) -> Result<String, String> {
    if text.is_empty() {
        return Ok(String::new());
    }
    let duration = parse_duration(text).map_err(|error| format!("{field}: {error}"))?;
    Ok(format!("{}s", duration.as_secs()))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn asked(more: &Value) -> Result<PkiRequest, String> {
        let mut pki = json!({ "mount": "pki", "role": "shop", "commonName": "orders.shop.svc" });
        for (name, value) in more.as_object().unwrap() {
            pki[name] = value.clone();
        }
        request(&serde_json::from_value(pki).unwrap())
    }

    fn csr() -> String {
        let names = Names {
            common_name: "a",
            dns_names: &[],
            ip_addresses: &[],
            uris: &[],
        };
        let wanted = Wanted::new(Algorithm::Ed25519, &names).unwrap();
        wanted.make().unwrap().request
    }

    #[test]
    fn an_object_from_before_there_were_other_keys_asks_for_the_same_as_ever() {
        let request = asked(&json!({ "ttl": "1h" })).ok().unwrap();
        assert_eq!(request.path, "pki/issue/shop");
        assert_eq!(
            request.identity,
            r#"("pki", "pki/issue/shop", {"common_name": "orders.shop.svc", "ttl": "3600s"})"#
        );
        let source = json!({ "mount": "pki", "role": "shop" });
        let source: PkiSource = serde_json::from_value(source).unwrap();
        let printed = serde_json::to_string(&source).unwrap();
        assert!(!printed.contains("csr"), "{printed}");
        assert!(!printed.contains("privateKey"), "{printed}");
    }

    #[test]
    fn a_request_that_a_person_brought_is_sent_as_it_is_and_another_one_is_another_request() {
        let one = csr();
        let request = asked(&json!({ "csr": format!("{one}\n\n"), "issuerRef": "root" }));
        let request = request.ok().unwrap();
        assert_eq!(request.path, "pki/issuer/root/sign/shop");
        assert_eq!(request.parameters[CSR], one.trim());
        assert!(request.key.is_none());
        let other = asked(&json!({ "csr": csr(), "issuerRef": "root" }));
        assert_ne!(other.ok().unwrap().identity, request.identity);
    }

    #[test]
    fn a_key_that_is_made_here_is_signed_for_and_each_kind_is_another_request() {
        let kinds = [
            (json!({}), Algorithm::EcdsaP256),
            (
                json!({ "algorithm": "ECDSA", "size": 384 }),
                Algorithm::EcdsaP384,
            ),
            (json!({ "algorithm": "Ed25519" }), Algorithm::Ed25519),
        ];
        let mut identities = std::collections::BTreeSet::new();
        for (key, algorithm) in kinds {
            let request = asked(&json!({ "privateKey": key })).ok().unwrap();
            assert_eq!(request.path, "pki/sign/shop");
            assert!(!request.parameters.contains_key(CSR));
            assert_eq!(request.key.unwrap().algorithm(), algorithm);
            assert!(identities.insert(request.identity));
        }
    }

    #[test]
    fn what_does_not_go_together_is_told_by_its_field() {
        let format = json!({ "private_key_format": "pkcs8" });
        for (more, words) in [
            (
                json!({ "csr": csr(), "privateKey": {} }),
                "csr: set at most one of csr and privateKey",
            ),
            (
                json!({ "parameters": { "csr": "x" } }),
                "parameters names csr: use the fields",
            ),
            (
                json!({ "csr": csr(), "parameters": format }),
                "parameters: leave private_key_format out",
            ),
            (
                json!({ "privateKey": {}, "parameters": format }),
                "parameters: leave private_key_format out",
            ),
            (
                json!({ "privateKey": { "algorithm": "Ed25519", "size": 256 } }),
                "privateKey: size goes with ECDSA",
            ),
            (
                json!({ "privateKey": { "size": 521 } }),
                "privateKey.size must be 256 or 384",
            ),
            (
                json!({ "privateKey": {}, "ipAddresses": ["a"] }),
                "ipAddresses: \"a\" is no IP address",
            ),
        ] {
            let problem = asked(&more).err().unwrap();
            assert!(problem.starts_with(words), "{problem}");
        }
        assert!(asked(&json!({ "parameters": format })).is_ok());
    }
}
