//! Cleans up after this process however it ends: by returning, by a panic, by Ctrl-C, by `kill -9`.
//!
//! No destructor runs in a killed process, and statics are never dropped at all. So the first child started here is a
//! small shell that holds the reading end of a pipe. The kernel closes the other end when this process is gone, whatever
//! the reason; the shell then kills every process group it was told of and removes the run's folder. It lives in a process
//! group of its own and ignores the signals of a terminal, so that Ctrl-C does not take it along.

use std::fs;
use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, Command, Stdio};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, anyhow};

/// The shell's whole work. `group N` and `gone N` keep the list of process groups, `group N quits` the list of those whose leader is
/// told to quit first and gets two seconds for it; `keep` spares the logs in the folder.
const SCRIPT: &str = r#"
trap '' INT TERM HUP QUIT
folder=$1 groups=' ' quits= keep=
while read -r verb what how; do
  case $verb in
    group) groups="$groups$what "; [ -n "$how" ] && quits="$quits$what " ;;
    gone) groups=${groups%% $what *}\ ${groups#* $what } ;;
    keep) keep=yes ;;
  esac
done
told=
for leader in $quits; do
  case $groups in *" $leader "*) kill -QUIT "$leader" && told="$told$leader " ;; esac
done
for try in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
  left=
  for leader in $told; do kill -0 "$leader" && left=yes; done
  [ -n "$left" ] || break
  sleep 0.1
done
for group in $groups; do kill -9 "-$group"; done
# Who looks at a failure reads logs; the servers' stores are large and tell nothing.
[ -n "$keep" ] && exec rm -rf "$folder"/*/kubernetes/etcd "$folder"/*/vault*/raft \
  "$folder"/*/postgres*/data "$folder"/*/postgres*/programs
# What is being killed may still put a file into the folder that is being removed.
for try in 1 2 3 4 5; do rm -rf "$folder" && exit; sleep 0.2; done
"#;

/// The way to the shell, and the folder in which this process keeps everything temporary.
#[derive(Debug)]
pub(crate) struct Janitor {
    pipe: Mutex<ChildStdin>,
    folder: PathBuf,
}

/// The one janitor of this process, started when first needed.
pub(crate) fn janitor() -> Result<&'static Janitor> {
    static JANITOR: OnceLock<Result<Janitor, String>> = OnceLock::new();
    JANITOR
        .get_or_init(|| Janitor::start().map_err(|error| format!("{error:#}")))
        .as_ref()
        .map_err(|error| anyhow!("start the janitor: {error}"))
}

impl Janitor {
    fn start() -> Result<Self> {
        let moment = SystemTime::now().duration_since(UNIX_EPOCH)?.as_nanos();
        let folder =
            std::env::temp_dir().join(format!("vaultbridge-{}-{moment}", std::process::id()));
        fs::create_dir(&folder).with_context(|| format!("create {}", folder.display()))?;
        let mut shell = Command::new("/bin/sh")
            .args(["-c", SCRIPT, "vaultbridge-janitor"])
            .arg(&folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .context("start /bin/sh")?;
        let pipe = shell.stdin.take().context("hold the pipe to the janitor")?;
        Ok(Self {
            pipe: Mutex::new(pipe),
            folder,
        })
    }

    /// The folder of this run; removed when this process is gone. Its logs stay after [`keep`](Self::keep).
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Promises that the process group dies with this process; told to quit before, if it does so.
    pub(crate) fn watch(&self, group: u32, quits: bool) -> Result<()> {
        let how = if quits { " quits" } else { "" };
        self.tell(&format!("group {group}{how}\n"))
    }

    /// Takes the promise back, because the group has ended and its number may be given to somebody else.
    pub(crate) fn forget(&self, group: u32) -> Result<()> {
        self.tell(&format!("gone {group}\n"))
    }

    /// Leaves the folder with the logs behind, for a person to look at after a failure.
    pub(crate) fn keep(&self) -> Result<()> {
        self.tell("keep\n")
    }

    fn tell(&self, line: &str) -> Result<()> {
        let mut pipe = self.pipe.lock().unwrap_or_else(PoisonError::into_inner);
        pipe.write_all(line.as_bytes()).context("tell the janitor")
    }
}
