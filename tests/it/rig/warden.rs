//! A small shell that outlives the tests by a moment and ends what they started.
//!
//! It reads from a pipe whose other end only this process holds. However the tests end, by
//! themselves or killed, the pipe closes, and the warden signals and removes what is on its list.

use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, OnceLock};

const SCRIPT: &str = r#"
listed= folders=
while read -r word what; do
  case $word in
    end) listed="$listed $what" ;;
    forget) kept=; for one in $listed; do [ "${one#*:}" = "$what" ] || kept="$kept $one"; done; listed=$kept ;;
    remove) folders="$folders
$what" ;;
  esac
done
for one in $listed; do kill -s "${one%%:*}" -- "${one#*:}"; done
for one in $listed; do
  tries=0
  while kill -0 -- "${one#*:}" && [ $tries -lt 100 ]; do sleep 0.05; tries=$((tries + 1)); done
done
echo "$folders" | while read -r folder; do [ -n "$folder" ] && rm -rf -- "$folder"; done
"#;

/// Puts a process on the list, with the signal that ends it.
pub(crate) fn end_later(pid: u32, signal: &str) {
    tell(&format!("end {signal}:{pid}"));
}

/// Puts a whole process group on the list.
pub(crate) fn end_group_later(leader: u32) {
    tell(&format!("end KILL:-{leader}"));
}

/// Takes a process off the list. Call it before the process is waited for, while its number cannot
/// belong to another.
pub(crate) fn forget(pid: u32) {
    tell(&format!("forget {pid}"));
}

/// Takes a process group off the list once it is gone.
pub(crate) fn forget_group(leader: u32) {
    tell(&format!("forget -{leader}"));
}

/// Has a folder removed at the end.
pub(crate) fn remove_later(folder: &Path) {
    tell(&format!("remove {}", folder.display()));
}

fn tell(line: &str) {
    static WARDEN: OnceLock<Mutex<Child>> = OnceLock::new();
    let warden = WARDEN.get_or_init(|| Mutex::new(hire()));
    let mut warden = warden.lock().unwrap();
    let pipe = warden.stdin.as_mut().expect("the warden reads from a pipe");
    writeln!(pipe, "{line}").expect("the warden still listens");
    drop(warden);
}

fn hire() -> Child {
    Command::new("sh")
        .args(["-c", SCRIPT])
        .process_group(0)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("a shell to watch over the tests")
}
