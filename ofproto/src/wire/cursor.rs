//! Checked cursors over message bytes. Nothing here panics, whatever the input.

use crate::error::{ErrorKind, OfError};

/// Reads big-endian values front to back; every failure names field and offset.
///
/// A sub-reader ([`Reader::sub`]) knows its place in the whole message, so that offsets in errors
/// count from the first byte of the header.
///
/// Invariant: `rest` ends at `end`. After an error the place is where reading stopped, and the kind
/// for missing bytes may be an inner structure's: only a reader that nothing failed on reads on.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    /// The bytes not read yet.
    rest: &'a [u8],
    /// Where they end, from the start of the message.
    end: usize,
    /// What to answer when bytes are missing: the enclosing structure's own `BAD_LEN`.
    short: ErrorKind,
    /// How many structures of a kind that holds itself enclose this one.
    depth: u8,
}

/// How deep structures may hold themselves (actions in actions).
pub const MAX_DEPTH: u8 = 16;

macro_rules! read_int {
    ($($(#[$doc:meta])* $name:ident: $ty:ty;)*) => {$(
        $(#[$doc])*
        #[inline]
        pub fn $name(&mut self, field: &'static str) -> Result<$ty, OfError> {
            const N: usize = size_of::<$ty>();
            Ok(<$ty>::from_be_bytes(self.array::<N>(field)?))
        }
    )*};
}

impl<'a> Reader<'a> {
    /// A reader of a whole message.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, end: bytes.len(), short: ErrorKind::BadRequestBadLen, depth: 0 }
    }

    /// The same place, but missing bytes are answered with `short` from here on.
    #[must_use]
    #[inline]
    pub fn with_short(mut self, short: ErrorKind) -> Self {
        self.short = short;
        self
    }

    /// Answers missing bytes with `short` from here on; says what they were answered with so far.
    #[inline]
    pub fn set_short(&mut self, short: ErrorKind) -> ErrorKind {
        std::mem::replace(&mut self.short, short)
    }

    /// A reader of the rest that is one level deeper; `None` at [`MAX_DEPTH`], so that no input makes a
    /// decoder recurse further.
    #[must_use]
    pub fn descend(&self) -> Option<Self> {
        (self.depth < MAX_DEPTH).then(|| Self { depth: self.depth + 1, ..self.clone() })
    }

    /// The kind that missing bytes are answered with.
    pub fn short(&self) -> ErrorKind {
        self.short
    }

    /// Offset from the start of the message.
    #[inline]
    pub fn offset(&self) -> usize {
        self.end - self.rest.len()
    }

    /// Bytes not read yet.
    #[inline]
    pub fn remaining(&self) -> usize {
        self.rest.len()
    }

    /// Whether everything was read.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// The bytes not read yet, without reading them.
    #[inline]
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Reads everything that is left.
    #[inline]
    pub fn take_rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.rest)
    }

    /// An error at this place.
    pub fn error(
        &self,
        kind: ErrorKind,
        field: &'static str,
        reason: impl Into<std::borrow::Cow<'static, str>>,
    ) -> OfError {
        OfError::at(kind, self.offset(), field, reason)
    }

    /// Reads `n` bytes.
    #[inline]
    pub fn bytes(&mut self, n: usize, field: &'static str) -> Result<&'a [u8], OfError> {
        match self.rest.split_at_checked(n) {
            Some((read, rest)) => {
                self.rest = rest;
                Ok(read)
            }
            None => Err(self.too_short(n, field)),
        }
    }

    #[cold]
    #[inline(never)]
    fn too_short(&self, n: usize, field: &'static str) -> OfError {
        self.error(self.short, field, format!("needs {n} bytes, {} are left", self.remaining()))
    }

    /// Reads a fixed array.
    #[inline]
    pub fn array<const N: usize>(&mut self, field: &'static str) -> Result<[u8; N], OfError> {
        match self.rest.split_first_chunk() {
            Some((read, rest)) => {
                self.rest = rest;
                Ok(*read)
            }
            None => Err(self.too_short(N, field)),
        }
    }

    read_int! {
        /// Reads a byte.
        u8: u8;
        /// Reads a big-endian 16-bit number.
        u16: u16;
        /// Reads a big-endian 32-bit number.
        u32: u32;
        /// Reads a big-endian 64-bit number.
        u64: u64;
        /// Reads a big-endian 128-bit number.
        u128: u128;
    }

    /// Reads `n` ≤ 16 bytes as a right-aligned big-endian number.
    pub fn uint(&mut self, n: usize, field: &'static str) -> Result<u128, OfError> {
        let slice = self.bytes(n, field)?;
        Ok(slice.iter().fold(0u128, |acc, b| (acc << 8) | u128::from(*b)))
    }

    /// Skips padding, whatever its value (OpenFlow 1.3.5 §7.1.2).
    #[inline]
    pub fn skip(&mut self, n: usize) -> Result<(), OfError> {
        self.bytes(n, "pad").map(|_| ())
    }

    /// A reader of the next `n` bytes, which this one then skips.
    #[inline]
    pub fn sub(&mut self, n: usize, field: &'static str) -> Result<Reader<'a>, OfError> {
        let end = self.offset().wrapping_add(n);
        let rest = self.bytes(n, field)?;
        Ok(Reader { rest, end, short: self.short, depth: self.depth })
    }

    /// As [`sub`](Self::sub), for a structure with a `BAD_LEN` of its own.
    #[inline]
    pub fn sub_short(&mut self, short: ErrorKind, n: usize, field: &'static str) -> Result<Reader<'a>, OfError> {
        let outer = self.set_short(short);
        let sub = self.sub(n, field)?;
        self.short = outer;
        Ok(sub)
    }
}

/// Appends big-endian values to a buffer.
#[derive(Debug, Default)]
pub struct Writer {
    buf: Vec<u8>,
    depth: u8,
}

impl Writer {
    /// An empty writer.
    pub fn new() -> Self {
        Self::default()
    }

    /// A writer that appends to `buf`, so that a caller can use one allocation again and again.
    pub fn over(buf: Vec<u8>) -> Self {
        Self { buf, depth: 0 }
    }

    /// Lets `inner` write a structure inside one of its own kind; `None` at [`MAX_DEPTH`], which no
    /// reader takes either.
    pub fn nested<T>(&mut self, inner: impl FnOnce(&mut Self) -> T) -> Option<T> {
        if self.depth >= MAX_DEPTH {
            return None;
        }
        self.depth += 1;
        let out = inner(self);
        self.depth -= 1;
        Some(out)
    }

    /// Bytes written.
    pub fn len(&self) -> usize {
        self.buf.len()
    }

    /// Whether nothing was written.
    pub fn is_empty(&self) -> bool {
        self.buf.is_empty()
    }

    /// The bytes.
    pub fn into_vec(self) -> Vec<u8> {
        self.buf
    }

    /// The bytes so far.
    pub fn as_slice(&self) -> &[u8] {
        &self.buf
    }

    /// Writes a byte.
    pub fn u8(&mut self, v: u8) {
        self.buf.push(v);
    }

    /// Writes a 16-bit number.
    pub fn u16(&mut self, v: u16) {
        self.buf.extend_from_slice(&v.to_be_bytes());
    }

    /// Writes a 32-bit number.
    pub fn u32(&mut self, v: u32) {
        self.buf.extend_from_slice(&v.to_be_bytes());
    }

    /// Writes a 64-bit number.
    pub fn u64(&mut self, v: u64) {
        self.buf.extend_from_slice(&v.to_be_bytes());
    }

    /// Writes the low `n` ≤ 16 bytes of a number.
    pub fn uint(&mut self, v: u128, n: usize) {
        let all = v.to_be_bytes();
        self.buf.extend_from_slice(&all[16 - n.min(16)..]);
    }

    /// Writes bytes.
    pub fn bytes(&mut self, v: &[u8]) {
        self.buf.extend_from_slice(v);
    }

    /// Writes `n` zero bytes.
    pub fn zeros(&mut self, n: usize) {
        self.buf.resize(self.buf.len() + n, 0);
    }

    /// Writes zeros until the length since `start` is a multiple of 8.
    pub fn pad8(&mut self, start: usize) {
        let n = self.buf.len().saturating_sub(start);
        self.zeros(n.next_multiple_of(8) - n);
    }

    /// Writes text into a zero-filled field of `n` bytes, leaving at least one zero at its end.
    pub fn text(&mut self, v: &str, n: usize) {
        let mut end = v.len().min(n.saturating_sub(1));
        while !v.is_char_boundary(end) {
            end -= 1;
        }
        self.buf.extend_from_slice(&v.as_bytes()[..end]);
        self.zeros(n - end);
    }

    /// Overwrites the byte at `at`.
    pub fn patch_u8(&mut self, at: usize, v: u8) {
        if let Some(slot) = self.buf.get_mut(at) {
            *slot = v;
        }
    }

    /// Overwrites the 16-bit number at `at` (a length known only now).
    pub fn patch_u16(&mut self, at: usize, v: u16) {
        if let Some(slot) = self.buf.get_mut(at..at + 2) {
            slot.copy_from_slice(&v.to_be_bytes());
        }
    }
}
