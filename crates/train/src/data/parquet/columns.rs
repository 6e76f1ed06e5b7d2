//! Which columns are image and label, by their types and by what `datasets` leaves in the metadata under `huggingface`:
//! `{"info": {"features": {"image": {"_type": "Image"}, "label": {"_type": "ClassLabel", "names": […]}}}}`.

use parquet::basic::Type;
use parquet::file::metadata::FileMetaData;
use parquet::schema::types::ColumnDescriptor;
use serde_json::{Map, Value};
use tintype_core::Result;

use super::invalid;

/// Names of images, the likeliest first.
const IMAGES: [&str; 5] = ["image", "img", "picture", "photo", "bytes"];
/// Names of labels, the likeliest first.
const LABELS: [&str; 6] = ["label", "labels", "class", "target", "fine_label", "category"];

/// The columns of a file that matter.
#[derive(Debug)]
pub(super) struct Columns {
    /// The index of the images' bytes.
    pub image: usize,
    /// The index of the labels.
    pub label: usize,
    /// What the labels are.
    pub label_type: LabelType,
    /// Class names by index; empty where the file does not tell them.
    names: Vec<String>,
}

/// The type of labels.
#[derive(Debug, Clone, Copy)]
pub(super) enum LabelType {
    I32,
    I64,
    Text,
}

impl Columns {
    /// Finds the columns.
    ///
    /// # Errors
    /// `InvalidArgument` when there is none of a kind, or several and none of a usual name.
    pub fn of(file: &FileMetaData) -> Result<Self> {
        let features = features(file);
        let leaves = file.schema_descr().columns();
        // A list has several values a row.
        let flat = || leaves.iter().enumerate().filter(|(_, leaf)| leaf.max_rep_level() == 0);
        let is_of = |leaf: &ColumnDescriptor, kind: &str| {
            features.get(name(leaf)).and_then(|f| f.get("_type")).and_then(Value::as_str) == Some(kind)
        };
        let images = flat().filter(|(_, leaf)| {
            let is_bytes = leaf.physical_type() == Type::BYTE_ARRAY;
            match leaf.path().parts() {
                [_, bytes] => is_bytes && bytes == "bytes",
                [own] => is_bytes && (is_of(leaf, "Image") || IMAGES.contains(&own.as_str())),
                _ => false,
            }
        });
        let (image, _) = choose(images, "image", &IMAGES, leaves)?;
        let labels = flat().filter(|(_, leaf)| {
            let is_own = leaf.path().parts().len() == 1 && label_type(leaf).is_some();
            is_own && (is_of(leaf, "ClassLabel") || LABELS.contains(&name(leaf)))
        });
        let (label, leaf) = choose(labels, "label", &LABELS, leaves)?;
        let label_type = label_type(leaf).unwrap_or(LabelType::Text);
        let names = features.get(name(leaf)).and_then(|f| f.get("names")).and_then(Value::as_array);
        let names = names.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect();
        Ok(Self { image, label, label_type, names })
    }

    /// The class that a number means; none for null and for -1, which stands for no label.
    ///
    /// # Errors
    /// `InvalidArgument` for a number without a name, where there are names.
    pub fn class(&self, label: Option<i64>, row: usize) -> Result<Option<String>> {
        let Some(label) = label.filter(|&label| label != -1) else { return Ok(None) };
        let index = usize::try_from(label).ok();
        let class = match index {
            Some(index) if self.names.is_empty() => Some(index.to_string()),
            Some(index) => self.names.get(index).cloned(),
            None => None,
        };
        class.map(Some).ok_or_else(|| {
            let known = self.names.len();
            let below = if known == 0 { String::new() } else { format!(" and below {known}") };
            invalid(format!("row {row}: expected a label of 0 or more{below}, found {label}"))
        })
    }
}

/// What `datasets` says of each column.
fn features(file: &FileMetaData) -> Map<String, Value> {
    let pairs = file.key_value_metadata().map_or(&[][..], Vec::as_slice);
    let text = pairs.iter().find(|pair| pair.key == "huggingface").and_then(|pair| pair.value.as_deref());
    let mut info: Value = text.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
    match info.pointer_mut("/info/features").map(Value::take) {
        Some(Value::Object(features)) => features,
        _ => Map::new(),
    }
}

fn name(leaf: &ColumnDescriptor) -> &str {
    leaf.path().parts().first().map_or("", String::as_str)
}

fn label_type(leaf: &ColumnDescriptor) -> Option<LabelType> {
    match leaf.physical_type() {
        Type::INT32 => Some(LabelType::I32),
        Type::INT64 => Some(LabelType::I64),
        Type::BYTE_ARRAY => Some(LabelType::Text),
        _ => None,
    }
}

/// The likeliest of the candidates: by its name, or because it is alone.
fn choose<'a, L: AsRef<ColumnDescriptor> + 'a>(
    candidates: impl Iterator<Item = (usize, &'a L)>,
    what: &str,
    names: &[&str],
    leaves: &[L],
) -> Result<(usize, &'a ColumnDescriptor)> {
    let mut candidates: Vec<_> = candidates.map(|(index, leaf)| (index, leaf.as_ref())).collect();
    let rank = |leaf: &ColumnDescriptor| names.iter().position(|n| *n == name(leaf)).unwrap_or(names.len());
    candidates.sort_by_key(|(_, leaf)| rank(leaf));
    match candidates[..] {
        [one] => return Ok(one),
        [first, second, ..] if rank(first.1) < rank(second.1) => return Ok(first),
        _ => {}
    }
    let expected = match what {
        "image" => "one column of images, as `image` with `bytes` and `path`",
        _ => "one column of labels, as `label` of whole numbers or text",
    };
    let of = |leaf: &ColumnDescriptor| format!("`{}` ({})", leaf.path().string(), leaf.physical_type());
    let found: Vec<String> = leaves.iter().map(|leaf| of(leaf.as_ref())).collect();
    Err(invalid(format!("expected {expected}, found {}", found.join(", "))))
}
