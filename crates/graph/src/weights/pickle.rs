//! A pickle machine that runs nothing.
//!
//! Python's pickle is a program for a stack machine that may call any function. This machine reads the whole language and
//! calls none: what would be a call becomes an [`Node::Object`] that remembers what was to be called. Those few
//! calls that make tensors of storages are known to [`calls`], by name.
//!
//! Values live in a [`Heap`] and refer to each other by index, so that sharing and cycles cost nothing and nothing that
//! a hostile file nests deeply is ever walked by recursion. Every opcode is at least a byte of the file and makes at most
//! one value; [`MAX_VALUES`] bounds them. What the values mean is [`super::state_dict`]'s business.

mod calls;
mod heap;
mod stream;

use std::collections::HashMap;

use tintype_core::{Error, ErrorKind, Result};

pub(super) use calls::{Storage, TensorRef};
pub(super) use heap::{Heap, Id, Node};
use stream::Stream;

/// Values that one pickle may make. A whole pickled network of a thousand layers makes some hundred thousand.
const MAX_VALUES: usize = 4 << 20;

/// Bytes of a name that is copied.
const MAX_NAME: usize = 512;

/// Runs the pickle at the beginning of `bytes`; returns its value and how many bytes it took.
///
/// # Errors
/// `InvalidModel` for what is no pickle, ends early, or contradicts itself; `PayloadTooLarge` beyond [`MAX_VALUES`].
pub(super) fn run(bytes: &[u8], heap: &mut Heap) -> Result<(Id, usize)> {
    let mut machine = Machine {
        stream: Stream::new(bytes),
        heap,
        stack: Vec::new(),
        marks: Vec::new(),
        memo: HashMap::new(),
    };
    let value = machine.run()?;
    Ok((value, machine.stream.position()))
}

/// A damaged pickle.
fn invalid(what: impl std::fmt::Display) -> Error {
    Error::new(ErrorKind::InvalidModel, format!("the pickle {what}"))
}

struct Machine<'a> {
    stream: Stream<'a>,
    heap: &'a mut Heap,
    stack: Vec<Id>,
    /// Heights of the stack at which lists of arguments begin.
    marks: Vec<usize>,
    memo: HashMap<u64, Id>,
}

impl Machine<'_> {
    fn run(&mut self) -> Result<Id> {
        loop {
            let opcode = self.stream.byte()?;
            if opcode == b'.' {
                return self.pop();
            }
            self.step(opcode)?;
            let made = self.heap.len().max(self.stack.len()).max(self.marks.len()).max(self.memo.len());
            if made > MAX_VALUES {
                return Err(Error::new(
                    ErrorKind::PayloadTooLarge,
                    format!("the pickle makes more than {MAX_VALUES} values"),
                ));
            }
        }
    }

    fn step(&mut self, opcode: u8) -> Result<()> {
        match opcode {
            // The version, and how long a frame is: nothing depends on either.
            0x80 => self.stream.byte().map(drop),
            0x95 => self.stream.take(8).map(drop),
            b'(' => {
                self.marks.push(self.stack.len());
                Ok(())
            }
            b'0' => self.pop().map(drop),
            b'1' => self.pop_mark().map(drop),
            b'2' => {
                let top = self.top()?;
                self.stack.push(top);
                Ok(())
            }
            b'g' | b'h' | b'j' => self.get(opcode),
            b'p' | b'q' | b'r' | 0x94 => self.put(opcode),
            b'N' | 0x88 | 0x89 | b'I' | b'J' | b'K' | b'M' | b'L' | 0x8a | 0x8b | b'F' | b'G' => {
                let node = self.number(opcode)?;
                self.push(node);
                Ok(())
            }
            b'S' | b'T' | b'U' | b'V' | b'X' | 0x8c | 0x8d | b'B' | b'C' | 0x8e | 0x96 => {
                let node = self.text(opcode)?;
                self.push(node);
                Ok(())
            }
            b']' | 0x8f | b')' | b'}' | b'l' | 0x91 | b't' | b'd' | 0x85..=0x87 => self.collect(opcode),
            b'a' | b'e' | b's' | b'u' | 0x90 => self.extend(opcode),
            b'c' | 0x93 | b'R' | 0x81 | 0x92 | b'i' | b'o' | b'b' | b'P' | b'Q' => self.call(opcode),
            _ => Err(invalid(format!("has the unknown opcode {opcode:#04x}"))),
        }
    }

    fn get(&mut self, opcode: u8) -> Result<()> {
        let key = match opcode {
            b'g' => self.stream.number_line()?,
            b'h' => u64::from(self.stream.byte()?),
            _ => self.stream.u32()?.into(),
        };
        let value =
            *self.memo.get(&key).ok_or_else(|| invalid(format!("recalls `{key}`, which it never kept")))?;
        self.stack.push(value);
        Ok(())
    }

    fn put(&mut self, opcode: u8) -> Result<()> {
        let key = match opcode {
            b'p' => self.stream.number_line()?,
            b'q' => u64::from(self.stream.byte()?),
            b'r' => self.stream.u32()?.into(),
            _ => self.memo.len() as u64,
        };
        let top = self.top()?;
        self.memo.insert(key, top);
        Ok(())
    }

    fn number(&mut self, opcode: u8) -> Result<Node> {
        Ok(match opcode {
            b'N' => Node::None,
            0x88 => Node::Bool(true),
            0x89 => Node::Bool(false),
            b'I' => match self.stream.line()? {
                "00" => Node::Bool(false),
                "01" => Node::Bool(true),
                text => Node::Int(text.parse().map_err(|_| invalid("has a number that is none"))?),
            },
            b'J' => Node::Int(i32::from_le_bytes(self.stream.array()?).into()),
            b'K' => Node::Int(self.stream.byte()?.into()),
            b'M' => Node::Int(u16::from_le_bytes(self.stream.array()?).into()),
            b'L' => match self.stream.line()?.trim_end_matches('L').parse() {
                Ok(number) => Node::Int(number),
                Err(_) => Node::Other,
            },
            0x8a => {
                let length = self.stream.byte()?.into();
                long(self.stream.take(length)?)
            }
            0x8b => {
                let length = self.stream.u32()? as usize;
                long(self.stream.take(length)?)
            }
            // No number of a checkpoint's structure is a float.
            b'F' => self.stream.line().map(|_| Node::Other)?,
            _ => self.stream.take(8).map(|_| Node::Other)?,
        })
    }

    fn text(&mut self, opcode: u8) -> Result<Node> {
        let length = match opcode {
            b'S' | b'V' => {
                let line = self.stream.line()?;
                let quoted = line.trim_matches(['\'', '"']);
                return Ok(Node::Text(if opcode == b'S' { quoted } else { line }.to_owned()));
            }
            b'U' | 0x8c | b'C' => self.stream.byte()?.into(),
            b'T' | b'X' | b'B' => self.stream.u32()?.into(),
            _ => u64::from_le_bytes(self.stream.array()?),
        };
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        let bytes = self.stream.take(length)?;
        // Python 2 wrote names as byte strings too.
        Ok(std::str::from_utf8(bytes).map_or(Node::Other, |text| Node::Text(text.to_owned())))
    }

    /// Opcodes that make a list, set, tuple or dictionary.
    fn collect(&mut self, opcode: u8) -> Result<()> {
        let node = match opcode {
            b']' | 0x8f => Node::List(Vec::new()),
            b'l' | 0x91 => Node::List(self.pop_mark()?),
            b')' => Node::Tuple(Vec::new()),
            b't' => Node::Tuple(self.pop_mark()?),
            b'}' => Node::Dict(Vec::new()),
            b'd' => Node::Dict(pairs(&self.pop_mark()?)?),
            _ => {
                let count = usize::from(opcode - 0x84);
                let start = self.stack.len().checked_sub(count).filter(|&s| s >= self.floor());
                let start = start.ok_or_else(|| invalid("takes a value from an empty stack"))?;
                Node::Tuple(self.stack.split_off(start))
            }
        };
        self.push(node);
        Ok(())
    }

    /// Opcodes that add to a list, set or dictionary.
    fn extend(&mut self, opcode: u8) -> Result<()> {
        let added = match opcode {
            b'a' => vec![self.pop()?],
            b's' => {
                let value = self.pop()?;
                vec![self.pop()?, value]
            }
            _ => self.pop_mark()?,
        };
        let target = self.top()?;
        if matches!(opcode, b's' | b'u') {
            self.heap.set_items(target, pairs(&added)?);
        } else {
            self.heap.append(target, &added);
        }
        Ok(())
    }

    /// Opcodes that name a class or function, would call one, or give an object its attributes.
    fn call(&mut self, opcode: u8) -> Result<()> {
        match opcode {
            b'c' => {
                let (module, name) = (self.stream.line()?.to_owned(), self.stream.line()?.to_owned());
                self.push(Node::Global { module, name });
            }
            0x93 => {
                let (name, module) = (self.pop()?, self.pop()?);
                let (Some(name), Some(module)) = (self.heap.text(name), self.heap.text(module)) else {
                    return Err(invalid("names a class by something else than text"));
                };
                // A long text that is recalled again and again would fill the memory with copies.
                if module.len().max(name.len()) > MAX_NAME {
                    return Err(invalid("has a class of an endless name"));
                }
                let node = Node::Global { module: module.to_owned(), name: name.to_owned() };
                self.push(node);
            }
            b'R' | 0x81 => {
                let (arguments, function) = (self.pop()?, self.pop()?);
                let value = calls::call(self.heap, function, arguments)?;
                self.stack.push(value);
            }
            0x92 => {
                let _keywords = self.pop()?;
                let (arguments, function) = (self.pop()?, self.pop()?);
                let value = calls::call(self.heap, function, arguments)?;
                self.stack.push(value);
            }
            b'i' => {
                let (module, name) = (self.stream.line()?.to_owned(), self.stream.line()?.to_owned());
                self.pop_mark()?;
                let class = self.heap.add(Node::Global { module, name });
                self.push(Node::Object { class, state: None, items: Vec::new() });
            }
            b'o' => {
                let arguments = self.pop_mark()?;
                let class = *arguments.first().ok_or_else(|| invalid("makes an object of no class"))?;
                self.push(Node::Object { class, state: None, items: Vec::new() });
            }
            b'b' => {
                let state = self.pop()?;
                let target = self.top()?;
                self.heap.set_state(target, state);
            }
            _ => {
                let id = if opcode == b'Q' {
                    self.pop()?
                } else {
                    let line = self.stream.line()?.to_owned();
                    self.heap.add(Node::Text(line))
                };
                let node = calls::storage(self.heap, id).map_or(Node::Other, Node::Storage);
                self.push(node);
            }
        }
        Ok(())
    }

    fn push(&mut self, node: Node) {
        let id = self.heap.add(node);
        self.stack.push(id);
    }

    /// Below this height the stack belongs to an outer list.
    fn floor(&self) -> usize {
        self.marks.last().copied().unwrap_or(0)
    }

    fn top(&self) -> Result<Id> {
        self.stack.last().copied().ok_or_else(|| invalid("takes a value from an empty stack"))
    }

    fn pop(&mut self) -> Result<Id> {
        let is_there = self.stack.len() > self.floor();
        self.stack.pop().filter(|_| is_there).ok_or_else(|| invalid("takes a value from an empty stack"))
    }

    fn pop_mark(&mut self) -> Result<Vec<Id>> {
        let height = self.marks.pop().ok_or_else(|| invalid("ends a list that never began"))?;
        Ok(self.stack.split_off(height.min(self.stack.len())))
    }
}

/// A whole number of any length, little endian in two's complement.
fn long(bytes: &[u8]) -> Node {
    if bytes.len() > 8 {
        return Node::Long(bytes.to_vec());
    }
    let negative = bytes.last().is_some_and(|&last| last >= 0x80);
    let mut all = [if negative { 0xff } else { 0 }; 8];
    all[..bytes.len()].copy_from_slice(bytes);
    Node::Int(i64::from_le_bytes(all))
}

fn pairs(values: &[Id]) -> Result<Vec<(Id, Id)>> {
    match values.as_chunks::<2>() {
        (pairs, []) => Ok(pairs.iter().map(|&[key, value]| (key, value)).collect()),
        _ => Err(invalid("has a key without a value")),
    }
}

#[cfg(test)]
mod tests;
