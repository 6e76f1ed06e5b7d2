//! SHA-256 digests: of bytes and files, and lists of them in the format of `sha256sum`, so that `sha256sum -c` checks
//! them too.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

use sha2::{Digest, Sha256};

use super::DIGESTS_FILE as DIGESTS;
use crate::{Error, ErrorKind, Result};

/// Hexadecimal digests by file name.
pub type Digests = BTreeMap<String, String>;

/// The digest of `bytes`, in lowercase hexadecimal.
pub fn of_bytes(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// The length in bytes and the digest of a file, read in pieces.
///
/// # Errors
/// `NotFound` or `Io`.
pub fn of_file(path: &Path) -> Result<(u64, String)> {
    let mut file = std::fs::File::open(path).map_err(|e| Error::io(path, e))?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 16];
    let mut bytes = 0;
    loop {
        match file.read(&mut buffer).map_err(|e| Error::io(path, e))? {
            0 => return Ok((bytes, hex(&hasher.finalize()))),
            n => {
                hasher.update(&buffer[..n]);
                bytes += n as u64;
            }
        }
    }
}

/// A digest in lowercase hexadecimal.
pub fn hex(digest: &[u8]) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Writes one `digest  name` line for each file.
pub fn to_text(digests: &Digests) -> String {
    digests.iter().map(|(name, digest)| format!("{digest}  {name}\n")).collect()
}

/// Parses the lines of a `SHA256SUMS`, in text (`  name`) or binary (` *name`) form.
///
/// # Errors
/// `InvalidPackage` for another line, or a name that occurs twice.
pub fn parse(text: &str) -> Result<Digests> {
    let mut digests = Digests::new();
    for (i, line) in text.lines().enumerate() {
        let entry = line.split_once(' ').and_then(|(digest, rest)| {
            let name = rest.strip_prefix([' ', '*'])?;
            let well_formed = digest.len() == 64 && digest.bytes().all(|b| b.is_ascii_hexdigit());
            (well_formed && !name.is_empty()).then(|| (name.to_owned(), digest.to_ascii_lowercase()))
        });
        let Some((name, digest)) = entry else {
            return Err(Error::new(
                ErrorKind::InvalidPackage,
                format!("`{DIGESTS}` line {}: expected 64 hexadecimal digits, two blanks and a name", i + 1),
            ));
        };
        if digests.insert(name.clone(), digest).is_some() {
            return Err(Error::new(ErrorKind::InvalidPackage, format!("`{DIGESTS}` lists `{name}` twice")));
        }
    }
    Ok(digests)
}

/// Checks the bytes of one file where its digest is known.
pub(super) fn check(digests: &Digests, name: &str, bytes: &[u8]) -> Result<()> {
    match digests.get(name) {
        Some(expected) => {
            let found = of_bytes(bytes);
            if *expected == found {
                return Ok(());
            }
            Err(Error::new(
                ErrorKind::InvalidPackage,
                format!("`{name}` is damaged: expected SHA-256 `{expected}`, found `{found}`"),
            ))
        }
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // FIPS 180-2, appendix B.1.
    const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    #[test]
    fn digest_of_a_known_text() {
        assert_eq!(of_bytes(b"abc"), ABC);
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "abc").unwrap();
        assert_eq!(of_file(file.path()).unwrap(), (3, ABC.to_owned()));
    }

    #[test]
    fn reads_what_sha256sum_writes() {
        let text = format!("{ABC}  a b\n{} *c\n", ABC.to_uppercase());
        let digests = parse(&text).unwrap();
        assert_eq!(digests.keys().collect::<Vec<_>>(), ["a b", "c"]);
        assert_eq!(parse(&to_text(&digests)).unwrap(), digests);
        assert!(check(&digests, "c", b"abc").is_ok());
        assert!(check(&digests, "c", b"abd").is_err());
        assert!(check(&digests, "unlisted", b"").is_ok());
    }

    #[test]
    fn bad_lines_are_named() {
        for text in
            ["x  a\n".to_owned(), format!("{ABC} a\n"), format!("{ABC}  \n"), format!("{ABC}  a\n{ABC}  a\n")]
        {
            assert_eq!(parse(&text).expect_err(&text).kind(), ErrorKind::InvalidPackage);
        }
    }
}
