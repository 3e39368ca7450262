//! What real servers answered, shortened, with made-up values.

use std::collections::BTreeMap;

use super::ask::{members, query, room};
use super::*;

// OpenBao 2.7.2; Vault 1.21.4 differs only in a member `mount_type` at the end.
const DATABASE: &str = r#"{"request_id":"5","lease_id":"database/creds/long/QCNqajgC","renewable":true,"lease_duration":3600,"data":{"password":"\u003cpw","port":12345678901234567890123,"username":"v-token-long"},"wrap_info":null,"warnings":null,"auth":null}"#;
const PKI: &str = r#"{"request_id":"6","lease_id":"pki/issue/r/CRdJ0wnx.0dTAGX","renewable":false,"lease_duration":3599,"data":{"serial_number":"7a:01"},"wrap_info":null,"warnings":["ttl was cut"],"auth":null}"#;
const SECRET_ID: &str = r#"{"request_id":"c","lease_id":"","renewable":false,"lease_duration":0,"data":{"secret_id":"2cc2468f","secret_id_ttl":0},"wrap_info":null,"warnings":null,"auth":null}"#;
const KV1: &str = r#"{"request_id":"2","lease_id":"","renewable":false,"lease_duration":2764800,"data":{"x":1},"wrap_info":null,"warnings":null,"auth":null}"#;
const TOKEN: &str = r#"{"request_id":"d","lease_id":"","renewable":false,"lease_duration":0,"data":null,"wrap_info":null,"warnings":null,"auth":{"client_token":"s.one","accessor":"U7mIvxbG","policies":["app"],"token_policies":["app"],"metadata":null,"lease_duration":300,"renewable":true,"entity_id":"","token_type":"service","orphan":false,"mfa_requirement":null,"num_uses":0}}"#;
const WRAPPED: &str = r#"{"request_id":"","lease_id":"","renewable":false,"lease_duration":0,"data":null,"wrap_info":{"token":"s.two","accessor":"89EAebVD","ttl":60,"creation_time":"2026-11-23T13:25:44.825816538Z","creation_path":"auth/token/create","wrapped_accessor":"B7ukIdsx"},"warnings":null,"auth":null}"#;
const CAPPED: &str = r#"{"request_id":"8","lease_id":"database/creds/brief/jFA4Vqtf","renewable":true,"lease_duration":2,"data":null,"wrap_info":null,"warnings":["TTL of \"3s\" exceeded the effective max_ttl of \"2s\"; TTL value is capped accordingly"],"auth":null}"#;

fn read(body: &str, result: AskResult, wrapped: bool) -> Issued {
    issued(body.as_bytes(), result, wrapped).unwrap_or_else(|error| panic!("{error}: {body}"))
}

fn parameters(of: &[(&str, &str)]) -> BTreeMap<String, SecretText> {
    let pair = |&(name, value): &(&str, &str)| (name.to_owned(), SecretText::new(value.to_owned()));
    of.iter().map(pair).collect()
}

fn refusal(status: u16, body: &str) -> LeaseRefusal {
    LeaseRefusal::of(Error::of_reply(status, None, None, body.as_bytes()).unwrap())
}

#[test]
fn a_leased_credential_is_the_text_that_vault_sent_with_its_lease() {
    let Issued { data, lease, token } = read(DATABASE, AskResult::Data, false);
    assert_eq!(
        data.expose(),
        r#"{"password":"\u003cpw","port":12345678901234567890123,"username":"v-token-long"}"#
    );
    let expected = Lease {
        id: "database/creds/long/QCNqajgC".into(),
        duration: Duration::from_hours(1),
        renewable: true,
    };
    assert_eq!((lease, token), (Some(expected), None));
}

#[test]
fn a_lease_that_cannot_be_renewed_is_one_all_the_same() {
    let lease = read(PKI, AskResult::Data, false).lease.unwrap();
    assert_eq!(lease.id, "pki/issue/r/CRdJ0wnx.0dTAGX");
    assert_eq!(
        (lease.duration, lease.renewable),
        (Duration::from_secs(3599), false)
    );
}

#[test]
fn without_a_name_of_a_lease_there_is_none_whatever_duration_is_told() {
    assert_eq!(read(SECRET_ID, AskResult::Data, false).lease, None);
    assert_eq!(read(KV1, AskResult::Data, false).lease, None);
}

#[test]
fn an_issued_token_is_what_stands_under_auth_and_its_life_is_told() {
    let issued = read(TOKEN, AskResult::Auth, false);
    assert!(
        issued
            .data
            .expose()
            .starts_with(r#"{"client_token":"s.one","#)
    );
    let expected = IssuedToken {
        accessor: "U7mIvxbG".into(),
        duration: Duration::from_mins(5),
        renewable: true,
    };
    assert_eq!((issued.lease, issued.token), (None, Some(expected)));
}

#[test]
fn a_wrapped_reply_is_its_wrapping_token_whatever_is_inside() {
    for result in [AskResult::Data, AskResult::Auth] {
        let issued = read(WRAPPED, result, true);
        assert!(issued.data.expose().starts_with(r#"{"token":"s.two","#));
        let token = issued.token.unwrap();
        assert_eq!(token.accessor, "89EAebVD");
        assert_eq!(
            (token.duration, token.renewable),
            (Duration::from_mins(1), false)
        );
    }
}

#[test]
fn a_request_that_only_does_something_issues_no_fields() {
    for body in ["", r#"{"lease_id":"","data":null,"warnings":["done"]}"#] {
        let Issued { data, lease, token } = read(body, AskResult::Data, false);
        assert_eq!((data.expose(), lease, token), ("{}", None, None), "{body}");
    }
}

#[test]
fn another_kind_of_result_than_was_asked_for_is_named() {
    let cases = [
        (SECRET_ID, AskResult::Auth, false),
        ("", AskResult::Auth, false),
        (TOKEN, AskResult::Data, false),
        (SECRET_ID, AskResult::Data, true),
        (WRAPPED, AskResult::Data, false),
    ];
    let told = cases.map(|(body, result, wrapped)| {
        let error = issued(body.as_bytes(), result, wrapped).err().unwrap();
        error.to_string()
    });
    insta::assert_snapshot!(told.join("\n"), @"
    vault's reply holds data instead of a token
    vault's reply holds nothing instead of a token
    vault's reply holds a token instead of data
    vault's reply holds the credential itself instead of a wrapping token
    vault's reply holds a wrapping token instead of the credential itself
    ");
}

#[test]
fn what_is_no_reply_of_vault_is_not_understood_and_not_quoted() {
    let long = format!(r#"{{"lease_id":"{}","data":{{}}}}"#, "x".repeat(1025));
    for body in [
        "hunter2",
        "[]",
        r#"{"data":"hunter2"}"#,
        r#"{"data":[1]}"#,
        r#"{"lease_id":"a\nb","data":{}}"#,
        r#"{"lease_id":"a","lease_duration":-1,"data":{}}"#,
        &long,
    ] {
        let error = issued(body.as_bytes(), AskResult::Data, false).err();
        assert_eq!(error, Some(MALFORMED), "{body}");
    }
}

#[test]
fn a_lease_of_a_thousand_years_is_one_of_ten() {
    let body = r#"{"lease_id":"a/b","lease_duration":18446744073709551615,"data":{}}"#;
    let lease = read(body, AskResult::Data, false).lease.unwrap();
    assert_eq!(lease.duration, Duration::from_hours(87600));
}

#[test]
fn a_renewal_that_meets_the_hard_end_grants_less() {
    let expected = LeaseGrant {
        duration: Duration::from_secs(2),
        renewable: true,
    };
    assert_eq!(granted(CAPPED.as_bytes()), Ok(expected));
    assert!(granted(br#"{"data":null}"#).is_err());
}

#[test]
fn a_lease_that_was_revoked_or_has_expired_is_gone() {
    // The second as long as revoking it fails in the engine's backend.
    for words in ["lease not found", "lease expired"] {
        let body = format!(r#"{{"errors":["{words}"]}}"#);
        assert_eq!(refusal(400, &body), LeaseRefusal::Gone, "{body}");
    }
}

#[test]
fn a_lease_or_token_at_its_hard_end_is_not_renewed_any_more() {
    let cases = [
        (400, r#"{"errors":["lease is not renewable"]}"#),
        (
            400,
            r#"{"errors":["failed to renew entry: resp: (*logical.Response)(nil) err: past the max TTL, cannot renew"]}"#,
        ),
        // A token.
        (
            500,
            r#"{"errors":["1 error occurred:\n\t* past the max TTL, cannot renew\n\n"]}"#,
        ),
    ];
    for (status, body) in cases {
        assert_eq!(refusal(status, body), LeaseRefusal::NotRenewable, "{body}");
    }
}

#[test]
fn a_token_without_the_permission_and_a_dead_one_are_refused_alike() {
    for body in [
        r#"{"errors":["1 error occurred:\n\t* permission denied\n\n"]}"#,
        r#"{"errors":["permission denied"]}"#,
        r#"{"errors":["2 errors occurred:\n\t* permission denied\n\t* invalid token\n\n"]}"#,
    ] {
        assert_eq!(refusal(403, body), LeaseRefusal::Forbidden, "{body}");
    }
}

#[test]
fn trouble_of_an_engine_or_of_the_way_says_nothing_about_the_lease() {
    let cases = [
        (
            400,
            r#"{"errors":["failed to renew entry: resp: (*logical.Response)(nil) err: error during renew: could not find role with name \"going\""]}"#,
        ),
        (
            400,
            r#"{"errors":["failed to renew entry: resp: (*logical.Response)(nil) err: lease not found"]}"#,
        ),
        (400, r#"{"errors":["lease_id must be specified"]}"#),
        (404, r#"{"errors":["namespace not found"]}"#),
        (404, r#"{"errors":["lease not found"]}"#),
        (503, r#"{"errors":["Vault is sealed"]}"#),
        (502, "lease not found"),
    ];
    for (status, body) in cases {
        let refusal = refusal(status, body);
        assert!(
            matches!(refusal, LeaseRefusal::Other(_)),
            "{body}: {refusal}"
        );
    }
}

#[test]
fn parameters_of_a_get_are_a_query_that_nothing_in_them_can_break() {
    let odd = parameters(&[("ttl", "1h"), ("name", "a b&c=d%/ü+"), ("x?y", "")]);
    assert_eq!(
        query(&odd).as_deref().map(String::as_str),
        Some("name=a%20b%26c%3Dd%25%2F%C3%BC%2B&ttl=1h&x%3Fy=")
    );
    assert!(query(&parameters(&[])).is_none());
}

#[test]
fn parameters_of_a_post_are_the_members_of_an_object() {
    let body = |of| String::from_utf8(members(&parameters(of)).to_vec()).unwrap();
    assert_eq!(body(&[]), "{}");
    assert_eq!(
        body(&[("ttl", "1h"), ("cn", "a\"},\n\u{1}")]),
        r#"{"cn":"a\"},\n\u0001","ttl":"1h"}"#
    );
}

#[test]
fn a_body_or_query_never_outgrows_the_room_that_it_began_with() {
    let worst = "\u{1}".repeat(999);
    let of = parameters(&[(&worst, &worst), ("", ""), ("a", "")]);
    assert!(members(&of).len() <= room(&of, 6));
    assert!(query(&of).is_some_and(|query| query.len() <= room(&of, 3)));
}
