//! Round trips of small UDP datagrams, one at a time.

use anyhow::{Context as _, bail};
use clap::Args;
use serde_json::json;
use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

#[derive(Args)]
pub struct ServerArgs {
    /// Address and port to receive on
    listen: SocketAddr,
}

#[derive(Args)]
pub struct ClientArgs {
    /// Where an `echo-server` receives
    server: SocketAddr,
    /// How many round trips
    #[arg(long, default_value_t = 5000)]
    count: u32,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// How long an answer may take before its datagram counts as lost.
const PATIENCE: Duration = Duration::from_millis(200);

/// Sends everything back until killed.
pub fn serve(args: &ServerArgs) -> anyhow::Result<()> {
    let socket = UdpSocket::bind(args.listen).with_context(|| format!("cannot receive on {}", args.listen))?;
    let mut buffer = [0; 2048];
    loop {
        let (n, from) = socket.recv_from(&mut buffer)?;
        socket.send_to(&buffer[..n], from)?;
    }
}

/// The value below which this part of the sorted ones lies.
pub fn quantile(sorted: &[f64], part: f64) -> f64 {
    let at = (sorted.len() as f64 * part) as usize;
    sorted.get(at.min(sorted.len().saturating_sub(1))).copied().unwrap_or(f64::NAN)
}

/// Within how many microseconds each part of the sorted round trips came back: percent, microseconds.
fn distribution(sorted: &[f64]) -> Vec<(f64, f64)> {
    if sorted.is_empty() {
        return Vec::new();
    }
    let percents = (0..100).map(f64::from).chain([99.5, 99.9]);
    percents.map(|p| (p, quantile(sorted, p / 100.0))).collect()
}

/// Measures.
pub fn measure(args: &ClientArgs) -> anyhow::Result<()> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
    socket.connect(args.server)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    let mut times = Vec::new();
    let mut lost = 0u32;
    let mut buffer = [0; 64];
    for i in 0..args.count {
        let start = Instant::now();
        socket.send(&i.to_be_bytes())?;
        loop {
            match socket.recv(&mut buffer) {
                Ok(n) if buffer.get(..n) == Some(&i.to_be_bytes()) => {
                    times.push(start.elapsed().as_secs_f64() * 1e6);
                    break;
                }
                // One that was given up.
                Ok(_) => {}
                Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                    lost += 1;
                    break;
                }
                // Nobody listens yet, or no longer.
                Err(e) if e.kind() == ErrorKind::ConnectionRefused => bail!("nobody listens at {}", args.server),
                Err(e) => return Err(e.into()),
            }
        }
        if lost > 10 && times.is_empty() {
            bail!("no answer from {}", args.server);
        }
    }
    times.sort_by(f64::total_cmp);
    let (p50, p99) = (quantile(&times, 0.5), quantile(&times, 0.99));
    if args.json {
        let distribution = distribution(&times);
        println!(
            "{}",
            json!({ "p50_us": p50, "p99_us": p99, "lost": lost, "count": args.count, "distribution": distribution })
        );
    } else {
        println!("   {} round trips: half within {p50:.1} µs, 99% within {p99:.1} µs, {lost} lost", times.len());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles() {
        let values: Vec<f64> = (0..100).map(f64::from).collect();
        assert_eq!((quantile(&values, 0.5), quantile(&values, 0.99), quantile(&values, 1.0)), (50.0, 99.0, 99.0));
        assert!(quantile(&[], 0.5).is_nan());
        let shares = distribution(&values);
        assert_eq!((shares.len(), shares[50], shares[101]), (102, (50.0, 50.0), (99.9, 99.0)));
        assert!(distribution(&[]).is_empty());
    }
}
