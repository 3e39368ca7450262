//! Proves that each refusal is told with its reason, and in words that a person can act on.

use std::time::Duration;

use super::*;
use crate::reconcile::fixture::{fresh, job, out};
use crate::render::folder::FolderError;
use crate::sensitive::JsonError;

fn told(refusal: &Refusal) -> (Reason, String) {
    let job = job(&fresh());
    let failure = refusal.failure(&job, &job.sources[0]);
    (failure.reason, failure.message)
}

fn words(text: &str) -> Vec<String> {
    vec![text.into()]
}

#[test]
fn a_read_that_is_denied_names_the_role_and_the_policy_to_write() {
    let refusal = Refusal::Read(vault::Error::Forbidden {
        errors: words("permission denied"),
    });
    assert!(refusal.is_forbidden());
    assert_eq!(
        told(&refusal),
        (
            Reason::PermissionDenied,
            "source main: role orders may not read secret/shop/orders; its policy needs the capability \"read\" on \"secret/data/shop/orders\" (KV v2) or \"secret/shop/orders\" (KV v1)".into()
        )
    );
}

#[test]
fn every_failure_of_a_read_has_its_reason() {
    for (error, reason) in [
        (
            vault::Error::Unreachable {
                reason: "connection refused".into(),
            },
            Reason::VaultUnavailable,
        ),
        (vault::Error::Sealed, Reason::VaultSealed),
        (
            vault::Error::Unavailable {
                status: 503,
                errors: vec![],
            },
            Reason::VaultUnavailable,
        ),
        (
            vault::Error::RateLimited { retry_after: None },
            Reason::RateLimited,
        ),
        (
            vault::Error::NotFound {
                errors: words("no handler for route"),
            },
            Reason::PathNotFound,
        ),
        (
            vault::Error::Rejected {
                status: 400,
                errors: words("bad"),
            },
            Reason::PathNotFound,
        ),
        (
            vault::Error::Failed {
                status: 500,
                errors: vec![],
            },
            Reason::VaultUnavailable,
        ),
        (
            vault::Error::Redirected {
                to: "https://other".into(),
            },
            Reason::VaultUnavailable,
        ),
        (
            vault::Error::TooLarge { limit: 1 },
            Reason::VaultUnavailable,
        ),
        (
            vault::Error::Malformed { what: "read" },
            Reason::VaultUnavailable,
        ),
    ] {
        let case = format!("{error:?}");
        assert_eq!(told(&Refusal::Read(error)).0, reason, "{case}");
    }
}

#[test]
fn a_known_outage_is_told_in_the_same_words_however_it_shows() {
    let mut observed = fresh();
    observed.connection = out(Reason::VaultUnavailable);
    let job = job(&observed);
    let known = outage(&job, Reason::VaultUnavailable);
    for error in ways_to_fail() {
        let failure = Refusal::Read(error).failure(&job, &job.sources[0]);
        assert_eq!(failure, known);
    }
}

#[test]
fn the_trouble_of_one_path_is_told_with_path_and_cause_while_the_server_is_fine() {
    for error in ways_to_fail() {
        let cause = error.to_string();
        assert_eq!(
            told(&Refusal::Read(error)),
            (
                Reason::VaultUnavailable,
                format!("source main: read secret/shop/orders: {cause}")
            )
        );
    }
}

fn ways_to_fail() -> [vault::Error; 5] {
    [
        vault::Error::Unreachable {
            reason: "no reply in time".into(),
        },
        vault::Error::Unavailable {
            status: 502,
            errors: words("bad gateway, request 4711"),
        },
        vault::Error::Failed {
            status: 500,
            errors: words("broken engine"),
        },
        vault::Error::Malformed { what: "read" },
        vault::Error::TooLarge { limit: 1 },
    ]
}

#[test]
fn vault_is_asked_again_when_it_says() {
    let job = job(&fresh());
    let error = vault::Error::RateLimited {
        retry_after: Some(Duration::from_secs(30)),
    };
    let failure = Refusal::Read(error).failure(&job, &job.sources[0]);
    assert_eq!(failure.retry, Retry::After(Duration::from_secs(30)));
}

#[test]
fn a_login_that_is_refused_carries_the_words_of_vault_and_the_fix() {
    for (words_of_vault, status, hint) in [
        (
            "invalid role name \"orders\"",
            400,
            "the role does not exist there; create it (vault write auth/kubernetes/role/orders …), or correct spec.auth.role or spec.auth.mount",
        ),
        (
            "service account name not authorized",
            403,
            "the role does not admit this service account; add default to its bound_service_account_names",
        ),
        (
            "namespace not authorized",
            403,
            "the role does not admit this namespace; add shop to its bound_service_account_namespaces",
        ),
        (
            "permission denied",
            403,
            "Vault says no more than that; usual causes: no auth method is mounted at kubernetes;",
        ),
    ] {
        let errors = words(words_of_vault);
        let error = match status {
            403 => vault::Error::Forbidden { errors },
            _ => vault::Error::Rejected { status, errors },
        };
        let (reason, message) = told(&Refusal::Login(SessionError::Login(error)));
        assert_eq!(reason, Reason::LoginFailed);
        assert!(
            message.starts_with(
                "log in at auth/kubernetes with role orders as service account shop/default: vault "
            ),
            "{message}"
        );
        assert!(
            message.contains(words_of_vault) && message.contains(hint),
            "{message}"
        );
    }
}

#[test]
fn a_login_that_met_an_outage_is_an_outage() {
    let (reason, _) = told(&Refusal::Login(SessionError::Login(vault::Error::Sealed)));
    assert_eq!(reason, Reason::VaultSealed);
}

#[test]
fn a_token_that_the_api_server_does_not_give_is_told_by_why() {
    let reason = |error| told(&Refusal::Login(SessionError::Jwt(error))).0;
    assert_eq!(
        reason(TokenError::NotFound("shop/default".into())),
        Reason::ServiceAccountNotFound
    );
    assert_eq!(
        reason(TokenError::Denied {
            name: "shop/default".into(),
            why: "no".into()
        }),
        Reason::TokenRequestDenied
    );
    assert_eq!(
        reason(TokenError::Unavailable("down".into())),
        Reason::KubernetesUnavailable
    );
}

#[test]
fn an_engine_of_another_kind_names_the_source() {
    let refusal = Refusal::Mount(MountError::NotKv {
        path: "db".into(),
        kind: "database".into(),
    });
    assert_eq!(
        told(&refusal),
        (
            Reason::InvalidSpec,
            "spec.sources[main].kv: the mount db is of type database, not kv".into()
        )
    );
}

#[test]
fn a_write_that_is_refused_is_told_by_who_refused_it() {
    for (error, reason) in [
        (
            WriteError::Quota("exceeded quota: secrets".into()),
            Reason::QuotaExceeded,
        ),
        (WriteError::Terminating, Reason::NamespaceTerminating),
        (
            WriteError::Denied("policy says no".into()),
            Reason::AdmissionDenied,
        ),
        (
            WriteError::Invalid("data: wrong".into()),
            Reason::AdmissionDenied,
        ),
        (
            WriteError::TooLarge("too long".into()),
            Reason::SecretTooLarge,
        ),
        (WriteError::AlreadyExists, Reason::KubernetesUnavailable),
        (WriteError::Conflict, Reason::KubernetesUnavailable),
        (WriteError::NotFound, Reason::KubernetesUnavailable),
        (
            WriteError::Unavailable("down".into()),
            Reason::KubernetesUnavailable,
        ),
    ] {
        let failure = write("orders", &error);
        assert_eq!(failure.reason, reason, "{error:?}");
        let why = error.to_string();
        assert!(failure.message.contains(&why), "{}", failure.message);
    }
}

#[test]
fn an_entry_of_a_folder_that_is_denied_may_be_left_out_as_well() {
    let job = job(&fresh());
    let source = &job.sources[0];
    let denied = Refusal::Read(vault::Error::Forbidden { errors: Vec::new() });
    let failure = folder::entry(source, denied.failure(&job, source));
    assert!(
        failure
            .message
            .ends_with(" (KV v1), or leave it out with spec.sources[main].kvFolder.exclude"),
        "{}",
        failure.message
    );
    let sealed = Refusal::Read(vault::Error::Sealed).failure(&job, source);
    assert_eq!(folder::entry(source, sealed.clone()), sealed);
}

#[test]
fn entries_that_make_no_document_are_told_with_their_reason() {
    let clash = FolderError::Clash {
        field: "user".to_owned(),
        first: "db".to_owned(),
        second: "smtp".to_owned(),
    };
    let deep = FolderError::TooDeep {
        entry: "db".to_owned(),
        problem: JsonError::TooDeep,
    };
    let told = [clash, deep].map(|error| folder::together("all", &error).reason);
    assert_eq!(told, [Reason::KeyConflict, Reason::InvalidValue]);
}
