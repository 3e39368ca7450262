//! Versions, in the meaning of Semantic Versioning, and constraints on them as Helm knows them.

use std::cmp::Ordering;

use gotmpl::Value;
use semver::Version;

use super::super::error::Fault;
use super::{Args, Dict, Function, Group, dict, row, truth};

/// The group.
pub const GROUP: Group = Group {
    title: "Versions",
    note: "",
    functions: FUNCTIONS,
};

const FUNCTIONS: &[Function] = &[
    row(
        ("semver", "TEXT"),
        "A version as a dict: `Major`, `Minor`, `Patch`, `Prerelease`, `Metadata`.",
        (r#"{{ (semver "v1.2.3").Minor }}"#, "2"),
        parts,
    ),
    row(
        ("semverCompare", "CONSTRAINT TEXT"),
        "Whether the version keeps the constraint, such as `^1.2`, `~1.2.3`, `>=1.2 <3 || 4.x` or `1.2 - 1.4`.",
        (r#"{{ semverCompare "^1.2" "1.9.0" }}"#, "true"),
        compare,
    ),
];

/// A version, of which minor and patch may be left out, and how many parts there were.
fn version(text: &str) -> Option<(Version, usize)> {
    let text = text.strip_prefix('v').unwrap_or(text);
    let end = text.find(['-', '+']).unwrap_or(text.len());
    let (numbers, more) = text.split_at(end);
    let parts = numbers.split('.').count();
    let padded = format!(
        "{numbers}{}{more}",
        ".0".repeat(3_usize.checked_sub(parts)?)
    );
    Some((Version::parse(&padded).ok()?, parts))
}

fn parts(a: &mut Args<'_>) -> Result<Value, Fault> {
    let (version, _) = version(a.text(0)?).ok_or_else(|| a.refuse("the argument is no version"))?;
    let number = |part: u64| i64::try_from(part).map_or(Value::Uint(part), Value::Int);
    dict(Dict::from([
        ("Major".into(), number(version.major)),
        ("Minor".into(), number(version.minor)),
        ("Patch".into(), number(version.patch)),
        ("Prerelease".into(), version.pre.as_str().into()),
        ("Metadata".into(), version.build.as_str().into()),
    ]))
}

fn compare(a: &mut Args<'_>) -> Result<Value, Fault> {
    let constraint = constraint(a.text(0)?).ok_or_else(|| a.refuse("the constraint is none"))?;
    let (version, _) =
        version(a.text(1)?).ok_or_else(|| a.refuse("the second argument is no version"))?;
    truth(
        constraint
            .iter()
            .any(|all| all.iter().all(|one| one.holds(&version))),
    )
}

/// One comparison.
struct Comparison {
    operator: &'static str,
    version: Version,
    /// How many parts are given; the others may be anything.
    given: usize,
}

const OPERATORS: [&str; 11] = ["!=", ">=", "=>", "<=", "=<", "~>", "=", ">", "<", "~", "^"];

/// Alternatives, each of comparisons that all have to hold.
fn constraint(text: &str) -> Option<Vec<Vec<Comparison>>> {
    text.split("||").map(alternative).collect()
}

fn alternative(text: &str) -> Option<Vec<Comparison>> {
    if let Some((from, to)) = text.split_once(" - ") {
        return Some(vec![
            comparison(">=", from.trim())?,
            comparison("<=", to.trim())?,
        ]);
    }
    let mut all = Vec::new();
    let mut operator = None;
    for word in text.split([' ', ',']).filter(|word| !word.is_empty()) {
        let found = OPERATORS
            .iter()
            .find_map(|known| Some((*known, word.strip_prefix(known)?)));
        match (operator.take(), found) {
            (None, Some((known, ""))) => operator = Some(known),
            (None, Some((known, rest))) => all.push(comparison(known, rest)?),
            (known, None) => all.push(comparison(known.unwrap_or("="), word)?),
            (Some(_), Some(_)) => return None,
        }
    }
    (operator.is_none() && !all.is_empty()).then_some(all)
}

fn comparison(operator: &'static str, text: &str) -> Option<Comparison> {
    let text = text.strip_prefix('v').unwrap_or(text);
    let end = text.find(['-', '+']).unwrap_or(text.len());
    let (numbers, more) = text.split_at(end);
    let any = |part: &str| matches!(part, "x" | "X" | "*");
    let given: Vec<&str> = numbers.split('.').take_while(|part| !any(part)).collect();
    let plain = if given.is_empty() {
        "0".to_owned()
    } else {
        given.join(".")
    };
    let (version, _) = version(&(plain + more))?;
    Some(Comparison {
        operator,
        version,
        given: given.len(),
    })
}

impl Comparison {
    /// As Masterminds' semver, which Helm uses: a version before a release counts only where the constraint names one.
    fn holds(&self, version: &Version) -> bool {
        let Self {
            operator,
            version: own,
            given,
        } = self;
        if !version.pre.is_empty() && own.pre.is_empty() {
            return false;
        }
        let order = version.cmp_precedence(own);
        let parts = |version: &Version| [version.major, version.minor, version.patch];
        let (theirs, ours) = (parts(version), parts(own));
        let given_order = theirs[..*given].cmp(&ours[..*given]);
        match *operator {
            ">" if *given < 3 => given_order == Ordering::Greater,
            ">" => order.is_gt(),
            "<" => order.is_lt(),
            ">=" | "=>" => order.is_ge(),
            "<=" | "=<" if *given < 3 => given_order.is_le(),
            "<=" | "=<" => order.is_le(),
            "!=" if *given < 3 => given_order != Ordering::Equal,
            "!=" => order.is_ne(),
            "^" => order.is_ge() && same(theirs, ours, caret(ours, *given)),
            "~" | "~>" => order.is_ge() && same(theirs, ours, (*given).min(2)),
            _ if *given < 3 => order.is_ge() && same(theirs, ours, *given),
            _ => order.is_eq(),
        }
    }
}

fn same(theirs: [u64; 3], ours: [u64; 3], parts: usize) -> bool {
    theirs[..parts] == ours[..parts]
}

/// How many parts a caret keeps: those up to the first that is not zero.
fn caret(ours: [u64; 3], given: usize) -> usize {
    let first = ours.iter().position(|part| *part > 0).unwrap_or(2);
    (first + 1).min(given)
}
