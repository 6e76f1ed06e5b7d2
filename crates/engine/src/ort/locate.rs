//! Finding ONNX Runtime's library, and refusing a wrong one.
//!
//! The library is not linked: it is looked for when the first backend is made, in the places of [`Places`] in order.
//! The first that exists is opened and asked for its version *before* the binding gets it, because the binding panics
//! on a library it cannot use. A place that was named by hand is never passed over in silence.

use std::ffi::CStr;
use std::path::{Path, PathBuf};

use tintype_core::{Error, ErrorKind, Result};

use super::VERSION;

/// The environment variable that names the library's file.
pub const LIBRARY_VARIABLE: &str = "TINTYPE_ORT_LIB";

/// Where the library may be, in order of precedence.
#[derive(Debug, Clone, Default)]
pub struct Places {
    /// A file that somebody named; nothing else is tried then.
    pub named: Option<PathBuf>,
    /// The folder of the running executable, for installations that carry the library along.
    pub beside_executable: Option<PathBuf>,
    /// tintype's cache folder, where `scripts/fetch-onnxruntime.sh` puts the library.
    pub cache: Option<PathBuf>,
}

impl Places {
    /// The places of this process: `TINTYPE_ORT_LIB`, the executable's folder, and
    /// `${TINTYPE_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/tintype}`.
    pub fn of_process() -> Self {
        let variable = |name| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
        let cache = variable("TINTYPE_CACHE").or_else(|| {
            let base =
                variable("XDG_CACHE_HOME").or_else(|| variable("HOME").map(|home| home.join(".cache")));
            base.map(|base| base.join("tintype"))
        });
        let executable = std::env::current_exe().ok();
        Self {
            named: variable(LIBRARY_VARIABLE),
            beside_executable: executable.and_then(|path| path.parent().map(Path::to_path_buf)),
            cache,
        }
    }

    /// The library's file: it exists, is a library, and is ONNX Runtime of [`VERSION`].
    ///
    /// # Errors
    /// `MissingRuntime`, with every place that was tried and the command that fetches the library, or with the
    /// version that was expected and the one that was found.
    pub fn find(&self) -> Result<PathBuf> {
        if let Some(named) = &self.named {
            if !named.is_file() {
                return Err(missing(format!(
                    "`{LIBRARY_VARIABLE}` names `{}`, which is not a file",
                    named.display()
                )));
            }
            return check(named).map(|()| named.clone());
        }
        let candidates = self.candidates();
        match candidates.iter().find(|path| path.is_file()) {
            Some(path) => check(path).map(|()| path.clone()),
            None => {
                let tried: Vec<_> = candidates.iter().map(|path| format!("`{}`", path.display())).collect();
                Err(missing(format!(
                    "ONNX Runtime {VERSION} was not found: `{LIBRARY_VARIABLE}` is not set, and there is no {}",
                    tried.join(", ")
                )))
            }
        }
    }

    fn candidates(&self) -> Vec<PathBuf> {
        let versioned = format!("libonnxruntime.so.{VERSION}");
        let mut files = Vec::new();
        if let Some(folder) = &self.beside_executable {
            files.extend(
                [versioned.as_str(), "libonnxruntime.so.1", "libonnxruntime.so"]
                    .map(|name| folder.join(name)),
            );
        }
        if let Some(cache) = &self.cache {
            files.push(cache.join("onnxruntime").join(VERSION).join(&versioned));
        }
        files
    }
}

/// Opens `path` and compares the version it reports with [`VERSION`].
fn check(path: &Path) -> Result<()> {
    let (library, found) = open(path)?;
    if found == VERSION {
        // The binding opens it again, which costs nothing while it stays loaded and 12 ms of relocations otherwise.
        std::mem::forget(library);
        return Ok(());
    }
    Err(missing(format!("`{}` is ONNX Runtime {found}, expected {VERSION}", path.display())))
}

#[expect(unsafe_code, reason = "a library's version can only be asked of the loaded library")]
fn open(path: &Path) -> Result<(libloading::Library, String)> {
    let refuse = |why: String| missing(format!("`{}` is not ONNX Runtime: {why}", path.display()));
    // An absolute path, so that the loader does not search its own folders for the name.
    let path = path.canonicalize().map_err(|e| refuse(e.to_string()))?;
    // SAFETY: loading runs the library's constructors; the operator chose this file, and ONNX Runtime's are sound.
    let library = unsafe { libloading::Library::new(&path) }.map_err(|e| refuse(loader_reason(&e, &path)))?;
    // SAFETY: in every release of ONNX Runtime the symbol has this type; another library does not have the symbol.
    let get_base: libloading::Symbol<unsafe extern "C" fn() -> *const ort::sys::OrtApiBase> =
        unsafe { library.get(b"OrtGetApiBase\0") }.map_err(|_| refuse("it has no `OrtGetApiBase`".into()))?;
    // SAFETY: the function takes nothing and returns null or a pointer to a static of the library, which is loaded.
    let base = unsafe { get_base().as_ref() }.ok_or_else(|| refuse("it offers no API".into()))?;
    // SAFETY: the result is null or a NUL-terminated static string of the library.
    let version = unsafe {
        let version = (base.GetVersionString)();
        (!version.is_null()).then(|| CStr::from_ptr(version).to_string_lossy().into_owned())
    };
    let version = version.ok_or_else(|| refuse("it reports no version".into()))?;
    Ok((library, version))
}

/// The loader's message without the path, which ours already has.
fn loader_reason(error: &libloading::Error, path: &Path) -> String {
    let reason = std::error::Error::source(error).map_or_else(|| error.to_string(), ToString::to_string);
    reason.replace(&format!("{}: ", path.display()), "")
}

fn missing(message: String) -> Error {
    Error::new(ErrorKind::MissingRuntime, message).with_hint(format!(
        "run `scripts/fetch-onnxruntime.sh` in tintype's source folder; without it: `pip download --no-deps \
         --only-binary=:all: onnxruntime=={VERSION}`, unzip `onnxruntime/capi/libonnxruntime.so.{VERSION}` out of the \
         wheel and set `{LIBRARY_VARIABLE}` to that file"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_library_names_every_place_and_the_command() {
        let folder = tempfile::tempdir().unwrap();
        let (bin, cache) = (folder.path().join("bin"), folder.path().join("cache"));
        let places = Places { named: None, beside_executable: Some(bin.clone()), cache: Some(cache.clone()) };
        let error = places.find().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::MissingRuntime);
        let cached = cache.join("onnxruntime/1.31.1/libonnxruntime.so.1.31.1");
        for place in [bin.join("libonnxruntime.so"), bin.join("libonnxruntime.so.1.31.1"), cached] {
            assert!(error.message().contains(&place.display().to_string()), "{error}");
        }
        assert!(error.message().contains(LIBRARY_VARIABLE), "{error}");
        assert!(error.hint().unwrap().contains("scripts/fetch-onnxruntime.sh"));
    }

    #[test]
    fn a_named_file_that_is_missing_is_not_passed_over() {
        let places = Places { named: Some("/nowhere/lib.so".into()), ..Places::of_process() };
        let error = places.find().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::MissingRuntime);
        assert!(error.message().contains("/nowhere/lib.so"), "{error}");
    }

    #[test]
    fn a_file_that_is_no_library_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        for (name, bytes) in
            [("text", &b"not a library"[..]), ("empty", b""), ("cut", b"\x7fELF\x02\x01\x01")]
        {
            let path = folder.path().join(name);
            std::fs::write(&path, bytes).unwrap();
            let error = Places { named: Some(path.clone()), ..Places::default() }.find().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::MissingRuntime, "{name}");
            let expected = format!("`{}` is not ONNX Runtime: ", path.display());
            assert!(error.message().starts_with(&expected), "{error}");
            assert_eq!(error.message().matches(name).count(), 1, "the path once: {error}");
        }
    }

    #[test]
    fn another_library_is_refused() {
        // The C library is a library on every Linux, found through this process's own map.
        let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
        let libc = maps.split_whitespace().find(|word| word.contains("libc.so")).unwrap();
        let error = Places { named: Some(libc.into()), ..Places::default() }.find().unwrap_err();
        assert!(error.message().contains("it has no `OrtGetApiBase`"), "{error}");
    }

    #[test]
    fn another_version_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let (source, library) = (folder.path().join("fake.c"), folder.path().join("fake.so"));
        let fake = r#"
            static const char *version(void) { return "1.20.0"; }
            static const struct { void *get_api; const char *(*version)(void); } base = { 0, version };
            const void *OrtGetApiBase(void) { return &base; }
        "#;
        std::fs::write(&source, fake).unwrap();
        // The C compiler is there: libjpeg-turbo was built with it.
        let mut compiler = std::process::Command::new("cc");
        compiler.args(["-shared", "-fPIC", "-o"]).args([&library, &source]);
        assert!(compiler.status().unwrap().success());
        let error = Places { named: Some(library.clone()), ..Places::default() }.find().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::MissingRuntime);
        let expected = format!("`{}` is ONNX Runtime 1.20.0, expected 1.31.1", library.display());
        assert_eq!(error.message(), expected);
    }

    #[test]
    fn the_executable_s_folder_comes_before_the_cache() {
        let folder = tempfile::tempdir().unwrap();
        let beside = folder.path().join("libonnxruntime.so");
        std::fs::write(&beside, b"stub").unwrap();
        let places = Places { beside_executable: Some(folder.path().into()), ..Places::of_process() };
        let places = Places { named: None, ..places };
        let error = places.find().unwrap_err();
        assert!(error.message().contains(&beside.display().to_string()), "{error}");
    }
}
