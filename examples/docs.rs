//! Writes the pages that are made from the source: `make docs`.

use std::fs;
use std::path::Path;

use vaultbridge::api::reason;
use vaultbridge::render::template::page::page;

fn main() -> std::io::Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs");
    for (name, text) in reason::pages::pages() {
        fs::write(folder.join("runbooks").join(name), text)?;
    }
    fs::write(folder.join("templates.md"), page())
}
