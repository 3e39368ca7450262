//! The table of the chart's values, made from the comments of `values.yaml`.

use std::fmt::Write as _;

/// A row: the value with all that it lies in, its default, and what it is.
#[derive(Debug, PartialEq, Eq)]
struct Row {
    path: String,
    default: String,
    meaning: String,
}

/// What `README.md` of the chart is to be, by its `values.yaml`.
#[must_use]
pub fn readme(values: &str) -> String {
    let mut text = "# The chart of Vaultbridge

How to install it is told in [docs/install.md](../../docs/install.md), what its admission policies do in [docs/power.md](../../docs/power.md), what to watch in
[docs/monitoring.md](../../docs/monitoring.md). `values.schema.json` refuses values that are not here. This page is made from the comments of [values.yaml](values.yaml) by `make docs`.

| Value | Default | Meaning |
|---|---|---|
"
    .to_owned();
    for Row {
        path,
        default,
        meaning,
    } in rows(values)
    {
        let _ = writeln!(text, "| `{path}` | `{default}` | {meaning} |");
    }
    text
}

fn rows(values: &str) -> Vec<Row> {
    let mut rows = Vec::new();
    let mut within: Vec<(usize, String)> = Vec::new();
    // The comment above, and whether nothing lies between.
    let (mut comment, mut fresh) = (String::new(), false);
    let mut lines = values.lines().peekable();
    while let Some(line) = lines.next() {
        let depth = line.len() - line.trim_start().len();
        let line = line.trim();
        if let Some(text) = line.strip_prefix("# -- ") {
            text.clone_into(&mut comment);
            fresh = true;
            continue;
        }
        let Some((key, value)) = line.split_once(':').filter(|_| !line.starts_with('#')) else {
            if !line.starts_with('#') {
                comment.clear();
            }
            continue;
        };
        within.retain(|(outer, _)| *outer < depth);
        let names = within.iter().map(|(_, name)| name.as_str());
        let path = names.chain([key]).collect::<Vec<_>>().join(".");
        let deeper = |next: &&str| next.len() - next.trim_start().len() > depth;
        let is_group = value.trim().is_empty() && lines.peek().is_some_and(deeper);
        if is_group {
            within.push((depth, key.to_owned()));
            if !fresh {
                comment.clear();
                continue;
            }
        }
        let default = if is_group { "see there" } else { value.trim() };
        fresh = false;
        if !comment.is_empty() {
            rows.push(Row {
                path,
                default: default.to_owned(),
                meaning: comment.clone(),
            });
        }
        // A comment goes on over a group of values that stand together.
        let goes_on = lines.peek().is_some_and(|next| {
            !next.trim().is_empty() && next.len() - next.trim_start().len() == depth
        });
        if !goes_on || is_group {
            comment.clear();
        }
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_has_the_whole_path_the_default_and_the_comment_above() {
        let values = "\n# -- How many.\nreplicas: 2\n\nlog:\n  # -- How much.\n  level: info\n  # -- For whom.\n  format: json\n";
        let found: Vec<_> = rows(values)
            .into_iter()
            .map(|row| (row.path, row.default, row.meaning))
            .collect();
        let row = |path: &str, default: &str, meaning: &str| {
            (path.to_owned(), default.to_owned(), meaning.to_owned())
        };
        assert_eq!(
            found,
            [
                row("replicas", "2", "How many."),
                row("log.level", "info", "How much."),
                row("log.format", "json", "For whom."),
            ]
        );
    }
}
