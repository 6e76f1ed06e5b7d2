//! Zip archives written byte by byte, so that they can lie, and a table of hostile ones.
//!
//! An ordinary zip library refuses to write most of what an attacker would. [`zip`] writes any [`Entry`] as it is told;
//! [`hostile`] lists what a reader of model archives must refuse, and how.

use std::io::{Cursor, Read, Write};

/// One file of an archive, with every header field to choose.
#[derive(Debug, Clone)]
pub struct Entry {
    name: Vec<u8>,
    packed: Vec<u8>,
    method: u16,
    flags: u16,
    unix_mode: u32,
    crc: u32,
    declared: u32,
    /// The length that the local header alone declares.
    local_declared: Option<u32>,
    /// The entry whose local header and content this one shares.
    shares: Option<usize>,
}

impl Entry {
    /// A file that is stored as it is.
    pub fn stored(name: &str, content: &[u8]) -> Self {
        Self {
            name: name.into(),
            packed: content.to_vec(),
            method: 0,
            flags: 0,
            unix_mode: 0o100_644,
            crc: crc32(content),
            declared: length(content),
            local_declared: None,
            shares: None,
        }
    }

    /// A deflated file.
    pub fn deflated(name: &str, content: &[u8]) -> Self {
        Self { packed: deflate(content), method: 8, ..Self::stored(name, content) }
    }

    /// The same file, said to be `length` bytes long when unpacked.
    #[must_use]
    pub fn declaring(self, length: u32) -> Self {
        Self { declared: length, ..self }
    }

    /// The same file with a Unix mode, e.g. `0o120_777` for a symbolic link.
    #[must_use]
    pub fn with_mode(self, unix_mode: u32) -> Self {
        Self { unix_mode, ..self }
    }

    /// The same file, said to be packed by method number `method`.
    #[must_use]
    pub fn with_method(self, method: u16) -> Self {
        Self { method, ..self }
    }

    /// The same file, said to be encrypted.
    #[must_use]
    pub fn encrypted(self) -> Self {
        Self { flags: self.flags | 1, ..self }
    }

    /// The same file with a wrong checksum.
    #[must_use]
    pub fn with_wrong_crc(self) -> Self {
        Self { crc: !self.crc, ..self }
    }
}

/// The bytes of an archive.
pub fn zip(entries: &[Entry]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut offsets: Vec<usize> = Vec::new();
    for entry in entries {
        if let Some(shared) = entry.shares {
            offsets.push(offsets[shared]);
            continue;
        }
        offsets.push(bytes.len());
        bytes.extend(b"PK\x03\x04");
        header(&mut bytes, entry, entry.local_declared.unwrap_or(entry.declared));
        bytes.extend(&entry.name);
        bytes.extend(&entry.packed);
    }
    let directory = bytes.len();
    for (entry, offset) in entries.iter().zip(offsets) {
        bytes.extend(b"PK\x01\x02");
        put16(&mut bytes, 3 << 8 | 20); // made on Unix
        header(&mut bytes, entry, entry.declared);
        put16s(&mut bytes, &[0, 0, 0]); // comment, disk, internal attributes
        put32(&mut bytes, entry.unix_mode << 16);
        put32(&mut bytes, offset as u32);
        bytes.extend(&entry.name);
    }
    let directory_bytes = bytes.len() - directory;
    bytes.extend(b"PK\x05\x06");
    put16s(&mut bytes, &[0, 0, entries.len() as u16, entries.len() as u16]);
    put32(&mut bytes, directory_bytes as u32);
    put32(&mut bytes, directory as u32);
    put16(&mut bytes, 0);
    bytes
}

/// The fields that a local header and one of the directory share, up to the extra field's length.
fn header(bytes: &mut Vec<u8>, entry: &Entry, declared: u32) {
    put16s(bytes, &[20, entry.flags, entry.method, 0, 0x21]); // midnight of 1980-01-01
    put32(bytes, entry.crc);
    put32(bytes, length(&entry.packed));
    put32(bytes, declared);
    put16s(bytes, &[entry.name.len() as u16, 0]);
}

fn put16(bytes: &mut Vec<u8>, value: u16) {
    bytes.extend(value.to_le_bytes());
}

fn put16s(bytes: &mut Vec<u8>, values: &[u16]) {
    values.iter().for_each(|value| put16(bytes, *value));
}

fn put32(bytes: &mut Vec<u8>, value: u32) {
    bytes.extend(value.to_le_bytes());
}

fn length(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).expect("test archives are small")
}

/// CRC-32 as in IEEE 802.3.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc, byte| {
        (0..8).fold(
            crc ^ u32::from(*byte),
            |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 },
        )
    })
}

/// A raw deflate stream, cut out of an archive by the `zip` crate.
fn deflate(content: &[u8]) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let options =
        zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::DEFLATE);
    writer.start_file("x", options).expect("a name that is valid");
    writer.write_all(content).expect("memory takes it");
    let mut archive = writer.finish_into_readable().expect("memory takes it");
    let mut packed = Vec::new();
    archive.by_index_raw(0).expect("the one file").read_to_end(&mut packed).expect("memory gives it");
    packed
}

/// An archive that a reader must refuse.
#[derive(Debug)]
pub struct Hostile {
    /// What is wrong with it.
    pub case: &'static str,
    /// The archive.
    pub bytes: Vec<u8>,
    /// The error kind's name.
    pub kind: &'static str,
    /// Words of the message.
    pub says: &'static str,
}

/// The most files that a reader of [`hostile`] may take.
pub const MAX_ENTRIES: usize = 16;
/// The most unpacked bytes of one file that a reader of [`hostile`] may take.
pub const MAX_ENTRY_BYTES: u64 = 4 << 20;
/// The most unpacked bytes of all files that a reader of [`hostile`] may take.
pub const MAX_TOTAL_BYTES: u64 = 6 << 20;
/// The ratio of unpacked to packed bytes that a reader of [`hostile`] may take.
pub const MAX_RATIO: u64 = 200;

/// Archives that must be refused within the limits above. In each, `file` is a file that the reader reads.
pub fn hostile(file: &str) -> Vec<Hostile> {
    let mut cases = names();
    cases.extend(kinds(file));
    cases.extend(sizes(file));
    cases.extend(damage(file));
    cases
}

fn invalid(case: &'static str, bytes: Vec<u8>, says: &'static str) -> Hostile {
    Hostile { case, bytes, kind: "invalid_package", says }
}

fn too_large(case: &'static str, bytes: Vec<u8>, says: &'static str) -> Hostile {
    Hostile { case, bytes, kind: "payload_too_large", says }
}

fn names() -> Vec<Hostile> {
    let named = |case, name, says| invalid(case, zip(&[Entry::stored(name, b"x")]), says);
    vec![
        named("a name that leaves", "../evil", "leaves the archive through `..`"),
        named("a name that goes in and leaves", "a/b/../../../evil", "leaves the archive through `..`"),
        named("a name that ends in ..", "a/..", "leaves the archive through `..`"),
        named("an absolute name", "/etc/passwd", "absolute path"),
        named("a drive", "C:/evil", "absolute path"),
        named("backslashes", "..\\evil", "backslash"),
        named("a NUL", "model.onnx\0.txt", "control character"),
        named("a line feed", "a\nb", "control character"),
        named("an empty part", "a//b", "empty part"),
        named("no name", "", "empty part"),
        invalid(
            "the same name twice",
            zip(&[Entry::stored("a", b"1"), Entry::stored("a", b"2")]),
            "same name",
        ),
    ]
}

fn kinds(file: &str) -> Vec<Hostile> {
    let entry = Entry::stored(file, b"/etc/passwd");
    let one = |case, entry, says| invalid(case, zip(&[entry]), says);
    vec![
        one("a symbolic link", entry.clone().with_mode(0o120_777), "symbolic link"),
        one("a named pipe", entry.clone().with_mode(0o010_644), "neither a file nor a directory"),
        one("a device", entry.clone().with_mode(0o020_644), "neither a file nor a directory"),
        one("an encrypted file", entry.clone().encrypted(), "encrypted"),
        one("bzip2", entry.clone().with_method(12), "compression"),
        one("an unknown method", entry.with_method(4242), "compression"),
    ]
}

fn sizes(file: &str) -> Vec<Hostile> {
    let many: Vec<Entry> = (0..=MAX_ENTRIES).map(|i| Entry::stored(&i.to_string(), b"")).collect();
    let long: Vec<Entry> = (0..MAX_ENTRIES).map(|i| Entry::stored(&format!("{i:060000}"), b"")).collect();
    let half = vec![0; 3 << 20];
    let two_and_some = [Entry::stored("a", &half), Entry::stored("b", &half), Entry::stored("c", b"x")];
    let text = b"not at all as long as the header says";
    vec![
        too_large("too many files", zip(&many), "17 files"),
        too_large("names without end", zip(&long), "directory of the archive is too large"),
        too_large(
            "a large file",
            zip(&[Entry::stored("a", text).declaring(5 << 20)]),
            "5242880 bytes when unpacked",
        ),
        too_large("many large files", zip(&two_and_some), "more than 6291456 bytes when unpacked"),
        too_large("a bomb", zip(&[Entry::deflated("a", &vec![0; 2 << 20])]), "that unpack to 2097152"),
        invalid(
            "a bomb that is said to be small",
            zip(&[Entry::deflated(file, &vec![b' '; 8 << 20]).declaring(100)]),
            file_says(file),
        ),
        invalid(
            "a file shorter than it is said to be",
            zip(&[Entry::stored(file, text).declaring(100)]),
            file_says(file),
        ),
        invalid(
            "a shorter deflated file",
            zip(&[Entry::deflated(file, text).declaring(100)]),
            file_says(file),
        ),
        invalid("two files in the same bytes", overlapping(), "share the same bytes"),
        invalid("headers that disagree", disagreeing(file), "header inconsistency"),
    ]
}

/// Errors of one file name it.
fn file_says(file: &str) -> &'static str {
    file.to_owned().leak()
}

fn overlapping() -> Vec<u8> {
    let first = Entry::deflated("a", &[7; 5000]);
    let second = Entry { name: b"b".to_vec(), shares: Some(0), ..first.clone() };
    zip(&[first, second])
}

fn disagreeing(file: &str) -> Vec<u8> {
    zip(&[Entry { local_declared: Some(3), ..Entry::stored(file, b"0123456789") }])
}

fn damage(file: &str) -> Vec<Hostile> {
    let good = zip(&[Entry::deflated(file, b"{}"), Entry::stored("model.onnx", &[1; 500])]);
    let mut counts_too_many = good.clone();
    let end = counts_too_many.len() - 22;
    counts_too_many[end + 8..end + 12].copy_from_slice(&[0xfe, 0xff, 0xfe, 0xff]);
    let mut garbage = Entry::deflated(file, b"{\"a\": 1}");
    garbage.packed.fill(0xff);
    vec![
        invalid("an empty file", Vec::new(), "not a zip archive"),
        invalid("not a zip", b"PK, but nothing else".to_vec(), "not a zip archive"),
        invalid("half an archive", good[..good.len() / 2].to_vec(), "not a zip archive"),
        invalid("without its last byte", good[..good.len() - 1].to_vec(), "not a zip archive"),
        invalid("without its first bytes", good[10..].to_vec(), "not a zip archive"),
        invalid("counts more files than it has", counts_too_many, "not a zip archive"),
        invalid("a wrong checksum", zip(&[Entry::stored(file, b"{}").with_wrong_crc()]), file_says(file)),
        invalid("a damaged deflate stream", zip(&[garbage]), file_says(file)),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_honest_archive_is_one() {
        let bytes = zip(&[Entry::stored("a", b"stored"), Entry::deflated("b/c", &[9; 3000])]);
        let mut archive = zip::ZipArchive::new(Cursor::new(bytes)).unwrap();
        archive.validate_header_consistency().unwrap();
        for (name, expected) in [("a", b"stored".to_vec()), ("b/c", vec![9; 3000])] {
            let mut content = Vec::new();
            archive.by_name(name).unwrap().read_to_end(&mut content).unwrap();
            assert_eq!(content, expected, "{name}");
        }
    }
}
