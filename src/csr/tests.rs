//! What requests hold that were made here, and which of those that people bring are refused.

use rcgen::PublicKeyData as _;
use x509_parser::extensions::GeneralName;

use super::*;

fn wanted(algorithm: Algorithm, names: &[&[&str]; 3]) -> Result<Wanted, String> {
    let [dns_names, ip_addresses, uris] =
        names.map(|names| names.iter().map(|name| (*name).to_owned()).collect());
    let (dns_names, ip_addresses, uris): (Vec<_>, Vec<_>, Vec<_>) = (dns_names, ip_addresses, uris);
    let names = Names {
        common_name: "orders.shop.svc",
        dns_names: &dns_names,
        ip_addresses: &ip_addresses,
        uris: &uris,
    };
    Wanted::new(algorithm, &names)
}

fn problem(names: &[&[&str]; 3]) -> String {
    let wanted = wanted(Algorithm::EcdsaP256, names);
    wanted.err().unwrap()
}

#[test]
fn a_request_has_the_key_that_was_made_and_all_names() {
    for (algorithm, key_type) in [
        (Algorithm::EcdsaP256, "ec"),
        (Algorithm::EcdsaP384, "ec"),
        (Algorithm::Ed25519, "ed25519"),
    ] {
        let names: [&[&str]; 3] = [
            &["*.shop.svc", "ops@shop.svc"],
            &["10.0.0.1", "2001:db8::1"],
            &["spiffe://shop/orders"],
        ];
        let made = wanted(algorithm, &names).unwrap().make().unwrap();
        assert_eq!(made.key_type, key_type);
        assert_eq!(check(&made.request), Ok(()));
        let key = KeyPair::from_pem(made.key.expose()).unwrap();
        let block = Pem::iter_from_buffer(made.request.as_bytes()).next();
        let der = block.unwrap().unwrap().contents;
        let (_, request) = X509CertificationRequest::from_der(&der).unwrap();
        let info = &request.certification_request_info;
        assert_eq!(
            info.subject_pki.subject_public_key.data.as_ref(),
            key.der_bytes()
        );
        assert_eq!(info.subject.to_string(), "CN=orders.shop.svc");
        let extensions = request.requested_extensions().unwrap();
        let names: Vec<String> = extensions
            .filter_map(|extension| match extension {
                x509_parser::extensions::ParsedExtension::SubjectAlternativeName(names) => {
                    Some(&names.general_names)
                }
                _ => None,
            })
            .flatten()
            .map(GeneralName::to_string)
            .collect();
        let wanted = [
            "DNSName(*.shop.svc)",
            "RFC822Name(ops@shop.svc)",
            "IPAddress(0a:00:00:01)",
            "IPAddress(20:01:0d:b8:00:00:00:00:00:00:00:00:00:00:00:01)",
            "URI(spiffe://shop/orders)",
        ];
        assert_eq!(names, wanted);
    }
}

#[test]
fn each_request_has_another_key() {
    let wanted = wanted(Algorithm::EcdsaP256, &[&[], &[], &[]]).unwrap();
    let (one, other) = (wanted.make().unwrap(), wanted.make().unwrap());
    assert_ne!(one.key.expose(), other.key.expose());
    assert_ne!(one.request, other.request);
}

#[test]
fn names_that_do_not_fit_into_a_request_are_told_by_their_field() {
    for (names, words) in [
        (
            [&["bücher.example"][..], &[], &[]],
            "dnsNames: \"bücher.example\" is not ASCII",
        ),
        (
            [&[], &["10.0.0"][..], &[]],
            "ipAddresses: \"10.0.0\" is no IP address",
        ),
        ([&[], &[], &["urn:ü"][..]], "uris: \"urn:ü\" is not ASCII"),
    ] {
        let problem = problem(&names);
        assert!(problem.starts_with(words), "{problem}");
    }
}

#[test]
fn what_is_no_request_alone_is_refused_without_a_word_of_it() {
    let made = wanted(Algorithm::Ed25519, &[&[], &[], &[]])
        .unwrap()
        .make()
        .unwrap();
    let request = made.request.as_str();
    let windows = request.replace('\n', "\r\n");
    let commented = format!("Certificate Request:\n    Version: 1\n{request}");
    let old = request.replace("CERTIFICATE", "NEW CERTIFICATE");
    for good in [request, request.trim(), &windows, &commented, &old] {
        assert_eq!(check(good), Ok(()), "{good}");
    }
    let half = &request[..request.len() / 2];
    let with_key = format!("{request}{}", made.key.expose());
    let twice = format!("{request}{request}");
    let other = request.replace("CERTIFICATE REQUEST", "CERTIFICATE");
    let broken = pem("CERTIFICATE REQUEST", b"hunter2");
    let longer = pem(
        "CERTIFICATE REQUEST",
        &[b"0\x03\x02\x01\x00".as_slice(), b"x"].concat(),
    );
    for (bad, words) in [
        ("hunter2", "is not PEM"),
        (half, "is not PEM"),
        (&with_key, "must not hold a private key"),
        (&twice, "must be one certificate request alone"),
        (&other, "is PEM of something else"),
        (&broken, "is not a certificate request"),
        (&longer, "is not a certificate request"),
    ] {
        let problem = check(bad).unwrap_err();
        assert!(problem.starts_with(words), "{problem}");
    }
}

#[test]
fn pem_is_written_in_lines_of_64_and_into_the_room_that_it_needs() {
    for length in [0, 1, 47, 48, 49, 96, 121, 200] {
        let der = vec![7; length];
        let text = pem("PRIVATE KEY", &der);
        assert_eq!(text.capacity(), text.len());
        assert!(text.lines().all(|line| line.len() <= 64), "{text}");
        let block = Pem::iter_from_buffer(text.as_bytes()).next();
        if length > 0 {
            assert_eq!(block.unwrap().unwrap().contents, der);
        }
    }
}
