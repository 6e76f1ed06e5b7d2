//! From arguments to an ordered list of image files.
//!
//! Names decide what is listed, nothing is opened: whether a file is an image is found out by its content, when it is
//! read.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use globset::GlobBuilder;
use tintype_core::image::{EXTENSIONS, has_image_extension};
use tintype_core::{Error, ErrorKind, Result};
use walkdir::WalkDir;

/// What makes a glob of an argument that is no path.
const SPECIAL: [char; 4] = ['*', '?', '[', '{'];

/// The image files that `arguments` name, in the arguments' order.
///
/// * A file is taken as it is, whatever its extension.
/// * A directory gives the files with one of [`EXTENSIONS`] (in either case) in it and below, sorted by path, a
///   directory's files and folders together. Hidden files and folders are left out, symbolic links are followed, but
///   for one that leads back to a folder it lies in.
/// * Anything else that has one of `*?[{` in it is a glob, in which `*` stays within a folder and `**` does not. It gives
///   what a directory would; one that ends in an extension, as `*.dat` does, gives the files with that extension.
///
/// A path that several arguments give is listed several times.
///
/// # Errors
/// `NotFound` for a path that does not exist and for a directory or glob without any image; `InvalidArgument` for a glob
/// that is malformed; `Io` for a directory that cannot be read.
pub fn images<P: AsRef<Path>>(arguments: &[P]) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for argument in arguments {
        let argument = argument.as_ref();
        let before = found.len();
        match std::fs::metadata(argument) {
            Ok(metadata) if metadata.is_dir() => {
                walk(argument, usize::MAX, has_image_extension, &mut found)?;
            }
            Ok(_) => found.push(argument.to_owned()),
            Err(e) => match argument.to_str().filter(|text| text.contains(SPECIAL)) {
                Some(pattern) => list_glob(pattern, &mut found)?,
                None => return Err(Error::io(argument, e)),
            },
        }
        if found.len() == before {
            return Err(Error::new(
                ErrorKind::NotFound,
                format!("no images found in `{}`", argument.display()),
            )
            .with_hint(format!("files with these extensions are listed: {}", EXTENSIONS.join(", "))));
        }
    }
    Ok(found)
}

/// Walks `root` (the current directory where empty) and adds the files that `wanted` says yes to, which is asked for
/// paths relative to the root, at most `depth` folders down.
fn walk(root: &Path, depth: usize, wanted: impl Fn(&Path) -> bool, images: &mut Vec<PathBuf>) -> Result<()> {
    let start = if root.as_os_str().is_empty() { Path::new(".") } else { root };
    let hidden = |name: &OsStr| name.as_encoded_bytes().starts_with(b".");
    let entries = WalkDir::new(start).follow_links(true).max_depth(depth).sort_by_file_name().into_iter();
    for entry in entries.filter_entry(|e| e.depth() == 0 || !hidden(e.file_name())) {
        let path = match &entry {
            Ok(entry) if !entry.file_type().is_file() => continue,
            Ok(entry) => entry.path(),
            Err(e) => match (e.path(), e.io_error().map(std::io::Error::kind)) {
                _ if e.loop_ancestor().is_some() => continue,
                // A link to nothing is listed, so that whoever reads it reports it.
                (Some(path), Some(std::io::ErrorKind::NotFound)) if e.depth() > 0 => path,
                _ => return Err(unreadable(start, e)),
            },
        };
        let relative = path.strip_prefix(start).unwrap_or(path);
        if wanted(relative) {
            images.push(root.join(relative));
        }
    }
    Ok(())
}

fn unreadable(root: &Path, error: &walkdir::Error) -> Error {
    let path = error.path().unwrap_or(root).display();
    let cause = error.io_error().map_or_else(|| error.to_string(), ToString::to_string);
    Error::new(ErrorKind::Io, format!("`{path}`: {cause}"))
}

fn list_glob(pattern: &str, images: &mut Vec<PathBuf>) -> Result<()> {
    let (root, rest) = split(pattern);
    let matcher = GlobBuilder::new(&rest)
        .literal_separator(true)
        .build()
        .map_err(|e| Error::new(ErrorKind::InvalidArgument, format!("glob `{pattern}`: {}", e.kind())))?
        .compile_matcher();
    if !root.as_os_str().is_empty() && !root.is_dir() {
        return Ok(());
    }
    let depth = if rest.contains("**") { usize::MAX } else { rest.matches('/').count() + 1 };
    let any_extension = names_an_extension(&rest);
    let wanted = |path: &Path| matcher.is_match(path) && (any_extension || has_image_extension(path));
    walk(&root, depth, wanted, images)
}

/// A glob's leading folders, in which nothing is to be matched, and the rest.
fn split(pattern: &str) -> (PathBuf, String) {
    let parts: Vec<&str> = pattern.split('/').collect();
    let plain = parts.iter().take_while(|part| !part.contains(SPECIAL)).count();
    let root = if pattern.starts_with('/') {
        format!("{}/", parts[..plain].join("/"))
    } else {
        parts[..plain].join("/")
    };
    (PathBuf::from(root), parts[plain..].join("/"))
}

/// Whether a glob ends in an extension without wildcards, so that the user and not the table of extensions decides.
fn names_an_extension(pattern: &str) -> bool {
    let last = pattern.rsplit('/').next().unwrap_or_default();
    last.rsplit_once('.').is_some_and(|(_, extension)| !extension.is_empty() && !extension.contains(SPECIAL))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// Makes the files and returns their folder.
    fn folder(files: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().expect("a temporary directory");
        for file in files {
            let path = folder.path().join(file);
            fs::create_dir_all(path.parent().expect("below the folder")).expect("a directory");
            fs::write(path, "").expect("a file");
        }
        folder
    }

    /// What the arguments, relative to `folder`, list, relative to it again.
    fn listed(folder: &tempfile::TempDir, arguments: &[&str]) -> Result<Vec<String>> {
        let root = folder.path();
        let arguments: Vec<String> = arguments.iter().map(|a| format!("{}/{a}", root.display())).collect();
        let paths = images(&arguments)?;
        let relative = |path: PathBuf| path.strip_prefix(root).map(|p| p.to_string_lossy().into_owned());
        Ok(paths.into_iter().map(|path| relative(path).expect("below the folder")).collect())
    }

    const FILES: [&str; 12] = [
        "b.JPG",
        "a.png",
        "c/d.tiff",
        "c/e.WebP",
        "c/f/g.jpeg",
        "c.gif",
        "notes.txt",
        "scan.dat",
        ".hidden.jpg",
        ".cache/h.jpg",
        "noextension",
        "jpg",
    ];

    #[test]
    fn what_is_listed() {
        let folder = folder(&FILES);
        let everything = ["a.png", "b.JPG", "c/d.tiff", "c/e.WebP", "c/f/g.jpeg", "c.gif"];
        let cases: [(&[&str], &[&str]); 14] = [
            (&["."], &everything),
            (&["**"], &everything),
            (&["c"], &["c/d.tiff", "c/e.WebP", "c/f/g.jpeg"]),
            (&["c/"], &["c/d.tiff", "c/e.WebP", "c/f/g.jpeg"]),
            (&["*"], &["a.png", "b.JPG", "c.gif"]),
            (&["*/*"], &["c/d.tiff", "c/e.WebP"]),
            (&["**/*.jp*g"], &["c/f/g.jpeg"]),
            (&["{a,b}.*"], &["a.png", "b.JPG"]),
            (&["[bc].*"], &["b.JPG", "c.gif"]),
            (&["c/?.tiff"], &["c/d.tiff"]),
            (&["*.dat"], &["scan.dat"]),
            (&["notes.txt", "noextension"], &["notes.txt", "noextension"]),
            (&[".cache", ".hidden.jpg"], &[".cache/h.jpg", ".hidden.jpg"]),
            (&["c.gif", "a.png", "c.gif"], &["c.gif", "a.png", "c.gif"]),
        ];
        let failures: Vec<String> = cases
            .iter()
            .filter_map(|(arguments, expected)| match listed(&folder, arguments) {
                Ok(found) if found == *expected => None,
                other => Some(format!("{arguments:?}: expected {expected:?}, found {other:?}")),
            })
            .collect();
        assert!(failures.is_empty(), "{}", failures.join("\n"));
    }

    #[test]
    fn nothing_found_is_an_error_that_names_the_argument() {
        let folder = folder(&["a.jpg", "texts/b.txt"]);
        let cases = [
            ("texts", ErrorKind::NotFound, "no images found in"),
            ("*.png", ErrorKind::NotFound, "no images found in"),
            ("nowhere/*.png", ErrorKind::NotFound, "no images found in"),
            ("b.jpg", ErrorKind::NotFound, "b.jpg"),
            ("[a.jpg", ErrorKind::InvalidArgument, "glob"),
        ];
        for (argument, kind, says) in cases {
            let error = listed(&folder, &["a.jpg", argument]).expect_err(argument);
            assert_eq!(error.kind(), kind, "{argument}: {error}");
            assert!(
                error.message().contains(says) && error.message().contains(argument),
                "{argument}: {error}"
            );
        }
    }

    #[test]
    fn a_file_whose_name_looks_like_a_glob_is_a_file() {
        let folder = folder(&["photo [1].jpg", "photo 1.jpg"]);
        assert_eq!(listed(&folder, &["photo [1].jpg"]).expect("it exists"), ["photo [1].jpg"]);
    }

    #[cfg(unix)]
    #[test]
    fn links_are_followed_and_loops_end() {
        use std::os::unix::fs::symlink;
        let folder = folder(&["album/a.jpg", "elsewhere/b.jpg"]);
        let (album, elsewhere) = (folder.path().join("album"), folder.path().join("elsewhere"));
        symlink(&album, album.join("self")).expect("a link");
        symlink("../elsewhere", album.join("there")).expect("a link");
        symlink("../album", elsewhere.join("back")).expect("a link");
        symlink("nothing", album.join("dangling.jpg")).expect("a link");
        let found = listed(&folder, &["album"]).expect("images");
        assert_eq!(found, ["album/a.jpg", "album/dangling.jpg", "album/there/b.jpg"]);
    }

    #[test]
    fn globs_split_before_the_first_wildcard() {
        for (pattern, root, rest) in [
            ("*.jpg", "", "*.jpg"),
            ("a/b/*.jpg", "a/b", "*.jpg"),
            ("a/*/b.jpg", "a", "*/b.jpg"),
            ("/*.jpg", "/", "*.jpg"),
            ("/a/**", "/a", "**"),
            ("../{a,b}/*", "..", "{a,b}/*"),
        ] {
            assert_eq!(split(pattern), (PathBuf::from(root), rest.to_owned()), "{pattern}");
        }
    }
}
