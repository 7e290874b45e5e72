//! Line plots as SVG. Three kinds of plot need less than a hundred lines; a plotting library would bring
//! thousands and its own fonts.

use std::fmt::Write as _;

/// A plot of lines.
#[derive(Debug, Default)]
pub struct Plot {
    /// Above it.
    pub title: String,
    /// Below the horizontal axis.
    pub x: String,
    /// Beside the vertical axis.
    pub y: String,
    /// Whether the horizontal axis grows by factors.
    pub log_x: bool,
    /// Lines: name and points.
    pub lines: Vec<(String, Vec<(f64, f64)>)>,
    /// Stretches to be shaded: from, to, what happens.
    pub shaded: Vec<(f64, f64, String)>,
}

const COLOURS: [&str; 7] = ["#0b62a4", "#c8371f", "#2a8a3e", "#8a4fa3", "#b5790b", "#3d8f95", "#5b5b5b"];
const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 400.0;
const LEFT: f64 = 64.0;
const RIGHT: f64 = 170.0;
const TOP: f64 = 36.0;
const BOTTOM: f64 = 48.0;

fn escaped(s: &str) -> String {
    s.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// A step of 1, 2 or 5 times a power of ten that cuts `range` into five parts or so.
fn step(range: f64) -> f64 {
    let rough = (range / 5.0).max(f64::MIN_POSITIVE);
    let power = 10f64.powf(rough.log10().floor());
    let n = rough / power;
    power
        * if n < 1.5 {
            1.0
        } else if n < 3.5 {
            2.0
        } else if n < 7.5 {
            5.0
        } else {
            10.0
        }
}

impl Plot {
    /// The picture.
    pub fn svg(&self) -> String {
        let scale = |x: f64| if self.log_x { x.max(f64::MIN_POSITIVE).log10() } else { x };
        let points = || self.lines.iter().flat_map(|l| &l.1).filter(|p| p.0.is_finite() && p.1.is_finite());
        let (mut low, mut high, mut top) = (f64::MAX, f64::MIN, 0.0f64);
        for (x, y) in points() {
            (low, high, top) = (low.min(scale(*x)), high.max(scale(*x)), top.max(*y));
        }
        if low > high {
            (low, high) = (0.0, 1.0);
        }
        let range = if high > low { high - low } else { 1.0 };
        let tick = step(if top > 0.0 { top } else { 1.0 });
        let top = (top / tick).ceil().max(1.0) * tick;
        let at_x = |x: f64| LEFT + (scale(x) - low) / range * (WIDTH - LEFT - RIGHT);
        let at_y = |y: f64| HEIGHT - BOTTOM - y / top * (HEIGHT - TOP - BOTTOM);
        let mut s = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" \
             font-size=\"12\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n\
             <text x=\"{LEFT}\" y=\"22\" font-size=\"15\">{}</text>\n",
            escaped(&self.title)
        );
        for (from, to, what) in &self.shaded {
            let (a, b) = (at_x(*from), at_x(*to));
            let _ = writeln!(
                s,
                "<rect x=\"{a:.1}\" y=\"{TOP}\" width=\"{:.1}\" height=\"{:.1}\" fill=\"#f4e3df\"/>\
                 <text x=\"{:.1}\" y=\"{:.1}\" fill=\"#c8371f\">{}</text>",
                (b - a).max(0.0),
                HEIGHT - TOP - BOTTOM,
                a + 4.0,
                TOP + 14.0,
                escaped(what)
            );
        }
        let mut y = 0.0;
        while y <= top * 1.001 {
            let v = at_y(y);
            let digits = if tick < 1.0 { 2 } else { 0 };
            let _ = writeln!(
                s,
                "<path d=\"M{LEFT} {v:.1}H{}\" stroke=\"#ddd\"/><text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{y:.digits$}</text>",
                WIDTH - RIGHT,
                LEFT - 6.0,
                v + 4.0
            );
            y += tick;
        }
        let x_tick = if self.log_x { 1.0 } else { step(range) };
        let mut x = (low / x_tick).ceil() * x_tick;
        while x <= high + x_tick * 0.001 {
            let (value, h) =
                (if self.log_x { 10f64.powf(x) } else { x }, LEFT + (x - low) / range * (WIDTH - LEFT - RIGHT));
            let _ = writeln!(
                s,
                "<text x=\"{h:.1}\" y=\"{}\" text-anchor=\"middle\">{}</text>",
                HEIGHT - BOTTOM + 16.0,
                (value * 100.0).round() / 100.0
            );
            x += x_tick;
        }
        let middle = (LEFT + WIDTH - RIGHT) / 2.0;
        let _ = writeln!(
            s,
            "<text x=\"{middle}\" y=\"{}\" text-anchor=\"middle\">{}</text>\n\
             <text x=\"14\" y=\"{TOP}\" transform=\"rotate(-90 14 {half})\" text-anchor=\"middle\" dy=\"{dy}\">{}</text>",
            HEIGHT - 10.0,
            escaped(&self.x),
            escaped(&self.y),
            half = HEIGHT / 2.0,
            dy = HEIGHT / 2.0 - TOP
        );
        for (i, (name, line)) in self.lines.iter().enumerate() {
            let colour = COLOURS[i % COLOURS.len()];
            let path: Vec<String> = line
                .iter()
                .filter(|p| p.0.is_finite() && p.1.is_finite())
                .map(|(x, y)| format!("{:.1},{:.1}", at_x(*x), at_y(*y)))
                .collect();
            let _ = writeln!(
                s,
                "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>",
                path.join(" ")
            );
            if line.len() < 30 {
                for p in &path {
                    let (x, y) = p.split_once(',').unwrap_or(("0", "0"));
                    let _ = writeln!(s, "<circle cx=\"{x}\" cy=\"{y}\" r=\"3\" fill=\"{colour}\"/>");
                }
            }
            let y = TOP + 10.0 + 18.0 * i as f64;
            let _ = writeln!(
                s,
                "<path d=\"M{} {y}h18\" stroke=\"{colour}\" stroke-width=\"2\"/><text x=\"{}\" y=\"{}\">{}</text>",
                WIDTH - RIGHT + 10.0,
                WIDTH - RIGHT + 32.0,
                y + 4.0,
                escaped(name)
            );
        }
        s + "</svg>\n"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_lie_where_they_belong() {
        let plot = Plot {
            title: "a < b".into(),
            log_x: true,
            lines: vec![("one".into(), vec![(1.0, 0.0), (100.0, 10.0)])],
            shaded: vec![(1.0, 10.0, "attack".into())],
            ..Plot::default()
        };
        let svg = plot.svg();
        assert!(svg.contains("a &lt; b"));
        assert!(svg.contains("points=\"64.0,352.0 550.0,36.0\""), "{svg}");
        for text in [">1<", ">10<", ">100<", ">one<", ">attack<"] {
            assert!(svg.contains(text), "{text}");
        }
        assert!(Plot::default().svg().ends_with("</svg>\n"));
    }
}
