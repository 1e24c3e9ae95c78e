//! How much an image costs: values that operators read. What hosts and boards bound before they run a
//! file that somebody else made.

use super::format::code;
use super::header::Model;

impl Model<'_> {
    /// Values that all operators read for one image; layers that streams compute again count again.
    ///
    /// A convolution reads one a multiply-accumulate, a pooling its window for each output, a mean its
    /// map, the others each input once for each time that they walk it. Time: linear in layers.
    pub fn work(&self) -> u64 {
        let (mut sum, mut next) = (0u64, 0);
        let mut add = |layer: usize| sum = sum.saturating_add(self.reads(layer));
        for stream in self.streams() {
            (next..stream.at).for_each(&mut add);
            stream.links().for_each(|link| add(link.layer));
            next = stream.end;
        }
        (next..self.layer_count()).for_each(&mut add);
        sum
    }

    /// Values that layer `i` reads.
    fn reads(&self, i: usize) -> u64 {
        let Some(record) = self.record(i) else {
            return 0;
        };
        let (input, output) = (
            self.tensor(usize::from(record.input)).shape,
            self.tensor(i + 1).shape.volume(),
        );
        let [kernel_h, kernel_w, ..] = record.window.map(usize::from);
        let taps = (kernel_h * kernel_w) as u64;
        let each = match record.operator {
            code::CONV => taps * input.c as u64,
            code::DEPTHWISE => taps,
            code::DENSE => input.volume(),
            code::AVERAGE_POOL | code::MAX_POOL => {
                (kernel_h.min(input.h) * kernel_w.min(input.w)) as u64
            }
            code::MEAN => return input.volume(),
            code::LOOKUP => 1,
            code::SOFTMAX => 3,
            _ => 2,
        };
        output.saturating_mul(each)
    }
}
