//! Splitting a text into `key`, `key=value`, `key:value` and `key(value)` items, with offsets kept.

use super::{TextError, TextErrorKind};
use crate::ids::TableId;

/// A piece of the text that knows where it began.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Src<'a> {
    pub s: &'a str,
    pub at: usize,
}

/// What stands between an item's key and its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sep {
    /// No value.
    None,
    /// `key:value`
    Colon,
    /// `key=value`
    Equals,
    /// `key(value)tail`
    Paren,
}

/// One item.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Item<'a> {
    pub key: Src<'a>,
    pub sep: Sep,
    pub value: Src<'a>,
    /// After the closing parenthesis: empty but for `check_pkt_larger(…)->field[bit]` and `oxm(…)[bits]`.
    pub tail: Src<'a>,
    /// The item itself.
    pub all: Src<'a>,
    /// The value and everything after it, to the text's end.
    pub rest: Src<'a>,
}

const FOUND_MAX: usize = 40;

impl<'a> Src<'a> {
    pub const fn new(s: &'a str) -> Self {
        Self { s, at: 0 }
    }

    /// Bytes `from..to`; empty when they are no such slice.
    pub fn slice(self, from: usize, to: usize) -> Self {
        Self { s: self.s.get(from..to).unwrap_or(""), at: self.at + from }
    }

    pub fn from(self, from: usize) -> Self {
        self.slice(from, self.s.len())
    }

    pub fn trim(self) -> Self {
        let start = self.s.len() - self.s.trim_start().len();
        Self { s: self.s.trim(), at: self.at + start }
    }

    pub fn is_empty(self) -> bool {
        self.s.is_empty()
    }

    pub fn split_once(self, pattern: &str) -> Option<(Self, Self)> {
        let i = self.s.find(pattern)?;
        Some((self.slice(0, i), self.from(i + pattern.len())))
    }

    pub fn strip_prefix(self, prefix: &str) -> Option<Self> {
        self.s.starts_with(prefix).then(|| self.from(prefix.len()))
    }

    /// The command word that the text begins with, and what follows; without one, the whole text.
    pub fn command<C: Copy>(self, commands: &[(&str, C)]) -> (Option<C>, Self) {
        let text = self.trim();
        let found = commands.iter().find_map(|(name, command)| {
            let rest = text.strip_prefix(name)?;
            let ends = rest.is_empty() || rest.s.starts_with(|c: char| c.is_ascii_whitespace());
            ends.then_some((Some(*command), rest))
        });
        found.unwrap_or((None, text))
    }

    pub fn err(self, kind: TextErrorKind, expected: impl Into<String>) -> TextError {
        let mut end = self.s.len().min(FOUND_MAX);
        while !self.s.is_char_boundary(end) {
            end -= 1;
        }
        let found = self.s.get(..end).unwrap_or("").to_owned();
        TextError { offset: self.at, kind, expected: expected.into(), found }
    }

    pub fn bad(self, expected: impl Into<String>) -> TextError {
        self.err(TextErrorKind::BadValue, expected)
    }

    pub fn missing(self, expected: impl Into<String>) -> TextError {
        self.err(TextErrorKind::Missing, expected)
    }

    /// The string in quotes that the text begins with, and what follows.
    pub fn split_quoted(self) -> Result<(Self, Self), TextError> {
        let end = quote_end(self, 0)?;
        Ok((self.slice(0, end), self.from(end)))
    }

    /// A number as in C: decimal, after `0x` hexadecimal, after `0` octal.
    pub fn number(self) -> Result<u128, TextError> {
        let t = self.trim();
        let octal = t.s.len() > 1 && t.s.starts_with('0') && t.s.bytes().all(|b| b.is_ascii_digit());
        if !octal {
            return t.plain_number();
        }
        u128::from_str_radix(t.s, 8).map_err(|e| match e.kind() {
            std::num::IntErrorKind::PosOverflow => t.err(TextErrorKind::OutOfRange, "a number of at most 128 bits"),
            _ => t.bad("an octal number, as it begins with 0"),
        })
    }

    /// A number in decimal, whatever zeros it begins with, or, after `0x`, hexadecimal.
    pub fn plain_number(self) -> Result<u128, TextError> {
        let t = self.trim();
        let parsed = match t.s.strip_prefix("0x").or_else(|| t.s.strip_prefix("0X")) {
            Some(hex) if !hex.starts_with('+') => u128::from_str_radix(hex, 16),
            _ if t.s.starts_with('+') => return Err(t.bad("a number")),
            _ => t.s.parse::<u128>(),
        };
        parsed.map_err(|e| match e.kind() {
            std::num::IntErrorKind::PosOverflow => t.err(TextErrorKind::OutOfRange, "a number of at most 128 bits"),
            _ => t.bad("a number"),
        })
    }

    /// A number of at most `max`.
    pub fn number_to(self, max: u128) -> Result<u128, TextError> {
        self.at_most(self.number()?, max)
    }

    /// [`Self::plain_number`] of at most `max`: ports, tables, lengths of prefixes, parts of a second.
    pub fn plain_to(self, max: u128) -> Result<u128, TextError> {
        self.at_most(self.plain_number()?, max)
    }

    fn at_most(self, n: u128, max: u128) -> Result<u128, TextError> {
        if n > max {
            return Err(self.trim().err(TextErrorKind::OutOfRange, format!("a number from 0 to {max}")));
        }
        Ok(n)
    }

    /// A table's number.
    pub fn table(self) -> Result<TableId, TextError> {
        Ok(TableId(self.plain_to(u8::MAX.into())? as u8))
    }

    pub fn u8(self) -> Result<u8, TextError> {
        Ok(self.number_to(u8::MAX.into())? as u8)
    }
    pub fn u16(self) -> Result<u16, TextError> {
        Ok(self.number_to(u16::MAX.into())? as u16)
    }
    pub fn u32(self) -> Result<u32, TextError> {
        Ok(self.number_to(u32::MAX.into())? as u32)
    }
    pub fn u64(self) -> Result<u64, TextError> {
        Ok(self.number_to(u64::MAX.into())? as u64)
    }

    /// `a` or `a/b` of 64 bits; `-1` means all ones.
    pub fn u64_masked(self) -> Result<(u64, Option<u64>), TextError> {
        let number = |s: Src<'_>| if s.trim().s == "-1" { Ok(u64::MAX) } else { s.u64() };
        match self.split_once("/") {
            Some((v, m)) => Ok((number(v)?, Some(number(m)?))),
            None => Ok((number(self)?, None)),
        }
    }

    /// Hexadecimal bytes, with or without dots between them.
    pub fn hex_bytes(self) -> Result<Vec<u8>, TextError> {
        let t = self.trim();
        let mut out = Vec::with_capacity(t.s.len() / 2);
        let mut high: Option<u8> = None;
        for (i, c) in t.s.char_indices() {
            if c == '.' && high.is_none() {
                continue;
            }
            let digit = c.to_digit(16).ok_or_else(|| t.from(i).bad("hexadecimal bytes"))? as u8;
            match high.take() {
                None => high = Some(digit),
                Some(h) => out.push(h << 4 | digit),
            }
        }
        if high.is_some() {
            return Err(t.bad("an even number of hexadecimal digits"));
        }
        Ok(out)
    }

    /// The items of the text, split at commas and white space outside parentheses and quotes.
    pub fn items(self) -> Items<'a> {
        Items { src: self, pos: 0 }
    }

    /// The arguments of a call by position: split at commas only, so that one may be empty.
    pub fn args(self) -> Result<Vec<Src<'a>>, TextError> {
        let mut out = Vec::new();
        let mut start = 0;
        loop {
            let end = item_end(self, start, |b| b == b',')?;
            out.push(self.slice(start, end).trim());
            if end >= self.s.len() {
                return Ok(out);
            }
            start = end + 1;
        }
    }

    /// The words of a call, split at commas and white space, of which there may be several.
    pub fn words(self) -> Result<Vec<Src<'a>>, TextError> {
        let (mut out, mut start) = (Vec::new(), 0);
        while start < self.s.len() {
            let end = item_end(self, start, is_separator)?;
            if end > start {
                out.push(self.slice(start, end));
            }
            start = end + 1;
        }
        Ok(out)
    }
}

fn is_separator(b: u8) -> bool {
    b == b',' || b.is_ascii_whitespace()
}

/// Where the item that starts at `start` ends: at the first stop outside parentheses and quotes.
fn item_end(src: Src<'_>, start: usize, stop: impl Fn(u8) -> bool) -> Result<usize, TextError> {
    let bytes = src.s.as_bytes();
    // What closes each that is open, and where it opened.
    let mut open: Vec<(u8, usize)> = Vec::new();
    let mut i = start;
    while let Some(&b) = bytes.get(i) {
        match b {
            b'"' => {
                i = quote_end(src, i)?;
                continue;
            }
            b'(' => open.push((b')', i)),
            b'[' => open.push((b']', i)),
            b')' | b']' => match open.pop() {
                Some((closing, _)) if closing == b => {}
                Some((closing, _)) => {
                    return Err(src.from(i).err(TextErrorKind::Syntax, format!("{} here", char::from(closing))));
                }
                None => return Err(src.from(i).err(TextErrorKind::Syntax, "no closing parenthesis here")),
            },
            _ if open.is_empty() && stop(b) => return Ok(i),
            _ => {}
        }
        i += 1;
    }
    match open.first() {
        Some((_, at)) => Err(src.from(*at).err(TextErrorKind::Syntax, "a closing parenthesis")),
        None => Ok(bytes.len()),
    }
}

/// The index after the closing quote of the string that opens at `start`.
fn quote_end(src: Src<'_>, start: usize) -> Result<usize, TextError> {
    let bytes = src.s.as_bytes();
    let mut i = start + 1;
    while let Some(&b) = bytes.get(i) {
        match b {
            b'\\' => i += 2,
            b'"' => return Ok(i + 1),
            _ => i += 1,
        }
    }
    Err(src.from(start).err(TextErrorKind::Syntax, "a closing quote"))
}

/// Iterator over a text's items.
pub(crate) struct Items<'a> {
    src: Src<'a>,
    pos: usize,
}

impl<'a> Items<'a> {
    fn take(&mut self) -> Result<Option<Item<'a>>, TextError> {
        let bytes = self.src.s.as_bytes();
        while bytes.get(self.pos).is_some_and(|b| is_separator(*b)) {
            self.pos += 1;
        }
        if self.pos >= bytes.len() {
            return Ok(None);
        }
        let start = self.pos;
        let end = item_end(self.src, start, is_separator)?;
        self.pos = end;
        let all = self.src.slice(start, end);
        let key_end = if all.s.starts_with('"') {
            quote_end(all, 0)?
        } else {
            // `reg0[0..3]=1`: brackets belong to the key.
            all.s.find([':', '=', '(']).unwrap_or(all.s.len())
        };
        let key = all.slice(0, key_end);
        let rest_from = start + key_end + 1;
        let (sep, value, tail) = match all.s.as_bytes().get(key_end) {
            Some(b':') => (Sep::Colon, all.from(key_end + 1), all.from(all.s.len())),
            Some(b'=') => (Sep::Equals, all.from(key_end + 1), all.from(all.s.len())),
            Some(b'(') => {
                let close = item_end(all.from(key_end + 1), 0, |_| false);
                // The scan above proved balance, so the close is where depth first falls below zero.
                let close = match close {
                    Err(e) => e.offset.saturating_sub(all.at),
                    Ok(n) => key_end + 1 + n,
                };
                let tail = all.from(close + 1);
                // What nothing reads must not be lost: `clone(output:1)output:2` lacks a comma.
                if !tail.is_empty() && !matches!(key.s, "check_pkt_larger" | "oxm") {
                    return Err(tail.err(TextErrorKind::Syntax, "a comma after the closing parenthesis"));
                }
                (Sep::Paren, all.slice(key_end + 1, close), tail)
            }
            _ => (Sep::None, all.from(all.s.len()), all.from(all.s.len())),
        };
        let rest = self.src.from(rest_from.min(self.src.s.len()));
        Ok(Some(Item { key, sep, value, tail, all, rest }))
    }
}

impl<'a> Iterator for Items<'a> {
    type Item = Result<Item<'a>, TextError>;

    fn next(&mut self) -> Option<Self::Item> {
        match self.take() {
            Ok(item) => item.map(Ok),
            Err(e) => {
                self.pos = self.src.s.len();
                Some(Err(e))
            }
        }
    }
}

impl<'a> Item<'a> {
    /// The value, refused if there is none.
    pub fn need(&self, what: &str) -> Result<Src<'a>, TextError> {
        if self.sep == Sep::None || self.value.is_empty() {
            return Err(self.all.missing(format!("{} with {what}", self.key.s)));
        }
        Ok(self.value)
    }

    /// Refuses a value.
    pub fn bare(&self) -> Result<(), TextError> {
        let empty_parens = self.sep == Sep::Paren && self.value.trim().is_empty() && self.tail.is_empty();
        if self.sep == Sep::None || empty_parens {
            return Ok(());
        }
        Err(self.all.err(TextErrorKind::Syntax, format!("{} without a value", self.key.s)))
    }

    pub fn unknown(&self, what: &str) -> TextError {
        self.all.err(TextErrorKind::Unknown, what.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_keep_offsets_and_nesting() {
        let items: Vec<_> =
            Src::new("ip, a=1/2 oxm(x,(y))->z \"q,r\",reg0[0..3]=5").items().map(Result::unwrap).collect();
        let keys: Vec<_> = items.iter().map(|i| (i.key.s, i.sep, i.value.s, i.tail.s, i.key.at)).collect();
        assert_eq!(
            keys,
            [
                ("ip", Sep::None, "", "", 0),
                ("a", Sep::Equals, "1/2", "", 4),
                ("oxm", Sep::Paren, "x,(y)", "->z", 10),
                ("\"q,r\"", Sep::None, "", "", 24),
                ("reg0[0..3]", Sep::Equals, "5", "", 30),
            ]
        );
    }

    #[test]
    fn unbalanced_text_is_refused_with_its_place() {
        for (text, at) in [
            ("a(b", 1),
            ("a)b", 1),
            ("x=\"abc", 2),
            ("a(b)c", 4),
            ("a(b)(c)", 4),
            ("é(b)c", 5),
            ("a(b]", 3),
            ("a[(b])", 4),
            ("a([b)", 4),
        ] {
            let e = Src::new(text).items().find_map(Result::err).unwrap();
            assert_eq!((e.offset, e.kind), (at, TextErrorKind::Syntax), "{text}");
        }
    }

    #[test]
    fn arguments_may_be_empty() {
        let args: Vec<_> = Src::new(",3,(a,b)").args().unwrap().iter().map(|a| a.s).collect();
        assert_eq!(args, ["", "3", "(a,b)"]);
        let words: Vec<_> = Src::new(", 3  (a, b),[1 2],").words().unwrap().iter().map(|a| (a.s, a.at)).collect();
        assert_eq!(words, [("3", 2), ("(a, b)", 5), ("[1 2]", 12)]);
        assert!(Src::new("").words().unwrap().is_empty());
        assert_eq!(Src::new("1 (2").words().unwrap_err().offset, 2);
    }

    #[test]
    fn numbers_are_c_s() {
        for (text, n) in [("0", 0), ("10", 10), ("010", 8), ("0x10", 16), ("0X1f", 31), (" 017 ", 15), ("00", 0)] {
            assert_eq!(Src::new(text).number(), Ok(n), "{text}");
        }
        for text in ["", "08", "019", "0x", "+1", "-1", "0x+1", "1e3", "0o7", "1 2"] {
            assert!(Src::new(text).number().is_err(), "{text}");
        }
        assert_eq!(Src::new("010").plain_number(), Ok(10));
        assert_eq!(Src::new("0256").table().map_err(|e| e.kind), Err(TextErrorKind::OutOfRange));
        let long = format!("0{}", "7".repeat(50));
        assert_eq!(Src::new(&long).number().map_err(|e| e.kind), Err(TextErrorKind::OutOfRange));
    }
}
