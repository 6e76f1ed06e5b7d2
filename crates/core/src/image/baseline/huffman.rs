//! Code tables.
//!
//! A code and the bits of the value behind it are mostly so short together that one look into a table gives all, and often
//! that of the next code too: a [`Step`]. The others take a second look.

/// Bits that the tables are indexed with.
const LOOK: u32 = 11;

/// What an end of block advances by: more than two runs of zeros, so that the two can be told apart.
pub(super) const END: usize = 128;

/// What a code stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// The difference of first coefficients.
    Dc,
    /// A run of zeros and a coefficient.
    Ac,
}

/// A code table.
#[derive(Debug)]
pub(super) struct Table {
    kind: Kind,
    /// For each `LOOK` bits the step that they begin with. Where they hold no whole one: the bits of the code (8) and its
    /// symbol (8), shifted by 8 bits.
    look: [u64; 1 << LOOK],
    /// For each length the first 16 bits that are too large for its codes, left-aligned.
    limit: [u32; 17],
    /// For each length what leads from a code to its symbol.
    offset: [i32; 17],
    symbols: [u8; 256],
}

/// One or two coefficients, the zeros before them, and the bits they take.
///
/// From the lowest bit: all bits (8), those of the first coefficient (8), positions that the first one advances by (8), and
/// both (8), the first value (16) and the second (16), which is 0 if there is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Step(u64);

impl Step {
    fn one(bits: u32, advance: usize, value: i16) -> Self {
        let (bits, advance) = (u64::from(bits), advance as u64);
        Self(bits | bits << 8 | advance << 16 | advance << 24 | u64::from(value as u16) << 32)
    }

    /// The step, if it is one, and `next` behind it.
    fn and(self, next: Self) -> Self {
        let bits = u64::from(self.bits() + next.bits());
        let advance = (self.advance() + next.advance()) as u64;
        Self(bits | self.0 & 0xffff_00ff_ff00 | advance << 24 | u64::from(next.first() as u16) << 48)
    }

    #[inline(always)]
    pub(super) fn bits(self) -> u32 {
        (self.0 & 0xff) as u32
    }

    #[inline(always)]
    pub(super) fn first_bits(self) -> u32 {
        (self.0 >> 8 & 0xff) as u32
    }

    /// From the position of the first coefficient to that behind the last; [`END`] more with an end of block.
    #[inline(always)]
    pub(super) fn advance(self) -> usize {
        (self.0 >> 24 & 0xff) as usize
    }

    #[inline(always)]
    pub(super) fn first_advance(self) -> usize {
        (self.0 >> 16 & 0xff) as usize
    }

    #[inline(always)]
    pub(super) fn first(self) -> i16 {
        (self.0 >> 32) as i16
    }

    #[inline(always)]
    pub(super) fn last(self) -> i16 {
        (self.0 >> 48) as i16
    }
}

impl Table {
    /// The table of `counts` codes of 1 to 16 bits for `symbols`; `None` where these are no code, or not one of baseline.
    pub(super) fn new(kind: Kind, counts: &[u8; 16], symbols: &[u8]) -> Option<Box<Self>> {
        // Values of more bits would not fit what a refill leaves.
        let (most, mask) = if kind == Kind::Dc { (11, 0xff) } else { (10, 15) };
        if symbols.iter().any(|&symbol| symbol & mask > most) {
            return None;
        }
        let mut table =
            Box::new(Self { kind, look: [0; 1 << LOOK], limit: [0; 17], offset: [0; 17], symbols: [0; 256] });
        table.symbols.get_mut(..symbols.len())?.copy_from_slice(symbols);
        let (mut code, mut index) = (0u32, 0usize);
        for (length, &count) in (1u32..).zip(counts) {
            table.offset[length as usize] = index as i32 - code as i32;
            for &symbol in symbols.get(index..index + usize::from(count))? {
                if length <= LOOK && code < 1 << length {
                    table.enter(code, length, symbol);
                }
                code += 1;
            }
            index += usize::from(count);
            if code > 1 << length {
                return None;
            }
            table.limit[length as usize] = code << (16 - length);
            code <<= 1;
        }
        if kind == Kind::Ac {
            table.join();
        }
        (index == symbols.len()).then_some(table)
    }

    /// Enters all that begins with `code`.
    fn enter(&mut self, code: u32, length: u32, symbol: u8) {
        let free = LOOK - length;
        for rest in 0..1 << free {
            let bits = u64::from(code << free | rest) << (64 - LOOK);
            let step = self.step(symbol, length, bits);
            self.look[(code << free | rest) as usize] =
                if step.bits() <= LOOK { step.0 } else { u64::from(length) << 16 | u64::from(symbol) << 8 };
        }
    }

    /// Joins each step with the next one, where that fits.
    fn join(&mut self) {
        let single = self.look;
        for (index, found) in self.look.iter_mut().enumerate() {
            let step = Step(*found);
            let next = Step(single[(index << step.bits()) & ((1 << LOOK) - 1)]);
            let fits = next.bits() != 0 && step.bits() + next.bits() <= LOOK;
            if step.bits() != 0 && step.advance() < END && fits {
                *found = step.and(next).0;
            }
        }
    }

    /// The step at the begin of `bits`; `None` where there is no such code.
    #[inline(always)]
    pub(super) fn next(&self, bits: u64) -> Option<Step> {
        let found = self.look[(bits >> (64 - LOOK)) as usize];
        if found & 0xff != 0 {
            return Some(Step(found));
        }
        let (length, symbol) =
            if found != 0 { ((found >> 16) as u32, (found >> 8) as u8) } else { self.long_code(bits)? };
        Some(self.step(symbol, length, bits))
    }

    #[cold]
    fn long_code(&self, bits: u64) -> Option<(u32, u8)> {
        let bits = (bits >> 48) as u32;
        let length = (LOOK + 1..=16).find(|&length| bits < self.limit[length as usize])?;
        let index = (bits >> (16 - length)) as i32 + self.offset[length as usize];
        Some((length, *self.symbols.get(usize::try_from(index).ok()?)?))
    }

    /// The step of `symbol`, whose code is the first `length` of `bits`.
    #[inline(always)]
    fn step(&self, symbol: u8, length: u32, bits: u64) -> Step {
        let (advance, size) = match (self.kind, symbol >> 4, symbol & 15) {
            (Kind::Dc, ..) => (1, u32::from(symbol)),
            (Kind::Ac, 0..15, 0) => (END, 0),
            (Kind::Ac, zeros, size) => (usize::from(zeros) + 1, u32::from(size)),
        };
        let bits = bits << length;
        let field = (bits >> 1 >> (63 - size)) as i32;
        // Values that begin with 0 stand for negative numbers.
        let negative = (!bits as i64 >> 63) as i32;
        let value = (field + (negative & (1 - (1 << size)))) as i16;
        Step::one(length + size, advance, value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Codes 0, 10, 110 and, of 16 bits, 1110 0000 0000 0000.
    #[test]
    fn steps_of_short_and_long_codes() {
        let mut counts = [0; 16];
        (counts[0], counts[1], counts[2], counts[15]) = (1, 1, 1, 1);
        let table = Table::new(Kind::Ac, &counts, &[0x00, 0x13, 0xf0, 0x0a]).expect("a code");
        let next = |bits: &[&str]| {
            let bits = bits.concat();
            table.next(u64::from_str_radix(&bits, 2).unwrap() << (64 - bits.len()))
        };
        let (end, skip) = (Step::one(1, END, 0), Step::one(3, 16, 0));
        let (five, minus_five) = (Step::one(5, 2, 5), Step::one(5, 2, -5));
        assert_eq!(next(&["0"]), Some(end));
        assert_eq!(next(&["10", "101", "1110"]), Some(five));
        assert_eq!(next(&["10", "010", "10", "101"]), Some(minus_five.and(five)));
        assert_eq!(next(&["10", "010", "0"]), Some(minus_five.and(end)));
        assert_eq!(next(&["110", "110", "110"]), Some(skip.and(skip)));
        assert_eq!(next(&["1110000000000000", "1000000001"]), Some(Step::one(26, 1, 513)));
        assert_eq!(next(&["1110000000000000", "0111111110"]), Some(Step::one(26, 1, -513)));
        let step = five.and(minus_five);
        assert_eq!((step.bits(), step.first_bits()), (10, 5));
        assert_eq!((step.advance(), step.first_advance()), (4, 2));
        assert_eq!((step.first(), step.last()), (5, -5));
        assert_eq!(next(&["1110000000000001"]), None);
        assert_eq!(next(&["1111111111111111"]), None);
    }

    #[test]
    fn what_is_no_code_is_refused() {
        let with = |length: usize, count: u8| {
            let mut counts = [0; 16];
            counts[length - 1] = count;
            counts
        };
        assert!(Table::new(Kind::Ac, &with(1, 2), &[0, 1]).is_some());
        assert!(Table::new(Kind::Ac, &with(1, 3), &[0, 1, 2]).is_none(), "three codes of one bit");
        assert!(Table::new(Kind::Ac, &with(4, 2), &[0]).is_none(), "too few symbols");
        assert!(Table::new(Kind::Ac, &with(4, 1), &[0x0b]).is_none(), "a coefficient of 11 bits");
        assert!(Table::new(Kind::Dc, &with(4, 1), &[0x0c]).is_none(), "a difference of 12 bits");
    }
}
