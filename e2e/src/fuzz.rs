//! Texts that nobody would write, thrown at what reads texts of strangers: each is one that is known, changed at some places.
//!
//! A target never panics and always says the same of the same text. What is thrown follows from the seed, so whatever was found is found
//! again; a text that makes a target fail is printed, and belongs into its folder in `e2e/fuzz/`, from where every run begins.

use std::fs;
use std::panic::{self, AssertUnwindSafe};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use vaultbridge::render::template::Context;
use vaultbridge::render::{Case, Effort, Selection, Template, Wording};
use vaultbridge::sensitive::SecretJson;
use zeroize::Zeroizing;

use crate::dice::Dice;

/// What texts are thrown at.
struct Target {
    /// Its folder in `e2e/fuzz/`.
    name: &'static str,
    /// Yields what came of a text.
    run: fn(&str) -> Option<Vec<u8>>,
}

/// Readers of what strangers write: templates; PEM, PKCS#12 and JSON Web Keys, which the functions of templates read; expressions that choose and rename fields.
const TARGETS: &[Target] = &[
    Target {
        name: "template",
        run: template,
    },
    Target {
        name: "certificates",
        run: certificates,
    },
    Target {
        name: "rename",
        run: rename,
    },
];

/// The longest text that is thrown.
const LONGEST: usize = 8 * 1024;

/// Pieces of the languages that are read, which chance alone would hardly find.
const PIECES: &[&str] = &[
    "{{",
    "}}",
    "{{-",
    "-}}",
    "{{/*",
    "*/}}",
    "{{ end }}",
    "{{ else }}",
    "{{ range ",
    "{{ with ",
    "{{ define \"a\" }}",
    "{{ template \"a\" . }}",
    "{{ break }}",
    "|",
    ":=",
    "=",
    "$x",
    "$",
    ".s",
    ".s.t",
    "(",
    ")",
    "\"",
    "`",
    "\\",
    "'",
    "0x",
    "1e9",
    "-1",
    " printf \"%*d\" ",
    " list ",
    " dict ",
    " index ",
    " toDate ",
    " substr ",
    " wrap ",
    " fromYaml ",
    " toYaml ",
    " fromToml ",
    "-----BEGIN CERTIFICATE-----",
    "-----END CERTIFICATE-----",
    "\n",
    ":",
    "=",
    "{\"kty\":\"EC\",",
    "AAAA",
    "(?i)",
    "(?P<a>",
    "[^",
    "]",
    "{1,1000}",
    "${a}",
    "$1",
    "$$",
    "\\w",
    "*",
    "?",
    "^",
    "MII",
    "ä",
    "\u{0}",
];

/// Throws at every target for so long. Fails with the seed and the text when one of them fails.
pub fn all(dice: &mut Dice, each: Duration) -> Result<Vec<String>> {
    TARGETS
        .iter()
        .map(|target| target.throw(dice, each))
        .collect()
}

impl Target {
    fn throw(&self, dice: &mut Dice, time: Duration) -> Result<String> {
        let known = self.known()?;
        ensure!(!known.is_empty(), "e2e/fuzz/{} is empty", self.name);
        for text in &known {
            self.hit(text, dice.seed())?;
        }
        let (start, mut thrown) = (Instant::now(), known.len());
        while start.elapsed() < time {
            let text = changed(dice, &known);
            self.hit(&text, dice.seed())?;
            thrown += 1;
        }
        Ok(format!("{}: {thrown} texts", self.name))
    }

    fn known(&self) -> Result<Vec<String>> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("fuzz")
            .join(self.name);
        let mut paths = Vec::new();
        for entry in fs::read_dir(&folder).with_context(|| format!("list {}", folder.display()))? {
            paths.push(entry?.path());
        }
        paths.sort();
        paths
            .iter()
            .map(|path| Ok(fs::read_to_string(path)?))
            .collect()
    }

    fn hit(&self, text: &str, seed: u64) -> Result<()> {
        let run = || panic::catch_unwind(AssertUnwindSafe(|| (self.run)(text)));
        match (run(), run()) {
            (Ok(one), Ok(other)) if one == other => Ok(()),
            (Ok(_), Ok(_)) => bail!(
                "{} says another thing each time (seed {seed}) of {text:?}",
                self.name
            ),
            _ => bail!("{} panics (seed {seed}) at {text:?}", self.name),
        }
    }
}

/// A known text with pieces put in, taken out, moved, or brought from another one.
fn changed(dice: &mut Dice, known: &[String]) -> String {
    let mut text: Vec<char> = known[dice.below(known.len())].chars().collect();
    for _ in 0..=dice.below(6) {
        let at = dice.below(text.len() + 1);
        let end = (at + dice.below(24)).min(text.len());
        let other: Vec<char> = match dice.below(5) {
            0 => Vec::new(),
            1 => PIECES[dice.below(PIECES.len())].chars().collect(),
            2 => known[dice.below(known.len())]
                .chars()
                .skip(dice.below(200))
                .take(dice.below(60))
                .collect(),
            3 => text[at..end].repeat(2),
            _ => char::from_u32(u32::try_from(dice.below(0x250)).unwrap_or(0))
                .into_iter()
                .collect(),
        };
        text.splice(at..end, other);
    }
    text.truncate(LONGEST);
    text.into_iter().collect()
}

fn rendered(template: &str, value: &str) -> Option<Vec<u8>> {
    let source = serde_json::json!({ "t": value, "n": 7, "l": ["a", { "b": null }] }).to_string();
    let source = SecretJson::parse(Zeroizing::new(source)).ok()?;
    let sources = [("s".to_owned(), Some(&source))];
    match Template::parse(template, None).and_then(|one| one.render(&Context::new(&sources))) {
        Ok(value) => Some(value.expose().to_vec()),
        Err(error) => Some(error.to_string().into_bytes()),
    }
}

fn template(text: &str) -> Option<Vec<u8>> {
    rendered(text, "a value")
}

fn certificates(text: &str) -> Option<Vec<u8>> {
    let calls = [
        "certSANs .s.t",
        "filterPEM \"CERTIFICATE\" .s.t",
        "filterCertChain \"leaf\" .s.t",
        "pkcs12certPass \"changeit\" .s.t",
        "pkcs12key .s.t",
        "jwkPublicKeyPem .s.t",
        "jwkPrivateKeyPem .s.t",
        "fullPemToPkcs12 .s.t .s.t",
        "toDate .s.t .s.t",
        "date .s.t 0",
        "printf .s.t 1 \"a\"",
    ];
    let all = calls
        .iter()
        .map(|call| rendered(&format!("{{{{ {call} }}}}"), text));
    all.collect::<Option<Vec<_>>>().map(|all| all.concat())
}

/// The first line is what to look for, the second what to put in its place, the third an expression that chooses, and the rest are names.
fn rename(text: &str) -> Option<Vec<u8>> {
    let mut lines = text.lines().map(str::to_owned);
    let find = lines.next()?;
    let put = lines.next().unwrap_or_default();
    let expression = lines.next().unwrap_or_default();
    let wording = Wording {
        include: vec![expression.clone(), find.clone()],
        exclude: vec![expression],
        rename: Some((find, put)),
        case: Case::Lower,
    };
    let selection = match Selection::new(wording) {
        Ok(selection) => selection,
        Err(error) => return Some(error.to_string().into_bytes()),
    };
    let (mut said, mut effort) = (Vec::new(), Effort::default());
    for name in lines {
        let taken = [selection.includes(&name), selection.excludes(&name)];
        said.extend(taken.map(u8::from));
        let Some(key) = selection.key(&name, &mut effort) else {
            break; // it is given up
        };
        // What is too long is cut off, and then refused as a key.
        assert!(key.len() <= LONGEST + 1024, "a key grows without end");
        said.extend(key.bytes());
    }
    Some(said)
}
