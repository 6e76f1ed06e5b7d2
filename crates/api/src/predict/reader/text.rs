//! Base64 that comes in pieces, perhaps behind the head of a data URL.

use base64_simd::STANDARD;

/// How a data URL begins, and how its head ends.
const SCHEME: &[u8] = b"data:";
const HEAD_END: &[u8] = b";base64,";

/// Decodes standard base64 with padding.
#[derive(Debug)]
pub(super) struct Text {
    /// What may be the head of a data URL; `None` once it is known what it was.
    head: Option<Vec<u8>>,
    /// The first characters of four, of which the last have not come.
    four: [u8; 4],
    held: usize,
    /// Whether there was padding, behind which nothing may come.
    padded: bool,
    decoded: Vec<u8>,
}

impl Text {
    /// With room for a text of `length`.
    pub(super) fn with_capacity(length: usize) -> Self {
        let decoded = Vec::with_capacity(length / 4 * 3);
        Self { head: Some(Vec::new()), four: [0; 4], held: 0, padded: false, decoded }
    }

    /// Takes the next characters; `None` when they are not base64.
    pub(super) fn push(&mut self, run: &[u8]) -> Option<()> {
        let Some(mut head) = self.head.take() else { return self.payload(run) };
        if head.is_empty() && run.len() >= SCHEME.len() && !run.starts_with(SCHEME) {
            return self.payload(run);
        }
        // An end that is cut in two begins before.
        let unseen = head.len().saturating_sub(HEAD_END.len() - 1);
        head.extend_from_slice(run);
        if !run.iter().all(|byte| matches!(byte, b' '..=b'~')) {
            return None;
        }
        if !head.starts_with(&SCHEME[..head.len().min(SCHEME.len())]) {
            return self.payload(&head);
        }
        match memchr::memmem::find(&head[unseen..], HEAD_END).filter(|_| head.starts_with(SCHEME)) {
            Some(end) => self.payload(&head[unseen + end + HEAD_END.len()..]),
            None => {
                self.head = Some(head);
                Some(())
            }
        }
    }

    /// All that was decoded; `None` when the text broke off.
    pub(super) fn finish(mut self) -> Option<Vec<u8>> {
        match self.head.take() {
            // A data URL without its end, or a text that is shorter than the scheme.
            Some(head) if head.starts_with(SCHEME) => None,
            Some(head) => {
                self.payload(&head)?;
                self.whole()
            }
            None => self.whole(),
        }
    }

    fn whole(self) -> Option<Vec<u8>> {
        (self.held == 0).then_some(self.decoded)
    }

    fn payload(&mut self, mut run: &[u8]) -> Option<()> {
        // What is held is decoded later, when what else came with it is gone.
        let (held, end) = (run.len().min(3), run.len().saturating_sub(3));
        if !run[..held].iter().chain(&run[end..]).all(|&byte| is_base64(byte)) {
            return None;
        }
        if self.held > 0 {
            let taken = run.len().min(4 - self.held);
            let (first, rest) = run.split_at(taken);
            self.four[self.held..self.held + taken].copy_from_slice(first);
            self.held += taken;
            if self.held < 4 {
                return Some(());
            }
            self.held = 0;
            let four = self.four;
            self.decode(&four)?;
            run = rest;
        }
        let (fours, rest) = run.split_at(run.len() / 4 * 4);
        self.decode(fours)?;
        self.four[..rest.len()].copy_from_slice(rest);
        self.held = rest.len();
        (rest.is_empty() || !self.padded).then_some(())
    }

    /// Decodes characters in fours.
    fn decode(&mut self, fours: &[u8]) -> Option<()> {
        let Some(last) = fours.last() else { return Some(()) };
        if self.padded {
            return None;
        }
        self.padded = *last == b'=';
        self.decoded.reserve(fours.len() / 4 * 3);
        STANDARD.decode_append(fours, &mut self.decoded).ok()
    }
}

fn is_base64(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=')
}
