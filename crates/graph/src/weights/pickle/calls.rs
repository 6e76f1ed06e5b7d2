//! The calls that make dictionaries and tensors. They are known by name; nothing else is called, whatever the pickle says.

use tintype_core::{DType, Result};

use super::heap::{Heap, Id, Node};
use super::{MAX_NAME, invalid};

/// Axes of a tensor, as in PyTorch.
const MAX_RANK: usize = 64;

/// Elements in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::weights) struct Storage {
    /// Its name in the file.
    pub key: String,
    /// The type of its elements; absent where it is of bytes, and the tensors say.
    pub dtype: Option<DType>,
    /// How many elements.
    pub elements: usize,
    /// Elements before it in the storage `key`, of which it is a part.
    pub start: usize,
}

/// A view of a storage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::weights) struct TensorRef {
    pub storage: Storage,
    pub dtype: DType,
    /// Elements before the first.
    pub offset: usize,
    pub shape: Vec<usize>,
    /// Elements from one place of each axis to the next.
    pub strides: Vec<usize>,
}

/// What calling `function` with the tuple `arguments` makes.
pub(super) fn call(heap: &mut Heap, function: Id, arguments: Id) -> Result<Id> {
    let Node::Global { module, name } = heap.node(function) else {
        return Ok(opaque(heap, function));
    };
    let given = heap.members(arguments);
    match (module.as_str(), name.as_str()) {
        ("collections", "OrderedDict") => {
            // Python 2 gave the pairs as arguments.
            let list = given.first().copied();
            // Taken, not copied: a list that is given again and again would fill the memory.
            let pairs = list.map(|list| heap.take_members(list)).unwrap_or_default().into_iter();
            let pairs = pairs.filter_map(|pair| <[Id; 2]>::try_from(heap.members(pair)).ok());
            let pairs = pairs.map(|[key, value]| (key, value)).collect();
            Ok(heap.add(Node::Dict(pairs)))
        }
        ("builtins" | "__builtin__", "set" | "frozenset" | "list" | "tuple") | ("torch", "Size") => {
            Ok(given.first().copied().unwrap_or(arguments))
        }
        ("torch._utils", "_rebuild_parameter" | "_rebuild_parameter_with_state") => {
            given.first().copied().ok_or_else(|| invalid("has a parameter without a tensor"))
        }
        ("torch._utils", "_rebuild_tensor" | "_rebuild_tensor_v2") => {
            let tensor = tensor(heap, given, None)?;
            Ok(heap.add(Node::Tensor(tensor)))
        }
        ("torch._utils", "_rebuild_tensor_v3") => {
            let dtype = given.get(6).and_then(|&id| dtype_of_global(heap, id));
            let tensor = tensor(heap, given, dtype)?;
            Ok(heap.add(Node::Tensor(tensor)))
        }
        // A tensor of a class of its own: what makes its data, the class, the arguments of that.
        ("torch._tensor", "_rebuild_from_type_v2") => match *given {
            [inner, _, arguments, ..] if !is_rebuild(heap, inner) => call(heap, inner, arguments),
            _ => Ok(opaque(heap, function)),
        },
        ("copy_reg" | "copyreg", "_reconstructor") => {
            let class = given.first().copied().unwrap_or(function);
            Ok(opaque(heap, class))
        }
        _ => Ok(opaque(heap, function)),
    }
}

/// Whether calling it would call something else again: that would go as deep as a file likes.
fn is_rebuild(heap: &Heap, function: Id) -> bool {
    matches!(heap.node(function), Node::Global { name, .. } if name == "_rebuild_from_type_v2")
}

fn opaque(heap: &mut Heap, class: Id) -> Id {
    heap.add(Node::Object { class, state: None, items: Vec::new() })
}

/// The storage that a persistent id names: `("storage", type, key, device, elements[, view])`, the view being
/// `None` or `(key, start, elements)`.
pub(super) fn storage(heap: &Heap, id: Id) -> Option<Storage> {
    let &[kind, class, key, _device, elements, ref view @ ..] = heap.members(id) else { return None };
    if heap.text(kind) != Some("storage") {
        return None;
    }
    let Node::Global { name, .. } = heap.node(class) else { return None };
    let size = |id: Id| usize::try_from(heap.int(id)?).ok();
    let key = match heap.node(key) {
        Node::Text(text) if text.len() <= MAX_NAME => text.clone(),
        Node::Int(number) => number.to_string(),
        _ => return None,
    };
    let whole = Storage { key, dtype: dtype_of_storage(name), elements: size(elements)?, start: 0 };
    match view.first().map(|&view| heap.members(view)) {
        Some(&[_, start, elements]) => {
            Some(Storage { start: size(start)?, elements: size(elements)?, ..whole })
        }
        _ => Some(whole),
    }
}

/// `(storage, offset, size, stride, …)`
fn tensor(heap: &Heap, arguments: &[Id], dtype: Option<DType>) -> Result<TensorRef> {
    let wrong = || invalid("has a tensor that is not made as PyTorch makes them");
    let &[storage, offset, shape, strides, ..] = arguments else { return Err(wrong()) };
    let Node::Storage(storage) = heap.node(storage) else { return Err(wrong()) };
    let sizes = |id: Id| -> Option<Vec<usize>> {
        if heap.members(id).len() > MAX_RANK {
            return None;
        }
        heap.members(id).iter().map(|&id| usize::try_from(heap.int(id)?).ok()).collect()
    };
    let size = |id: Id| usize::try_from(heap.int(id)?).ok();
    let (Some(offset), Some(shape), Some(strides)) = (size(offset), sizes(shape), sizes(strides)) else {
        return Err(wrong());
    };
    if shape.len() != strides.len() {
        return Err(wrong());
    }
    let dtype = dtype.or(storage.dtype).ok_or_else(|| invalid("has a tensor of an unknown type"))?;
    Ok(TensorRef { storage: storage.clone(), dtype, offset, shape, strides })
}

fn dtype_of_storage(class: &str) -> Option<DType> {
    Some(match class {
        "FloatStorage" => DType::F32,
        "HalfStorage" => DType::F16,
        "BFloat16Storage" => DType::BF16,
        "DoubleStorage" => DType::F64,
        "LongStorage" => DType::I64,
        "IntStorage" => DType::I32,
        "ShortStorage" => DType::I16,
        "CharStorage" => DType::I8,
        "ByteStorage" => DType::U8,
        "BoolStorage" => DType::Bool,
        _ => return None,
    })
}

/// `torch.float32` and the like.
fn dtype_of_global(heap: &Heap, id: Id) -> Option<DType> {
    let Node::Global { module, name } = heap.node(id) else { return None };
    if module != "torch" {
        return None;
    }
    Some(match name.as_str() {
        "float32" => DType::F32,
        "float16" => DType::F16,
        "bfloat16" => DType::BF16,
        "float64" => DType::F64,
        "int64" => DType::I64,
        "int32" => DType::I32,
        "int16" => DType::I16,
        "int8" => DType::I8,
        "uint8" => DType::U8,
        "uint16" => DType::U16,
        "uint32" => DType::U32,
        "uint64" => DType::U64,
        "bool" => DType::Bool,
        _ => return None,
    })
}
