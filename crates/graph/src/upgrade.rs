//! Models of older operator sets as models of set 17, which gradients and quantised graphs are written in.
//!
//! Of what changed on the way, most is types that were added. The rest is rewritten here: settings that became inputs,
//! softmax over several axes at once, and batch norms with outputs for training.

use tintype_core::{Error, ErrorKind, Result};

use crate::model::Model;
use crate::proto::{AttributeProto, AttributeType, NodeProto, TensorProto};
use crate::rewrite::Names;

/// What older sets become: in it `ScatterElements` can add.
const SET: i64 = 17;
/// The oldest set that is read. Before it, broadcasting was another.
const OLDEST: i64 = 7;

/// Brings `model` to operator set 17 if it is of an older one.
///
/// # Errors
/// `Unsupported` for a set before 7, and for an operator whose meaning changed in a way that is not followed.
pub(crate) fn upgrade(model: &mut Model) -> Result<()> {
    let set = model.opset();
    model.graph_mut().node.iter_mut().for_each(constant_as_tensor);
    if set >= SET {
        return Ok(());
    }
    if set < OLDEST {
        return Err(Error::new(
            ErrorKind::Unsupported,
            format!("changing a graph needs operator set {OLDEST} or later, found {set}"),
        ));
    }
    let graph = model.graph_mut();
    let mut writer = Writer { set, nodes: Vec::new(), initializers: Vec::new(), names: Names::of(graph) };
    for node in std::mem::take(&mut graph.node) {
        writer.rewrite(node)?;
    }
    graph.node = writer.nodes;
    graph.initializer.extend(writer.initializers);
    model.set_opset(SET);
    Ok(())
}

/// The new nodes and constants so far.
struct Writer {
    /// The operator set that is read.
    set: i64,
    nodes: Vec<NodeProto>,
    initializers: Vec<TensorProto>,
    names: Names,
}

impl Writer {
    fn rewrite(&mut self, mut node: NodeProto) -> Result<()> {
        let set = self.set;
        match node.standard_op().unwrap_or_default() {
            "BatchNormalization" if set < 14 => {
                forget(&mut node, "spatial");
                node.output.truncate(1);
            }
            "Clip" if set < 11 => {
                self.number(&mut node, "min", None);
                self.number(&mut node, "max", None);
            }
            "Dropout" if set < 12 => self.number(&mut node, "ratio", Some(0.5)),
            "Pad" if set < 11 => {
                self.list(&mut node, "pads");
                self.number(&mut node, "value", Some(0.0));
            }
            "ReduceSum" | "Squeeze" | "Unsqueeze" if set < 13 => self.list(&mut node, "axes"),
            "Slice" if set < 10 => {
                ["starts", "ends", "axes"].iter().for_each(|name| self.list(&mut node, name));
            }
            "Softmax" | "LogSoftmax" if set < 13 => return self.softmax(node),
            "Split" if set < 13 => self.list(&mut node, "split"),
            "Resize" | "Upsample" if set < 11 => {
                return Err(node.error(
                    ErrorKind::Unsupported,
                    format!("resizes in the manner of operator set {set}, expected 11 or later"),
                ));
            }
            _ => {}
        }
        self.nodes.push(node);
        Ok(())
    }

    /// Makes a list that is an attribute the next input.
    fn list(&mut self, node: &mut NodeProto, name: &str) {
        if let Some(list) = node.ints(name).map(<[i64]>::to_vec) {
            forget(node, name);
            let input = self.fresh(name);
            self.initializers.push(TensorProto::from_i64(&input, &[list.len()], &list));
            node.input.push(input);
        }
    }

    /// Makes a number that is an attribute the next input, left out where there is neither it nor a default.
    fn number(&mut self, node: &mut NodeProto, name: &str, default: Option<f32>) {
        let value = node.float(name).or(default);
        forget(node, name);
        let input = value.map(|value| {
            let input = self.fresh(name);
            self.initializers.push(TensorProto::from_f32(&input, &[], &[value]));
            input
        });
        node.input.push(input.unwrap_or_default());
    }

    /// Before set 13 a softmax went over all axes from `axis` on, by default the second, as if they were one.
    fn softmax(&mut self, mut node: NodeProto) -> Result<()> {
        let axis = node.int("axis").unwrap_or(1);
        forget(&mut node, "axis");
        let mut node = node.with("axis", -1);
        if axis == -1 {
            self.nodes.push(node);
            return Ok(());
        }
        let [rows, soft, shape] = ["rows", "soft", "shape"].map(|name| self.fresh(name));
        let input = std::mem::replace(&mut node.input, vec![rows.clone()]).swap_remove(0);
        let output = std::mem::replace(&mut node.output, vec![soft.clone()]).swap_remove(0);
        self.nodes.push(NodeProto::new("Flatten", &[&input], &[&rows]).with("axis", axis));
        self.nodes.push(node);
        self.nodes.push(NodeProto::new("Shape", &[&input], &[&shape]));
        self.nodes.push(NodeProto::new("Reshape", &[&soft, &shape], &[&output]));
        Ok(())
    }

    fn fresh(&mut self, like: &str) -> String {
        self.names.fresh(&format!("upgrade/{like}"))
    }
}

/// A `Constant` may hold its value in several kinds of attributes; afterwards it is in `value`.
fn constant_as_tensor(node: &mut NodeProto) {
    if node.standard_op() != Some("Constant") {
        return;
    }
    let Some(attribute) = node.attribute.first_mut() else { return };
    let tensor = match attribute.name.as_str() {
        "value_int" => TensorProto::from_i64("", &[], &[attribute.i.unwrap_or_default()]),
        "value_ints" => TensorProto::from_i64("", &[attribute.ints.len()], &attribute.ints),
        "value_float" => TensorProto::from_f32("", &[], &[attribute.f.unwrap_or_default()]),
        "value_floats" => TensorProto::from_f32("", &[attribute.floats.len()], &attribute.floats),
        _ => return,
    };
    *attribute = AttributeProto {
        name: "value".to_owned(),
        r#type: AttributeType::Tensor as i32,
        t: Some(tensor),
        ..AttributeProto::default()
    };
}

fn forget(node: &mut NodeProto, name: &str) {
    node.attribute.retain(|a| a.name != name);
}
