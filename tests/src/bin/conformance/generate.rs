//! The project's own vectors: random layers through core's slow reference.

use std::collections::BTreeMap;
use std::path::Path;

use pupil_core::kernels::reference::{self, Convolution};
use pupil_core::kernels::run;
use pupil_core::op::quant::{Affine, Multiplier};
use pupil_core::op::shape::{Shape, Window};
use pupil_packer::params::mean_multiplier;

use pupil_tests::vectors::{FORMAT, File, Layer, Tensor};

const CONVENTIONS: &str = "as layer-vectors-v1: little endian; NHWC, batch 1; conv weights OHWI; \
    depthwise weights 1HWC with out = in * multiplier; in_off = -zero point of the input; out_off \
    = +zero point of the output; TFLite double rounding, shift > 0 = left shift. Further operators: \
    maxpool; mean (over h, w; mult and shift include the division by the pixels); lookup (table[q \
    as u8])";

/// Layers and bytes as they come.
struct Writer {
    random: u32,
    layers: Vec<Layer>,
    data: Vec<u8>,
}

/// Writes layers.json and data.bin.
///
/// # Errors
/// A folder that can't be written.
pub fn write(folder: &Path) -> Result<(), String> {
    let mut writer = Writer {
        random: 2026,
        layers: Vec::new(),
        data: Vec::new(),
    };
    writer.convolutions();
    writer.pools();
    writer.elementwise();
    let file = File {
        format: FORMAT.into(),
        conventions: CONVENTIONS.into(),
        origin: "conformance --generate: LCG x = 1664525 x + 1013904223, outputs by core's \
                 reference.rs"
            .into(),
        layers: writer.layers,
    };
    let text = serde_json::to_string_pretty(&file).map_err(|e| e.to_string())? + "\n";
    let put = |name: &str, bytes: &[u8]| {
        let path = folder.join(name);
        std::fs::create_dir_all(folder)
            .and_then(|()| std::fs::write(&path, bytes))
            .map_err(|e| format!("{}: {e}", path.display()))
    };
    put("layers.json", text.as_bytes())?;
    put("data.bin", &writer.data)
}

impl Writer {
    fn next(&mut self) -> u32 {
        self.random = self
            .random
            .wrapping_mul(1_664_525)
            .wrapping_add(1_013_904_223);
        self.random >> 16
    }

    fn int8(&mut self, n: usize) -> Vec<i8> {
        (0..n).map(|_| self.next() as u8 as i8).collect()
    }

    fn tensor(&mut self, dtype: &str, shape: Vec<usize>, bytes: &[u8]) -> Tensor {
        self.data.resize(self.data.len().next_multiple_of(4), 0);
        let offset = self.data.len();
        self.data.extend(bytes);
        Tensor {
            dtype: dtype.into(),
            shape,
            offset,
            nbytes: bytes.len(),
        }
    }

    fn put8(&mut self, layer: &mut Layer, role: &str, values: &[i8]) {
        let bytes: Vec<u8> = values.iter().map(|v| *v as u8).collect();
        let tensor = self.tensor("int8", vec![values.len()], &bytes);
        layer.tensors.insert(role.into(), tensor);
    }

    fn put32(&mut self, layer: &mut Layer, role: &str, values: &[i32]) {
        let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        let tensor = self.tensor("int32", vec![values.len()], &bytes);
        layer.tensors.insert(role.into(), tensor);
    }

    /// Kernels, strides, paddings, odd sizes, narrow clamps, left and extreme shifts.
    fn convolutions(&mut self) {
        // op, input, output channels, kernel, stride, zero points, clamps, shift
        type Case = (
            &'static str,
            [usize; 3],
            usize,
            [usize; 2],
            [usize; 2],
            (i32, i32),
            [i32; 2],
            i32,
        );
        const ALL: [i32; 2] = [-128, 127];
        const CASES: [Case; 24] = [
            (
                "conv2d",
                [5, 7, 3],
                4,
                [3, 3],
                [1, 1],
                (-128, -128),
                ALL,
                -8,
            ),
            ("conv2d", [6, 6, 3], 5, [3, 3], [2, 2], (3, 11), ALL, -8),
            ("conv2d", [7, 5, 2], 3, [5, 3], [2, 1], (127, -4), ALL, -8),
            ("conv2d", [9, 4, 1], 8, [4, 5], [3, 2], (0, 0), ALL, -7),
            ("conv2d", [1, 1, 7], 3, [3, 3], [1, 1], (-5, 20), ALL, -8),
            (
                "conv2d",
                [1, 9, 4],
                2,
                [1, 3],
                [1, 1],
                (9, -9),
                [-20, 30],
                -8,
            ),
            (
                "conv2d",
                [3, 3, 2],
                2,
                [2, 2],
                [2, 2],
                (-1, 1),
                [-128, -128],
                -6,
            ),
            ("conv2d", [4, 4, 1], 2, [3, 3], [1, 1], (-128, 5), ALL, 1),
            ("conv2d", [4, 4, 1], 2, [3, 3], [1, 1], (12, 5), ALL, -31),
            (
                "conv2d",
                [5, 5, 8],
                8,
                [1, 1],
                [1, 1],
                (-128, -128),
                [-128, 40],
                -7,
            ),
            ("conv2d", [4, 3, 13], 7, [1, 1], [1, 1], (30, -30), ALL, -8),
            ("conv2d", [5, 5, 3], 3, [1, 1], [2, 2], (30, -30), ALL, -6),
            ("conv2d", [2, 2, 1], 1, [1, 1], [1, 1], (0, 0), ALL, 0),
            (
                "dwconv2d",
                [5, 5, 8],
                8,
                [3, 3],
                [1, 1],
                (-128, -128),
                ALL,
                -6,
            ),
            ("dwconv2d", [6, 7, 5], 5, [3, 3], [2, 2], (17, 3), ALL, -6),
            ("dwconv2d", [7, 7, 9], 9, [5, 5], [1, 1], (-7, 0), ALL, -7),
            ("dwconv2d", [8, 6, 3], 3, [5, 5], [2, 2], (127, 0), ALL, -7),
            ("dwconv2d", [5, 4, 3], 6, [3, 3], [1, 1], (4, -4), ALL, -6),
            ("dwconv2d", [1, 1, 4], 4, [3, 3], [1, 1], (4, -4), ALL, -5),
            (
                "dwconv2d",
                [1, 8, 2],
                2,
                [1, 7],
                [1, 3],
                (-9, 60),
                [0, 100],
                -5,
            ),
            ("dwconv2d", [4, 4, 2], 2, [2, 2], [1, 1], (0, 0), ALL, 2),
            ("fc", [1, 1, 24], 10, [1, 1], [1, 1], (-128, 24), ALL, -8),
            ("fc", [1, 1, 7], 3, [1, 1], [1, 1], (5, 0), [-3, 3], -6),
            ("fc", [2, 3, 2], 5, [1, 1], [1, 1], (-50, 50), ALL, -7),
        ];
        for (i, (op, dims, out_ch, kernel, stride, zero_points, act, shift)) in
            CASES.into_iter().enumerate()
        {
            let [h, w, c] = dims;
            let input = Shape::new(h, w, c);
            let dense = op == "fc";
            let mut window = Window::same(h, w, 1, 1);
            let mut output = Shape::new(1, 1, out_ch);
            if !dense {
                use pupil_core::op::shape::same_padding;
                window = Window {
                    kernel_h: kernel[0],
                    kernel_w: kernel[1],
                    stride_h: stride[0],
                    stride_w: stride[1],
                    pad_top: same_padding(h, kernel[0], stride[0]).0,
                    pad_left: same_padding(w, kernel[1], stride[1]).0,
                };
                output = Shape::new(h.div_ceil(stride[0]), w.div_ceil(stride[1]), out_ch);
            }
            let per_channel = match op {
                "conv2d" => kernel[0] * kernel[1] * c,
                "dwconv2d" => kernel[0] * kernel[1],
                _ => input.len(),
            };
            let x = self.int8(input.len());
            let weights = self.int8(per_channel * out_ch);
            let bias: Vec<i32> = (0..out_ch)
                .map(|_| self.next() as i32 % 4000 - 2000)
                .collect();
            let mult: Vec<i32> = (0..out_ch)
                .map(|_| (1 << 30) + (self.next() as i32 & 0xffff) * 16_383)
                .collect();
            let shifts: Vec<i32> = (0..out_ch)
                .map(|_| (shift - (self.next() % 2) as i32).max(-31))
                .collect();
            let multipliers: Vec<Multiplier> = mult
                .iter()
                .zip(&shifts)
                .map(|(m, s)| Multiplier {
                    mantissa: *m,
                    shift: *s,
                })
                .collect();
            let clamps = (act[0] as i8, act[1] as i8);
            let y = if dense {
                reference::dense(&x, &weights, &bias, &multipliers, zero_points, clamps)
                    .collect::<Vec<_>>()
            } else {
                let p = Convolution {
                    input,
                    output,
                    window,
                    weights: &weights,
                    bias: &bias,
                    multipliers: &multipliers,
                    zero_points,
                    act: clamps,
                };
                reference::convolution(&p, &x, op == "dwconv2d").collect::<Vec<_>>()
            };
            let mut layer = Layer {
                op: op.into(),
                name: format!("{op}_{i:02}_{h}x{w}x{c}_{out_ch}"),
                input: dims.to_vec(),
                output: vec![output.h, output.w, output.c],
                in_off: -zero_points.0,
                out_off: zero_points.1,
                act: act.to_vec(),
                kh: kernel[0],
                kw: kernel[1],
                sh: stride[0],
                sw: stride[1],
                ph: window.pad_top,
                pw: window.pad_left,
                ..Layer::default()
            };
            for (role, values) in [("x", &x), ("w", &weights), ("y", &y)] {
                self.put8(&mut layer, role, values);
            }
            for (role, values) in [("b", &bias), ("mult", &mult), ("shift", &shifts)] {
                self.put32(&mut layer, role, values);
            }
            self.layers.push(layer);
        }
    }

    fn pools(&mut self) {
        for (i, (dims, kernel, stride)) in [
            ([6, 6, 4], 2, 2),
            ([5, 7, 3], 3, 2),
            ([4, 4, 9], 3, 1),
            ([1, 5, 2], 3, 1),
        ]
        .into_iter()
        .enumerate()
        {
            let [h, w, c] = dims;
            let window = Window::same(h, w, kernel, stride);
            let (input, output) = (
                Shape::new(h, w, c),
                Shape::new(h.div_ceil(stride), w.div_ceil(stride), c),
            );
            let x = self.int8(input.len());
            for (op, max) in [("avgpool", false), ("maxpool", true)] {
                let y = reference::pool(input, output, &window, (-100, 90), &x, max)
                    .collect::<Vec<_>>();
                let mut layer = Layer {
                    op: op.into(),
                    name: format!("{op}_{i}_{h}x{w}x{c}"),
                    input: dims.to_vec(),
                    output: vec![output.h, output.w, c],
                    act: vec![-100, 90],
                    kh: kernel,
                    kw: kernel,
                    sh: stride,
                    sw: stride,
                    ph: window.pad_top,
                    pw: window.pad_left,
                    ..Layer::default()
                };
                self.put8(&mut layer, "x", &x);
                self.put8(&mut layer, "y", &y);
                self.layers.push(layer);
            }
        }
        for (i, (dims, real, zero_points)) in [
            ([7, 7, 5], 0.8, (-128, -100)),
            ([2, 3, 8], 2.5, (10, 0)),
            ([1, 1, 4], 1.0, (0, 7)),
        ]
        .into_iter()
        .enumerate()
        {
            let [h, w, c] = dims;
            let input = Shape::new(h, w, c);
            let x = self.int8(input.len());
            let multiplier = mean_multiplier(real, h * w);
            let y = reference::mean(input, &x, multiplier, zero_points).collect::<Vec<_>>();
            let mut layer = Layer {
                op: "mean".into(),
                name: format!("mean_{i}_{h}x{w}x{c}"),
                input: dims.to_vec(),
                output: vec![1, 1, c],
                in_off: -zero_points.0,
                out_off: zero_points.1,
                mult: multiplier.mantissa,
                shift: multiplier.shift,
                ..Layer::default()
            };
            self.put8(&mut layer, "x", &x);
            self.put8(&mut layer, "y", &y);
            self.layers.push(layer);
        }
    }

    fn elementwise(&mut self) {
        let affine = |scale, zero_point| Affine { scale, zero_point };
        for (i, (scales, zero, act)) in [
            ([0.02, 0.05, 0.06], [-3, 10, -7], (-128i8, 127i8)),
            ([0.5, 0.001, 0.3], [127, -128, 0], (-128, 127)),
            ([0.1, 0.1, 0.01], [0, 0, 5], (-30, 60)),
        ]
        .into_iter()
        .enumerate()
        {
            let inputs = [affine(scales[0], zero[0]), affine(scales[1], zero[1])];
            let out = affine(scales[2], zero[2]);
            let points = zero.map(i32::from);
            let (x, x2) = (self.int8(5 * 3 * 4), self.int8(5 * 3 * 4));
            let p = pupil_packer::params::add(inputs, out, act);
            let m = [p.multipliers[0], p.multipliers[1], p.output_multiplier];
            let y: Vec<i8> = x
                .iter()
                .zip(&x2)
                .map(|(a, b)| reference::add((*a, *b), points, m, act))
                .collect();
            let mut layer = Layer {
                op: "add".into(),
                name: format!("add_{i}"),
                input: vec![5, 3, 4],
                output: vec![5, 3, 4],
                in_off: -points[0],
                in2_off: -points[1],
                out_off: points[2],
                act: vec![act.0.into(), act.1.into()],
                left_shift: 20,
                in1_mult: m[0].mantissa,
                in1_shift: m[0].shift,
                in2_mult: m[1].mantissa,
                in2_shift: m[1].shift,
                mult: m[2].mantissa,
                shift: m[2].shift,
                ..Layer::default()
            };
            for (role, values) in [("x", &x), ("x2", &x2), ("y", &y)] {
                self.put8(&mut layer, role, values);
            }
            self.layers.push(layer);

            let factors = self.int8(4);
            let p = pupil_packer::params::mul(4, inputs, out, act);
            let y: Vec<i8> = x
                .iter()
                .enumerate()
                .map(|(k, a)| reference::mul((*a, factors[k % 4]), points, p.multiplier, act))
                .collect();
            let mut layer = Layer {
                op: "mul_bcast".into(),
                name: format!("mul_bcast_{i}"),
                mult: p.multiplier.mantissa,
                shift: p.multiplier.shift,
                tensors: BTreeMap::new(),
                ..self.layers[self.layers.len() - 1].clone()
            };
            for (role, values) in [("x", &x), ("x2", &factors), ("y", &y)] {
                self.put8(&mut layer, role, values);
            }
            self.layers.push(layer);
        }
        // Softmax has no reference of its own: its values are checked against TensorFlow Lite's
        // in core; here they guard against change.
        for (i, (n, scale)) in [(10, 0.1f32), (3, 0.5), (40, 0.02)].into_iter().enumerate() {
            let x = self.int8(n);
            let p = pupil_packer::params::softmax(scale);
            let mut y = vec![0; n];
            assert!(
                run(
                    &pupil_core::op::Operator::Softmax(p),
                    &x,
                    &[],
                    &mut y,
                    &mut []
                )
                .is_ok(),
                "both have as many values"
            );
            let mut layer = Layer {
                op: "softmax".into(),
                name: format!("softmax_{i}_{n}"),
                input: vec![n],
                output: vec![n],
                mult: p.multiplier.mantissa,
                shift: p.multiplier.shift,
                diff_min: p.diff_min,
                ..Layer::default()
            };
            self.put8(&mut layer, "x", &x);
            self.put8(&mut layer, "y", &y);
            self.layers.push(layer);
        }
        let (x, table) = (self.int8(3 * 4 * 5), self.int8(256));
        let y: Vec<i8> = x.iter().map(|q| table[usize::from(*q as u8)]).collect();
        let mut layer = Layer {
            op: "lookup".into(),
            name: "lookup_0".into(),
            input: vec![3, 4, 5],
            output: vec![3, 4, 5],
            ..Layer::default()
        };
        for (role, values) in [("x", &x), ("table", &table), ("y", &y)] {
            self.put8(&mut layer, role, values);
        }
        self.layers.push(layer);
    }
}
