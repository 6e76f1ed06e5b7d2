//! What a `Slice` takes.

use super::resolve_axis;

/// The elements that are taken along an axis: `count` of them, `step` apart, the first at `start`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Taken {
    pub(crate) start: usize,
    pub(crate) count: usize,
    /// Not 0; negative for the order turned round.
    pub(crate) step: i64,
}

/// What is taken along each axis of `shape`; `None` where the lists do not fit it.
pub(crate) fn sliced(
    shape: &[usize],
    starts: &[i64],
    ends: &[i64],
    axes: Option<&[i64]>,
    steps: Option<&[i64]>,
) -> Option<Vec<Taken>> {
    let mut taken: Vec<Taken> = shape.iter().map(|&count| Taken { start: 0, count, step: 1 }).collect();
    if starts.len() != ends.len() {
        return None;
    }
    for (i, (&start, &end)) in starts.iter().zip(ends).enumerate() {
        let axis = match axes {
            Some(axes) => resolve_axis(*axes.get(i)?, shape.len())?,
            None => i,
        };
        let step =
            steps.map_or(Some(1), |steps| steps.get(i).copied()).filter(|&s| s != 0 && s != i64::MIN)?;
        let size = i64::try_from(*shape.get(axis)?).ok()?;
        let counted = |place: i64| if place < 0 { place.saturating_add(size) } else { place };
        // Turned round, a place before the first element is where to end, and the last is where to begin at most.
        let (low, high) = if step > 0 { (0, size) } else { (-1, size - 1) };
        let (start, end) =
            (counted(start).clamp(low.max(0).min(high.max(0)), high.max(0)), counted(end).clamp(low, high));
        let room = if step > 0 { end - start } else { start - end };
        let count = if room <= 0 { 0 } else { (room - 1) / step.abs() + 1 };
        taken[axis] =
            Taken { start: usize::try_from(start).ok()?, count: usize::try_from(count).ok()?, step };
    }
    Some(taken)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Against Python's own slices.
    #[test]
    fn slices_are_pythons() {
        for (start, end, step, expected) in [
            (0, 5, 1, (0, 5, 1)),
            (1, i64::MAX, 2, (1, 2, 2)),
            (-3, -1, 1, (2, 2, 1)),
            (-1, i64::MIN, -1, (4, 5, -1)),
            (3, 0, -2, (3, 2, -2)),
            (7, 9, 1, (5, 0, 1)),
            (2, 2, 1, (2, 0, 1)),
        ] {
            let taken = sliced(&[5], &[start], &[end], None, Some(&[step])).unwrap();
            let (start, count, step) = expected;
            assert_eq!(taken, [Taken { start, count, step }], "[{start}:{end}:{step}]");
        }
        assert_eq!(sliced(&[5], &[0], &[1], Some(&[1]), None), None);
        assert_eq!(sliced(&[5], &[0], &[1], None, Some(&[0])), None);
    }
}
