//! Proves that each type takes what its users take, and tells what they would not, without a word of it.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;
use rcgen::{
    CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_ED25519,
    SignatureAlgorithm,
};
use x509_parser::prelude::FromDer;
use x509_parser::x509::SubjectPublicKeyInfo;

use super::keys::Public;
use super::*;
use crate::api::Reason;
use crate::render::{Copy, Decode, Entry, Template};
use crate::sensitive::SecretBytes;

fn data(values: &[(&str, &str)]) -> SecretData {
    let value = |(key, value): &(&str, &str)| ((*key).to_owned(), SecretBytes::from(*value));
    values.iter().map(value).collect()
}

/// What is wrong with the values; empty if they suit.
fn told(secret_type: SecretType, values: &[(&str, &str)]) -> String {
    let told = check(secret_type, &data(values), &Mapping::default());
    told.err()
        .map_or_else(String::new, |failure| failure.message)
}

fn suits(secret_type: SecretType, values: &[(&str, &str)]) {
    assert_eq!(told(secret_type, values), "");
}

fn pair(kind: &'static SignatureAlgorithm) -> (String, String) {
    #[expect(clippy::disallowed_methods, reason = "a test makes its own keys")]
    let key = KeyPair::generate_for(kind).unwrap();
    let names = CertificateParams::new(vec!["orders.shop".to_owned()]).unwrap();
    (names.self_signed(&key).unwrap().pem(), key.serialize_pem())
}

fn usual() -> (String, String) {
    pair(&PKCS_ECDSA_P256_SHA256)
}

fn tls(certificate: &str, key: &str) -> String {
    told(
        SecretType::Tls,
        &[("tls.crt", certificate), ("tls.key", key)],
    )
}

fn armour(label: &str, der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let lines: Vec<&str> = text
        .as_bytes()
        .chunks(64)
        .map(|line| std::str::from_utf8(line).unwrap())
        .collect();
    let lines = lines.join("\n");
    format!("-----BEGIN {label}-----\n{lines}\n-----END {label}-----\n")
}

/// An element of DER.
fn der(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let content = parts.concat();
    let length = u16::try_from(content.len()).unwrap().to_be_bytes();
    [&[tag, 0x82][..], &length, &content].concat()
}

fn number(byte: u8) -> Vec<u8> {
    der(2, &[&[0, byte, 1]])
}

const RSA: &[u8] = &[6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1];

/// A private key of RSA in PKCS#1, of toy numbers, and the public key of a certificate.
fn rsa(modulus: u8) -> (Vec<u8>, Vec<u8>) {
    let rest: Vec<Vec<u8>> = (20..26).map(number).collect();
    let rest = rest.concat();
    let version: &[u8] = &[2, 1, 0];
    let private = der(0x30, &[version, &number(modulus), &number(3), &rest]);
    let public = der(0x30, &[&number(modulus), &number(3)]);
    let bits = der(3, &[&[0], &public]);
    let algorithm = der(0x30, &[RSA, &[5, 0]]);
    (private, der(0x30, &[&algorithm, &bits]))
}

fn fits(private: &[u8], public: &[u8]) -> bool {
    let private = keys::public(private).unwrap();
    let (_, public) = SubjectPublicKeyInfo::from_der(public).unwrap();
    keys::fits(&private, &public)
}

#[test]
fn a_certificate_and_its_key_suit_whatever_their_kind_and_form() {
    for kind in [
        &PKCS_ECDSA_P256_SHA256,
        &PKCS_ECDSA_P384_SHA384,
        &PKCS_ED25519,
    ] {
        let (certificate, key) = pair(kind);
        assert_eq!(tls(&certificate, &key), "", "{kind:?}");
        let (authority, _) = usual();
        let whole = [
            ("tls.crt", format!("{certificate}{authority}")),
            ("tls.key", key.replace('\n', "\r\n")),
            ("ca.crt", format!("# the authority\n{authority}")),
        ];
        let whole: Vec<_> = whole
            .iter()
            .map(|(key, text)| (*key, text.as_str()))
            .collect();
        suits(SecretType::Tls, &whole);
    }
}

#[test]
fn a_key_of_sec1_suits_also_behind_the_parameters_that_openssl_writes() {
    let (certificate, key) = usual();
    let blocks = pem::blocks(key.as_bytes()).ok().unwrap();
    let (_, whole, _) = keys::element(&blocks[0].der).unwrap();
    let (_, _, rest) = keys::element(whole).unwrap();
    let (_, _, rest) = keys::element(rest).unwrap();
    let (_, sec1, _) = keys::element(rest).unwrap();
    let key = armour("EC PRIVATE KEY", sec1);
    assert_eq!(tls(&certificate, &key), "");
    let parameters = armour("EC PARAMETERS", &[6, 1, 0]);
    assert_eq!(tls(&certificate, &format!("{parameters}{key}")), "");
    let (other, _) = usual();
    assert!(tls(&other, &key).contains("does not fit"));
}

#[test]
fn a_key_of_rsa_is_compared_by_its_numbers_whatever_its_length_and_form() {
    let (private, public) = rsa(77);
    assert!(fits(&private, &public));
    let algorithm = der(0x30, &[RSA, &[5, 0]]);
    let pkcs8 = der(0x30, &[&[2, 1, 0], &algorithm, &der(4, &[&private])]);
    assert!(fits(&pkcs8, &public));
    let (_, other) = rsa(78);
    assert!(!fits(&private, &other) && !fits(&pkcs8, &other));
    let (certificate, _) = usual();
    let told = tls(&certificate, &armour("RSA PRIVATE KEY", &private));
    assert!(told.contains("does not fit"), "{told}");
}

#[test]
fn a_key_of_a_curve_that_is_not_known_is_compared_by_what_it_tells_and_taken_if_it_tells_nothing() {
    let point = [4, 7, 7, 7, 9, 9, 9];
    let curve: &[u8] = &[6, 3, 0x2b, 0x81, 0x04];
    let bits = |point: &[u8]| der(3, &[&[0], point]);
    let certificate = |point: &[u8]| der(0x30, &[&der(0x30, &[curve]), &bits(point)]);
    let private = |more: &[u8]| der(0x30, &[&[2, 1, 1], &der(4, &[&[5, 5]]), more]);
    let telling = private(&der(0xa1, &[&bits(&point)]));
    assert!(fits(&telling, &certificate(&point)));
    assert!(fits(&telling, &certificate(&[2, 7, 7, 7])), "compressed");
    assert!(!fits(&telling, &certificate(&[4, 7, 7, 8, 9, 9, 9])));
    assert_eq!(keys::public(&private(&[])), Some(Public::Unknown));
    assert!(fits(&private(&[]), &certificate(&point)));
    let (_, other_kind) = rsa(77);
    assert!(!fits(&private(&[]), &other_kind));
}

#[test]
fn what_no_server_could_start_with_is_told_by_key_and_fix_and_not_by_value() {
    let ((certificate, key), (other, _)) = (usual(), usual());
    insta::assert_snapshot!(tls(&other, &key), @"a Secret of type kubernetes.io/tls cannot have this value of tls.key (copied from a source): it does not fit the certificate in tls.crt: they are of different pairs; correct it in Vault, or name another field under spec.data");
    let told = tls(&format!("{other}{certificate}"), &key);
    assert!(
        told.contains("tls.crt") && told.contains("at place 2"),
        "{told}"
    );
    for (crt, word) in [
        ("hunter2".to_owned(), "it is no PEM"),
        (String::new(), "it is no PEM"),
        (key.clone(), "has no certificate"),
        (certificate.replace('\n', ""), "lost its line ends"),
        (certificate.replace('\n', "\\n"), "written as \\n"),
        (certificate.replace("-----END", "END"), "is cut off"),
        (certificate.replacen("MII", "MI!", 1), "is damaged"),
        (
            armour("CERTIFICATE", b"hunter2"),
            "certificate 1 is no X.509",
        ),
        (
            certificate.clone() + &armour("CERTIFICATE", b"x"),
            "certificate 2 is no",
        ),
    ] {
        let told = tls(&crt, &key);
        let good =
            told.contains("of tls.crt (") && told.contains(word) && !told.contains("hunter2");
        assert!(good, "{word}: {told}");
    }
    for (key, word) in [
        (certificate.clone(), "has no private key"),
        (
            armour("PRIVATE KEY", b"hunter2"),
            "no private key of PKCS#1",
        ),
        (
            armour("ENCRYPTED PRIVATE KEY", &[0x30, 0]),
            "with a passphrase",
        ),
        (
            key.replacen('\n', "\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES,0\n\n", 1),
            "with a passphrase",
        ),
        ("hunter2".to_owned(), "it is no PEM"),
    ] {
        let told = tls(&certificate, &key);
        let good =
            told.contains("of tls.key (") && told.contains(word) && !told.contains("hunter2");
        assert!(good, "{word}: {told}");
    }
    let authority = [
        ("tls.crt", certificate.as_str()),
        ("tls.key", &key),
        ("ca.crt", "hunter2"),
    ];
    assert!(told_of(&authority).contains("of ca.crt ("));
}

fn told_of(values: &[(&str, &str)]) -> String {
    told(SecretType::Tls, values)
}

#[test]
fn keys_that_a_type_must_have_are_named_beside_those_that_there_are() {
    for (secret_type, has, missing) in [
        (SecretType::Tls, "tls.crt", "the key tls.key"),
        (SecretType::Tls, "a", "the keys tls.crt and tls.key"),
        (
            SecretType::DockerConfigJson,
            "a",
            "the key .dockerconfigjson",
        ),
        (SecretType::DockerCfg, "a", "the key .dockercfg"),
        (SecretType::BasicAuth, "a", "the key username or password"),
        (SecretType::SshAuth, "a", "the key ssh-privatekey"),
    ] {
        let failure = check(secret_type, &data(&[(has, "x")]), &Mapping::default()).unwrap_err();
        let name = secret_type.as_str();
        let expected = format!(
            "a Secret of type {name} needs {missing}, and it would have {has}; name what is missing under spec.data, or choose another spec.destination.type"
        );
        assert_eq!(failure.message, expected);
        assert_eq!(failure.reason, Reason::FieldNotFound);
    }
    assert!(told(SecretType::Tls, &[]).contains("and it would have none;"));
    let many: Vec<String> = (10..40).map(|number| format!("k{number}")).collect();
    let many: Vec<_> = many.iter().map(|key| (key.as_str(), "x")).collect();
    let message = told(SecretType::Tls, &many);
    assert!(message.contains("k29 and others;"), "{message}");
    suits(SecretType::BasicAuth, &[("password", "x")]);
    suits(SecretType::Opaque, &[("a", "x")]);
}

#[test]
fn logins_at_registries_are_taken_as_kubelets_take_them() {
    let auth = STANDARD.encode("robot:hunter2");
    for good in [
        r#"{"auths":{}}"#.to_owned(),
        r#"{"auths":{"a":{},"b":null}}"#.to_owned(),
        format!(r#"{{"auths":{{"a":{{"auth":"{auth}"}}}}}}"#),
        r#"{"auths":{"a":{"auth":"YTpi","email":null}}}"#.to_owned(),
        r#"{"auths":{"a":{"auth":"YTo="}}}"#.to_owned(),
        r#"{"auths":{"a":{"username":"u","password":"hunter2","email":"e"}}}"#.to_owned(),
        r#"{"auths":{"a":{"identitytoken":"hunter2"}},"HttpHeaders":{"A":"b"}}"#.to_owned(),
        r#"{"credHelpers":{"a":"ecr-login"}}"#.to_owned(),
        r#"{"auths":{},"credsStore":"pass","more":1}"#.to_owned(),
    ] {
        let value = [(".dockerconfigjson", good.as_str())];
        assert_eq!(told(SecretType::DockerConfigJson, &value), "", "{good}");
    }
    suits(
        SecretType::DockerCfg,
        &[(".dockercfg", r#"{"a":{"username":"u","password":"p"}}"#)],
    );
}

#[test]
fn what_no_kubelet_could_read_is_told_by_its_place() {
    for (bad, word) in [
        ("hunter2", "is no JSON"),
        (r#"["hunter2"]"#, "is no JSON object"),
        ("{}", r#"has no member "auths""#),
        (
            r#"{"a":{"username":"hunter2"}}"#,
            r#"has no member "auths""#,
        ),
        (r#"{"auths":["hunter2"]}"#, "that is no JSON object"),
        (r#"{"auths":{"a":{},"b":"hunter2"}}"#, "the 2. by the order"),
        (
            r#"{"auths":{"a":{"password":{"hunter2":1}}}}"#,
            "is no text",
        ),
        (r#"{"auths":{"a":{"auth":"hunter2!"}}}"#, "is no Base64"),
        (
            r#"{"auths":{"a":{"auth":"aHVudGVyMg=="}}}"#,
            "of user:password",
        ),
        (r#"{"auths":{"a":{"auth":7}}}"#, "whose auth is no text"),
    ] {
        let told = told(SecretType::DockerConfigJson, &[(".dockerconfigjson", bad)]);
        let good = told.contains(word) && !told.contains("hunter2");
        assert!(good, "{word}: {told}");
    }
}

fn string(bytes: &[u8]) -> Vec<u8> {
    let length = u32::try_from(bytes.len()).unwrap().to_be_bytes();
    [&length[..], bytes].concat()
}

/// A key in OpenSSH's own form with a private part that begins so.
fn openssh(cipher: &str, private: &[u8]) -> Vec<u8> {
    let parts = [
        b"openssh-key-v1\0".to_vec(),
        string(cipher.as_bytes()),
        string(b"bcrypt"),
        string(b"options"),
        vec![0, 0, 0, 1],
        string(b"public"),
        string(private),
    ];
    parts.concat()
}

fn ssh(value: &str) -> String {
    told(SecretType::SshAuth, &[("ssh-privatekey", value)])
}

#[test]
fn keys_for_ssh_are_taken_in_every_form_encrypted_or_not() {
    let (_, key) = usual();
    let (rsa, _) = rsa(77);
    for good in [
        armour(
            "OPENSSH PRIVATE KEY",
            &openssh("none", b"\x01\x02\x03\x04\x01\x02\x03\x04rest"),
        ),
        armour(
            "OPENSSH PRIVATE KEY",
            &openssh("aes256-ctr", b"\x01\x02\x03\x04\x05\x06\x07\x08"),
        ),
        key,
        armour("RSA PRIVATE KEY", &rsa),
        armour("DSA PRIVATE KEY", &rsa),
        armour("ENCRYPTED PRIVATE KEY", &der(0x30, &[&[2, 1, 0]])),
        armour("RSA PRIVATE KEY", b"noise").replacen('\n', "\nProc-Type: 4,ENCRYPTED\n\n", 1),
    ] {
        assert_eq!(ssh(&good), "", "{good}");
    }
}

#[test]
fn what_no_ssh_client_could_read_is_told_with_the_fix() {
    let whole = openssh("none", b"\x01\x02\x03\x04\x01\x02\x03\x04");
    let key = |der: &[u8]| armour("OPENSSH PRIVATE KEY", der);
    for (bad, word) in [
        (key(&whole[..whole.len() - 3]), "a part of it is missing"),
        (
            key(&openssh("none", b"\x01\x02\x03\x04\x05\x06\x07\x08")),
            "is damaged",
        ),
        (key(b"openssh-key-v1"), "is damaged"),
        (armour("RSA PRIVATE KEY", b"hunter2"), "is damaged"),
        (armour("CERTIFICATE", b"hunter2"), "has no private key"),
        (
            "ssh-ed25519 AAAAhunter2 me@home\n".to_owned(),
            "is the public key",
        ),
        (
            "PuTTY-User-Key-File-3: ssh-ed25519\nhunter2".to_owned(),
            "puttygen",
        ),
        ("hunter2".to_owned(), "it is no PEM"),
        (key(&whole).replace('\n', " "), "lost its line ends"),
    ] {
        let told = ssh(&bad);
        assert!(
            told.contains(word) && !told.contains("hunter2"),
            "{word}: {told}"
        );
    }
}

#[test]
fn where_the_value_comes_from_is_told_as_far_as_the_mapping_knows() {
    let entry = |content| Entry {
        key: "ssh-privatekey".to_owned(),
        content,
        optional: false,
    };
    let field = |field: &str| Content::Field {
        source: "git".to_owned(),
        field: field.to_owned(),
        decode: Decode::None,
    };
    let copy = |source: &str| Copy {
        source: source.to_owned(),
        ..Copy::default()
    };
    let of = |entries, copies| Mapping {
        entries,
        copies,
        ..Mapping::default()
    };
    let template = |shared: Option<&str>| Content::Template {
        template: Template::parse("x", None).unwrap(),
        shared: shared.map(str::to_owned),
    };
    for (mapping, origin) in [
        (
            of(vec![entry(field("key"))], vec![]),
            r#"(field "key" of source "git")"#,
        ),
        (
            of(vec![entry(field(""))], vec![]),
            r#"(all fields of source "git")"#,
        ),
        (
            of(vec![entry(Content::Literal("x".to_owned()))], vec![]),
            "(spec.data[ssh-privatekey].value): it has no line such as -----BEGIN ...-----: it is no PEM; correct it there",
        ),
        (
            of(vec![entry(template(None))], vec![]),
            "(made by spec.data[ssh-privatekey].template): it has no line such as -----BEGIN ...-----: it is no PEM; correct the template, or what it takes from Vault",
        ),
        (
            of(
                vec![entry(template(Some("key pem of ConfigMap texts")))],
                vec![],
            ),
            "(made by key pem of ConfigMap texts)",
        ),
        (
            of(vec![], vec![copy("git")]),
            r#"(copied from source "git")"#,
        ),
        (
            of(vec![], vec![copy("git"), copy("b")]),
            "(copied by spec.dataFrom)",
        ),
    ] {
        let failure = check(
            SecretType::SshAuth,
            &data(&[("ssh-privatekey", "x")]),
            &mapping,
        );
        let failure = failure.unwrap_err();
        assert_eq!(failure.reason, Reason::InvalidValue);
        assert!(failure.message.contains(origin), "{}", failure.message);
    }
}

#[test]
fn a_mapping_whose_keys_are_known_is_judged_before_anything_is_issued() {
    let entry = |key: &str| Entry {
        key: key.to_owned(),
        content: Content::Literal(String::new()),
        optional: false,
    };
    let of = |keys: &[&str]| Mapping {
        entries: keys.iter().map(|key| entry(key)).collect(),
        ..Mapping::default()
    };
    assert!(check_mapping(SecretType::Tls, &of(&["tls.crt"])).is_err());
    assert!(check_mapping(SecretType::Tls, &of(&["tls.crt", "tls.key"])).is_ok());
    assert!(
        check_mapping(SecretType::Tls, &of(&[])).is_ok(),
        "all is copied"
    );
    let copied = Mapping {
        copies: vec![Copy::default()],
        ..of(&["tls.crt"])
    };
    assert!(check_mapping(SecretType::Tls, &copied).is_ok());
}

proptest! {
    #[test]
    fn no_value_makes_the_reading_fail_otherwise_than_by_an_error(noise: Vec<u8>, at in 0..400_usize, byte: u8, openssh_too: bool) {
        let (certificate, key) = usual();
        let mut der = if openssh_too { openssh("none", &noise) } else { pem::blocks(key.as_bytes()).ok().unwrap()[0].der.to_vec() };
        let place = at % der.len();
        der[place] = byte;
        let label = if openssh_too { "OPENSSH PRIVATE KEY" } else { "PRIVATE KEY" };
        for text in [armour(label, &der), String::from_utf8_lossy(&noise).into_owned(), armour("RSA PRIVATE KEY", &noise)] {
            let _ = (tls(&certificate, &text), tls(&text, &key), ssh(&text));
            let _ = told(SecretType::DockerConfigJson, &[(".dockerconfigjson", &text)]);
        }
        let _ = keys::public(&noise);
        let _ = keys::element(&noise);
    }
}

#[test]
fn a_key_within_a_key_within_a_key_is_none_however_deep_it_goes() {
    let mut deep: Vec<u8> = Vec::new();
    for _ in 0..20_000 {
        let octets = wide(4, &deep);
        deep = wide(0x30, &[&[2, 0, 0x30, 0][..], &octets].concat());
    }
    assert!(deep.len() > 200_000);
    assert_eq!(keys::public(&deep), None);
    let within = der(0x30, &[&[2, 1, 0, 0x30, 0], &der(4, &[&rsa(7).0])]);
    assert_eq!(keys::public(&within), keys::public(&rsa(7).0));
    let twice = der(0x30, &[&[2, 1, 0, 0x30, 0], &der(4, &[&within])]);
    assert_eq!(keys::public(&twice), Some(keys::Public::Unknown));
}

/// An element of DER of any length.
fn wide(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = u32::try_from(content.len()).unwrap().to_be_bytes();
    [&[tag, 0x84][..], &length, content].concat()
}
