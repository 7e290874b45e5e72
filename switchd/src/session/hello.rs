//! Which version a connection speaks (OpenFlow 1.3.5 §6.3.3, 1.0.0 §4.2).

use ofproto::Version;
use ofproto::message::HelloElement;
use std::fmt;

/// A set of versions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VersionSet(u8);

impl VersionSet {
    /// Every version that this switch speaks.
    pub const ALL: Self = Self(0b0111_1110);

    /// The set of these versions.
    pub fn of(versions: &[Version]) -> Self {
        Self(versions.iter().fold(0, |acc, v| acc | 1 << v.wire()))
    }

    /// Whether `v` is in it.
    pub const fn contains(self, v: Version) -> bool {
        self.0 & (1 << v.wire()) != 0
    }

    /// The newest.
    pub fn highest(self) -> Option<Version> {
        Version::ALL.into_iter().rev().find(|v| self.contains(*v))
    }

    /// As the word of `OFPHET_VERSIONBITMAP`.
    pub const fn bitmap(self) -> u32 {
        self.0 as u32
    }
}

impl fmt::Display for VersionSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = Version::ALL.iter().filter(|v| self.contains(**v)).map(ToString::to_string).collect();
        if names.is_empty() { f.write_str("none") } else { f.write_str(&names.join(", ")) }
    }
}

/// The elements of our own hello.
pub fn hello_elements(own: VersionSet) -> Vec<HelloElement> {
    vec![HelloElement::VersionBitmap(vec![own.bitmap()])]
}

/// Agrees on a version, or says in words why there is none: the text of `OFPET_HELLO_FAILED`.
///
/// With a bitmap on both sides the newest common version wins; without a common one, and without a
/// bitmap, the lower of both header versions, if it is ours to speak (real controllers send none).
pub fn negotiate(own: VersionSet, peer_version: u8, elements: &[HelloElement]) -> Result<Version, String> {
    let bitmap = elements.iter().find_map(|e| match e {
        HelloElement::VersionBitmap(words) => Some(words.first().copied().unwrap_or(0)),
        HelloElement::Unknown(..) => None,
    });
    if let Some(word) = bitmap
        && let Some(v) = Version::ALL.into_iter().rev().find(|v| own.contains(*v) && word & (1 << v.wire()) != 0)
    {
        return Ok(v);
    }
    let highest = own.highest().map_or(0, Version::wire);
    let lower = peer_version.min(highest);
    match Version::from_wire(lower).filter(|v| own.contains(*v)) {
        Some(v) => Ok(v),
        None => Err(format!(
            "no common version: this switch speaks {own}; the peer's hello has version {} and {}",
            Version::from_wire(peer_version).map_or_else(|| format!("{peer_version:#04x}"), |v| v.to_string()),
            match bitmap {
                Some(word) => format!("the bitmap {word:#x}"),
                None => "no bitmap".to_owned(),
            }
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    fn bits(versions: &[Version]) -> Vec<HelloElement> {
        vec![HelloElement::VersionBitmap(vec![VersionSet::of(versions).bitmap()])]
    }

    #[test]
    fn bitmaps_agree_on_the_newest_common_version() {
        let own = VersionSet::of(&[Version::V10, Version::V13, Version::V15]);
        assert_eq!(negotiate(own, 5, &bits(&[Version::V10, Version::V13, Version::V14])), Ok(Version::V13));
        assert_eq!(negotiate(own, 6, &bits(&[Version::V10, Version::V15])), Ok(Version::V15));
    }

    #[test]
    fn without_a_bitmap_the_lower_header_version_counts() {
        let own = VersionSet::ALL;
        for v in Version::ALL {
            assert_eq!(negotiate(own, v.wire(), &[]), Ok(v));
        }
        assert_eq!(negotiate(own, 0x55, &[]), Ok(Version::V15));
        assert_eq!(negotiate(VersionSet::of(&[Version::V10]), 4, &[]), Ok(Version::V10));
        assert_eq!(negotiate(own, 4, &[HelloElement::Unknown(9, Bytes::new())]), Ok(Version::V13));
    }

    #[test]
    fn no_common_bit_falls_back_to_the_header() {
        let own = VersionSet::of(&[Version::V13]);
        assert_eq!(negotiate(own, 6, &bits(&[Version::V14])), Ok(Version::V13));
    }

    #[test]
    fn a_refusal_names_both_sides() {
        let text = negotiate(VersionSet::of(&[Version::V13]), 1, &[]).unwrap_err();
        assert!(text.contains("speaks 1.3") && text.contains("version 1.0") && text.contains("no bitmap"), "{text}");
        assert!(negotiate(VersionSet::ALL, 0, &[]).is_err());
        let text = negotiate(VersionSet::of(&[Version::V13, Version::V14]), 2, &bits(&[Version::V11])).unwrap_err();
        assert!(text.contains("bitmap 0x4"), "{text}");
    }
}
