//! Works on a message over and over: `codec_compare FILE decode|print|encode TIMES`.
//!
//! `tools/codec-compare` measures the processor time of that, and of other codecs over the same message.

use ofproto::{Version, text, wire};
use std::error::Error;
use std::fmt::Write;
use std::hint::black_box;

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let bytes = std::fs::read(args.next().ok_or("no file given")?)?;
    let what = args.next().ok_or("no work given")?;
    let times: u32 = args.next().ok_or("no number given")?.parse()?;
    let (header, message) = wire::decode(&bytes)?;
    let version = Version::from_wire(header.version).ok_or("an unknown version")?;
    let (mut shown, mut out) = (String::new(), Vec::new());
    for _ in 0..times {
        match what.as_str() {
            "decode" => {
                black_box(wire::decode(black_box(&bytes))?);
            }
            "print" => {
                shown.clear();
                let (header, message) = wire::decode(black_box(&bytes))?;
                write!(shown, "{}", text::describe(&header, &message))?;
                black_box(&shown);
            }
            "encode" => {
                out.clear();
                wire::encode_into(&mut out, version, header.xid, black_box(&message))?;
                black_box(&out);
            }
            _ => return Err("decode, print or encode".into()),
        }
    }
    Ok(())
}
