//! Part of step 5 where Vault issues: what a certificate says of itself, and what is made of the reply beside it.

use zeroize::Zeroizing;

use super::failure::Failure;
use super::issued::IssuedJob;
use crate::api::Reason;
use crate::csr::Made;
use crate::record::SourceRecord;
use crate::sensitive::{JsonRef, SecretJson};
use crate::vault;

/// What is recorded of a certificate, by its own words. The lease, where the role gives one, is that of the reply.
pub fn record(
    source: &IssuedJob,
    data: &SecretJson,
    issued: i64,
    lease: Option<String>,
) -> Result<SourceRecord, Failure> {
    let unreadable = |why: &str| {
        let message = format!(
            "source {}: the reply of {} has no certificate that can be read: {why}",
            source.name, source.path
        );
        Failure::new(Reason::VaultUnavailable, message)
    };
    let pem = field(data, "certificate").ok_or_else(|| unreadable("the field is missing"))?;
    let (_, pem) = x509_parser::pem::parse_x509_pem(pem.as_bytes())
        .map_err(|_| unreadable("it is not PEM"))?;
    let certificate = pem
        .parse_x509()
        .map_err(|_| unreadable("it is not X.509"))?;
    let validity = certificate.validity();
    Ok(SourceRecord::Certificate {
        place: source.place.clone(),
        serial: certificate.raw_serial_as_string(),
        not_before: validity.not_before.timestamp(),
        not_after: validity.not_after.timestamp(),
        issued,
        lease,
    })
}

/// The reply with two more fields that programs want: `chain`, the certificate and those above it, and `bundle`, the same and the private key, if there is one.
pub fn with_chain(data: SecretJson) -> SecretJson {
    let Some(text) = with_chain_text(&data) else {
        return data;
    };
    SecretJson::parse(text).unwrap_or(data)
}

/// What Vault signed, with the private key that was made for it, as if Vault had made it.
pub fn with_made(
    issued: vault::Issued,
    made: Option<&Made>,
) -> Result<vault::Issued, vault::Error> {
    let Some(made) = made else {
        return Ok(issued);
    };
    let data = with_key(&issued.data, made).ok_or(vault::Error::Malformed {
        what: "the request to sign",
    })?;
    Ok(vault::Issued { data, ..issued })
}

fn with_key(data: &SecretJson, made: &Made) -> Option<SecretJson> {
    let fields = [
        ("private_key", made.key.expose()),
        ("private_key_type", made.key_type),
    ];
    SecretJson::parse(with_fields(data, &fields)?).ok()
}

fn with_chain_text(data: &SecretJson) -> Option<Zeroizing<String>> {
    let mut chain = Zeroizing::new(String::with_capacity(data.expose().len()));
    push_line(&mut chain, &field(data, "certificate")?);
    let above = data.root()?.member("ca_chain");
    match above.map(JsonRef::elements).unwrap_or_default() {
        Some(above) => {
            for one in above {
                push_line(&mut chain, &one.string()?);
            }
        }
        None => push_line(&mut chain, &field(data, "issuing_ca")?),
    }
    let Some(key) = field(data, "private_key") else {
        return with_fields(data, &[("chain", &chain)]);
    };
    let mut bundle = Zeroizing::new(String::with_capacity(2 * data.expose().len()));
    push_line(&mut bundle, &chain);
    push_line(&mut bundle, &key);
    with_fields(data, &[("chain", &chain), ("bundle", &bundle)])
}

/// The reply with further fields behind those that it has.
fn with_fields(data: &SecretJson, fields: &[(&str, &str)]) -> Option<Zeroizing<String>> {
    data.root()?.members()?.pop_first()?;
    // Room for the longest escapes, so that no copy is left behind by growing.
    let room = |(name, value): &(&str, &str)| name.len() + 2 * value.len() + 8;
    let room = data.expose().len() + fields.iter().map(room).sum::<usize>();
    let mut text = Zeroizing::new(String::with_capacity(room));
    text.push_str(data.expose().trim_end().strip_suffix('}')?);
    for (name, value) in fields {
        let mut quoted = Zeroizing::new(Vec::with_capacity(2 * value.len() + 2));
        serde_json::to_writer(&mut *quoted, value).ok()?;
        for piece in [",\"", name, "\":", std::str::from_utf8(&quoted).ok()?] {
            text.push_str(piece);
        }
    }
    text.push('}');
    Some(text)
}

fn push_line(text: &mut String, line: &str) {
    text.push_str(line.trim_end());
    text.push('\n');
}

fn field(data: &SecretJson, name: &str) -> Option<Zeroizing<String>> {
    data.root()?.member(name)?.string()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::reconcile::issued::issued;
    use crate::sensitive::SecretText;

    fn source() -> IssuedJob {
        let source = json!({ "name": "tls", "pki": { "mount": "pki", "role": "shop" } });
        let source = serde_json::from_value(source).unwrap();
        issued(&source).unwrap().unwrap()
    }

    fn reply(fields: &Value) -> SecretJson {
        let text = Zeroizing::new(fields.to_string());
        SecretJson::parse(text).ok().unwrap()
    }

    fn pem() -> (String, i64) {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::new(vec!["orders.shop".to_owned()]).unwrap();
        params.not_after = rcgen::date_time_ymd(2030, 1, 2);
        params.serial_number = Some(rcgen::SerialNumber::from(0x1122_3344_u64));
        let pem = params.self_signed(&key).unwrap().pem();
        (pem, params.not_after.unix_timestamp())
    }

    #[test]
    fn a_certificate_tells_its_serial_number_and_its_end_itself() {
        let (pem, end) = pem();
        let reply = reply(&json!({ "certificate": pem, "expiration": 1 }));
        let record = record(&source(), &reply, 7, None).unwrap();
        let SourceRecord::Certificate {
            serial,
            not_after,
            issued,
            ..
        } = record
        else {
            panic!("{record:?}");
        };
        assert_eq!(
            (serial.as_str(), not_after, issued),
            ("11:22:33:44", end, 7)
        );
    }

    #[test]
    fn what_is_no_certificate_is_told_without_a_word_of_it() {
        for (fields, why) in [
            (json!({}), "missing"),
            (json!({ "certificate": "hunter2" }), "not PEM"),
            (
                json!({ "certificate": "-----BEGIN CERTIFICATE-----\naHVudGVyMg==\n-----END CERTIFICATE-----\n" }),
                "not X.509",
            ),
        ] {
            let failure = record(&source(), &reply(&fields), 0, None).unwrap_err();
            let message = failure.message;
            assert!(message.ends_with(why) || message.contains(why), "{message}");
            assert!(!message.contains("hunter2"), "{message}");
        }
    }

    #[test]
    fn chain_and_bundle_are_the_parts_in_the_order_that_servers_want() {
        let whole = with_chain(reply(
            &json!({ "certificate": "A", "ca_chain": ["B\n", "C"], "issuing_ca": "B", "private_key": "K" }),
        ));
        let text = |name| field(&whole, name).map(|text| text.as_str().to_owned());
        assert_eq!(text("chain").unwrap(), "A\nB\nC\n");
        assert_eq!(text("bundle").unwrap(), "A\nB\nC\nK\n");
        assert_eq!(text("issuing_ca").unwrap(), "B");
        let short = with_chain(reply(
            &json!({ "certificate": "A", "issuing_ca": "B", "private_key": "K" }),
        ));
        assert_eq!(field(&short, "chain").unwrap().as_str(), "A\nB\n");
    }

    #[test]
    fn a_certificate_whose_key_is_elsewhere_has_a_chain_and_no_bundle() {
        let whole = with_chain(reply(&json!({ "certificate": "A", "issuing_ca": "B" })));
        assert_eq!(field(&whole, "chain").unwrap().as_str(), "A\nB\n");
        assert!(field(&whole, "bundle").is_none());
    }

    #[test]
    fn a_key_that_was_made_here_stands_where_vaults_own_would() {
        let made = Made {
            request: String::new(),
            key: SecretText::new("K\n".to_owned()),
            key_type: "ec",
        };
        let data = reply(&json!({ "certificate": "A", "issuing_ca": "B" }));
        let whole = with_chain(with_key(&data, &made).unwrap());
        let text = |name| field(&whole, name).map(|text| text.as_str().to_owned());
        assert_eq!(text("private_key").unwrap(), "K\n");
        assert_eq!(text("private_key_type").unwrap(), "ec");
        assert_eq!(text("bundle").unwrap(), "A\nB\nK\n");
        assert!(with_key(&reply(&json!({})), &made).is_none());
    }

    #[test]
    fn a_reply_that_lacks_a_part_stays_as_it_is() {
        let same = with_chain(reply(&json!({ "certificate": "A" })));
        assert_eq!(same.expose(), r#"{"certificate":"A"}"#);
    }
}
