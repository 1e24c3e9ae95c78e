//! Small charts as SVG text.

use std::fmt::Write as _;

/// A line of a chart.
pub(crate) struct Series {
    /// Shown in the legend.
    pub name: String,
    /// (x, y), ascending x.
    pub points: Vec<(f64, f64)>,
    /// Half the length of each point's error bar; none where empty.
    pub errors: Vec<f64>,
}

const COLORS: [&str; 10] = [
    "#0b62a4", "#c4521a", "#2e7d32", "#7b1fa2", "#8d6e00", "#455a64", "#d81b60", "#00a3b4",
    "#6d4c41", "#9e9d24",
];

/// Lines over a common x axis; y runs from the least value to the greatest.
pub(crate) fn lines(title: &str, x_name: &str, series: &[Series]) -> String {
    const W: f64 = 600.0;
    const H: f64 = 250.0;
    const LEFT: f64 = 52.0;
    const TOP: f64 = 28.0;
    const RIGHT: f64 = 150.0;
    const BOTTOM: f64 = 28.0;
    let points = || series.iter().flat_map(|s| s.points.iter());
    let x_max = points().map(|p| p.0).fold(1.0, f64::max);
    let error = series
        .iter()
        .flat_map(|s| &s.errors)
        .copied()
        .fold(0.0, f64::max);
    let high = points()
        .map(|p| p.1 + error)
        .fold(f64::NEG_INFINITY, f64::max);
    let low = points().map(|p| p.1 - error).fold(f64::INFINITY, f64::min);
    let (low, high) = if low < high { (low, high) } else { (0.0, 1.0) };
    let (x_span, y_span) = (W - LEFT - RIGHT, H - TOP - BOTTOM);
    let x = |v: f64| LEFT + x_span * v / x_max;
    let y = |v: f64| TOP + y_span * (1.0 - (v - low) / (high - low)).clamp(0.0, 1.0);
    let mut svg = open(W, H, title);
    for i in 0..=4 {
        let value = low + (high - low) * f64::from(i) / 4.0;
        let (at, end) = (y(value), LEFT + x_span);
        let _ = write!(
            svg,
            "<line x1=\"{LEFT}\" x2=\"{end:.1}\" y1=\"{at:.1}\" y2=\"{at:.1}\" stroke=\"#ddd\"/>\
             <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{value:.2}</text>",
            LEFT - 6.0,
            at + 4.0
        );
    }
    let _ = write!(
        svg,
        "<text x=\"{LEFT}\" y=\"{0:.1}\">0</text><text x=\"{1:.1}\" y=\"{0:.1}\" \
         text-anchor=\"end\">{x_max:.0} {2}</text>",
        H - 8.0,
        LEFT + x_span,
        escape(x_name)
    );
    for (i, s) in series.iter().enumerate() {
        let color = COLORS[i % COLORS.len()];
        let path: Vec<String> = s
            .points
            .iter()
            .map(|p| format!("{:.1},{:.1}", x(p.0), y(p.1)))
            .collect();
        let _ = write!(
            svg,
            "<polyline fill=\"none\" stroke=\"{color}\" stroke-width=\"2\" points=\"{}\"/>\
             <text x=\"{:.1}\" y=\"{:.1}\" fill=\"{color}\">{}</text>",
            path.join(" "),
            LEFT + x_span + 8.0,
            TOP + 14.0 + 18.0 * i as f64,
            escape(&s.name)
        );
        for ((at, value), error) in s.points.iter().zip(&s.errors) {
            let _ = write!(
                svg,
                "<circle cx=\"{0:.1}\" cy=\"{1:.1}\" r=\"3\" fill=\"{color}\"/>\
                 <line x1=\"{0:.1}\" x2=\"{0:.1}\" y1=\"{2:.1}\" y2=\"{3:.1}\" stroke=\"{color}\"/>",
                x(*at),
                y(*value),
                y(value - error),
                y(value + error)
            );
        }
    }
    svg + "</svg>"
}

/// One row of a chart of intervals: name, value, low, high, in percent.
pub(crate) type Bar = (String, f64, f64, f64);

/// A dot and an interval a row.
pub(crate) fn intervals(title: &str, bars: &[Bar]) -> String {
    const W: f64 = 640.0;
    const LEFT: f64 = 230.0;
    let low = bars.iter().map(|b| b.2).fold(100.0, f64::min).floor();
    let high = bars
        .iter()
        .map(|b| b.3)
        .fold(0.0, f64::max)
        .ceil()
        .max(low + 1.0);
    let x = |v: f64| LEFT + (W - LEFT - 70.0) * (v - low) / (high - low);
    let mut svg = open(W, 44.0 + 26.0 * bars.len() as f64, title);
    for (i, (name, value, from, to)) in bars.iter().enumerate() {
        let y = 42.0 + 26.0 * i as f64;
        let color = COLORS[i % COLORS.len()];
        let _ = write!(
            svg,
            "<text x=\"4\" y=\"{0:.1}\">{1}</text><line x1=\"{2:.1}\" x2=\"{3:.1}\" y1=\"{y}\" \
             y2=\"{y}\" stroke=\"{color}\" stroke-width=\"3\"/><circle cx=\"{4:.1}\" cy=\"{y}\" \
             r=\"5\" fill=\"{color}\"/><text x=\"{5:.1}\" y=\"{0:.1}\">{value:.2} %</text>",
            y + 4.0,
            escape(name),
            x(*from),
            x(*to),
            x(*value),
            x(*to) + 8.0
        );
    }
    svg + "</svg>"
}

fn open(w: f64, h: f64, title: &str) -> String {
    let title = escape(title);
    format!(
        "<svg viewBox=\"0 0 {w} {h}\" role=\"img\" aria-label=\"{title}\">\
         <text x=\"4\" y=\"16\" font-weight=\"600\">{title}</text>"
    )
}

/// Text that may stand inside HTML, its control characters escaped as on a terminal.
pub(crate) fn escape(text: &str) -> String {
    crate::util::console::escaped(text)
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
        .replace('\'', "&#39;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn charts_close_their_tags_and_escape_names() {
        let one = Series {
            name: "a<b".into(),
            points: vec![(1.0, 2.0), (2.0, 1.0)],
            errors: Vec::new(),
        };
        let svg = lines("t&t", "steps", &[one]);
        assert!(svg.starts_with("<svg") && svg.ends_with("</svg>"));
        assert!(svg.contains("a&lt;b") && svg.contains("t&amp;t"));
        for points in [vec![], vec![(5.0, 3.0)]] {
            let svg = lines(
                "few points",
                "x",
                &[Series {
                    name: "s".into(),
                    errors: vec![0.5; points.len()],
                    points,
                }],
            );
            assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
        }
        assert!(intervals("i", &[("n".into(), 50.0, 40.0, 60.0)]).contains("50.00 %"));
    }
}
