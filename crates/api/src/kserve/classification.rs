//! The classification extension: instead of scores, the best of them with their classes.

use tintype_core::{Error, ErrorKind, Result, Tensor, TensorData};

use super::invalid;

/// Scores beyond which nobody wants classes, and sorting them would take long.
const MAX_ELEMENTS: usize = 1_000_000;

/// The best `count` classes of each row of `scores`: BYTES of shape `[batch, k]`, or `[k]` where it is not `batched`.
///
/// An element is `<value>:<index>` or `<value>:<index>:<label>`, best first. The value is the score as the model gave it,
/// with six decimals; whole numbers have none. `k` is at most the number of scores in a row.
///
/// # Errors
/// `InvalidArgument` for scores that are not numbers of 32 or 64 bits or whole ones, and when there are too many.
pub fn classify(scores: &Tensor, count: usize, labels: &[String], batched: bool) -> Result<Tensor> {
    let total = scores.data().len();
    if total > MAX_ELEMENTS {
        return Err(invalid(format!(
            "classification of {total} elements is not possible, the most is {MAX_ELEMENTS}"
        )));
    }
    let rows = match batched {
        true => *scores.shape().first().ok_or_else(|| invalid("expected a batch, found a scalar"))?,
        false => 1,
    };
    let width = total.checked_div(rows).unwrap_or(0);
    let count = count.min(width);
    let rank = Rank { width, count, labels };
    let classes = match scores.data() {
        TensorData::F32(values) => rank.all(values, |a, b| b.total_cmp(a), |value| format!("{value:.6}")),
        TensorData::F64(values) => rank.all(values, |a, b| b.total_cmp(a), |value| format!("{value:.6}")),
        TensorData::I8(values) => rank.whole(values),
        TensorData::I16(values) => rank.whole(values),
        TensorData::I32(values) => rank.whole(values),
        TensorData::I64(values) => rank.whole(values),
        TensorData::U8(values) => rank.whole(values),
        TensorData::U16(values) => rank.whole(values),
        TensorData::U32(values) => rank.whole(values),
        TensorData::U64(values) => rank.whole(values),
        data @ (TensorData::F16(_) | TensorData::BF16(_) | TensorData::Bool(_) | TensorData::Bytes(_)) => {
            return Err(Error::new(
                ErrorKind::InvalidArgument,
                format!(
                    "class result not available for output due to unsupported type '{}'",
                    data.dtype().kserve()
                ),
            ));
        }
    };
    let shape = if batched { vec![rows, count] } else { vec![count] };
    Tensor::new(shape, classes)
}

struct Rank<'a> {
    width: usize,
    count: usize,
    labels: &'a [String],
}

impl Rank<'_> {
    fn whole<T: Ord + ToString>(&self, values: &[T]) -> Vec<Vec<u8>> {
        self.all(values, |a, b| b.cmp(a), T::to_string)
    }

    fn all<T>(
        &self,
        values: &[T],
        best_first: impl Fn(&T, &T) -> std::cmp::Ordering,
        print: impl Fn(&T) -> String,
    ) -> Vec<Vec<u8>> {
        let rows = values.chunks(self.width.max(1));
        let classes = rows.flat_map(|row| {
            let mut order: Vec<usize> = (0..row.len()).collect();
            // Stable: of equal scores the lower index comes first.
            order.sort_by(|&a, &b| best_first(&row[a], &row[b]));
            order.truncate(self.count);
            order.into_iter().map(|index| {
                let value = print(&row[index]);
                let class = match self.labels.get(index) {
                    Some(label) => format!("{value}:{index}:{label}"),
                    None => format!("{value}:{index}"),
                };
                class.into_bytes()
            })
        });
        classes.collect()
    }
}
