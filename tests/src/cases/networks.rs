//! Whole networks: MBConv blocks, and the architectures of two well-known small ones, with own
//! weights.

use pupil_core::model::{InputSpec, PixelFormat};
use pupil_core::op::quant::Affine;
use pupil_core::op::shape::Shape;
use pupil_firmware::cases::Work;
use pupil_packer::{BuildError, Conv, Fused, ModelBuilder, Pad, Pool, TensorId};

use super::{Case, Kind, Random, channels, zero_point};

/// A second tensor of the shape of `x` for layers of two inputs: nobody looks at its values.
///
/// # Errors
/// None that the model's checks would not find.
pub fn other(b: &mut ModelBuilder, x: TensorId, affine: Affine) -> Result<TensorId, BuildError> {
    let table = core::array::from_fn(|i| i as u8);
    b.lookup(x, &Fused { table, out: affine })
}

/// A network that grows.
pub(super) struct Net {
    pub builder: ModelBuilder,
    pub random: Random,
}

impl Net {
    pub fn new(input: Shape, input_zero_point: i8, seed: u64) -> Self {
        let spec = InputSpec {
            shape: input,
            format: PixelFormat::Raw8,
            affine: zero_point(input_zero_point),
        };
        Self {
            builder: ModelBuilder::new(spec, &[]),
            random: Random::new(seed),
        }
    }

    /// A layer with SAME padding; −128 makes it a ReLU.
    fn layer(
        &mut self,
        kind: Kind,
        x: TensorId,
        out_ch: usize,
        (kernel, stride): ((usize, usize), usize),
        out: i8,
    ) -> Result<TensorId, BuildError> {
        let c = self.builder.shape(x).c;
        let taps = match kind {
            Kind::Conv => kernel.0 * kernel.1 * c,
            Kind::Depthwise => kernel.0 * kernel.1,
            Kind::Dense => self.builder.shape(x).len(),
        };
        let layer = Conv {
            kernel,
            stride: (stride, stride),
            pad: Pad::Same,
            weights: self.random.weights(taps * out_ch),
            channels: channels(&mut self.random, taps, out_ch),
            out: zero_point(out),
            act: (-128, 127),
            fused: None,
        };
        match kind {
            Kind::Conv => self.builder.conv(x, layer),
            Kind::Depthwise => self.builder.depthwise(x, layer),
            Kind::Dense => self.builder.dense(x, layer),
        }
    }

    fn conv(
        &mut self,
        x: TensorId,
        out_ch: usize,
        (kernel, stride): (usize, usize),
        out: i8,
    ) -> Result<TensorId, BuildError> {
        self.layer(Kind::Conv, x, out_ch, ((kernel, kernel), stride), out)
    }

    /// An MBConv block with ReLU and 3x3 windows.
    fn block(
        &mut self,
        x: TensorId,
        expand: usize,
        out_ch: usize,
        stride: usize,
        squeeze: usize,
    ) -> Result<TensorId, BuildError> {
        let input = self.builder.shape(x);
        let width = input.c * expand;
        let mut y = x;
        if expand > 1 {
            y = self.conv(y, width, (1, 1), -128)?;
        }
        y = self.layer(Kind::Depthwise, y, width, ((3, 3), stride), -128)?;
        if squeeze > 0 {
            let hidden = squeeze * input.c / 4;
            let pooled = self.builder.mean(y, zero_point(-128))?;
            let reduced = self.layer(Kind::Dense, pooled, hidden, ((1, 1), 1), -128)?;
            let gate = self.layer(Kind::Dense, reduced, width, ((1, 1), 1), 0)?;
            let out = zero_point(-128);
            y = self.builder.mul(y, gate, out, (-128, 127))?;
        }
        y = self.conv(y, out_ch, (1, 1), 4)?;
        if self.builder.shape(y) == input {
            y = self.builder.add(x, y, zero_point(3), (-128, 127))?;
        }
        Ok(y)
    }

    fn average(&mut self, x: TensorId) -> Result<TensorId, BuildError> {
        let shape = self.builder.shape(x);
        let pool = Pool {
            kernel: (shape.h, shape.w),
            stride: (shape.h, shape.w),
            pad: Pad::Same,
            act: (-128, 127),
        };
        self.builder.average_pool(x, pool)
    }

    /// The network with random input; this computer's kernels answer.
    pub fn finish(mut self, name: &str, last: TensorId) -> Result<Case, BuildError> {
        let input = self.builder.shape(self.builder.input()).len();
        let labels = vec![""; self.builder.shape(last).len()];
        self.builder.set_labels(&labels);
        let model = self.builder.finish()?;
        let macs = pupil_core::model::Model::parse(&model)?.macs();
        let mut case = Case {
            name: name.into(),
            macs: u64::from(macs),
            work: Work::Whole,
            model,
            input: self.random.bytes(input),
            second: vec![],
            expected: vec![0; labels.len()],
        };
        case.expected = case.on_host().map_err(BuildError)?;
        Ok(case)
    }
}

/// All networks, in the order of the table.
///
/// # Errors
/// A network that can't be packed.
pub fn all() -> Result<Vec<Case>, BuildError> {
    Ok(vec![
        mbconv("mbconv_16x16x24_e6_k3_se36", Some(36))?,
        mbconv("mbconv_16x16x24_e6_k3_nose", None)?,
        resnet8()?,
        dscnn()?,
    ])
}

/// Expand, depthwise, squeeze-and-excitation, project, residual.
fn mbconv(name: &str, squeeze: Option<usize>) -> Result<Case, BuildError> {
    let mut net = Net::new(Shape::new(16, 16, 24), -4, 120);
    let x = net.builder.input();
    let y = net.conv(x, 144, (1, 1), -128)?;
    let mut y = net.layer(Kind::Depthwise, y, 144, ((3, 3), 1), -128)?;
    if let Some(width) = squeeze {
        let pooled = net.average(y)?;
        let reduced = net.layer(Kind::Dense, pooled, width, ((1, 1), 1), -128)?;
        let gate = net.layer(Kind::Dense, reduced, 144, ((1, 1), 1), 0)?;
        y = net.builder.mul(y, gate, zero_point(-128), (-128, 127))?;
    }
    let y = net.conv(y, 24, (1, 1), -4)?;
    let out = Affine {
        scale: 0.06,
        zero_point: 1,
    };
    let last = net.builder.add(x, y, out, (-128, 127))?;
    net.finish(name, last)
}

/// Blocks of one shape: expansion, output channels, how many, stride of the first, channels of the
/// squeeze by input channels (0: none).
type Stage = (usize, usize, usize, usize, usize);

/// MobileNetV2 with width 0.35; the stages at 6x6 and 3x3 have squeeze-and-excitation, the others,
/// at high resolutions, have none.
const STUDENT96: [Stage; 7] = [
    (1, 8, 1, 1, 0),
    (6, 8, 2, 2, 0),
    (6, 16, 3, 2, 0),
    (6, 24, 4, 2, 1),
    (6, 32, 3, 1, 1),
    (6, 56, 3, 2, 1),
    (6, 112, 1, 1, 1),
];

/// A student for frames of 96 x 96 RGB pixels, layer by layer: about MobileNetV2-0.35.
///
/// # Errors
/// A layer that can't be packed: a fault of this generator.
pub fn student96() -> Result<Case, BuildError> {
    let mut net = Net::new(Shape::new(96, 96, 3), -1, 960);
    let x = net.builder.input();
    let mut x = net.conv(x, 16, (3, 2), -128)?;
    for (expand, out_ch, count, stride, squeeze) in STUDENT96 {
        for i in 0..count {
            let stride = if i == 0 { stride } else { 1 };
            x = net.block(x, expand, out_ch, stride, squeeze)?;
        }
    }
    let x = net.conv(x, 448, (1, 1), -128)?;
    let x = net.builder.mean(x, zero_point(-128))?;
    let x = net.layer(Kind::Dense, x, 10, ((1, 1), 1), 7)?;
    let last = net.builder.softmax(x)?;
    net.finish("student96", last)
}

/// MBConv blocks with squeeze-and-excitation and a head, without stem and softmax: windows of 3x3
/// of both strides, and one for which there is no block kernel.
///
/// # Errors
/// A layer that can't be packed: a fault of this generator.
pub fn blocks() -> Result<Case, BuildError> {
    let mut net = Net::new(Shape::new(16, 16, 24), -1, 241);
    let mut x = net.builder.input();
    for (out_ch, stride) in [(24, 1), (32, 2)] {
        x = net.block(x, 6, out_ch, stride, 1)?;
    }
    let y = net.conv(x, 192, (1, 1), -128)?;
    let y = net.layer(Kind::Depthwise, y, 192, ((5, 5), 2), -128)?;
    let y = net.conv(y, 48, (1, 1), -128)?;
    let y = net.builder.mean(y, zero_point(-128))?;
    let last = net.layer(Kind::Dense, y, 10, ((1, 1), 1), 7)?;
    net.finish("blocks", last)
}

/// The image classifier of MLPerf Tiny.
fn resnet8() -> Result<Case, BuildError> {
    let mut net = Net::new(Shape::new(32, 32, 3), -128, 200);
    let x = net.builder.input();
    let mut x = net.conv(x, 16, (3, 1), -128)?;
    for (out_ch, stride) in [(16, 1), (32, 2), (64, 2)] {
        let y = net.conv(x, out_ch, (3, stride), -128)?;
        let y = net.conv(y, out_ch, (3, 1), 4)?;
        let short = if stride == 1 {
            x
        } else {
            net.conv(x, out_ch, (1, stride), -17)?
        };
        let out = zero_point(-128);
        x = net.builder.add(short, y, out, (-128, 127))?;
    }
    let x = net.average(x)?;
    let x = net.layer(Kind::Dense, x, 10, ((1, 1), 1), 24)?;
    let last = net.builder.softmax(x)?;
    net.finish("ic_resnet8", last)
}

/// The keyword spotter of MLPerf Tiny.
fn dscnn() -> Result<Case, BuildError> {
    let mut net = Net::new(Shape::new(49, 10, 1), 83, 300);
    let x = net.builder.input();
    let mut x = net.layer(Kind::Conv, x, 64, ((10, 4), 2), -128)?;
    for _ in 0..4 {
        let y = net.layer(Kind::Depthwise, x, 64, ((3, 3), 1), -128)?;
        x = net.conv(y, 64, (1, 1), -128)?;
    }
    let x = net.average(x)?;
    let x = net.layer(Kind::Dense, x, 12, ((1, 1), 1), 14)?;
    let last = net.builder.softmax(x)?;
    net.finish("kws_dscnn", last)
}

#[cfg(test)]
mod tests {
    use super::*;
    use pupil_core::model::Model;
    use pupil_packer::plan::{Goal, Memory, Plan, schedule};

    fn smallest(packed: &[u8], frame_by_rows: bool) -> Vec<u8> {
        let goal = Goal::Smallest;
        let memory = Memory {
            goal,
            frame_by_rows,
        };
        schedule(packed, memory).unwrap()
    }

    #[test]
    fn schedules_halve_the_memory_of_students_without_a_change_of_answers() {
        let quickstart = include_bytes!("../../../firmware/model/quickstart.pupil");
        let model = Model::parse(quickstart).unwrap();
        let mut quick = Case {
            name: "quickstart".into(),
            macs: model.macs().into(),
            work: Work::Whole,
            input: Random::new(28).bytes(model.input().shape.len()),
            second: vec![],
            expected: vec![],
            model: quickstart.to_vec(),
        };
        quick.expected = quick.on_host().unwrap();
        for (case, rows, share) in [
            (student96().unwrap(), false, 0.4),
            (student96().unwrap(), true, 0.16),
            (quick, false, 0.5),
        ] {
            let whole = Model::parse(&case.model).unwrap().arena_len();
            let small = Case {
                model: smallest(&case.model, rows),
                ..case.clone()
            };
            let model = Model::parse(&small.model).unwrap();
            assert!(
                model.arena_len() as f64 <= share * whole as f64,
                "{}: {} of {whole}\n{}",
                case.name,
                model.arena_len(),
                Plan::of(&model)
            );
            assert!(small.on_host().unwrap() == case.expected, "{}", case.name);
        }
    }
}
