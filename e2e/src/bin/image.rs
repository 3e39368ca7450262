//! `image`: builds the operator's container image as an OCI archive, with a list of all that it was made of.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail, ensure};
use clap::Parser;
use serde_json::json;
use vaultbridge_e2e::components::{CARGO_CYCLONEDX, CERTIFICATES, Components};
use vaultbridge_e2e::image::{Entry, Image};
use vaultbridge_e2e::operator::project;

/// Builds the image of the operator as an OCI archive, without a Docker daemon
#[derive(Debug, Parser)]
struct Cli {
    /// The folder for the archive and the list of parts
    #[arg(long, default_value = "target/image")]
    out: PathBuf,
    /// Leave out the list of parts, in the format `CycloneDX`
    #[arg(long)]
    no_sbom: bool,
}

/// The processors and the system that the program is built for. A static program needs nothing of the image that it lies in.
const TARGET: &str = "x86_64-unknown-linux-musl";
const ARCHITECTURE: &str = "amd64";

fn main() -> Result<()> {
    let Cli { out, no_sbom } = Cli::parse();
    let out = project().join(out);
    let program = build()?;
    let components = Components::ensure(&[&CERTIFICATES])?;
    let certificates = fs::read(components.program("cacert.pem")?)?;
    let version = env!("CARGO_PKG_VERSION");
    let image = Image {
        name: format!("vaultbridge:{version}"),
        architecture: ARCHITECTURE.into(),
        entries: vec![
            Entry {
                path: "vaultbridge".into(),
                content: fs::read(&program).context("read the program")?,
                program: true,
            },
            Entry {
                path: "etc/ssl/certs/ca-certificates.crt".into(),
                content: certificates,
                program: false,
            },
        ],
        entrypoint: vec!["/vaultbridge".into()],
        user: "65532:65532".into(),
        labels: json!({
            "org.opencontainers.image.title": "vaultbridge",
            "org.opencontainers.image.description": "Carries secrets from HashiCorp Vault and OpenBao into Kubernetes Secrets and keeps them alive",
            "org.opencontainers.image.version": version,
            "org.opencontainers.image.licenses": "Apache-2.0",
        }),
    };
    let archive = out.join(format!("vaultbridge-{version}-{ARCHITECTURE}.tar"));
    let built = image.write(&archive)?;
    let mut stdout = std::io::stdout();
    writeln!(stdout, "{}", archive.display())?;
    writeln!(stdout, "digest {}", built.digest)?;
    let mib = built.bytes / 1024 * 10 / 1024;
    writeln!(
        stdout,
        "size   {}.{} MiB, as a node fetches it",
        mib / 10,
        mib % 10
    )?;
    if !no_sbom {
        let parts = sbom(&out, version)?;
        writeln!(stdout, "parts  {}", parts.display())?;
    }
    Ok(())
}

/// The static program. What differs from machine to machine, the paths of the sources, is written as if it were the same everywhere.
fn build() -> Result<PathBuf> {
    let installed = Command::new("rustup")
        .args(["target", "add", TARGET])
        .output();
    ensure!(
        installed.is_ok_and(|output| output.status.success()),
        "the target {TARGET} cannot be installed: run `rustup target add {TARGET}`"
    );
    if Command::new("musl-gcc").arg("--version").output().is_err() {
        bail!(
            "musl-gcc is missing, which one dependency is compiled with (Debian: apt-get install musl-tools)"
        );
    }
    let root = project().canonicalize()?;
    let cargo_home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = std::env::var_os("HOME")
        .map(PathBuf::from)
        .unwrap_or_default();
    let cargo_home = cargo_home.unwrap_or_else(|| home.join(".cargo"));
    let rust = Command::new("rustc")
        .args(["--print", "sysroot"])
        .output()?;
    let sysroot = String::from_utf8(rust.stdout)?.trim().to_owned();
    let maps = [
        (root.as_path(), "/src"),
        (cargo_home.as_path(), "/cargo"),
        (Path::new(&sysroot), "/rust"),
    ];
    let rust_flags = maps.map(|(from, to)| format!("--remap-path-prefix={}={to}", from.display()));
    let c_flags = maps.map(|(from, to)| format!("-ffile-prefix-map={}={to}", from.display()));
    let folder = root.join("target/static");
    let done = Command::new("cargo")
        .current_dir(&root)
        .args([
            "build",
            "--locked",
            "--release",
            "--package",
            "vaultbridge",
            "--bin",
            "vaultbridge",
        ])
        .args(["--target", TARGET])
        .env("CARGO_TARGET_DIR", &folder)
        .env("CARGO_ENCODED_RUSTFLAGS", rust_flags.join("\u{1f}"))
        .env("CFLAGS_x86_64_unknown_linux_musl", c_flags.join(" "))
        .status()
        .context("run cargo")?;
    ensure!(done.success(), "the program could not be built");
    Ok(folder.join(TARGET).join("release/vaultbridge"))
}

/// Lists everything that the program was made of.
fn sbom(out: &Path, version: &str) -> Result<PathBuf> {
    let components = Components::ensure(&[&CARGO_CYCLONEDX])?;
    let root = project().canonicalize()?;
    let done = Command::new(components.program("cargo-cyclonedx")?)
        .current_dir(&root)
        .args(["cyclonedx", "--format", "json", "--target", TARGET])
        .args(["--override-filename", "parts"])
        .output()
        .context("run cargo-cyclonedx")?;
    ensure!(
        done.status.success(),
        "{}",
        String::from_utf8_lossy(&done.stderr)
    );
    let parts = out.join(format!("vaultbridge-{version}.cdx.json"));
    fs::rename(root.join("parts.json"), &parts).context("keep the list of parts")?;
    // There is one of the tests as well, which nobody ships.
    let _ = fs::remove_file(root.join("e2e/parts.json"));
    Ok(parts)
}
