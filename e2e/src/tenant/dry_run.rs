//! What the API server says to an object, without keeping it: refusals, warnings, and the object with its defaults.

use std::fmt::Write as _;

use anyhow::{Context as _, Result, ensure};
use serde::Deserialize;
use serde_json::Value;

use super::Tenant;
use crate::objects;
use crate::program::call;

/// What a person may get wrong about one field, and the words that a refusal of it must have.
#[derive(Debug, Deserialize)]
struct Mistakes {
    /// JSON pointer to the field in a good object.
    at: String,
    /// Values that must not be there.
    bad: Vec<Value>,
    /// What the refusal of each must say: the field and the fix.
    says: Vec<String>,
}

/// The API server's answer to a request that nothing comes of.
#[derive(Debug)]
pub struct Answer {
    /// The HTTP status.
    pub code: u16,
    /// The texts of the `Warning` headers.
    pub warnings: Vec<String>,
    /// The object as it would be stored, or the reason of the refusal.
    pub body: Value,
}

impl Answer {
    /// The message of a refusal; empty when the object was accepted.
    #[must_use]
    pub fn message(&self) -> &str {
        self.body["message"].as_str().unwrap_or_default()
    }
}

impl Tenant {
    /// Creates an object in a dry run, with strict validation as `kubectl apply` asks for.
    pub async fn dry_run(&self, yaml: &str) -> Result<Answer> {
        self.dry_run_of(&self.object(yaml)?).await
    }

    /// Fails unless each mistake in the object is refused with all its words; tells of all that are not. `mistakes` is a YAML
    /// list of `{ at: <JSON pointer>, bad: [<value>, …], says: [<word>, …] }`.
    pub async fn expect_refusals(&self, yaml: &str, mistakes: &str) -> Result<()> {
        let good = self.object(yaml)?;
        let answer = self.dry_run_of(&good).await?;
        ensure!(answer.code == 201, "the good object is refused: {answer:?}");
        let mistakes: Vec<Mistakes> =
            serde_saphyr::from_str(mistakes).context("read the mistakes")?;
        let mut wrong = String::new();
        let mut refused = Vec::new();
        for Mistakes { at, bad, says } in mistakes {
            for value in bad {
                let mut object = good.clone();
                *place(&mut object, &at)? = value.clone();
                let answer = self.dry_run_of(&object).await?;
                let (code, message) = (answer.code, answer.message());
                let is_refused = code == 422 || code == 400;
                if !is_refused || !says.iter().all(|word| message.contains(word)) {
                    writeln!(
                        wrong,
                        "{at} = {value}\n  should say {says:?}\n  but is {code}: {message}"
                    )?;
                }
                let field = says.first().cloned().unwrap_or_default();
                let field = field.replace("unknown field", "is no field of");
                refused.push((object, field));
            }
        }
        self.preview_refuses(refused, &mut wrong).await?;
        ensure!(
            wrong.is_empty(),
            "not refused, or not in these words:\n{wrong}"
        );
        Ok(())
    }

    /// `vaultbridge render` says so of each of the objects, with the field.
    async fn preview_refuses(
        &self,
        objects: Vec<(Value, String)>,
        wrong: &mut String,
    ) -> Result<()> {
        let file = std::env::temp_dir().join(format!("vaultbridge-refused-{}", self.name()));
        let mut text = String::new();
        let mut wanted = Vec::new();
        for (index, (mut object, field)) in objects.into_iter().enumerate() {
            let name = format!("bad-{index}");
            object["metadata"]["name"] = name.clone().into();
            writeln!(text, "---\n{object}")?;
            wanted.push((format!("{name}: InvalidSpec: "), field, object));
        }
        // What YAML does not take as it is.
        std::fs::write(&file, text.replace('\u{7f}', "\\u007f"))?;
        let path = file.display().to_string();
        let ending = call::<&str>(&["render", "--file", &path], &[]).await;
        std::fs::remove_file(&file)?;
        let ending = ending?;
        ensure!(ending.code == Some(1), "vaultbridge render: {ending:?}");
        for (name, field, object) in wanted {
            let mut lines = ending.output.lines().filter(|line| line.contains(&name));
            if !lines.any(|line| line.contains(field.trim_end_matches(':'))) {
                writeln!(
                    wrong,
                    "vaultbridge render does not refuse {field} of {object}"
                )?;
            }
        }
        Ok(())
    }

    async fn dry_run_of(&self, object: &Value) -> Result<Answer> {
        let (version, kind) = (text(object, "/apiVersion")?, text(object, "/kind")?);
        let namespace = object["metadata"]["namespace"].as_str().unwrap_or_default();
        let client = self.ground().control_plane().client();
        let api = objects::api(client, version, kind, namespace).await?;
        let uri = format!("{}?dryRun=All&fieldValidation=Strict", api.resource_url());
        let request = http::Request::post(uri)
            .header("Content-Type", "application/json")
            .body(kube::client::Body::from(serde_json::to_vec(object)?))?;
        let answer = client.send(request).await?;
        let warnings = answer.headers().get_all("Warning").iter();
        Ok(Answer {
            code: answer.status().as_u16(),
            warnings: warnings
                .map(|warning| Ok(warning.to_str()?.to_owned()))
                .collect::<Result<_>>()?,
            body: serde_json::from_slice(&answer.into_body().collect_bytes().await?)?,
        })
    }
}

/// The place in an object that a JSON pointer names, made if it is not there.
fn place<'a>(object: &'a mut Value, pointer: &str) -> Result<&'a mut Value> {
    let mut here = object;
    for step in pointer.split('/').skip(1) {
        let step = step.replace("~1", "/").replace("~0", "~");
        here = match here {
            Value::Array(elements) => elements
                .get_mut(step.parse::<usize>()?)
                .with_context(|| format!("find {pointer}"))?,
            other => &mut other[step],
        };
    }
    Ok(here)
}

fn text<'a>(object: &'a Value, pointer: &str) -> Result<&'a str> {
    object
        .pointer(pointer)
        .and_then(Value::as_str)
        .with_context(|| format!("find {pointer} in {object}"))
}
