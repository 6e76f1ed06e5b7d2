//! How deep JSON nests: the parser skips over what nobody asked for by recursion, and a stack has an end.

/// Deeper than anything that the protocol holds; a recursion of so many steps is far from the end of any stack.
const MAX_DEPTH: usize = 64;

/// Whether nothing in `json` nests too deep. Text that is not JSON may pass.
pub(super) fn is_shallow(json: &[u8]) -> bool {
    // Most requests have few arrays at all, and counting those is quick.
    memchr::memchr2_iter(b'[', b'{', json).nth(MAX_DEPTH).is_none() || deepest(json) <= MAX_DEPTH
}

fn deepest(json: &[u8]) -> usize {
    let (mut depth, mut deepest) = (0usize, 0);
    let mut bytes = json.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            b'[' | b'{' => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            b'"' => skip_string(&mut bytes),
            _ => {}
        }
    }
    deepest
}

fn skip_string(bytes: &mut std::slice::Iter<'_, u8>) {
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => return,
            b'\\' => {
                bytes.next();
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brackets_in_strings_do_not_count() {
        let wide = format!("[{}[]]", "[],".repeat(1000));
        let text = format!(r#"["{}\"{}"]"#, "[".repeat(1000), "[".repeat(1000));
        let deep = |depth| "[".repeat(depth) + &"]".repeat(depth);
        assert!(
            is_shallow(wide.as_bytes()) && is_shallow(text.as_bytes()) && is_shallow(deep(64).as_bytes())
        );
        assert!(!is_shallow(deep(65).as_bytes()));
        assert!(!is_shallow("[\"]\"".repeat(65).as_bytes()));
    }
}
