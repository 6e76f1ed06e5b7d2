//! Hydra's override grammar, as far as it is used: `key=value`, `+key=value`, `++key=value`, `~key`, and sweeps.
//!
//! Values are numbers, words, `null`, quoted text, `[lists]`, `{dicts: of them}` and `${interpolations}`; several, split
//! by commas, are a sweep, as are `choice(…)`, `range(…)` and `interval(…)`. What a key is is [`super::expand`]'s
//! business.

use serde_json::{Map, Value};
use tintype_core::Result;

use super::invalid;
use super::sweep::Sweep;

/// One word of the command line.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Word {
    /// What it does to the key.
    pub change: Change,
    /// Dotted, or a group such as `optim`.
    pub key: String,
    /// What it says of the value; `~key` says nothing.
    pub given: Option<Given>,
}

/// What a word does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    /// `key=value`: the key is there.
    Set,
    /// `+key=value`: the key is not there.
    Add,
    /// `++key=value`: whether or not it is there.
    Force,
    /// `~key`: takes it away.
    Delete,
}

/// What stands after `=`.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Given {
    /// A value.
    One(Value),
    /// Several, of which each run has one.
    Many(Sweep),
}

impl Word {
    /// Reads a word.
    ///
    /// # Errors
    /// `InvalidConfig` saying where it is not one.
    pub fn parse(word: &str) -> Result<Self> {
        let (change, rest) = if let Some(rest) = word.strip_prefix("++") {
            (Change::Force, rest)
        } else if let Some(rest) = word.strip_prefix('+') {
            (Change::Add, rest)
        } else if let Some(rest) = word.strip_prefix('~') {
            (Change::Delete, rest)
        } else {
            (Change::Set, word)
        };
        let (key, text) = match rest.split_once('=') {
            Some((key, text)) => (key, Some(text)),
            None if change == Change::Delete => (rest, None),
            None => return Err(invalid(format!("expected `key=value`, found `{word}`"))),
        };
        if key.contains('@') {
            return Err(invalid(format!("`{key}`: a package after `@` is not supported")));
        }
        let proper =
            |part: &str| !part.is_empty() && part.chars().all(|c| c.is_alphanumeric() || "_-/".contains(c));
        if !key.split('.').all(proper) {
            return Err(invalid(format!("expected a key such as `optim.lr`, found `{key}`")));
        }
        let given = text.map(|text| given(text).map_err(|e| e.context(format!("`{word}`")))).transpose()?;
        Ok(Self { change, key: key.to_owned(), given })
    }
}

fn given(text: &str) -> Result<Given> {
    let mut reader = Reader { text, at: 0 };
    if let Some(sweep) = Sweep::parse(text)? {
        return Ok(Given::Many(sweep));
    }
    let mut values = vec![reader.value(",")?];
    while reader.eat(',') {
        values.push(reader.value(",")?);
    }
    reader.end()?;
    Ok(match values.len() {
        1 => Given::One(values.swap_remove(0)),
        _ => Given::Many(Sweep::Choice(values)),
    })
}

/// The values between the parentheses of a function.
pub(super) fn arguments(text: &str) -> Result<Vec<Value>> {
    match given(text)? {
        Given::One(value) => Ok(vec![value]),
        Given::Many(Sweep::Choice(values)) => Ok(values),
        Given::Many(_) => Err(invalid(format!("expected values, found `{text}`"))),
    }
}

/// A value's text and the place in it.
struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl Reader<'_> {
    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn eat(&mut self, wanted: char) -> bool {
        let found = self.rest().starts_with(wanted);
        self.at += if found { wanted.len_utf8() } else { 0 };
        found
    }

    fn skip_spaces(&mut self) {
        self.at += self.rest().len() - self.rest().trim_start().len();
    }

    fn end(&mut self) -> Result<()> {
        self.skip_spaces();
        if self.rest().is_empty() {
            return Ok(());
        }
        Err(invalid(format!("expected the end, found `{}`", self.rest()))
            .with_hint("text with commas, brackets or quotes in it is written in quotes: `'key=\"a, b\"'`"))
    }

    /// A value that ends before one of `ends`.
    fn value(&mut self, ends: &str) -> Result<Value> {
        self.skip_spaces();
        let value = match self.rest().chars().next() {
            Some('[') => self.list()?,
            Some('{') => self.dict()?,
            Some(quote @ ('\'' | '"')) => Value::String(self.quoted(quote)?),
            _ => plain(&self.bare(ends)?),
        };
        self.skip_spaces();
        Ok(value)
    }

    fn list(&mut self) -> Result<Value> {
        self.eat('[');
        let mut items = Vec::new();
        self.skip_spaces();
        while !self.eat(']') {
            items.push(self.value(",]")?);
            if !self.eat(',') && !self.rest().starts_with(']') {
                return Err(invalid("a list that begins with `[` has no `]`"));
            }
            self.skip_spaces();
        }
        Ok(Value::Array(items))
    }

    fn dict(&mut self) -> Result<Value> {
        self.eat('{');
        let mut map = Map::new();
        self.skip_spaces();
        while !self.eat('}') {
            let key = match self.rest().chars().next() {
                Some(quote @ ('\'' | '"')) => self.quoted(quote)?,
                _ => self.bare(":,}")?.trim().to_owned(),
            };
            self.skip_spaces();
            if !self.eat(':') {
                return Err(invalid(format!("expected `:` after `{key}` of a dict")));
            }
            map.insert(key, self.value(",}")?);
            if !self.eat(',') && !self.rest().starts_with('}') {
                return Err(invalid("a dict that begins with `{` has no `}`"));
            }
            self.skip_spaces();
        }
        Ok(Value::Object(map))
    }

    fn quoted(&mut self, quote: char) -> Result<String> {
        self.eat(quote);
        let mut found = String::new();
        while let Some(c) = self.rest().chars().next() {
            self.at += c.len_utf8();
            if c == quote {
                return Ok(found);
            }
            if c == '\\' && self.eat(quote) {
                found.push(quote);
            } else {
                found.push(c);
            }
        }
        Err(invalid(format!("a text that begins with {quote} does not end with it")))
    }

    /// Text without quotes; commas within `${…}` are its own, and `\` takes the meaning from what follows it.
    fn bare(&mut self, ends: &str) -> Result<String> {
        let (mut found, mut depth) = (String::new(), 0usize);
        while let Some(c) = self.rest().chars().next() {
            if depth == 0 && ends.contains(c) {
                break;
            }
            self.at += c.len_utf8();
            match c {
                '$' if self.eat('{') => {
                    depth += 1;
                    found.push_str("${");
                    continue;
                }
                '}' if depth > 0 => depth -= 1,
                '\\' if depth == 0 => {
                    if let Some(next) = self.rest().chars().next().filter(|n| "\\,:=()[]{}' \"".contains(*n))
                    {
                        self.at += next.len_utf8();
                        found.push(next);
                        continue;
                    }
                }
                _ => {}
            }
            found.push(c);
        }
        if depth > 0 {
            return Err(invalid("an interpolation that begins with `${` has no `}`"));
        }
        let function = found.trim().split_once('(').filter(|(name, _)| {
            !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        });
        if let Some((name, _)) = function {
            return Err(invalid(format!("the function `{name}` is not supported")).with_hint(
                "sweeps have `choice`, `range`, `interval`, `tag` and `int`; text is written in quotes",
            ));
        }
        Ok(found)
    }
}

/// What text without quotes means: `null`, a switch, a number, or itself.
pub(super) fn plain(text: &str) -> Value {
    let text = text.trim();
    match text.to_ascii_lowercase().as_str() {
        "null" => return Value::Null,
        "true" => return Value::Bool(true),
        "false" => return Value::Bool(false),
        _ => {}
    }
    let numeric = text.starts_with(|c: char| c.is_ascii_digit() || "+-.".contains(c));
    let digits = text.replace('_', "");
    if let (true, Ok(whole)) = (numeric, digits.parse::<i64>()) {
        return Value::from(whole);
    }
    match digits.parse::<f64>() {
        Ok(number) if numeric && number.is_finite() => Value::from(number),
        _ => Value::String(text.to_owned()),
    }
}

#[cfg(test)]
mod tests;
