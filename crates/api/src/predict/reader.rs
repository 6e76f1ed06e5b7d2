//! The JSON form of a request, read while it arrives.
//!
//! A body is a third larger than the image in it, and fifty of them at once push everything else out of the caches. So the
//! image is decoded piece by piece, and neither the body nor its text is ever whole in memory. What is read this way is a
//! body that begins with its image, as every valid one does that spells `image` plainly; any other is kept and read when it
//! is whole. Either way [`PredictJson::parse`] has the last word on what is around the image.

mod text;

use memchr::memchr2;
use tintype_core::Result;

use super::{PredictJson, decode_base64, not_base64, refused};
use text::Text;

/// Reads a [`PredictJson`] piece by piece, and gives the image in it.
#[derive(Debug)]
pub struct PredictReader {
    place: Place,
    /// The JSON around the text of the image; all of it where the image is not read as it comes.
    around: Vec<u8>,
    text: Text,
    /// The beginning of an opening, or of an escape, whose end has not come yet.
    pending: Vec<u8>,
}

#[derive(Debug, PartialEq, Eq)]
enum Place {
    Before,
    Image,
    After,
    /// Past something in the image's text that is not base64. From there on the text is kept: it may not be JSON either.
    Wrong,
    /// In a body that is to be read whole.
    Whole,
}

impl PredictReader {
    /// For a body of `length` bytes, or one whose length is not known.
    pub fn new(length: Option<usize>) -> Self {
        let text = Text::with_capacity(length.unwrap_or(0));
        Self { place: Place::Before, around: Vec::new(), text, pending: Vec::new() }
    }

    /// Takes the next piece of the body.
    pub fn push(&mut self, piece: &[u8]) {
        let mut joined = std::mem::take(&mut self.pending);
        let piece = if joined.is_empty() {
            piece
        } else {
            joined.extend_from_slice(piece);
            &joined
        };
        match self.place {
            Place::Before => self.before(piece),
            Place::Image => self.image(piece),
            Place::After | Place::Wrong | Place::Whole => self.around.extend_from_slice(piece),
        }
    }

    /// The encoded image, once the body is complete.
    ///
    /// # Errors
    /// `InvalidRequest` when it is not the JSON that was expected, or its image not base64.
    pub fn finish(self) -> Result<Vec<u8>> {
        let Self { place, around, text, pending } = self;
        match place {
            Place::Before => return decode_base64(&PredictJson::parse(&pending)?.image),
            Place::Whole => return decode_base64(&PredictJson::parse(&around)?.image),
            Place::Image | Place::After | Place::Wrong => {}
        }
        // Without the image its errors would be said to lie elsewhere than they do.
        sonic_rs::from_slice::<PredictJson<'_>>(&around).map_err(|error| refused(&error, false))?;
        match place {
            Place::After => text.finish().ok_or_else(not_base64),
            _ => Err(not_base64()),
        }
    }

    /// Takes the beginning of the body.
    fn before(&mut self, body: &[u8]) {
        match opening(body) {
            Opening::Here(end) => {
                self.place = Place::Image;
                self.around.extend_from_slice(&body[..end]);
                self.image(&body[end..]);
            }
            Opening::Unfinished if body.len() < LONGEST_OPENING => self.pending = body.to_vec(),
            _ => {
                self.place = Place::Whole;
                self.around.extend_from_slice(body);
            }
        }
    }

    /// Takes a piece that begins within the image's text.
    fn image(&mut self, mut piece: &[u8]) {
        loop {
            let end = memchr2(b'"', b'\\', piece);
            let (run, rest) = piece.split_at(end.unwrap_or(piece.len()));
            if self.text.push(run).is_none() {
                return self.wrong(piece);
            }
            match rest {
                [] => return,
                [b'"', ..] => {
                    self.place = Place::After;
                    return self.around.extend_from_slice(rest);
                }
                _ => match escaped(rest) {
                    Escape::Of(character, length) if self.text.push(&[character]).is_some() => {
                        piece = &rest[length..];
                    }
                    Escape::Unfinished => return self.pending = rest.to_vec(),
                    _ => return self.wrong(rest),
                },
            }
        }
    }

    fn wrong(&mut self, rest: &[u8]) {
        self.place = Place::Wrong;
        self.around.extend_from_slice(rest);
    }
}

/// With more white space than this before its image, a body is read whole: it would be looked through again for every piece.
const LONGEST_OPENING: usize = 1 << 10;

enum Opening {
    /// The image's text begins at this index.
    Here(usize),
    /// More is needed to tell.
    Unfinished,
    /// The body begins with something else.
    Elsewhere,
}

/// Looks for `{"image":"` at the start of a body.
fn opening(body: &[u8]) -> Opening {
    let mut at = 0;
    for token in [&b"{"[..], b"\"image\"", b":", b"\""] {
        at += body[at..].iter().take_while(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\r')).count();
        let found = &body[at..body.len().min(at + token.len())];
        if !token.starts_with(found) {
            return Opening::Elsewhere;
        }
        if found.len() < token.len() {
            return Opening::Unfinished;
        }
        at += token.len();
    }
    Opening::Here(at)
}

enum Escape {
    /// An ASCII character, and how many bytes the escape has.
    Of(u8, usize),
    Unfinished,
    /// One that no base64 has.
    Other,
}

/// Reads the escape at the start of `text`: some encoders of JSON write `/` as `\/`, or `+` as `\u002B`.
fn escaped(text: &[u8]) -> Escape {
    match text {
        [_, b'/', ..] => Escape::Of(b'/', 2),
        [_, b'u', digits @ ..] if digits.len() < 4 => Escape::Unfinished,
        [_, b'u', digits @ ..] => {
            let code = std::str::from_utf8(&digits[..4]).ok().filter(|digits| !digits.starts_with('+'));
            match code.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
                Some(character) if character.is_ascii() => Escape::Of(character, 6),
                _ => Escape::Other,
            }
        }
        [_] => Escape::Unfinished,
        _ => Escape::Other,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn in_pieces<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Result<Vec<u8>> {
        let mut reader = PredictReader::new(None);
        pieces.into_iter().for_each(|piece| reader.push(piece));
        reader.finish()
    }

    fn whole(body: &[u8]) -> Result<Vec<u8>> {
        decode_base64(&PredictJson::parse(body)?.image)
    }

    /// Whether the two readers agree on a body, wherever it is cut.
    fn agree(body: &[u8], cuts: &[usize]) {
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut % (body.len() + 1)).collect();
        cuts.extend([0, body.len()]);
        cuts.sort_unstable();
        let found = in_pieces(cuts.windows(2).map(|cut| &body[cut[0]..cut[1]]));
        let text = String::from_utf8_lossy(body);
        match (found, whole(body)) {
            (Ok(found), Ok(expected)) => assert_eq!(found, expected, "{text}"),
            (Err(found), Err(expected)) => {
                assert_eq!(found.kind(), expected.kind(), "{text}");
                let reason = |message: &str| message.split(" at line ").next().map(str::to_owned);
                assert_eq!(reason(found.message()), reason(expected.message()), "{text}");
            }
            (found, expected) => panic!("{text}: {found:?} in pieces, {expected:?} whole"),
        }
    }

    #[test]
    fn bodies_that_are_written_oddly_are_read_as_when_whole() {
        for body in [
            &br#"{"image":"aGk="}"#[..],
            b" {\t\"image\" :\r\n \"aGk=\" } \n",
            br#"{"image": "data:image/png;base64,aGk="}"#,
            br#"{"image": "data:;base64,data:;base64,aGk="}"#,
            br#"{"image": "data:image\/png;base64,\/\u002B8="}"#,
            br#"{"image": "\u0064ata:;base64,aGk="}"#,
            br#"{"\u0069mage": "aGk="}"#,
            br#"{"image": ""}"#,
            br#"{"image": "data"}"#,
            br#"{"image": "data:"}"#,
            br#"{"image": "data:image/png,hi"}"#,
            br#"{"image": "a"}"#,
            br#"{"image": "aGk=aGk="}"#,
            br#"{"image": "aGk=\n"}"#,
            br#"{"image": "aG k="}"#,
            br#"{"image": "\u002"}"#,
            br#"{"image": "\u+0f1"}"#,
            br#"{"image": "\u00e9"}"#,
            br#"{"image": "\x"}"#,
            br#"{"image": "aGk"#,
            br#"{"image": "aGk\"#,
            br#"{"image": "aGk="} x"#,
            br#"{"image": "aGk=", "image": "aGk="}"#,
            br#"{"image": "aGk=", "top_k": 1}"#,
            br#"{"top_k": 1, "image": "aGk="}"#,
            b"{\"image\": \"\xff\"}",
            b"{\"image\": \"a\x01\"}",
            br#"{"image": 3}"#,
            b"[]",
            b"{",
            b"",
        ] {
            agree(body, &[]);
            for cut in 0..body.len() {
                agree(body, &[cut]);
                agree(body, &[cut, cut + 1]);
            }
        }
    }

    #[test]
    fn a_body_with_much_space_or_a_long_head_is_read_as_when_whole() {
        let space = " ".repeat(2 * LONGEST_OPENING);
        let cuts: Vec<usize> = (0..3 * LONGEST_OPENING).step_by(100).collect();
        agree(format!("{space}{{\"image\":\"aGk=\"}}").as_bytes(), &cuts);
        agree(format!("{{{space}\"image\":\"aGk=\"}}").as_bytes(), &cuts);
        agree(format!("{{\"image\":\"data:{space};base64,aGk=\"}}").as_bytes(), &cuts);
    }

    proptest! {
        #[test]
        fn an_image_is_itself_wherever_its_body_is_cut(
            image: Vec<u8>,
            cuts in prop::collection::vec(0usize..1000, 0..8),
            slashes: bool,
        ) {
            let mut text = base64_simd::STANDARD.encode_to_string(&image);
            if slashes {
                text = text.replace('/', "\\/").replace('+', "\\u002b");
            }
            agree(format!("{{\"image\":\"{text}\"}}").as_bytes(), &cuts);
        }

        #[test]
        fn whatever_comes_is_read_as_when_whole(
            text in r#"(data:[a-z/;,]{0,12}(base64,)?)?[A-Za-z0-9+/=\\" u]{0,24}"#,
            cuts in prop::collection::vec(0usize..60, 0..4),
        ) {
            agree(format!("{{\"image\": \"{text}\"}}").as_bytes(), &cuts);
        }
    }
}
