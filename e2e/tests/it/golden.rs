//! What a template means is what Go makes of it: every case of `e2e/golden/` is carried out by Vaultbridge and by Go's own
//! `text/template` with sprig. Where both are not to say the same, the case says why, and what each of them says.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use vaultbridge::render::Template;
use vaultbridge::render::template::{Context, known};
use vaultbridge::sensitive::SecretJson;
use vaultbridge_e2e::components::{Components, GOLDEN};
use zeroize::Zeroizing;

/// How many cases there are at least: files that are not read would make the comparison pass.
const LEAST: usize = 300;

/// A file of cases.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    /// The sources of cases that have none of their own.
    #[serde(default)]
    values: Value,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Case {
    /// Both yield the same text.
    Same(String),
    Told(Box<Told>),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Told {
    template: Option<String>,
    /// A template that both refuse.
    fails: Option<String>,
    values: Option<Value>,
    delimiters: Option<[String; 2]>,
    /// Why both do not say the same.
    differs: Option<String>,
    ours: Option<Expected>,
    go: Option<Expected>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Expected {
    Text(String),
    /// A part of the message.
    Error {
        error: String,
    },
}

/// A case with all that belongs to it.
#[derive(Serialize)]
struct Question {
    #[serde(skip)]
    file: String,
    template: String,
    values: Value,
    delimiters: Option<[String; 2]>,
    #[serde(skip)]
    wanted: Wanted,
}

enum Wanted {
    Same,
    Refusal,
    Difference(Expected, Expected),
}

/// The text, or the message.
type Outcome = Result<Vec<u8>, String>;

#[derive(Deserialize)]
struct Answer {
    functions: Vec<String>,
    results: Vec<BTreeMap<String, String>>,
}

#[test]
fn a_template_yields_what_it_yields_in_go_or_what_the_list_of_differences_says() -> Result<()> {
    let questions = questions()?;
    ensure!(questions.len() >= LEAST, "only {} cases", questions.len());
    let (_, outcomes) = ask_go(&questions)?;
    let mut wrong = Vec::new();
    for (question, go) in questions.iter().zip(&outcomes) {
        let ours = render(question)?;
        let told = match &question.wanted {
            Wanted::Same if ours.is_ok() && ours == *go => continue,
            Wanted::Same => "both shall yield the same text",
            Wanted::Refusal if ours.is_err() && go.is_err() => continue,
            Wanted::Refusal => "both shall refuse it",
            Wanted::Difference(_, _) if ours == *go => "there is no difference any more",
            Wanted::Difference(as_ours, as_gos) if as_ours.is(&ours) && as_gos.is(go) => continue,
            Wanted::Difference(_, _) => "the difference is another one",
        };
        wrong.push(format!(
            "{}: {told}\n  {}\n  ours {}\n  Go's {}",
            question.file,
            question.template,
            shown(&ours),
            shown(go)
        ));
    }
    let all = questions.len();
    ensure!(
        wrong.is_empty(),
        "{} of {all} cases:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    Ok(())
}

#[test]
fn the_page_names_every_function_of_sprig() -> Result<()> {
    let (functions, _) = ask_go(&[])?;
    let known: Vec<&str> = known::SPRIG.split(' ').collect();
    ensure!(
        functions == known,
        "sprig has {functions:?}, and known.rs {known:?}"
    );
    Ok(())
}

#[test]
fn go_opens_the_key_stores_that_templates_make() -> Result<()> {
    let chain = |function: &str, more: &str| {
        format!("{{{{ {function} (print .s.leaf .s.mid .s.root) {more} }}}}")
    };
    let values = questions()?
        .into_iter()
        .find(|one| one.file == "certificates.yaml");
    let values = values.context("the cases about certificates")?.values;
    let case = |template: String, values: &Value| Question {
        file: String::new(),
        template,
        values: values.clone(),
        delimiters: None,
        wanted: Wanted::Same,
    };
    let mut asked = Vec::new();
    for (make, open) in [
        (
            chain("fullPemToPkcs12Pass", ".s.key \"pw\""),
            "pkcs12certPass \"pw\"",
        ),
        (chain("fullPemToPkcs12", ".s.sec1"), "pkcs12cert"),
        (
            chain("pemToPkcs12Pass", ".s.key \"grün\""),
            "pkcs12keyPass \"grün\"",
        ),
        (
            chain("pemTruststoreToPKCS12Pass", "\"pw\""),
            "trusted \"pw\"",
        ),
        (chain("pemTruststoreToPKCS12", ""), "trusted \"\""),
    ] {
        let store = render(&case(make, &values))?.map_err(|told| anyhow::anyhow!(told))?;
        let store = json!({ "s": { "store": String::from_utf8(store)? } });
        asked.push(case(
            format!("{{{{ .s.store | b64dec | {open} }}}}"),
            &store,
        ));
    }
    let (_, opened) = ask_go(&asked)?;
    let opened: Vec<String> = opened.iter().map(shown).collect();
    let certificates: Vec<usize> = opened
        .iter()
        .map(|one| one.matches("BEGIN CERT").count())
        .collect();
    ensure!(certificates == [3, 3, 0, 0, 0], "{opened:#?}");
    ensure!(opened[2].contains("BEGIN PRIVATE KEY"), "{opened:#?}");
    ensure!(
        opened[3].contains("[leaf mid root]") && opened[3] == opened[4],
        "{opened:#?}"
    );
    Ok(())
}

impl Expected {
    fn is(&self, outcome: &Outcome) -> bool {
        match (self, outcome) {
            (Self::Text(text), Ok(made)) => text.as_bytes() == made,
            (Self::Error { error }, Err(told)) => told.contains(error.as_str()),
            _ => false,
        }
    }
}

fn shown(outcome: &Outcome) -> String {
    match outcome {
        Ok(text) => format!("{:?}", String::from_utf8_lossy(text)),
        Err(told) => format!("fails: {told}"),
    }
}

/// All cases of all files.
fn questions() -> Result<Vec<Question>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden");
    let mut all = Vec::new();
    for entry in fs::read_dir(&folder).context("list the cases")? {
        let path = entry?.path();
        let text = fs::read_to_string(&path)?;
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let file: File = serde_saphyr::from_str(&text).with_context(|| format!("read {name}"))?;
        for case in file.cases {
            all.push(question(&name, &file.values, case)?);
        }
    }
    Ok(all)
}

fn question(file: &str, values: &Value, case: Case) -> Result<Question> {
    let told = match case {
        Case::Told(told) => *told,
        Case::Same(template) => Told {
            template: Some(template),
            fails: None,
            values: None,
            delimiters: None,
            differs: None,
            ours: None,
            go: None,
        },
    };
    let Told {
        template,
        fails,
        values: own,
        delimiters,
        differs,
        ours,
        go,
    } = told;
    let refused = fails.is_some();
    let template = template.or(fails).context("a case without a template")?;
    let wanted = match (refused, differs, ours, go) {
        (true, None, None, None) => Wanted::Refusal,
        (false, None, None, None) => Wanted::Same,
        (false, Some(why), Some(ours), Some(go)) if !why.is_empty() => Wanted::Difference(ours, go),
        _ => anyhow::bail!("{file}: a difference has differs, ours and go: {template}"),
    };
    let values = match own.unwrap_or_else(|| values.clone()) {
        Value::Null => json!({}),
        values => values,
    };
    Ok(Question {
        file: file.to_owned(),
        template,
        values,
        delimiters,
        wanted,
    })
}

/// What Vaultbridge makes of it.
fn render(question: &Question) -> Result<Outcome> {
    let values = question.values.as_object().context("sources by name")?;
    let mut parsed = Vec::new();
    for (name, value) in values {
        let source = SecretJson::parse(Zeroizing::new(value.to_string()));
        parsed.push((
            name.clone(),
            source.map_err(|_| anyhow::anyhow!("{name} is no JSON"))?,
        ));
    }
    let sources: Vec<_> = parsed
        .iter()
        .map(|(name, source)| (name.clone(), Some(source)))
        .collect();
    let [left, right] = question.delimiters.clone().unwrap_or_default();
    let delimiters = (!left.is_empty()).then_some([left.as_str(), right.as_str()]);
    let made = Template::parse(&question.template, delimiters)
        .and_then(|template| template.render(&Context::new(&sources)));
    Ok(made
        .map(|value| value.expose().to_vec())
        .map_err(|error| error.to_string()))
}

/// What Go makes of them, and the functions that sprig has.
fn ask_go(questions: &[Question]) -> Result<(Vec<String>, Vec<Outcome>)> {
    let components = Components::ensure(&[&GOLDEN])?;
    let mut child = Command::new(components.program("golden")?)
        .env("TZ", "UTC")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let asked = serde_json::to_vec(&json!({ "cases": questions }))?;
    let mut stdin = child.stdin.take().context("its standard input")?;
    // It reads everything before it writes anything.
    stdin.write_all(&asked)?;
    drop(stdin);
    let output = child.wait_with_output()?;
    ensure!(
        output.status.success(),
        "golden ended with {}",
        output.status
    );
    let answer: Answer = serde_json::from_slice(&output.stdout)?;
    ensure!(
        answer.results.len() == questions.len(),
        "an answer for each"
    );
    let mut outcomes = Vec::new();
    for result in answer.results {
        outcomes.push(match result.get("error") {
            Some(told) => Err(told.clone()),
            None => Ok(STANDARD.decode(result.get("text").map_or("", String::as_str))?),
        });
    }
    Ok((answer.functions, outcomes))
}
