//! Golden values of TensorFlow Lite's operators, and every kernel against the reference on
//! random shapes, strides, paddings, zero points, clamps and shifts.

mod case;
mod golden;
mod random;

use super::arch::operands::{Maps, Operands};
use super::arch::portable::{self, dot, lanes};
use super::{Every, Operators};
use crate::op::quant::Affine;
use crate::op::{AddParams, Filter, MeanParams, MulParams};

use portable::depthwise::{depthwise, depthwise_in_place};
use portable::pointwise::pointwise;
use portable::pool::{average_pool, max_pool};
use portable::softmax::softmax;

fn affine(scale: f32, zero_point: i8) -> Affine {
    Affine { scale, zero_point }
}

fn conv<O: Operators>(f: &Filter<'_>, x: &[i8], y: &mut [i8], scratch: &mut [i8]) -> bool {
    portable::conv::conv::<O, dot::Plain>(f, x, y, scratch)
}

fn dense<O: Operators>(f: &Filter<'_>, x: &[i8], y: &mut [i8]) -> bool {
    portable::dense::dense::<O, dot::Plain>(f, x, y)
}

fn mean(p: &MeanParams<'_>, x: &[i8], y: &mut [i8]) -> bool {
    portable::mean::mean::<Every, lanes::Plain>(p, x, y)
}

fn lookup(table: &[u8; 256], x: &[i8], y: &mut [i8]) -> bool {
    portable::lookup::lookup(table, &mut Maps::apart(x, y))
}

fn add(p: &AddParams<'_>, a: &[i8], b: &[i8], y: &mut [i8]) -> bool {
    portable::add::add::<Every>(p, &mut Operands::apart(a, b, y, &mut []))
}

fn add_in_place(p: &AddParams<'_>, replaced: usize, map: &mut [i8], other: &[i8]) -> bool {
    let mut operands = Operands::in_place(replaced, map, other, &mut []);
    portable::add::add::<Every>(p, &mut operands)
}

fn mul(p: &MulParams, map: &[i8], gate: &[i8], y: &mut [i8]) -> bool {
    portable::squeeze_excite::mul::<Every>(p, &mut Operands::apart(map, gate, y, &mut []))
}

fn mul_in_place(p: &MulParams, map: &mut [i8], gate: &[i8]) -> bool {
    portable::squeeze_excite::mul::<Every>(p, &mut Operands::in_place(0, map, gate, &mut []))
}
