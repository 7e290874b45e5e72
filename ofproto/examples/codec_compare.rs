//! Rates over a file of messages: `cargo run --release -p ofproto --example codec_compare -- FILE SECONDS`.
//!
//! Prints three numbers, messages a second on one core: decoding, decoding and describing, encoding.
//! `tools/codec-compare` sets them beside other codecs' over the same file.

use ofproto::wire::framer::Framer;
use ofproto::{Version, text, wire};
use std::error::Error;
use std::fmt::Write;
use std::hint::black_box;
use std::time::{Duration, Instant};

fn rate(messages: usize, at_least: Duration, mut pass: impl FnMut()) -> f64 {
    let (start, mut passes) = (Instant::now(), 0);
    while passes == 0 || start.elapsed() < at_least {
        pass();
        passes += 1;
    }
    (messages * passes) as f64 / start.elapsed().as_secs_f64()
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let file = std::fs::read(args.next().ok_or("no file given")?)?;
    let seconds = Duration::from_secs_f64(args.next().ok_or("no time given")?.parse()?);
    let mut framer = Framer::new(file.len());
    framer.feed(&file);
    let mut bytes = Vec::new();
    while let Some(message) = framer.next_message()? {
        bytes.push(message.to_vec());
    }
    let models = bytes.iter().map(|b| wire::decode(b)).collect::<Result<Vec<_>, _>>()?;
    let decoded = rate(bytes.len(), seconds, || {
        for b in &bytes {
            let _ = black_box(wire::decode(black_box(b)));
        }
    });
    let mut shown = String::new();
    let described = rate(bytes.len(), seconds, || {
        for b in &bytes {
            shown.clear();
            if let Ok((header, message)) = wire::decode(black_box(b)) {
                let _ = write!(shown, "{}", text::describe(&header, &message));
            }
            black_box(&shown);
        }
    });
    let mut out = Vec::new();
    let encoded = rate(bytes.len(), seconds, || {
        for (header, message) in &models {
            out.clear();
            if let Some(version) = Version::from_wire(header.version) {
                let _ = wire::encode_into(&mut out, version, header.xid, black_box(message));
            }
            black_box(&out);
        }
    });
    println!("{decoded:.0} {described:.0} {encoded:.0}");
    Ok(())
}
