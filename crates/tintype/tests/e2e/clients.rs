use std::path::{Path, PathBuf};
use std::process::Command;

use crate::binary::finish;

/// Triton's own Python clients, over both protocols, ask everything that they can ask; see `tests/clients`.
#[test]
fn tritons_clients_notice_no_difference() {
    let Some(python) = python() else {
        eprintln!("skipped: there is no Python with `tritonclient`; `scripts/setup test` installs one");
        return;
    };
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/clients/run.py");
    let out = finish(Command::new(python).arg("-B").arg(script).arg(env!("CARGO_BIN_EXE_tintype")));
    assert!(out.status.success(), "{}{}", out.stdout, out.stderr);
    println!("{}", out.stdout);
}

/// The Python that `scripts/setup test` has made.
fn python() -> Option<PathBuf> {
    let folder = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let cache = folder("TINTYPE_CACHE").or_else(|| {
        let cache = folder("XDG_CACHE_HOME").or_else(|| Some(folder("HOME")?.join(".cache")))?;
        Some(cache.join("tintype"))
    })?;
    // `scripts/setup` writes the mark last.
    let venv = cache.join("clients");
    venv.join("installed").is_file().then(|| venv.join("bin/python"))
}
