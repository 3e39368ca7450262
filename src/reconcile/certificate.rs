//! Part of step 5 where Vault issues: what a certificate says of itself, and what is made of the reply beside it.

use zeroize::Zeroizing;

use super::failure::Failure;
use super::issued::IssuedJob;
use crate::api::Reason;
use crate::record::SourceRecord;
use crate::sensitive::{JsonRef, SecretJson};

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

/// The reply with two more fields that programs want: `chain`, the certificate and those above it, and `bundle`, the same and the private key.
pub fn with_chain(data: SecretJson) -> SecretJson {
    let Some(text) = with_chain_text(&data) else {
        return data;
    };
    SecretJson::parse(text).unwrap_or(data)
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
    let mut bundle = Zeroizing::new(String::with_capacity(2 * data.expose().len()));
    push_line(&mut bundle, &chain);
    push_line(&mut bundle, &field(data, "private_key")?);
    // Room for the longest escapes, so that no copy is left behind by growing.
    let room = data.expose().len() + 2 * (chain.len() + bundle.len()) + 64;
    let mut text = Zeroizing::new(String::with_capacity(room));
    text.push_str(data.expose().trim_end().strip_suffix('}')?);
    for (name, value) in [("chain", &chain), ("bundle", &bundle)] {
        let mut quoted = Zeroizing::new(Vec::with_capacity(2 * value.len() + 2));
        serde_json::to_writer(&mut *quoted, value.as_str()).ok()?;
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
    fn a_reply_that_lacks_a_part_stays_as_it_is() {
        let same = with_chain(reply(&json!({ "certificate": "A" })));
        assert_eq!(same.expose(), r#"{"certificate":"A"}"#);
    }
}
