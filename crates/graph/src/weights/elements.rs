//! From bytes of any dtype and stride to `f32` in row-major order.

use std::io::{Read, Seek, SeekFrom};

use half::{bf16, f16};
use tintype_core::{DType, Error, ErrorKind, Result};

use super::{Stored, cut_off, failed};

/// Reads the elements.
///
/// # Errors
/// `InvalidModel` when they are not all in the storage or the file, `Unsupported` for a dtype without numbers; `Io`.
pub(super) fn read(file: &mut (impl Read + Seek), stored: &Stored) -> Result<Vec<f32>> {
    let beyond = || Error::new(ErrorKind::InvalidModel, "reaches beyond its storage");
    let count = stored.shape.iter().try_fold(1usize, |a, &d| a.checked_mul(d)).ok_or_else(beyond)?;
    if count == 0 {
        return Ok(Vec::new());
    }
    let reach = stored.shape.iter().zip(&stored.strides);
    let last = reach.clone().try_fold(0usize, |last, (&d, &s)| last.checked_add((d - 1).checked_mul(s)?));
    // Without overlaps there are as many different elements as the shape says; an expanded tensor is no parameter.
    let span = last.and_then(|last| last.checked_add(1)).filter(|&span| span <= stored.available);
    let span = span.filter(|&span| count <= span).ok_or_else(beyond)?;
    let size = stored.dtype.size().unwrap_or(1);
    let length = span.checked_mul(size).ok_or_else(beyond)? as u64;

    file.seek(SeekFrom::Start(stored.start)).map_err(failed)?;
    // Not reserved in advance: the file may be shorter than it says.
    let mut bytes = Vec::new();
    file.take(length).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 != length {
        return Err(cut_off());
    }
    let values = floats(&bytes, stored.dtype)?;
    if is_row_major(stored) {
        return Ok(values);
    }
    let mut ordered = Vec::with_capacity(count);
    let mut place = vec![0usize; stored.shape.len()];
    let mut at = 0;
    for _ in 0..count {
        ordered.push(values[at]);
        for axis in (0..place.len()).rev() {
            place[axis] += 1;
            at += stored.strides[axis];
            if place[axis] < stored.shape[axis] {
                break;
            }
            at -= stored.strides[axis] * stored.shape[axis];
            place[axis] = 0;
        }
    }
    Ok(ordered)
}

/// Whether the elements lie in the order of their indices; axes of one place may have any stride.
fn is_row_major(stored: &Stored) -> bool {
    let mut expected = 1;
    stored.shape.iter().zip(&stored.strides).rev().all(|(&d, &s)| {
        let fits = d == 1 || s == expected;
        expected *= d;
        fits
    })
}

fn floats(bytes: &[u8], dtype: DType) -> Result<Vec<f32>> {
    fn each<const N: usize>(bytes: &[u8], read: impl Fn([u8; N]) -> f32) -> Vec<f32> {
        bytes.as_chunks::<N>().0.iter().map(|&chunk| read(chunk)).collect()
    }
    Ok(match dtype {
        DType::F32 => each(bytes, f32::from_le_bytes),
        DType::F16 => each(bytes, |b| f16::from_le_bytes(b).to_f32()),
        DType::BF16 => each(bytes, |b| bf16::from_le_bytes(b).to_f32()),
        DType::F64 => each(bytes, |b| f64::from_le_bytes(b) as f32),
        DType::I64 => each(bytes, |b| i64::from_le_bytes(b) as f32),
        DType::I32 => each(bytes, |b| i32::from_le_bytes(b) as f32),
        DType::I16 => each(bytes, |b| f32::from(i16::from_le_bytes(b))),
        DType::I8 => each(bytes, |b| f32::from(i8::from_le_bytes(b))),
        DType::U64 => each(bytes, |b| u64::from_le_bytes(b) as f32),
        DType::U32 => each(bytes, |b| u32::from_le_bytes(b) as f32),
        DType::U16 => each(bytes, |b| f32::from(u16::from_le_bytes(b))),
        DType::U8 | DType::Bool => each(bytes, |[b]| f32::from(b)),
        DType::Bytes => return Err(Error::new(ErrorKind::Unsupported, "holds no numbers")),
    })
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    fn stored(shape: &[usize], strides: &[usize], dtype: DType) -> Stored {
        Stored { dtype, shape: shape.to_vec(), strides: strides.to_vec(), start: 0, available: 6 }
    }

    #[test]
    fn a_transposed_view_is_put_in_order() {
        let bytes: Vec<u8> = (0..6).flat_map(|i| (i as f32).to_le_bytes()).collect();
        let mut file = Cursor::new(bytes);
        let found = read(&mut file, &stored(&[3, 2], &[1, 3], DType::F32)).unwrap();
        assert_eq!(found, [0.0, 3.0, 1.0, 4.0, 2.0, 5.0]);
        let found = read(&mut file, &stored(&[2, 1, 3], &[3, 77, 1], DType::F32)).unwrap();
        assert_eq!(found, [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]);
    }

    #[test]
    fn what_reaches_beyond_is_refused() {
        let mut file = Cursor::new(vec![0; 24]);
        for (shape, strides) in [
            (vec![7], vec![1]),
            (vec![2, 2], vec![5, 1]),
            (vec![usize::MAX, 2], vec![1, 1]),
            (vec![1000], vec![0]),
        ] {
            let error = read(&mut file, &stored(&shape, &strides, DType::F32)).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidModel, "{shape:?}");
        }
        let error = read(&mut file, &stored(&[6], &[1], DType::F64)).unwrap_err();
        assert_eq!(error.message(), "is cut off");
    }

    #[test]
    fn every_dtype_is_converted() {
        for (dtype, bytes) in [
            (DType::F16, f16::from_f32(2.0).to_le_bytes().to_vec()),
            (DType::BF16, bf16::from_f32(2.0).to_le_bytes().to_vec()),
            (DType::F64, 2f64.to_le_bytes().to_vec()),
            (DType::I64, 2i64.to_le_bytes().to_vec()),
            (DType::U8, vec![2]),
        ] {
            assert_eq!(
                read(&mut Cursor::new(bytes), &stored(&[1], &[1], dtype)).unwrap(),
                [2.0],
                "{dtype:?}"
            );
        }
    }
}
