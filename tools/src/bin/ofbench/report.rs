//! Figures of several switches beside each other: medians, spread, ratios.

use comfy_table::{CellAlignment, Table, presets};
use serde_json::{Map, Value, json};

/// One figure of a measurement.
pub struct Figure {
    /// Its name in JSON.
    pub key: &'static str,
    /// Its name in the table.
    pub title: &'static str,
    /// Its unit.
    pub unit: &'static str,
    /// Whether more is better.
    pub more: bool,
}

/// The values of one figure, sorted.
fn values(samples: &[(&'static str, f64)], key: &str) -> Vec<f64> {
    let mut v: Vec<f64> = samples.iter().filter(|(k, _)| *k == key).map(|(_, v)| *v).collect();
    v.sort_by(f64::total_cmp);
    v
}

/// The middle of sorted values.
pub fn median(sorted: &[f64]) -> Option<f64> {
    let n = sorted.len();
    let (low, high) = (sorted.get(n.checked_sub(1)? / 2)?, sorted.get(n / 2)?);
    Some((low + high) / 2.0)
}

/// How many times better the first is than the second; none where that is no number, beside a zero.
fn ratio(first: f64, second: f64, more: bool) -> Option<f64> {
    Some(if more { first / second } else { second / first }).filter(|r| r.is_finite())
}

/// Medians, least, most and all values, as JSON.
pub fn summary(figures: &[Figure], names: &[&str], samples: &[Vec<(&'static str, f64)>]) -> Value {
    let mut out = Map::new();
    for f in figures {
        let mut of_figure = Map::new();
        let base = samples.first().and_then(|s| median(&values(s, f.key)));
        for (name, s) in names.iter().zip(samples) {
            let v = values(s, f.key);
            let Some(m) = median(&v) else { continue };
            let first = base.and_then(|b| ratio(b, m, f.more));
            let entry =
                json!({ "median": m, "min": v.first(), "max": v.last(), "all": v, "first_is_better_by": first });
            of_figure.insert((*name).to_owned(), entry);
        }
        if !of_figure.is_empty() {
            of_figure.insert("unit".into(), f.unit.into());
            out.insert(f.key.into(), of_figure.into());
        }
    }
    out.into()
}

fn shown(v: f64) -> String {
    if v >= 100.0 {
        format!("{v:.0}")
    } else if v >= 10.0 {
        format!("{v:.1}")
    } else {
        format!("{v:.2}")
    }
}

/// Medians with their spread; beside each peer how many times better the first switch is.
pub fn table(figures: &[Figure], names: &[&str], samples: &[Vec<(&'static str, f64)>]) -> String {
    let mut t = Table::new();
    t.load_preset(presets::NOTHING);
    let mut head = vec!["median (least to most)".to_owned(), String::new()];
    for (i, name) in names.iter().enumerate() {
        head.push((*name).to_owned());
        if i > 0 {
            head.push(format!("{} is", names[0]));
        }
    }
    t.set_header(head);
    for f in figures {
        let mut row = vec![f.title.to_owned(), f.unit.to_owned()];
        let mut base = None;
        for (i, s) in samples.iter().enumerate() {
            let v = values(s, f.key);
            let m = median(&v);
            row.push(match (m, v.first(), v.last()) {
                (Some(m), Some(a), Some(b)) => format!("{} ({} to {})", shown(m), shown(*a), shown(*b)),
                _ => "-".into(),
            });
            if i == 0 {
                base = m;
            } else {
                let times = base.zip(m).and_then(|(b, m)| ratio(b, m, f.more)).map(|r| format!("{r:.2}x"));
                row.push(times.unwrap_or_else(|| "-".into()));
            }
        }
        if base.is_some() {
            t.add_row(row);
        }
    }
    for column in t.column_iter_mut() {
        if column.index > 0 {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    t.lines().map(|l| l.trim_end().to_owned()).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_and_ratios() {
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[3.0]), Some(3.0));
        assert_eq!(median(&[1.0, 2.0, 9.0]), Some(2.0));
        assert_eq!(median(&[1.0, 2.0, 4.0, 9.0]), Some(3.0));
        assert_eq!((ratio(6.0, 3.0, true), ratio(6.0, 3.0, false)), (Some(2.0), Some(0.5)));
        assert_eq!((ratio(0.0, 0.0, true), ratio(0.0, 5.0, false)), (None, None));
    }
}
