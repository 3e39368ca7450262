//! Certificates of a chain: who signed whom, by the names of their keys. Nothing is verified here.

use x509_parser::extensions::ParsedExtension;
use x509_parser::prelude::{FromDer as _, GeneralName, X509Certificate};

/// A certificate, and what its place in a chain is told by.
pub struct Certificate {
    /// As it came.
    pub der: Vec<u8>,
    /// Who it is of.
    pub subject: String,
    own: Option<Vec<u8>>,
    issuer: Option<Vec<u8>>,
}

impl Certificate {
    /// Reads one.
    pub fn parse(der: &[u8]) -> Option<Self> {
        let (rest, read) = X509Certificate::from_der(der).ok()?;
        let (mut own, mut issuer) = (None, None);
        for extension in read.extensions() {
            match extension.parsed_extension() {
                ParsedExtension::SubjectKeyIdentifier(id) => own = Some(id.0.to_vec()),
                ParsedExtension::AuthorityKeyIdentifier(id) => {
                    issuer = id.key_identifier.as_ref().map(|id| id.0.to_vec());
                }
                _ => {}
            }
        }
        rest.is_empty().then(|| Self {
            der: der.to_vec(),
            subject: read.subject().to_string(),
            own,
            issuer,
        })
    }

    /// Whether nobody else signed it.
    pub fn is_root(&self) -> bool {
        self.issuer.is_none() || self.issuer == self.own
    }
}

/// The certificates from the one that signed none of the others to the root. `None` if they are no single chain.
pub fn ordered(certificates: &[Certificate]) -> Option<Vec<&Certificate>> {
    let signer = |of: usize| {
        let others = (0..certificates.len()).filter(|other| *other != of);
        let wanted = certificates[of].issuer.as_ref();
        others
            .into_iter()
            .find(|other| wanted.is_some() && certificates[*other].own.as_ref() == wanted)
    };
    let signers: Vec<Option<usize>> = (0..certificates.len()).map(signer).collect();
    let mut leaves = (0..certificates.len()).filter(|one| !signers.contains(&Some(*one)));
    let leaf = leaves.next()?;
    if leaves.next().is_some() {
        return None;
    }
    let mut chain = vec![&certificates[leaf]];
    let mut next = signers[leaf];
    while let Some(index) = next.filter(|_| chain.len() < certificates.len()) {
        chain.push(&certificates[index]);
        next = signers[index];
    }
    Some(chain)
}

/// The other names of a certificate: hosts, addresses, mail addresses, URIs, in this order.
pub fn names(der: &[u8]) -> Option<Vec<String>> {
    let (_, read) = X509Certificate::from_der(der).ok()?;
    let Some(names) = read.subject_alternative_name().ok()? else {
        return Some(Vec::new());
    };
    let mut found: [Vec<String>; 4] = Default::default();
    for name in &names.value.general_names {
        match name {
            GeneralName::DNSName(name) => found[0].push((*name).to_owned()),
            GeneralName::IPAddress(bytes) => found[1].push(address(bytes)?),
            GeneralName::RFC822Name(name) => found[2].push((*name).to_owned()),
            GeneralName::URI(name) => found[3].push((*name).to_owned()),
            _ => {}
        }
    }
    Some(found.concat())
}

fn address(bytes: &[u8]) -> Option<String> {
    let four = <[u8; 4]>::try_from(bytes).map(std::net::IpAddr::from);
    let sixteen = || <[u8; 16]>::try_from(bytes).map(std::net::IpAddr::from);
    Some(four.or_else(|_| sixteen()).ok()?.to_string())
}
