//! A content into the cache, in as many pieces as it takes.

use std::fs::{self, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

use tintype_core::package::digest::of_file;
use tintype_core::{Error, ErrorKind, Result};
use ureq::http::StatusCode;

use crate::cache::make_folder_of;
use crate::hub::Progress;
use crate::repo::Repo;
use crate::wire::{Ask, Wire, check};

/// How often a download that broke off is taken up again, while each time more arrives.
const ATTEMPTS: usize = 5;
/// Length of the hexadecimal SHA-256 that tags a large file; a small one has git's own tag.
const SHA256_LENGTH: usize = 64;

/// What is to be fetched.
pub(crate) struct Content<'a> {
    pub repo: &'a Repo,
    pub path: &'a str,
    pub url: &'a str,
    /// The tag of the content.
    pub tag: &'a str,
    /// Its length, where the hub says.
    pub length: Option<u64>,
}

impl Content<'_> {
    /// Fetches the content to `blob`, through `<blob>.incomplete` beside it, which a later call continues.
    ///
    /// # Errors
    /// `Io` when the connection breaks off again and again; `InvalidPackage` when the content is not what the hub
    /// promised; as [`check`].
    pub fn fetch(&self, wire: &Wire, blob: &Path, progress: &Progress) -> Result<()> {
        let mut name = blob.as_os_str().to_owned();
        name.push(".incomplete");
        let part = Path::new(&name);
        make_folder_of(part)?;
        let mut before = None;
        for _ in 0..ATTEMPTS {
            let result = self.attempt(wire, part, progress);
            let there = fs::metadata(part).map_or(0, |m| m.len());
            match result {
                Ok(()) => break,
                Err(error) if error.kind() != ErrorKind::Io || before == Some(there) => return Err(error),
                Err(_) => before = Some(there),
            }
        }
        self.verify(part)?;
        fs::rename(part, blob).map_err(|e| Error::io(blob, e))
    }

    fn attempt(&self, wire: &Wire, part: &Path, progress: &Progress) -> Result<()> {
        let failed = |e| Error::io(part, e);
        let mut file =
            OpenOptions::new().create(true).truncate(false).write(true).open(part).map_err(failed)?;
        let mut there = file.seek(SeekFrom::End(0)).map_err(failed)?;
        if self.length == Some(there) {
            return Ok(());
        }
        let mut answer = wire.ask(self.url, Ask::From(there))?;
        if answer.status() == StatusCode::RANGE_NOT_SATISFIABLE {
            file.set_len(0).map_err(failed)?;
            answer = wire.ask(self.url, Ask::From(0))?;
        }
        check(&answer, self.repo, self.path)?;
        if answer.status() != StatusCode::PARTIAL_CONTENT {
            file.set_len(0).map_err(failed)?;
            there = file.seek(SeekFrom::Start(0)).map_err(failed)?;
        }
        let mut body = answer.into_body().into_reader();
        let mut buffer = vec![0; 1 << 16];
        loop {
            let count = match body.read(&mut buffer) {
                Ok(0) => break,
                Ok(count) => count,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e) => {
                    return Err(Error::new(ErrorKind::Io, format!("`{}` broke off: {e}", self.path))
                        .with_hint("the same command goes on from there"));
                }
            };
            file.write_all(&buffer[..count]).map_err(failed)?;
            there += count as u64;
            if self.length.is_some_and(|length| there > length) {
                return Err(self.wrong("is longer than promised"));
            }
            progress(self.path, there, self.length);
        }
        file.sync_all().map_err(failed)?;
        match self.length {
            Some(length) if there < length => Err(Error::new(
                ErrorKind::Io,
                format!("`{}` broke off after {there} of {length} bytes", self.path),
            )
            .with_hint("the same command goes on from there")),
            _ => Ok(()),
        }
    }

    /// Compares length and, for a large file, the SHA-256.
    fn verify(&self, part: &Path) -> Result<()> {
        let (length, found) = of_file(part)?;
        let has_digest = self.tag.len() == SHA256_LENGTH && self.tag.bytes().all(|b| b.is_ascii_hexdigit());
        let right = self.length.is_none_or(|expected| expected == length)
            && (!has_digest || found.eq_ignore_ascii_case(self.tag));
        if right {
            return Ok(());
        }
        // To go on from damaged bytes would never end.
        fs::remove_file(part).map_err(|e| Error::io(part, e))?;
        Err(self.wrong("is not what the hub promised"))
    }

    fn wrong(&self, what: &str) -> Error {
        Error::new(ErrorKind::InvalidPackage, format!("`{}` of `{}` {what}", self.path, self.repo.name))
    }
}
