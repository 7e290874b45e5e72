//! Small UDP frames out of an interface, past the host's stack, many in a system call.

use crate::pipeline::seconds;
use anyhow::{Context as _, bail};
use clap::Args;
use rustix::net::{MMsgHdr, SendAncillaryBuffer, SendFlags, sendmmsg};
use rustix::process::{PidfdFlags, PidfdGetfdFlags, getpid, pidfd_getfd, pidfd_open};
use serde_json::json;
use std::io::IoSlice;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::time::{Duration, Instant};

#[derive(Args)]
pub struct FloodArgs {
    /// The interface
    interface: String,
    /// Destination address
    #[arg(long, default_value = "ff:ff:ff:ff:ff:ff", value_parser = mac)]
    dst: [u8; 6],
    /// Source address
    #[arg(long, default_value = "02:00:00:00:00:01", value_parser = mac)]
    src: [u8; 6],
    /// How long to send
    #[arg(long, value_name = "S", default_value_t = 3.0, value_parser = seconds)]
    seconds: f64,
    /// End after this many frames
    #[arg(long, value_name = "N")]
    count: Option<u64>,
    /// Frames a second; as many as go unless given
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=100_000_000))]
    rate: Option<u64>,
    /// Bytes of a frame, without the checksum that the wire adds
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u16).range(60..=1514))]
    length: u16,
    /// UDP source ports to go through
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=60_000))]
    flows: u16,
}

fn mac(s: &str) -> Result<[u8; 6], String> {
    let bytes: Vec<u8> =
        s.split(':').map(|p| u8::from_str_radix(p, 16)).collect::<Result<_, _>>().map_err(|e| e.to_string())?;
    bytes.try_into().map_err(|_| "expected six bytes such as 02:00:00:00:00:01".into())
}

/// Frames of one system call.
const BATCH: usize = 64;

/// A packet socket bound to an interface.
pub fn socket(interface: &str) -> anyhow::Result<OwnedFd> {
    let mut stream =
        afpacket::sync::RawPacketStream::new().context("cannot open a packet socket (needs CAP_NET_RAW)")?;
    stream.bind(interface).with_context(|| format!("there is no interface {interface}"))?;
    // The library lends its descriptor as a number only. The kernel makes an owned one out of that.
    let me = pidfd_open(getpid(), PidfdFlags::empty())?;
    Ok(pidfd_getfd(me, stream.as_raw_fd(), PidfdGetfdFlags::empty())?)
}

fn frame(args: &FloodArgs, flow: u16) -> Vec<u8> {
    let length = usize::from(args.length);
    let mut f = Vec::with_capacity(length);
    f.extend(args.dst);
    f.extend(args.src);
    f.extend([8, 0]);
    let ip_length = args.length - 14;
    let mut ip = vec![0x45, 0];
    ip.extend(ip_length.to_be_bytes());
    ip.extend([0, 0, 0x40, 0, 64, 17, 0, 0, 10, 99, 0, 1, 10, 99, 0, 2]);
    let sum = tools::packet::checksum(&ip);
    ip[10..12].copy_from_slice(&sum.to_be_bytes());
    f.extend(ip);
    f.extend((1024 + flow).to_be_bytes());
    f.extend(9u16.to_be_bytes());
    f.extend((ip_length - 20).to_be_bytes());
    f.resize(length, 0);
    f
}

/// How many frames are due, at most a batch: after a pause they aren't all made up for at once, which would
/// measure queues.
fn due(rate: u64, elapsed: Duration, sent: u64) -> usize {
    let owed = (elapsed.as_secs_f64() * rate as f64) as u64;
    usize::try_from(owed.saturating_sub(sent)).unwrap_or(BATCH).min(BATCH)
}

/// Sends.
pub fn run(args: &FloodArgs) -> anyhow::Result<()> {
    let socket = socket(&args.interface)?;
    let frames: Vec<Vec<u8>> = (0..args.flows).map(|flow| frame(args, flow)).collect();
    let start = Instant::now();
    let end = start + Duration::from_secs_f64(args.seconds.clamp(0.0, 3600.0));
    let (mut sent, mut next, mut full) = (0u64, 0usize, 0u64);
    while Instant::now() < end && args.count.is_none_or(|n| sent < n) {
        let left = args.count.map_or(BATCH, |n| usize::try_from(n - sent).unwrap_or(BATCH).min(BATCH));
        let left = args.rate.map_or(left, |rate| due(rate, start.elapsed(), sent).min(left));
        if left == 0 {
            std::hint::spin_loop();
            continue;
        }
        let slices: Vec<[IoSlice<'_>; 1]> =
            (0..left).map(|i| [IoSlice::new(&frames[(next + i) % frames.len()])]).collect();
        let mut controls: Vec<SendAncillaryBuffer<'_, '_, '_>> =
            (0..left).map(|_| SendAncillaryBuffer::default()).collect();
        let mut messages: Vec<MMsgHdr<'_>> =
            slices.iter().zip(&mut controls).map(|(s, c)| MMsgHdr::new(s, c)).collect();
        match sendmmsg(&socket, &mut messages, SendFlags::empty()) {
            Ok(n) => {
                sent += n as u64;
                next = (next + n) % frames.len();
            }
            // The interface's queue is full: try again.
            Err(rustix::io::Errno::NOBUFS | rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => full += 1,
            Err(e) => bail!("{}: {e}", args.interface),
        }
    }
    let seconds = start.elapsed().as_secs_f64();
    println!("{}", json!({ "sent": sent, "seconds": seconds, "pps": sent as f64 / seconds, "full": full }));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_kept_and_a_pause_not_made_up_for_at_once() {
        let ms = Duration::from_millis;
        assert_eq!([due(1000, ms(0), 0), due(1000, ms(10), 0), due(1000, ms(10), 9)], [0, 10, 1]);
        assert_eq!([due(1000, ms(10), 10), due(1000, ms(10), 12), due(1000, ms(9000), 0)], [0, 0, BATCH]);
    }

    #[test]
    fn addresses() {
        assert_eq!(mac("02:00:00:00:00:fF"), Ok([2, 0, 0, 0, 0, 255]));
        for text in ["", "02:00:00:00:00", "02:00:00:00:00:01:02", "02:00:00:00:00:0g"] {
            assert!(mac(text).is_err(), "{text}");
        }
    }
}
