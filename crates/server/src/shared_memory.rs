//! Regions of system shared memory that clients put tensors into: POSIX objects, as `shm_open` names them.
//!
//! A region is read and written with `pread` and `pwrite`, not mapped: the tensor is copied once either way, and a client
//! that shrinks or rewrites the object while it is used gets an error or wrong numbers, never the process's memory.

use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::buffer::spare_capacity;
use rustix::fs::{FileType, fstat};
use rustix::io::{Errno, pread};
use rustix::shm::{self, Mode, OFlags};
use tintype_api::kserve::{Region, RegionStatus, Register};
use tintype_core::{Error, ErrorKind, Result};

/// The longest name that the system takes.
const MAX_NAME: usize = 255;

/// The most regions at once: each holds a file descriptor.
const MAX_REGIONS: usize = 4096;

/// The registered regions by name.
#[derive(Debug, Default)]
pub(crate) struct SharedMemory {
    regions: Mutex<BTreeMap<String, Arc<Registered>>>,
}

#[derive(Debug)]
struct Registered {
    object: File,
    status: RegionStatus,
}

impl SharedMemory {
    /// Makes `register` known as `name`.
    ///
    /// # Errors
    /// `AlreadyExists` for a name that is taken; `InvalidArgument` for an object that is not there, or is smaller than
    /// the region.
    pub(crate) fn register(&self, name: &str, register: Register) -> Result<()> {
        let mut regions = lock(&self.regions);
        if regions.contains_key(name) {
            let message = format!("shared memory region '{name}' already in manager");
            return Err(Error::new(ErrorKind::AlreadyExists, message));
        }
        if regions.len() == MAX_REGIONS {
            return Err(invalid(format!(
                "there are {MAX_REGIONS} regions of shared memory, which is the most"
            )));
        }
        let object = open(&register.key)?;
        let Register { key, offset, byte_size } = register;
        let end = offset.checked_add(byte_size);
        let length = object.metadata().map_err(|error| unreadable(name, error))?.len();
        if end.is_none_or(|end| end > length) {
            return Err(invalid(format!(
                "failed to register shared memory region '{name}': invalid args: offset {offset} and byte size \
                 {byte_size} reach beyond the {length} bytes of '{key}'"
            )));
        }
        let status = RegionStatus { name: name.to_owned(), key, offset, byte_size };
        regions.insert(name.to_owned(), Arc::new(Registered { object, status }));
        Ok(())
    }

    /// Forgets a region; all where `name` is `None`. One that is not known is forgotten already.
    pub(crate) fn unregister(&self, name: Option<&str>) {
        let mut regions = lock(&self.regions);
        match name {
            Some(name) => drop(regions.remove(name)),
            None => regions.clear(),
        }
    }

    /// One region, or all.
    ///
    /// # Errors
    /// `NotFound` for a name that is not registered.
    pub(crate) fn status(&self, name: Option<&str>) -> Result<Vec<RegionStatus>> {
        let regions = lock(&self.regions);
        match name {
            None => Ok(regions.values().map(|region| region.status.clone()).collect()),
            Some(name) => {
                let region = regions.get(name).ok_or_else(|| {
                    let message = format!("Unable to find system shared memory region: '{name}'");
                    Error::new(ErrorKind::NotFound, message)
                })?;
                Ok(vec![region.status.clone()])
            }
        }
    }

    /// The bytes of `region`.
    ///
    /// # Errors
    /// `InvalidArgument` when it is not registered, or not so large.
    pub(crate) fn read(&self, region: &Region) -> Result<Vec<u8>> {
        let (registered, offset) = self.find(region)?;
        let size = usize::try_from(region.byte_size).map_err(|_| out_of_range(&region.name))?;
        // Not zeroed before: for memory of zeros the allocator takes fresh pages, whose faults cost more than the copy.
        let mut bytes = Vec::with_capacity(size);
        while bytes.len() < size {
            let at = offset + bytes.len() as u64;
            match pread(&registered.object, spare_capacity(&mut bytes), at) {
                Ok(0) => return Err(unreadable(&region.name, std::io::ErrorKind::UnexpectedEof.into())),
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => return Err(unreadable(&region.name, error.into())),
            }
        }
        // There may have been more room, and more in the object.
        bytes.truncate(size);
        Ok(bytes)
    }

    /// Writes `bytes` to the beginning of `region`.
    ///
    /// # Errors
    /// `InvalidArgument` when it is not registered, or not so large.
    pub(crate) fn write(&self, region: &Region, bytes: &[u8]) -> Result<()> {
        let (registered, offset) = self.find(region)?;
        // Writing past the end would make the object grow: a client may have shrunk it.
        let length = registered.object.metadata().map_err(|error| unreadable(&region.name, error))?.len();
        if offset + bytes.len() as u64 > length {
            return Err(out_of_range(&region.name));
        }
        registered.object.write_all_at(bytes, offset).map_err(|error| unreadable(&region.name, error))
    }

    /// Looks whether `region` could be used.
    ///
    /// # Errors
    /// As [`SharedMemory::read`].
    pub(crate) fn check(&self, region: &Region) -> Result<()> {
        self.find(region).map(drop)
    }

    /// The registered region, and where in its object `region` begins.
    fn find(&self, region: &Region) -> Result<(Arc<Registered>, u64)> {
        let Region { name, offset, byte_size } = region;
        let registered = lock(&self.regions).get(name).cloned();
        let registered =
            registered.ok_or_else(|| invalid(format!("Unable to find shared memory region: '{name}'")))?;
        let end = offset.checked_add(*byte_size);
        if end.is_none_or(|end| end > registered.status.byte_size) {
            return Err(out_of_range(name));
        }
        // Both are within the object, whose size is a number of 63 bits.
        let offset = registered.status.offset + offset;
        Ok((registered, offset))
    }
}

/// Opens the object `key`.
fn open(key: &str) -> Result<File> {
    let name = key.strip_prefix('/').unwrap_or(key);
    if name.is_empty() || name.len() > MAX_NAME || matches!(name, "." | "..") || name.contains(['/', '\0']) {
        return Err(invalid(format!(
            "Unable to open shared memory region: '{key}': expected a name without `/` beyond a leading one"
        )));
    }
    let unable = |reason: String| invalid(format!("Unable to open shared memory region: '{key}': {reason}"));
    let object = shm::open(name, OFlags::RDWR, Mode::empty()).map_err(|error| unable(error.to_string()))?;
    let kind = fstat(&object).map(|status| FileType::from_raw_mode(status.st_mode));
    match kind.map_err(|error| unable(error.to_string()))? {
        FileType::RegularFile => Ok(object.into()),
        _ => Err(unable("it is not shared memory".to_owned())),
    }
}

fn invalid(message: String) -> Error {
    Error::new(ErrorKind::InvalidArgument, message)
}

fn out_of_range(name: &str) -> Error {
    invalid(format!("Invalid offset + byte size for shared memory region: '{name}'"))
}

fn unreadable(name: &str, error: std::io::Error) -> Error {
    invalid(format!("shared memory region '{name}': {error}")).with_source(error)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
