//! What `torch.save` writes, now and before PyTorch 1.6.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};

use tintype_core::{Error, ErrorKind, Result};
use zip::CompressionMethod;
use zip::read::ZipArchive;

use super::pickle::{self, Heap, Id, Node, Storage, TensorRef};
use super::{Stored, cut_off, failed, state_dict};

/// Bytes of the pickle that holds the structure. Those of the largest networks take a few.
const MAX_STRUCTURE: u64 = 64 << 20;
/// Files in the archive: one for each tensor, and some more.
const MAX_ENTRIES: usize = 1 << 16;
/// The number that begins the format before 1.6, little endian.
const MAGIC: [u8; 10] = [0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19];

/// A stretch of the file.
#[derive(Clone, Copy)]
struct Extent {
    start: u64,
    bytes: u64,
}

/// The tensors of a zip archive: `<name>/data.pkl`, and a file `<name>/data/<key>` for each storage.
///
/// # Errors
/// `InvalidModel` for a damaged archive; `Unsupported` for one of a big-endian machine or with compressed storages, which
/// PyTorch does not write; `PayloadTooLarge`.
pub(super) fn zipped(file: &mut File) -> Result<BTreeMap<String, Stored>> {
    let mut zip = ZipArchive::new(file).map_err(|e| damaged(&e))?;
    if zip.len() > MAX_ENTRIES {
        return Err(Error::new(ErrorKind::PayloadTooLarge, format!("has more than {MAX_ENTRIES} files")));
    }
    let mut extents = HashMap::new();
    let mut structure = None;
    for index in 0..zip.len() {
        let entry = zip.by_index_raw(index).map_err(|e| damaged(&e))?;
        let name = entry.name().map_err(|e| damaged(&e))?.into_owned();
        // The first part is the archive's own name.
        let Some((_, inner)) = name.split_once('/') else { continue };
        if entry.compression() != CompressionMethod::Stored {
            if inner == "data.pkl" || inner.starts_with("data/") {
                return Err(unsupported("has compressed weights, as PyTorch does not write them"));
            }
            continue;
        }
        let start = entry.data_start().ok_or_else(|| Error::new(ErrorKind::InvalidModel, "is damaged"))?;
        let extent = Extent { start, bytes: entry.size() };
        match inner {
            "data.pkl" => structure = Some(extent),
            "byteorder" => extents.extend([("byteorder".to_owned(), extent)]),
            _ => extents.extend(inner.strip_prefix("data/").map(|key| (format!("data/{key}"), extent))),
        }
    }
    let file = zip.into_inner();
    let structure = structure.ok_or_else(|| {
        Error::new(ErrorKind::Unsupported, "is a zip archive without `data.pkl`, not one of `torch.save`")
    })?;
    if let Some(order) = extents.get("byteorder")
        && read(file, *order)? != b"little"
    {
        return Err(unsupported("was written on a big-endian machine"));
    }
    let mut heap = Heap::default();
    let (root, _) = pickle::run(&read(file, structure)?, &mut heap)?;
    place(&heap, root, |storage| extents.get(&format!("data/{}", storage.key)).copied())
}

/// The tensors of the older format: pickles of a number, a version, the machine, the structure and the storages' keys, then
/// the storages in that order, each after its length.
///
/// # Errors
/// As [`zipped`].
pub(super) fn legacy(file: &mut File) -> Result<BTreeMap<String, Stored>> {
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(0)).map_err(failed)?;
    Read::by_ref(file).take(MAX_STRUCTURE).read_to_end(&mut bytes).map_err(failed)?;
    let mut heap = Heap::default();
    let mut position = 0;
    let mut next = |heap: &mut Heap| -> Result<Id> {
        let (value, length) = pickle::run(bytes.get(position..).unwrap_or_default(), heap)?;
        position += length;
        Ok(value)
    };
    let magic = next(&mut heap)?;
    if !matches!(heap.node(magic), Node::Long(number) if *number == MAGIC) {
        return Err(unsupported("is a pickle, but not one of `torch.save`"));
    }
    let _version = next(&mut heap)?;
    let machine = next(&mut heap)?;
    let order = heap.entry(machine, "little_endian");
    if order.is_some_and(|id| matches!(heap.node(id), Node::Bool(false))) {
        return Err(unsupported("was written on a big-endian machine"));
    }
    let root = next(&mut heap)?;
    let keys = next(&mut heap)?;
    let sizes = heap.element_sizes();
    let mut extents = HashMap::new();
    let mut start = position as u64;
    for &key in heap.members(keys) {
        let key = heap
            .text(key)
            .ok_or_else(|| Error::new(ErrorKind::InvalidModel, "has a storage without a name"))?;
        let size = sizes.get(key).copied().ok_or_else(|| {
            Error::new(ErrorKind::InvalidModel, format!("has a storage `{key}` that nothing uses"))
        })?;
        let mut count = [0; 8];
        file.seek(SeekFrom::Start(start)).and_then(|_| file.read_exact(&mut count)).map_err(|_| cut_off())?;
        let bytes = u64::from_le_bytes(count).checked_mul(size as u64);
        let end = bytes.and_then(|bytes| (start + 8).checked_add(bytes));
        let (Some(bytes), Some(end)) = (bytes, end.filter(|&end| end < i64::MAX as u64)) else {
            return Err(cut_off());
        };
        extents.insert(key.to_owned(), Extent { start: start + 8, bytes });
        start = end;
    }
    place(&heap, root, |storage| extents.get(&storage.key).copied())
}

/// The tensors of the state dict at `root`, with their places in the file.
fn place(
    heap: &Heap,
    root: Id,
    extent: impl Fn(&Storage) -> Option<Extent>,
) -> Result<BTreeMap<String, Stored>> {
    let mut tensors = BTreeMap::new();
    for (name, tensor) in state_dict::find(heap, root)? {
        let stored = stored(&tensor, &extent).ok_or_else(|| {
            Error::new(
                ErrorKind::InvalidModel,
                format!("tensor `{name}` lies outside of the file's storages"),
            )
        })?;
        tensors.insert(name, stored);
    }
    Ok(tensors)
}

fn stored(tensor: &TensorRef, extent: impl Fn(&Storage) -> Option<Extent>) -> Option<Stored> {
    let TensorRef { storage, dtype, offset, shape, strides } = tensor.clone();
    let Extent { start, bytes } = extent(&storage)?;
    let size = dtype.size()? as u64;
    // A view begins within its storage, which holds elements of the storage's type.
    let view = storage.dtype.unwrap_or(dtype).size()? as u64 * storage.start as u64;
    let before = (offset as u64).checked_mul(size)?.checked_add(view)?;
    let left = bytes.checked_sub(before)?;
    let available = usize::try_from(left / size).ok()?;
    Some(Stored { dtype, shape, strides, start: start.checked_add(before)?, available })
}

fn read(file: &mut File, extent: Extent) -> Result<Vec<u8>> {
    if extent.bytes > MAX_STRUCTURE {
        return Err(Error::new(
            ErrorKind::PayloadTooLarge,
            format!("has a structure of {} bytes, at most {MAX_STRUCTURE} are read", extent.bytes),
        ));
    }
    file.seek(SeekFrom::Start(extent.start)).map_err(failed)?;
    let mut bytes = Vec::new();
    file.take(extent.bytes).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 == extent.bytes { Ok(bytes) } else { Err(cut_off()) }
}

fn damaged(error: &zip::result::ZipError) -> Error {
    Error::new(ErrorKind::InvalidModel, format!("is no whole zip archive: {error}"))
}

fn unsupported(what: &str) -> Error {
    Error::new(ErrorKind::Unsupported, what)
}
