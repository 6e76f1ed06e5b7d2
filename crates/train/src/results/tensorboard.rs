//! TensorBoard event files: each epoch's figures as scalars, and pictures of what the kept weights get wrong.
//!
//! A file is a sequence of TFRecords: length (u64), its masked CRC-32C, the bytes, their masked CRC-32C, all little-endian
//! (tensorflow/core/lib/io/record_writer.h). The bytes are an `Event` message (tensorflow/core/util/event.proto), of which
//! the few fields used are declared here.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use prost::Message;
use serde_json::{Map, Value};
use tintype_core::{Error, Result};

use super::mistakes::Encoded;
use crate::event::{EpochReport, Subscriber, TrainEvent};

/// `tensorflow.Event`.
#[derive(Clone, PartialEq, Message)]
struct Event {
    /// Seconds since 1970.
    #[prost(double, tag = "1")]
    wall_time: f64,
    #[prost(int64, tag = "2")]
    step: i64,
    #[prost(string, optional, tag = "3")]
    file_version: Option<String>,
    #[prost(message, optional, tag = "5")]
    summary: Option<Summary>,
}

/// `tensorflow.Summary`.
#[derive(Clone, PartialEq, Message)]
struct Summary {
    #[prost(message, repeated, tag = "1")]
    value: Vec<SummaryValue>,
}

/// `tensorflow.Summary.Value`.
#[derive(Clone, PartialEq, Message)]
struct SummaryValue {
    #[prost(string, tag = "1")]
    tag: String,
    #[prost(float, optional, tag = "2")]
    simple_value: Option<f32>,
    #[prost(message, optional, tag = "4")]
    image: Option<Image>,
}

/// `tensorflow.Summary.Image`.
#[derive(Clone, PartialEq, Message)]
struct Image {
    #[prost(int32, tag = "1")]
    height: i32,
    #[prost(int32, tag = "2")]
    width: i32,
    /// 3 for RGB.
    #[prost(int32, tag = "3")]
    colorspace: i32,
    /// A PNG or a JPEG.
    #[prost(bytes = "vec", tag = "4")]
    encoded: Vec<u8>,
}

/// Writes `<folder>/events.out.tfevents.<seconds>.tintype` as epochs come.
#[derive(Debug)]
pub(crate) struct TensorBoard {
    path: PathBuf,
    file: File,
    /// The first failure; events cannot return one, so it waits for [`TensorBoard::finish`].
    failed: Option<Error>,
}

impl TensorBoard {
    /// A new event file in `folder`, which is made.
    ///
    /// # Errors
    /// `Io`.
    pub fn create(folder: &Path) -> Result<Self> {
        std::fs::create_dir_all(folder).map_err(|e| Error::io(folder, e))?;
        let path = folder.join(format!("events.out.tfevents.{:.0}.tintype", now()));
        let file = File::options().append(true).create(true).open(&path).map_err(|e| Error::io(&path, e))?;
        let mut this = Self { path, file, failed: None };
        this.write(&Event {
            wall_time: now(),
            file_version: Some("brain.Event:2".to_owned()),
            ..Event::default()
        });
        Ok(this)
    }

    /// Whether everything was written.
    ///
    /// # Errors
    /// `Io`.
    pub fn finish(self) -> Result<()> {
        self.failed.map_or(Ok(()), Err)
    }

    /// Writes pictures as of an epoch.
    pub fn pictures(&mut self, epoch: usize, pictures: Vec<(String, Encoded)>) {
        let value = pictures.into_iter().map(|(tag, picture)| {
            let Encoded { width, height, bytes } = picture;
            let image = Image { height: height as i32, width: width as i32, colorspace: 3, encoded: bytes };
            SummaryValue { tag, simple_value: None, image: Some(image) }
        });
        let summary = Some(Summary { value: value.collect() });
        self.write(&Event { wall_time: now(), step: epoch as i64, summary, ..Event::default() });
    }

    fn epoch(&mut self, report: &EpochReport) {
        // Whatever numbers the report has, under `train/`, `val/`, `ema/` and `epoch/`.
        let fields: Map<String, Value> = match serde_json::to_value(report) {
            Ok(Value::Object(fields)) => fields,
            _ => Map::new(),
        };
        let numbers = fields.iter().filter(|(name, _)| !["epoch", "epochs"].contains(&name.as_str()));
        let value = numbers.filter_map(|(name, value)| {
            Some(SummaryValue { tag: tag(name), simple_value: Some(value.as_f64()? as f32), image: None })
        });
        let summary = Some(Summary { value: value.collect() });
        self.write(&Event { wall_time: now(), step: report.epoch as i64, summary, ..Event::default() });
    }

    fn write(&mut self, event: &Event) {
        // One write a record, so that whoever follows the file never sees half of one.
        if let Err(error) = self.file.write_all(&record(&event.encode_to_vec())) {
            self.failed.get_or_insert(Error::io(&self.path, error));
        }
    }
}

impl Subscriber for TensorBoard {
    fn on_event(&mut self, event: &TrainEvent) {
        if let TrainEvent::Epoch(report) = event {
            self.epoch(report);
        }
    }
}

/// `train/loss` for `train_loss`; what has no such prefix goes under `epoch/`.
fn tag(field: &str) -> String {
    match field.split_once('_') {
        Some((group @ ("train" | "val" | "ema"), rest)) => format!("{group}/{rest}"),
        _ => format!("epoch/{field}"),
    }
}

fn now() -> f64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0.0, |d| d.as_secs_f64())
}

/// A TFRecord.
fn record(bytes: &[u8]) -> Vec<u8> {
    let length = (bytes.len() as u64).to_le_bytes();
    let mut record = length.to_vec();
    record.extend(masked_crc(&length).to_le_bytes());
    record.extend(bytes);
    record.extend(masked_crc(bytes).to_le_bytes());
    record
}

/// The masked CRC-32C of tensorflow/core/lib/hash/crc32c.h, so that a CRC of bytes that hold one stays sound.
fn masked_crc(bytes: &[u8]) -> u32 {
    crc32c(bytes).rotate_right(15).wrapping_add(0xa282_ead8)
}

/// CRC-32C (Castagnoli), bit by bit: records are a few hundred bytes an epoch, and some pictures at the end.
fn crc32c(bytes: &[u8]) -> u32 {
    let mut crc = !0u32;
    for &byte in bytes {
        crc ^= u32::from(byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ (0x82f6_3b78 & (crc & 1).wrapping_neg());
        }
    }
    !crc
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 3720, B.4.
    #[test]
    fn checksums_are_those_of_the_rfc() {
        assert_eq!(crc32c(&[0; 32]), 0x8a91_36aa);
        assert_eq!(crc32c(&[0xff; 32]), 0x62a8_ab43);
        let rising: Vec<u8> = (0..32).collect();
        assert_eq!(crc32c(&rising), 0x46dd_794e);
    }

    /// Written by `tests/data/tensorboard.py` with tensorboard's own record writer.
    #[test]
    fn a_record_is_the_one_that_tensorboard_writes() {
        let value = SummaryValue { tag: "val/loss".to_owned(), simple_value: Some(0.25), image: None };
        let event = Event {
            wall_time: 12.5,
            step: 3,
            summary: Some(Summary { value: vec![value] }),
            ..Event::default()
        };
        let expected = include_bytes!("../../tests/data/tensorboard.bin");
        assert_eq!(record(&event.encode_to_vec()), expected);
        assert_eq!(tag("train_accuracy"), "train/accuracy");
        assert_eq!(tag("images_per_second"), "epoch/images_per_second");
    }
}
