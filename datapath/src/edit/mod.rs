//! The edits of OpenFlow 1.0-1.5, as methods of `Packet`.
//!
//! | file | edits |
//! |---|---|
//! | [`vlan`] | push and pop a tag, 1.0's set VLAN id and priority |
//! | [`mpls`] | push and pop a shim |
//! | [`pbb`] | push and pop an I-TAG |
//! | [`ttl`] | set, decrement, copy between headers |
//! | [`set`] | set-field of every settable field |
//! | `sums` | the checksums that all of them keep right |

pub mod mpls;
pub mod pbb;
pub mod set;
mod sums;
pub mod ttl;
pub mod vlan;

use crate::frame::MAX_FRAME;
use crate::packet::Packet;
use crate::parse::be16;

impl Packet {
    /// Whether a header of `n` bytes may still be pushed: the frame has a MAC header and stays within
    /// [`MAX_FRAME`], so that no action list makes frames grow without end.
    fn room_for(&self, n: usize) -> bool {
        self.frame.len() >= 14 && self.frame.len() + n <= MAX_FRAME
    }

    /// Writes bytes; outside the frame nothing happens.
    ///
    /// The length is part of the type so that this is a store and not a call of memcpy, which took
    /// most of an edit's time.
    #[inline]
    fn put<const N: usize>(&mut self, at: usize, bytes: &[u8; N]) {
        if let Some(to) = self.frame.bytes_mut().get_mut(at..).and_then(<[u8]>::first_chunk_mut) {
            *to = *bytes;
        }
    }

    #[inline]
    fn put16(&mut self, at: usize, value: u16) {
        self.put(at, &value.to_be_bytes());
    }

    #[inline]
    fn put32(&mut self, at: usize, value: u32) {
        self.put(at, &value.to_be_bytes());
    }

    #[inline]
    fn get16(&self, at: usize) -> u16 {
        be16(self.frame.bytes(), at).unwrap_or(0)
    }

    /// Adjusts the length field of an 802.3 frame by what was pushed or popped behind it.
    fn grow_802_3(&mut self, by: i32) {
        let at = usize::from(self.layout.length_802_3);
        if at != 0 {
            let length = i32::from(self.get16(at)) + by;
            // A length that would turn into an ethertype stays as it is.
            if (0..0x600).contains(&length) {
                self.put16(at, length as u16);
            }
        }
    }
}

#[cfg(test)]
mod tests;
