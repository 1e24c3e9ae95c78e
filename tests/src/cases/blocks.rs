//! Random networks of MBConv blocks in random schedules, with the answers of layer-by-layer runs.

use pupil_core::op::shape::Shape;
use pupil_packer::plan::any_schedule;
use pupil_packer::tables;
use pupil_packer::{BuildError, Conv, Fused, Pad, Pool, TensorId};

use super::networks::Net;
use super::{Case, channels, zero_point};

/// Case `index` of the series; the same at every call.
///
/// # Errors
/// A network that can't be packed: a fault of this generator or of the planner.
pub fn case(index: u64) -> Result<Case, BuildError> {
    let sides = [1, 2, 3, 4, 5, 6, 7, 9, 12, 17];
    let mut net = Net::new(Shape::new(1, 1, 1), 0, 7 * index + 1);
    let r = &mut net.random;
    let shape = Shape::new(r.of(&sides), r.of(&sides), r.of(&[1, 3, 4, 5, 8, 12]));
    let zero = r.of(&[-128, -20, 7]);
    let mut net = Net::new(shape, zero, 7 * index + 3);
    let mut x = net.builder.input();
    if net.random.below(3) > 0 {
        let out_ch = net.random.of(&[4, 6, 8, 16]);
        let (kernel, stride) = (net.random.of(&[3, 3, 5]), net.random.of(&[1, 2]));
        x = conv(&mut net, x, out_ch, kernel, stride)?;
    }
    for _ in 0..1 + net.random.below(3) {
        x = block(&mut net, x)?;
    }
    if net.random.below(2) == 0 {
        x = net.builder.mean(x, zero_point(0))?;
    }
    let taps = net.builder.shape(x).len();
    let layer = layer(&mut net, taps, 3, 1, 1);
    let last = net.builder.dense(x, layer)?;
    let mut random = net.random.clone();
    let mut case = net.finish(&format!("{index:05} network"), last)?;
    let rows = random.below(2) == 0;
    case.model = any_schedule(&case.model, rows, |n| random.below(n))?;
    Ok(case)
}

/// Weights, and one of several activations: none, ReLU, clamps, a table.
fn layer(net: &mut Net, taps: usize, out_ch: usize, kernel: usize, stride: usize) -> Conv {
    let r = &mut net.random;
    let kind = r.below(5);
    let out = zero_point(r.of(&[-128, -128, -10, 0, 77]));
    let silu = zero_point(-100);
    Conv {
        kernel: (kernel, kernel),
        stride: (stride, stride),
        pad: Pad::Same,
        weights: r.weights(taps * out_ch),
        channels: channels(r, taps, out_ch),
        out,
        act: if kind == 0 { (-100, 90) } else { (-128, 127) },
        fused: (kind == 1).then(|| Fused {
            table: tables::silu(out, silu),
            out: silu,
        }),
    }
}

fn conv(
    net: &mut Net,
    x: TensorId,
    out_ch: usize,
    kernel: usize,
    stride: usize,
) -> Result<TensorId, BuildError> {
    let taps = kernel * kernel * net.builder.shape(x).c;
    let layer = layer(net, taps, out_ch, kernel, stride);
    net.builder.conv(x, layer)
}

/// An MBConv block with whatever parts chance gives it.
fn block(net: &mut Net, x: TensorId) -> Result<TensorId, BuildError> {
    let input = net.builder.shape(x);
    let (kernel, stride) = (net.random.of(&[3, 3, 5, 2]), net.random.of(&[1, 1, 2, 3]));
    let mut y = x;
    let expand = net.random.of(&[0, 1, 2, 4, 6]);
    if expand > 0 {
        let width = input.c * expand + net.random.of(&[0, 0, 1]);
        y = conv(net, y, width, 1, 1)?;
    }
    let c = net.builder.shape(y).c;
    let depthwise = layer(net, kernel * kernel, c, kernel, stride);
    y = net.builder.depthwise(y, depthwise)?;
    match net.random.below(6) {
        0..3 => {
            let pooled = net.builder.mean(y, zero_point(5))?;
            let first = layer(net, c, 2, 1, 1);
            let hidden = net.builder.dense(pooled, first)?;
            let second = layer(net, 2, c, 1, 1);
            let gate = net.builder.dense(hidden, second)?;
            let out = zero_point(net.random.of(&[-128, 0, 20]));
            y = net.builder.mul(y, gate, out, (-128, 127))?;
        }
        3 => {
            let (table, out) = (
                tables::silu(net.builder.affine(y), zero_point(-100)),
                zero_point(-100),
            );
            y = net.builder.lookup(y, &Fused { table, out })?;
        }
        4 => {
            let pool = Pool {
                kernel: (2, 2),
                stride: (1, 1),
                pad: Pad::Same,
                act: (-128, 127),
            };
            y = net.builder.max_pool(y, pool)?;
        }
        _ => {}
    }
    let out_ch = input.c + net.random.of(&[0, 0, 1, 3]);
    y = conv(net, y, out_ch, 1, 1)?;
    if net.builder.shape(y) == input {
        let (a, b) = net.random.of(&[(x, y), (y, x)]);
        y = net.builder.add(a, b, zero_point(3), (-128, 127))?;
    }
    Ok(y)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_answers_alike_in_every_schedule() {
        let mut streams = 0;
        for index in 0..300 {
            let case = case(index).unwrap();
            assert!(case.on_host().unwrap() == case.expected, "{}", case.name);
            streams += usize::from(case.model[4] == 3);
        }
        assert!(streams > 200, "{streams} have streams");
    }
}
