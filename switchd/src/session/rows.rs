//! Flow-mods of a bundle that come in rows: of one that differs from the message before it in cookie, priority and the
//! match's values alone, only those are kept. That takes half the memory, and reading it over the message before it a
//! small part of the time that decoding takes.
//!
//! A row: a byte that no message begins with, how many fields the match has, and the priority; the xid; the cookie; the
//! values, of each field the lower half, and both where the field is wider. Numbers are big-endian.

use ofproto::flow::FlowMod;
use ofproto::ids::{Cookie, Xid};
use ofproto::matching::MatchField;
use ofproto::message::Message;

/// No OpenFlow version, with which messages begin.
const ROW: u8 = 0;
/// Fields of a match that is kept so, at most.
const FIELDS: usize = 16;
/// Messages that aren't looked at, after as many in a row were looked at in vain.
const MOST_SKIPPED: u32 = 1024;

/// Recognises rows as their messages come.
#[derive(Debug, Default)]
pub(super) struct Rows {
    /// The flow-mod that began the row, whose fields and instructions the latest message had.
    first: Option<Box<FlowMod>>,
    /// The length of the latest message.
    len: usize,
    /// How many messages more aren't looked at, and how many that was when it began.
    skip: u32,
    skipped: u32,
    /// Memory for the next row.
    row: Vec<u8>,
}

/// Whether a field's values need both halves.
fn is_wide(f: &MatchField) -> bool {
    f.id.info().bits > 64
}

/// Whether two flow-mods differ in cookie, priority and the match's values at most.
fn are_alike(a: &FlowMod, b: &FlowMod) -> bool {
    let FlowMod {
        cookie: _,
        cookie_mask,
        table,
        command,
        idle_timeout,
        hard_timeout,
        priority: _,
        buffer_id,
        out_port,
        out_group,
        flags,
        importance,
        matching,
        instructions,
    } = a;
    let alike = |(f, g): (&MatchField, &MatchField)| f.id == g.id && f.mask == g.mask && f.code == g.code;
    (*cookie_mask, *table, *command) == (b.cookie_mask, b.table, b.command)
        && (*idle_timeout, *hard_timeout, *importance) == (b.idle_timeout, b.hard_timeout, b.importance)
        && (*buffer_id, *out_port, *out_group, *flags) == (b.buffer_id, b.out_port, b.out_group, b.flags)
        && matching.fields.len() == b.matching.fields.len()
        && matching.fields.iter().zip(&b.matching.fields).all(alike)
        && *instructions == b.instructions
}

impl Rows {
    /// The next message, which has so many bytes, as a row, if it is in one with the message before it.
    pub(super) fn take(&mut self, xid: Xid, message: &Message, len: usize) -> Option<&[u8]> {
        let resembles = std::mem::replace(&mut self.len, len) == len;
        if self.skip > 0 {
            self.skip -= 1;
            return None;
        }
        let Message::FlowMod(m) = message else {
            self.first = None;
            return None;
        };
        let plain = m.matching.unknown.is_empty() && m.matching.fixed.is_none() && m.matching.fields.len() <= FIELDS;
        if let Some(first) = &self.first {
            if resembles && plain && are_alike(first, m) {
                self.skipped = 0;
                self.row.clear();
                write(xid, m, &mut self.row);
                return Some(&self.row);
            }
            // No row: less and less often it is looked for.
            self.first = None;
            self.skipped = (2 * self.skipped + 1).min(MOST_SKIPPED);
            self.skip = self.skipped;
        } else if resembles && plain {
            self.first = Some(Box::new(m.clone()));
        }
        None
    }
}

fn write(xid: Xid, m: &FlowMod, row: &mut Vec<u8>) {
    row.extend_from_slice(&[ROW, m.matching.fields.len() as u8]);
    row.extend_from_slice(&m.priority.to_be_bytes());
    row.extend_from_slice(&xid.0.to_be_bytes());
    row.extend_from_slice(&m.cookie.0.to_be_bytes());
    for f in &m.matching.fields {
        if is_wide(f) {
            row.extend_from_slice(&f.value.to_be_bytes());
        } else {
            row.extend_from_slice(&(f.value as u64).to_be_bytes());
        }
    }
}

/// Reads a row over the message before it; its xid and what stands behind it. `None`, with nothing read, if it is none.
pub(super) fn read_over<'a>(before: &mut Message, bytes: &'a [u8]) -> Option<(Xid, &'a [u8])> {
    let (&[ROW, fields, p0, p1, x0, x1, x2, x3], rest) = bytes.split_first_chunk()? else { return None };
    let Message::FlowMod(m) = before else { return None };
    let (cookie, mut rest) = rest.split_first_chunk()?;
    if usize::from(fields) != m.matching.fields.len() {
        return None;
    }
    m.priority = u16::from_be_bytes([p0, p1]);
    m.cookie = Cookie(u64::from_be_bytes(*cookie));
    for f in &mut m.matching.fields {
        if is_wide(f) {
            let (value, after) = rest.split_first_chunk()?;
            (f.value, rest) = (u128::from_be_bytes(*value), after);
        } else {
            let (value, after) = rest.split_first_chunk()?;
            (f.value, rest) = (u64::from_be_bytes(*value).into(), after);
        }
    }
    Some((Xid(u32::from_be_bytes([x0, x1, x2, x3])), rest))
}
