//! Protocol versions.

use std::fmt;

/// An OpenFlow protocol version that this crate speaks; the numbers are the header's `version`.
///
/// OpenFlow 1.3.5 §7.1.1; how two sides agree on one: §6.3.3.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Version {
    /// OpenFlow 1.0 (wire 0x01).
    V10 = 1,
    /// OpenFlow 1.1 (wire 0x02).
    V11 = 2,
    /// OpenFlow 1.2 (wire 0x03).
    V12 = 3,
    /// OpenFlow 1.3 (wire 0x04).
    V13 = 4,
    /// OpenFlow 1.4 (wire 0x05).
    V14 = 5,
    /// OpenFlow 1.5 (wire 0x06).
    V15 = 6,
}

impl Version {
    /// Every version, oldest first.
    pub const ALL: [Version; 6] = [Self::V10, Self::V11, Self::V12, Self::V13, Self::V14, Self::V15];

    /// The version byte of the header.
    pub const fn wire(self) -> u8 {
        self as u8
    }

    /// The version that a header's first byte names.
    pub const fn from_wire(byte: u8) -> Option<Self> {
        match byte {
            1 => Some(Self::V10),
            2 => Some(Self::V11),
            3 => Some(Self::V12),
            4 => Some(Self::V13),
            5 => Some(Self::V14),
            6 => Some(Self::V15),
            _ => None,
        }
    }

    /// Index into per-version tables: 0 for 1.0 … 5 for 1.5.
    pub const fn column(self) -> usize {
        self as usize - 1
    }

    /// Reads `1.3`, `OpenFlow13` or `of13`, in any case.
    pub fn parse(text: &str) -> Option<Self> {
        let t = text.to_ascii_lowercase();
        let t = t.strip_prefix("openflow").or_else(|| t.strip_prefix("of")).unwrap_or(&t);
        match t.replace('.', "").as_str() {
            "10" => Some(Self::V10),
            "11" => Some(Self::V11),
            "12" => Some(Self::V12),
            "13" => Some(Self::V13),
            "14" => Some(Self::V14),
            "15" => Some(Self::V15),
            _ => None,
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "1.{}", self.column())
    }
}
