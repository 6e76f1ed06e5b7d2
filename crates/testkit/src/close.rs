//! Comparing numbers with a stated tolerance.

/// The largest absolute difference between two equally long slices; NaN counts as infinite.
///
/// # Panics
/// When the lengths differ.
pub fn max_abs_diff(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len(), "lengths differ");
    a.iter()
        .zip(b)
        .map(|(x, y)| (x - y).abs())
        .fold(0.0, |m, d| if d.is_nan() { f32::INFINITY } else { m.max(d) })
}

/// Fails when any element of `found` is farther than `tolerance` from `expected`, naming the worst.
///
/// # Panics
/// When the lengths differ or an element is too far off.
#[track_caller]
pub fn assert_close(found: &[f32], expected: &[f32], tolerance: f32) {
    assert_eq!(
        found.len(),
        expected.len(),
        "lengths differ: found {}, expected {}",
        found.len(),
        expected.len()
    );
    let worst = found.iter().zip(expected).enumerate().map(|(i, (x, y))| (i, (x - y).abs())).fold(
        (0, 0.0f32),
        |worst, (i, d)| {
            if d.is_nan() || d > worst.1 { (i, if d.is_nan() { f32::INFINITY } else { d }) } else { worst }
        },
    );
    assert!(
        worst.1 <= tolerance,
        "element {} differs by {:e} (tolerance {tolerance:e}): found {}, expected {}",
        worst.0,
        worst.1,
        found[worst.0],
        expected[worst.0]
    );
}
