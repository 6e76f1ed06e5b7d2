//! `multipart/form-data` (RFC 7578) over a body in memory: parts are slices of it, nothing is copied.

use bytes::Bytes;
use memchr::memmem;
use tintype_core::{Error, ErrorKind, Result};

/// The content of the one field `name`.
///
/// # Errors
/// `InvalidRequest` when the body is not multipart with this boundary, lacks the field, or has another or a second one.
pub(crate) fn only_field(body: &Bytes, boundary: &str, name: &str) -> Result<Bytes> {
    let mut content = None;
    for part in Parts::new(body, boundary)? {
        let part = part?;
        if part.name != name {
            return Err(invalid(format!("unknown field `{}`, expected `{name}`", part.name)));
        }
        if content.replace(part.content).is_some() {
            return Err(invalid(format!("field `{name}` occurs more than once")));
        }
    }
    content.ok_or_else(|| invalid(format!("missing field `{name}`")))
}

/// A part of a form.
#[derive(Debug)]
struct Part {
    name: String,
    content: Bytes,
}

/// The parts of a form, in order.
#[derive(Debug)]
struct Parts<'a> {
    body: &'a Bytes,
    /// `\r\n--boundary`
    delimiter: Vec<u8>,
    /// Where the next part's line ending or closing `--` begins; `None` after the last part or an error.
    at: Option<usize>,
}

impl<'a> Parts<'a> {
    fn new(body: &'a Bytes, boundary: &str) -> Result<Self> {
        let delimiter = format!("\r\n--{boundary}").into_bytes();
        // The first delimiter may be at the very start, without a line before it.
        let at = if body.starts_with(&delimiter[2..]) {
            delimiter.len() - 2
        } else {
            let found = memmem::find(body, &delimiter);
            found.ok_or_else(|| invalid("the boundary of the content type does not occur in the body"))?
                + delimiter.len()
        };
        Ok(Self { body, delimiter, at: Some(at) })
    }

    fn part(&self, start: usize) -> Result<Option<(Part, usize)>> {
        let rest = &self.body[start..];
        if rest.starts_with(b"--") {
            return Ok(None);
        }
        let line = memmem::find(rest, b"\r\n").ok_or_else(cut)?;
        if rest[..line].iter().any(|b| !matches!(b, b' ' | b'\t')) {
            return Err(invalid("unexpected bytes after a boundary"));
        }
        // The header block ends with an empty line, and may be nothing else.
        let head = start + line;
        let head_end = head + memmem::find(&self.body[head..], b"\r\n\r\n").ok_or_else(cut)?;
        let content = head_end + 4;
        let content_end = content + memmem::find(&self.body[content..], &self.delimiter).ok_or_else(cut)?;
        let name = field_name(&self.body[head..head_end])
            .ok_or_else(|| invalid("a part has no `Content-Disposition: form-data; name=…`"))?;
        let content = self.body.slice(content..content_end);
        Ok(Some((Part { name, content }, content_end + self.delimiter.len())))
    }
}

impl Iterator for Parts<'_> {
    type Item = Result<Part>;

    fn next(&mut self) -> Option<Result<Part>> {
        let at = self.at.take()?;
        match self.part(at) {
            Ok(None) => None,
            Ok(Some((part, next))) => {
                self.at = Some(next);
                Some(Ok(part))
            }
            Err(error) => Some(Err(error)),
        }
    }
}

/// The field's name out of a part's headers.
fn field_name(head: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(head).ok()?;
    let disposition = text.split("\r\n").find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.trim().eq_ignore_ascii_case("content-disposition").then_some(value.trim())
    })?;
    if !media_type(disposition).eq_ignore_ascii_case("form-data") {
        return None;
    }
    parameter(disposition, "name")
}

/// The value of a header without its parameters.
pub(crate) fn media_type(value: &str) -> &str {
    value.split(';').next().unwrap_or_default().trim()
}

/// A parameter of a header: `…; name=value` or `…; name="value"`, with `\"` and `\\` in quotes.
pub(crate) fn parameter(value: &str, name: &str) -> Option<String> {
    let mut rest = &value[value.find(';')?..];
    while let Some(parameter) = rest.trim_start().strip_prefix(';') {
        let (key, after) = parameter.split_once('=')?;
        let (found, after) = parameter_value(after.trim_start())?;
        if key.trim().eq_ignore_ascii_case(name) {
            return Some(found);
        }
        rest = after;
    }
    None
}

/// The value at the start of `text`, and what comes after it.
fn parameter_value(text: &str) -> Option<(String, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find(';').unwrap_or(text.len());
        return Some((text[..end].trim().to_owned(), &text[end..]));
    };
    let mut value = String::new();
    let mut chars = quoted.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((value, &quoted[at + 1..])),
            '\\' => value.push(chars.next()?.1),
            c => value.push(c),
        }
    }
    None
}

fn cut() -> Error {
    invalid("the form ends early")
}

fn invalid(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidRequest, format!("form: {}", message.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(body: &[u8]) -> Result<Bytes> {
        only_field(&Bytes::copy_from_slice(body), "XX", "file")
    }

    const HEAD: &str =
        "Content-Disposition: form-data; name=\"file\"; filename=\"a;b.jpg\"\r\nContent-Type: image/jpeg";

    #[test]
    fn a_field_is_what_stands_between_the_boundaries() {
        for (body, content) in [
            (format!("--XX\r\n{HEAD}\r\n\r\nhello\r\n--XX--\r\n"), "hello"),
            (format!("preamble\r\n--XX \t\r\n{HEAD}\r\n\r\nhello\r\n--XX--"), "hello"),
            (format!("--XX\r\n{HEAD}\r\n\r\n\r\n--XX--"), ""),
            (format!("--XX\r\n{HEAD}\r\n\r\n--XX\r\n-XX\n--XX\r\n--XX--"), "--XX\r\n-XX\n--XX"),
            (
                "--XX\r\ncontent-disposition:form-data;name=file\r\n\r\n\r\n\r\n\r\n--XX--".to_owned(),
                "\r\n\r\n",
            ),
        ] {
            assert_eq!(field(body.as_bytes()).unwrap(), content, "{body}");
        }
    }

    #[test]
    fn the_content_is_not_copied() {
        let body = Bytes::from(format!("--XX\r\n{HEAD}\r\n\r\nhello\r\n--XX--\r\n"));
        let content = only_field(&body, "XX", "file").unwrap();
        assert!(body.as_ptr_range().contains(&content.as_ptr()));
    }

    #[test]
    fn a_wrong_form_is_refused_with_the_reason() {
        let other = "Content-Disposition: form-data; name=\"top_k\"";
        for (body, reason) in [
            (String::new(), "boundary"),
            ("hello".to_owned(), "boundary"),
            ("--XX--\r\n".to_owned(), "missing field `file`"),
            ("--XX".to_owned(), "ends early"),
            (format!("--XX\r\n{HEAD}"), "ends early"),
            (format!("--XX\r\n{HEAD}\r\n\r\nhello"), "ends early"),
            (format!("--XX\r\n{HEAD}\r\n\r\nhello\r\n--XX"), "ends early"),
            (format!("--XXY\r\n{HEAD}\r\n\r\nhello\r\n--XX--"), "after a boundary"),
            (format!("--XX\r\n{other}\r\n\r\n3\r\n--XX--"), "unknown field `top_k`"),
            (format!("--XX\r\n{HEAD}\r\n\r\na\r\n--XX\r\n{HEAD}\r\n\r\nb\r\n--XX--"), "more than once"),
            ("--XX\r\nContent-Type: image/jpeg\r\n\r\na\r\n--XX--".to_owned(), "no `Content-Disposition"),
            ("--XX\r\n\r\na\r\n--XX--".to_owned(), "no `Content-Disposition"),
            (
                "--XX\r\nContent-Disposition: form-data; name=\"fi\r\n\r\na\r\n--XX--".to_owned(),
                "no `Content-",
            ),
        ] {
            let error = field(body.as_bytes()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidRequest);
            assert!(error.message().contains(reason), "{body:?}: {}", error.message());
        }
    }

    #[test]
    fn a_header_has_parameters() {
        assert_eq!(media_type("multipart/form-data; boundary=x"), "multipart/form-data");
        assert_eq!(parameter("a; b=c; Boundary = \"x;\\\"y\" ; d", "boundary").unwrap(), "x;\"y");
        assert_eq!(parameter("a; boundary=xy", "boundary").unwrap(), "xy");
        assert_eq!(parameter("a; boundary=\"xy", "boundary"), None);
        assert_eq!(parameter("a", "boundary"), None);
        assert_eq!(parameter("a;;", "boundary"), None);
    }
}
