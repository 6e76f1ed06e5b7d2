//! JPEG: plain baseline by [`Baseline`], everything else, and all headers, through libjpeg-turbo's TurboJPEG 3 interface.
//!
//! A [`Decompressor`] owns one TurboJPEG handle and one [`Baseline`]. Decoding may be restricted to a region; the result is bit-exact with
//! the same region of a full decode, because the region is widened first (see [`MARGIN`]).

use std::ffi::{CStr, c_int, c_void};
use std::ptr::NonNull;

use turbojpeg_sys as tj;

use super::baseline::Baseline;
use super::{Format, Limits, Region, Size, color, corrupt, prepare_buffer, too_much_memory, unsupported};
use crate::{Error, ErrorKind, Result};

/// Pixels decoded beyond each edge of a wanted region. Chroma upsampling mixes neighbouring columns, and the decoder
/// replicates edge columns at a crop as it does at the picture's border; one iMCU of margin keeps that out.
const MARGIN: u32 = 16;

/// Scans that a progressive picture may have. Encoders write about ten; a file of a few KB can hold thousands, each of
/// which costs a pass over all coefficients.
const MAX_SCANS: c_int = 100;

/// What libjpeg says when it goes on despite damage; Pillow ignores these too.
const WARNINGS: &[&str] = &[
    "Corrupt JPEG data",
    "Inconsistent progression sequence",
    "Invalid SOS parameters for sequential JPEG",
    "Unknown Adobe color transform code",
    "Warning: unknown JFIF revision number",
];

/// A JPEG stream whose header was read: only [`Decompressor::open`] makes one, so the size is always the bytes' own.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stream<'a> {
    bytes: &'a [u8],
    size: Size,
    /// Four inks instead of three lights.
    cmyk: bool,
    /// Width of an iMCU in pixels, to which a crop must be aligned; `None` where a crop is not possible.
    mcu_width: Option<u32>,
}

impl Stream<'_> {
    /// Width and height.
    pub(super) fn size(&self) -> Size {
        self.size
    }
}

/// The decoders, with their buffers; the TurboJPEG handle is made at the first JPEG.
#[derive(Debug, Default)]
pub(crate) struct Decompressor {
    handle: Option<Handle>,
    baseline: Baseline,
}

impl Decompressor {
    /// A decompressor without a handle yet.
    pub(crate) fn new() -> Self {
        Self::default()
    }

    fn handle(&mut self) -> Result<&mut Handle> {
        if self.handle.is_none() {
            self.handle = Some(Handle::new()?);
        }
        self.handle.as_mut().ok_or_else(|| Error::new(ErrorKind::Internal, "no JPEG decoder"))
    }

    /// Gives buffers of more than `keep` bytes back.
    pub(crate) fn shrink(&mut self, keep: usize) {
        self.baseline.shrink(keep);
    }

    /// Reads the header of `bytes`.
    pub(super) fn open<'a>(&mut self, bytes: &'a [u8]) -> Result<Stream<'a>> {
        let handle = self.handle()?;
        // A stream of tables alone is no error to TurboJPEG and leaves the previous picture's size in the handle;
        // decoding then fails, so a stale size costs nothing but a wrong message.
        handle.read_header(bytes)?;
        let precision = handle.get(tj::TJPARAM_TJPARAM_PRECISION);
        if precision != 8 {
            return Err(unsupported(Format::Jpeg, format!("expected 8 bits a sample, found {precision}")));
        }
        let side = |found: c_int| u32::try_from(found).map_err(|_| corrupt(Format::Jpeg, "no size"));
        let size = Size {
            width: side(handle.get(tj::TJPARAM_TJPARAM_JPEGWIDTH))?,
            height: side(handle.get(tj::TJPARAM_TJPARAM_JPEGHEIGHT))?,
        };
        let space = handle.get(tj::TJPARAM_TJPARAM_COLORSPACE);
        let lossless = handle.get(tj::TJPARAM_TJPARAM_LOSSLESS) != 0;
        Ok(Stream {
            bytes,
            size,
            cmyk: space == tj::TJCS_TJCS_CMYK as c_int || space == tj::TJCS_TJCS_YCCK as c_int,
            mcu_width: if lossless { None } else { mcu_width(handle.get(tj::TJPARAM_TJPARAM_SUBSAMP)) },
        })
    }

    /// Decodes at least `want` of the picture to RGB in `out` and says which region that is.
    pub(super) fn decode(&mut self, stream: &Stream<'_>, job: Job<'_>, out: &mut Vec<u8>) -> Result<Region> {
        if job.want.rgb_len() > job.limits.max_memory {
            return Err(too_much_memory(Format::Jpeg, job.limits));
        }
        match self.baseline.decode(stream.bytes, job.want, out) {
            Some(()) => Ok(job.want),
            None => self.decode_any(stream, job, out),
        }
    }

    /// The same by libjpeg-turbo, whatever kind of JPEG it is.
    pub(super) fn decode_any(
        &mut self,
        stream: &Stream<'_>,
        job: Job<'_>,
        out: &mut Vec<u8>,
    ) -> Result<Region> {
        let all = Region::all(stream.size);
        let region = stream.mcu_width.map_or(all, |step| job.want.grown(MARGIN, step, stream.size));
        let handle = self.handle()?;
        match handle.decode(stream, Job { want: region, ..job }, out) {
            Ok(()) => Ok(region),
            // Odd sampling factors make the decoder's own alignment differ from what TurboJPEG announces.
            Err(_) if region != all => {
                handle.decode(stream, Job { want: all, ..job }, out)?;
                Ok(all)
            }
            Err(error) => Err(error),
        }
    }
}

/// What to decode and at what cost.
#[derive(Clone, Copy)]
pub(super) struct Job<'a> {
    pub want: Region,
    pub limits: &'a Limits,
}

fn mcu_width(subsampling: c_int) -> Option<u32> {
    match subsampling {
        tj::TJSAMP_TJSAMP_444 | tj::TJSAMP_TJSAMP_GRAY | tj::TJSAMP_TJSAMP_440 | tj::TJSAMP_TJSAMP_441 => {
            Some(8)
        }
        tj::TJSAMP_TJSAMP_422 | tj::TJSAMP_TJSAMP_420 => Some(16),
        tj::TJSAMP_TJSAMP_411 => Some(32),
        _ => None,
    }
}

/// An owned TurboJPEG decompression handle.
#[derive(Debug)]
struct Handle(NonNull<c_void>);

#[expect(unsafe_code, reason = "libjpeg-turbo is a C library")]
// SAFETY: a TurboJPEG instance has no thread affinity; it must only not be used by two threads at once, which `&mut
// self` on every method (and no `Sync`) ensures.
unsafe impl Send for Handle {}

#[expect(unsafe_code, reason = "libjpeg-turbo is a C library")]
impl Drop for Handle {
    fn drop(&mut self) {
        // SAFETY: the handle came from `tj3Init`, is owned by `self` and not used again.
        unsafe { tj::tj3Destroy(self.0.as_ptr()) }
    }
}

#[expect(unsafe_code, reason = "libjpeg-turbo is a C library")]
impl Handle {
    fn new() -> Result<Self> {
        // SAFETY: no preconditions; null means failure.
        let handle = unsafe { tj::tj3Init(tj::TJINIT_TJINIT_DECOMPRESS as c_int) };
        let mut handle = NonNull::new(handle)
            .map(Self)
            .ok_or_else(|| Error::new(ErrorKind::Internal, "cannot create a JPEG decoder"))?;
        handle.set(tj::TJPARAM_TJPARAM_SCANLIMIT, MAX_SCANS)?;
        // Colour profiles are not applied, so they need not be copied.
        handle.set(tj::TJPARAM_TJPARAM_SAVEMARKERS, 0)?;
        Ok(handle)
    }

    fn set(&mut self, parameter: tj::TJPARAM, value: c_int) -> Result<()> {
        // SAFETY: the handle is live; unknown parameters and values are refused by the call.
        let status = unsafe { tj::tj3Set(self.0.as_ptr(), parameter as c_int, value) };
        if status == 0 { Ok(()) } else { Err(Error::new(ErrorKind::Internal, self.message())) }
    }

    fn get(&mut self, parameter: tj::TJPARAM) -> c_int {
        // SAFETY: the handle is live; the call only reads it.
        unsafe { tj::tj3Get(self.0.as_ptr(), parameter as c_int) }
    }

    fn read_header(&mut self, bytes: &[u8]) -> Result<()> {
        // SAFETY: the handle is live and the pointer is valid for `len` bytes, which are not kept after the call.
        let status =
            unsafe { tj::tj3DecompressHeader(self.0.as_ptr(), bytes.as_ptr(), bytes.len() as tj::size_t) };
        self.check(status, None)
    }

    fn decode(&mut self, stream: &Stream<'_>, job: Job<'_>, out: &mut Vec<u8>) -> Result<()> {
        let Job { want, limits } = job;
        let (format, channels) = if stream.cmyk { (tj::TJPF_TJPF_CMYK, 4) } else { (tj::TJPF_TJPF_RGB, 3) };
        let length = want.width as usize * want.height as usize * channels;
        let left =
            limits.max_memory.checked_sub(length).ok_or_else(|| too_much_memory(Format::Jpeg, limits))?;
        // 0 would mean no limit.
        self.set(tj::TJPARAM_TJPARAM_MAXMEMORY, c_int::try_from(left >> 20).unwrap_or(c_int::MAX).max(1))?;
        self.crop(want, stream.size)?;
        let pixels = prepare_buffer(out, length);
        let pitch = (want.width as usize * channels) as c_int;
        // SAFETY: the handle is live. The input pointer is valid for `len` bytes. The output has `height` rows of
        // `pitch` bytes, and the crop just set (or the stream's size, read from these very bytes) makes the call write
        // exactly `width` pixels of `channels` bytes in each of `height` rows. Nothing is kept after the call.
        let status = unsafe {
            tj::tj3Decompress8(
                self.0.as_ptr(),
                stream.bytes.as_ptr(),
                stream.bytes.len() as tj::size_t,
                pixels.as_mut_ptr(),
                pitch,
                format as c_int,
            )
        };
        self.check(status, Some(limits))?;
        if stream.cmyk {
            adobe_cmyk_in_place(out);
        }
        Ok(())
    }

    fn crop(&mut self, want: Region, size: Size) -> Result<()> {
        // The handle remembers the last crop: a full decode has to clear it.
        let region = if want == Region::all(size) {
            tj::tjregion { x: 0, y: 0, w: 0, h: 0 }
        } else {
            let [x, y, w, h] = [want.x, want.y, want.width, want.height].map(|v| v as c_int);
            tj::tjregion { x, y, w, h }
        };
        // SAFETY: the handle is live; regions outside the picture are refused by the call.
        let status = unsafe { tj::tj3SetCroppingRegion(self.0.as_ptr(), region) };
        if status == 0 { Ok(()) } else { Err(Error::new(ErrorKind::Internal, self.message())) }
    }

    /// Turns a status into an error, letting warnings pass.
    ///
    /// TurboJPEG keeps the flag "there was a warning" also when a fatal error follows, but the text is then the fatal
    /// one; so the text decides.
    fn check(&mut self, status: c_int, limits: Option<&Limits>) -> Result<()> {
        if status == 0 {
            return Ok(());
        }
        let message = self.message();
        // SAFETY: the handle is live; the call only reads it.
        let code = unsafe { tj::tj3GetErrorCode(self.0.as_ptr()) };
        let warned = code == tj::TJERR_TJERR_WARNING as c_int;
        if warned && WARNINGS.iter().any(|known| message.starts_with(known)) {
            return Ok(());
        }
        Err(match limits {
            Some(limits)
                if message.starts_with("Memory limit") || message.starts_with("Insufficient memory") =>
            {
                too_much_memory(Format::Jpeg, limits)
            }
            _ if message.starts_with("Progressive JPEG image has more than") => {
                Error::new(ErrorKind::ImageTooLarge, format!("expected at most {MAX_SCANS} scans in a JPEG"))
            }
            _ if message.starts_with("Unsupported") || message.contains("Could not determine colorspace") => {
                unsupported(Format::Jpeg, message)
            }
            _ => corrupt(Format::Jpeg, message),
        })
    }

    fn message(&mut self) -> String {
        // SAFETY: the handle is live; the returned string is never null, ends in a zero and lives until the next call
        // on this handle or thread, and it is copied at once.
        let text = unsafe { CStr::from_ptr(tj::tj3GetErrorStr(self.0.as_ptr())) };
        text.to_string_lossy().into_owned()
    }
}

/// CMYK as Adobe writes it, 255 = no ink, to RGB; four bytes a pixel become three.
fn adobe_cmyk_in_place(pixels: &mut Vec<u8>) {
    let count = pixels.len() / 4;
    for i in 0..count {
        let inks = [pixels[4 * i], pixels[4 * i + 1], pixels[4 * i + 2], pixels[4 * i + 3]];
        pixels[3 * i..3 * i + 3].copy_from_slice(&color::cmyk_to_rgb(inks.map(|ink| 255 - ink)));
    }
    pixels.truncate(count * 3);
}

#[cfg(test)]
mod tests {
    use super::*;

    const PICTURES: &[(&str, &[u8])] = &[
        ("4:4:4", include_bytes!("../../tests/data/pixels/decode/wide_444.jpg")),
        ("4:2:2", include_bytes!("../../tests/data/pixels/decode/wide_422.jpg")),
        ("4:2:0", include_bytes!("../../tests/data/pixels/decode/wide_420.jpg")),
        ("progressive", include_bytes!("../../tests/data/pixels/decode/wide_progressive.jpg")),
        ("grey", include_bytes!("../../tests/data/pixels/decode/wide_gray.jpg")),
        ("smaller than the margin", include_bytes!("../../tests/data/pixels/decode/baseline_420.jpg")),
    ];

    /// One handle for all, so that a crop of one picture must not leak into the next.
    #[test]
    fn a_cropped_decode_is_the_crop_of_a_full_decode() {
        let limits = Limits::default();
        let mut decompressor = Decompressor::new();
        for (name, bytes) in PICTURES {
            let stream = decompressor.open(bytes).unwrap();
            let Size { width, height } = stream.size();
            let mut full = Vec::new();
            let all = Region::all(stream.size());
            decompressor.decode_any(&stream, Job { want: all, limits: &limits }, &mut full).unwrap();
            for (i, j) in (0..7).flat_map(|i| (0..7).map(move |j| (i, j))) {
                let (x, y) = (i * width / 9, j * height / 9);
                let want = Region { x, y, width: (width / 5).max(1), height: (height / 7).max(1) };
                let mut part = Vec::new();
                let got = decompressor.decode_any(&stream, Job { want, limits: &limits }, &mut part).unwrap();
                assert_eq!(part.len(), got.rgb_len());
                for row in 0..want.height {
                    let length = want.width as usize * 3;
                    let in_full = ((want.y + row) * width + want.x) as usize * 3;
                    let in_part = ((want.y - got.y + row) * got.width + want.x - got.x) as usize * 3;
                    assert_eq!(
                        part[in_part..in_part + length],
                        full[in_full..in_full + length],
                        "{name}: row {row} of {want:?} out of {got:?}"
                    );
                }
            }
        }
    }
}
