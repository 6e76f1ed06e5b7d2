//! Tensor elements that a model keeps in files beside it.
//!
//! The file names come from the model, which may come from anybody: they must stay in the model's own directory.

use std::collections::HashMap;
use std::path::{Component, Path, PathBuf};

use tintype_core::{Error, ErrorKind, Result};

use crate::proto::{DataLocation, GraphProto, TensorProto};

/// Replaces every reference of the graph's tensors to a file in `directory` by the elements.
pub(super) fn bring_in(graph: &mut GraphProto, directory: &Path) -> Result<()> {
    let mut files = Files { directory, read: HashMap::new() };
    files.graph(graph)
}

/// The files read so far: many tensors share one.
struct Files<'a> {
    directory: &'a Path,
    read: HashMap<PathBuf, Vec<u8>>,
}

impl Files<'_> {
    fn graph(&mut self, graph: &mut GraphProto) -> Result<()> {
        for tensor in &mut graph.initializer {
            self.tensor(tensor)?;
        }
        for attribute in graph.node.iter_mut().flat_map(|n| &mut n.attribute) {
            attribute.t.iter_mut().chain(&mut attribute.tensors).try_for_each(|t| self.tensor(t))?;
            let subgraphs = attribute.g.as_deref_mut().into_iter().chain(&mut attribute.graphs);
            subgraphs.into_iter().try_for_each(|g| self.graph(g))?;
        }
        Ok(())
    }

    fn tensor(&mut self, tensor: &mut TensorProto) -> Result<()> {
        if tensor.data_location != DataLocation::External as i32 {
            return Ok(());
        }
        let invalid = |what: String| {
            Error::new(ErrorKind::InvalidModel, format!("tensor `{}` keeps its elements {what}", tensor.name))
        };
        let entry = |key: &str| tensor.external_data.iter().find(|e| e.key == key).map(|e| e.value.as_str());
        let number = |key: &str| match entry(key).map(str::parse::<usize>) {
            None => Ok(None),
            Some(Ok(n)) => Ok(Some(n)),
            Some(Err(_)) => Err(invalid(format!("at an {key} that is not a number"))),
        };
        let location = entry("location").ok_or_else(|| invalid("in a file without a name".to_owned()))?;
        let relative = Path::new(location);
        if !relative.components().all(|c| matches!(c, Component::Normal(_) | Component::CurDir)) {
            return Err(invalid(format!("in `{location}`, outside of the model's directory")));
        }
        let path = self.directory.join(relative);
        if !self.read.contains_key(&path) {
            let bytes = std::fs::read(&path).map_err(|e| Error::io(&path, e))?;
            self.read.insert(path.clone(), bytes);
        }
        let bytes = &self.read[&path];
        let start = number("offset")?.unwrap_or(0);
        let end = number("length")?.map_or(Some(bytes.len()), |length| start.checked_add(length));
        let range = end.and_then(|end| bytes.get(start..end)).ok_or_else(|| {
            invalid(format!("beyond the end of `{location}`, which has {} bytes", bytes.len()))
        })?;
        tensor.raw_data = Some(range.to_vec());
        tensor.data_location = DataLocation::Default as i32;
        tensor.external_data.clear();
        Ok(())
    }
}
