//! Certificates and keys, in the forms that programs want them in.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use gotmpl::Value;

use super::super::error::Fault;
use super::chains::{self, Certificate};
use super::pkcs12::{self, Contents, Refusal, Store};
use super::{Args, Function, Group, keys, list, made, pem, row};

/// The group.
pub const GROUP: Group = Group {
    title: "Certificates and keys",
    note: "A key store is bytes, and so is the value of a key of a Secret: `{{ pemToPkcs12Pass .tls.certificate .tls.private_key .app.storepass | b64dec }}` makes a `keystore.p12` as programs read it. What reads one takes the bytes, as `b64dec` yields them, or Base64 itself. Salts of a key store are derived from the password and the content, so that the same sources make the same Secret; otherwise it is of the kind that is recommended today: AES-256, PBKDF2 and HMAC with SHA-256. Nothing here verifies a certificate. In the examples `.tls` is a source with the certificate of `orders.shop` and its authority's, and with its key.",
    functions: FUNCTIONS,
};

const FUNCTIONS: &[Function] = &[
    row(
        ("pemToPkcs12", "CERTIFICATE KEY"),
        "A key store of both, which are PEM, without a password, in Base64. Of several certificates the first.",
        (
            "{{ pemToPkcs12 .tls.certificate .tls.private_key | pkcs12cert | certSANs | first }}",
            "orders.shop",
        ),
        |a| store(a, false, None),
    ),
    row(
        ("pemToPkcs12Pass", "CERTIFICATE KEY PASSWORD"),
        "The same with a password.",
        (
            r#"{{ pemToPkcs12Pass .tls.certificate .tls.private_key "changeit" | pkcs12certPass "changeit" | certSANs | first }}"#,
            "orders.shop",
        ),
        |a| store(a, false, Some(2)),
    ),
    row(
        ("fullPemToPkcs12", "CERTIFICATES KEY"),
        "A key store with the whole chain, the certificate of the key first.",
        (
            r#"{{ fullPemToPkcs12 .tls.certificate .tls.private_key | pkcs12cert | splitList "-----BEGIN" | len }}"#,
            "3",
        ),
        |a| store(a, true, None),
    ),
    row(
        ("fullPemToPkcs12Pass", "CERTIFICATES KEY PASSWORD"),
        "The same with a password.",
        (
            r#"{{ fullPemToPkcs12Pass .tls.certificate .tls.private_key "changeit" | pkcs12certPass "changeit" | filterCertChain "root" | hasPrefix "-----BEGIN" }}"#,
            "true",
        ),
        |a| store(a, true, Some(2)),
    ),
    row(
        ("pemTruststoreToPKCS12", "CERTIFICATES"),
        "A key store of certificates to trust, as Java takes it, without a password, in Base64.",
        (
            r#"{{ pemTruststoreToPKCS12 .tls.certificate | hasPrefix "MII" }}"#,
            "true",
        ),
        |a| trust(a, ""),
    ),
    row(
        ("pemTruststoreToPKCS12Pass", "CERTIFICATES PASSWORD"),
        "The same with a password.",
        (
            r#"{{ pemTruststoreToPKCS12Pass .tls.certificate "changeit" | hasPrefix "MII" }}"#,
            "true",
        ),
        |a| trust(a, a.text(1)?),
    ),
    row(
        ("pkcs12key", "STORE"),
        "The private key of a key store without a password, as PEM.",
        (
            "{{ pemToPkcs12 .tls.certificate .tls.private_key | pkcs12key | eq .tls.private_key }}",
            "true",
        ),
        |a| key(a, ""),
    )
    .of_bytes(),
    row(
        ("pkcs12keyPass", "PASSWORD STORE"),
        "The same with a password.",
        (
            r#"{{ pemToPkcs12Pass .tls.certificate .tls.private_key "changeit" | b64dec | pkcs12keyPass "changeit" | eq .tls.private_key }}"#,
            "true",
        ),
        |a| key(a, a.text(0)?),
    )
    .of_bytes(),
    row(
        ("pkcs12cert", "STORE"),
        "The certificates of a key store without a password, as PEM, the one of the key first.",
        (
            "{{ fullPemToPkcs12 .tls.certificate .tls.private_key | pkcs12cert | eq .tls.certificate }}",
            "true",
        ),
        |a| certificates(a, ""),
    )
    .of_bytes(),
    row(
        ("pkcs12certPass", "PASSWORD STORE"),
        "The same with a password.",
        (
            r#"{{ pemToPkcs12Pass .tls.certificate .tls.private_key "changeit" | pkcs12certPass "changeit" | certSANs | last }}"#,
            "10.0.0.1",
        ),
        |a| certificates(a, a.text(0)?),
    )
    .of_bytes(),
    row(
        ("filterPEM", "LABEL TEXT"),
        "The blocks of TEXT with that label, such as `CERTIFICATE` or `PRIVATE KEY`.",
        (
            r#"{{ filterPEM "A" "-----BEGIN A-----\nYQ==\n-----END A-----\n-----BEGIN B-----\nYg==\n-----END B-----\n" }}"#,
            "-----BEGIN A-----\nYQ==\n-----END A-----\n",
        ),
        filter,
    ),
    row(
        ("filterCertChain", "PLACE CERTIFICATES"),
        "Of a chain, the `leaf`, the `intermediate` ones or the `root`; an empty text if there is none.",
        (
            r#"{{ filterCertChain "leaf" .tls.certificate | certSANs | first }}"#,
            "orders.shop",
        ),
        filter_chain,
    ),
    row(
        ("certSANs", "CERTIFICATE"),
        "The names of a certificate as a list: hosts, addresses, mail addresses, URIs.",
        (
            r#"{{ certSANs .tls.certificate | join ", " }}"#,
            "orders.shop, 10.0.0.1",
        ),
        |a| {
            let found = parsed(a, 0)?;
            let names = found.first().and_then(|one| chains::names(&one.der));
            let names = names.ok_or_else(|| a.refuse("the certificate cannot be read"))?;
            list(names.into_iter().map(Value::from))
        },
    ),
    row(
        ("jwkPublicKeyPem", "JSON"),
        "The public key of a JSON Web Key (RSA, EC or Ed25519), as PEM.",
        (
            r#"{{ jwkPublicKeyPem "{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}" }}"#,
            "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\n-----END PUBLIC KEY-----\n",
        ),
        |a| web_key(a, "PUBLIC KEY", keys::jwk_public),
    ),
    row(
        ("jwkPrivateKeyPem", "JSON"),
        "The private key of a JSON Web Key, as PEM in PKCS#8.",
        (
            r#"{{ jwkPrivateKeyPem "{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"d\":\"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A\",\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}" | hasPrefix "-----BEGIN PRIVATE KEY-----" }}"#,
            "true",
        ),
        |a| web_key(a, "PRIVATE KEY", keys::jwk_private),
    ),
];

/// The certificates of a text, at least one.
fn parsed(a: &mut Args<'_>, index: usize) -> Result<Vec<Certificate>, Fault> {
    let text = a.text(index)?;
    a.work(text.len() * 8)?;
    let blocks = pem::blocks(text);
    let certificates = blocks
        .iter()
        .filter(|block| block.label.ends_with("CERTIFICATE"));
    let found: Option<Vec<_>> = certificates
        .map(|block| Certificate::parse(&block.bytes))
        .collect();
    let found = found.ok_or_else(|| a.refuse("a block is no certificate"))?;
    if found.is_empty() {
        return Err(a.refuse("there is no certificate in PEM in that argument"));
    }
    if found.len() > MOST {
        return Err(a.refuse("there are more than 1000 certificates"));
    }
    Ok(found)
}

/// Of each certificate the one is looked for that signed it.
const MOST: usize = 1000;

/// What deriving so many keys costs, in bytes gone through.
fn charge(a: &mut Args<'_>, rounds: usize) -> Result<(), Fault> {
    a.work(rounds.saturating_mul(32))
}

fn store(a: &mut Args<'_>, whole: bool, password: Option<usize>) -> Result<Value, Fault> {
    let mut chain = parsed(a, 0)?;
    if !whole {
        chain.truncate(1);
    }
    let blocks = pem::blocks(a.text(1)?);
    let block = blocks
        .iter()
        .find(|block| block.label.ends_with("PRIVATE KEY"));
    let key = block.and_then(keys::private).ok_or_else(|| {
        a.refuse("the second argument has no private key in PEM that is read here: PRIVATE KEY, RSA PRIVATE KEY or EC PRIVATE KEY, not encrypted")
    })?;
    let password = password.map_or(Ok(""), |index| a.text(index))?;
    charge(a, 4 * 2048)?;
    let store = Store {
        key: Some(key),
        certificates: &chain,
    };
    made(STANDARD.encode(pkcs12::write(&store, password)))
}

fn trust(a: &mut Args<'_>, password: &str) -> Result<Value, Fault> {
    let certificates = parsed(a, 0)?;
    charge(a, 3 * 2048)?;
    let store = Store {
        key: None,
        certificates: &certificates,
    };
    made(STANDARD.encode(pkcs12::write(&store, password)))
}

/// The longest key store that is read: the usual authorities of the world take less. Each of its parts may want the password anew.
const MAX_STORE: usize = 256 * 1024;

/// The longest password of one.
const MAX_PASSWORD: usize = 1024;

/// The key store that is the last argument.
fn opened(a: &mut Args<'_>, password: &str) -> Result<Contents, Fault> {
    let bytes = a.bytes(a.all().len() - 1)?;
    let digits: Vec<u8> = bytes
        .iter()
        .copied()
        .filter(|byte| !byte.is_ascii_whitespace())
        .collect();
    let decoded = STANDARD.decode(digits);
    let length = decoded.as_ref().map_or(bytes.len(), Vec::len);
    if length > MAX_STORE || password.len() > MAX_PASSWORD {
        return Err(a.refuse("the key store is longer than 256 KiB, or the password than 1 KiB"));
    }
    let contents = pkcs12::read(decoded.as_deref().unwrap_or(&bytes), password);
    let contents = contents.map_err(|refusal| {
        a.refuse(match refusal {
            Refusal::Form => {
                "the argument is no PKCS#12 key store, or one with a cipher that is not read here"
            }
            Refusal::Password => "the password is not that of the key store",
            Refusal::Rounds => {
                "the key store wants more than 200000 rounds, or more than 500000 for all its parts"
            }
        })
    })?;
    charge(a, contents.rounds)?;
    Ok(contents)
}

fn key(a: &mut Args<'_>, password: &str) -> Result<Value, Fault> {
    let contents = opened(a, password)?;
    let key = contents.keys.first();
    let (key, _) = key.ok_or_else(|| a.refuse("there is no private key in the key store"))?;
    made(pem::block("PRIVATE KEY", key))
}

fn certificates(a: &mut Args<'_>, password: &str) -> Result<Value, Fault> {
    let mut contents = opened(a, password)?;
    let mark = contents.keys.first().and_then(|(_, mark)| mark.clone());
    if mark.is_some() {
        contents.certificates.sort_by_key(|(_, own)| *own != mark);
    }
    let found = contents.certificates.iter();
    let found: Option<Vec<_>> = found.map(|(der, _)| Certificate::parse(der)).collect();
    let found = found.filter(|found| found.len() <= MOST);
    let found = found.ok_or_else(|| a.refuse("a certificate of the key store cannot be read"))?;
    if found.is_empty() {
        return Err(a.refuse("there is no certificate in the key store"));
    }
    let ordered = chains::ordered(&found).unwrap_or_else(|| found.iter().collect());
    made(text(ordered))
}

fn text<'c>(certificates: impl IntoIterator<Item = &'c Certificate>) -> String {
    let blocks = certificates
        .into_iter()
        .map(|one| pem::block("CERTIFICATE", &one.der));
    blocks.collect()
}

fn filter(a: &mut Args<'_>) -> Result<Value, Fault> {
    let label = a.text(0)?;
    let blocks = pem::blocks(a.text(1)?);
    if blocks.is_empty() && !a.text(1)?.trim().is_empty() {
        return Err(a.refuse("there is no PEM in the second argument"));
    }
    let wanted = blocks
        .iter()
        .filter(|block| block.label.eq_ignore_ascii_case(label));
    made(
        wanted
            .map(|block| pem::block(&block.label, &block.bytes))
            .collect::<String>(),
    )
}

fn filter_chain(a: &mut Args<'_>) -> Result<Value, Fault> {
    let place = a.text(0)?;
    let found = parsed(a, 1)?;
    let chain =
        chains::ordered(&found).ok_or_else(|| a.refuse("the certificates are no single chain"))?;
    let (leaf, signers) = (chain.first(), chain.get(1..).unwrap_or_default());
    let chosen: Vec<&Certificate> = match place {
        "leaf" => leaf
            .filter(|one| !one.is_root())
            .into_iter()
            .copied()
            .collect(),
        "intermediate" => signers
            .iter()
            .take_while(|one| !one.is_root())
            .copied()
            .collect(),
        "root" => chain
            .last()
            .filter(|one| one.is_root())
            .into_iter()
            .copied()
            .collect(),
        _ => return Err(a.refuse("the place is leaf, intermediate or root")),
    };
    made(text(chosen))
}

fn web_key(
    a: &mut Args<'_>,
    label: &str,
    make: fn(&str) -> Option<Vec<u8>>,
) -> Result<Value, Fault> {
    let key = make(a.text(0)?).ok_or_else(|| {
        a.refuse("the argument is no JSON Web Key that has all parts of such a key: RSA, EC with P-256, P-384 or P-521, or Ed25519")
    })?;
    made(pem::block(label, &key))
}
