//! A page per reason, for whoever follows the link of a condition: what the reason says of itself, and its entry of docs/reasons.md.

use super::Reason;

/// Where each reason says what it is.
const SOURCE: &str = include_str!("../reason.rs");

/// The page that has all of them.
const ENTRIES: &str = include_str!("../../../docs/reasons.md");

/// The pages below docs/runbooks, as their names and texts.
pub fn pages() -> Vec<(String, String)> {
    let page = |reason: &Reason| (format!("{reason}.md"), page(*reason));
    Reason::ALL.iter().map(page).collect()
}

fn page(reason: Reason) -> String {
    let word = reason.as_str();
    let short = summary(word);
    let entry = entry(word);
    format!(
        "# {word}\n\n{short}\n\n## In full\n\n{entry}\n\nAll reasons, and what conditions are: [reasons.md](../reasons.md).\n"
    )
}

/// The comment above the variant.
fn summary(word: &str) -> String {
    let variant = format!("    {word},\n");
    let before = SOURCE.split(&variant).next().unwrap_or_default();
    let lines = before.lines().rev();
    let mut comment: Vec<&str> = lines
        .map_while(|line| line.trim_start().strip_prefix("/// "))
        .collect();
    comment.reverse();
    comment.join(" ")
}

/// The entry without its heading, with links that lead from one folder below.
fn entry(word: &str) -> String {
    let heading = format!("\n### {word}\n");
    let after = ENTRIES.split(&heading).nth(1).unwrap_or_default();
    let entry = after.split("\n##").next().unwrap_or_default().trim();
    let mut text = String::new();
    let mut rest = entry;
    while let Some((before, after)) = rest.split_once("](") {
        let base = if after.starts_with('#') {
            "../reasons.md"
        } else if after.starts_with("http") {
            ""
        } else {
            "../"
        };
        text = text + before + "](" + base;
        rest = after;
    }
    text + rest
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn every_reason_has_a_page_that_is_up_to_date() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/runbooks");
        for (name, text) in pages() {
            let found = std::fs::read_to_string(folder.join(&name)).unwrap_or_default();
            assert_eq!(found, text, "{name} is out of date: run make docs");
            assert!(text.lines().nth(2).unwrap().len() > 20, "{text}");
            assert!(text.lines().nth(6).unwrap().len() > 20, "{text}");
        }
    }
}
