//! docs/templates.md, the page about the language and its functions, made from the table of functions.

use std::fmt::Write as _;

use super::functions::{Function, GROUPS, find};
use super::known::{self, EXTERNAL_SECRETS, SPRIG};

/// What stands above the functions.
const HEAD: &str = include_str!("page.md");

/// The examples that are shown there.
const EXAMPLES: [(&str, &str); 3] = [
    (
        "template",
        include_str!("../../../deploy/examples/template.yaml"),
    ),
    (
        "template-from",
        include_str!("../../../deploy/examples/template-from.yaml"),
    ),
    (
        "keystore",
        include_str!("../../../deploy/examples/keystore.yaml"),
    ),
];

/// The page.
pub fn page() -> String {
    let shown = |page: String, (name, text)| {
        let fence = format!("```yaml deploy/examples/{name}.yaml\n");
        page.replace(&fence, &format!("{fence}{text}"))
    };
    let mut page = EXAMPLES.into_iter().fold(HEAD.to_owned(), shown);
    for group in GROUPS {
        let note = if group.note.is_empty() {
            String::new()
        } else {
            format!("{}\n\n", group.note)
        };
        // Nothing can be wrong with writing into memory.
        let _ = write!(
            page,
            "\n### {}\n\n{note}| Function | What it gives | Example | Result |\n|---|---|---|---|\n",
            group.title
        );
        for function in group.functions {
            let signature = format!("{} {}", function.name, function.arguments);
            let _ = writeln!(
                page,
                "| {} | {} | {} | {} |",
                code(signature.trim()),
                says(function).replace('|', "\\|"),
                code(function.example),
                code(function.result)
            );
        }
    }
    page += "\n## What people know from elsewhere\n\nEvery function of sprig and of External Secrets.\n";
    for (title, names) in [("sprig", SPRIG), ("External Secrets", EXTERNAL_SECRETS)] {
        let _ = write!(
            page,
            "\n### Functions of {title}\n\n| Function | Here | |\n|---|---|---|\n"
        );
        for name in names.split(' ') {
            let (here, words) = match (find(name), known::differs(name), known::left_out(name)) {
                (Some(_), None, _) => ("yes", ""),
                (Some(_), Some(words), _) => ("yes, differs", words),
                (None, _, words) => ("no", words.unwrap_or_default()),
            };
            let _ = writeln!(page, "| {} | {here} | {words} |", code(name));
        }
    }
    page
}

/// What it gives, and its other names.
fn says(function: &Function) -> String {
    let also: Vec<String> = function.also.iter().map(|name| code(name)).collect();
    if also.is_empty() {
        function.says.to_owned()
    } else {
        format!("{} Also {}.", function.says, also.join(", "))
    }
}

/// Between backticks, in a cell of a table.
fn code(text: &str) -> String {
    let text = text.replace('\n', "⏎").replace('|', "\\|");
    if text.is_empty() {
        return String::new();
    }
    let quoted = text.contains('`') || text.starts_with(' ');
    if quoted {
        format!("`` {text} ``")
    } else {
        format!("`{text}`")
    }
}
