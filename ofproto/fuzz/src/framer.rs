//! The framer hands out the same messages however the stream is cut, and ends at the same place.

use ofproto::wire::HEADER_LEN;
use ofproto::wire::framer::Framer;

/// Input: a byte that says how the stream is cut, then the stream.
pub fn run(data: &[u8]) {
    let Some((&cut, stream)) = data.split_first() else { return };
    let mut rest = stream;
    let (mut expected, mut sound) = (Vec::new(), true);
    while let &[_, _, hi, lo, ..] = rest {
        let length = usize::from(u16::from_be_bytes([hi, lo]));
        if length < HEADER_LEN {
            sound = false;
            break;
        }
        let Some((message, after)) = rest.split_at_checked(length) else { break };
        expected.push(message);
        rest = after;
    }

    let mut framer = Framer::new(0);
    let mut got: Vec<Vec<u8>> = Vec::new();
    let mut failed = false;
    // A cut of 0 gives everything at once, as far as there is room.
    let step = if cut == 0 { stream.len().max(1) } else { usize::from(cut) };
    'stream: for chunk in stream.chunks(step) {
        let mut chunk = chunk;
        loop {
            let taken = framer.feed(chunk);
            chunk = &chunk[taken..];
            loop {
                match framer.next_message() {
                    Ok(Some(message)) => got.push(message.to_vec()),
                    Ok(None) => break,
                    Err(_) => {
                        failed = true;
                        assert!(framer.next_message().is_err(), "a failed framer went on");
                        break 'stream;
                    }
                }
            }
            if chunk.is_empty() {
                break;
            }
            assert!(taken > 0 || framer.room() > 0, "a framer without a whole message has room for one");
        }
    }
    assert_eq!(failed, !sound);
    assert_eq!(got, expected);
    if sound {
        assert_eq!(framer.pending(), rest);
    }
}
