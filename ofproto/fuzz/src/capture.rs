//! What `ofctl decode` and a replaying port read: captures, hexadecimal text, and the messages and frames in them.

use datapath::frame::MAX_FRAME;
use datapath::port::FramePool;
use datapath::port::pcap::PcapReader;
use tools::messages::{cut, from_capture, from_hex};
use tools::{capture, packet, summary};

/// Input: the file.
pub fn run(data: &[u8]) {
    if let Some(bytes) = from_hex(data) {
        assert!(bytes.len() * 2 <= data.len());
    }
    let (messages, rest) = cut(data);
    assert_eq!(messages.iter().map(|m| m.len()).sum::<usize>() + rest.len(), data.len());

    match capture::read(data) {
        Ok(packets) => {
            assert!(capture::is_capture(data));
            assert!(packets.iter().map(|p| p.data.len()).sum::<usize>() <= data.len());
            for p in &packets {
                assert!(!summary::of(p.data).is_empty());
                let _ = packet::checksum(p.data);
            }
        }
        Err(e) => assert!(!e.is_empty()),
    }
    for port in [None, Some(6653)] {
        let Ok((found, notes)) = from_capture(data, port) else { continue };
        assert!(notes.iter().all(|n| !n.is_empty()));
        for message in found {
            let length = message.bytes.get(2..4).map(|b| usize::from(b[0]) << 8 | usize::from(b[1]));
            assert_eq!(length, Some(message.bytes.len()), "a message of another length");
        }
    }

    let mut pool = FramePool::default();
    if let Ok(mut reader) = PcapReader::new(data) {
        while let Ok(Some((_, frame))) = reader.next_frame(&mut pool) {
            assert!(frame.len() <= MAX_FRAME);
            pool.put(frame);
        }
    }
}
