//! Provider backbone bridging: the I-TAG with the customer's MAC addresses behind it.
//!
//! ```text
//! B-DA B-SA | 88e7 | PCP 3, DEI 1, UCA 1, reserved 3, I-SID 24 | C-DA C-SA | customer's frame
//! ```

use crate::packet::Packet;
use crate::parse::L3;
use ofproto::field::FieldId;

/// Ethertype, tag and customer addresses.
const PUSHED: usize = 2 + 4 + 12;

impl Packet {
    /// Pushes an I-TAG with this ethertype (0x88e7) right behind the MAC addresses, which become the
    /// customer's and stay the backbone's too. I-SID is copied from an outermost I-TAG, I-PCP from
    /// the outermost VLAN tag, else 0; UCA and DEI are 0 (OpenFlow 1.3.5 §5.12.1).
    pub fn push_pbb(&mut self, tpid: u16) {
        if !self.room_for(PUSHED) {
            return;
        }
        let isid = self.field(FieldId::PbbIsid).unwrap_or(0) as u32;
        let pcp = self.field(FieldId::VlanPcp).unwrap_or(0) as u32;
        let Some(addresses) = self.frame.bytes().first_chunk::<12>().copied() else { return };
        self.frame.insert(12, PUSHED);
        self.put16(12, tpid);
        self.put32(14, pcp << 29 | isid);
        self.put(18, &addresses);
        self.reparse();
    }

    /// Pops the I-TAG: the customer's frame is what remains. Nothing happens without an I-TAG, before
    /// a B-TAG in front of it is popped (OpenFlow 1.3.5 §5.12), or if the customer's frame is cut off.
    pub fn pop_pbb(&mut self) {
        let inner = usize::from(self.layout.l3) + 4;
        if self.layout.l3_kind != L3::Pbb || self.layout.vlan_tags > 0 || self.frame.len() < inner + 14 {
            return;
        }
        self.frame.remove(0, inner);
        self.reparse();
    }
}
