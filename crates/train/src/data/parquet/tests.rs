use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use parquet::data_type::{ByteArray, ByteArrayType, Int64Type};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;

use tintype_core::package::digest::of_bytes;

use super::*;

/// Columns as they are written, of two rows.
enum Column {
    Bytes(&'static [&'static [u8]], &'static [i16]),
    Numbers(&'static [i64]),
}

const PAIR: Column = Column::Bytes(&[b"one", b"two"], &[2, 2]);

fn write(path: &Path, schema: &str, columns: &[Column], names: &str) {
    let schema = Arc::new(parse_message_type(&format!("message m {{ {schema} }}")).unwrap());
    let text = format!(
        "{{\"info\": {{\"features\": {{\"label\": {{\"names\": {names}, \"_type\": \"ClassLabel\"}}}}}}}}"
    );
    let metadata = KeyValue::new("huggingface".to_owned(), Some(text));
    let properties = WriterProperties::builder().set_key_value_metadata(Some(vec![metadata])).build();
    let file = File::create(path).unwrap();
    let mut writer = SerializedFileWriter::new(file, schema, Arc::new(properties)).unwrap();
    let mut group = writer.next_row_group().unwrap();
    for column in columns {
        let mut into = group.next_column().unwrap().unwrap();
        match column {
            Column::Bytes(values, levels) => {
                let values: Vec<ByteArray> = values.iter().map(|v| ByteArray::from(v.to_vec())).collect();
                let levels = (!levels.is_empty()).then_some(*levels);
                into.typed::<ByteArrayType>().write_batch(&values, levels, None).unwrap();
            }
            Column::Numbers(values) => {
                into.typed::<Int64Type>().write_batch(values, None, None).unwrap();
            }
        }
        into.close().unwrap();
    }
    group.close().unwrap();
    writer.close().unwrap();
}

/// Each row's class and the SHA-256 of its picture, as `tests/data/parquet.py` left them.
#[test]
fn what_hugging_face_s_own_library_writes_is_read() {
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/parquet"));
    let text = std::fs::read_to_string(root.join("pictures.json")).unwrap();
    let expected: BTreeMap<String, (String, String)> = serde_json::from_str(&text).unwrap();
    let data = Dataset::open(root).unwrap();
    assert_eq!(data.classes, ["blobs", "stripes"]);
    let mut found = BTreeMap::new();
    for sample in &data.samples {
        let place = sample.origin.to_string();
        let name = place.strip_prefix(&format!("{}/", root.display())).unwrap().to_owned();
        let part = if name.starts_with("data/train-") { Part::Train } else { Part::Val };
        assert_eq!(sample.part, Some(part), "{name}");
        let digest = of_bytes(&sample.origin.read().unwrap());
        found.insert(name, (data.classes[sample.class].clone(), digest));
    }
    assert_eq!(found, expected);
    assert!(data.samples.is_sorted_by_key(|s| (s.class, s.origin.clone())));
}

#[test]
fn shards_of_which_some_say_no_part_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let schema = format!("{IMAGE} required int64 label;");
    for name in ["train-0.parquet", "extra-0.parquet"] {
        write(&dir.path().join(name), &schema, &[PAIR, Column::Numbers(&[0, 1])], "[]");
    }
    let error = Dataset::open(dir.path()).unwrap_err();
    assert!(
        error.message().ends_with("extra-0.parquet`: the name does not say what its images are for"),
        "{error}"
    );
    std::fs::rename(dir.path().join("extra-0.parquet"), dir.path().join("train-00001-of-00003-ab.parquet"))
        .unwrap();
    let error = Dataset::open(dir.path()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.message().ends_with("-ab.parquet`: expected 3 files, found 1"), "{error}");
    assert_eq!(part_of(Path::new("plain_text/validation/0000.parquet")), Some(Part::Val));
    assert_eq!(part_of(Path::new("test.parquet")), Some(Part::Test));
}

const IMAGE: &str = "optional group image { optional binary bytes; }";

/// The message of what is wrong with a file, without its path.
fn refusal(schema: &str, columns: &[Column], names: &str) -> String {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("train.parquet");
    write(&path, schema, columns, names);
    let error = Dataset::open(&path).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
    error.message().replace(&format!("`{}`", path.display()), "it")
}

#[test]
fn numbers_text_and_bare_binaries_are_read() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("train-0.parquet");
    let samples = || {
        let data = Dataset::open(&path).unwrap();
        let of = |s: &super::super::Sample| (data.classes[s.class].clone(), s.origin.read().unwrap(), s.part);
        data.samples.iter().map(of).collect::<Vec<_>>()
    };
    let expected = |first: &str, second: &str| {
        let train = Some(Part::Train);
        vec![(first.to_owned(), b"one".to_vec(), train), (second.to_owned(), b"two".to_vec(), train)]
    };
    let schema = format!("{IMAGE} required int64 label;");
    write(&path, &schema, &[PAIR, Column::Numbers(&[0, 1])], "[\"ant\", \"bee\"]");
    assert_eq!(samples(), expected("ant", "bee"));
    assert!(Dataset::open(&path).unwrap().samples[1].origin.to_string().ends_with("train-0.parquet#1"));
    write(&path, &schema, &[PAIR, Column::Numbers(&[3, 7])], "[]");
    assert_eq!(samples(), expected("3", "7"));
    let bare = [Column::Bytes(&[b"one", b"two"], &[]), Column::Bytes(&[b"fox", b"owl"], &[])];
    write(&path, "required binary img; required binary label (UTF8);", &bare, "[]");
    assert_eq!(samples(), expected("fox", "owl"));
}

#[test]
fn what_is_missing_or_of_another_type_is_said() {
    let numbers = || Column::Numbers(&[0, 1]);
    let labelled = format!("{IMAGE} required int64 label;");
    assert_eq!(
        refusal(&format!("{IMAGE} required int64 size;"), &[PAIR, numbers()], "[]"),
        "it: expected one column of labels, as `label` of whole numbers or text, found `image.bytes` (BYTE_ARRAY), \
         `size` (INT64)"
    );
    assert_eq!(
        refusal("required int64 image; required int64 label;", &[numbers(), numbers()], "[]"),
        "it: expected one column of images, as `image` with `bytes` and `path`, found `image` (INT64), `label` (INT64)"
    );
    assert_eq!(
        refusal(&labelled, &[PAIR, Column::Numbers(&[0, 2])], "[\"ant\", \"bee\"]"),
        "it: row 1: expected a label of 0 or more and below 2, found 2"
    );
    let gap = Column::Bytes(&[b"one"], &[2, 0]);
    assert_eq!(refusal(&labelled, &[gap, numbers()], "[]"), "it: row 1: expected an image, found none");
    assert_eq!(refusal(&labelled, &[PAIR, Column::Numbers(&[-1, -1])], "[]"), "it has no labelled image");
}

#[test]
fn a_damaged_file_is_an_error_wherever_it_is_damaged() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("train.parquet");
    let schema = format!("{IMAGE} required int64 label;");
    write(&path, &schema, &[PAIR, Column::Numbers(&[0, 1])], "[\"ant\", \"bee\"]");
    let whole = std::fs::read(&path).unwrap();
    for length in 0..whole.len() {
        std::fs::write(&path, &whole[..length]).unwrap();
        let error = Dataset::open(&path).unwrap_err();
        assert!(error.message().contains("is no whole Parquet file"), "{length}: {error}");
    }
    for (place, bit) in (0..whole.len()).flat_map(|place| [0, 3, 7].map(|bit| (place, bit))) {
        let mut damaged = whole.clone();
        damaged[place] ^= 1 << bit;
        std::fs::write(&path, &damaged).unwrap();
        // What is still readable is read; what is not must not end the process.
        let _ = Dataset::open(&path);
    }
}
